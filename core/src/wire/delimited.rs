use super::buffer::grow;
use super::decoded::{DecodeBuffer, Decoded};
use super::errors::{DecodeError, EncodeError};
use super::line::text;
use super::stream_start::StreamStart;
use crate::base::{Payload, setters, work};
use crate::wire::{Budget, InvalidUtf8};
use alloc::vec::Vec;
use core::fmt;
use memchr::memmem;

/// Messages that end with a delimiter, such as a NUL or `\r\n\r\n`.
///
/// The delimiter is not part of a received message. It is appended to each sent one. A sent message
/// that contains the delimiter, alone or together with the appended one, would arrive as several:
/// it is not sent, and counts in [`Metrics::messages_unsendable`](crate::Metrics).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delimited {
    /// The delimiter that ends each message. A NUL by default.
    pub delimiter: Delimiter,
    /// How received messages that are not UTF-8 are handled.
    pub invalid_utf8: InvalidUtf8,
}

setters!(Delimited { delimiter: Delimiter, invalid_utf8: InvalidUtf8 });

/// A delimiter of messages: 1 to 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Delimiter {
    /// The bytes of the delimiter, followed by zeros.
    bytes: [u8; Self::MAX_BYTES],
    length: u8,
}

impl Delimiter {
    /// Length of the longest delimiter, in bytes.
    pub const MAX_BYTES: usize = 8;
    /// A NUL byte.
    pub const NUL: Self = Self { bytes: [0; Self::MAX_BYTES], length: 1 };

    /// Creates a delimiter of these bytes.
    ///
    /// # Errors
    /// If there are not 1 to 8 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, DelimiterError> {
        let mut delimiter = Self { bytes: [0; Self::MAX_BYTES], length: 0 };
        let length = u8::try_from(bytes.len()).ok().filter(|_| (1..=Self::MAX_BYTES).contains(&bytes.len()));
        delimiter.length = length.ok_or(DelimiterError { bytes: bytes.len() })?;
        delimiter.bytes.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        Ok(delimiter)
    }

    /// Parses a delimiter in which `%` and two hexadecimal digits are a byte, such as `%0D%0A`.
    ///
    /// # Errors
    /// As [`new`](Self::new). `None` if a `%` has no two digits after it.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, DelimiterError>> {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        while let Some((&first, behind)) = rest.split_first() {
            let (byte, behind) = match (first, behind) {
                (b'%', [high, low, behind @ ..]) => {
                    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                    (digit(*high)? << 4 | digit(*low)?, behind)
                }
                (b'%', _) => return None,
                plain => plain,
            };
            bytes.push(byte);
            rest = behind;
        }
        Some(Self::new(&bytes))
    }

    /// Returns the bytes of the delimiter.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Appends a message and the delimiter to `out`, which stays unchanged on an error.
    pub(super) fn encode(self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (start, content) = (out.len(), payload.as_bytes());
        out.extend_from_slice(content);
        out.extend_from_slice(self.as_bytes());
        // The end of a message and the delimiter may contain an earlier one.
        match memmem::find(out.get(start..).unwrap_or_default(), self.as_bytes()) {
            Some(offset) if offset < content.len() => {
                out.truncate(start);
                Err(EncodeError::Delimiter { offset })
            }
            _ => Ok(()),
        }
    }
}

impl Default for Delimiter {
    /// Returns a NUL byte.
    fn default() -> Self {
        Self::NUL
    }
}

impl fmt::Debug for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// The error for a delimiter that is empty or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a delimiter has 1 to 8 bytes, not {bytes}")]
#[non_exhaustive]
pub struct DelimiterError {
    /// The length of the refused delimiter, in bytes.
    pub bytes: usize,
}

/// Decoder of messages that end with a delimiter.
///
/// Each byte is searched once, however the input is split.
///
/// # Memory
/// At most `message_max_bytes + 7` bytes of an incomplete message, and nothing between complete
/// ones. With [`InvalidUtf8::Replace`], as much again for the replaced text during the call.
#[derive(Debug)]
pub struct DelimitedDecoder {
    wire: Delimited,
    start: StreamStart,
    /// The beginning of an incomplete message. It contains no whole delimiter.
    partial: Vec<u8>,
}

impl DelimitedDecoder {
    /// Creates a decoder at the start of a stream.
    #[must_use]
    pub fn new(wire: Delimited) -> Self {
        Self { wire, start: StreamStart::default(), partial: Vec::new() }
    }

