//! WebSocket (RFC 6455): frames to messages and back, at either end.
//!
//! The handshake is HTTP and stands in [`http`](crate::http). A [`WebSocket`] is what is spoken after it.

mod close;
mod decoder;
mod frame;
mod utf8;

pub use close::{CloseCode, CloseCodeError};
pub use decoder::WebSocketDecoder;
pub use frame::{Opcode, frame};

/// How WebSocket is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebSocket {
    /// Which end we are: a server gets masked frames and sends plain ones, a client the other way round.
    pub role: Role,
}

/// Which end of a WebSocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The one that was connected to.
    #[default]
    Server,
    /// The one that connected.
    Client,
}

#[cfg(test)]
mod tests;
