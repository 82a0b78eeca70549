//! Decoding of lines that the peer's terminal edits.

use super::Session;
use crate::base::work;
use crate::wire::telnet::end::Found;
use crate::wire::telnet::{Charset, IAC};
use crate::wire::{DecodeError, grow};
use alloc::vec::Vec;
use memchr::memchr3;
use unicode_segmentation::UnicodeSegmentation;

/// Maximum number of bytes that one call searches for a line ending.
const SEARCHED_MAX_BYTES: usize = 8 << 10;
/// Control characters that erase the character before them.
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

impl Session {
    /// Takes data at the front of `rest`, up to a line ending, a command, or a size or cost limit.
    ///
    /// A line ends with CR LF, CR NUL, CR or LF. CR NUL is a bare CR in RFC 854, which a server
    /// accepts as a line ending (RFC 1123 section 3.3.1).
    pub(super) fn take_line(
        &mut self,
        rest: &[u8],
        kept: &mut Vec<u8>,
        max: usize,
    ) -> Result<(usize, Found), DecodeError> {
        let belongs_to_cr = core::mem::take(&mut self.after_cr) && matches!(rest.first(), Some(b'\n' | 0));
        let start = usize::from(belongs_to_cr);
        let searched = rest.len().min(SEARCHED_MAX_BYTES);
        let ending = memchr3(b'\r', b'\n', IAC, &rest[start..searched]).map(|at| start + at);
        work::step(1 + ending.unwrap_or(searched));
        let Some(end) = ending.filter(|&end| rest[end] != IAC) else {
            let end = ending.unwrap_or(searched);
            let kept = self.keep(&rest[start..end], max)?;
            return Ok((start + kept, Found::Nothing));
        };
        let line = &rest[start..end];
        let is_plain = self.partial.is_empty() && !line.iter().any(|byte| matches!(*byte, 0 | BACKSPACE | DELETE));
        if !is_plain {
            let taken = self.keep(line, max)?;
            if taken < line.len() {
                return Ok((start + taken, Found::Nothing));
            }
        }
        let mut used = end + 1;
        if rest[end] == b'\r' {
            match rest.get(used) {
                Some(b'\n' | 0) => used += 1,
                Some(&byte) if byte != IAC => {}
                _ => self.after_cr = true,
            }
        }
        let found = if is_plain {
            Found::Here(start..end)
        } else {
            *kept = core::mem::take(&mut self.partial);
            Found::Kept
        };
        self.line_came();
        Ok((used, found))
    }

    /// Handles a doubled IAC, which stands for one data byte of 255.
    pub(super) fn take_escaped(&mut self, kept: &mut Vec<u8>, max: usize) -> Result<Found, DecodeError> {
        if self.types_here() {
            return Ok(self.take_key(IAC, kept, max));
        }
        self.after_cr = false;
        self.keep(&[IAC], max)?;
        Ok(Found::Nothing)
    }

    /// Appends data to the unfinished line, up to the cost limit. Returns how many bytes it took.
    ///
    /// It applies erase characters, because some terminals send them in line mode.
    fn keep(&mut self, line: &[u8], max: usize) -> Result<usize, DecodeError> {
        let mut bytes = line;
        while !bytes.is_empty() {
            let run = bytes.iter().position(|byte| matches!(*byte, 0 | BACKSPACE | DELETE)).unwrap_or(bytes.len());
            if self.partial.len() + run > max {
                return Err(DecodeError::TooLarge { max });
            }
            work::step(1 + run);
            grow(&mut self.partial, run, max);
            self.partial.extend_from_slice(&bytes[..run]);
            if matches!(bytes.get(run), Some(&(BACKSPACE | DELETE))) {
                self.erase_character();
            }
            bytes = bytes.get(run + 1..).unwrap_or_default();
            if self.has_done_enough() {
                break;
            }
        }
        Ok(line.len() - bytes.len())
    }

    /// Erases the last character of the unfinished line in line mode.
    pub(super) fn erase_character(&mut self) {
        work::step(1);
        let mut last = usize::from(!self.partial.is_empty());
        let ends_plain = matches!(self.partial[..], [.., 0..0x80, 0..0x80] | [0..0x80] | []);
        if self.terminal.charset == Charset::Utf8 && !ends_plain {
            // Search only the end, to bound the cost of a key.
            let mut tail = &self.partial[self.partial.len().saturating_sub(CLUSTER_MAX_BYTES)..];
            work::step(tail.len());
            self.spent += tail.len();
            while tail.first().is_some_and(|byte| byte & 0xc0 == 0x80) {
                tail = &tail[1..];
            }
            last = tail.utf8_chunks().last().map_or(last, |chunk| match chunk.invalid() {
                [] => chunk.valid().graphemes(true).next_back().map_or(last, str::len),
                invalid => invalid.len(),
            });
        }
        self.partial.truncate(self.partial.len() - last);
    }

    /// Clears the prompt and ends hidden input after a complete line.
    fn line_came(&mut self) {
        self.prompt.clear();
        if self.hidden {
            self.set_hidden(false);
            // The peer's terminal did not echo the line ending either.
            if self.terminal.is_telnet {
                self.output.extend_from_slice(b"\r\n");
            }
        }
    }
}

const CLUSTER_MAX_BYTES: usize = 64;
