use crate::tls::Secured;
use crate::tunnel::{LinkId, TunnelReport};
use crate::{Config, ConnId, DialId, Letter, ListenerId, Payload, PayloadBuf, Peer, Reason, UnixTime};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// One fact as a value, so that a run can be recorded, printed, replayed and fuzzed:
/// [`Machine::apply`](crate::Machine::apply). Each variant is the method of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<N> {
    /// [`Machine::started`](crate::Machine::started).
    Started,
    /// [`Machine::accepted`](crate::Machine::accepted).
    Accepted {
        /// Where.
        listener: ListenerId,
        /// Who.
        peer: Peer,
    },
    /// [`Machine::accept_failed`](crate::Machine::accept_failed).
    AcceptFailed {
        /// Where.
        listener: ListenerId,
        /// How.
        failure: AcceptFailure,
    },
    /// [`Machine::received`](crate::Machine::received).
    Received {
        /// From whom.
        conn: ConnId,
        /// What.
        bytes: Vec<u8>,
    },
    /// [`Machine::secured`](crate::Machine::secured).
    Secured {
        /// Whose TLS.
        conn: ConnId,
        /// What was agreed on.
        secured: Box<Secured>,
    },
    /// [`Machine::sealed`](crate::Machine::sealed).
    Sealed {
        /// Whose bytes.
        conn: ConnId,
        /// How many.
        bytes: usize,
    },
    /// [`Machine::wrote`](crate::Machine::wrote).
    Wrote {
        /// To whom.
        conn: ConnId,
        /// How many bytes the socket took.
        bytes: usize,
    },
    /// [`Machine::blocked`](crate::Machine::blocked).
    Blocked {
        /// Whose socket.
        conn: ConnId,
    },
    /// [`Machine::turn_ended`](crate::Machine::turn_ended).
    TurnEnded,
    /// [`Machine::ended`](crate::Machine::ended).
    Ended {
        /// Who.
        conn: ConnId,
    },
    /// [`Machine::truncated`](crate::Machine::truncated).
    Truncated {
        /// Whose input.
        conn: ConnId,
    },
    /// [`Machine::failed`](crate::Machine::failed).
    Failed {
        /// Who.
        conn: ConnId,
        /// How.
        failure: Failure,
    },
    /// [`Machine::elapsed`](crate::Machine::elapsed).
    Elapsed,
    /// [`Machine::dialed`](crate::Machine::dialed).
    Dialed {
        /// Which attempt.
        dial: DialId,
        /// Who answered.
        peer: Peer,
    },
    /// [`Machine::dial_failed`](crate::Machine::dial_failed).
    DialFailed {
        /// Which attempt.
        dial: DialId,
        /// How.
        failure: Failure,
    },
    /// [`Machine::tunnel_reported`](crate::Machine::tunnel_reported).
    TunnelReported {
        /// Which SSH connection.
        link: LinkId,
        /// What happened to it.
        report: TunnelReport,
    },
    /// [`Machine::noted`](crate::Machine::noted).
    Noted(N),
    /// [`Machine::requested`](crate::Machine::requested).
    Requested(Request),
    /// [`Machine::dispatched`](crate::Machine::dispatched).
    Dispatched {
        /// Where.
        listener: ListenerId,
        /// Who.
        peer: Peer,
    },
    /// [`Machine::adopted`](crate::Machine::adopted).
    Adopted {
        /// Where it was accepted.
        listener: ListenerId,
        /// Who.
        peer: Peer,
    },
    /// [`Machine::delivered`](crate::Machine::delivered).
    Delivered(Letter),
    /// [`Machine::held_back`](crate::Machine::held_back).
    HeldBack(bool),
    /// [`Machine::takes_jobs`](crate::Machine::takes_jobs).
    TakesJobs,
    /// [`Machine::job_done`](crate::Machine::job_done).
    JobDone {
        /// For whom.
        conn: ConnId,
        /// The outcome.
        outcome: bool,
    },
    /// [`Machine::clock_set`](crate::Machine::clock_set).
    ClockSet(UnixTime),
    /// [`Machine::reconfigured`](crate::Machine::reconfigured).
    Reconfigured(Box<Config>),
}

/// What an operator or another thread asks of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Send one message to every member of a room.
    Publish {
        /// The room's name.
        room: String,
        /// The message.
        payload: PayloadBuf,
    },
    /// End one connection as [`Reason::Kicked`].
    Kick {
        /// Which.
        conn: ConnId,
    },
    /// Refuse an address for [`QuarantineLimits::cool_down`](crate::limit::QuarantineLimits) from now on. Who is connected from
    /// there stays.
    Quarantine {
        /// The address; of an IPv6 address, its network of 64 bits.
        address: IpAddr,
    },
    /// Let an address in again that is in quarantine.
    Release {
        /// The address.
        address: IpAddr,
    },
    /// A configuration could not be loaded: to be counted.
    ReloadFailed,
    /// Log lines that were not written since this was last said: to be counted.
    LogLoss {
        /// Lines above the number that is allowed.
        left_out: u64,
        /// Lines that could not be written.
        lost: u64,
    },
    /// End the server: see [`Drain`](crate::Drain). Asked a second time, it hurries: the grace is over, everybody is closed at
    /// once, and what is left after half a second is dropped.
    Drain,
}

