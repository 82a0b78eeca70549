use super::buffer::grow;
use super::decoded::{DecodeBuffer, Decoded};
use super::errors::DecodeError;
use crate::base::setters;
use crate::base::{Payload, work};
use crate::wire::Budget;
use alloc::string::String;
use alloc::vec::Vec;
use memchr::memchr2;

/// Text lines: each line is a message.
///
/// A received line ends with LF, CR LF or CR NUL. RFC 854 writes a bare carriage return as CR NUL,
/// and servers must accept it as a line end (RFC 1123 section 3.3.1). The ending is not part of the
/// message. Any other CR or NUL is, except a CR that is the last byte of the input.
///
/// A sent payload is written unchanged, followed by the ending. If it contains line feeds, the peer
/// receives several lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lines {
    /// The ending of sent lines.
    pub ending: LineEnding,
    /// How received lines that are not UTF-8 are handled.
    pub invalid_utf8: InvalidUtf8,
}

setters!(Lines { ending: LineEnding, invalid_utf8: InvalidUtf8 });

/// The ending of a sent line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineEnding {
    /// Line feed (LF).
    #[default]
    Lf,
    /// Carriage return and line feed (CR LF).
    CrLf,
}

/// How a received message that is not UTF-8 is handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidUtf8 {
    /// The connection ends with [`Reason::InvalidUtf8`](crate::Reason::InvalidUtf8).
    #[default]
    Reject,
    /// Invalid sequences become U+FFFD.
    ///
    /// The result counts against the size limit, and U+FFFD has three bytes.
    Replace,
    /// Messages are not checked, and each is [`Payload::Binary`].
    Bytes,
}

impl LineEnding {
    pub(crate) const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// Decoder of text lines.
///
/// # Memory
/// At most `message_max_bytes + 1` bytes of an incomplete line, and nothing between complete lines.
/// With [`InvalidUtf8::Replace`], as much again for the replaced line during the call.
#[derive(Debug)]
pub struct LineDecoder {
    lines: Lines,
    /// The beginning of an incomplete line.
    partial: Vec<u8>,
}

impl LineDecoder {
    /// Creates a decoder at the start of a stream.
    #[must_use]
    pub const fn new(lines: Lines) -> Self {
        Self { lines, partial: Vec::new() }
    }

    /// Decodes the next line at the front of `input`, if it is complete.
    ///
    /// The [module](super) describes the interface of the decoders.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] before anything over the limit is stored;
    /// [`DecodeError::InvalidUtf8`] with [`InvalidUtf8::Reject`].
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        let max = budget.message_max_bytes.get();
        work::step(1);
        let Some(Ending { content, used }) = self.find_ending(input) else {
            return self.keep(input, max);
        };
        let line: &[u8] = if self.partial.is_empty() {
            &input[..content]
        } else {
            // The CR of the ending may be the last stored byte.
            let kept_cr = used == 1 && self.partial.last() == Some(&b'\r');
            let whole = self.partial.len() - usize::from(kept_cr) + content;
            if whole > max {
                return Err(DecodeError::TooLarge { max });
            }
            self.partial.truncate(self.partial.len() - usize::from(kept_cr));
            grow(&mut self.partial, content, max);
            self.partial.extend_from_slice(&input[..content]);
            buffer.bytes = core::mem::take(&mut self.partial);
            &buffer.bytes
        };
        text(line, self.lines.invalid_utf8, max, &mut buffer.text).map(|message| Decoded::of_message(used, message))
    }

    /// Returns the unterminated last line, if any.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        if self.partial.is_empty() {
            return Ok(None);
        }
        let max = budget.message_max_bytes.get();
        buffer.bytes = core::mem::take(&mut self.partial);
        let line = buffer.bytes.strip_suffix(b"\r").unwrap_or(&buffer.bytes);
        text(line, self.lines.invalid_utf8, max, &mut buffer.text).map(Some)
    }

    /// Returns `true` if a line has begun and is not complete.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    fn find_ending(&self, input: &[u8]) -> Option<Ending> {
        let mut from = 0;
        loop {
            let found = memchr2(b'\n', 0, &input[from..]);
            work::step(found.unwrap_or(input.len() - from) + 1);
            let at = from + found?;
            let after_cr = match at.checked_sub(1) {
                Some(before) => input[before] == b'\r',
                None => self.partial.last() == Some(&b'\r'),
            };
            if input[at] == b'\n' || after_cr {
                return Some(Ending { content: at - usize::from(after_cr && at > 0), used: at + 1 });
            }
            from = at + 1;
        }
    }

    fn keep<'a>(&mut self, input: &[u8], max: usize) -> Result<Decoded<'a>, DecodeError> {
        // A final CR may belong to the ending.
        let ends_with_cr = input.last().or(self.partial.last()) == Some(&b'\r');
        if self.partial.len() + input.len() > max + usize::from(ends_with_cr) {
            return Err(DecodeError::TooLarge { max });
        }
        grow(&mut self.partial, input.len(), max + 1);
        self.partial.extend_from_slice(input);
        Ok(Decoded::nothing(input.len()))
    }
}

struct Ending {
    /// Offset in the input at which the line's content ends.
    content: usize,
    used: usize,
}

/// Converts bytes into a message, and handles invalid UTF-8 according to `policy`.
pub(crate) fn text<'a>(
    line: &'a [u8],
    policy: InvalidUtf8,
    max: usize,
    replaced: &'a mut String,
) -> Result<Payload<'a>, DecodeError> {
    if line.len() > max {
        return Err(DecodeError::TooLarge { max });
    }
    if policy == InvalidUtf8::Bytes {
        return Ok(Payload::Binary(line));
    }
    work::step(line.len());
    match core::str::from_utf8(line) {
        Ok(text) => Ok(Payload::Text(text)),
        Err(_) if policy == InvalidUtf8::Replace => replace(line, max, replaced),
        Err(error) => Err(DecodeError::InvalidUtf8 { valid_up_to: error.valid_up_to() }),
    }
}

fn replace<'a>(line: &[u8], max: usize, replaced: &'a mut String) -> Result<Payload<'a>, DecodeError> {
    const MARK: &str = "\u{fffd}";
    work::step(2 * line.len());
    let mark = |invalid: &[u8]| if invalid.is_empty() { "" } else { MARK };
    let length = line.utf8_chunks().map(|chunk| chunk.valid().len() + mark(chunk.invalid()).len()).sum();
    if length > max {
        return Err(DecodeError::TooLarge { max });
    }
    replaced.clear();
    replaced.reserve_exact(length);
    for chunk in line.utf8_chunks() {
        replaced.push_str(chunk.valid());
        replaced.push_str(mark(chunk.invalid()));
    }
    Ok(Payload::Text(replaced))
}
