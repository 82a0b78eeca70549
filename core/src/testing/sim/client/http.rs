//! An HTTP/1.1 client (RFC 9112) that pipelines requests, some of them with bodies.

use super::codec::{Codec, shown, text};
use crate::base::Random;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

#[derive(Default)]
pub(super) struct Http {
    /// Number of requests without a response.
    asked: u32,
    received: Vec<u8>,
    /// Whether the last response had `Connection: close`.
    is_over: bool,
}

impl Http {
    /// Returns the next complete response: its status code, whether it is the last, and its length.
    fn response(&self) -> Result<Option<(String, bool, usize)>, String> {
        let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = text(&self.received[..end]);
        let wrong = || format!("not an HTTP response: {}", shown(&self.received));
        let (status, fields) = head.split_once("\r\n").ok_or_else(wrong)?;
        let status = status.strip_prefix("HTTP/1.1 ").and_then(|status| status.get(..3)).ok_or_else(wrong)?;
        let field = |name: &str| {
            let mut fields = fields.split("\r\n").filter_map(|line| line.split_once(':'));
            fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_string())
        };
        let length: usize = field("content-length").and_then(|length| length.parse().ok()).ok_or_else(wrong)?;
        let is_last = field("connection").is_some_and(|value| value.contains("close"));
        let whole = end + 4 + length;
        Ok((self.received.len() >= whole).then(|| (status.to_string(), is_last, whole)))
    }
}

impl Codec for Http {
    fn begin(&mut self, _: &mut Random, _: &mut Vec<u8>) {
        *self = Self::default();
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        let (method, version, more, body) = match random.below(16) {
            0 => ("POST", "1.1", "Content-Length: 0\r\n", ""),
            1 => ("GET", "1.0", "", ""),
            2 => ("GET", "1.1", "Connection: close\r\n", ""),
            3 => ("GET", "1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n", ""),
            4 => ("POST", "1.1", "Content-Length: 5\r\n", "hello"),
            5 => ("PUT", "1.1", "Transfer-Encoding: chunked\r\n", "2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n"),
            _ => ("GET", "1.1", "Accept: */*\r\n", ""),
        };
        let request = format!("{method} {message} HTTP/{version}\r\nHost: localhost\r\n{more}\r\n{body}");
        out.extend_from_slice(request.as_bytes());
        self.asked += 1;
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, _: &mut Vec<u8>) -> Result<(), String> {
        self.received.extend_from_slice(bytes);
        if self.is_over && !self.received.is_empty() {
            return Err(format!("bytes follow the last response: {}", shown(&self.received)));
        }
        while let Some((status, is_last, length)) = self.response()? {
            if self.asked == 0 && !is_last {
                return Err(format!("a response without a request: {status}"));
            }
            self.asked = self.asked.saturating_sub(1);
            self.is_over = is_last;
            self.received.drain(..length);
            heard.push(status);
            if is_last && !self.received.is_empty() {
                return Err(format!("bytes follow the last response: {}", shown(&self.received)));
            }
        }
        Ok(())
    }

    fn finished(&mut self, _: &mut Vec<String>) -> Result<(), String> {
        // A listener that detects the protocol may have started telnet before a late request. It
        // then refuses the request in telnet.
        let is_refused = text(&self.received).contains("closing (wrong_protocol)");
        if self.received.is_empty() || is_refused {
            Ok(())
        } else {
            Err(format!("the connection ends within a response: {}", shown(&self.received)))
        }
    }
}
