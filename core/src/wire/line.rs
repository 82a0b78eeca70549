use super::buffer::grow;
use super::decoded::{DecodeBuffer, DecodeError, Decoded};
use crate::base::setters;
use crate::base::{Payload, work};
use crate::wire::Budget;
use alloc::string::String;
use alloc::vec::Vec;
use memchr::memchr2;

/// Text lines: one message, one line.
///
/// A line that comes in ends with LF, CR LF, or CR NUL (which RFC 854 writes for a bare carriage return, and
/// RFC 1123 section 3.3.1 has servers take for a line's end); the ending is not part of the message, and any
/// other CR or NUL is, but for a CR that is the very last byte of the input. A payload that is sent is written as it
/// is and ended; one that holds line feeds reads as several lines at the other end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lines {
    /// How lines that are sent end.
    pub ending: LineEnding,
    /// What happens to a line that is not UTF-8.
    pub invalid_utf8: InvalidUtf8,
}

setters!(Lines { ending: LineEnding, invalid_utf8: InvalidUtf8 });

/// How a line that is sent ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnding {
    /// Line feed.
    #[default]
    Lf,
    /// Carriage return and line feed.
    CrLf,
}

/// What happens to a line that is not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidUtf8 {
    /// The connection ends with [`Reason::InvalidUtf8`](crate::Reason::InvalidUtf8).
    #[default]
    Reject,
    /// What is invalid becomes U+FFFD. The result counts against the size limit: U+FFFD has three bytes.
    Replace,
    /// Lines are not looked at, and every message is [`Payload::Binary`].
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

/// Cuts a byte stream into lines.
///
/// # Memory
/// At most `message_max_bytes + 1` bytes of an incomplete line, and nothing between lines that arrive
/// whole. With [`InvalidUtf8::Replace`], as much again for the replaced line during the call.
#[derive(Debug)]
pub struct LineDecoder {
    lines: Lines,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

impl LineDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub const fn new(lines: Lines) -> Self {
        Self { lines, partial: Vec::new() }
    }

    /// Looks for the first line end in `input`; see the [module](super).
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] before anything over the limit is kept, [`DecodeError::InvalidUtf8`] by policy.
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
            // The carriage return of an ending may be the last byte kept.
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

    /// The unterminated last line, if there is one.
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

    /// Whether a line has begun and has not ended.
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
        // A last carriage return may turn out to belong to the ending.
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
    /// Where the line's content ends in the input.
    content: usize,
    used: usize,
}

/// A line as a message, by policy.
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
