//! Bytes to messages and back.
//!
//! Every decoder has one shape: `decode(&mut self, input, budget)` looks at the front of `input`, says how
//! many bytes it used, and perhaps yields a message, borrowed from the input where it is whole there. What
//! is incomplete the decoder keeps, never more than the [`Budget`] allows, so that feeding one byte at a
//! time gives what feeding everything at once gives. `finish` says what the end of the input completes.

mod buffer;
mod decoded;
mod length;
mod line;

pub use decoded::{DecodeError, Decoded, EncodeError};
pub use length::{LengthDecoder, LengthPrefix, LengthPrefixed};
pub use line::{InvalidUtf8, LineDecoder, LineEnding, Lines};

use crate::Payload;
use crate::limit::Budget;
use alloc::vec::Vec;

/// How messages look on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wire {
    /// Text lines.
    Lines(Lines),
    /// Frames that begin with their length.
    LengthPrefixed(LengthPrefixed),
}

impl Wire {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn decoder(self) -> Decoder {
        match self {
            Self::Lines(lines) => Decoder::Lines(LineDecoder::new(lines)),
            Self::LengthPrefixed(frames) => Decoder::LengthPrefixed(LengthDecoder::new(frames)),
        }
    }

    /// Appends `payload` to `out` as one message.
    ///
    /// # Errors
    /// If the wire can't carry a message of that length; `out` is unchanged.
    pub fn encode(self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Lines(lines) => lines.encode(payload, out),
            Self::LengthPrefixed(frames) => frames.encode(payload, out)?,
        }
        Ok(())
    }
}

impl Default for Wire {
    /// Lines.
    fn default() -> Self {
        Self::Lines(Lines::default())
    }
}

/// A decoder for any wire.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decoder {
    /// For lines.
    Lines(LineDecoder),
    /// For frames that begin with their length.
    LengthPrefixed(LengthDecoder),
}

impl Decoder {
    /// Looks at the front of `input`; see the [module](self).
    ///
    /// # Errors
    /// If the input breaks the wire's rules or the budget. The decoder is of no use from then on.
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8], budget: &Budget) -> Result<Decoded<'a>, DecodeError> {
        match self {
            Self::Lines(lines) => lines.decode(input, budget),
            Self::LengthPrefixed(frames) => frames.decode(input, budget),
        }
    }

    /// The message that the end of the input completes, if any: an unterminated last line is one.
    ///
    /// # Errors
    /// If what is incomplete can't be a message.
    pub fn finish(&mut self, budget: &Budget) -> Result<Option<Payload<'_>>, DecodeError> {
        match self {
            Self::Lines(lines) => lines.finish(budget),
            Self::LengthPrefixed(frames) => frames.finish(),
        }
    }

    /// Whether a message has begun and is not complete.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.is_partial(),
            Self::LengthPrefixed(frames) => frames.is_partial(),
        }
    }
}

#[cfg(test)]
mod tests;
