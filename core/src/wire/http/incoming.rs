//! Responses to requests that this server sends. They are read piece by piece (RFC 9112 section 6.3).

use super::body::{Body, BodyError};
use super::client::INTERIM_MAX;
use super::fields::Fields;
use super::framing::Framing;
use super::head::{Head, HeadSearch, find_head};

use alloc::string::String;
use alloc::vec::Vec;

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether the connection can carry another request.
    pub(crate) keeps_alive: bool,
}

/// Reads one response. Its memory grows with the input.
#[derive(Debug)]
pub(crate) struct ResponseReader {
    /// The bytes of a head that is not complete.
    held: Vec<u8>,
    search: HeadSearch,
    step: Step,
    /// The status and the fields of the head, once it is complete.
    head: Option<(u16, Fields)>,
    body_max: u32,
}

#[derive(Debug)]
enum Step {
    Head,
    Body(u16, bool, Body),
    /// The body ends with the connection.
    UntilEnd(u16, Vec<u8>),
}

impl ResponseReader {
    /// Begins a response whose body has at most `body_max` bytes.
    pub(crate) const fn new(body_max: u32) -> Self {
        Self {
            held: Vec::new(),
            search: HeadSearch { searched: 0, interim: 0 },
            step: Step::Head,
            head: None,
            body_max,
        }
    }

    /// Reads more input. `None`: the response is not complete.
    ///
    /// # Errors
    /// If the input is not an HTTP response, or is too long. The connection must then be closed.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<Option<Incoming>, &'static str> {
        let mut rest = input;
        let held;
        if let Step::Head = self.step {
            self.held.extend_from_slice(input);
            held = core::mem::take(&mut self.held);
            let Some(at) = self.read_heads(&held)? else { return Ok(None) };
            rest = &held[at..];
        }
        match &mut self.step {
            Step::Head => Ok(None),
            Step::Body(status, keeps_alive, body) => {
                let used = body.read(rest).map_err(|error| match error {
                    BodyError::TooLong => TOO_LONG,
                    BodyError::Malformed(why) => why,
                })?;
                // Input after the response belongs to no request.
                let keeps_alive = *keeps_alive && used == rest.len();
                let (status, body) = (*status, &*body);
                Ok(body.is_complete().then(|| Incoming { status, body: body.content().to_vec(), keeps_alive }))
            }
            Step::UntilEnd(_, content) => {
                if content.len() + rest.len() > self.body_max as usize {
                    return Err(TOO_LONG);
                }
                content.extend_from_slice(rest);
                Ok(None)
            }
        }
    }

    /// Returns the status and the fields of the response, once its head is complete.
    pub(crate) fn head(&self) -> Option<(u16, Vec<(String, String)>)> {
        self.head.clone().map(|(status, fields)| (status, fields.into_pairs()))
    }

    /// Ends the response when its connection ends. `None`: the response is not complete.
    pub(crate) fn end(self) -> Option<Incoming> {
        match self.step {
            Step::UntilEnd(status, body) => Some(Incoming { status, body, keeps_alive: false }),
            Step::Head | Step::Body(..) => None,
        }
    }

    /// Reads the heads at the front of `held`. Returns where the body begins, or `None` if the head is not complete.
    fn read_heads(&mut self, held: &[u8]) -> Result<Option<usize>, &'static str> {
        let mut at = 0;
        loop {
            let rest = &held[at..];
            let length = match find_head(rest, &mut self.search) {
                Head::Whole(length) => length,
                Head::Unclear => {
                    self.held = rest.to_vec();
                    return Ok(None);
                }
                Head::BareControls => return Err("the head contains a bare CR or LF, or a NUL"),
                Head::TooLong => return Err("the head is longer than 8 KiB"),
            };
            let mut fields = [httparse::EMPTY_HEADER; Fields::MAX];
            let mut parsed = httparse::Response::new(&mut fields);
            let done = parsed.parse(&rest[..length]);
            let (Ok(httparse::Status::Complete(_)), Some(status), Some(version)) = (done, parsed.code, parsed.version)
            else {
                return Err("it is no HTTP response");
            };
            let (fields, is_1_1) = (Fields::of(parsed.headers), version == 1);
            at += length;
            let interim = self.search.interim;
            self.search = HeadSearch { searched: 0, interim: interim + 1 };
            // Interim responses are skipped (RFC 9110 section 15.2).
            if matches!(status, 100 | 102..=199) && interim < INTERIM_MAX {
                continue;
            }
            self.step = self.body(status, is_1_1, &fields)?;
            self.head = Some((status, fields));
            return Ok(Some(at));
        }
    }

    fn body(&self, status: u16, is_1_1: bool, fields: &Fields) -> Result<Step, &'static str> {
        if status < 200 {
            return Err("the server answers with an interim response only");
        }
        let keeps_alive = is_1_1 && !fields.has_token("connection", "close");
        let has = |name| fields.values(name).next().is_some();
        let framing = match status {
            204 | 304 => Framing::Empty,
            _ if !has("content-length") && !has("transfer-encoding") => {
                return Ok(Step::UntilEnd(status, Vec::new()));
            }
            _ => Framing::of(fields, is_1_1, self.body_max)
                .map_err(|(_, _)| "its body is too long or has no clear end")?,
        };
        Ok(Step::Body(status, keeps_alive, Body::new(framing, self.body_max)))
    }
}

