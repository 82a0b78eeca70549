//! Twenty peers send the most expensive input as fast as the machine reads, beside one normal peer.
//!
//! The cost of a turn is bounded, and the normal peer is served in every turn.

use crate::counting::Measure;
use drupe_core::app::Echo;
use drupe_core::telnet::subnegotiation;
use drupe_core::websocket::{Opcode, frame};
use drupe_core::work::steps_of;
use drupe_core::{Config, ConnId, Listen, ListenerId, Machine, Peer, Time};
use std::time::Duration;

const HOSTILE: usize = 20;
const READ_BYTES: usize = 64 << 10;
const TURNS: usize = 8;
/// What a hostile peer may make the server hold: what was read, its line and its drawing, compressed streams.
const MEMORY_PER_PEER_BYTES: isize = 640 << 10;

const AGREED: &[u8] = b"\xff\xfc\x18\xff\xfd\x01\xff\xfd\x03";

/// A server as a shell drives it.
struct Server {
    machine: Machine<Echo>,
    now: Time,
}

impl Server {
    fn new(config: Config) -> Self {
        let mut machine = Machine::new(config, Echo);
        machine.started(Time::START);
        Self { machine, now: Time::START }
    }

    fn accept(&mut self, listener: u32, number: usize) -> ConnId {
        let peer: Peer = format!("192.0.2.{}:1", number + 1).parse().expect("an address");
        self.machine.accepted(self.now, ListenerId::new(listener), peer).expect("let in")
    }

    /// One turn: everybody who has something to say and may be read is read once, what is due is done, and everybody takes
    /// what is to be written. Returns what each was sent.
    fn turn(&mut self, readers: &mut [(ConnId, &mut dyn FnMut() -> Vec<u8>)]) -> Vec<Vec<u8>> {
        self.now = self.now + Duration::from_millis(1);
        for (conn, next) in readers.iter_mut() {
            if self.machine.intent(*conn).is_some_and(|intent| intent.read) {
                self.machine.received(self.now, *conn, &mut next());
            }
        }
        if self.machine.deadline().is_some_and(|deadline| deadline.at <= self.now) {
            self.machine.elapsed(self.now);
        }
        let mut heard = Vec::new();
        for (conn, _) in readers.iter() {
            let mut bytes = Vec::new();
            while let Some(intent) = self.machine.intent(*conn).filter(|intent| !intent.transmit.is_empty()) {
                let slice = intent.transmit.first();
                bytes.extend_from_slice(slice);
                let written = slice.len();
                self.machine.wrote(self.now, *conn, written);
            }
            heard.push(bytes);
        }
        self.machine.turn_ended(self.now);
        heard
    }
}

/// Hostile peers of one listener, without rates, which send first one thing and then a unit again and again.
fn attack(name: &str, listen: &str, first: &[u8], unit: &[u8]) {
    attack_with(Config::unlimited, name, listen, first, unit);
}

fn attack_with(configure: fn(Config) -> Config, name: &str, listen: &str, first: &[u8], unit: &[u8]) {
    let listeners = [listen, "tcp://127.0.0.1:2"].map(|text| text.parse::<Listen>().expect("well formed"));
    let mut server = Server::new(configure(Config::listening(listeners)));
    let hostile: Vec<ConnId> = (0..HOSTILE).map(|number| server.accept(0, number)).collect();
    let quiet = server.accept(1, HOSTILE);
    let run = unit.repeat((READ_BYTES / unit.len()).max(1));
    let mut streams: Vec<_> = hostile
        .iter()
        .map(|_| {
            let (mut is_first, run) = (true, &run);
            move || if core::mem::take(&mut is_first) { first.to_vec() } else { run.clone() }
        })
        .collect();
    let mut count = 0;
    let mut hello = || {
        count += 1;
        format!("hello {count}\n").into_bytes()
    };
    let budget = server.machine.config().peer.budget;
    let most = (HOSTILE as u64 + 1) * (budget.steps_max(READ_BYTES) + budget.steps_max(0));
    let measure = Measure::begin();
    for number in 1..=TURNS {
        let mut readers: Vec<(ConnId, &mut dyn FnMut() -> Vec<u8>)> = Vec::new();
        for (conn, stream) in hostile.iter().zip(&mut streams) {
            readers.push((*conn, stream));
        }
        readers.push((quiet, &mut hello));
        let (heard, steps) = steps_of(|| server.turn(&mut readers));
        assert!(steps <= most, "{name}: {steps} steps in a turn, and {most} are allowed");
        let expected = format!("hello {number}\n");
        assert_eq!(heard[HOSTILE], expected.as_bytes(), "{name}: the other one is served in the turn it speaks");
    }
    let memory = measure.peak() / isize::try_from(HOSTILE).expect("small");
    assert!(memory <= MEMORY_PER_PEER_BYTES, "{name}: {memory} bytes for each hostile peer");
}

const CHARACTER: &str = "telnet://127.0.0.1:1?mode=character";

fn line(behind: &[u8]) -> Vec<u8> {
    [AGREED, &[b'x'; 4_090], behind].concat()
}

#[test]
fn redrawing_keys_on_a_long_line_stay_within_a_turn() {
    attack("home and end", CHARACTER, &line(b""), b"\x01\x05");
    attack_with(|config| config, "home and end, slowed", CHARACTER, &line(b""), b"\x01\x05");
    attack("clear the screen", CHARACTER, &line(b""), b"\x0c");
    attack("insert in front", CHARACTER, &line(b"\x01"), b"y\x7f");
    let marks = [AGREED, "e\u{301}\u{302}".repeat(800).as_bytes(), b"\r", &[b'x'; 4_000]].concat();
    attack("recall", CHARACTER, &marks, b"\x10\x0e");
    attack("recall and wipe", CHARACTER, &marks, b"\x10\x15");
    attack("recall and say", CHARACTER, &marks, b"\x10\r");
}

#[test]
fn telnet_commands_among_keys_stay_within_a_turn() {
    attack("are you there", CHARACTER, &line(b""), b"\xff\xf6");
    attack("erase", CHARACTER, &line(b""), b"x\xff\xf7");
    attack("a key and a command", CHARACTER, &line(b""), b"\x1b[D\xff\xf1");
    attack("a key and a signal", CHARACTER, &line(b""), b"\x1b[D\xff\xf3");
    let mut status = Vec::new();
    subnegotiation(5, &[1], &mut status);
    attack("status", CHARACTER, &[&line(b"")[..], b"\xff\xfd\x05"].concat(), &status);
}

#[test]
fn backspaces_over_combining_marks_stay_within_a_turn() {
    let marks = "e\u{301}\u{302}".repeat(10);
    attack("backspace", "telnet://127.0.0.1:1", marks.as_bytes(), "\u{301}\x08".as_bytes());
}

#[test]
fn tiny_deflate_blocks_stay_within_a_turn() {
    let bits = (0..READ_BYTES * 8 - 16).map(|place| place % 10 == 1);
    let blocks: Vec<u8> = bits
        .collect::<Vec<_>>()
        .chunks(8)
        .map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)))
        .collect();
    let start = b"\xff\xfd\x57\xff\xfa\x57\xff\xf0\x78\x9c";
    attack("MCCP3", "telnet://127.0.0.1:1?compress=yes", start, &blocks[..blocks.len() / 5 * 5]);
    let mut message = Vec::new();
    frame(Opcode::Binary, &blocks[..60_000], Some([1, 2, 3, 4]), &mut message);
    message[0] |= 0x40;
    attack("WebSocket", "ws://127.0.0.1:1", UPGRADE, &message);
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
