use crate::base::{AppIndex, covers, setters};
use crate::history::Keep;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Which rooms have a [home](Home), and how much of their histories is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomMemory {
    /// The options of rooms, by name or prefix. Rooms without options have no home.
    ///
    /// The name of a room itself comes before a prefix, and a longer prefix before a shorter one.
    pub rooms: Vec<RoomOptions>,
    /// Maximum memory of all histories, in bytes, as far as it can be counted. Default: 64 MiB.
    ///
    /// Each [shard](crate::Shard) has an equal part. Above it, the least recently used rooms lose
    /// their oldest messages, and then their histories. A single message that is longer is refused, so
    /// with 0 only empty messages are sent.
    pub bytes_max: u64,
    /// Maximum number of missed messages that a returning member receives. Default: 300.
    ///
    /// Their bytes are limited by the high mark of its [`Marks`](crate::outbound::Marks). A member
    /// that missed more is not recovered. With 0, a member is recovered only if it missed nothing.
    pub recover_max: u32,
}

/// Options of the rooms with a name or a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomOptions {
    /// The name of a room, or with a trailing `*` the beginning of the names of several rooms.
    pub rooms: Arc<str>,
    /// The application whose rooms these are, if only those of one. Default: all.
    pub app: Option<AppIndex>,
    /// Where the messages of a room are numbered and kept. Default: [`Home::Memory`].
    pub home: Home,
    /// How much of the history is kept.
    pub keep: Keep,
    /// Whether the names of members are known to all shards. Default: [`Presence::Off`].
    pub presence: Presence,
    /// Whether the server tells members of [gaps](crate::history::Gap), as a line or as JSON. Default: yes.
    pub tells_gaps: bool,
    /// Whether messages to members of [`Representation::Json`](crate::Representation) carry their
    /// position. Default: yes.
    ///
    /// A message is then `{"type":"message","room":"news","position":"7.1.2f","data":...}`. Text that
    /// is the same for all members becomes a JSON string; binary messages stay as they are.
    pub positions: bool,
    /// How messages that carry their position are written. Default: [`MessageForm::Positioned`].
    pub form: MessageForm,
    /// How messages that carry their position are written for members whose wire is a [stream of
    /// events](crate::wire::events). No effect without `positions`. Default: [`StreamForm::default`].
    pub stream: StreamForm,
}

/// How a message with a position is written for members whose wire is a [stream of
/// events](crate::wire::events).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamForm {
    /// The data of an event of an `EventSource`, whose `id` is the position. Default: the message.
    pub event: &'static [FormPart],
    /// A line in the format of JSON lines. Default: `{"position":"7.1.2f","data":...}`.
    pub line: &'static [FormPart],
}

/// How a message with a position is written for members of [`Representation::Json`](crate::Representation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageForm {
    /// `{"type":"message","room":"news","position":"7.1.2f","data":...}`
    Positioned,
    /// These parts, one after another, for protocols with a form of their own.
    Parts(&'static [FormPart]),
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormPart {
    /// This text.
    Text(&'static str),
    /// The name of the room, as a JSON string.
    Room,
    /// The [position](crate::history::Position) of the message, as a JSON string.
    Position,
    /// The [offset](crate::history::Position::offset) of the message, as a number.
    Offset,
    /// The message. Text that is the same for all members becomes a JSON string.
    Data,
}

/// The home of a room: it numbers the messages of the room, keeps some, and decides their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Home {
    /// None. Messages go to the members directly, and none is kept.
    None,
    /// The memory of the server. One shard is the home of a room, chosen by the name of the room.
    Memory,
    /// The broker of the [cluster](crate::Cluster), which other hosts use too. [`Home::Memory`] if there is none.
    ///
    /// Which rooms are shared is decided at the start: a [reconfiguration](crate::Machine::reconfigured) changes their
    /// other options, but neither moves them to another home nor shares other rooms.
    ///
    /// With NATS, [`Keep::messages`], [`Keep::age`] and [`Keep::key_window`] of shared rooms stay as they were at the
    /// start, too.
    ///
    /// The broker keeps at most [`Keep::messages`], for [`Keep::age`]. [`Keep::bytes`] is a limit for each message, of
    /// at most 4 MiB, and not for all together.
    Shared,
}

/// What a room knows of the names of its members: see [`JoinOptions::name`](crate::JoinOptions).
///
/// A name is present from the first member that joins with it until the last one leaves or ends,
/// over all connections and shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// Nothing. The names of members that joined before a reload switched presence off are present
    /// again once another one switches it on.
    Off,
    /// How many names are present. For large rooms: there are no events.
    Counts,
    /// Which names are present. [Events](crate::Event::PresenceChanged) tell when one comes or goes.
    Names,
}

