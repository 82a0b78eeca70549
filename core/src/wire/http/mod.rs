//! The little HTTP around WebSocket (RFC 9110 and 9112): the upgrade, and a few endpoints on the same port.
//!
//! | path | what |
//! |---|---|
//! | any, or [`Http::path`] | the upgrade to WebSocket |
//! | `/` | a page that speaks it |
//! | `/healthz` | 200 as long as the machine turns, whatever `Host` says |
//! | `/readyz` | 200, with a line for each [tunnel](crate::tunnel) that says how it is; or 503 while the server drains; whatever `Host` says |
//! | any, with the method `OPTIONS` | as `/readyz`, without the tunnels |
//! | `/metrics` | the [`Metrics`](crate::Metrics) as Prometheus reads them (text format 0.0.4) |
//! | `/monitor` | with [`Http::monitor`]: a page that shows who is connected, and the upgrade to the WebSocket behind it |
//!
//! Requests are read strictly: what two readers could understand in two ways is refused (RFC 9112 section 11.2). What is
//! refused says why in its body, is told as [`Event::RequestRefused`](crate::Event), and counts in
//! [`Metrics::requests_refused`](crate::Metrics).

mod access;
mod authority;
mod client;
mod forwarded;
mod head;
mod origin;
mod status;
pub(crate) mod upgrade;

pub use access::{Access, Credential, CredentialError};
pub(crate) use access::{COOKIE_NAME, Shown};
pub(crate) use authority::Scheme;
pub use authority::{Authority, AuthorityError};
pub use client::OpeningHandshake;
pub use forwarded::{Forwarded, ForwardedField};
pub use head::Request;
pub(crate) use head::{Bad, HeadSearch, ParsedHead, parse_head};
pub use origin::{OriginError, Origins, WebOrigin};
pub(crate) use status::{Refused, Status};

use crate::base::setters;
use crate::wire::telnet::Telnet;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// How HTTP is served, and WebSocket after it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http {
    /// The path at which the upgrade to WebSocket is accepted; `None` is every path.
    pub path: Option<String>,
    /// Which pages may connect.
    pub origins: Origins,
    /// The subprotocols that are spoken, the preferred one first (RFC 6455 section 1.9).
    pub subprotocols: Vec<String>,
    /// Whether messages may be compressed (RFC 7692).
    pub deflate: bool,
    /// After this long without a byte from a peer, and again as often, it is pinged. At least 10 ms; zero is as `None`.
    pub ping: Option<Duration>,
    /// The names and addresses, with or without a port, by which browsers may know the server: the values of `Host` that are
    /// served. Without any, all are; but then a page of any name that is made to point here can speak to it (DNS rebinding).
    /// Whoever asks for its health need not know its name.
    pub hosts: Vec<Authority>,
    /// The proxies that say for whom they speak, if there are any.
    pub forwarded: Option<Forwarded>,
    /// What opens `/monitor`, and nothing else; without it there is none.
    pub monitor: Option<Credential>,
    /// Who may look at `/metrics`. What opens it opens nothing else.
    pub metrics: Access,
    /// Whether the page at `/` is served.
    pub page: bool,
    /// Telnet is spoken in the WebSocket's messages, which are one stream of bytes then.
    pub telnet: Option<Telnet>,
    /// How long until a request must be complete, from the opening of the connection or from the last answer. With zero it must
    /// come in the turn in which the connection begins.
    pub timeout: Duration,
}

setters!(Http {
    path: Option<String>,
    origins: Origins,
    subprotocols: Vec<String>,
    deflate: bool,
    ping: Option<Duration>,
    hosts: Vec<Authority>,
    forwarded: Option<Forwarded>,
    monitor: Option<Credential>,
    metrics: Access,
    page: bool,
    telnet: Option<Telnet>,
    timeout: Duration,
});

impl Default for Http {
    /// Every path and host, pages of the same origin, no proxies, open metrics, no monitor, the page, no telnet, no subprotocol, compression, a ping after 30 s, 10 s for a request.
    fn default() -> Self {
        Self {
            path: None,
            origins: Origins::Same,
            subprotocols: Vec::new(),
            deflate: true,
            ping: Some(Duration::from_secs(30)),
            hosts: Vec::new(),
            forwarded: None,
            monitor: None,
            metrics: Access::Open,
            page: true,
            telnet: None,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Http {
    /// Whether anything is opened by a credential.
    pub(crate) const fn has_credentials(&self) -> bool {
        self.monitor.is_some() || matches!(self.metrics, Access::Credential(_))
    }

    /// Says of a path that no request can have it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_path(path: &str) -> Result<(), &'static str> {
        if !path.starts_with('/') {
            return Err("a path begins with /");
        }
        if path.contains(['?', '#']) {
            return Err("a path has neither ? nor # in it");
        }
        let is_sent = path.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sent {
            Ok(())
        } else {
            Err("write the path as it is sent: blanks and letters beyond ASCII as %20 and the like")
        }
    }
}

#[cfg(test)]
mod tests;
