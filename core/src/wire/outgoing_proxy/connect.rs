//! HTTP `CONNECT` (RFC 9110 section 9.3.6, RFC 9112 section 3.2.3).

use super::options::Credentials;
use super::progress::{HandshakeProgress, Step};
use crate::base::ProxyFault;
use crate::wire::http::{HEAD_MAX_BYTES, Head, HeadSearch, INTERIM_MAX, find_head};
use alloc::format;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The part of the proxy's response that was received so far.
pub(super) struct Connect {
    /// The head of the response, at most [`HEAD_MAX_BYTES`].
    held: Vec<u8>,
    search: HeadSearch,
    /// Number of interim responses so far.
    interim: u8,
    has_credentials: bool,
}

impl Connect {
    /// Returns the state, and the request for `target`.
    ///
    /// `target` was parsed, so it has no characters that could inject a field.
    pub(super) fn begin(target: &str, credentials: Option<&Credentials>) -> (Self, Vec<u8>) {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(Credentials { user, password }) = credentials {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&pair);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let connect = Self {
            held: Vec::new(),
            search: HeadSearch::default(),
            interim: 0,
            has_credentials: credentials.is_some(),
        };
        (connect, request.into_bytes())
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) -> Step {
        let mut rest = bytes;
        loop {
            let room = HEAD_MAX_BYTES - self.held.len().min(HEAD_MAX_BYTES);
            let (taken, behind) = rest.split_at(rest.len().min(room));
            self.held.extend_from_slice(taken);
            rest = behind;
            let status = match parse_status(&self.held) {
                Ok(Some(status)) => status,
                Ok(None) => return Step::reading(),
                Err(fault) => return Step::failed(fault),
            };
            if let Some(fault) = self.fault_of(status) {
                return Step::failed(fault);
            }
            let length = match find_head(&self.held, &mut self.search) {
                Head::Whole(length) => length,
                Head::Unclear => return Step::reading(),
                Head::BareControls => return Step::failed(ProxyFault::NotProxy),
                Head::TooLong => return Step::failed(ProxyFault::TooLong),
            };
            if status < 200 {
                self.interim += 1;
                self.held.drain(..length);
                continue;
            }
            let behind = self.held.len() - length + rest.len();
            self.held = Vec::new();
            return Step {
                used: bytes.len().saturating_sub(behind),
                progress: HandshakeProgress::Done,
                output: Vec::new(),
            };
        }
    }

    /// Returns the fault that a status means, or `None` for a final or interim response.
    ///
    /// A 2xx response has no body, whatever its fields say (RFC 9110 section 9.3.6).
    const fn fault_of(&self, status: u16) -> Option<ProxyFault> {
        Some(match status {
            100 | 102..=199 if self.interim < INTERIM_MAX => return None,
            200..=299 => return None,
            // 101 needs a request for an upgrade (RFC 9110 section 15.2.2).
            100..=199 => ProxyFault::NotProxy,
            403 => ProxyFault::Forbidden,
            // tinyproxy refuses wrong credentials with 401.
            401 | 407 if self.has_credentials => ProxyFault::CredentialsRefused,
            401 | 407 => ProxyFault::AuthenticationRequired,
            502..=504 => ProxyFault::TargetUnreachable,
            _ => ProxyFault::Rejected { status },
        })
    }
}

/// Returns the status of a response, or `None` if its status line is incomplete.
///
/// A failure needs no more than the first 13 bytes, so its body and length do not matter.
fn parse_status(held: &[u8]) -> Result<Option<u16>, ProxyFault> {
    // `d` stands for a digit, `s` for the space or the CR after the status (RFC 9112 section 4).
    const FORM: &[u8; 13] = b"HTTP/1.d ddds";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b's' => matches!(byte, b' ' | b'\r'),
        form => byte == form,
    };
    if !held.iter().zip(FORM).all(fits) {
        return Err(ProxyFault::NotProxy);
    }
    let Some(digits) = held.get(9..12).filter(|_| held.len() >= FORM.len()) else { return Ok(None) };
    let status = digits.iter().fold(0, |status, digit| 10 * status + u16::from(digit - b'0'));
    if (100..600).contains(&status) { Ok(Some(status)) } else { Err(ProxyFault::NotProxy) }
}
