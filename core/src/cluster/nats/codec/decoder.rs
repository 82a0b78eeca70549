//! Turns the bytes of a server into operations.

use super::bounds::{HEADERS_MAX, INFO_MAX, LINE_MAX, MESSAGE_MAX};
use super::error::NatsError;
use super::op::{ServerMessage, ServerOp};
use crate::base::text::neutralize;
use crate::base::work;
use alloc::string::String;
use bytes::{Bytes, BytesMut};

/// The line end.
const END: &[u8] = b"\r\n";

/// Decodes the operations of one link.
///
/// The owner [pushes](Self::push) what it receives, and then takes [operations](Self::next) until there is none. Parts
/// of messages are slices of the received bytes: an owner that keeps one for long should copy it.
///
/// # Memory
/// After `next` has returned `None`, at most one incomplete operation is held. A declared length allocates nothing.
///
/// # Work
/// Linear in the number of received bytes, plus a constant per call.
#[derive(Debug, Default)]
pub(crate) struct OpDecoder {
    buffer: BytesMut,
    /// How many bytes of an incomplete line were searched for its end.
    searched: usize,
    /// The message whose line was read.
    message: Option<Declared>,
    /// Whether the first operation was read.
    has_begun: bool,
    fault: Option<NatsError>,
}

/// A message whose content has not arrived yet.
#[derive(Debug)]
struct Declared {
    message: ServerMessage,
    headers: usize,
    total: usize,
}

impl OpDecoder {
    /// Maximum number of bytes that are held between two calls: the longest message, and its line.
    pub(crate) const HELD_MAX: usize = MESSAGE_MAX + LINE_MAX + 2;

    /// Adds received bytes. After a fault, it drops them.
    ///
    /// If operations of more bytes than the longest message were not taken, the link fails with
    /// [`NatsError::NotRead`].
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        if self.buffer.len() > Self::HELD_MAX {
            self.fail(NatsError::NotRead { max: Self::HELD_MAX });
            return;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete operation. `None`: more bytes are needed.
    ///
    /// # Errors
    /// If the peer breaks a bound or a rule of the protocol. Every later call returns the same error.
    pub(crate) fn next(&mut self) -> Result<Option<ServerOp>, NatsError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let outcome = self.decode();
        if let Err(fault) = &outcome {
            self.fail(fault.clone());
        }
        outcome
    }

    /// Returns the number of bytes that are held.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn held(&self) -> usize {
        self.buffer.len()
    }

    fn decode(&mut self) -> Result<Option<ServerOp>, NatsError> {
        if self.message.is_some() {
            return self.content();
        }
        self.check_beginning()?;
        let Some(line) = self.line()? else { return Ok(None) };
        self.has_begun = true;
        let op = match operation(&line)? {
            Line::Op(op) => op,
            Line::Message(declared) => {
                self.message = Some(declared);
                return self.content();
            }
        };
        self.release();
        Ok(Some(op))
    }

    /// Checks that a link begins with `INFO`, so that nothing else is kept.
    fn check_beginning(&self) -> Result<(), NatsError> {
        if self.has_begun {
            return Ok(());
        }
        // The records of a TLS handshake, and of an alert.
        if let [0x15 | 0x16, ..] = *self.buffer {
            return Err(NatsError::Tls);
        }
        let is_info = self.buffer.iter().zip(b"INFO ").all(|(byte, expected)| byte == expected);
        if is_info { Ok(()) } else { Err(NatsError::NotNats) }
    }

    /// Takes a line, without its end.
    fn line(&mut self) -> Result<Option<Bytes>, NatsError> {
        let (from, max) = (self.searched, self.line_max());
        let rest = self.buffer.get(from..).unwrap_or_default();
        let found = memchr::memchr2(b'\r', b'\n', rest).map(|at| from + at);
        work::step(found.map_or(rest.len(), |at| at - from));
        let length = found.unwrap_or(self.buffer.len());
        if length > max {
            return Err(match max {
                INFO_MAX => NatsError::InfoTooLong { max },
                _ => NatsError::LineTooLong { max },
            });
        }
        self.searched = length;
        match self.buffer.get(length..) {
            Some([b'\r', b'\n', ..]) => {
                let line = self.buffer.split_to(length).freeze();
                drop(self.buffer.split_to(END.len()));
                self.searched = 0;
                Ok(Some(line))
            }
            Some([] | [b'\r']) => Ok(None),
            _ => Err(NatsError::LoneLineEnd),
        }
    }

    fn line_max(&self) -> usize {
        if self.buffer.starts_with(b"INFO") { INFO_MAX } else { LINE_MAX }
    }

    /// Takes the content of a message.
    fn content(&mut self) -> Result<Option<ServerOp>, NatsError> {
        let Some(total) = self.message.as_ref().map(|declared| declared.total) else { return Ok(None) };
        match self.buffer.get(total..) {
            None | Some([] | [b'\r']) => return Ok(None),
            Some([b'\r', b'\n', ..]) => {}
            Some(_) => return Err(NatsError::NoMessageEnd),
        }
        let Some(Declared { mut message, headers, .. }) = self.message.take() else { return Ok(None) };
        let mut content = self.buffer.split_to(total).freeze();
        drop(self.buffer.split_to(END.len()));
        work::step(1);
        message.headers = content.split_to(headers);
        message.payload = content;
        let is_bad =
            headers > 0 && !(message.headers.starts_with(b"NATS/1.0") && message.headers.ends_with(b"\r\n\r\n"));
        if is_bad {
            return Err(NatsError::BadHeaders);
        }
        self.release();
        Ok(Some(ServerOp::Message(message)))
    }

    /// Frees an empty buffer. Otherwise an idle link would keep the memory of its longest message.
    fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    fn fail(&mut self, fault: NatsError) {
        (self.buffer, self.message) = (BytesMut::new(), None);
        self.fault = Some(fault);
    }
}

