//! The protocol of a listener: a fixed wire, automatic detection, HTTP, or SSH.

use crate::wire::http::Http;
use crate::wire::ssh::SshServer;
use crate::wire::telnet::InputMode;
use crate::wire::websocket::{Role, WebSocket};
use crate::wire::{Auto, InvalidUtf8, LineEnding, Lines, Raw, RawMode, Wire};
use alloc::sync::Arc;
use core::time::Duration;

/// The protocol of a listener: a fixed wire, automatic detection, HTTP, or SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// A fixed wire.
    Spoken(Wire),
    /// A wire or HTTP, detected from the peer's first bytes.
    Auto(Auto),
    /// HTTP, with upgrade to WebSocket.
    Http(Arc<Http>),
    /// SSH, in the role of the server.
    Ssh(Arc<SshServer>),
}

impl Protocol {
    /// Returns the fixed wire, or the wire to assume until the detection or the upgrade.
    #[must_use]
    pub const fn wire(&self) -> Wire {
        match self {
            Self::Spoken(wire) => *wire,
            Self::Auto(auto) => Wire::Lines(auto.lines),
            Self::Http(_) => Wire::WebSocket(WebSocket { role: Role::Server, deflate: None, ping: None }),
            // Before its version, an SSH server may send lines (RFC 4253 section 4.2).
            Self::Ssh(_) => Wire::Lines(Lines { ending: LineEnding::CrLf, invalid_utf8: InvalidUtf8::Replace }),
        }
    }

    /// Returns the initial input mode of telnet and SSH peers, and [`InputMode::Keys`] for raw keys.
    ///
    /// `None` for any other protocol without telnet.
    #[must_use]
    pub fn input_mode(&self) -> Option<InputMode> {
        match self {
            Self::Spoken(Wire::Telnet(telnet)) => Some(telnet.mode),
            Self::Spoken(Wire::Raw(Raw { mode: RawMode::Keys, .. })) => Some(InputMode::Keys),
            Self::Auto(auto) => Some(auto.telnet.mode),
            Self::Http(http) => http.telnet.map(|telnet| telnet.mode),
            Self::Ssh(server) => Some(server.mode),
            Self::Spoken(_) => None,
        }
    }

    /// Returns the time limit for the first request or the detection, or `None` for a fixed wire.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Spoken(_) => None,
            Self::Auto(auto) => Some(auto.wait),
            Self::Http(http) => Some(http.timeout),
            Self::Ssh(server) => Some(server.login_timeout),
        }
    }
}

impl From<Wire> for Protocol {
    fn from(wire: Wire) -> Self {
        Self::Spoken(wire)
    }
}
