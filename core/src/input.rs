use crate::{ConnId, DialId, ListenerId, Payload, PayloadBuf, Peer, Reason};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// One fact as a value, so that a run can be recorded, printed, replayed and fuzzed:
/// [`Machine::apply`](crate::Machine::apply). Each variant is the method of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<N> {
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
    /// [`Machine::wrote`](crate::Machine::wrote).
    Wrote {
        /// To whom.
        conn: ConnId,
        /// How many bytes the socket took.
        bytes: usize,
    },
    /// [`Machine::ended`](crate::Machine::ended).
    Ended {
        /// Who.
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
        /// Who answered, or how it failed.
        result: Result<Peer, Failure>,
    },
    /// [`Machine::noted`](crate::Machine::noted).
    Noted(N),
    /// [`Machine::requested`](crate::Machine::requested).
    Requested(Request),
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
    /// End the server: see [`Drain`](crate::Drain). Asked a second time, it hurries.
    Drain,
}

/// Someone was not let in. The shell writes the farewell, once and as far as the socket takes it, and
/// drops the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            Self::Other => Reason::NetworkError,
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
pub struct NameError(&'static str);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
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
            "other" => Ok(Self::Other),
            _ => Err(NameError("reset, timed_out, other")),
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
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::TimedOut,
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
    Accepted { listener: ListenerId, peer: Peer },
    AcceptFailed { listener: ListenerId, failure: AcceptFailure },
    Received { conn: ConnId, bytes: &'a [u8] },
    Wrote { conn: ConnId, bytes: usize },
    Ended { conn: ConnId },
    Failed { conn: ConnId, failure: Failure },
    Elapsed,
    Dialed { dial: DialId, result: Result<Peer, Failure> },
    Noted(&'a N),
    Requested(&'a Request),
}

impl Request {
    /// A message for every member of `room`.
    #[must_use]
    pub fn publish<'a>(room: &str, payload: impl Into<Payload<'a>>) -> Self {
        Self::Publish { room: room.into(), payload: payload.into().to_owned() }
    }
}
