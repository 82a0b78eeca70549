use super::buffer::grow;
use super::decoded::{DecodeBuffer, Decoded};
use super::errors::{DecodeError, EncodeError};
use crate::base::{Payload, setters, work};
use crate::wire::Budget;
use alloc::vec::Vec;

/// Length-prefixed frames: each is a length, then that many bytes of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LengthPrefixed {
    /// The format of each frame's length.
    pub prefix: LengthPrefix,
}

setters!(LengthPrefixed { prefix: LengthPrefix });

/// The format of a frame's length: 1, 2, 4 or 8 bytes, or a variable-length number.
///
/// `Be` is big-endian (network order), `Le` is little-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of integer types, and the enum explains their suffixes")]
#[non_exhaustive]
pub enum LengthPrefix {
    U8,
    U16Be,
    U16Le,
    #[default]
    U32Be,
    U32Le,
    U64Be,
    U64Le,
    /// Unsigned LEB128 (DWARF 4 section 7.6), as in Protocol Buffers. At most ten bytes.
    ///
    /// Seven bits per byte, least significant group first. The top bit is set on all bytes but the
    /// last.
    Varint,
}

const VARINT_MAX_BYTES: usize = 10;

impl LengthPrefix {
    /// All formats of a length prefix.
    pub const ALL: [Self; 8] =
        [Self::U8, Self::U16Be, Self::U16Le, Self::U32Be, Self::U32Le, Self::U64Be, Self::U64Le, Self::Varint];

    /// Returns the name of the format in a [listening address](crate::Listen).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16Be => "u16be",
            Self::U16Le => "u16le",
            Self::U32Be => "u32be",
            Self::U32Le => "u32le",
            Self::U64Be => "u64be",
            Self::U64Le => "u64le",
            Self::Varint => "varint",
        }
    }

    /// Returns the greatest length that the prefix can express, in bytes.
    #[must_use]
    pub const fn max(self) -> u64 {
        match self {
            Self::U8 => u8::MAX as u64,
            Self::U16Be | Self::U16Le => u16::MAX as u64,
            Self::U32Be | Self::U32Le => u32::MAX as u64,
            Self::U64Be | Self::U64Le | Self::Varint => u64::MAX,
        }
    }

    /// Returns the size of the prefix in bytes, or `None` if `bytes` does not determine it.
    fn size(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::U8 => Some(1),
            Self::U16Be | Self::U16Le => Some(2),
            Self::U32Be | Self::U32Le => Some(4),
            Self::U64Be | Self::U64Le => Some(8),
            Self::Varint => bytes.iter().position(|byte| byte & 0x80 == 0).map(|last| last + 1),
        }
    }

    fn read(self, bytes: &[u8]) -> Result<u64, DecodeError> {
        let big = || bytes.iter().fold(0, |length, &byte| length << 8 | u64::from(byte));
        let little = || bytes.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
        match self {
            Self::U8 | Self::U16Be | Self::U32Be | Self::U64Be => Ok(big()),
            Self::U16Le | Self::U32Le | Self::U64Le => Ok(little()),
            // The tenth byte holds only the 64th bit.
            Self::Varint if bytes.len() == VARINT_MAX_BYTES && bytes[VARINT_MAX_BYTES - 1] > 1 => {
                Err(DecodeError::LengthOverflow)
            }
            Self::Varint => Ok(bytes.iter().rev().fold(0, |length, &byte| length << 7 | u64::from(byte & 0x7f))),
        }
    }

    pub(super) fn encode(self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let content = payload.as_bytes();
        let length = content.len() as u64;
        if length > self.max() {
            return Err(EncodeError::TooLong { bytes: content.len(), max: self.max() });
        }
        self.write(length, out);
        out.extend_from_slice(content);
        Ok(())
    }

    pub(super) fn write(self, length: u64, out: &mut Vec<u8>) {
        let (big, little) = (length.to_be_bytes(), length.to_le_bytes());
        match self {
            Self::U8 => out.extend_from_slice(&big[7..]),
            Self::U16Be => out.extend_from_slice(&big[6..]),
            Self::U16Le => out.extend_from_slice(&little[..2]),
            Self::U32Be => out.extend_from_slice(&big[4..]),
            Self::U32Le => out.extend_from_slice(&little[..4]),
            Self::U64Be => out.extend_from_slice(&big),
            Self::U64Le => out.extend_from_slice(&little),
            Self::Varint => {
                let mut rest = length;
                while rest >= 0x80 {
                    out.push(rest.to_le_bytes()[0] | 0x80);
                    rest >>= 7;
                }
                out.push(rest.to_le_bytes()[0]);
            }
        }
    }
}

