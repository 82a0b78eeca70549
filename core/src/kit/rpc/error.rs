use crate::kit::service::RoomError;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a call failed, as the caller is told (JSON-RPC 2.0 section 5.1).
///
/// Any error of the standard kind becomes [`internal`](Self::internal) with `?`: the caller learns that it failed, and nothing
/// of what the error says, which goes to [`Service::on_error`](crate::kit::Service::on_error).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RpcError {
    /// Which: -32768 to -32000 are the protocol's.
    pub code: i64,
    /// One sentence for whoever calls.
    pub message: Cow<'static, str>,
    /// More, if there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// What is not for the caller.
    #[serde(skip)]
    pub(super) cause: Option<String>,
}

impl RpcError {
    /// What was sent is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// It is JSON and not a request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters are not those of the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The method failed, and why is nobody's business.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// Too many calls are in progress.
    pub const BUSY: i64 = -32000;
    /// There was no result in time.
    pub const TIMED_OUT: i64 = -32001;
    /// The caller lacks a scope.
    pub const FORBIDDEN: i64 = -32003;

    /// An error of the application, for the caller's eyes.
    #[must_use]
    pub fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None, cause: None }
    }

    /// With data for the caller.
    #[must_use]
    pub fn with_data(self, data: impl Into<Value>) -> Self {
        Self { data: Some(data.into()), ..self }
    }

    /// An error that the caller learns nothing about.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(Self::INTERNAL_ERROR, "Internal error") }
    }

    /// What is not for the caller, if it is an [`internal`](Self::internal) error.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(super) fn invalid_request(why: &str) -> Self {
        Self::new(Self::INVALID_REQUEST, "Invalid Request").with_data(why)
    }
}

impl<E: core::error::Error + 'static> From<E> for RpcError {
    /// An [`internal`](Self::internal) error. A room that is closed to the user ([`RoomError::Forbidden`]) is
    /// [`FORBIDDEN`](Self::FORBIDDEN), and the caller learns it.
    fn from(error: E) -> Self {
        let any: &(dyn core::error::Error + 'static) = &error;
        match any.downcast_ref() {
            Some(RoomError::Forbidden) => Self::new(Self::FORBIDDEN, "This is not allowed"),
            _ => Self::internal(error.to_string()),
        }
    }
}
