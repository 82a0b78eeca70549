//! Errors of JetStream.

use super::json::quoted;
use alloc::format;
use alloc::string::String;

/// An error in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    code: u16,
    number: u16,
    description: String,
}

impl ApiError {
    pub(super) fn new(code: u16, number: u16, description: &str) -> Self {
        Self { code, number, description: description.into() }
    }

    pub(super) fn invalid_json() -> Self {
        Self::new(400, 10025, "invalid JSON")
    }

    pub(super) fn bad_request() -> Self {
        Self::new(400, 10003, "bad request")
    }

    pub(super) fn no_stream() -> Self {
        Self::new(404, 10059, "stream not found")
    }

    pub(super) fn no_consumer() -> Self {
        Self::new(404, 10014, "consumer not found")
    }

    pub(super) fn no_message() -> Self {
        Self::new(404, 10037, "no message found")
    }

    pub(super) fn is_full() -> Self {
        Self::new(503, 10023, "insufficient resources")
    }

    pub(super) fn wrong_sequence(last: u64) -> Self {
        Self::new(400, 10071, &format!("wrong last sequence: {last}"))
    }

    /// Returns the field of an answer.
    pub(super) fn field(&self) -> String {
        let Self { code, number, description } = self;
        format!("\"error\":{{\"code\":{code},\"err_code\":{number},\"description\":{}}}", quoted(description))
    }
}