/// Decoder of length-prefixed frames.
///
/// # Memory
/// At most `message_max_bytes` of content that has arrived. A length prefix alone reserves nothing.
/// A frame that arrives complete is not copied.
#[derive(Debug)]
pub struct LengthDecoder {
    frames: LengthPrefixed,
    state: State,
    partial: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first `count` bytes of a prefix have arrived.
    Prefix { bytes: [u8; VARINT_MAX_BYTES], count: usize },
    /// `missing` bytes of content have not arrived yet.
    Content { missing: usize },
}

const START: State = State::Prefix { bytes: [0; VARINT_MAX_BYTES], count: 0 };

impl LengthDecoder {
    /// Creates a decoder at the start of a stream.
    #[must_use]
    pub const fn new(frames: LengthPrefixed) -> Self {
        Self { frames, state: START, partial: Vec::new() }
    }

    pub(super) const fn prefix(&self) -> LengthPrefix {
        self.frames.prefix
    }

    /// Decodes the next frame at the front of `input`, if it is complete.
    ///
    /// The [module](super) describes the interface of the decoders.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] once the length is known and before any content is stored;
    /// [`DecodeError::LengthOverflow`] for a variable-length prefix beyond 64 bits.
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        let mut used = 0;
        if let State::Prefix { bytes, count } = &mut self.state {
            let max = budget.message_max_bytes.get();
            let Some(length) = take_prefix(self.frames.prefix, bytes, count, input, &mut used)? else {
                return Ok(Decoded::nothing(used));
            };
            let missing = usize::try_from(length).ok().filter(|&length| length <= max);
            self.state = State::Content { missing: missing.ok_or(DecodeError::TooLarge { max })? };
        }
        let State::Content { missing } = &mut self.state else { return Ok(Decoded::nothing(used)) };
        work::step(1);
        let arrived = input.len() - used;
        if self.partial.is_empty() && arrived >= *missing {
            let (from, to) = (used, used + *missing);
            self.state = START;
            return Ok(Decoded::of_message(to, Payload::Binary(&input[from..to])));
        }
        let take = arrived.min(*missing);
        work::step(take);
        let whole = self.partial.len() + *missing;
        grow(&mut self.partial, take, whole);
        self.partial.extend_from_slice(&input[used..used + take]);
        used += take;
        *missing -= take;
        if *missing > 0 {
            return Ok(Decoded::nothing(used));
        }
        self.state = START;
        buffer.bytes = core::mem::take(&mut self.partial);
        Ok(Decoded::of_message(used, Payload::Binary(&buffer.bytes)))
    }

    /// Checks that the input does not end inside a frame.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if a frame has begun.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        if self.is_partial() { Err(DecodeError::Truncated) } else { Ok(()) }
    }

    /// Returns `true` if a frame has begun and is not complete.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        match self.state {
            State::Prefix { count, .. } => count > 0,
            State::Content { .. } => true,
        }
    }
}

fn take_prefix(
    prefix: LengthPrefix,
    bytes: &mut [u8; VARINT_MAX_BYTES],
    count: &mut usize,
    input: &[u8],
    used: &mut usize,
) -> Result<Option<u64>, DecodeError> {
    while *used < input.len() {
        let Some(place) = bytes.get_mut(*count) else { return Err(DecodeError::LengthOverflow) };
        work::step(1 + *count);
        *place = input[*used];
        *used += 1;
        *count += 1;
        if prefix.size(&bytes[..*count]) == Some(*count) {
            return prefix.read(&bytes[..*count]).map(Some);
        }
    }
    if *count == VARINT_MAX_BYTES { Err(DecodeError::LengthOverflow) } else { Ok(None) }
}
