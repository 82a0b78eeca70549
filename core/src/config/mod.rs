//! What is decided before the server starts.

mod address;
mod connections;
mod dial;
mod ladder;
mod listen;
mod marks;
mod quarantine;
mod rate;
mod rooms;
mod tickets;
mod unapplied;

pub use address::{ListenError, ListenProblem};
pub use connections::{ConnectionLimits, EarlyDrop, EarlyDropError};
pub use dial::{Dial, DialError, DialProtocol};
pub use ladder::{Action, Ladder};
pub use listen::{Address, Listen, SocketAccess};
pub use marks::{Marks, MarksError, OutboundLimits, SlowPolicy};
pub use quarantine::QuarantineLimits;
pub use rate::{Gcra, Rate, RateError};
pub use rooms::{JoinError, RoomLimits};
pub use tickets::{TicketError, TicketLimits};
pub use unapplied::{Part, Unapplied};

use crate::base::Network;
use crate::tunnel::Tunnel;
use crate::wire::Budget;
use alloc::vec::Vec;
use core::time::Duration;

/// Everything a machine is told before it starts.
///
/// Each part can only be made from values that make sense, so any `Config` is a good one and a machine
/// can't fail to start from it.
///
/// Every span of time and every number may be zero or as large as its type allows, and what that means stands at each. As a
/// rule: an optional span of zero is as `None`; a deadline of zero is over in the turn in which it begins; what repeats does
/// so at most every 10 ms; and [`Duration::MAX`] never comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen and what is spoken there.
    pub listeners: Vec<Listen>,
    /// SSH connections, for listeners that are [forwarded](crate::Address::Forwarded).
    pub tunnels: Vec<Tunnel>,
    /// What all chance comes from: jitter, and [`Hub::random`](crate::Hub::random). Shells put in entropy of
    /// the system where there is none; a machine takes none for 0.
    pub seed: Option<u64>,
    /// How many connections.
    pub connections: ConnectionLimits,
    /// Networks whose peers are let in whatever their addresses do: no limit per address, no quarantine, no
    /// [early drop](ConnectionLimits::early_drop).
    pub exempt: Vec<Network>,
    /// Limits per address, networks, early drops and rates are not enforced: what they would have refused is let in, and counted
    /// in [`Metrics::would_refuse`](crate::Metrics::would_refuse) and [`Metrics::rate_exceeded`](crate::Metrics::rate_exceeded).
    /// To find limits for a server that is in use.
    pub dry_run: bool,
    /// How much of one connection's input.
    pub budget: Budget,
    /// How fast.
    pub rates: Rates,
    /// Who is refused for how long.
    pub quarantine: QuarantineLimits,
    /// How much of one connection's output.
    pub outbound: OutboundLimits,
    /// How many rooms.
    pub rooms: RoomLimits,
    /// How much work that is given away.
    pub tickets: TicketLimits,
    /// A connection from which no *message* came for this long is closed as [`Idle`](crate::Reason::Idle).
    /// `None`, the default, and zero never do that: a peer that only listens is a good peer. It rests while a peer
    /// is not read, and goes on when a peer has ended its half of the connection.
    pub idle: Option<Duration>,
    /// How long before the end for being idle the peer is told so, where its listener has
    /// [`notices`](Listen::notices) on. `None`, the default, zero, and what is not less than `idle` do not tell.
    pub idle_warning: Option<Duration>,
    /// A connection from which no *byte* came for this long is closed as [`Silent`](crate::Reason::Silent).
    /// `None`, the default, and zero leave dead peers to the network: shells turn TCP keep-alive on. It rests while a
    /// peer is not read, and is over when a peer has ended its half of the connection: it can't give any sign of life then.
    pub silence: Option<Duration>,
    /// A connection that is this old is closed as [`SessionExpired`](crate::Reason::SessionExpired), whatever it does. `None`,
    /// the default, and zero never do that.
    pub lifetime: Option<Duration>,
    /// How connections end.
    pub closing: Closing,
    /// How the server ends.
    pub drain: Drain,
    /// How long a listener rests after the process ran out of descriptors or memory. At least 10 ms; with
    /// [`Duration::MAX`] it never accepts again.
    pub accept_backoff: Duration,
    /// What was configured with it that is for others to apply; nothing, unless it is of a `settings::Plan`. A shell refuses a
    /// configuration that has some: what is configured and not applied does not start.
    pub unapplied: Unapplied,
}

impl Default for Config {
    /// No listener, and limits for a small public server.
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            tunnels: Vec::new(),
            seed: None,
            connections: ConnectionLimits::default(),
            exempt: Vec::new(),
            dry_run: false,
            budget: Budget::default(),
            rates: Rates::default(),
            quarantine: QuarantineLimits::default(),
            outbound: OutboundLimits::default(),
            rooms: RoomLimits::default(),
            tickets: TicketLimits::default(),
            idle: None,
            idle_warning: None,
            silence: None,
            lifetime: None,
            closing: Closing::default(),
            drain: Drain::default(),
            accept_backoff: Duration::from_millis(500),
            unapplied: Unapplied::default(),
        }
    }
}

