use super::encoding::telnet_by;
use super::{EncodeError, Encoding, LineEnding};
use crate::base::Payload;
use crate::wire::telnet;
use crate::wire::websocket::{Deflater, Masks, Opcode, compressed_frame, frame};
use alloc::vec::Vec;

/// Encoder of messages for any number of connections, on any wire.
#[derive(Debug, Default)]
pub struct Encoder {
    deflater: Deflater,
    pub(crate) masks: Masks,
}

impl Encoder {
    /// Creates an encoder that derives its masks from `seed`.
    ///
    /// Only clients of a WebSocket mask frames. The seed should be secret.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { masks: Masks::new(seed), ..Self::default() }
    }

    /// Appends `payload` to `out` as one message.
    ///
    /// Compresses it if compression was negotiated and makes it smaller.
    ///
    /// # Errors
    /// If the wire cannot carry the message. `out` is then unchanged.
    pub fn encode(&mut self, encoding: Encoding, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match encoding {
            Encoding::Lines(ending) => {
                out.extend_from_slice(payload.as_bytes());
                out.extend_from_slice(ending.as_bytes());
            }
            Encoding::Raw => out.extend_from_slice(payload.as_bytes()),
            Encoding::Delimited(delimiter) => delimiter.encode(payload, out)?,
            Encoding::Events(format) => format.encode(payload, out)?,
            Encoding::Custom(custom) => custom.encode(payload, out)?,
            Encoding::LengthPrefixed(prefix) => prefix.encode(payload, out)?,
            Encoding::WebSocket { role, deflate } => {
                let mask = self.masks.next(role);
                let content = payload.as_bytes();
                match deflate.and_then(|deflate| self.deflater.compress(content, deflate)) {
                    Some(compressed) => compressed_frame(opcode(payload), &compressed, mask, out),
                    None => frame(opcode(payload), content, mask, out),
                }
            }
            Encoding::Telnet { charset, path } => telnet_by(path, out, |out| {
                telnet::encode(payload, charset, out);
                out.extend_from_slice(LineEnding::CrLf.as_bytes());
            }),
        }
        Ok(())
    }

    /// Returns the number of compressed messages, including those that did not become smaller.
    #[must_use]
    pub const fn compressed(&self) -> u64 {
        self.deflater.count
    }
}

const fn opcode(payload: Payload<'_>) -> Opcode {
    match payload {
        Payload::Text(_) => Opcode::Text,
        Payload::Binary(_) => Opcode::Binary,
    }
}
