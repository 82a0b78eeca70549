use crate::base::{AcceptFailure, Failure};
use crate::base::{ConnId, DialId, ListenerId, Outgoing, OutgoingBuf, Peer, Reason, UnixTime};
use crate::config::Config;
use crate::facts::{EndTarget, ShardMessage};
use crate::metrics::ProcessMetrics;
use crate::tls::Secured;
use crate::tunnel::{LinkId, TunnelReport};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// A fact that a shell reports to a machine, as a value.
///
/// Such values serve to record, print, replay and fuzz runs. Each variant has the name of a method
/// of the machine. See [`Machine::apply`](crate::Machine::apply).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<N> {
    /// The server has started: see [`Machine::started`](crate::Machine::started).
    Started,
    /// A listener accepted a connection: see [`Machine::accepted`](crate::Machine::accepted).
    Accepted {
        /// The listener that accepted the connection.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
    },
    /// A listener failed to accept a connection.
    ///
    /// See [`Machine::accept_failed`](crate::Machine::accept_failed).
    AcceptFailed {
        /// The listener that failed to accept.
        listener: ListenerId,
        /// The kind of failure.
        failure: AcceptFailure,
    },
    /// The shell read bytes from a connection: see [`Machine::received`](crate::Machine::received).
    Received {
        /// The connection from which the shell read.
        conn: ConnId,
        /// The bytes that the shell read.
        bytes: Vec<u8>,
    },
    /// A TLS handshake is complete: see [`Machine::secured`](crate::Machine::secured).
    Secured {
        /// The connection whose handshake is complete.
        conn: ConnId,
        /// The negotiated TLS parameters.
        secured: Box<Secured>,
    },
    /// A layer below the machine took output: see [`Machine::sealed`](crate::Machine::sealed).
    Sealed {
        /// The connection whose output was taken.
        conn: ConnId,
        /// Number of bytes taken.
        bytes: usize,
    },
    /// A socket accepted output: see [`Machine::wrote`](crate::Machine::wrote).
    Wrote {
        /// The connection of the socket.
        conn: ConnId,
        /// Number of bytes that the socket accepted.
        bytes: usize,
    },
    /// A socket accepts no more output for now: see [`Machine::blocked`](crate::Machine::blocked).
    Blocked {
        /// The connection of the socket.
        conn: ConnId,
    },
    /// A turn is over: see [`Machine::turn_ended`](crate::Machine::turn_ended).
    TurnEnded,
    /// A peer ended its half of a connection: see [`Machine::ended`](crate::Machine::ended).
    Ended {
        /// The connection whose input ended.
        conn: ConnId,
    },
    /// The input of a TLS connection ended without `close_notify`.
    ///
    /// See [`Machine::truncated`](crate::Machine::truncated).
    Truncated {
        /// The connection whose input ended.
        conn: ConnId,
    },
    /// A socket failed: see [`Machine::failed`](crate::Machine::failed).
    Failed {
        /// The connection of the socket.
        conn: ConnId,
        /// How the socket failed.
        failure: Failure,
    },
    /// Deadlines may have expired: see [`Machine::elapsed`](crate::Machine::elapsed).
    Elapsed,
    /// A dial connected: see [`Machine::dialed`](crate::Machine::dialed).
    Dialed {
        /// The dial that connected.
        dial: DialId,
        /// The address of the peer.
        peer: Peer,
    },
    /// A dial failed to connect: see [`Machine::dial_failed`](crate::Machine::dial_failed).
    DialFailed {
        /// The dial that failed.
        dial: DialId,
        /// How the dial failed.
        failure: Failure,
    },
    /// The shell reported an event of a tunnel's SSH connection.
    ///
    /// See [`Machine::tunnel_reported`](crate::Machine::tunnel_reported).
    TunnelReported {
        /// The SSH connection that the report is about.
        link: LinkId,
        /// The event that the shell reports.
        report: TunnelReport,
    },
    /// A note arrived from outside: see [`Machine::noted`](crate::Machine::noted).
    Noted(N),
    /// An operator or another thread gave a command.
    ///
    /// See [`Machine::command`](crate::Machine::command).
    Command(Command),
    /// A listener accepted a connection on the first of several shards.
    ///
    /// See [`Machine::dispatched`](crate::Machine::dispatched).
    Dispatched {
        /// The listener that accepted the connection.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
    },
    /// This shard takes a dispatched connection: see [`Machine::adopted`](crate::Machine::adopted).
    Adopted {
        /// The listener that accepted the connection.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
    },
    /// Another shard sent a message.
    ///
    /// See [`Machine::shard_message_received`](crate::Machine::shard_message_received).
    ShardMessageReceived(ShardMessage),
    /// Other shards are behind with this shard's messages (`true`), or have caught up (`false`).
    ///
    /// See [`Machine::held_back`](crate::Machine::held_back).
    HeldBack(bool),
    /// The shell runs jobs on a thread of its own.
    ///
    /// See [`Machine::takes_jobs`](crate::Machine::takes_jobs).
    TakesJobs,
    /// A job is done: see [`Machine::job_done`](crate::Machine::job_done).
    JobDone {
        /// The connection that the job was for.
        conn: ConnId,
        /// The job's return value.
        outcome: bool,
    },
    /// The shell set the wall clock: see [`Machine::clock_set`](crate::Machine::clock_set).
    ClockSet(UnixTime),
    /// The server got a new configuration.
    ///
    /// See [`Machine::reconfigured`](crate::Machine::reconfigured).
    Reconfigured(Box<Config>),
}

