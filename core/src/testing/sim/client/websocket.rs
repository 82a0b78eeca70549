//! The client side of a WebSocket (RFC 6455), with compression (RFC 7692).

use super::codec::{Codec, shown, text};
use crate::base::Random;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine;
use sha1::{Digest, Sha1};

pub(super) struct WebSocket {
    path: String,
    /// Whether the client offers compression.
    offers: bool,
    state: State,
    /// Whether compression was negotiated.
    deflates: bool,
    key: String,
    received: Vec<u8>,
    /// The incomplete fragmented message: the header of its first frame, and its content so far.
    message: Option<(Frame, Vec<u8>)>,
    /// Contents of pings without a pong.
    pings: VecDeque<Vec<u8>>,
    masks: Random,
    has_closed: bool,
    /// Whether the client sent raw bytes. The server may have read frames in them.
    unsure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    /// The server refused the upgrade.
    Refused,
    Open,
    /// The server sent a Close.
    Closed,
}

/// The decoded first byte of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    opcode: u8,
    is_last: bool,
    compressed: bool,
}

const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 0x7e;
const LENGTH_64: u8 = 0x7f;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// The bytes that senders omit at the end (RFC 7692 section 7.2.1), and an empty last block.
const DEFLATE_END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
const MESSAGE_MAX_BYTES: usize = 64 << 20;

impl Frame {
    pub(super) const BINARY: Self = Self::whole(BINARY);

    const fn whole(opcode: u8) -> Self {
        Self { opcode, is_last: true, compressed: false }
    }

    const fn is_control(self) -> bool {
        self.opcode & 8 != 0
    }
}

impl WebSocket {
    pub(super) fn new(path: &str, offers: bool) -> Self {
        Self {
            path: path.into(),
            offers,
            state: State::Opening,
            deflates: false,
            key: String::new(),
            received: Vec::new(),
            message: None,
            pings: VecDeque::new(),
            masks: Random::new(0),
            has_closed: false,
            unsure: false,
        }
    }

    /// Returns `true` if the server has accepted the upgrade.
    pub(super) const fn has_spoken(&self) -> bool {
        matches!(self.state, State::Open | State::Closed)
    }