    /// Decodes the next message at the front of `input`, if it is complete.
    ///
    /// The [module](super) describes the interface of the decoders.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] before anything over the limit and the delimiter is stored;
    /// [`DecodeError::InvalidUtf8`] with [`InvalidUtf8::Reject`].
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        let max = budget.message_max_bytes.get();
        work::step(1);
        let Some(Found { content, used }) = self.find(input) else {
            self.start.push(input);
            return self.keep(input, max);
        };
        self.start.push(&input[..used]);
        let message: &[u8] = if self.partial.is_empty() {
            &input[..content]
        } else {
            if content > max {
                return Err(DecodeError::TooLarge { max });
            }
            let more = content.saturating_sub(self.partial.len());
            self.partial.truncate(content);
            grow(&mut self.partial, more, max);
            self.partial.extend_from_slice(&input[..more]);
            buffer.bytes = core::mem::take(&mut self.partial);
            &buffer.bytes
        };
        text(message, self.wire.invalid_utf8, max, &mut buffer.text).map(|message| Decoded::of_message(used, message))
    }

    /// Returns the unterminated last message, if any.
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
        text(&buffer.bytes, self.wire.invalid_utf8, max, &mut buffer.text).map(Some)
    }

    /// Returns `true` if a message has begun and is not complete.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    pub(super) fn begins_http(&self) -> Option<bool> {
        self.start.is_http()
    }

    /// Finds the first delimiter in the stored bytes and `input`.
    fn find(&self, input: &[u8]) -> Option<Found> {
        let delimiter = self.wire.delimiter.as_bytes();
        let (kept, cut) = (self.partial.len(), delimiter.len() - 1);
        // A delimiter that begins in the stored bytes ends in the first few bytes of the input.
        let tail = &self.partial[kept - kept.min(cut)..];
        let head = &input[..input.len().min(cut)];
        let mut seam = [0; 2 * (Delimiter::MAX_BYTES - 1)];
        let whole = tail.len() + head.len();
        seam.iter_mut().zip(tail.iter().chain(head)).for_each(|(place, byte)| *place = *byte);
        work::step(whole);
        if !tail.is_empty()
            && let Some(at) = memmem::find(&seam[..whole], delimiter)
        {
            return Some(Found { content: kept - tail.len() + at, used: at + delimiter.len() - tail.len() });
        }
        let found = match *delimiter {
            [byte] => memchr::memchr(byte, input),
            _ => memmem::find(input, delimiter),
        };
        work::step(found.unwrap_or(input.len()));
        found.map(|at| Found { content: kept + at, used: at + delimiter.len() })
    }

    fn keep<'a>(&mut self, input: &[u8], max: usize) -> Result<Decoded<'a>, DecodeError> {
        // The last bytes may belong to the delimiter.
        let limit = max + self.wire.delimiter.as_bytes().len() - 1;
        if self.partial.len() + input.len() > limit {
            return Err(DecodeError::TooLarge { max });
        }
        grow(&mut self.partial, input.len(), limit);
        self.partial.extend_from_slice(input);
        Ok(Decoded::nothing(input.len()))
    }
}

/// The position of the end of a message.
struct Found {
    /// Length of the message, stored bytes included.
    content: usize,
    /// Number of input bytes up to the end of the delimiter.
    used: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{DecodeBuffer, Encoder, MessageSize, Wire};
    use alloc::vec;
    use proptest::prelude::*;

    type Outcome = (Vec<Vec<u8>>, Result<(), &'static str>);

    fn budget(max: u64) -> Budget {
        Budget::default().message_max_bytes(MessageSize::new(max).expect("in range"))
    }

    fn wire(delimiter: &[u8], invalid_utf8: InvalidUtf8) -> Wire {
        Wire::Delimited(Delimited { delimiter: Delimiter::new(delimiter).expect("short"), invalid_utf8 })
    }

    fn feed(wire: Wire, max: u64, stream: &[u8], pieces: &[usize]) -> Outcome {
        let (mut decoder, mut buffer, budget) = (wire.decoder(), DecodeBuffer::default(), budget(max));
        let (mut messages, mut rest) = (Vec::new(), stream);
        for &piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (input, behind) = rest.split_at(piece.clamp(1, rest.len()));
            let (mut input, mut at) = (input.to_vec(), 0);
            rest = behind;
            while at < input.len() {
                match decoder.decode(&mut input[at..], &mut buffer, &budget) {
                    Ok(decoded) => {
                        assert!(decoded.used > 0, "no progress");
                        at += decoded.used;
                        messages.extend(decoded.message().map(|payload| payload.as_bytes().to_vec()));
                    }
                    Err(error) => return (messages, Err(error.reason().name())),
                }
            }
        }
        match decoder.finish(&mut buffer, &budget) {
            Ok(last) => {
                messages.extend(last.map(|payload| payload.as_bytes().to_vec()));
                (messages, Ok(()))
            }
            Err(error) => (messages, Err(error.reason().name())),
        }
    }