/// A command from an operator or another thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Send one message to every member of a room.
    Publish {
        /// The room's name.
        room: String,
        /// The message to send.
        payload: OutgoingBuf,
    },
    /// Send one message to one connection.
    ///
    /// It is discarded if the connection is over or closing.
    Send {
        /// The connection that receives the message.
        conn: ConnId,
        /// The message to send.
        payload: OutgoingBuf,
    },
    /// Close one connection with [`Reason::Kicked`].
    Kick {
        /// The connection to close.
        conn: ConnId,
    },
    /// Close connections with [`Reason::Kicked`], on all shards and all hosts of a [cluster](crate::Cluster).
    KickEverywhere {
        /// The connections to close.
        target: EndTarget,
    },
    /// Put an address in quarantine, so that its new connections are refused.
    ///
    /// In a [cluster](crate::Cluster), all hosts refuse them.
    ///
    /// The quarantine lasts for [`QuarantineLimits::cool_down`](crate::limit::QuarantineLimits).
    ///
    /// Connections that are open stay open.
    Quarantine {
        /// The address to refuse. For an IPv6 address, its /64 network is refused.
        address: IpAddr,
    },
    /// Remove an address from quarantine, on all hosts of a [cluster](crate::Cluster).
    Release {
        /// The address to release.
        address: IpAddr,
    },
    /// Count a configuration that could not be loaded.
    ReloadFailed,
    /// Count log lines that were not written since the last such command.
    LogLoss {
        /// Number of lines above the rate limit.
        left_out: u64,
        /// Number of lines that could not be written.
        lost: u64,
    },
    /// Set the resources that the process uses, for the metrics.
    ProcessUsage(ProcessMetrics),
    /// Count a fetch of the public keys for tokens.
    KeySetFetched {
        /// Whether the keys were fetched and can be used.
        succeeded: bool,
    },
    /// Clear the recent errors and the recent and longest durations of the metrics.
    ///
    /// See [`Hub::reset_recent_metrics`](crate::Hub::reset_recent_metrics).
    ResetMetrics,
    /// Drain the server: see [`Drain`](crate::Drain).
    ///
    /// A second drain is fast: the grace period ends, all connections are closed at once, and what
    /// is left after half a second is dropped.
    Drain,
}

/// Refusal of a connection: the reason, and the last message to the peer.
///
/// The shell writes the farewell once, as far as the socket accepts it, and drops the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why the machine refused the connection.
    pub reason: Reason,
    /// The last message to the peer, encoded for its wire, or empty to send nothing.
    pub farewell: Vec<u8>,
}

