//! Recognition of HTTP requests by their first bytes.

use crate::base::work;

/// Maximum number of bytes that are searched for the end of a request line.
pub(super) const REQUEST_LINE_MAX_BYTES: usize = 8 << 10;

const METHODS: [&[u8]; 10] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH ", b"PRI "];

/// Returns whether `first` begins an HTTP request, or `None` if more bytes are needed.
pub(super) fn is_http(first: &[u8], searched: &mut usize) -> Option<bool> {
    if METHODS.iter().any(|method| method.starts_with(first)) {
        return None;
    }
    if !METHODS.iter().any(|method| first.starts_with(method)) {
        return Some(false);
    }
    let seen = &first[..first.len().min(REQUEST_LINE_MAX_BYTES)];
    let from = core::mem::replace(searched, seen.len()).min(seen.len());
    work::step(1 + seen.len() - from);
    match memchr::memchr(b'\n', &seen[from..]).map(|at| from + at) {
        Some(end) => Some(memchr::memmem::find(&seen[..end], b" HTTP/").is_some()),
        // A web page can make a browser send a method, a target of any length, and lines after it.
        None if looks_like_target(first) => (first.len() >= REQUEST_LINE_MAX_BYTES).then_some(true),
        None if first.len() >= REQUEST_LINE_MAX_BYTES => Some(false),
        None => None,
    }
}

/// Returns `true` if a line is an HTTP request line (RFC 9112 section 3).
pub(super) fn is_request_line(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some((target, version)) = memchr::memrchr(b' ', line).map(|space| line.split_at(space)) else { return false };
    let Some(method) = memchr::memchr(b' ', target).map(|space| &target[..space]) else { return false };
    let is_version = matches!(version, [b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']);
    let is_method =
        !method.is_empty() && method.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    is_version && is_method && target.len() > method.len() + 1
}

/// Returns `true` if `first` can only be the beginning of an HTTP request.
pub(super) fn is_request(first: &[u8]) -> bool {
    METHODS.iter().any(|method| first.starts_with(method)) && looks_like_target(first)
}

/// Number of first bytes that suffice for [`begins_request`]: the longest method and one more.
pub(super) const DISTINCT_BYTES: usize = 9;

/// Returns whether a stream begins with an HTTP request, or `None` if more bytes are needed.
pub(super) fn begins_request(first: &[u8]) -> Option<bool> {
    if METHODS.iter().any(|method| method.starts_with(first)) {
        return None;
    }
    Some(is_request(first))
}

/// Returns `true` if the beginning of a target follows the method (RFC 9112 section 3.2).
fn looks_like_target(first: &[u8]) -> bool {
    let target = first.iter().position(|&byte| byte == b' ').and_then(|space| first.get(space + 1));
    matches!(target, Some(b'/' | b'*' | b'h' | b'H'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_line_needs_method_target_and_version() {
        for line in [
            &b"GET / HTTP/1.1"[..],
            b"POST /nick?x=y HTTP/1.0\r",
            b"OPTIONS * HTTP/1.1",
            b"CONNECT example.org:80 HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"X-OWN http://example.org/ HTTP/1.1",
            b"GET /a b HTTP/1.1",
        ] {
            assert!(is_request_line(line), "{}", line.escape_ascii());
        }
        for line in [
            &b""[..],
            b"GET",
            b"GET /",
            b"GET / HTTP/1.1 ",
            b"GET / http/1.1",
            b"GET / HTTP/11",
            b"GET HTTP/1.1",
            b"GET  HTTP/1.1",
            b"/ HTTP/1.1",
            b"HTTP/1.1 200 OK",
            b"what is HTTP/1.1?",
            b"is it: GET / HTTP/1.1?",
        ] {
            assert!(!is_request_line(line), "{}", line.escape_ascii());
        }
    }
}
