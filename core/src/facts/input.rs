use crate::base::{AcceptFailure, Failure};
use crate::base::{ConnId, DialId, ListenerId, Payload, PayloadBuf, Peer, Reason, UnixTime};
use crate::config::Config;
use crate::facts::ShardMessage;
use crate::tls::Secured;
use crate::tunnel::{LinkId, TunnelReport};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// One fact as a value, to record, print, replay and fuzz runs. Variants are named like methods.
///
/// See [`Machine::apply`](crate::Machine::apply).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<N> {
    /// [`Machine::started`](crate::Machine::started).
    Started,
    /// [`Machine::accepted`](crate::Machine::accepted).
    Accepted {
        /// The listener.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
    },
    /// [`Machine::accept_failed`](crate::Machine::accept_failed).
    AcceptFailed {
        /// The listener.
        listener: ListenerId,
        /// How accepting failed.
        failure: AcceptFailure,
    },
    /// [`Machine::received`](crate::Machine::received).
    Received {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// [`Machine::secured`](crate::Machine::secured).
    Secured {
        /// The connection.
        conn: ConnId,
        /// The TLS parameters.
        secured: Box<Secured>,
    },
    /// [`Machine::sealed`](crate::Machine::sealed).
    Sealed {
        /// The connection.
        conn: ConnId,
        /// Number of bytes.
        bytes: usize,
    },
    /// [`Machine::wrote`](crate::Machine::wrote).
    Wrote {
        /// The connection.
        conn: ConnId,
        /// Number of bytes that the socket accepted.
        bytes: usize,
    },
    /// [`Machine::blocked`](crate::Machine::blocked).
    Blocked {
        /// The connection.
        conn: ConnId,
    },
    /// [`Machine::turn_ended`](crate::Machine::turn_ended).
    TurnEnded,
    /// [`Machine::ended`](crate::Machine::ended).
    Ended {
        /// The connection.
        conn: ConnId,
    },
    /// [`Machine::truncated`](crate::Machine::truncated).
    Truncated {
        /// The connection.
        conn: ConnId,
    },
    /// [`Machine::failed`](crate::Machine::failed).
    Failed {
        /// The connection.
        conn: ConnId,
        /// How it failed.
        failure: Failure,
    },
    /// [`Machine::elapsed`](crate::Machine::elapsed).
    Elapsed,
    /// [`Machine::dialed`](crate::Machine::dialed).
    Dialed {
        /// The dial.
        dial: DialId,
        /// The address of the peer.
        peer: Peer,
    },
    /// [`Machine::dial_failed`](crate::Machine::dial_failed).
    DialFailed {
        /// The dial.
        dial: DialId,
        /// How it failed.
        failure: Failure,
    },
    /// [`Machine::tunnel_reported`](crate::Machine::tunnel_reported).
    TunnelReported {
        /// The SSH connection.
        link: LinkId,
        /// What happened to it.
        report: TunnelReport,
    },
    /// [`Machine::noted`](crate::Machine::noted).
    Noted(N),
    /// [`Machine::command`](crate::Machine::command).
    Command(Command),
    /// [`Machine::dispatched`](crate::Machine::dispatched).
    Dispatched {
        /// The listener.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
    },
    /// [`Machine::adopted`](crate::Machine::adopted).
    Adopted {
        /// The listener that accepted it.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
    },
    /// [`Machine::shard_message_received`](crate::Machine::shard_message_received).
    ShardMessageReceived(ShardMessage),
    /// [`Machine::held_back`](crate::Machine::held_back).
    HeldBack(bool),
    /// [`Machine::takes_jobs`](crate::Machine::takes_jobs).
    TakesJobs,
    /// [`Machine::job_done`](crate::Machine::job_done).
    JobDone {
        /// The connection that the job was for.
        conn: ConnId,
        /// The job's return value.
        outcome: bool,
    },
    /// [`Machine::clock_set`](crate::Machine::clock_set).
    ClockSet(UnixTime),
    /// [`Machine::reconfigured`](crate::Machine::reconfigured).
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
        /// The message.
        payload: PayloadBuf,
    },
    /// End one connection as [`Reason::Kicked`].
    Kick {
        /// The connection.
        conn: ConnId,
    },
    /// Refuse an address for [`QuarantineLimits::cool_down`](crate::limit::QuarantineLimits).
    ///
    /// Connections that are open stay open.
    Quarantine {
        /// The address. For an IPv6 address, its /64 network counts.
        address: IpAddr,
    },
    /// Remove an address from quarantine.
    Release {
        /// The address.
        address: IpAddr,
    },
    /// Count a configuration that could not be loaded.
    ReloadFailed,
    /// Count log lines that were not written since the last such command.
    LogLoss {
        /// Lines above the rate limit.
        left_out: u64,
        /// Lines that could not be written.
        lost: u64,
    },
    /// Drain the server: see [`Drain`](crate::Drain).
    ///
    /// A second drain is fast: the grace period ends, all connections are closed at once, and what
    /// is left after half a second is dropped.
    Drain,
}

/// A refused connection.
///
/// The shell writes the farewell once, as far as the socket accepts it, and drops the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why it was refused.
    pub reason: Reason,
    /// The last message to the peer, encoded for its wire. Empty where the wire cannot carry one.
    pub farewell: Vec<u8>,
}

/// One fact, borrowed, as it is recorded.
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
    /// Recorded without the configuration.
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
    /// A message for every member of `room`.
    #[must_use]
    pub fn publish<'a>(room: &str, payload: impl Into<Payload<'a>>) -> Self {
        Self::Publish { room: room.into(), payload: payload.into().to_owned() }
    }
}
