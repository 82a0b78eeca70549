use super::events::EventFormat;
use super::{Custom, Delimiter, LengthPrefix, LineEnding};
use crate::base::{Payload, Representation};
use crate::wire::telnet;
use crate::wire::telnet::Charset;
use crate::wire::websocket::{Deflate, Opcode, Role, frame};
use alloc::vec::Vec;

/// The encoding of the messages sent on a connection.
///
/// Connections with the same encoding share the encoded bytes of a published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// The content, followed by a line ending.
    Lines(LineEnding),
    /// The length, followed by the content.
    LengthPrefixed(LengthPrefix),
    /// A WebSocket frame, text or binary like the payload.
    #[non_exhaustive]
    WebSocket {
        /// The role of this endpoint.
        role: Role,
        /// The parameters of the negotiated compression, if any.
        deflate: Option<Deflate>,
    },
    /// The content for a network virtual terminal (RFC 854), followed by CR LF.
    #[non_exhaustive]
    Telnet {
        /// The character set of text. Binary content is sent unchanged.
        charset: Charset,
        /// How the message reaches the peer.
        path: TelnetPath,
    },
    /// The content alone.
    Raw,
    /// The content, followed by a delimiter.
    Delimited(Delimiter),
    /// Events of a stream in one direction.
    Events(EventFormat),
    /// The frame of a [`Codec`](super::Codec) of the application.
    Custom(Custom),
}

/// How telnet output reaches the peer.
///
/// Each message is framed at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TelnetPath {
    /// Directly, without a frame.
    Direct,
    /// Each message in a binary WebSocket frame.
    Framed,
    /// Through the session, which redraws an input line or compresses.
    ///
    /// Its output is framed if telnet is inside a WebSocket.
    Session,
}

impl Encoding {
    /// Returns the representation with which a connection of this encoding begins.
    pub(crate) const fn representation(self) -> Representation {
        match self {
            Self::WebSocket { .. } | Self::LengthPrefixed(_) | Self::Delimited(_) | Self::Events(_) => {
                Representation::Json
            }
            Self::Lines(_) | Self::Telnet { .. } | Self::Raw => Representation::Text,
            Self::Custom(custom) => custom.representation(),
        }
    }

    /// Appends `payload` to `out` without an ending. Returns `false` if the wire has other framing.
    pub(crate) fn encode_raw(self, payload: Payload<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Lines(_) | Self::Raw => out.extend_from_slice(payload.as_bytes()),
            Self::Telnet { charset, path } => {
                telnet_by(path, out, |out| telnet::encode(payload, charset, out));
            }
            Self::LengthPrefixed(_)
            | Self::Delimited(_)
            | Self::WebSocket { .. }
            | Self::Events(_)
            | Self::Custom(_) => return false,
        }
        true
    }

    /// Converts the encoding of plain telnet to that of telnet inside a WebSocket.
    pub(crate) const fn in_websocket(self) -> Self {
        match self {
            Self::Telnet { charset, path: TelnetPath::Direct } => Self::Telnet { charset, path: TelnetPath::Framed },
            other => other,
        }
    }

    pub(crate) const fn is_buffered(self) -> bool {
        matches!(self, Self::Telnet { path: TelnetPath::Session, .. })
    }
}

/// Appends the telnet output of `write`, in a WebSocket frame if `path` requires one.
pub(super) fn telnet_by(path: TelnetPath, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if path != TelnetPath::Framed {
        return write(out);
    }
    let mut content = Vec::new();
    write(&mut content);
    frame(Opcode::Binary, &content, None, out);
}
