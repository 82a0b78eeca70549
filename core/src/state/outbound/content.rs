//! The content of a queued message: a payload that the wire encodes, or encoded bytes.

use crate::base::Payload;
use crate::wire::{EncodeError, Encoder, Encoding};
use alloc::vec::Vec;

/// Maximum length of an application's message, in bytes: offsets in a log have 32 bits.
const MESSAGE_MAX_BYTES: u64 = 1 << 30;

/// A message to be queued.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    Message(Payload<'a>),
    /// A message that has the encoding of its recipients already.
    Encoded(&'a [u8]),
}

impl<'a> From<Payload<'a>> for Content<'a> {
    fn from(payload: Payload<'a>) -> Self {
        Self::Message(payload)
    }
}

impl<'a> Content<'a> {
    /// Returns the payload. Encoded bytes count as binary.
    pub(super) const fn payload(self) -> Payload<'a> {
        match self {
            Self::Message(payload) => payload,
            Self::Encoded(bytes) => Payload::Binary(bytes),
        }
    }

    pub(super) fn write(self, encoder: &mut Encoder, encoding: Encoding, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Message(payload) => encoder.encode(encoding, payload, out)?,
            Self::Encoded(bytes) => out.extend_from_slice(bytes),
        }
        Ok(())
    }
}

/// Checks the length of a message against 1 GiB. Returns the length, in bytes.
pub(super) fn check_length(payload: Payload<'_>) -> Result<usize, EncodeError> {
    let bytes = payload.as_bytes().len();
    if bytes as u64 > MESSAGE_MAX_BYTES {
        return Err(EncodeError::TooLong { bytes, max: MESSAGE_MAX_BYTES });
    }
    Ok(bytes)
}
