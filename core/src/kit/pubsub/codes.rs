//! Codes of errors, unsubscriptions and disconnections, which tell clients what to do.

use crate::base::text::json_string;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// Why a command was refused.
///
/// Clients act on the code: after a [temporary](Self::temporary) error they try again by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The code. Applications use 400 to 1999.
    pub code: u32,
    /// What was wrong, for people.
    pub message: Cow<'static, str>,
    /// Whether the same command may succeed later.
    pub temporary: bool,
}

impl Refusal {
    pub(super) const INTERNAL: Self = Self::known(100, "internal server error", true);
    pub(super) const UNKNOWN_CHANNEL: Self = Self::known(102, "unknown channel", false);
    pub(super) const PERMISSION_DENIED: Self = Self::known(103, "permission denied", false);
    pub(super) const METHOD_NOT_FOUND: Self = Self::known(104, "method not found", false);
    pub(super) const ALREADY_SUBSCRIBED: Self = Self::known(105, "already subscribed", false);
    pub(super) const LIMIT_EXCEEDED: Self = Self::known(106, "limit exceeded", false);
    pub(super) const BAD_REQUEST: Self = Self::known(107, "bad request", false);
    pub(super) const NOT_AVAILABLE: Self = Self::known(108, "not available", false);
    pub(super) const TOKEN_EXPIRED: Self = Self::known(109, "token expired", false);
    pub(super) const EXPIRED: Self = Self::known(110, "expired", false);
    pub(super) const UNRECOVERABLE: Self = Self::known(112, "unrecoverable position", false);

    const fn known(code: u32, message: &'static str, temporary: bool) -> Self {
        Self { code, message: Cow::Borrowed(message), temporary }
    }

    /// Creates an error of the application. Its code should be 400 to 1999.
    pub fn new(code: u32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), temporary: false }
    }

    pub(super) fn json(&self) -> String {
        let mut json = format!("{{\"code\":{},\"message\":", self.code);
        json_string(&self.message, &mut json);
        json.push_str(if self.temporary { ",\"temporary\":true}" } else { "}" });
        json
    }
}

/// Why a connection is closed by the server, as a code that tells clients whether to come back.
///
/// They come back after 3000 to 3499 and 4000 to 4499, and stay away after 3500 to 3999 and 4500 to 4999.
/// Applications use 4000 to 4999.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disconnect {
    pub(super) code: u16,
    /// Never empty, and no JSON: some clients would not stay away otherwise.
    pub(super) reason: Cow<'static, str>,
}

impl Disconnect {
    pub(super) const SHUTDOWN: Self = Self::known(3001, "shutdown");
    pub(super) const EXPIRED: Self = Self::known(3005, "connection expired");
    pub(super) const SUBSCRIPTION_EXPIRED: Self = Self::known(3006, "subscription expired");
    pub(super) const INSUFFICIENT_STATE: Self = Self::known(3010, "insufficient state");
    pub(super) const NO_PONG: Self = Self::known(3012, "no pong");
    pub(super) const INVALID_TOKEN: Self = Self::known(3500, "invalid token");
    pub(super) const BAD_REQUEST: Self = Self::known(3501, "bad request");
    pub(super) const STALE: Self = Self::known(3502, "stale");
    pub(super) const FORCED: Self = Self::known(3503, "force disconnect");
    pub(super) const CHANNEL_LIMIT: Self = Self::known(3505, "channel limit");
    pub(super) const NOT_AVAILABLE: Self = Self::known(3508, "not available");

    const fn known(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// Creates a disconnection with the code and the reason of a backend.
    ///
    /// # Errors
    /// If the code is not 3000 to 4999, or the reason is not 1 to 123 bytes of plain text without JSON.
    pub(super) fn of_backend(code: u64, reason: String) -> Result<Self, Refusal> {
        let code = u16::try_from(code).ok().filter(|code| (3000..5000).contains(code));
        let code = code.ok_or_else(|| bad("the code of a disconnection must be 3000 to 4999"))?;
        // Clients that can parse the reason as JSON would come back.
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&reason).is_ok();
        let is_plain = reason.chars().all(|c| !c.is_control());
        if reason.is_empty() || reason.len() > REASON_MAX || is_json || !is_plain {
            return Err(bad("the reason of a disconnection must be 1 to 123 bytes of plain text, and no JSON"));
        }
        Ok(Self { code, reason: reason.into() })
    }
}

/// Maximum length of the reason in a Close frame, in bytes (RFC 6455 section 5.5).
const REASON_MAX: usize = 123;

/// Returns the error 107 with these words.
pub(super) fn bad(words: &str) -> Refusal {
    Refusal { message: format!("bad request: {words}").into(), ..Refusal::BAD_REQUEST }
}

/// Why the server ends a subscription. Clients subscribe again from 2500 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsubscribe {
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

impl Unsubscribe {
    pub(super) const BY_SERVER: Self = Self { code: 2000, reason: "server unsubscribe" };
    pub(super) const INSUFFICIENT_STATE: Self = Self { code: 2500, reason: "insufficient state" };
    pub(super) const EXPIRED: Self = Self { code: 2501, reason: "subscription expired" };
}

/// What a command leads to, if it is not answered with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    Refused(Refusal),
    Disconnect(Disconnect),
    /// The backend was asked. The command is run again after the answer.
    Waits,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Disconnect> for Failed {
    fn from(disconnect: Disconnect) -> Self {
        Self::Disconnect(disconnect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn clients_understand_each_reason() {
        let all = [
            Disconnect::SHUTDOWN,
            Disconnect::EXPIRED,
            Disconnect::SUBSCRIPTION_EXPIRED,
            Disconnect::INSUFFICIENT_STATE,
            Disconnect::NO_PONG,
            Disconnect::INVALID_TOKEN,
            Disconnect::BAD_REQUEST,
            Disconnect::STALE,
            Disconnect::CHANNEL_LIMIT,
            Disconnect::NOT_AVAILABLE,
        ];
        for Disconnect { code, reason } in all {
            assert!((3_000..4_000).contains(&code), "{code}");
            assert!(!reason.is_empty() && reason.len() <= 123, "{reason:?} fits in a Close frame");
            assert!(serde_json::from_str::<Value>(&reason).is_err(), "{reason:?} is no JSON");
        }
    }
}
