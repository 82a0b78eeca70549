//! Headers of messages.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The first line of headers without a status.
pub(super) const FIRST: &str = "NATS/1.0\r\n";

/// Returns the value of a header.
pub(super) fn value<'h>(headers: &'h [u8], name: &str) -> Option<&'h str> {
    let lines = core::str::from_utf8(headers).ok()?.split("\r\n").skip(1);
    let mut values = lines.filter_map(|line| line.split_once(':')).filter(|(found, _)| *found == name);
    values.next().map(|(_, value)| value.trim())
}

/// Returns the headers with more lines at their end.
pub(super) fn with(headers: &[u8], more: &[(&str, String)]) -> Vec<u8> {
    let mut all = if headers.is_empty() {
        FIRST.as_bytes().to_vec()
    } else {
        headers.strip_suffix(b"\r\n").unwrap_or(headers).to_vec()
    };
    for (name, value) in more {
        all.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    all.extend_from_slice(b"\r\n");
    all
}

/// Returns headers with a status, such as `404 No Messages`.
pub(super) fn status(text: &str, more: &[(&str, String)]) -> Vec<u8> {
    with(format!("NATS/1.0 {text}\r\n\r\n").as_bytes(), more)
}