/// A fact in borrowed form, for the recorder.
pub(crate) enum Fact<'a, N> {
    Started,
    Accepted {
        listener: ListenerId,
        peer: Peer,
    },
    AcceptFailed {
        listener: ListenerId,
        failure: AcceptFailure,
    },
    Received {
        conn: ConnId,
        bytes: &'a [u8],
    },
    Secured {
        conn: ConnId,
        secured: &'a Secured,
    },
    Sealed {
        conn: ConnId,
        bytes: usize,
    },
    Wrote {
        conn: ConnId,
        bytes: usize,
    },
    Blocked {
        conn: ConnId,
    },
    TurnEnded,
    Truncated {
        conn: ConnId,
    },
    Ended {
        conn: ConnId,
    },
    Failed {
        conn: ConnId,
        failure: Failure,
    },
    Elapsed,
    Dialed {
        dial: DialId,
        peer: Peer,
    },
    DialFailed {
        dial: DialId,
        failure: Failure,
    },
    TunnelReported {
        link: LinkId,
        report: &'a TunnelReport,
    },
    Noted(&'a N),
    Command(&'a Command),
    Dispatched {
        listener: ListenerId,
        peer: Peer,
    },
    Adopted {
        listener: ListenerId,
        peer: Peer,
    },
    ShardMessageReceived(&'a ShardMessage),
    HeldBack(bool),
    TakesJobs,
    JobDone {
        conn: ConnId,
        outcome: bool,
    },
    ClockSet(UnixTime),
    /// A new configuration, recorded without its content.
    Reconfigured,
}

impl<N> Input<N> {
    pub(crate) fn as_fact(&self) -> Fact<'_, N> {
        match *self {
            Self::Started => Fact::Started,
            Self::Accepted { listener, peer } => Fact::Accepted { listener, peer },
            Self::AcceptFailed { listener, failure } => Fact::AcceptFailed { listener, failure },
            Self::Received { conn, ref bytes } => Fact::Received { conn, bytes },
            Self::Secured { conn, ref secured } => Fact::Secured { conn, secured },
            Self::Sealed { conn, bytes } => Fact::Sealed { conn, bytes },
            Self::Wrote { conn, bytes } => Fact::Wrote { conn, bytes },
            Self::Blocked { conn } => Fact::Blocked { conn },
            Self::TurnEnded => Fact::TurnEnded,
            Self::Ended { conn } => Fact::Ended { conn },
            Self::Truncated { conn } => Fact::Truncated { conn },
            Self::Failed { conn, failure } => Fact::Failed { conn, failure },
            Self::Elapsed => Fact::Elapsed,
            Self::Dialed { dial, peer } => Fact::Dialed { dial, peer },
            Self::DialFailed { dial, failure } => Fact::DialFailed { dial, failure },
            Self::TunnelReported { link, ref report } => Fact::TunnelReported { link, report },
            Self::Noted(ref note) => Fact::Noted(note),
            Self::Command(ref command) => Fact::Command(command),
            Self::Dispatched { listener, peer } => Fact::Dispatched { listener, peer },
            Self::Adopted { listener, peer } => Fact::Adopted { listener, peer },
            Self::ShardMessageReceived(ref message) => Fact::ShardMessageReceived(message),
            Self::HeldBack(held) => Fact::HeldBack(held),
            Self::TakesJobs => Fact::TakesJobs,
            Self::JobDone { conn, outcome } => Fact::JobDone { conn, outcome },
            Self::ClockSet(unix) => Fact::ClockSet(unix),
            Self::Reconfigured(_) => Fact::Reconfigured,
        }
    }
}

impl Command {
    /// Creates a command that sends `payload` to every member of `room`.
    #[must_use]
    pub fn publish<'a>(room: &str, payload: impl Into<Outgoing<'a>>) -> Self {
        Self::Publish { room: room.into(), payload: payload.into().to_owned() }
    }

    /// Creates a command that sends `payload` to one connection.
    #[must_use]
    pub fn send<'a>(conn: ConnId, payload: impl Into<Outgoing<'a>>) -> Self {
        Self::Send { conn, payload: payload.into().to_owned() }
    }
}
