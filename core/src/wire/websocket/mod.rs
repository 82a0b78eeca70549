//! WebSocket (RFC 6455): frames to messages and back, at either end.
//!
//! The handshake is HTTP and stands in [`http`](crate::http). A [`WebSocket`] is what is spoken after it.

mod close;
mod decoder;
mod deflate;
mod frame;
mod mask;
mod utf8;

pub use close::{CloseCode, CloseCodeError};
pub use decoder::WebSocketDecoder;
pub(crate) use decoder::{MessageStream, Piece};
pub use deflate::Deflate;
pub(crate) use deflate::{Deflater, Inflater};
pub(crate) use frame::compressed_frame;
pub use frame::{Opcode, frame};
pub(crate) use mask::Masks;

use crate::base::setters;
use core::time::Duration;

/// How WebSocket is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSocket {
    /// Which end we are: a server gets masked frames and sends plain ones, a client the other way round.
    pub role: Role,
    /// How messages are compressed, if that was agreed on.
    pub deflate: Option<Deflate>,
    /// After this long without a byte from the peer, and again as often, it is pinged, and the time until its pong is
    /// measured.
    pub ping: Option<Duration>,
}

setters!(WebSocket { role: Role, deflate: Option<Deflate>, ping: Option<Duration> });

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
