use super::name_error::NameError;
use super::proxy_fault::ProxyFault;
use super::tls_fault::TlsFault;
use crate::base::Reason;
use core::fmt;
use core::str::FromStr;

/// Kind of failure of a connection, or of an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The peer reset the connection, or had closed it before a write.
    Reset,
    /// The network or the attempt to connect timed out.
    TimedOut,
    /// The host refused the connection: nothing listens at the address.
    ///
    /// For a Unix socket also: the backlog of its listener is full.
    Refused,
    /// The host or network is unreachable.
    Unreachable,
    /// The name of the host could not be resolved, or the Unix socket does not exist.
    NotFound,
    /// The system denies the connection, for example because of the mode of a Unix socket.
    Denied,
    /// The address is not `HOST:PORT`, or its path is too long or does not name a Unix socket.
    InvalidAddress,
    /// The WebSocket handshake failed: no response, or an invalid one (RFC 6455 section 4.1).
    Handshake,
    /// The server rejected the WebSocket handshake.
    Rejected {
        /// The HTTP status code of the response, such as 403 (RFC 9110 section 15).
        status: u16,
    },
    /// TLS failed, for another reason than a fault of the handshake.
    Tls,
    /// The TLS handshake of an outgoing connection failed.
    TlsHandshake(TlsFault),
    /// The connection through an [outgoing proxy](crate::Dial::proxy) failed at the proxy.
    Proxy(ProxyFault),
    /// The [tunnel](crate::tunnel) of the connection was lost.
    Tunnel,
    /// More input was unread than [`Ssh::ahead_max_bytes`](crate::tunnel::Ssh) allows.
    Flooded,
    /// Any other failure.
    Other,
}

impl Failure {
    /// Returns the reason with which the connection ends after this failure.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Reset => Reason::Reset,
            Self::TimedOut | Self::Proxy(ProxyFault::TimedOut) => Reason::NetworkTimeout,
            Self::Handshake | Self::Rejected { .. } | Self::Proxy(ProxyFault::NotProxy | ProxyFault::TooLong) => {
                Reason::WrongProtocol
            }
            Self::Refused
            | Self::Unreachable
            | Self::NotFound
            | Self::Denied
            | Self::InvalidAddress
            | Self::Proxy(_)
            | Self::Other => Reason::NetworkError,
            Self::Tls | Self::TlsHandshake(_) => Reason::TlsFailed,
            Self::Tunnel => Reason::TunnelLost,
            Self::Flooded => Reason::RateLimited,
        }
    }
}

/// Kind of failure to accept a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptFailure {
    /// The process or the system is out of descriptors or memory. An immediate retry would spin.
    ///
    /// `EMFILE`, `ENFILE`, `ENOBUFS` or `ENOMEM`.
    Exhausted,
    /// Any other failure, such as a connection lost before it was accepted. A retry may succeed.
    Transient,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::NotFound => "not_found",
            Self::Denied => "denied",
            Self::InvalidAddress => "invalid_address",
            Self::Handshake => "handshake",
            Self::Tls => "tls",
            Self::Tunnel => "tunnel",
            Self::Flooded => "flooded",
            Self::TlsHandshake(fault) => fault.name(),
            Self::Rejected { status } => return write!(f, "rejected_{status}"),
            Self::Proxy(fault) => return fault.fmt(f),
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
            "not_found" => Ok(Self::NotFound),
            "denied" => Ok(Self::Denied),
            "invalid_address" => Ok(Self::InvalidAddress),
            "handshake" => Ok(Self::Handshake),
            "tls" => Ok(Self::Tls),
            "tunnel" => Ok(Self::Tunnel),
            "flooded" => Ok(Self::Flooded),
            "other" => Ok(Self::Other),
            _ => {
                let status = text.strip_prefix("rejected_").and_then(|status| status.parse().ok());
                let names = "reset, timed_out, refused, unreachable, not_found, denied, invalid_address, handshake, \
                    rejected_STATUS, tls, a fault of TLS, a fault of a proxy, tunnel, flooded, other";
                let rejected = status.map(|status| Self::Rejected { status });
                let of_tls = || text.parse().ok().map(Self::TlsHandshake);
                let of_proxy = || text.parse().ok().map(Self::Proxy);
                rejected.or_else(of_tls).or_else(of_proxy).ok_or(NameError(names))
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
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::InvalidInput => Self::InvalidAddress,
            _ => Self::Other,
        }
    }
}

#[cfg(feature = "std")]
impl From<&std::io::Error> for AcceptFailure {
    /// Returns `Exhausted` for `ENOMEM`, `ENFILE`, `EMFILE` and `ENOBUFS`, otherwise `Transient`.
    ///
    /// Linux, macOS and the BSDs share these error numbers, except that of `ENOBUFS`.
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

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use std::io::{Error, ErrorKind};

    #[test]
    fn failures_of_the_system_have_names_that_parse() {
        for (kind, name) in [
            (ErrorKind::ConnectionReset, "reset"),
            (ErrorKind::TimedOut, "timed_out"),
            (ErrorKind::ConnectionRefused, "refused"),
            (ErrorKind::HostUnreachable, "unreachable"),
            (ErrorKind::NotFound, "not_found"),
            (ErrorKind::PermissionDenied, "denied"),
            (ErrorKind::InvalidInput, "invalid_address"),
            (ErrorKind::OutOfMemory, "other"),
        ] {
            let failure = Failure::from(&Error::from(kind));
            assert_eq!((failure.to_string().as_str(), name.parse()), (name, Ok(failure)));
        }
    }
}