    /// Writes one masked frame to `out`.
    pub(super) fn send(&mut self, frame: Frame, content: &[u8], out: &mut Vec<u8>) {
        out.push(u8::from(frame.is_last) << 7 | u8::from(frame.compressed) << 6 | frame.opcode);
        match content.len() {
            length @ ..126 => out.push(MASKED | u8::try_from(length).unwrap_or(0)),
            length @ ..0x1_0000 => {
                out.push(MASKED | LENGTH_16);
                out.extend_from_slice(&u16::try_from(length).unwrap_or(0).to_be_bytes());
            }
            length => {
                out.push(MASKED | LENGTH_64);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = self.masks.next_u64().to_be_bytes();
        out.extend_from_slice(&mask[..4]);
        out.extend(content.iter().zip(mask[..4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }

    pub(super) fn ping(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let length = usize::try_from(random.below(126)).unwrap_or(0);
        let content: Vec<u8> = (0..length).map(|n| u8::try_from(n).unwrap_or(0)).collect();
        self.send(Frame::whole(PING), &content, out);
        self.pings.push_back(content);
    }

    /// Decodes bytes. Appends messages to `messages` and replies to `out`.
    pub(super) fn take(&mut self, bytes: &[u8], messages: &mut Vec<Vec<u8>>, out: &mut Vec<u8>) -> Result<(), String> {
        self.received.extend_from_slice(bytes);
        if self.state == State::Opening {
            self.take_response()?;
        }
        while self.state == State::Open {
            let Some((frame, content)) = self.next_frame()? else { return Ok(()) };
            if frame.is_control() {
                self.control(frame, &content, out)?;
            } else {
                self.data(frame, content, messages)?;
            }
        }
        match self.state {
            State::Closed if !self.received.is_empty() => {
                Err(format!("bytes follow the Close: {}", shown(&self.received)))
            }
            _ => Ok(()),
        }
    }

    fn take_response(&mut self) -> Result<(), String> {
        let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(()) };
        let head = text(&self.received[..end]);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if !status.starts_with("HTTP/1.1 ") {
            return Err(format!("not an HTTP response: {}", shown(&self.received)));
        }
        if !status.starts_with("HTTP/1.1 101 ") {
            self.state = State::Refused;
            return Ok(());
        }
        let fields: Vec<(String, &str)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .collect();
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let accept = base64::engine::general_purpose::STANDARD
            .encode(Sha1::digest(format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", self.key)));
        if field("sec-websocket-accept") != Some(&accept) {
            return Err(format!("Sec-WebSocket-Accept differs from RFC 6455 section 4.2.2: {head:?}"));
        }
        if let Some(extension) = field("sec-websocket-extensions") {
            let parts: Vec<&str> = extension.split(';').map(str::trim).collect();
            if !self.offers || parts.first() != Some(&"permessage-deflate") {
                return Err(format!("an extension that was not offered: {extension}"));
            }
            if !parts.contains(&"server_no_context_takeover") {
                return Err(format!("compression with context takeover: {extension}"));
            }
            self.deflates = true;
        }
        self.received.drain(..end + 4);
        self.state = State::Open;
        Ok(())
    }

    /// Removes and returns the next frame, if it is complete.
    fn next_frame(&mut self) -> Result<Option<(Frame, Vec<u8>)>, String> {
        let bytes = &self.received;
        let &[first, second, ..] = &bytes[..] else { return Ok(None) };
        let frame = Frame { opcode: first & 0xf, is_last: first & 0x80 != 0, compressed: first & 0x40 != 0 };
        let wrong = |what: &str| Err(format!("a frame {what}: {}", shown(bytes)));
        if first & 0x30 != 0 || frame.compressed && (!self.deflates || !matches!(frame.opcode, TEXT | BINARY)) {
            return wrong("has a reserved bit set");
        }
        if !matches!(frame.opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return wrong("has a reserved opcode");
        }
        if second & 0x80 != 0 {
            return wrong("of a server is masked");
        }
        let (length, begin) = match second & 0x7f {
            126 => match bytes.get(2..4) {
                Some(digits) => (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10) {
                Some(digits) => (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), 10),
                None => return Ok(None),
            },
            short => (usize::from(short), 2),
        };
        if begin == 4 && length < 126 || begin == 10 && length < 0x1_0000 {
            return wrong("does not encode its length in the shortest form");
        }
        if frame.is_control() && (length > 125 || !frame.is_last) {
            return wrong("of control is too long or fragmented");
        }
        if length > MESSAGE_MAX_BYTES {
            return wrong("is longer than any message of the tests");
        }
        let Some(content) = bytes.get(begin..begin + length) else { return Ok(None) };
        let content = content.to_vec();
        self.received.drain(..begin + length);
        Ok(Some((frame, content)))
    }

    fn control(&mut self, frame: Frame, content: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match frame.opcode {
            PING if !self.has_closed => self.send(Frame::whole(PONG), content, out),
            PONG => {
                // A pong may answer only the last of several pings (RFC 6455 section 5.5.3).
                match self.pings.iter().position(|ping| ping == content) {
                    Some(place) => drop(self.pings.drain(..=place)),
                    None if self.unsure => {}
                    None => return Err(format!("a pong without a ping: {}", shown(content))),
                }
            }
            CLOSE => {
                if let [_] = content {
                    return Err("a Close with half a code".to_string());
                }
                if let Some((code, words)) = content.split_first_chunk() {
                    let code = u16::from_be_bytes(*code);
                    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) || core::str::from_utf8(words).is_err()
                    {
                        return Err(format!("a Close with code {code} and {}", shown(words)));
                    }
                }
                if self.message.is_some() {
                    return Err("a Close within a message".to_string());
                }
                if !core::mem::replace(&mut self.has_closed, true) {
                    self.send(Frame::whole(CLOSE), content.get(..2).unwrap_or_default(), out);
                }
                self.state = State::Closed;
            }
            _ => {}
        }
        Ok(())
    }

    fn data(&mut self, frame: Frame, content: Vec<u8>, messages: &mut Vec<Vec<u8>>) -> Result<(), String> {
        let (begun, whole) = match (self.message.take(), frame.opcode) {
            (None, CONTINUATION) => return Err("a continuation frame without a message".to_string()),
            (None, _) => (frame, content),
            (Some((begun, mut earlier)), CONTINUATION) => {
                earlier.extend(content);
                (begun, earlier)
            }
            (Some(_), _) => return Err("a message begins within another".to_string()),
        };
        if !frame.is_last {
            self.message = Some((begun, whole));
            return Ok(());
        }
        let message = if begun.compressed { inflate(whole)? } else { whole };
        if begun.opcode == TEXT && core::str::from_utf8(&message).is_err() {
            return Err(format!("text that is not UTF-8: {}", shown(&message)));
        }
        messages.push(message);
        Ok(())
    }
}

impl Codec for WebSocket {
    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        *self = Self::new(&core::mem::take(&mut self.path), self.offers);
        self.masks = Random::new(random.next_u64());
        let nonce = [random.next_u64().to_be_bytes(), random.next_u64().to_be_bytes()].concat();
        self.key = base64::engine::general_purpose::STANDARD.encode(nonce);
        let offer = match (self.offers, random.below(4)) {
            (false, _) => String::new(),
            (true, 0) => {
                format!(
                    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={}\r\n",
                    8 + random.below(8)
                )
            }
            (true, _) => "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n".to_string(),
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n{offer}\r\n",
            self.path, self.key
        );
        out.extend_from_slice(request.as_bytes());
    }

    fn is_ready(&self) -> bool {
        self.state == State::Open && !self.has_closed
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        let mut content = message.as_bytes().to_vec();
        let compressed = self.deflates && random.below(2) == 0;
        if compressed {
            content = miniz_oxide::deflate::compress_to_vec(&content, 6);
            // The content ends with a final block. Of the empty block that follows, only the header
            // is sent (RFC 7692 section 7.2.3.5).
            content.push(0);
        }
        let opcode = if random.below(4) == 0 { BINARY } else { TEXT };
        let mut rest = &content[..];
        let mut frame = Frame { opcode, is_last: true, compressed };
        while random.below(3) == 0 {
            let cut = usize::try_from(random.below(rest.len() as u64 + 1)).unwrap_or(0);
            let (piece, behind) = rest.split_at(cut);
            self.send(Frame { is_last: false, ..frame }, piece, out);
            if random.below(2) == 0 {
                self.ping(random, out);
            }
            (rest, frame) = (behind, Frame::whole(CONTINUATION));
        }
        self.send(frame, rest, out);
    }

    fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.unsure = true;
        out.extend_from_slice(bytes);
    }

    fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        if random.below(4) == 0 {
            return self.send(Frame::whole(PONG), b"unasked", out);
        }
        self.ping(random, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) -> bool {
        if self.is_ready() {
            self.has_closed = true;
            self.send(Frame::whole(CLOSE), &1000_u16.to_be_bytes(), out);
        }
        true
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String> {
        let mut messages = Vec::new();
        let outcome = self.take(bytes, &mut messages, out);
        heard.extend(messages.iter().map(|message| text(message)));
        outcome
    }

    fn finished(&mut self, _: &mut Vec<String>) -> Result<(), String> {
        match self.state {
            State::Open => Err(format!("the connection ends without a Close, after {}", shown(&self.received))),
            _ => Ok(()),
        }
    }

    fn answers_pings(&self) -> bool {
        self.has_spoken()
    }
}

/// Decompresses a message.
fn inflate(mut content: Vec<u8>) -> Result<Vec<u8>, String> {
    let start = shown(&content);
    content.extend_from_slice(&DEFLATE_END);
    miniz_oxide::inflate::decompress_to_vec_with_limit(&content, MESSAGE_MAX_BYTES)
        .map_err(|error| format!("a message that does not inflate ({error:?}): {start}"))
}
