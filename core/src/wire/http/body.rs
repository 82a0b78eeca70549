//! The body of a request, read piece by piece (RFC 9112 sections 6.2 and 7.1).

use super::fields::is_token;
use super::framing::Framing;
use crate::base::work;
use alloc::vec::Vec;

/// A body, as far as it has arrived.
///
/// Its memory grows with the content that arrives, and not with the length that a peer declares.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    content: Vec<u8>,
    step: Step,
    /// The longest possible content: the declared length, or the limit.
    max: u32,
    /// Number of bytes that chunk extensions and trailers may still have, all together.
    spare: u16,
}

/// The error for a body that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The chunks are longer than the limit.
    TooLong,
    /// The chunks are malformed, for this reason.
    Malformed(&'static str),
}

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Content: this many bytes of the body or of the chunk are missing.
    Content {
        left: u32,
        is_chunk: bool,
    },
    /// The CR after the content of a chunk.
    ContentCr,
    /// The LF after the content of a chunk.
    ContentLf,
    /// The size of a chunk: its value so far and its number of digits.
    Size {
        size: u32,
        digits: u8,
    },
    /// The extensions of a chunk of this size, which are ignored.
    Extension {
        size: u32,
    },
    /// The LF after the size and the extensions of a chunk.
    SizeLf {
        size: u32,
    },
    /// The name of a trailer field, which has begun or not, or the CR of the last line.
    Name {
        has_begun: bool,
    },
    /// The value of a trailer field, which is dropped.
    Value,
    /// The LF after a trailer field.
    ValueLf,
    /// The LF of the last line.
    LastLf,
    Complete,
}

/// The most digits of a chunk's size: those of a `u32`.
const DIGITS_MAX: u8 = 8;
/// The most bytes of all chunk extensions and trailers of a body: as many as a head may have.
const SPARE_MAX_BYTES: u16 = 8 << 10;

impl Body {
    /// Begins a body of at most `max` bytes.
    pub(crate) const fn new(framing: Framing, max: u32) -> Self {
        let (step, max) = match framing {
            Framing::Empty => (Step::Complete, 0),
            Framing::Length(left) => (Step::Content { left, is_chunk: false }, left),
            Framing::Chunked => (Step::Size { size: 0, digits: 0 }, max),
        };
        Self { content: Vec::new(), step, max, spare: SPARE_MAX_BYTES }
    }

