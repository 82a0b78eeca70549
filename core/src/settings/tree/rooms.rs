//! Limits on rooms, and which rooms remember their messages.

use super::choices::{HomeChoice, PresenceChoice};
use super::declare::settings;
use super::values::{NEVER, count, secs};
use crate::settings::units::{Maybe, Size, Span, Timeout};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::num::NonZeroU32;

settings! {
    /// Limits on rooms, and which rooms remember their messages.
    RoomSettings {
        /// Maximum number of rooms, on all workers together.
        rooms_max: NonZeroU32 = count(10_000);
        /// Maximum number of rooms per connection.
        per_connection_max: NonZeroU32 = count(100);
        /// Maximum length of a room's name.
        name_max: Size = Size(128);
        /// Maximum memory of the histories of all rooms. Each worker has an equal part.
        /// Above it, the rooms that were not used for longest lose their oldest messages first.
        history_max: Size = Size(64 << 20);
        /// Maximum number of missed messages that a returning member receives.
        /// These messages have at most `outbound.high` bytes in total. A member that missed more
        /// receives none of them, and the server tells it that messages are missing.
        recover_max: u32 = 300;
        /// The rooms that remember their messages, by name, or by prefix with a `*` at its end.
        /// A name comes before a prefix, and a longer prefix before a shorter one. Other rooms
        /// remember nothing. If there is a `cluster`, they are shared nevertheless.
        options: BTreeMap<String, RoomOptionSettings> = BTreeMap::new();
    }

    /// How rooms of one name or prefix remember their messages.
    RoomOptionSettings {
        /// Where messages are numbered and kept.
        home: HomeChoice = HomeChoice::Shared;
        /// Maximum number of messages that a room keeps.
        /// With 0, a returning member is recovered only if nothing was published meanwhile.
        messages_max: u32 = 100;
        /// Maximum size of the messages that a room keeps, and of a single one.
        /// Longer messages are not sent.
        bytes_max: Size = Size(1 << 20);
        /// Time after which a message is no longer kept.
        age_max: Maybe<Timeout> = NEVER;
        /// Time in which a second message with the same key counts as the first.
        /// The application chooses keys. With 0s, each message counts.
        key_window: Span = secs(300);
        /// What the room knows of the names under which the application lets members join.
        presence: PresenceChoice = PresenceChoice::Off;
        /// Whether members are told if messages may be missing.
        gap_notices: bool = true;
        /// Whether members that receive JSON get each message with its position in the room, as
        /// `{"type":"message","room":"news","position":"7.1.2f","data":"hello"}`. Clients need
        /// positions to return with. Set it to false for clients that do not expect them.
        positions: bool = true;
    }
}
