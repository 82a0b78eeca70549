//! Bytes to messages and back.
//!
//! Every decoder has one shape: `decode(&mut self, input, budget)` looks at the front of `input`, says how
//! many bytes it used, and perhaps yields a message, borrowed from the input where it is whole there. What
//! is incomplete the decoder keeps, never more than the [`Budget`] allows, so that feeding one byte at a
//! time gives what feeding everything at once gives. `finish` says what the end of the input completes.

mod length;
mod line;

pub use length::{LengthDecoder, LengthPrefix, LengthPrefixed};
pub use line::{InvalidUtf8, LineDecoder, LineEnding, Lines};

use crate::limit::Budget;
use crate::{Payload, Reason};
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

/// What one call of a decoder did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// How many bytes of the input are done with: at least one, unless the input was empty.
    pub used: usize,
    /// The message that these bytes completed, if any.
    pub message: Option<Payload<'a>>,
}

/// The peer sent something that its wire doesn't allow. The decoder can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More content than the budget allows.
    #[error("the message is longer than {max} bytes")]
    TooLarge {
        /// The budget's limit, in bytes.
        max: usize,
    },
    /// Not UTF-8, where the wire demands it.
    #[error("the text is not valid UTF-8 from byte {valid_up_to} of the message on")]
    InvalidUtf8 {
        /// How many bytes of the message are valid.
        valid_up_to: usize,
    },
    /// A variable-length prefix that is longer than ten bytes or does not fit in 64 bits.
    #[error("the length prefix does not fit in 64 bits")]
    LengthOverflow,
    /// The input ended inside a frame.
    #[error("the input ended inside a frame")]
    Truncated,
}

impl DecodeError {
    /// The reason a connection ends with for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::MessageTooLarge,
            Self::InvalidUtf8 { .. } => Reason::InvalidUtf8,
            Self::LengthOverflow => Reason::MalformedFrame,
            Self::Truncated => Reason::PeerClosed,
        }
    }
}

/// The message does not fit in what the wire's length prefix can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {bytes} bytes does not fit this wire, whose longest is {max}")]
pub struct EncodeError {
    /// The length of the message, in bytes.
    pub bytes: usize,
    /// The longest that the wire can carry, in bytes.
    pub max: u64,
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
