//! How the end of a request's body is found (RFC 9112 section 6).

use super::fields::Fields;
use super::status::Status;

/// The framing of a request's body, from the header fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body, or an empty one.
    #[default]
    Empty,
    /// The body has this many bytes, which are within the limit.
    Length(u32),
    /// The body comes in chunks (RFC 9112 section 7.1).
    Chunked,
}

/// The explanation for a body that is longer than the limit. The response adds the limit.
pub(crate) const BODY_TOO_LONG: &str = "the request body is too long";

impl Framing {
    /// Returns the framing of a body of at most `max` bytes. With 0, bodies are refused.
    ///
    /// Two parsers that disagree about the framing disagree about where the next request begins, so
    /// whatever could be understood differently is refused (RFC 9112 section 11.2).
    pub(super) fn of(fields: &Fields, is_1_1: bool, max: u32) -> Result<Self, (Status, &'static str)> {
        let bad = |why| Err((Status::BAD_REQUEST, why));
        let mut lengths = fields.values("content-length").peekable();
        let mut codings = fields.values("transfer-encoding");
        if let Some(coding) = codings.next() {
            return match coding {
                _ if lengths.peek().is_some() => bad("there are both Content-Length and Transfer-Encoding"),
                _ if max == 0 => Err((Status::NOT_IMPLEMENTED, UNSUPPORTED)),
                // An intermediary of HTTP/1.0 may have passed it on without understanding it.
                _ if !is_1_1 => bad("Transfer-Encoding needs HTTP/1.1"),
                _ if codings.next().is_some() => bad("there is more than one Transfer-Encoding field"),
                _ if coding.eq_ignore_ascii_case("chunked") => Ok(Self::Chunked),
                _ => Err((Status::NOT_IMPLEMENTED, "the only supported transfer coding is chunked")),
            };
        }
        let mut known = None;
        for text in lengths {
            if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
                return bad("Content-Length is not a number");
            }
            if max == 0 && text != "0" {
                return Err((Status::CONTENT_TOO_LARGE, UNSUPPORTED));
            }
            // A number that does not fit is too long as well.
            let length = text.parse().unwrap_or(u64::MAX);
            if known.replace(length).is_some_and(|other| other != length) {
                return bad("there are different Content-Length fields");
            }
        }
        match u32::try_from(known.unwrap_or_default()) {
            Ok(0) => Ok(Self::Empty),
            Ok(length) if length <= max => Ok(Self::Length(length)),
            _ => Err((Status::CONTENT_TOO_LARGE, BODY_TOO_LONG)),
        }
    }
}

const UNSUPPORTED: &str = "request bodies are not supported";

#[cfg(test)]
mod tests {
    use super::*;

    /// The framing of these fields, or the status of the refusal.
    fn framing(lines: &[(&str, &str)], is_1_1: bool, max: u32) -> Result<Framing, u16> {
        let parsed: alloc::vec::Vec<_> =
            lines.iter().map(|&(name, value)| httparse::Header { name, value: value.as_bytes() }).collect();
        Framing::of(&Fields::of(&parsed), is_1_1, max).map_err(|(status, _)| status.code())
    }

    #[test]
    fn framing_is_strict_and_within_the_limit() {
        let (length, coding) = ("Content-Length", "Transfer-Encoding");
        for (lines, expected) in [
            (&[][..], Ok(Framing::Empty)),
            (&[(length, "0")], Ok(Framing::Empty)),
            (&[(length, "1")], Ok(Framing::Length(1))),
            (&[("CONTENT-LENGTH", " 0100\t")], Ok(Framing::Length(100))),
            (&[(length, "100"), (length, "100")], Ok(Framing::Length(100))),
            (&[(coding, "Chunked")], Ok(Framing::Chunked)),
            (&[(length, "101")], Err(413)),
            (&[(length, "4294967297")], Err(413)),
            (&[(length, "99999999999999999999999")], Err(413)),
            (&[(length, "5"), (length, "6")], Err(400)),
            (&[(length, "5"), (length, "")], Err(400)),
            (&[(length, "5, 5")], Err(400)),
            (&[(length, "5,6")], Err(400)),
            (&[(length, "+5")], Err(400)),
            (&[(length, "-1")], Err(400)),
            (&[(length, "0x5")], Err(400)),
            (&[(length, "5 5")], Err(400)),
            (&[(length, "5.0")], Err(400)),
            (&[(length, "\u{665}")], Err(400)),
            (&[(length, "")], Err(400)),
            (&[(length, "5"), (coding, "chunked")], Err(400)),
            (&[(coding, "chunked"), (length, "0")], Err(400)),
            (&[(coding, "chunked"), (coding, "chunked")], Err(400)),
            (&[(coding, "chunked"), (coding, "identity")], Err(400)),
            (&[(coding, "chunked, chunked")], Err(501)),
            (&[(coding, "gzip, chunked")], Err(501)),
            (&[(coding, "chunked;q=1")], Err(501)),
            (&[(coding, "xchunked")], Err(501)),
            (&[(coding, "\u{b}chunked")], Err(501)),
            (&[(coding, "identity")], Err(501)),
            (&[(coding, "")], Err(501)),
        ] {
            assert_eq!(framing(lines, true, 100), expected, "{lines:?}");
        }
        assert_eq!(framing(&[(coding, "chunked")], false, 100), Err(400));
        assert_eq!(framing(&[(length, "7")], false, 100), Ok(Framing::Length(7)));
    }

    #[test]
    fn without_a_limit_bodies_are_not_supported() {
        let (length, coding) = ("Content-Length", "Transfer-Encoding");
        for (lines, expected) in [
            (&[(length, "0")][..], Ok(Framing::Empty)),
            (&[(length, "0"), (length, "0")], Ok(Framing::Empty)),
            (&[(length, "00")], Err(413)),
            (&[(length, "5"), (length, "x")], Err(413)),
            (&[(length, "x")], Err(400)),
            (&[(coding, "chunked")], Err(501)),
            (&[(coding, "gzip")], Err(501)),
            (&[(coding, "chunked"), (length, "5")], Err(400)),
        ] {
            assert_eq!(framing(lines, true, 0), expected, "{lines:?}");
            assert_eq!(framing(lines, false, 0), expected, "{lines:?}");
        }
    }
}
