//! Configuration of a machine.

mod address;
mod cluster;
mod connections;
mod dial;
mod gather;
mod ladder;
mod listen;
mod marks;
mod memory;
mod metrics;
mod pages;
mod peer;
mod quarantine;
mod rate;
mod rooms;
mod sections;
mod tickets;
mod unapplied;

pub use address::{ListenError, ListenProblem};
pub use cluster::{BrokerLogin, Cluster, Engine, Nats, NatsLogin, NatsStorage, Redis, Sentinel, WithoutBroker};
pub use connections::{ConnectionLimits, EarlyDrop, EarlyDropError};
pub use dial::{AddressOrder, Dial, DialError, DialProtocol, TlsStart};
pub use gather::{Gather, GatherError};
pub use ladder::{Action, Ladder};
pub use listen::{Address, Listen, SocketAccess};
pub use marks::{Marks, MarksError, OutboundLimits, SlowPolicy};
pub use memory::{FormPart, Home, MessageForm, Presence, RoomMemory, RoomOptions, StreamForm};
pub use metrics::{MetricLabelError, MetricLabels, MetricsOptions};
pub use pages::{PageLogin, PageOptions};
pub use peer::{PeerLimits, Rates};
pub use quarantine::QuarantineLimits;
pub use rate::{Gcra, Rate, RateError};
pub use rooms::{JoinError, JoinOptions, RoomLimits};
pub use sections::Sections;
pub use tickets::{TicketError, TicketLimits};
pub use unapplied::{Part, Unapplied};

use crate::base::Network;
use crate::base::setters;
use crate::tunnel::Tunnel;
use crate::wire::Budget;
use alloc::vec::Vec;
use core::time::Duration;

/// The configuration of a machine.
///
/// Its parts can only be built from valid values, so every `Config` is valid and no machine fails
/// to start because of it.
///
/// Each field states what zero and the largest value mean. In general: an optional duration of zero
/// means `None`; a deadline of zero expires in the turn in which it begins; repeating actions run
/// at most every 10 ms; and [`Duration::MAX`] never expires.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The listeners of the server.
    pub listeners: Vec<Listen>,
    /// SSH connections, for [forwarded](crate::Address::Forwarded) listeners.
    pub tunnels: Vec<Tunnel>,
    /// Seed of all random numbers of the machine.
    ///
    /// They serve jitter, early drops and [`Hub::random`](crate::Hub::random). Without a seed,
    /// shells use entropy of the system, and a machine uses 0.
    pub seed: Option<u64>,
    /// Limits on the number and arrival rate of connections, and random refusal of new ones.
    pub connections: ConnectionLimits,
    /// Networks whose peers are exempt from limits per address, quarantine and early drop.
    pub exempt: Vec<Network>,
    /// Whether refusals by address, quarantine or early drop and excess input are only counted.
    ///
    /// Refusals by address come from limits per address and from the networks of listeners. Input
    /// is excess if it exceeds a rate. The refusals are counted in
    /// [`Metrics::would_refuse`](crate::Metrics::would_refuse), and the excess input in
    /// [`Metrics::rate_exceeded`](crate::Metrics::rate_exceeded). Use it to find limits for a
    /// server in production.
    pub dry_run: bool,
    /// Limits for one peer, on listeners without [limits](Listen::limits) of their own.
    pub peer: PeerLimits,
    /// Duration of the quarantine, and maximum number of quarantined addresses.
    pub quarantine: QuarantineLimits,
    /// Limits on one connection's output, and the default policy for slow members of rooms.
    pub outbound: OutboundLimits,
    /// Limits on rooms.
    pub rooms: RoomLimits,
    /// Rooms that have a home, and the limits of their histories. By default, no room has one.
    pub memory: RoomMemory,
    /// The broker that is the home of [shared](Home::Shared) rooms. `None`: they have the home of this server.
    ///
    /// A [reconfiguration](crate::Machine::reconfigured) does not change it.
    pub cluster: Option<Cluster>,
    /// Limits on the number of unredeemed tickets.
    pub tickets: TicketLimits,
    /// Limits for closing a connection.
    pub closing: Closing,
    /// Time limits and pace of a shutdown.
    pub drain: Drain,
    /// Duration of a listener's pause when accepting fails.
    ///
    /// It pauses at once if the process is out of descriptors or memory, otherwise after 16
    /// failures in a row. At least 10 ms; [`Duration::MAX`] is for ever. A pause for lack of
    /// descriptors or memory also ends when a connection ends.
    pub accept_backoff: Duration,
    /// Settings of the applications. None by default.
    pub sections: Sections,
    /// Labels of the metrics, and how many recent errors and durations are kept.
    pub metrics: MetricsOptions,
    /// The title of the built-in pages, and their login.
    pub pages: PageOptions,
    /// Settings of a `settings::Plan` that components outside the machine have yet to apply.
    ///
    /// Empty in a configuration that was not made from a plan.
    ///
    /// A shell refuses a configuration in which any are left, so that no setting is silently
    /// ignored.
    pub unapplied: Unapplied,
}

setters!(Config {
    listeners: Vec<Listen>,
    tunnels: Vec<Tunnel>,
    seed: Option<u64>,
    connections: ConnectionLimits,
    exempt: Vec<Network>,
    dry_run: bool,
    peer: PeerLimits,
    quarantine: QuarantineLimits,
    outbound: OutboundLimits,
    rooms: RoomLimits,
    memory: RoomMemory,
    cluster: Option<Cluster>,
    tickets: TicketLimits,
    closing: Closing,
    drain: Drain,
    accept_backoff: Duration,
    sections: Sections,
    metrics: MetricsOptions,
    pages: PageOptions,
    unapplied: Unapplied,
});

