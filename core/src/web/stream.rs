//! The head of a response whose body is a stream of events.

use crate::wire::events::EventFormat;
use crate::wire::http::Request;
use alloc::format;
use alloc::vec::Vec;
use core::fmt::Write;

/// Returns the head of a stream. The stream lasts until the connection closes (RFC 9112 section 6.3).
///
/// If a page sent the request, it may read the stream. The caller has checked the origin.
pub(crate) fn stream_head(request: &Request, format: EventFormat) -> Vec<u8> {
    // Without the field, nginx buffers events instead of forwarding each at once.
    let mut head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n",
        format.content_type()
    );
    if let Some(origin) = request.field("origin") {
        // Writing to a string cannot fail.
        let _ = write!(head, "Access-Control-Allow-Origin: {origin}\r\n");
    }
    head.push_str("Connection: close\r\n\r\n");
    head.into_bytes()
}
