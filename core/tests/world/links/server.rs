//! Model servers that links connect to. Half of their connections go wrong at some step.

use super::app::INFO;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use drupe_core::Random;
use drupe_core::sim::{Act, Actor};
use rustls::{ServerConfig, ServerConnection};
use sha1::{Digest, Sha1};
use std::io::{Read, Write};
use std::sync::Arc;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Speech {
    Lines,
    Frames,
    WebSocket,
}

/// When a server begins TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Secrecy {
    Plain,
    AtOnce,
    /// After it has sent `INFO`.
    WhenAsked,
}

/// The step at which a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// When it accepts the connection.
    Accepted,
    /// At the start of TLS after `INFO`, or after the handshake of TLS that began at once.
    Tls,
    /// Once it has received the first message.
    Served,
}

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    Silent,
    Ends,
    Resets,
    /// Sends an HTTP response with this status.
    Http(u16),
    Random,
    /// Announces a message of 2 GiB, and a TLS record of 65,535 bytes.
    Huge,
    /// Sends something that does not end.
    Endless,
    /// Sends a certificate for another name, in the TLS handshake.
    OtherName,
    /// Sends more than `INFO` before TLS.
    Early,
}

/// The defect of one connection.
pub(crate) type Lie = Option<(Step, Wrong)>;

/// The TLS configurations of all servers: of the right name, and of another one.
#[derive(Clone)]
pub(crate) struct ServerKeys {
    pub(crate) right: Arc<ServerConfig>,
    pub(crate) other: Arc<ServerConfig>,
}

pub(crate) struct Server {
    speech: Speech,
    secrecy: Secrecy,
    keys: ServerKeys,
    /// The defects of all connections, in order.
    pub(crate) lies: Vec<Lie>,
    lie: Lie,
    session: Option<ServerConnection>,
    /// Whether the server has misbehaved, and does nothing more.
    is_over: bool,
    has_upgraded: bool,
    received: Vec<u8>,
    out: Vec<u8>,
    /// What the server does to the connection when it acts next.
    act: Option<Act>,
    random: Random,
}

impl Server {
    pub(crate) fn new(speech: Speech, secrecy: Secrecy, keys: &ServerKeys) -> Self {
        Self {
            speech,
            secrecy,
            keys: keys.clone(),
            lies: Vec::new(),
            lie: None,
            session: None,
            is_over: false,
            has_upgraded: false,
            received: Vec::new(),
            out: Vec::new(),
            act: None,
            random: Random::new(0),
        }
    }

    fn draw_lie(&mut self) -> Lie {
        if self.random.below(2) == 0 {
            return None;
        }
        let step = match self.random.below(4) {
            0 | 1 => Step::Accepted,
            2 if self.secrecy != Secrecy::Plain => Step::Tls,
            _ => Step::Served,
        };
        let wrong = match self.random.below(12) {
            1 => Wrong::Ends,
            2 => Wrong::Resets,
            3 => Wrong::Http(302),
            4 => Wrong::Http(503),
            5 | 6 => Wrong::Random,
            7 => Wrong::Huge,
            8 => Wrong::Endless,
            9 if self.secrecy == Secrecy::WhenAsked => return Some((Step::Accepted, Wrong::Early)),
            9 | 10 if self.secrecy != Secrecy::Plain => return Some((Step::Tls, Wrong::OtherName)),
            _ => Wrong::Silent,
        };
        Some((step, wrong))
    }

    fn begin_session(&mut self) {
        let is_other = matches!(self.lie, Some((_, Wrong::OtherName)));
        let config = if is_other { &self.keys.other } else { &self.keys.right };
        let mut session = ServerConnection::new(Arc::clone(config)).expect("a good configuration");
        session.set_buffer_limit(None);
        self.session = Some(session);
    }

