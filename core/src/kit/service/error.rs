use super::RoomError;
use crate::base::Outgoing;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt;
use serde::Serialize;

/// Why a message was not served, as its sender is told.
///
/// A program gets `{"type":"error","of":"say","code":"invalid","path":"to.name","reason":"..."}`, where `path` is missing if
/// the message as a whole is meant; a person gets `error: say: to.name: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageError {
    /// What kind of mistake: `not_json`, `invalid`, `unknown_type`, `unsupported`, `forbidden`, `refused` (any error with `?`, whose
    /// text the sender reads), `unauthorized`, or one of the application's own.
    pub code: Cow<'static, str>,
    /// Where in the message: member names and indices (`to.name`, `points[2]`).
    pub path: Option<String>,
    /// For a person.
    pub reason: String,
}

impl MessageError {
    /// A mistake of a kind, in words that its sender will read.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self { code: code.into(), path: None, reason: reason.into() }
    }

    /// The sender lacks a scope.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new("forbidden", "this is not allowed")
    }

    /// As it is told, with `send`, about a message of a type.
    pub(crate) fn tell<T>(&self, of: Option<&str>, send: impl FnOnce(Outgoing<'_>) -> T) -> T {
        let Self { code, path, reason } = self;
        let told = Told { kind: "error", of, code, path: path.as_deref(), reason };
        // A struct of strings is always JSON.
        let json = serde_json::to_string(&told).unwrap_or_default();
        let text = told.to_string();
        send(Outgoing::Negotiated { json: &json, text: &crate::base::text::neutralize(&text) })
    }
}

impl<E: core::error::Error + 'static> From<E> for MessageError {
    /// Code `refused`, and what the error says. A room that is closed to the user ([`RoomError::Forbidden`]) has the code
    /// `forbidden`.
    fn from(error: E) -> Self {
        let any: &(dyn core::error::Error + 'static) = &error;
        let is_forbidden = matches!(any.downcast_ref(), Some(RoomError::Forbidden));
        Self::new(if is_forbidden { "forbidden" } else { "refused" }, error.to_string())
    }
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    reason: &'a str,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error: ")?;
        for place in [self.of, self.path].into_iter().flatten() {
            write!(f, "{place}: ")?;
        }
        f.write_str(self.reason)
    }
}

/// What a function for messages may return: nothing, or what was wrong with the message. A closure that uses `?` ends with
/// `Ok::<_, MessageError>(())`, or is a function, which says what it returns.
pub trait Outcome {
    /// As a result.
    ///
    /// # Errors
    /// What the sender is told.
    fn into_result(self) -> Result<(), MessageError>;
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
