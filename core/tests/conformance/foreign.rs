//! Protocols that Drupe does not know: raw bytes, delimited messages, a codec of the application.

use super::{Peer, accept, run};
use crate::shell::core::app::{Echo, Relay};
use crate::shell::core::kit::on_keys;
use crate::shell::core::telnet::Key;
use crate::shell::core::testing::Netstrings;
use crate::shell::core::wire::{Codec, CodecError, Custom, DecodeContext, Frame, FrameDecoder, Wire};
use crate::shell::core::{Address, Config, Dial, DialProtocol, Event, Handler, Hub, Listen, Payload, Reason};
use std::io::Read;
use std::net::TcpStream;

fn netstrings() -> Wire {
    Wire::Custom(Custom::new(&Netstrings).expect("a good name"))
}

fn listening(address: &str) -> Config {
    Config::listening([address.parse::<Listen>().expect("well formed")])
}

fn custom(wire: Wire) -> Config {
    Config::listening([Listen::new(Address::Tcp(([127, 0, 0, 1], 0).into()), wire)])
}

impl Peer {
    fn exactly(&mut self, bytes: &[u8]) {
        let mut heard = vec![0; bytes.len()];
        self.0.read_exact(&mut heard).expect("the server answers");
        assert!(heard == bytes, "it sent something else");
    }
}

#[test]
fn raw_bytes_return_unchanged_with_back_pressure() {
    let server = run(listening("raw://127.0.0.1:0").unlimited(), Echo, None);
    let mut peer = server.connect();
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|number| number.to_le_bytes()[number as usize % 3]).collect();
    let mut writer = Peer::new(peer.0.get_ref().try_clone().expect("a second handle"));
    let sent = bytes.clone();
    let thread = std::thread::spawn(move || {
        writer.send(&sent);
        writer.end();
    });
    peer.exactly(&bytes);
    assert_eq!(peer.rest_bytes(), b"");
    thread.join().expect("no panic");
    assert_eq!(server.end().ended.get(Reason::PeerClosed), 1);
}

#[test]
fn raw_terminal_sends_keys() {
    let handler = on_keys(|hub: &mut Hub<'_, ()>, conn, key| match key {
        Key::Char('q') => hub.close(conn),
        key => drop(hub.write(conn, &format!("{key:?}\r\n"))),
    });
    let server = run(listening("raw://127.0.0.1:0?mode=keys"), handler, None);
    let mut peer = server.connect();
    peer.send(b"x\x1b[A");
    peer.hear("Char('x')\r\nUp\r\n");
    // Nothing follows the escape character.
    peer.send(b"\x1b");
    peer.hear("Escape\r\n");
    peer.send(b"q");
    assert_eq!(peer.rest_bytes(), b"");
    server.end();
}

#[test]
fn delimited_messages_reach_other_peers() {
    let server = run(listening("delimited://127.0.0.1:0?delimiter=%00%01"), Relay::default(), None);
    let (mut ann, mut bob) = (server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 2);
    ann.send(b"one\0");
    ann.send(b"\x01two\n\0\x01");
    bob.exactly(b"one\0\x01two\n\0\x01");
    bob.send(b"the rest");
    bob.end();
    ann.exactly(b"the rest\0\x01");
    server.end();
}

#[test]
fn codec_serves_peers_and_large_messages() {
    let server = run(custom(netstrings()).unlimited(), Echo, None);
    assert!(server.addresses[0].starts_with("netstrings://127.0.0.1:"), "{:?}", server.addresses);
    let mut peer = server.connect();
    let large = [&b"60000:"[..], &vec![b'x'; 60_000], b","].concat();
    for bytes in [&b"5:hello,0:,"[..], &large] {
        peer.send(bytes);
        peer.exactly(bytes);
    }
    peer.send(b"5:hello;");
    assert_eq!(peer.rest_bytes(), b"");
    server.until(|metrics| metrics.ended.get(Reason::MalformedFrame) == 1);
    server.end();
}

/// A codec that panics at the byte `!`.
#[derive(Debug)]
struct Fragile;

#[derive(Debug)]
struct FragileDecoder;

impl Codec for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(FragileDecoder)
    }

    fn encode(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(payload.as_bytes());
        Ok(())
    }
}

impl FrameDecoder for FragileDecoder {
    fn decode(&mut self, bytes: &[u8], _: &mut DecodeContext<'_>) -> Result<Frame, CodecError> {
        assert_ne!(bytes.first(), Some(&b'!'), "a codec that fails");
        Ok(Frame::Binary { used: 1, content: 0..1 })
    }
}

#[test]
fn codec_panic_closes_one_connection() {
    let server = run(custom(Wire::Custom(Custom::new(&Fragile).expect("a good name"))), Echo, None);
    let (mut bad, mut good) = (server.connect(), server.connect());
    bad.send(b"x!");
    bad.exactly(b"x");
    assert_eq!(bad.rest_bytes(), b"");
    good.send(b"hello");
    good.exactly(b"hello");
    assert_eq!(server.end().ended.get(Reason::CodecFailed), 1);
}

/// Dials the address in a note with netstrings, and greets.
struct Caller;

impl Handler for Caller {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Note(address) => drop(hub.dial(Dial::lines(address).protocol(DialProtocol::Spoken(netstrings())))),
            Event::Opened { conn, .. } => drop(hub.send(conn, "greetings")),
            Event::Message { conn, payload } => drop(hub.send(conn, payload)),
            _ => {}
        }
    }
}

#[test]
fn dial_uses_a_codec() {
    let server = run(custom(netstrings()), Caller, None);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    server.remote.note(elsewhere.local_addr().expect("an address").to_string()).expect("it runs");
    let mut peer = accept(&elsewhere);
    peer.exactly(b"9:greetings,");
    peer.send(b"3:abc,");
    peer.exactly(b"3:abc,");
    drop::<TcpStream>(peer.0.into_inner());
    server.end();
}
