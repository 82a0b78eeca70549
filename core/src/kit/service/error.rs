use super::rooms::RoomError;
use crate::base::Outgoing;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt;
use serde::Serialize;

/// The error that a sender receives if its message was not served.
///
/// A program gets `{"type":"error","of":"say","code":"invalid","path":"to.name","reason":"..."}`,
/// without `path` if it concerns the whole message. A person gets `error: say: to.name: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageError {
    /// The error code: one of the following, or one that the application defines.
    ///
    /// `not_json`, `invalid`, `unknown_type`, `unsupported`, `forbidden`, `unauthorized`, and
    /// `refused`: any error passed on with `?`, whose text the sender reads.
    pub code: Cow<'static, str>,
    /// The position in the message: member names and indices (`to.name`, `points[2]`).
    pub path: Option<String>,
    /// A description of the error for people.
    pub reason: String,
}

impl MessageError {
    /// Creates an error with a code and a text for the sender.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self { code: code.into(), path: None, reason: reason.into() }
    }

    /// Creates the error for a sender that lacks a scope.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new("forbidden", "this is not allowed")
    }

    /// Passes the error, about a message of type `of`, to `send` in both representations.
    pub(crate) fn tell<T>(&self, of: Option<&str>, send: impl FnOnce(Outgoing<'_>) -> T) -> T {
        let Self { code, path, reason } = self;
        let response = Response { kind: "error", of, code, path: path.as_deref(), reason };
        // A struct of strings is always valid JSON.
        let json = serde_json::to_string(&response).unwrap_or_default();
        let text = response.to_string();
        send(Outgoing::Negotiated { json: &json, text: &crate::base::text::neutralize(&text) })
    }
}

impl<E: core::error::Error + 'static> From<E> for MessageError {
    /// Creates a `refused` error, or a `forbidden` one from [`RoomError::Forbidden`].
    fn from(error: E) -> Self {
        let any: &(dyn core::error::Error + 'static) = &error;
        let is_forbidden = matches!(any.downcast_ref(), Some(RoomError::Forbidden));
        Self::new(if is_forbidden { "forbidden" } else { "refused" }, error.to_string())
    }
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    reason: &'a str,
}

impl fmt::Display for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error: ")?;
        for place in [self.of, self.path].into_iter().flatten() {
            write!(f, "{place}: ")?;
        }
        f.write_str(self.reason)
    }
}

/// The return value of a message function: nothing, or a result.
///
/// A closure that uses `?` must end with `Ok::<_, MessageError>(())`. A named function declares its
/// return type instead. The kit implements this trait for all types that it accepts.
pub trait Outcome: sealed::Sealed {
    /// Converts the return value into a result.
    ///
    /// # Errors
    /// The error for the sender.
    fn into_result(self) -> Result<(), MessageError>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for () {}

    impl<E> Sealed for Result<(), E> {}
}

impl Outcome for () {
    fn into_result(self) -> Result<(), MessageError> {
        Ok(())
    }
}

impl<E: Into<MessageError>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), MessageError> {
        self.map_err(Into::into)
    }
}
