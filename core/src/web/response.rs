//! Responses of an HTTP listener, as bytes.

use crate::wire::http::Status;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

/// The content security policy: a page may load from and connect to this server only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Status {
    /// Returns the last response of a connection, with `words` and a line feed as its body.
    pub(crate) fn last_words_with(self, words: &str, is_head: bool) -> Vec<u8> {
        Response::text(self, &format!("{words}\n")).bytes(is_head, false)
    }

    /// Returns the last response of a connection, with the status phrase as its body.
    ///
    /// The response to a HEAD request has no body.
    pub(crate) fn last_words(self, is_head: bool) -> Vec<u8> {
        self.last_words_until(is_head, None)
    }

    /// Returns the last response of a connection, with a `Retry-After` field if a time is given.
    pub(crate) fn last_words_until(self, is_head: bool, retry_after: Option<Duration>) -> Vec<u8> {
        Response { retry_after, ..Response::text(self, &format!("{}\n", self.phrase())) }.bytes(is_head, false)
    }
}

/// A response that the machine writes in one piece.
pub(super) struct Response<'a> {
    pub(super) status: Status,
    pub(super) content_type: &'a str,
    pub(super) body: Cow<'a, [u8]>,
    /// The entity tag of the body, if there is one.
    pub(super) tag: Option<&'a str>,
    /// The path of the resource, for a redirect.
    pub(super) location: Option<String>,
    /// The content security policy. Empty for none.
    pub(super) policy: &'a str,
    pub(super) retry_after: Option<Duration>,
    pub(super) cookie: Option<String>,
    /// Whether the response lists the allowed methods, as one with the status 405 always does.
    pub(super) allows: bool,
    /// The title of the server, for the realm in `WWW-Authenticate`.
    pub(super) title: &'a str,
    /// Whether a cache may store the response, but must revalidate it before each use (`no-cache`).
    pub(super) is_stored: bool,
}

impl<'a> Response<'a> {
    pub(super) const fn of(content_type: &'a str) -> Self {
        Self {
            status: Status::OK,
            content_type,
            body: Cow::Borrowed(&[]),
            tag: None,
            location: None,
            policy: POLICY,
            retry_after: None,
            cookie: None,
            allows: false,
            title: "",
            is_stored: true,
        }
    }

    pub(super) fn text(status: Status, words: &str) -> Self {
        Self { status, body: words.as_bytes().to_vec().into(), ..Self::of("text/plain; charset=utf-8") }
    }

    pub(super) fn bytes(&self, is_head: bool, keeps_alive: bool) -> Vec<u8> {
        let (code, phrase) = (self.status.code(), self.status.phrase());
        let mut head = format!("HTTP/1.1 {code} {phrase}\r\n");
        // These have no body. With 304, the length would be that of the file; with 204, it is forbidden (RFC 9110
        // section 8.6).
        if !matches!(self.status, Status::NOT_MODIFIED | Status::NO_CONTENT) {
            let _ = write!(head, "Content-Type: {}\r\nContent-Length: {}\r\n", self.content_type, self.body.len());
        }
        let _ = write!(head, "Cache-Control: {}\r\n", if self.is_stored { "no-cache" } else { "no-store" });
        if !self.policy.is_empty() {
            let _ = write!(head, "Content-Security-Policy: {}\r\n", self.policy);
        }
        head.push_str("X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
        if let Some(tag) = self.tag {
            let _ = write!(head, "ETag: {tag}\r\n");
        }
        if let Some(location) = &self.location {
            let _ = write!(head, "Location: {location}\r\n");
        }
        if self.allows || self.status == Status::METHOD_NOT_ALLOWED {
            head.push_str("Allow: GET, HEAD, OPTIONS\r\n");
        }
        if self.status == Status::UNAUTHORIZED {
            // With `Basic`, a browser would ask its user for a password, which the API does not accept.
            let (scheme, rest) = if self.is_stored { ("Basic", ", charset=\"UTF-8\"") } else { ("Bearer", "") };
            let _ = write!(head, "WWW-Authenticate: {scheme} realm=\"{}\"{rest}\r\n", realm(self.title));
        }
        if let Some(after) = self.retry_after {
            let _ = write!(head, "Retry-After: {}\r\n", crate::base::seconds_up(after));
        }
        if let Some(cookie) = &self.cookie {
            let _ = write!(head, "Set-Cookie: {cookie}\r\n");
        }
        // The supported WebSocket version (RFC 6455 section 4.4).
        let asks_for_upgrade = self.status == Status::UPGRADE_REQUIRED;
        if asks_for_upgrade {
            head.push_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        }
        head.push_str(match (asks_for_upgrade, keeps_alive) {
            (true, _) => "Connection: Upgrade, close\r\n\r\n",
            (false, true) => "Connection: keep-alive\r\n\r\n",
            (false, false) => "Connection: close\r\n\r\n",
        });
        let mut bytes = head.into_bytes();
        if !is_head {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Returns a title as a realm: without the characters that end or escape a quoted string (RFC 9110
/// section 5.6.4).
fn realm(title: &str) -> String {
    title.chars().filter(|c| (*c == ' ' || c.is_ascii_graphic()) && !matches!(c, '"' | '\\')).collect()
}
