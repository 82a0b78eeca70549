//! Limits: connections, rates, queues, quarantine, rooms.

use super::choices::SlowChoice;
use super::declare::settings;
use super::values::{NEVER, count, timeout};
use crate::settings::units::{Maybe, NetworkText, RateText, Size, Timeout};
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

settings! {
    /// What one peer may do.
    PeerSettings {
        /// The longest message, 1 byte to 1 GiB.
        message_max: Size = Size(64 << 10);
        /// How long a message may take from its first byte to its last.
        message_deadline: Timeout = timeout(60);
        /// How many messages of one connection are served before others have their turn.
        messages_per_turn: NonZeroU32 = count(1024);
        /// How many messages a peer may send.
        messages: Maybe<RateText> = Maybe(RateText::new(1_000, 1, 2_000));
        /// How many bytes a peer may send.
        bytes: Maybe<RateText> = Maybe(RateText::new(4 << 20, 1, 8 << 20));
        /// What happens to who is faster, by how often they were.
        ladder: LadderSettings = LadderSettings::default();
        /// A peer without a message for this long is closed.
        idle: Maybe<Timeout> = NEVER;
        /// How long before that it is told.
        idle_warning: Maybe<Timeout> = NEVER;
        /// A peer without a byte for this long is closed: more than the ping of WebSocket and the `keep_alive` of telnet.
        silence: Maybe<Timeout> = NEVER;
        /// A connection that is this old is closed, whatever it does.
        lifetime: Maybe<Timeout> = NEVER;
    }

    /// What happens to who is too fast: each step from so many strikes on.
    LadderSettings {
        /// The peer is told.
        warn: Maybe<NonZeroU32> = Maybe(Some(NonZeroU32::MIN));
        /// It is read no faster than it may send.
        pause: Maybe<NonZeroU32> = Maybe(Some(NonZeroU32::MIN));
        /// What is too much is discarded.
        drop: Maybe<NonZeroU32> = Maybe(None);
        /// The connection is closed.
        close: Maybe<NonZeroU32> = Maybe(None);
        /// It is closed and its address refused for a while.
        quarantine: Maybe<NonZeroU32> = Maybe(None);
        /// After this long without a strike the count starts anew.
        forgive_after: Timeout = timeout(60);
    }

    /// How many connections, and what one may send.
    LimitSettings {
        /// Limits per address, networks, early drops and rates are counted and not enforced.
        dry_run: bool = false;
        /// How many connections in all.
        connections_max: NonZeroU32 = count(10_000);
        /// How many from one address: an IPv4 address or an IPv6 /64.
        connections_per_address_max: NonZeroU32 = count(256);
        /// How many new ones from one address in a time.
        arrivals_per_address: Maybe<RateText> = Maybe(None);
        /// Networks that these limits, early drops and quarantine do not hold for.
        exempt: Vec<NetworkText> = Vec::new();
        /// New connections are refused by chance while many have not authenticated.
        early_drop: Maybe<EarlyDropSettings> = Maybe(None);
        /// How long a listener rests after the process ran out of descriptors or memory.
        accept_backoff: Timeout = Timeout(Duration::from_millis(500));
        /// What one peer may do.
        peer: PeerSettings = PeerSettings::default();
        /// Requests in progress elsewhere, for one connection; with 0 there are none.
        tickets_per_connection_max: u32 = 64;
        /// Requests in progress elsewhere, in all; with 0 there are none.
        tickets_max: u32 = 16_384;
    }

    /// When new connections are refused by chance.
    EarlyDropSettings {
        /// None is below so many that have not authenticated.
        begin: u32 = 500;
        /// Everybody is from so many on.
        full: u32 = 1_000;
    }

    /// What may wait for one connection, and how slow it may be.
    OutboundSettings {
        /// At this much or less a stalled peer is read again.
        low: Size = Size(64 << 10);
        /// Above this much a peer is no longer read.
        high: Size = Size(256 << 10);
        /// The most that waits for a peer; what is more is for the policy.
        max: Size = Size(1 << 20);
        /// How long a socket that is full may take for what waits, besides the time for its length.
        write_deadline: Timeout = timeout(30);
        /// The lowest rate that a peer may read at, per second.
        drain_min: Size = Size(4 << 10);
        /// What happens to messages of rooms that a slow member can't take.
        slow_policy: SlowChoice = SlowChoice::Close;
    }

    /// Addresses that are refused for a while.
    QuarantineSettings {
        /// For how long.
        cool_down: Timeout = timeout(300);
        /// How many are remembered; with 0 nobody is refused.
        addresses_max: u32 = 10_000;
    }

    /// Rooms.
    RoomSettings {
        /// How many in all, on each worker.
        rooms_max: NonZeroU32 = count(10_000);
        /// How many one connection may be in.
        per_connection_max: NonZeroU32 = count(100);
        /// The longest name.
        name_max: Size = Size(128);
    }
}
