use super::id::MessageId;
use super::rooms::RoomError;
use crate::base::Outgoing;
use crate::config::{JoinError, TicketError};
use crate::state::{RoomRequest, Ticket};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt;
use serde::Serialize;

/// The error that a message's sender receives if the message is refused or its function fails.
///
/// A program gets `{"type":"error","of":"say","code":"invalid","path":"to.name","reason":"..."}`,
/// without `path` if it concerns the whole message. If the message had an [`id`](super::Cx::id),
/// the error has it too. A person gets `error: say: to.name: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageError {
    /// The error code: one of the following, or one that the application defines.
    ///
    /// `not_json`, `invalid`, `unknown_type`, `unsupported`, `forbidden`, `unauthorized`, and
    /// `refused`: any error passed on with `?`, whose text the sender reads.
    pub code: Cow<'static, str>,
    /// The position of the error in the message: names and indices (`to.name`, `points[2]`).
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
    pub(crate) fn tell<T>(
        &self,
        of: Option<&str>,
        id: Option<MessageId<'_>>,
        send: impl FnOnce(Outgoing<'_>) -> T,
    ) -> T {
        let Self { code, path, reason } = self;
        let response = Response { kind: "error", of, code, path: path.as_deref(), reason };
        // A struct of strings is always valid JSON.
        let json = serde_json::to_string(&response).unwrap_or_default();
        let json = id.map_or(json.as_str().into(), |id| id.insert(&json));
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

/// The return value of a message function: nothing, a value to ignore, or a `Result`.
///
/// The operator `?` converts every error. A closure that uses it ends with `Ok(())`, and its error
/// type is inferred. A closure may also return what [`Cx::reply`](super::Cx::reply),
/// [`Cx::join`](super::Cx::join), [`Cx::publish`](super::Cx::publish) or
/// [`Cx::call`](super::Cx::call) returned: the sender gets the error, and the value is ignored.
///
/// ```
/// use drupe_core::kit::{Router, Service};
/// use drupe_core::testing::TestHub;
///
/// let router = Router::<()>::new()
///     .on("enter", |_, cx, room: String| cx.join(&room))
///     .on("echo", |_, cx, text: String| cx.reply(&text))
///     .on("double", |_, cx, text: String| {
///         let number: i32 = text.parse()?;
///         cx.reply(&(2 * number).to_string());
///         Ok(())
///     })
///     .on("quit", |_, cx, (): ()| cx.end(drupe_core::Reason::Application));
/// let mut hub = TestHub::new(Service::new(()).router(router));
/// let peer = hub.connect();
/// hub.line(peer, "/double 4");
/// hub.line(peer, "/double x");
/// hub.line(peer, "/enter den");
/// assert_eq!(hub.lines(peer), [
///     "8",
///     "error: double: invalid digit found in string",
///     "error: enter: access to this room is denied",
/// ]);
/// ```
#[diagnostic::on_unimplemented(
    message = "a message function cannot return `{Self}`",
    note = "return nothing, a `Result<(), MessageError>`, or the result of `cx.join` or `cx.publish`; `?` converts every error"
)]
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

    impl Sealed for bool {}

    impl Sealed for usize {}

    impl<T, E> Sealed for Result<T, E> {}
}

impl Outcome for () {
    fn into_result(self) -> Result<(), MessageError> {
        Ok(())
    }
}

impl Outcome for bool {
    fn into_result(self) -> Result<(), MessageError> {
        Ok(())
    }
}

impl Outcome for usize {
    fn into_result(self) -> Result<(), MessageError> {
        Ok(())
    }
}

// The only implementation for `Result<(), _>`, so that the compiler infers the error type of closures.
impl Outcome for Result<(), MessageError> {
    fn into_result(self) -> Result<(), MessageError> {
        self
    }
}

impl Outcome for Result<bool, RoomError> {
    fn into_result(self) -> Result<(), MessageError> {
        self.map(drop).map_err(Into::into)
    }
}

impl Outcome for Result<RoomRequest, RoomError> {
    fn into_result(self) -> Result<(), MessageError> {
        self.map(drop).map_err(Into::into)
    }
}

impl Outcome for Result<bool, JoinError> {
    fn into_result(self) -> Result<(), MessageError> {
        self.map(drop).map_err(Into::into)
    }
}

impl Outcome for Result<Ticket, TicketError> {
    fn into_result(self) -> Result<(), MessageError> {
        self.map(drop).map_err(Into::into)
    }
}

impl Outcome for Result<usize, RoomError> {
    fn into_result(self) -> Result<(), MessageError> {
        self.map(drop).map_err(Into::into)
    }
}
