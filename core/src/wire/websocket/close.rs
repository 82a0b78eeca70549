use crate::base::Reason;

/// The status code of a close frame (RFC 6455 section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CloseCode(u16);

/// The error for a code that is not allowed in a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("close code {0} is invalid: must be 1000 to 1003, 1007 to 1014 or 3000 to 4999")]
#[non_exhaustive]
pub struct CloseCodeError(pub u16);

impl CloseCode {
    /// The connection has fulfilled its purpose.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away: a server shuts down, or a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer violated the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The endpoint does not accept this type of data.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// The data does not match its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer violated the server's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// The message is too long.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server encountered an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server is overloaded, and the client should retry later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// The peer is not authenticated (an application's code, after HTTP's 401).
    pub const UNAUTHORIZED: Self = Self(4401);
    /// The peer may not do what it requested (an application's code, after HTTP's 403).
    pub const FORBIDDEN: Self = Self(4403);
    /// The peer was idle, silent, or did not complete a message in time (after HTTP's 408).
    pub const TIMED_OUT: Self = Self(4408);
    /// Another connection has replaced this one (after HTTP's 409).
    pub const CONFLICT: Self = Self(4409);
    /// The peer sent too many messages, bytes or wrong credentials (after HTTP's 429).
    pub const TOO_MANY: Self = Self(4429);

    /// Creates a close code from its number.
    ///
    /// # Errors
    /// If the code is reserved or undefined, and so not allowed in a close frame (RFC 6455 section
    /// 7.4.2).
    pub const fn new(code: u16) -> Result<Self, CloseCodeError> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Self(code)),
            _ => Err(CloseCodeError(code)),
        }
    }

    /// Returns the number of the code.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the code for a connection that ends for `reason`.
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
            Reason::HandlerPanicked | Reason::CodecFailed | Reason::ResponseTimeout => Self::INTERNAL_ERROR,
            Reason::Shutdown => Self::GOING_AWAY,
            Reason::ServerFull | Reason::ListenerFull | Reason::AddressFull => Self::TRY_AGAIN_LATER,
            _ => Self::NORMAL,
        }
    }
}