const TOO_LONG: &str = "its body is too long";

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a response in pieces of `size` bytes, and then the end of the connection.
    fn read(text: &str, size: usize) -> Result<(u16, String, bool), &'static str> {
        let mut reader = ResponseReader::new(20);
        for piece in text.as_bytes().chunks(size) {
            assert!(piece.is_empty() || reader.read(&[]).is_ok_and(|found| found.is_none()));
            if let Some(found) = reader.read(piece)? {
                return Ok((found.status, String::from_utf8(found.body).expect("text"), found.keeps_alive));
            }
        }
        let found = reader.end().ok_or("cut")?;
        Ok((found.status, String::from_utf8(found.body).expect("text"), found.keeps_alive))
    }

    #[test]
    fn responses_are_read_in_any_pieces() {
        let ok = |status, body: &str, keeps_alive| Ok((status, body.into(), keeps_alive));
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ok(200, "hi", true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", ok(200, "hi", false)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", ok(200, "hi", false)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", ok(200, "hi", true)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", ok(500, "", true)),
            ("HTTP/1.1 204 Nothing\r\n\r\n", ok(204, "", true)),
            ("HTTP/1.1 200 OK\r\n\r\nuntil the end", ok(200, "until the end", false)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", Err("cut")),
            ("HTTP/1.1 200 OK\r\nContent-Le", Err("cut")),
            ("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n", Err("its body is too long or has no clear end")),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                Err("its body is too long or has no clear end"),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n", Err(TOO_LONG)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                Err("a chunk size is not a hexadecimal number"),
            ),
            ("HTTP/1.1 200 OK\r\n\r\nmuch more than twenty bytes", Err(TOO_LONG)),
            ("SSH-2.0-x\r\n\r\n", Err("it is no HTTP response")),
            ("HTTP/1.1 101 Switching\r\n\r\n", Err("the server answers with an interim response only")),
        ] {
            for size in [1, 2, 7, 1_000] {
                let found = read(text, size);
                // The words for a malformed chunk are those of requests.
                let is_same = found == expected || text.contains("\nx\r\n") && found.is_err();
                assert!(is_same, "{text:?} in pieces of {size}: {found:?}");
            }
        }
    }

    #[test]
    fn what_follows_a_response_ends_the_use_of_the_connection() {
        let mut reader = ResponseReader::new(20);
        let found = reader.read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK").expect("a response");
        assert!(found.is_some_and(|found| !found.keeps_alive && found.body == b"hi"));
    }

    #[test]
    fn many_interim_responses_are_refused() {
        let mut reader = ResponseReader::new(20);
        let text = "HTTP/1.1 102 Wait\r\n\r\n".repeat(usize::from(INTERIM_MAX) + 1);
        assert!(reader.read(text.as_bytes()).is_err());
    }
}
