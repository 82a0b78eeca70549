use crate::base::Reason;
use core::fmt;

/// Why an SSH connection ended before its session began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SshFault {
    /// The peer closed the connection or disconnected.
    Closed,
    /// The connection was reset.
    Reset,
    /// The peer's first line is not an SSH version (RFC 4253 section 4.2).
    NotSsh,
    /// The key exchange failed (RFC 4253 section 7), for example without a common algorithm.
    KeyExchange,
    /// A packet or message breaks the protocol.
    Protocol,
    /// All attempts to authenticate failed.
    Refused,
    /// The peer authenticated, but opened no session, or asked only for services that do not exist
    /// here, such as forwarding.
    NoSession,
    /// Too many connections have not logged in yet.
    Busy,
}

impl SshFault {
    /// All faults, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::Closed,
        Self::Reset,
        Self::NotSsh,
        Self::KeyExchange,
        Self::Protocol,
        Self::Refused,
        Self::NoSession,
        Self::Busy,
    ];

    /// Returns the reason with which the connection ends.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Closed => Reason::PeerClosed,
            Self::Reset => Reason::Reset,
            Self::NotSsh => Reason::WrongProtocol,
            Self::KeyExchange => Reason::KeyExchangeFailed,
            Self::Protocol => Reason::SshProtocol,
            Self::Refused => Reason::Unauthorized,
            Self::NoSession => Reason::NoSession,
            Self::Busy => Reason::ServerBusy,
        }
    }

    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    pub(super) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for SshFault {
    /// Writes the name of the reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason().fmt(f)
    }
}
