//! A WebSocket with telnet in it, and what its peer says and hears.

use drupe_core::http::Http;
use drupe_core::telnet::{InputMode, Telnet};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::Protocol;
use drupe_core::{Config, ConnId, Handler, Listen, ListenerId, Machine, Peer, Time};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A listener for telnet in WebSocket that asks nothing first.
pub(crate) fn ws_telnet(mode: InputMode, ping: Option<Duration>) -> Config {
    let telnet = Some(Telnet::default().mode(mode).probe(false));
    let http = Http::default().telnet(telnet).ping(ping).deflate(false);
    let listen: Listen = "ws://127.0.0.1:1".parse().expect("well formed");
    Config::listening([listen.protocol(Protocol::Http(Arc::new(http)))])
}

/// A machine with one connection.
pub(crate) fn begin<H: Handler>(config: Config, handler: H) -> (Machine<H>, ConnId) {
    let mut machine = Machine::new(config, handler);
    machine.started(Time::START);
    let peer = Peer::Address(([192, 0, 2, 1], 1).into());
    let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
    (machine, conn)
}

/// Takes all that there is to write.
pub(crate) fn take<H: Handler>(machine: &mut Machine<H>, conn: ConnId) -> Vec<u8> {
    let (now, mut out) = (machine.now(), Vec::new());
    while let Some(intent) = machine.intent(conn).filter(|intent| !intent.transmit.is_empty()) {
        let length = intent.transmit.first().len();
        out.extend_from_slice(intent.transmit.first());
        machine.wrote(now, conn, length);
    }
    out
}

/// The connection becomes a WebSocket.
pub(crate) fn upgrade<H: Handler>(machine: &mut Machine<H>, conn: ConnId) {
    machine.received(machine.now(), conn, &mut UPGRADE.to_vec());
    assert!(take(machine, conn).starts_with(b"HTTP/1.1 101 "));
}

/// A frame as a client sends it.
pub(crate) fn framed(opcode: Opcode, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(opcode, content, Some([1, 2, 3, 4]), &mut bytes);
    bytes
}

/// The frames that a server has sent: opcode and content.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (length, rest) = match second {
            127 => {
                let (length, rest) = rest.split_first_chunk().expect("a length");
                (usize::try_from(u64::from_be_bytes(*length)).expect("short"), rest)
            }
            126 => {
                let (length, rest) = rest.split_first_chunk().expect("a length");
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            length => (usize::from(*length), rest),
        };
        let (content, rest) = rest.split_at_checked(length).expect("a whole frame");
        frames.push((first & 15, content.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a frame: {bytes:?}");
    frames
}
