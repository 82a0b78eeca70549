//! Limits on connections, rates, queues and quarantine.

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
        /// Highest rate at which a peer may send messages.
        messages: Maybe<RateText> = Maybe(RateText::new(1_000, 1, 2_000));
        /// Highest rate at which a peer may send bytes.
        bytes: Maybe<RateText> = Maybe(RateText::of_bytes(4 << 20, 8 << 20));
        /// Penalties for peers that exceed `messages` or `bytes`, by number of strikes.
        ladder: LadderSettings = LadderSettings::default();
        /// Time without a complete message after which the connection closes.
        idle: Maybe<Timeout> = NEVER;
        /// How long before the idle timeout the peer is warned. Less than `idle`.
        idle_warning: Maybe<Timeout> = NEVER;
        /// Time without a byte after which the connection closes.
        /// More than the `ping` of WebSocket and the `keep_alive` of telnet.
        silence: Maybe<Timeout> = NEVER;
        /// Longest duration of a connection, even if it is active.
        lifetime: Maybe<Timeout> = NEVER;
    }

    /// Penalties for a peer that exceeds its rate, and the strike from which each applies.
    LadderSettings {
        /// The strike at which the peer is warned. It is warned again where `drop` begins.
        warn: Maybe<NonZeroU32> = Maybe(Some(NonZeroU32::MIN));
        /// From this strike on, reading pauses until the rate conforms again.
        pause: Maybe<NonZeroU32> = Maybe(Some(NonZeroU32::MIN));
        /// From this strike on, messages over the rate are discarded.
        drop: Maybe<NonZeroU32> = Maybe(None);
        /// From this strike on, the connection closes.
        close: Maybe<NonZeroU32> = Maybe(None);
        /// From this strike on, the connection closes and its address is quarantined.
        /// The address is refused for `quarantine.cool_down`.
        quarantine: Maybe<NonZeroU32> = Maybe(None);
        /// Time without a strike after which the count of strikes restarts.
        forgive_after: Timeout = timeout(60);
    }

    /// Limits on the number of connections, and on what one peer may send.
    LimitSettings {
        /// Whether refusals by address, quarantine or early drop and excess input are only counted.
        /// Refusals by address come from limits per address and from the networks of listeners.
        /// Input is excess if it exceeds a rate.
        dry_run: bool = false;
        /// Maximum number of connections.
        connections_max: NonZeroU32 = count(10_000);
        /// Maximum number of connections from one address: an IPv4 address or an IPv6 /64.
        connections_per_address_max: NonZeroU32 = count(256);
        /// Highest rate of new connections from one address.
        arrivals_per_address: Maybe<RateText> = Maybe(None);
        /// Networks that are exempt from limits per address, early drops and quarantine.
        exempt: Vec<NetworkText> = Vec::new();
        /// Random refusal of new connections while many are unauthenticated.
        /// It needs `authentication.enabled`.
        early_drop: Maybe<EarlyDropSettings> = Maybe(None);
        /// How long a listener pauses when accepting fails, such as when descriptors run out.
        accept_backoff: Timeout = Timeout(Duration::from_millis(500));
        /// Limits for one peer.
        peer: PeerSettings = PeerSettings::default();
        /// Maximum number of offloaded requests in progress per connection. With 0, there are none.
        tickets_per_connection_max: u32 = 64;
        /// Maximum number of offloaded requests in progress on each worker. With 0, there are none.
        tickets_max: u32 = 16_384;
    }

    /// Random refusal of new connections while many are unauthenticated.
    /// Its probability rises linearly from `begin` to `full`.
    EarlyDropSettings {
        /// Number of unauthenticated connections below which no new connection is refused.
        begin: u32 = 500;
        /// Number of unauthenticated connections from which on all new connections are refused.
        full: u32 = 1_000;
    }

    /// Limits on the output that is queued for one connection, and on how slowly it may read.
    OutboundSettings {
        /// Low mark: the server reads from a stalled peer again once no more than this is queued.
        low: Size = Size(64 << 10);
        /// High mark: queued bytes above which the server stops reading from the peer.
        high: Size = Size(256 << 10);
        /// Maximum number of bytes that are queued for a peer once its socket is full.
        /// `slow_policy` handles what would exceed it.
        max: Size = Size(1 << 20);
        /// Time limit for a full socket to accept the queued output.
        /// The time that the output takes at the rate `drain_min` is added.
        write_deadline: Timeout = timeout(30);
        /// Lowest rate at which a peer may read, in bytes per second.
        drain_min: Size = Size(4 << 10);
        /// What happens when a room's message would bring a slow member above `max`.
        slow_policy: SlowChoice = SlowChoice::Close;
        /// How long a worker rests between two turns in which it sends messages to rooms, in microseconds, at most 500.
        /// It collects messages meanwhile. With several publishers this saves processor time, but messages arrive
        /// later. With 0, it does not rest.
        gather_micros: u32 = 0;
    }

    /// Temporary refusal of addresses.
    QuarantineSettings {
        /// How long an address is refused.
        cool_down: Timeout = timeout(300);
        /// Maximum number of stored addresses. With 0, no address is refused.
        addresses_max: u32 = 10_000;
    }

}
