use crate::kit::service::rooms::RoomError;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The error that the caller of a method receives (JSON-RPC 2.0 section 5.1).
///
/// The operator `?` converts any [`Error`](core::error::Error) into an
/// [`internal`](Self::internal) error. The caller then learns only that the call failed. The text
/// of the error goes to [`Service::on_error`](crate::kit::Service::on_error).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RpcError {
    /// The error code. The protocol reserves -32768 to -32000.
    pub code: i64,
    /// A description of the error for the caller, in one sentence.
    pub message: Cow<'static, str>,
    /// Additional information for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// The text of an [`internal`](Self::internal) error, which is not sent.
    #[serde(skip)]
    pub(super) cause: Option<String>,
}

impl RpcError {
    /// The message is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The message is JSON, but not a valid request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method does not exist.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters do not match those of the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The method failed. The caller does not learn why.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// Too many calls are in progress, or the caller exceeds a rate limit.
    pub const BUSY: i64 = -32000;
    /// The method did not answer before its deadline.
    pub const TIMED_OUT: i64 = -32001;
    /// The server shut down before the method answered.
    pub const SHUTTING_DOWN: i64 = -32002;
    /// The caller lacks a required scope.
    pub const FORBIDDEN: i64 = -32003;
    /// The caller has not authenticated.
    pub const UNAUTHORIZED: i64 = -32004;
    /// A room refused the call. The data has a `code` and a `reason`.
    pub const REFUSED: i64 = -32005;

    /// Creates an error with a code and a message for the caller.
    #[must_use]
    pub fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None, cause: None }
    }

    /// Sets the additional information for the caller.
    #[must_use]
    pub fn with_data(self, data: impl Into<Value>) -> Self {
        Self { data: Some(data.into()), ..self }
    }

    /// Creates an [`INTERNAL_ERROR`](Self::INTERNAL_ERROR). Its cause is not sent to the caller.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(Self::INTERNAL_ERROR, "Internal error") }
    }

    /// Returns the cause of an [`internal`](Self::internal) error, which is not sent to the caller.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(super) fn invalid_request(why: &str) -> Self {
        Self::new(Self::INVALID_REQUEST, "Invalid Request").with_data(why)
    }
}

impl<E: core::error::Error + 'static> From<E> for RpcError {
    /// Creates an [`internal`](Self::internal) error from any error but [`RoomError::Forbidden`].
    ///
    /// [`RoomError::Forbidden`] becomes [`FORBIDDEN`](Self::FORBIDDEN).
    fn from(error: E) -> Self {
        let any: &(dyn core::error::Error + 'static) = &error;
        match any.downcast_ref() {
            Some(RoomError::Forbidden) => Self::new(Self::FORBIDDEN, "This is not allowed"),
            _ => Self::internal(error.to_string()),
        }
    }
}
