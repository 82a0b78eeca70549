//! An application's response to an HTTP request.

use crate::base::setters;
use alloc::string::String;
use alloc::vec::Vec;

/// An application's response to an HTTP request: see [`Hub::respond`](crate::Hub::respond) and
/// [`Hub::respond_to`](crate::Hub::respond_to).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status code, 200 to 599, except 205 and 304. With 204, there is no body.
    pub status: u16,
    /// The type of the body, such as `application/json`.
    pub content_type: String,
    /// The body, at most [`BODY_MAX_BYTES`](Self::BODY_MAX_BYTES). Not sent in response to `HEAD`.
    pub body: Vec<u8>,
}

setters!(HttpResponse { status: u16, content_type: String, body: Vec<u8> });

/// The error for a response that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RespondError {
    /// The event is not a request, or the handler has responded to it or will do so later.
    #[error("there is no request to respond to: call it once, in Event::Request")]
    NoRequest,
    /// The ticket is unknown, used or expired, or its client is gone.
    #[error("no request waits for a response with this ticket")]
    NoTicket,
    /// The status code cannot be used.
    #[error("the status {0} can't be used: it must be 200 to 599, and not 205 or 304, nor 204 with a body")]
    Status(u16),
    /// The content type is empty or not printable ASCII.
    #[error("the content type must be printable ASCII, such as text/plain")]
    ContentType,
    /// The body is too long.
    #[error("the body has more than {} KiB", HttpResponse::BODY_MAX_BYTES >> 10)]
    Body,
}

impl HttpResponse {
    /// Maximum size of a body: 512 KiB.
    pub const BODY_MAX_BYTES: usize = 512 << 10;

    /// Creates a response with a type and a body, and the status 200.
    #[must_use]
    pub fn new(content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, content_type: content_type.into(), body: body.into() }
    }

    /// Creates a response of plain text, with the status 200.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self::new("text/plain; charset=utf-8", body.into())
    }

    /// Creates a response with the status 204, which has no body (RFC 9110 section 15.3.5).
    ///
    /// The content type has no effect.
    #[must_use]
    pub fn no_content() -> Self {
        Self { status: 204, ..Self::text("") }
    }

    pub(crate) fn check(&self) -> Result<(), RespondError> {
        let is_without_body = self.status != 204 || self.body.is_empty();
        if !(200..600).contains(&self.status) || matches!(self.status, 205 | 304) || !is_without_body {
            return Err(RespondError::Status(self.status));
        }
        let is_printable = self.content_type.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if self.content_type.trim().is_empty() || !is_printable {
            return Err(RespondError::ContentType);
        }
        if self.body.len() > Self::BODY_MAX_BYTES {
            return Err(RespondError::Body);
        }
        Ok(())
    }
}