setters!(RoomMemory { rooms: Vec<RoomOptions>, bytes_max: u64, recover_max: u32 });
setters!(RoomOptions {
    app: Option<AppIndex>,
    home: Home,
    keep: Keep,
    presence: Presence,
    tells_gaps: bool,
    positions: bool,
    form: MessageForm,
    stream: StreamForm,
});
setters!(StreamForm { event: &'static [FormPart], line: &'static [FormPart] });

impl Default for RoomMemory {
    fn default() -> Self {
        Self { rooms: Vec::new(), bytes_max: 64 << 20, recover_max: 300 }
    }
}

impl Default for StreamForm {
    fn default() -> Self {
        const LINE: &[FormPart] = &[
            FormPart::Text("{\"position\":"),
            FormPart::Position,
            FormPart::Text(",\"data\":"),
            FormPart::Data,
            FormPart::Text("}"),
        ];
        Self { event: &[FormPart::Data], line: LINE }
    }
}

impl RoomOptions {
    /// Creates options of a room, or with a trailing `*` of all rooms with that prefix.
    #[must_use]
    pub fn new(rooms: &str, keep: Keep) -> Self {
        Self {
            rooms: rooms.into(),
            app: None,
            home: Home::Memory,
            keep,
            presence: Presence::Off,
            tells_gaps: true,
            positions: true,
            form: MessageForm::Positioned,
            stream: StreamForm::default(),
        }
    }
}

impl RoomMemory {
    /// Returns the options of a room with this [stored name](AppIndex::stored_room).
    pub(crate) fn options_of_stored(&self, stored: &str) -> Option<&RoomOptions> {
        let (app, room) = AppIndex::of_room(stored);
        self.options_of(app, room)
    }

    /// Returns the options of a room of the first application, unless it has none or no home.
    #[must_use]
    pub fn options(&self, room: &str) -> Option<&RoomOptions> {
        self.options_of(AppIndex::default(), room)
    }

    /// Returns `true` if members of a room with this [stored name](AppIndex::stored_room) get notices of gaps, even
    /// if the room has no home.
    pub(crate) fn tells_gaps(&self, stored: &str) -> bool {
        let (app, room) = AppIndex::of_room(stored);
        self.rooms.is_empty() || self.matching(app, room).is_none_or(|options| options.tells_gaps)
    }

    fn options_of(&self, app: AppIndex, room: &str) -> Option<&RoomOptions> {
        self.matching(app, room).filter(|options| options.home != Home::None)
    }

    fn matching(&self, app: AppIndex, room: &str) -> Option<&RoomOptions> {
        let is_of = |options: &&RoomOptions| options.app.is_none_or(|of| of == app) && covers(&options.rooms, room);
        let matching = self.rooms.iter().filter(is_of);
        // A name is longer than each prefix of it, and a prefix with its `*` may be as long.
        let rank = |options: &&RoomOptions| (&*options.rooms == room, options.rooms.len(), options.app.is_some());
        matching.max_by_key(rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_comes_before_prefixes_and_longer_prefixes_before_shorter_ones() {
        let of = |rooms: &str, messages| RoomOptions::new(rooms, Keep::messages(messages));
        let rooms = alloc::vec![of("a*", 1), of("*", 2), of("abc*", 3), of("abc", 4), of("ab", 5).home(Home::None)];
        let memory = RoomMemory::default().rooms(rooms);
        for (room, messages) in [("abc", Some(4)), ("abcd", Some(3)), ("ab", None), ("abz", Some(1)), ("x", Some(2))] {
            assert_eq!(memory.options(room).map(|options| options.keep.messages), messages, "{room}");
        }
        assert_eq!(RoomMemory::default().options("abc"), None);
    }

    #[test]
    fn rooms_without_a_home_have_their_say_on_notices_of_gaps() {
        let silent = RoomOptions::new("a*", Keep::messages(0)).home(Home::None).tells_gaps(false);
        let memory = RoomMemory::default().rooms(alloc::vec![silent]);
        assert!(!memory.tells_gaps("abc") && memory.tells_gaps("b") && memory.options("abc").is_none());
        assert!(RoomMemory::default().tells_gaps("abc"));
    }
}
