//! WebSocket (RFC 6455) as server and as client: conversion between frames and messages.
//!
//! The handshake is HTTP, and is in [`http`](crate::http). [`WebSocket`] configures the connection
//! after it.

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
pub use frame::{Opcode, frame};
pub(crate) use frame::{compressed_frame, fragment, last_content};
pub(crate) use mask::Masks;

use crate::base::setters;
use core::time::Duration;

/// Configuration of a WebSocket connection after the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSocket {
    /// The role of this endpoint.
    ///
    /// A server receives masked frames and sends unmasked ones. A client does the reverse.
    pub role: Role,
    /// The parameters of permessage-deflate (RFC 7692). `None` if it was not negotiated.
    pub deflate: Option<Deflate>,
    /// How long the peer may be silent before it is pinged, and how often the ping is repeated.
    ///
    /// The time until the pong is measured.
    pub ping: Option<Duration>,
}

setters!(WebSocket { role: Role, deflate: Option<Deflate>, ping: Option<Duration> });

/// The role of an endpoint of a WebSocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// The endpoint that accepted the connection.
    #[default]
    Server,
    /// The endpoint that opened the connection.
    Client,
}

#[cfg(test)]
mod tests;