/// Someone was not let in. The shell writes the farewell, once and as far as the socket takes it, and
/// drops the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What the peer is told, encoded for its wire; empty where the wire can't carry it.
    pub farewell: Vec<u8>,
}

/// How a socket failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The peer reset the connection, or had closed it when we wrote.
    Reset,
    /// The network timed out.
    TimedOut,
    /// Nobody listens there.
    Refused,
    /// There is no way there.
    Unreachable,
    /// What answered did not answer as a WebSocket server does (RFC 6455 section 4.1).
    Handshake,
    /// The answer to the handshake was no.
    Rejected {
        /// The status of the response, such as 403 (RFC 9110 section 15).
        status: u16,
    },
    /// TLS could not be agreed on, or was broken.
    Tls,
    /// The [tunnel](crate::tunnel) that it came through is no more.
    Tunnel,
    /// So much came, ahead of what was served, that it was not kept.
    Flooded,
    /// Anything else.
    Other,
}

impl Failure {
    /// The reason a connection ends with for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Reset => Reason::Reset,
            Self::TimedOut => Reason::NetworkTimeout,
            Self::Refused | Self::Unreachable | Self::Other => Reason::NetworkError,
            Self::Handshake | Self::Rejected { .. } => Reason::WrongProtocol,
            Self::Tls => Reason::TlsFailed,
            Self::Tunnel => Reason::TunnelLost,
            Self::Flooded => Reason::RateLimited,
        }
    }
}

/// How accepting failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptFailure {
    /// The process or the system is out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`,
    /// `ENOMEM`): to try again at once would fail again and spin.
    Exhausted,
    /// One connection was lost before it was accepted; the next may do.
    Transient,
}

/// Not the name of what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of: {0}")]
pub struct NameError(pub(crate) &'static str);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Handshake => "handshake",
            Self::Tls => "tls",
            Self::Tunnel => "tunnel",
            Self::Flooded => "flooded",
            Self::Rejected { status } => return write!(f, "rejected_{status}"),
            Self::Other => "other",
        })
    }
}

impl FromStr for Failure {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "reset" => Ok(Self::Reset),
            "timed_out" => Ok(Self::TimedOut),
            "refused" => Ok(Self::Refused),
            "unreachable" => Ok(Self::Unreachable),
            "handshake" => Ok(Self::Handshake),
            "tls" => Ok(Self::Tls),
            "tunnel" => Ok(Self::Tunnel),
            "flooded" => Ok(Self::Flooded),
            "other" => Ok(Self::Other),
            _ => {
                let status = text.strip_prefix("rejected_").and_then(|status| status.parse().ok());
                let names =
                    "reset, timed_out, refused, unreachable, handshake, rejected_STATUS, tls, tunnel, flooded, other";
                status.map(|status| Self::Rejected { status }).ok_or(NameError(names))
            }
        }
    }
}

impl fmt::Display for AcceptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted => "exhausted",
            Self::Transient => "transient",
        })
    }
}

impl FromStr for AcceptFailure {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "exhausted" => Ok(Self::Exhausted),
            "transient" => Ok(Self::Transient),
            _ => Err(NameError("exhausted, transient")),
        }
    }
}

#[cfg(feature = "std")]
impl From<&std::io::Error> for Failure {
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Self::Reset,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::Unreachable,
            _ => Self::Other,
        }
    }
}

#[cfg(feature = "std")]
impl From<&std::io::Error> for AcceptFailure {
    /// By the numbers that Linux, macOS and the BSDs share, but for `ENOBUFS`, which they do not.
    fn from(error: &std::io::Error) -> Self {
        const ENOMEM: i32 = 12;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };
        match error.raw_os_error() {
            Some(ENOMEM | ENFILE | EMFILE | ENOBUFS) => Self::Exhausted,
            _ => Self::Transient,
        }
    }
}

/// A fact as it comes in, borrowed: what is recorded.
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
    Requested(&'a Request),
    Dispatched {
        listener: ListenerId,
        peer: Peer,
    },
    Adopted {
        listener: ListenerId,
        peer: Peer,
    },
    Delivered(&'a Letter),
    HeldBack(bool),
    TakesJobs,
    JobDone {
        conn: ConnId,
        outcome: bool,
    },
    ClockSet(UnixTime),
    /// A trace does not say what with.
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
            Self::Requested(ref request) => Fact::Requested(request),
            Self::Dispatched { listener, peer } => Fact::Dispatched { listener, peer },
            Self::Adopted { listener, peer } => Fact::Adopted { listener, peer },
            Self::Delivered(ref letter) => Fact::Delivered(letter),
            Self::HeldBack(held) => Fact::HeldBack(held),
            Self::TakesJobs => Fact::TakesJobs,
            Self::JobDone { conn, outcome } => Fact::JobDone { conn, outcome },
            Self::ClockSet(unix) => Fact::ClockSet(unix),
            Self::Reconfigured(_) => Fact::Reconfigured,
        }
    }
}

impl Request {
    /// A message for every member of `room`.
    #[must_use]
    pub fn publish<'a>(room: &str, payload: impl Into<Payload<'a>>) -> Self {
        Self::Publish { room: room.into(), payload: payload.into().to_owned() }
    }
}