    /// Reads from the front of `input`. Returns how many bytes belong to the body.
    ///
    /// All of them do until the body is [complete](Self::is_complete). After an error, the rest of
    /// the connection's input has no meaning.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<usize, BodyError> {
        let mut at = 0;
        while let (Some(&byte), false) = (input.get(at), self.is_complete()) {
            if let Step::Content { left, is_chunk } = self.step {
                let taken = u32::try_from(input.len() - at).unwrap_or(u32::MAX).min(left);
                self.store(&input[at..at + taken as usize]);
                at += taken as usize;
                let left = left - taken;
                self.step = match (left, is_chunk) {
                    (0, true) => Step::ContentCr,
                    (0, false) => Step::Complete,
                    _ => Step::Content { left, is_chunk },
                };
            } else {
                self.step = self.after(byte)?;
                at += 1;
            }
        }
        work::step(at);
        Ok(at)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.step == Step::Complete
    }

    /// Returns the content so far, without the framing.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Returns the step after a byte that is not content.
    fn after(&mut self, byte: u8) -> Result<Step, BodyError> {
        Ok(match (self.step, byte) {
            (Step::Size { digits, .. }, _) if digits > 0 && matches!(byte, b'\r' | b';') => self.sized(byte)?,
            (Step::Size { digits: DIGITS_MAX.., .. }, _) => {
                return Err(BodyError::Malformed("the size of a chunk has more than 8 digits"));
            }
            (Step::Size { size, digits }, _) => {
                let digit = char::from(byte).to_digit(16);
                let digit = digit.ok_or(BodyError::Malformed("the size of a chunk is not a hexadecimal number"))?;
                Step::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (Step::Extension { size }, b'\r') => Step::SizeLf { size },
            (Step::Extension { size }, _) => {
                self.spend(byte)?;
                Step::Extension { size }
            }
            // The chunk of size zero is the last one.
            (Step::SizeLf { size: 0 } | Step::ValueLf, b'\n') => Step::Name { has_begun: false },
            (Step::SizeLf { size }, b'\n') => Step::Content { left: size, is_chunk: true },
            (Step::ContentCr, b'\r') => Step::ContentLf,
            (Step::ContentLf, b'\n') => Step::Size { size: 0, digits: 0 },
            (Step::ContentCr | Step::ContentLf, _) => {
                return Err(BodyError::Malformed("a chunk does not end after its size"));
            }
            (Step::Name { has_begun: false }, b'\r') => Step::LastLf,
            (Step::Name { has_begun: true }, b':') => Step::Value,
            (Step::Name { .. }, _) if is_token(byte) => {
                self.spend(byte)?;
                Step::Name { has_begun: true }
            }
            (Step::Name { .. }, _) => return Err(BodyError::Malformed("a trailer field has no valid name")),
            (Step::Value, b'\r') => Step::ValueLf,
            (Step::Value, _) => {
                self.spend(byte)?;
                Step::Value
            }
            (Step::LastLf, b'\n') => Step::Complete,
            (Step::SizeLf { .. } | Step::ValueLf | Step::LastLf, _) => {
                return Err(BodyError::Malformed("a bare CR is within the chunks"));
            }
            (Step::Content { .. } | Step::Complete, _) => self.step,
        })
    }

    /// Returns the step after the byte behind the size of a chunk.
    fn sized(&self, byte: u8) -> Result<Step, BodyError> {
        let Step::Size { size, .. } = self.step else { return Ok(self.step) };
        if size as usize > self.max as usize - self.content.len() {
            return Err(BodyError::TooLong);
        }
        Ok(if byte == b';' { Step::Extension { size } } else { Step::SizeLf { size } })
    }

    /// Counts a byte of an extension or of a trailer field, and checks that it is no control character.
    fn spend(&mut self, byte: u8) -> Result<(), BodyError> {
        if byte < b' ' && byte != b'\t' || byte == 0x7f {
            return Err(BodyError::Malformed("a control character is within the chunks"));
        }
        let spare = self.spare.checked_sub(1);
        self.spare = spare.ok_or(BodyError::Malformed("chunk extensions and trailers have more than 8 KiB"))?;
        Ok(())
    }

    /// Appends content. The memory doubles when it is full, up to the longest possible content.
    fn store(&mut self, bytes: &[u8]) {
        let needed = self.content.len() + bytes.len();
        if needed > self.content.capacity() {
            let capacity = (2 * self.content.capacity()).min(self.max as usize).max(needed);
            self.content.reserve_exact(capacity - self.content.len());
        }
        self.content.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    /// Reads `input` in pieces. Returns the content and the rest of the input.
    fn read(framing: Framing, input: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<u8>), BodyError> {
        let (mut body, mut used) = (Body::new(framing, 100), 0);
        for piece in input.chunks(piece.max(1)) {
            let took = body.read(piece)?;
            assert!(took == piece.len() || body.is_complete(), "all belongs to an incomplete body");
            used += took;
            if body.is_complete() {
                return Ok((body.content, input[used..].to_vec()));
            }
        }
        Err(BodyError::Malformed("incomplete"))
    }

    #[test]
    fn bodies_are_read_in_any_pieces() {
        let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(8_192));
        let trailers = format!("0\r\n{}\r\n", "a:b\r\n".repeat(2_048));
        let hundred = format!("64\r\n{}\r\n0\r\n\r\n", "x".repeat(100));
        for (framing, input, content) in [
            (Framing::Empty, "GET", ""),
            (Framing::Length(3), "abc", "abc"),
            (Framing::Length(3), "abcGET", "abc"),
            (Framing::Chunked, "0\r\n\r\n", ""),
            (Framing::Chunked, "3\r\nabc\r\n0\r\n\r\nGET", "abc"),
            (Framing::Chunked, "1\r\na\r\n02\r\nbc\r\n00000000\r\n\r\n", "abc"),
            (Framing::Chunked, "A\r\n\r\n34567\r\n9\r\n0\r\n\r\n", "\r\n34567\r\n9"),
            (Framing::Chunked, "3;a;b=c;d=\"e f\\\"\"\r\nabc\r\n0;last\r\n\r\n", "abc"),
            (Framing::Chunked, "3\r\nabc\r\n0\r\nExpires: now\r\nX-Sum:\r\n\r\n", "abc"),
            (Framing::Chunked, &long, "abc"),
            (Framing::Chunked, &trailers, ""),
            (Framing::Chunked, &hundred, &"x".repeat(100)),
        ] {
            let rest = if input.ends_with("GET") { "GET" } else { "" };
            for piece in [1, 2, 3, 5, input.len()] {
                // An empty body is complete before its first byte.
                let expected = Ok((content.into(), rest.into()));
                assert_eq!(read(framing, input.as_bytes(), piece), expected, "{framing:?} {input:?} by {piece}");
            }
        }
    }

    #[test]
    fn malformed_and_long_chunks_are_refused_in_any_pieces() {
        let (long, trailers) = (format!("3;{}", "x".repeat(8_193)), format!("0\r\n{}", "a:b\r\n".repeat(5_000)));
        let spare = format!("1;{}\r\na\r\n0\r\na:{}", "x".repeat(4_096), "b".repeat(4_096));
        for input in [
            "\r\n",
            ";x\r\n",
            " 3\r\n",
            "3 \r\n",
            "3\t;x\r\n",
            "x\r\n",
            "0x3\r\n",
            "-3\r\n",
            "+3\r\n",
            "3\n",
            "3\rabc",
            "3;x\n",
            "3;x\0\r\n",
            "3;x\r;y\r\n",
            "3\r\nabcd",
            "3\r\nabc\n",
            "3\r\nabc\rx",
            "3\r\nab\r\n0",
            "3\r\nabc0",
            "000000003\r\n",
            "100000000\r\n",
            "0\r\n\n",
            "0\n\r\n",
            "0\r\n folded: x\r\n",
            "0\r\n: x\r\n",
            "0\r\nname\r\n",
            "0\r\na b: c\r\n",
            "0\r\na : c\r\n",
            "0\r\na: b\n",
            "0\r\na: b\rc",
            "0\r\na: b\x7f",
            "0\r\n\rx",
            &long,
            &trailers,
            &spare,
        ] {
            for piece in [1, 2, 7, input.len()] {
                let outcome = read(Framing::Chunked, input.as_bytes(), piece);
                assert!(
                    matches!(outcome, Err(BodyError::Malformed(why)) if why != "incomplete"),
                    "{:?} by {piece}: {outcome:?}",
                    &input[..input.len().min(30)]
                );
            }
        }
        let full = format!("64\r\n{}\r\n", "x".repeat(100));
        for (before, input) in [("", "65\r\n"), ("", "65;"), ("", "ffffffff\r"), (&full, "1\r\n"), (&full, "64;x")] {
            let mut body = Body::new(Framing::Chunked, 100);
            body.read(before.as_bytes()).expect("within the limit");
            assert_eq!(body.read(input.as_bytes()), Err(BodyError::TooLong), "{input:?}");
        }
    }

    #[test]
    fn memory_grows_with_the_content_and_ends_at_the_limit() {
        let mut body = Body::new(Framing::Length(1 << 24), 1 << 24);
        body.read(&[0; 10]).expect("content");
        assert!(body.content.capacity() <= 20, "{}", body.content.capacity());
        let mut body = Body::new(Framing::Chunked, 100);
        for _ in 0..100 {
            body.read(b"1\r\nx\r\n").expect("within the limit");
        }
        assert!(body.content.len() == 100 && body.content.capacity() <= 100, "{}", body.content.capacity());
    }

    #[cfg(feature = "work")]
    #[test]
    fn one_byte_chunks_cost_linear_work() {
        let input = [&b"1;x\r\na\r\n".repeat(1_000)[..], b"0\r\n\r\n"].concat();
        for piece in [1, input.len()] {
            let mut body = Body::new(Framing::Chunked, 1_000);
            let ((), steps) =
                work::steps_of(|| input.chunks(piece).for_each(|piece| assert!(body.read(piece).is_ok())));
            assert!(body.is_complete() && steps <= input.len() as u64, "{steps}");
        }
    }

    proptest! {
        #[test]
        fn any_chunks_and_pieces_give_the_same_content(
            content in prop::collection::vec(any::<u8>(), 0..100),
            sizes in prop::collection::vec(1..20_usize, 1..20),
            pieces in prop::collection::vec(1..30_usize, 1..10),
            (extended, trailed, declared) in any::<(bool, bool, bool)>(),
        ) {
            let mut input = Vec::new();
            if declared {
                input.extend_from_slice(&content);
            } else {
                let (mut rest, mut sizes) = (&content[..], sizes.iter().cycle());
                while !rest.is_empty() {
                    let (chunk, behind) = rest.split_at(rest.len().min(*sizes.next().expect("some")));
                    let extension = if extended { ";a=\"b\"" } else { "" };
                    input.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                    input.extend_from_slice(chunk);
                    input.extend_from_slice(b"\r\n");
                    rest = behind;
                }
                input.extend_from_slice(if trailed { b"0\r\nA: b\r\n\r\n" } else { b"0\r\n\r\n" });
            }
            let length = u32::try_from(content.len()).expect("small");
            let framing = match (declared, length) {
                (true, 0) => Framing::Empty,
                (true, _) => Framing::Length(length),
                (false, _) => Framing::Chunked,
            };
            let whole = input.len();
            input.extend_from_slice(b"GET");
            let (mut body, mut at, mut pieces) = (Body::new(framing, 100), 0, pieces.iter().cycle());
            while !body.is_complete() {
                let end = input.len().min(at + pieces.next().expect("some"));
                at += body.read(&input[at..end]).expect("well formed");
            }
            prop_assert_eq!((body.content(), at), (&content[..], whole));
        }

        #[test]
        fn any_bytes_give_the_same_result_in_any_pieces(
            input in prop::collection::vec(prop::sample::select(&b"0123aA;:x \t\r\n"[..]), 0..40),
            piece in 1..10_usize,
        ) {
            prop_assert_eq!(read(Framing::Chunked, &input, piece), read(Framing::Chunked, &input, 100));
        }
    }
}
