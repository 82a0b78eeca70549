use super::{EncodeError, LengthPrefix, LineEnding};
use crate::Payload;
use crate::telnet::{self, Charset};
use crate::websocket::{Deflate, Deflater, Opcode, Role, compressed_frame, frame};
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
    },
}

impl Encoding {
    /// Appends `payload` to `out` as one message, not compressed.
    ///
    /// # Errors
    /// If the wire can't carry a message of that length; `out` is unchanged.
    pub fn encode(self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Lines(ending) => {
                out.extend_from_slice(payload.as_bytes());
                out.extend_from_slice(ending.as_bytes());
            }
            Self::LengthPrefixed(prefix) => prefix.encode(payload, out)?,
            Self::WebSocket { role, .. } => frame(opcode(payload), payload.as_bytes(), role.mask(), out),
            Self::Telnet { charset, .. } => {
                telnet::encode(payload, charset, out);
                out.extend_from_slice(LineEnding::CrLf.as_bytes());
            }
        }
        Ok(())
    }

    /// As [`encode`](Self::encode), compressed where that was agreed on and is worth it.
    pub(crate) fn encode_with(
        self,
        payload: Payload<'_>,
        deflater: &mut Deflater,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if let Self::WebSocket { role, deflate: Some(deflate) } = self
            && let Some(compressed) = deflater.compress(payload.as_bytes(), deflate)
        {
            compressed_frame(opcode(payload), &compressed, role.mask(), out);
            return Ok(());
        }
        self.encode(payload, out)
    }

    /// Appends `payload` without what marks it as a message; false if the wire has only messages.
    pub(crate) fn encode_raw(self, payload: Payload<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Lines(_) => out.extend_from_slice(payload.as_bytes()),
            Self::Telnet { charset, .. } => telnet::encode(payload, charset, out),
            Self::LengthPrefixed(_) | Self::WebSocket { .. } => return false,
        }
        true
    }

    pub(crate) const fn is_staged(self) -> bool {
        matches!(self, Self::Telnet { staged: true, .. })
    }
}

const fn opcode(payload: Payload<'_>) -> Opcode {
    match payload {
        Payload::Text(_) => Opcode::Text,
        Payload::Binary(_) => Opcode::Binary,
    }
}
