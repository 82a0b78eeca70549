//! HTTP/1 on a listener (RFC 9110 and 9112): the upgrade to WebSocket, and a few endpoints.
//!
//! | path | response |
//! |---|---|
//! | any, or [`Http::path`] | the upgrade to WebSocket |
//! | `/` | a page with a WebSocket client, which [logs its user in](crate::PageLogin) |
//! | `/healthz` | 200 while the machine runs, for any `Host` |
//! | `/readyz` | 200 and the state of each [tunnel](crate::tunnel) and of the link to the [broker](crate::Cluster), for any `Host`; 503 while draining, or without the broker |
//! | any, with the method `OPTIONS` | 200, for any `Host`; 503 while draining |
//! | `/metrics` | the [`Metrics`](crate::Metrics) for Prometheus (text format 0.0.4) |
//! | `/monitor` | with [`Http::monitor`]: a page that lists the connections, and its WebSocket |
//! | `/api/...` | with [`Http::api`]: the response of the handler to a client that has the key |
//! | any other | with [`Http::files`]: the file at this path; otherwise what the handler [responds](crate::Hub::respond) |
//!
//! The handler responds during [`Event::Request`](crate::Event::Request), or
//! [later](crate::Hub::respond_later). Until then, further requests of the connection wait. With a
//! [stream of events](crate::Hub::respond_stream), the response lasts as long as the connection.
//!
//! With [`Http::body_max_bytes`], requests to the handler may have a body, with `Content-Length` or
//! in chunks (RFC 9112 sections 6 and 7). The head is checked before the body is read: credentials,
//! `Host`, rates and the declared length. A client that
//! [expects it](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1) gets `100 Continue`, or the
//! refusal at once. Memory grows with what arrives, never with what is declared, and a body has to
//! arrive within [`Http::timeout`] plus one second for each 16 KiB of it. A refusal that leaves a
//! body unread closes the connection (RFC 9112 section 9.6). Chunk extensions and trailers have at
//! most 8 KiB, and are dropped.
//!
//! The parser is strict: it refuses requests that two parsers could understand differently (RFC
//! 9112 section 11.2). The body of the response explains the refusal. Each refusal emits
//! [`Event::RequestRefused`](crate::Event) and counts in
//! [`Metrics::requests_refused`](crate::Metrics).

mod access;
mod authority;
mod body;
mod client;
mod fields;
mod files;
#[cfg(feature = "files")]
mod folder;
mod forwarded;
mod framing;
mod guarded;
mod head;
mod incoming;
mod origin;
mod response;
mod status;
pub(crate) mod upgrade;

pub use access::{Access, Credential, CredentialError};
pub(crate) use access::{COOKIE_NAME, Shown};
pub(crate) use authority::Scheme;
pub use authority::{Authority, AuthorityError};
pub(crate) use body::{Body, BodyError};
pub(crate) use client::INTERIM_MAX;
pub use client::OpeningHandshake;
pub(crate) use files::{File, Found};
pub use files::{Files, FilesError, FilesProblem};
pub use forwarded::{Forwarded, ForwardedField};
pub(crate) use framing::BODY_TOO_LONG;
pub(crate) use guarded::{API_PREFIX, Guarded, MONITOR_PATH};
pub use head::Request;
pub(crate) use head::{Bad, HEAD_MAX_BYTES, Head, HeadSearch, ParsedHead, find_head, parse_head};
#[cfg(feature = "auth")]
pub(crate) use incoming::Incoming;
pub(crate) use incoming::ResponseReader;
pub use origin::{OriginError, Origins, WebOrigin};
pub use response::{HttpResponse, RespondError};
pub(crate) use status::{Refused, Status};