enum Line {
    Op(ServerOp),
    Message(Declared),
}

fn operation(line: &Bytes) -> Result<Line, NatsError> {
    let end = memchr::memchr2(b' ', b'\t', line).unwrap_or(line.len());
    let (name, rest) = (line.get(..end).unwrap_or_default(), line.slice(end..));
    let op = match name {
        b"MSG" => return declared(&rest, false).map(Line::Message),
        b"HMSG" => return declared(&rest, true).map(Line::Message),
        b"INFO" => ServerOp::Info(rest),
        b"PING" => ServerOp::Ping,
        b"PONG" => ServerOp::Pong,
        b"+OK" => ServerOp::Ok,
        b"-ERR" => ServerOp::Error(error_text(&rest)),
        _ => return Err(NatsError::UnknownOperation),
    };
    Ok(Line::Op(op))
}

/// Returns the text of an error without its quotes and without control characters.
fn error_text(text: &[u8]) -> alloc::boxed::Box<str> {
    let text = String::from_utf8_lossy(text);
    neutralize(text.trim().trim_matches('\'')).into_owned().into()
}

/// Reads `subject sid [reply] length`, with the length of the headers before the last one if there are some.
fn declared(rest: &Bytes, has_headers: bool) -> Result<Declared, NatsError> {
    let mut words = [(); 5].map(|()| Bytes::new());
    let mut count = 0;
    for word in rest.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()) {
        if let Some(place) = words.get_mut(count) {
            *place = rest.slice_ref(word);
        }
        count += 1;
    }
    let expected = if has_headers { 4..=5 } else { 3..=4 };
    if !expected.contains(&count) {
        return Err(NatsError::WordCount { words: count });
    }
    let [subject, sid, third, fourth, fifth] = words;
    let (reply, headers, total) = match (has_headers, count) {
        (false, 3) => (None, None, third),
        (false, _) => (Some(third), None, fourth),
        (true, 4) => (None, Some(third), fourth),
        (true, _) => (Some(third), Some(fourth), fifth),
    };
    let sid = number(&sid)?;
    let headers = headers.map_or(Ok(0), |headers| length(&headers))?;
    let total = length(&total)?;
    if headers > HEADERS_MAX {
        return Err(NatsError::HeadersTooLong { bytes: headers, max: HEADERS_MAX });
    }
    if total > MESSAGE_MAX {
        return Err(NatsError::MessageTooLong { bytes: total, max: MESSAGE_MAX });
    }
    if headers > total {
        return Err(NatsError::HeadersBeyondMessage { headers, total });
    }
    if has_headers && headers == 0 {
        return Err(NatsError::BadHeaders);
    }
    let message = ServerMessage { subject, sid, reply, headers: Bytes::new(), payload: Bytes::new() };
    Ok(Declared { message, headers, total })
}

fn number(digits: &[u8]) -> Result<u64, NatsError> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(digits).ok().filter(|_| is_number);
    text.and_then(|text| text.parse().ok()).ok_or(NatsError::BadNumber)
}

fn length(digits: &[u8]) -> Result<usize, NatsError> {
    number(digits).and_then(|number| usize::try_from(number).map_err(|_| NatsError::BadNumber))
}