impl Default for Config {
    /// Returns a configuration without listeners, with limits for a small public server.
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            tunnels: Vec::new(),
            seed: None,
            connections: ConnectionLimits::default(),
            exempt: Vec::new(),
            dry_run: false,
            peer: PeerLimits::default(),
            quarantine: QuarantineLimits::default(),
            outbound: OutboundLimits::default(),
            rooms: RoomLimits::default(),
            memory: RoomMemory::default(),
            cluster: None,
            tickets: TicketLimits::default(),
            closing: Closing::default(),
            drain: Drain::default(),
            accept_backoff: Duration::from_millis(500),
            sections: Sections::default(),
            metrics: MetricsOptions::default(),
            pages: PageOptions::default(),
            unapplied: Unapplied::default(),
        }
    }
}

impl Config {
    /// Creates a default configuration with these listeners.
    #[must_use]
    pub fn listening(listeners: impl IntoIterator<Item = Listen>) -> Self {
        Self { listeners: listeners.into_iter().collect(), ..Self::default() }
    }

    /// Removes the server-wide rate limits and connection limits, for local load tests.
    ///
    /// Memory limits and the limits of listeners stay.
    #[must_use]
    pub fn unlimited(mut self) -> Self {
        self.peer.rates = Rates { messages: None, bytes: None, ..self.peer.rates };
        self.connections =
            ConnectionLimits { total: u32::MAX, per_address: u32::MAX, arrivals_per_address: None, early_drop: None };
        self
    }
}

setters!(Config.peer: PeerLimits {
    budget: Budget,
    rates: Rates,
    idle: Option<Duration>,
    idle_warning: Option<Duration>,
    silence: Option<Duration>,
    lifetime: Option<Duration>,
});

/// Limits for closing a connection: for the flush, the peer's close, and the discarded input.
///
/// The machine flushes, closes its half, and discards input until the peer closes. This way the
/// peer gets our last bytes: closing a socket with unread input resets the connection (RFC 1122
/// section 4.2.2.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closing {
    /// Time limit for flushing the queued output.
    ///
    /// With zero, what the socket does not accept in the same turn is lost.
    pub flush: Duration,
    /// Time limit for the peer to close its half after we closed ours.
    ///
    /// With zero, the machine does not wait for the peer.
    pub linger: Duration,
    /// Maximum number of bytes that are read and discarded at full speed.
    ///
    /// After that, the machine reads at most at the [rate](Rates::bytes) of bytes, or at 4 MiB per
    /// second if there is none.
    pub discard_max_bytes: u32,
}

setters!(Closing { flush: Duration, linger: Duration, discard_max_bytes: u32 });

impl Default for Closing {
    /// Returns 5 s for flushing, 2 s for the peer to close, and 1 MiB of discarded input.
    fn default() -> Self {
        Self { flush: Duration::from_secs(5), linger: Duration::from_secs(2), discard_max_bytes: 1 << 20 }
    }
}

/// Time limits and pace of a shutdown.
///
/// 1. The server reports that it is not ready, but still accepts connections (`grace`).
/// 2. It stops accepting, notifies all peers, and spreads the closes over a window, so that clients
///    do not all reconnect at one moment.
/// 3. At a hard deadline it drops what is left.
///
/// Work in progress may finish. A connection with a [ticket](crate::Hub::ticket) or an
/// [offloaded](crate::Hub::offload) job, with an HTTP request in progress, or whose task has taken a message and not asked for the
/// next one, is closed once that is done. It is closed at the latest half a second before the
/// deadline, or a quarter of the deadline before it if that is less. Its tickets expire before that,
/// and [`Metrics::drain_unfinished`](crate::Metrics::drain_unfinished) counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// Time in which the server still accepts connections but reports that it is not ready.
    ///
    /// Load balancers need this time to react to [readiness](crate::http). With zero the server
    /// stops accepting at once, and with [`Duration::MAX`] only when the drain is sped up.
    pub grace: Duration,
    /// Time after which peers should reconnect.
    ///
    /// Sent in the notice, in the reason of a WebSocket's close frame (`shutdown; retry after 5
    /// s`), and as `Retry-After` in HTTP (RFC 9110 section 10.2.3). In whole seconds, rounded up;
    /// zero means `None`.
    pub retry_after: Option<Duration>,
    /// Longest time over which the closes are spread. With zero, all come at once.
    pub window: Duration,
    /// Lowest rate of closes, per second: few connections then close in less than the window.
    ///
    /// 0 counts as 1.
    pub closes_per_second: u32,
    /// Time from the end of the grace period until remaining connections are dropped.
    ///
    /// With zero, all are dropped without notice; with [`Duration::MAX`], none.
    pub deadline: Duration,
}

setters!(Drain {
    grace: Duration,
    retry_after: Option<Duration>,
    window: Duration,
    closes_per_second: u32,
    deadline: Duration,
});

impl Default for Drain {
    /// Returns a drain without grace period, with a window of 5 s and a deadline of 10 s.
    ///
    /// `retry_after` is `None`, and 500 connections close per second.
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
    /// Returns the time over which `connections` closes are spread.
    pub(crate) fn window_for(&self, connections: u32) -> Duration {
        let enough = Duration::from_secs(u64::from(connections)) / self.closes_per_second.max(1);
        enough.min(self.window)
    }
}