use crate::base::setters;
use crate::wire::telnet::Telnet;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// Settings of a listener for HTTP and WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http {
    /// The path of the WebSocket. `None`: every path.
    pub path: Option<String>,
    /// The web pages that may open the WebSocket.
    pub origins: Origins,
    /// The supported subprotocols, preferred first (RFC 6455 section 1.9).
    pub subprotocols: Vec<String>,
    /// Whether messages may be compressed (RFC 7692).
    pub deflate: bool,
    /// Interval of pings to a peer that sends nothing.
    ///
    /// The first ping follows after this time without a byte from the peer. At least 10 ms. `None`
    /// and zero disable pings.
    pub ping: Option<Duration>,
    /// The accepted values of `Host`: names and addresses of the server, with or without a port.
    ///
    /// If empty, all values are accepted. A web page can then access the server through any name
    /// that resolves to it (DNS rebinding). Health checks may have any `Host`.
    pub hosts: Vec<Authority>,
    /// The trusted proxies that report the client's address, if any.
    pub forwarded: Option<Forwarded>,
    /// The credential for `/monitor`. It gives access to nothing else. `None`: no monitor.
    pub monitor: Option<Credential>,
    /// The key for requests below `/api/`, to which the handler responds. Default: `None`.
    ///
    /// Clients send the key in the field `X-API-Key`, or in `Authorization` after `apikey` or `Bearer`.
    /// Requests without the key get the status 401 before their body is read. Without a key in the
    /// options, these paths are like all others, so a handler must check [`Request::has_api_key`].
    pub api: Option<Credential>,
    /// The access policy of `/metrics`. Its credential gives access to nothing else.
    pub metrics: Access,
    /// Whether the page at `/` is served.
    pub page: bool,
    /// The static files. `None`: no files.
    ///
    /// Every peer that may connect can read them: there is no authentication. They go before the
    /// page, but not before health checks, metrics, the monitor and the path of the WebSocket.
    pub files: Option<Files>,
    /// The settings of telnet inside the WebSocket. `None`: no telnet.
    ///
    /// With telnet, the messages of the WebSocket form one byte stream.
    pub telnet: Option<Telnet>,
    /// Time limit for a complete request, from the opening of the connection or the last response.
    ///
    /// With zero, the request must arrive in the turn in which the connection begins. A
    /// [body](Self::body_max_bytes) has the same time again, and one second more for each
    /// 16 KiB of it.
    pub timeout: Duration,
    /// Maximum size of the body of a request that the handler responds to, in bytes.
    ///
    /// With 0, which is the default, requests with a body are refused. Values above
    /// [`BODY_MAX_BYTES`](Self::BODY_MAX_BYTES) count as that.
    pub body_max_bytes: u32,
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
    api: Option<Credential>,
    metrics: Access,
    page: bool,
    files: Option<Files>,
    telnet: Option<Telnet>,
    timeout: Duration,
    body_max_bytes: u32,
});

impl Default for Http {
    /// Returns settings for every path and host, pages of the same origin, and 10 s per request.
    ///
    /// They include the page, open metrics, compression and pings after 30 s, but no proxies,
    /// monitor, API, telnet, subprotocols or bodies.
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
            api: None,
            metrics: Access::Open,
            page: true,
            files: None,
            telnet: None,
            timeout: Duration::from_secs(10),
            body_max_bytes: 0,
        }
    }
}

impl Http {
    /// The highest limit for the body of a request: 16 MiB.
    pub const BODY_MAX_BYTES: u32 = 16 << 20;

    /// Returns the limit for the body of a request, in bytes.
    pub(crate) fn body_limit(&self) -> u32 {
        self.body_max_bytes.min(Self::BODY_MAX_BYTES)
    }

    /// Returns `true` if an endpoint requires a credential.
    pub(crate) const fn has_credentials(&self) -> bool {
        self.monitor.is_some() || self.api.is_some() || matches!(self.metrics, Access::Credential(_))
    }

    /// Returns the part with a credential of its own to which a path belongs.
    pub(crate) fn guards(&self, path: &str) -> Option<Guarded> {
        match path {
            MONITOR_PATH if self.monitor.is_some() => Some(Guarded::Monitor),
            path if self.api.is_some() && path.starts_with(API_PREFIX) => Some(Guarded::Api),
            _ => None,
        }
    }

    /// Checks that a request can have the path `path`.
    ///
    /// # Errors
    /// If the path is invalid. The error says what is wrong with it.
    pub fn check_path(path: &str) -> Result<(), &'static str> {
        if !path.starts_with('/') {
            return Err("a path must begin with /");
        }
        if path.contains(['?', '#']) {
            return Err("a path must not contain ? or #");
        }
        let is_sent = path.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sent {
            Ok(())
        } else {
            Err("percent-encode spaces and non-ASCII characters in the path (a space is %20)")
        }
    }
}

#[cfg(test)]
mod tests;