    /// Sends plain bytes, over TLS if it is complete.
    fn send(&mut self, bytes: &[u8]) {
        match &mut self.session {
            Some(session) if !session.is_handshaking() => session.writer().write_all(bytes).expect("room"),
            _ => self.out.extend_from_slice(bytes),
        }
        self.flush();
    }

    fn flush(&mut self) {
        let Some(session) = &mut self.session else { return };
        while session.wants_write() && session.write_tls(&mut self.out).is_ok() {}
    }

    /// Misbehaves if the defect belongs to this step.
    fn reach(&mut self, step: Step) {
        let Some((wrong_at, wrong)) = self.lie else { return };
        if wrong_at != step || self.is_over || matches!(wrong, Wrong::OtherName | Wrong::Early) {
            return;
        }
        self.is_over = true;
        let in_frames = self.speech == Speech::WebSocket && self.has_upgraded;
        let bytes = match wrong {
            Wrong::Ends => return self.act = Some(Act::End),
            Wrong::Resets => return self.act = Some(Act::Leave),
            Wrong::Http(status) => {
                format!("HTTP/1.1 {status} No\r\nLocation: https://example.org/\r\nContent-Length: 6\r\n\r\n<html>")
                    .into_bytes()
            }
            Wrong::Random => (0..600).map(|_| u8::try_from(self.random.below(256)).expect("a byte")).collect(),
            Wrong::Huge if in_frames => b"\x82\x7f\0\0\0\0\x80\0\0\0".to_vec(),
            Wrong::Huge if self.speech == Speech::Frames && self.is_plain_step(step) => b"\x80\0\0\0".to_vec(),
            Wrong::Huge => b"\x16\x03\x03\xff\xff".to_vec(),
            Wrong::Endless if self.speech == Speech::WebSocket && !self.has_upgraded && self.is_plain_step(step) => {
                [&b"HTTP/1.1 101 Switching Protocols\r\n"[..], &b"X-More: and more\r\n".repeat(4_000)].concat()
            }
            Wrong::Endless => vec![b'x'; 200_000],
            Wrong::Silent | Wrong::OtherName | Wrong::Early => return,
        };
        self.send(&bytes);
    }

    /// Whether bytes at this step belong to the protocol, and not to a TLS handshake.
    fn is_plain_step(&self, step: Step) -> bool {
        match self.secrecy {
            Secrecy::Plain => true,
            Secrecy::AtOnce => step != Step::Accepted,
            Secrecy::WhenAsked => step != Step::Tls,
        }
    }

    /// Handles decrypted bytes.
    fn take(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        if self.speech == Speech::WebSocket && !self.has_upgraded {
            let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") else { return };
            let head = String::from_utf8(self.received.drain(..end + 4).collect()).expect("text");
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
            let proof = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
            let accept = BASE64_STANDARD.encode(proof);
            self.has_upgraded = true;
            let response = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            self.send(response.as_bytes());
        }
        while !self.is_over
            && let Some((opcode, message)) = self.next_message()
        {
            self.reach(Step::Served);
            if !self.is_over {
                self.answer(opcode, &message);
            }
        }
    }

    /// Sends a message back.
    fn answer(&mut self, opcode: u8, message: &[u8]) {
        let length = u32::try_from(message.len()).expect("short");
        let bytes = match self.speech {
            Speech::Lines => [message, b"\n"].concat(),
            Speech::Frames => [&length.to_be_bytes(), message].concat(),
            Speech::WebSocket => {
                let opcode = if opcode == 9 { 10 } else { opcode };
                let head = match length {
                    0..126 => vec![0x80 | opcode, u8::try_from(length).expect("short")],
                    _ => [&[0x80 | opcode, 126][..], &u16::try_from(length).expect("short").to_be_bytes()].concat(),
                };
                [&head, message].concat()
            }
        };
        self.send(&bytes);
        if self.speech == Speech::WebSocket && opcode == 8 {
            (self.is_over, self.act) = (true, Some(Act::End));
        }
    }

