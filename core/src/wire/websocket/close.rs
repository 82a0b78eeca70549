use crate::base::Reason;

/// Why a WebSocket was closed (RFC 6455 section 7.4): a code that may stand in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CloseCode(u16);

/// Not a code that may stand in a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999, not {0}")]
#[non_exhaustive]
pub struct CloseCodeError(pub u16);

impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away: a server shuts down, a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// A frame that breaks the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that is not accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Data that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// A rule of the server's own was broken.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message that is too long.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server met a condition that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server is overloaded; to be tried again later (registry of IANA).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// Not authenticated (an application's code, after HTTP's 401).
    pub const UNAUTHORIZED: Self = Self(4401);
    /// Forbidden (after HTTP's 403).
    pub const FORBIDDEN: Self = Self(4403);
    /// Something was begun and not completed in time (after HTTP's 408).
    pub const TIMED_OUT: Self = Self(4408);
    /// Another connection took the place of this one (after HTTP's 409).
    pub const CONFLICT: Self = Self(4409);
    /// Too many messages or bytes (after HTTP's 429).
    pub const TOO_MANY: Self = Self(4429);

    /// A code.
    ///
    /// # Errors
    /// If it may not stand in a frame: it is reserved, or of no known meaning (RFC 6455 section 7.4.2).
    pub const fn new(code: u16) -> Result<Self, CloseCodeError> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Self(code)),
            _ => Err(CloseCodeError(code)),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What a peer is told that is closed for this reason.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::MessageTooLarge => Self::MESSAGE_TOO_BIG,
            Reason::InvalidUtf8 => Self::INVALID_PAYLOAD,
            Reason::MalformedFrame => Self::PROTOCOL_ERROR,
            Reason::MessageTimeout | Reason::Idle | Reason::Silent => Self::TIMED_OUT,
            Reason::RateLimited => Self::TOO_MANY,
            Reason::SlowConsumer | Reason::Quarantined | Reason::Kicked | Reason::WrongProtocol => {
                Self::POLICY_VIOLATION
            }
            Reason::Unauthorized | Reason::AuthenticationTimeout | Reason::SessionExpired => Self::UNAUTHORIZED,
            Reason::Forbidden => Self::FORBIDDEN,
            Reason::Replaced => Self::CONFLICT,
            Reason::HandlerPanicked => Self::INTERNAL_ERROR,
            Reason::Shutdown => Self::GOING_AWAY,
            Reason::ServerFull | Reason::ListenerFull | Reason::AddressFull => Self::TRY_AGAIN_LATER,
            _ => Self::NORMAL,
        }
    }
}
