//! The server's text: lines, prompts, or pieces of a stream.

use super::{ClientSession, Delivery};
use crate::base::work;
use crate::wire::telnet::end::Found;
use crate::wire::telnet::{Charset, IAC, Side, option};
use crate::wire::{DecodeBuffer, DecodeError, InvalidUtf8, grow};
use alloc::vec::Vec;
use memchr::{memchr, memchr2};

/// Maximum number of bytes that one call searches for a line ending.
const SEARCHED_MAX_BYTES: usize = 8 << 10;
/// Maximum length in UTF-8 of one byte of text: invalid bytes become U+FFFD.
const GROWTH_MAX: usize = 3;

impl ClientSession {
    /// Takes data at the front of `rest`, up to a command, or a size limit.
    pub(super) fn take_data(
        &mut self,
        rest: &[u8],
        buffer: &mut DecodeBuffer,
        max: usize,
    ) -> Result<(usize, Found), DecodeError> {
        match self.config.delivery {
            Delivery::Lines => self.take_line(rest, &mut buffer.bytes, max),
            Delivery::Stream => self.take_piece(rest, buffer, max),
        }
    }

    /// Handles a doubled IAC, which stands for one data byte of 255.
    pub(super) fn take_escaped(&mut self, buffer: &mut DecodeBuffer, max: usize) -> Result<Found, DecodeError> {
        match self.config.delivery {
            Delivery::Lines => self.keep(&[IAC], max).map(|()| Found::Nothing),
            Delivery::Stream => self.decode_piece(&[IAC], buffer),
        }
    }

    /// Takes the unfinished line as a prompt. `Found::Nothing` if there is none.
    pub(super) fn take_prompt(&mut self, kept: &mut Vec<u8>) -> Found {
        if self.partial.is_empty() || self.config.delivery != Delivery::Lines {
            return Found::Nothing;
        }
        self.finish_partial(kept);
        Found::Prompt
    }

    fn take_line(&mut self, rest: &[u8], kept: &mut Vec<u8>, max: usize) -> Result<(usize, Found), DecodeError> {
        let searched = rest.len().min(SEARCHED_MAX_BYTES);
        let ending = memchr2(b'\n', IAC, &rest[..searched]);
        work::step(1 + ending.unwrap_or(searched));
        let Some(end) = ending.filter(|&end| rest[end] == b'\n') else {
            let end = ending.unwrap_or(searched);
            self.keep(&rest[..end], max)?;
            return Ok((end, Found::Nothing));
        };
        let line = &rest[..end];
        if self.partial.is_empty() && memchr(0, line).is_none() {
            let start = line.iter().take_while(|&&byte| byte == b'\r').count();
            let trailing = line[start..].iter().rev().take_while(|&&byte| byte == b'\r').count();
            return Ok((end + 1, Found::Here(start..end - trailing)));
        }
        self.keep(line, max)?;
        self.finish_partial(kept);
        Ok((end + 1, Found::Kept))
    }

    /// Moves the unfinished line to `kept`, without CRs at its end.
    fn finish_partial(&mut self, kept: &mut Vec<u8>) {
        *kept = core::mem::take(&mut self.partial);
        let trailing = kept.iter().rev().take_while(|&&byte| byte == b'\r').count();
        work::step(1 + trailing);
        kept.truncate(kept.len() - trailing);
    }

    /// Appends data to the unfinished line, without NULs, and without CRs at its beginning.
    fn keep(&mut self, data: &[u8], max: usize) -> Result<(), DecodeError> {
        work::step(data.len());
        for run in data.split(|&byte| byte == 0) {
            let mut run = run;
            while self.partial.is_empty()
                && let [b'\r', behind @ ..] = run
            {
                run = behind;
            }
            if self.partial.len() + run.len() > max {
                return Err(DecodeError::TooLarge { max });
            }
            grow(&mut self.partial, run.len(), max);
            self.partial.extend_from_slice(run);
        }
        Ok(())
    }

    /// Takes a piece of the stream, as long as its text is within the limit.
    fn take_piece(
        &mut self,
        rest: &[u8],
        buffer: &mut DecodeBuffer,
        max: usize,
    ) -> Result<(usize, Found), DecodeError> {
        // One character may be longer than the limit of a message.
        let limit = (max / GROWTH_MAX).saturating_sub(self.partial.len()).clamp(1, SEARCHED_MAX_BYTES);
        let searched = &rest[..rest.len().min(limit)];
        let piece = &searched[..memchr(IAC, searched).unwrap_or(searched.len())];
        work::step(3 * piece.len());
        if self.partial.is_empty()
            && (piece.is_ascii() || self.config.invalid_utf8 == InvalidUtf8::Bytes)
            && (memchr(0, piece).is_none() || self.is_on(Side::Him, option::BINARY))
        {
            return Ok((piece.len(), Found::Here(0..piece.len())));
        }
        Ok((piece.len(), self.decode_piece(piece, buffer)?))
    }

    /// Decodes a piece of the stream into `buffer`, and keeps an incomplete character.
    fn decode_piece(&mut self, piece: &[u8], buffer: &mut DecodeBuffer) -> Result<Found, DecodeError> {
        let DecodeBuffer { bytes, text, .. } = buffer;
        let has_nulls = self.is_on(Side::Him, option::BINARY);
        let had = self.partial.len();
        *bytes = core::mem::take(&mut self.partial);
        bytes.extend(piece.iter().filter(|&&byte| byte != 0 || has_nulls));
        if self.config.invalid_utf8 == InvalidUtf8::Bytes {
            return Ok(if bytes.is_empty() { Found::Nothing } else { Found::Kept });
        }
        if self.charset == Charset::Utf8 {
            self.partial = bytes.split_off(bytes.len() - incomplete(bytes));
        }
        if let (InvalidUtf8::Reject, Some(valid_up_to)) = (self.config.invalid_utf8, self.charset.first_invalid(bytes))
        {
            if valid_up_to == 0 {
                return Err(DecodeError::InvalidUtf8 { valid_up_to });
            }
            // The text before the error is delivered first, however the stream is split.
            bytes.truncate(valid_up_to);
            self.is_broken = true;
        }
        text.clear();
        work::step(GROWTH_MAX * (had + bytes.len()));
        self.charset.decode_all(bytes, text);
        Ok(if text.is_empty() { Found::Nothing } else { Found::Decoded })
    }
}

/// Returns the length of the incomplete UTF-8 character at the end of `bytes`, 0 to 3.
fn incomplete(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    // Only the last character can be incomplete; it begins with a byte of 0b11......
    let Some(start) = tail.iter().rposition(|byte| byte & 0xc0 == 0xc0) else { return 0 };
    match core::str::from_utf8(&tail[start..]) {
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => tail.len() - start,
        _ => 0,
    }
}