impl Config {
    /// The defaults, listening at `listeners`.
    #[must_use]
    pub fn listening(listeners: impl IntoIterator<Item = Listen>) -> Self {
        Self { listeners: listeners.into_iter().collect(), ..Self::default() }
    }

    /// Without rates and without caps on connections, for load tests on a machine of one's own. The limits
    /// on memory stay.
    #[must_use]
    pub fn unlimited(mut self) -> Self {
        self.rates = Rates { messages: None, bytes: None, ..self.rates };
        self.connections =
            ConnectionLimits { total: u32::MAX, per_address: u32::MAX, arrivals_per_address: None, early_drop: None };
        self
    }
}

impl Config {
    /// What holds for the peers of listeners that have no [limits](Listen::limits) of their own.
    #[must_use]
    pub const fn peer_limits(&self) -> PeerLimits {
        let Self { budget, rates, idle, idle_warning, silence, lifetime, .. } = *self;
        PeerLimits { budget, rates, idle, idle_warning, silence, lifetime }
    }
}

/// What one peer may do, where a listener has limits of its own: each field as in [`Config`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerLimits {
    /// How much of one connection's input.
    pub budget: Budget,
    /// How fast.
    pub rates: Rates,
    /// The longest time without a message; zero is as `None`.
    pub idle: Option<Duration>,
    /// How long before that the peer is told; zero is as `None`.
    pub idle_warning: Option<Duration>,
    /// The longest time without a byte; zero is as `None`.
    pub silence: Option<Duration>,
    /// The longest time that a connection lasts; zero is as `None`.
    pub lifetime: Option<Duration>,
}

/// How fast one connection may send. Bytes are counted as they arrive; messages when they are complete,
/// empty ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Messages per second; `None` is without limit.
    pub messages: Option<Rate>,
    /// Bytes per second; `None` is without limit.
    pub bytes: Option<Rate>,
    /// What happens to who is faster.
    pub ladder: Ladder,
}

impl Default for Rates {
    /// 1,000 messages a second and 4 MiB a second, each with a burst of twice that; who is faster is slowed.
    fn default() -> Self {
        let rate = |per_second| Rate::new(per_second, 2 * per_second).ok();
        Self { messages: rate(1_000), bytes: rate(4 << 20), ladder: Ladder::default() }
    }
}

/// How a connection ends: what is queued is flushed, our half is closed, and what the peer still sends is
/// read and discarded until it closes too, so that it gets our last bytes (RFC 1122 section 4.2.2.13: to
/// close with unread input resets the connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// How long flushing may take. With zero, what the socket does not take in the same turn is lost.
    pub flush: Duration,
    /// How long the peer may take to close its half once ours is closed. With zero it is not waited for.
    pub linger: Duration,
    /// How many bytes are read and discarded meanwhile as fast as they come. What is more is read no faster than the
    /// [rate](Rates::bytes) of bytes allows, or than 4 MiB a second where there is none.
    pub discard_max_bytes: u32,
}

impl Default for Closing {
    /// 5 s, 2 s, 1 MiB.
    fn default() -> Self {
        Self { flush: Duration::from_secs(5), linger: Duration::from_secs(2), discard_max_bytes: 1 << 20 }
    }
}

/// How the server ends: it says that it is not ready, accepts a while longer, and then nothing more is accepted, everybody is told, the closes are spread over a window
/// so that the clients do not all come back at one moment, and after a hard deadline what is left is dropped.
///
/// What is in progress may be finished. A connection for which there is a [ticket](crate::Hub::ticket), or whose task has taken a
/// message and not asked for the next one, is closed once that is over, and half a second before the deadline (a quarter of it,
/// if that is less) at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long it accepts while it already says that it is not [ready](crate::http): what a load balancer needs to notice.
    /// With zero it stops at once, and with [`Duration::MAX`] only when it is hurried.
    pub grace: Duration,
    /// After which time peers are told to come back: in the notice, in the reason of a WebSocket's close frame
    /// (`shutdown; retry after 5 s`), and as `Retry-After` in HTTP (RFC 9110 section 10.2.3). Told in whole seconds, rounded up;
    /// zero is as `None`.
    pub retry_after: Option<Duration>,
    /// The longest time that the closes are spread over; with zero all come at once.
    pub window: Duration,
    /// How many closes a second are enough: few connections do not use up the window. 0 counts as 1.
    pub closes_per_second: u32,
    /// The time from the end of the grace after which what is left is dropped. With zero everybody is, without a word, and with
    /// [`Duration::MAX`] nobody.
    pub deadline: Duration,
}

impl Default for Drain {
    /// No grace and no word when to come back; at most 5 s, 500 a second, all over after 10 s.
    fn default() -> Self {
        Self {
            grace: Duration::ZERO,
            retry_after: None,
            window: Duration::from_secs(5),
            closes_per_second: 500,
            deadline: Duration::from_secs(10),
        }
    }
}

impl Drain {
    /// What `connections` closes are spread over.
    pub(crate) fn window_for(&self, connections: u32) -> Duration {
        let enough = Duration::from_secs(u64::from(connections)) / self.closes_per_second.max(1);
        enough.min(self.window)
    }
}
