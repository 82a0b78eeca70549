//! The protocol of a listener: a wire, or how it is found out.

use crate::wire::http::Http;
use crate::wire::telnet::InputMode;
use crate::wire::websocket::{Role, WebSocket};
use crate::wire::{Auto, Wire};
use alloc::sync::Arc;
use core::time::Duration;

/// The protocol of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// This wire.
    Spoken(Wire),
    /// Detected from the peer's first bytes.
    Auto(Auto),
    /// HTTP, with upgrade to WebSocket.
    Http(Arc<Http>),
}

impl Protocol {
    /// The wire to assume until it is detected.
    #[must_use]
    pub const fn wire(&self) -> Wire {
        match self {
            Self::Spoken(wire) => *wire,
            Self::Auto(auto) => Wire::Lines(auto.lines),
            Self::Http(_) => Wire::WebSocket(WebSocket { role: Role::Server, deflate: None, ping: None }),
        }
    }

    /// The initial input mode of telnet peers. `None` for protocols without telnet.
    #[must_use]
    pub fn input_mode(&self) -> Option<InputMode> {
        match self {
            Self::Spoken(Wire::Telnet(telnet)) => Some(telnet.mode),
            Self::Auto(auto) => Some(auto.telnet.mode),
            Self::Http(http) => http.telnet.map(|telnet| telnet.mode),
            Self::Spoken(_) => None,
        }
    }

    /// Time limit for the protocol to be known. `None` if it is known from the start.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Spoken(_) => None,
            Self::Auto(auto) => Some(auto.wait),
            Self::Http(http) => Some(http.timeout),
        }
    }
}

impl From<Wire> for Protocol {
    fn from(wire: Wire) -> Self {
        Self::Spoken(wire)
    }
}
