use super::{LengthPrefix, LineEnding};
use crate::telnet::{self, Charset};
use crate::websocket::{Deflate, Opcode, Role, frame};
use crate::{Payload, Representation};
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
        /// Whether what is written goes through the session, which draws an input line anew or compresses.
        staged: bool,
        /// Whether it is written in messages of a WebSocket.
        carried: bool,
    },
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
            Self::Telnet { charset, carried, .. } => {
                telnet_in(carried, out, |out| telnet::encode(payload, charset, out));
            }
            Self::LengthPrefixed(_) | Self::WebSocket { .. } => return false,
        }
        true
    }

    /// The same, in messages of a WebSocket or not.
    pub(crate) const fn carried(self, is_carried: bool) -> Self {
        match self {
            Self::Telnet { charset, staged, .. } => Self::Telnet { charset, staged, carried: is_carried },
            other => other,
        }
    }

    pub(crate) const fn is_staged(self) -> bool {
        matches!(self, Self::Telnet { staged: true, .. })
    }
}

/// Writes telnet as it is, or in a message of a WebSocket.
pub(super) fn telnet_in(carried: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !carried {
        return write(out);
    }
    let mut content = Vec::new();
    write(&mut content);
    frame(Opcode::Binary, &content, None, out);
}
