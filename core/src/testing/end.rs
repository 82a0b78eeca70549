//! The peer's end of a protocol that answers by itself.

use super::telnet_end::TelnetEnd;
use super::websocket_end::WebSocketEnd;
use alloc::boxed::Box;
use alloc::vec::Vec;

pub(super) enum PeerEnd {
    WebSocket(Box<WebSocketEnd>),
    Telnet(Box<TelnetEnd>),
}

impl PeerEnd {
    /// Decodes received bytes. Returns the bytes to send in answer.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::WebSocket(socket) => socket.take(bytes),
            Self::Telnet(telnet) => telnet.take(bytes),
        }
    }

    /// Discards the messages that were received.
    pub(super) fn clear(&mut self) {
        match self {
            Self::WebSocket(socket) => socket.clear(),
            Self::Telnet(_) => {}
        }
    }
}