    /// Splits a complete stream at each delimiter, as a reference implementation.
    fn naive(delimiter: &[u8], max: u64, mut rest: &[u8]) -> Outcome {
        let mut messages = Vec::new();
        let is_long = |message: &[u8]| message.len() as u64 > max;
        while let Some(at) = rest.windows(delimiter.len()).position(|window| window == delimiter) {
            if is_long(&rest[..at]) {
                return (messages, Err("message_too_large"));
            }
            messages.push(rest[..at].to_vec());
            rest = &rest[at + delimiter.len()..];
        }
        if is_long(rest) {
            return (messages, Err("message_too_large"));
        }
        messages.extend((!rest.is_empty()).then(|| rest.to_vec()));
        (messages, Ok(()))
    }

    proptest! {
        #[test]
        fn delimited_decoding_agrees_with_naive_split(
            stream in prop::collection::vec(0..3_u8, 0..60), delimiter in prop::collection::vec(0..3_u8, 1..=8),
            pieces in prop::collection::vec(1..9_usize, 1..6), max in 1..40_u64
        ) {
            let wire = wire(&delimiter, InvalidUtf8::Bytes);
            let expected = naive(&delimiter, max, &stream);
            prop_assert_eq!(&feed(wire, max, &stream, &[1]), &expected);
            prop_assert_eq!(&feed(wire, max, &stream, &[stream.len()]), &expected);
            prop_assert_eq!(&feed(wire, max, &stream, &pieces), &expected);
        }

        #[test]
        fn what_can_be_sent_arrives_and_only_that(
            messages in prop::collection::vec(prop::collection::vec(0..3_u8, 0..12), 0..6),
            delimiter in prop::collection::vec(0..3_u8, 1..=8)
        ) {
            let wire = wire(&delimiter, InvalidUtf8::Bytes);
            let (mut out, mut sent) = (Vec::new(), Vec::new());
            for message in &messages {
                let before = out.len();
                let alone = [&message[..], &delimiter].concat();
                let arrives = naive(&delimiter, 100, &alone).0 == [message.clone()];
                let encoded = Encoder::default().encode(wire.encoding(), Payload::Binary(message), &mut out);
                prop_assert_eq!(encoded.is_ok(), arrives, "{:?}", message);
                prop_assert!(arrives || out.len() == before, "nothing of an unsendable message is written");
                sent.extend(arrives.then(|| message.clone()));
            }
            prop_assert_eq!(feed(wire, 100, &out, &[1]), (sent, Ok(())));
        }
    }

    #[test]
    fn invalid_utf8_is_rejected_replaced_or_kept() {
        let stream = b"a\xffb\0";
        for (policy, expected) in [
            (InvalidUtf8::Reject, (vec![], Err("invalid_utf8"))),
            (InvalidUtf8::Replace, (vec!["a\u{fffd}b".as_bytes().to_vec()], Ok(()))),
            (InvalidUtf8::Bytes, (vec![b"a\xffb".to_vec()], Ok(()))),
        ] {
            for pieces in [1, 9] {
                assert_eq!(feed(wire(b"\0", policy), 9, stream, &[pieces]), expected, "{policy:?}");
            }
        }
    }

    #[test]
    fn delimiter_has_one_to_eight_bytes_in_percent_encoding() {
        for (text, expected) in [
            ("%00", Some(Ok(&b"\0"[..]))),
            ("\0", Some(Ok(b"\0"))),
            ("%0d%0A.%0D%0a", Some(Ok(b"\r\n.\r\n"))),
            ("%25", Some(Ok(b"%"))),
            ("é", Some(Ok(b"\xc3\xa9"))),
            ("12345678", Some(Ok(b"12345678"))),
            ("", Some(Err(DelimiterError { bytes: 0 }))),
            ("123456789", Some(Err(DelimiterError { bytes: 9 }))),
            ("%", None),
            ("%0", None),
            ("%0g", None),
        ] {
            let parsed = Delimiter::parse(text);
            let bytes = parsed.as_ref().map(|parsed| parsed.as_ref().map(Delimiter::as_bytes).map_err(|error| *error));
            assert_eq!(bytes, expected, "{text}");
        }
        let error = Delimiter::new(&[]).expect_err("empty").to_string();
        assert_eq!(error, "a delimiter has 1 to 8 bytes, not 0");
    }
}
