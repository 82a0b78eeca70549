//! Limits on connections, rates, queues, quarantine and rooms.

use super::choices::SlowChoice;
use super::declare::settings;
use super::values::{NEVER, count, timeout};
use crate::settings::units::{Maybe, NetworkText, RateText, Size, Timeout};
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

settings! {
    /// Limits for one peer.
    PeerSettings {
        /// Longest message, 1B to 1GiB.
        message_max: Size = Size(64 << 10);
        /// Longest time from the first byte of a message to its last.
        message_deadline: Timeout = timeout(60);
        /// Messages of one connection that the server handles before it turns to other connections.
        messages_per_turn: NonZeroU32 = count(1024);
        /// Rate of messages that a peer may send.
        messages: Maybe<RateText> = Maybe(RateText::new(1_000, 1, 2_000));
        /// Rate of bytes that a peer may send.
        bytes: Maybe<RateText> = Maybe(RateText::new(4 << 20, 1, 8 << 20));
        /// Penalties for peers that exceed these rates, by number of strikes.
        ladder: LadderSettings = LadderSettings::default();
        /// The connection closes after this long without a complete message.
        idle: Maybe<Timeout> = NEVER;
        /// How long before the idle timeout the peer is warned. Less than `idle`.
        idle_warning: Maybe<Timeout> = NEVER;
        /// The connection closes after this long without a byte. More than the `ping` of WebSocket
        /// and the `keep_alive` of telnet.
        silence: Maybe<Timeout> = NEVER;
        /// Longest duration of a connection, even if it is active.
        lifetime: Maybe<Timeout> = NEVER;
    }

    /// Penalties for a peer that exceeds its rate: the number of strikes from which each step
    /// applies.
    LadderSettings {
        /// Warn the peer.
        warn: Maybe<NonZeroU32> = Maybe(Some(NonZeroU32::MIN));
        /// Pause reading until the rate conforms again.
        pause: Maybe<NonZeroU32> = Maybe(Some(NonZeroU32::MIN));
        /// Discard messages over the rate.
        drop: Maybe<NonZeroU32> = Maybe(None);
        /// Close the connection.
        close: Maybe<NonZeroU32> = Maybe(None);
        /// Close the connection and refuse its address for `quarantine.cool_down`.
        quarantine: Maybe<NonZeroU32> = Maybe(None);
        /// The count of strikes restarts after this long without a strike.
        forgive_after: Timeout = timeout(60);
    }

    /// Limits on the number of connections, and on what one peer may send.
    LimitSettings {
        /// Whether limits per address, networks, early drops and rates are only counted, not
        /// enforced.
        dry_run: bool = false;
        /// Connections in all.
        connections_max: NonZeroU32 = count(10_000);
        /// Connections from one address: an IPv4 address or an IPv6 /64.
        connections_per_address_max: NonZeroU32 = count(256);
        /// Rate of new connections from one address.
        arrivals_per_address: Maybe<RateText> = Maybe(None);
        /// Networks that are exempt from limits per address, early drops and quarantine.
        exempt: Vec<NetworkText> = Vec::new();
        /// Random refusal of new connections while many are unauthenticated. It needs
        /// `authentication.enabled`.
        early_drop: Maybe<EarlyDropSettings> = Maybe(None);
        /// How long a listener pauses when the process is out of descriptors or memory.
        accept_backoff: Timeout = Timeout(Duration::from_millis(500));
        /// Limits for one peer.
        peer: PeerSettings = PeerSettings::default();
        /// Offloaded requests in progress per connection; with 0, there are none.
        tickets_per_connection_max: u32 = 64;
        /// Offloaded requests in progress in all, on each worker; with 0, there are none.
        tickets_max: u32 = 16_384;
    }

    /// When new connections are refused at random; the probability rises linearly from `begin` to
    /// `full`.
    EarlyDropSettings {
        /// Below this many unauthenticated connections, none is refused.
        begin: u32 = 500;
        /// From this many unauthenticated connections on, all are refused.
        full: u32 = 1_000;
    }

    /// Limits on the output that is queued for one connection, and on how slowly it may read.
    OutboundSettings {
        /// Low mark: at this many queued bytes or fewer, the server reads from a stalled peer
        /// again.
        low: Size = Size(64 << 10);
        /// High mark: above this many queued bytes, the server stops reading from the peer.
        high: Size = Size(256 << 10);
        /// Most bytes that are queued for a peer once its socket is full; `slow_policy` handles
        /// what would exceed it.
        max: Size = Size(1 << 20);
        /// How long a full socket may take for queued output, in addition to the time for its
        /// length at `drain_min`.
        write_deadline: Timeout = timeout(30);
        /// Lowest rate at which a peer may read, per second.
        drain_min: Size = Size(4 << 10);
        /// What happens when a room's message would bring a slow member above `max`.
        slow_policy: SlowChoice = SlowChoice::Close;
    }

    /// Temporary refusal of addresses.
    QuarantineSettings {
        /// How long an address is refused.
        cool_down: Timeout = timeout(300);
        /// Addresses that are stored; with 0, no address is refused.
        addresses_max: u32 = 10_000;
    }

    /// Limits on rooms.
    RoomSettings {
        /// Rooms in all, on each worker.
        rooms_max: NonZeroU32 = count(10_000);
        /// Rooms per connection.
        per_connection_max: NonZeroU32 = count(100);
        /// Longest name of a room.
        name_max: Size = Size(128);
    }
}
