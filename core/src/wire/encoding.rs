use super::{LengthPrefix, LineEnding};
use crate::base::{Payload, Representation};
use crate::wire::telnet;
use crate::wire::telnet::Charset;
use crate::wire::websocket::{Deflate, Opcode, Role, frame};
use alloc::vec::Vec;

/// How messages are written. Connections with the same encoding share the bytes of what is published to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// The content and a line ending.
    Lines(LineEnding),
    /// The length and the content.
    LengthPrefixed(LengthPrefix),
    /// A frame of a WebSocket: text or binary, as it is sent.
    #[non_exhaustive]
    WebSocket {
        /// Which end we are.
        role: Role,
        /// How messages are compressed.
        deflate: Option<Deflate>,
    },
    /// The content as network virtual terminals show it, and CR LF.
    #[non_exhaustive]
    Telnet {
        /// How text is written. Binary is written as it is.
        charset: Charset,
        /// How it gets to the peer.
        path: TelnetPath,
    },
}

/// How what is written for a telnet peer gets to it: each message is framed at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TelnetPath {
    /// As it is written.
    Direct,
    /// Each message in a binary frame of a WebSocket.
    Framed,
    /// Through the session, which draws an input line anew or compresses, and whose output is framed where that is needed.
    Session,
}

impl Encoding {
    /// What a connection begins with.
    pub(crate) const fn representation(self) -> Representation {
        match self {
            Self::WebSocket { .. } | Self::LengthPrefixed(_) => Representation::Json,
            Self::Lines(_) | Self::Telnet { .. } => Representation::Text,
        }
    }

    /// Appends `payload` without what marks it as a message; false if the wire has only messages.
    pub(crate) fn encode_raw(self, payload: Payload<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Lines(_) => out.extend_from_slice(payload.as_bytes()),
            Self::Telnet { charset, path } => {
                telnet_by(path, out, |out| telnet::encode(payload, charset, out));
            }
            Self::LengthPrefixed(_) | Self::WebSocket { .. } => return false,
        }
        true
    }

    /// The same for a peer whose telnet is in the messages of a WebSocket.
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

/// Writes telnet as it is, or in a message of a WebSocket.
pub(super) fn telnet_by(path: TelnetPath, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if path != TelnetPath::Framed {
        return write(out);
    }
    let mut content = Vec::new();
    write(&mut content);
    frame(Opcode::Binary, &content, None, out);
}
