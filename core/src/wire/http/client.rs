//! The client side of the WebSocket handshake (RFC 6455 section 4.1).

use super::fields::Fields;
use super::head::{Head, HeadSearch, find_head};
use super::upgrade::accept;
use crate::base::Failure;
use crate::base::{setters, socket_path};
use crate::wire::websocket::{Deflate, Role, WebSocket};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::fmt::Write;
use core::time::Duration;

/// A client's settings for a WebSocket: the opening request, and pings.
///
/// Control characters become spaces, so that a value cannot inject header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpeningHandshake {
    /// The path and query, beginning with `/`.
    pub target: String,
    /// The value of `Host`: the host and port of the server.
    ///
    /// `None`: the dialled address, without the port if it is the default one (80, or 443 with TLS;
    /// RFC 6455 section 4.1). For a Unix socket: `localhost`.
    pub host: Option<String>,
    /// The value of `Origin`, as a browser would send it. `None`: the field is not sent.
    pub origin: Option<String>,
    /// The offered subprotocols, preferred first. A server may choose none.
    pub subprotocols: Vec<String>,
    /// Whether to offer compression (RFC 7692).
    pub deflate: bool,
    /// Interval of pings to a server that sends nothing.
    ///
    /// The first ping follows after this time without a byte from the server. `None`: no pings.
    pub ping: Option<Duration>,
    /// Further header fields, such as `Authorization`.
    pub fields: Vec<(String, String)>,
}

setters!(OpeningHandshake {
    target: String,
    host: Option<String>,
    origin: Option<String>,
    subprotocols: Vec<String>,
    deflate: bool,
    ping: Option<Duration>,
    fields: Vec<(String, String)>,
});

/// Maximum number of interim responses that a client skips.
pub(crate) const INTERIM_MAX: u8 = 8;

impl OpeningHandshake {
    /// Creates a handshake for `target` that offers compression, with pings after 30 s.
    #[must_use]
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            host: None,
            origin: None,
            subprotocols: Vec::new(),
            deflate: true,
            ping: Some(Duration::from_secs(30)),
            fields: Vec::new(),
        }
    }

    /// Returns the request, and the `Sec-WebSocket-Accept` that the server must return.
    ///
    /// `is_secure`: the connection has TLS.
    pub(crate) fn request(&self, address: &str, is_secure: bool, nonce: [u8; 16]) -> (Vec<u8>, String) {
        let key = STANDARD.encode(nonce);
        let host = self.host.as_deref().unwrap_or_else(|| host_field(address, is_secure));
        let mut head = format!("GET {} HTTP/1.1\r\n", sanitize(&self.target).replace(' ', "%20"));
        let mut put = |name: &str, value: &str| {
            let _ = write!(head, "{}: {}\r\n", sanitize(name), sanitize(value));
        };
        put("Host", host);
        put("Upgrade", "websocket");
        put("Connection", "Upgrade");
        put("Sec-WebSocket-Key", &key);
        put("Sec-WebSocket-Version", "13");
        if let Some(origin) = &self.origin {
            put("Origin", origin);
        }
        if !self.subprotocols.is_empty() {
            put("Sec-WebSocket-Protocol", &self.subprotocols.join(", "));
        }
        if self.deflate {
            put("Sec-WebSocket-Extensions", Deflate::OFFER);
        }
        for (name, value) in &self.fields {
            put(name, value);
        }
        head.push_str("\r\n");
        (head.into_bytes(), accept(&key))
    }

    /// Parses the responses in `held` from offset `used` on.
    ///
    /// Returns the negotiated wire, and the index in
    /// [`subprotocols`](Self::subprotocols) of the one that the server chose, if any.
    ///
    /// Returns `None` if the final response is incomplete. Adds the length of the complete
    /// responses to `used`.
    pub(crate) fn parse_response(
        &self,
        held: &[u8],
        search: &mut HeadSearch,
        used: &mut usize,
        accept: &str,
    ) -> Result<Option<(WebSocket, Option<usize>)>, Failure> {
        let (status, fields) = loop {
            let rest = &held[*used..];
            let length = match find_head(rest, search) {
                Head::Whole(length) => length,
                Head::Unclear => return Ok(None),
                Head::BareControls | Head::TooLong => return Err(Failure::Handshake),
            };
            *used += length;
            let (status, fields) = parse(&rest[..length])?;
            // A server may send several interim responses (RFC 9110 section 15.2).
            if !matches!(status, 100 | 102..=199) || search.interim == INTERIM_MAX {
                break (status, fields);
            }
            search.interim += 1;
        };
        if status != 101 {
            return Err(Failure::Rejected { status });
        }
        let switches = fields.has_token("upgrade", "websocket") && fields.has_token("connection", "upgrade");
        if !switches || fields.value("sec-websocket-accept") != Some(accept) {
            return Err(Failure::Handshake);
        }
        let mut chosen = fields.values("sec-websocket-protocol");
        let position = |chosen: &str| self.subprotocols.iter().position(|ours| ours == chosen);
        let subprotocol = chosen.next().map(|chosen| position(chosen).ok_or(Failure::Handshake)).transpose()?;
        if chosen.next().is_some() {
            return Err(Failure::Handshake);
        }
        let extensions = fields.values("sec-websocket-extensions").flat_map(|value| value.split(','));
        let deflate = match extensions.collect::<Vec<_>>().as_slice() {
            [] => None,
            [agreed] if self.deflate => Some(Deflate::agreed(agreed).ok_or(Failure::Handshake)?),
            _ => return Err(Failure::Handshake),
        };
        Ok(Some((WebSocket { role: Role::Client, deflate, ping: self.ping }, subprotocol)))
    }
}

/// Returns `HOST:PORT` without the port if that is the default of `ws`, or of `wss`.
fn host_field(address: &str, is_secure: bool) -> &str {
    if socket_path(address).is_some() {
        return "localhost";
    }
    let default = if is_secure { 443 } else { 80 };
    match address.rsplit_once(':') {
        Some((host, port)) if port.parse() == Ok(default) => host,
        _ => address,
    }
}

fn sanitize(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn parse(head: &[u8]) -> Result<(u16, Fields), Failure> {
    let mut fields = [httparse::EMPTY_HEADER; Fields::MAX];
    let mut parsed = httparse::Response::new(&mut fields);
    match (parsed.parse(head), parsed.code) {
        (Ok(httparse::Status::Complete(_)), Some(status)) => Ok((status, Fields::of(parsed.headers))),
        _ => Err(Failure::Handshake),
    }
}