    /// Removes and returns the next message, with the opcode of its frame.
    fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let bytes = &self.received;
        let (opcode, begin, end, mask) = match self.speech {
            Speech::Lines => (1, 0, bytes.iter().position(|byte| *byte == b'\n')?, None),
            Speech::Frames => {
                let (length, _) = bytes.split_first_chunk()?;
                (2, 4, 4 + usize::try_from(u32::from_be_bytes(*length)).expect("short"), None)
            }
            Speech::WebSocket => {
                let &[first, second, ..] = &bytes[..] else { return None };
                assert!(first & 0x70 == 0 && second & 0x80 != 0, "a client sends masked frames without extensions");
                let (length, begin) = match second & 0x7f {
                    126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
                    short => (usize::from(short), 2),
                };
                let mask: [u8; 4] = bytes.get(begin..begin + 4)?.try_into().expect("4 bytes");
                (first & 0xf, begin + 4, begin + 4 + length, Some(mask))
            }
        };
        let mut message = bytes.get(begin..end)?.to_vec();
        let mask = mask.unwrap_or_default();
        message.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        self.received.drain(..end + usize::from(self.speech == Speech::Lines));
        Some((opcode, message))
    }

    /// Feeds bytes to the TLS session, and handles what it decrypts.
    fn decrypt(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(session) = &mut self.session else { return };
            session.read_tls(&mut bytes).expect("a slice");
            let outcome = session.process_new_packets();
            let mut plain = Vec::new();
            let is_complete = !session.is_handshaking();
            if let Ok(state) = &outcome {
                plain.resize(state.plaintext_bytes_to_read(), 0);
                session.reader().read_exact(&mut plain).expect("it is there");
                if state.peer_has_closed() && self.act.is_none() {
                    session.send_close_notify();
                }
            }
            self.flush();
            if outcome.is_err() {
                self.is_over = true;
                return;
            }
            if is_complete && self.secrecy == Secrecy::AtOnce {
                self.reach(Step::Tls);
            }
            if !self.is_over {
                self.take(&plain);
            }
        }
    }
}

impl Actor for Server {
    fn connected(&mut self, random: &mut Random) -> Vec<u8> {
        self.random = Random::new(random.next_u64());
        (self.session, self.is_over, self.has_upgraded, self.act) = (None, false, false, None);
        self.received.clear();
        self.out.clear();
        self.lie = self.draw_lie();
        self.lies.push(self.lie);
        self.reach(Step::Accepted);
        if self.is_over {
            return std::mem::take(&mut self.out);
        }
        match self.secrecy {
            Secrecy::Plain => {}
            Secrecy::AtOnce => self.begin_session(),
            Secrecy::WhenAsked => {
                self.answer(1, INFO.as_bytes());
                if matches!(self.lie, Some((_, Wrong::Early))) {
                    self.answer(1, b"more");
                }
            }
        }
        std::mem::take(&mut self.out)
    }

    fn act(&mut self, random: &mut Random) -> Act {
        if let Some(act) = self.act.take() {
            return act;
        }
        // A good server also closes sometimes.
        match random.below(150) {
            0 if self.has_served() => Act::End,
            1 if self.has_served() => Act::Leave,
            _ => Act::Wait,
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        if self.secrecy == Secrecy::WhenAsked && self.session.is_none() {
            self.reach(Step::Tls);
            if self.is_over {
                return;
            }
            self.begin_session();
        }
        match self.session {
            Some(_) => self.decrypt(bytes),
            None => self.take(bytes),
        }
    }

    fn replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn answers_pings(&self) -> bool {
        false
    }
}

impl Server {
    /// Whether the server has completed every handshake.
    fn has_served(&self) -> bool {
        let is_secure =
            self.secrecy == Secrecy::Plain || self.session.as_ref().is_some_and(|tls| !tls.is_handshaking());
        !self.is_over && is_secure && (self.speech != Speech::WebSocket || self.has_upgraded)
    }
}
