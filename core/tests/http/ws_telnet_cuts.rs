//! Telnet in WebSocket behaves like telnet.
//!
//! However the same stream is split into frames, and these into reads, it results in the same
//! messages, signals, replies and end.

#![allow(dead_code, reason = "the tests share what they say to a server")]

use crate::ws_world::{UPGRADE, framed, frames, ws_telnet};
use drupe_core::limit::{MessageSize, Rate};
use drupe_core::telnet::{InputMode, Telnet};
use drupe_core::testing::TestHub;
use drupe_core::websocket::Opcode;
use drupe_core::wire::{Protocol, Wire};
use drupe_core::{Config, ConnId, Event, Handler, Hub, Listen};
use proptest::prelude::*;
use std::time::Duration;

/// Does what it is told, and remembers it.
#[derive(Default)]
struct App(Vec<String>);

impl Handler for App {
    type Context = ();
    type Note = ();

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, ()>) {
        match event {
            Event::Message { conn, payload } => {
                self.0.push(format!("{payload:?}"));
                match payload.as_str().unwrap_or_default() {
                    "pause" => hub.pause(conn),
                    "ask" => drop(hub.prompt(conn, "? ")),
                    "secret" => drop(hub.prompt_hidden(conn, "password: ")),
                    "write" => drop(hub.write(conn, "bare\nwords")),
                    "quit" => hub.close_with(conn, "goodbye"),
                    text => drop(hub.send(conn, &format!("you said {text}"))),
                }
            }
            Event::Signal { signal, .. } => self.0.push(format!("{signal:?}")),
            Event::Note(()) => {
                let conns: Vec<_> = hub.connections().collect();
                conns.into_iter().for_each(|conn| hub.resume(conn));
            }
            Event::Closed { reason, .. } => self.0.push(reason.to_string()),
            _ => {}
        }
    }
}

const PIECES: [&[u8]; 30] = [
    b"one\r\n",
    b"two",
    b"\r",
    b"\n",
    b"\r\0",
    b"\xc3\xbc\r\n",
    b"\xc3",
    b"x\x1b[Dy\r",
    b"\x1b",
    b"\x7f",
    b"\x01\x05",
    b"\x0c",
    b"\t",
    b"pause\r\n",
    b"ask\r\n",
    b"secret\r\n",
    b"write\r\n",
    b"quit\r\n",
    b"forty bytes of a line that is rather long",
    b"\xff\xfd\x01\xff\xfd\x03",
    b"\xff\xfe\x01",
    b"\xff\xfb\x18",
    b"\xff\xfb\x1f\xff\xfa\x1f\0\x50\0\x18\xff\xf0",
    b"\xff\xfa\x1f\0\xff\xff",
    b"\xff\xf6",
    b"\xff\xff",
    b"\xff\xf1",
    b"\xff\xf8",
    b"\xff",
    b"\xff\xf0",
];

const MODES: [InputMode; 3] = [InputMode::Line, InputMode::Character, InputMode::Keys];

fn limited(mut config: Config) -> Config {
    config.peer.budget.message_max_bytes = MessageSize::new(64).expect("in range");
    // Time passes at the end, and nothing is late.
    config.peer.budget.message_deadline = Duration::from_secs(1_000_000);
    config.peer.rates.messages = None;
    config.peer.rates.bytes = None;
    config
}

fn plain(mode: InputMode) -> (TestHub<App>, ConnId) {
    let telnet = Telnet::default().mode(mode).probe(false);
    let listen: Listen = "telnet://127.0.0.1:1?notices=no".parse().expect("well formed");
    let config = Config::listening([listen.protocol(Protocol::Spoken(Wire::Telnet(telnet)))]);
    let mut hub = TestHub::with_config(limited(config), App::default());
    let conn = hub.connect();
    (hub, conn)
}

fn carried(mode: InputMode, ping: bool, is_slowed: bool) -> (TestHub<App>, ConnId) {
    let mut config = limited(ws_telnet(mode, ping.then_some(Duration::from_secs(30))));
    if is_slowed {
        config.peer.rates.messages = Rate::new(5, 5).ok();
        config.peer.rates.bytes = Rate::new(50, 100).ok();
    }
    let mut hub = TestHub::with_config(config, App::default());
    let conn = hub.connect();
    hub.send(conn, UPGRADE);
    hub.clear();
    (hub, conn)
}

/// The telnet in what a server has sent in binary messages, up to its close frame, behind which there is nothing.
fn unwrapped(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut is_over = false;
    for (opcode, part) in frames(bytes) {
        assert!(!is_over, "a frame behind the close");
        match opcode {
            2 => content.extend(part),
            8 => is_over = true,
            9 | 10 => {}
            other => panic!("opcode {other}"),
        }
    }
    content
}

/// What is settled in a stream of telnet, and the text without it: that goes ahead of text that is queued. What ends a prompt
/// stays in its place.
fn parted(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut commands, mut text) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        let length = match (*first, behind) {
            // An escaped 255 and other text; go ahead and the end of a record, which end a prompt.
            (255, [255 | 249 | 239, ..]) | (0..255, _) => 0,
            (255, [250, ..]) => rest.windows(2).position(|two| two == [255, 240]).expect("it ends") + 2,
            (255, [251..=254, ..]) => 3,
            _ => 2,
        };
        commands.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
        if length == 0 {
            text.push(*first);
            rest = behind;
        }
    }
    (commands, text)
}

/// A frame that does not end its message, or goes on with one.
fn fragment(content: &[u8], is_first: bool, is_last: bool) -> Vec<u8> {
    let mut bytes = framed(Opcode::Binary, content);
    bytes[0] = (u8::from(is_first) * 2) | (u8::from(is_last) * 0x80);
    bytes
}

/// One message with this content in one frame, and perhaps empty frames and pings around it.
fn message(content: &[u8], shape: u8) -> Vec<u8> {
    let ping = framed(Opcode::Ping, b"?");
    match shape % 4 {
        0 => framed(Opcode::Binary, content),
        1 => [ping.clone(), framed(Opcode::Binary, content), ping].concat(),
        2 => [fragment(b"", true, false), ping, fragment(content, false, true)].concat(),
        _ => [fragment(content, true, false), fragment(b"", false, true), framed(Opcode::Binary, b"")].concat(),
    }
}

fn settle(hub: &mut TestHub<App>) {
    for _ in 0..80 {
        hub.note(());
        hub.advance(Duration::from_millis(1));
    }
}

/// What the application was told, and the last size of the window: sizes are told at the end of each read.
fn told(hub: &TestHub<App>) -> (Vec<&str>, Option<&str>) {
    let (sizes, others): (Vec<_>, Vec<_>) =
        hub.handler().0.iter().map(String::as_str).partition(|told| told.starts_with("Resized"));
    (others, sizes.last().copied())
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..PIECES.len(), 0..40)
        .prop_map(|pieces| pieces.into_iter().flat_map(|piece| PIECES[piece].to_vec()).collect())
}

proptest! {
    /// Each read of the one is a message of the other.
    #[test]
    fn websocket_telnet_answers_each_read_as_plain_telnet(
        stream in streams(),
        sizes in prop::collection::vec(1..30usize, 1..6),
        shape: u8,
        mode in 0..3usize,
        cuts_header: bool,
    ) {
        let (mut one, plain) = plain(MODES[mode]);
        let (mut other, carried) = carried(MODES[mode], true, false);
        let (mut rest, mut sizes) = (&stream[..], sizes.iter().cycle());
        let mut shape = shape;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((*sizes.next().expect("endless")).min(rest.len()));
            rest = behind;
            one.send(plain, piece);
            let frames = message(piece, shape);
            let (header, content) = frames.split_at(if cuts_header { 3.min(frames.len()) } else { 0 });
            other.send(carried, header);
            other.send(carried, content);
            shape = shape.wrapping_add(1);
            settle(&mut one);
            settle(&mut other);
            prop_assert_eq!(unwrapped(other.received(carried)), one.received(plain), "after {:?}", piece);
            prop_assert_eq!(&other.handler().0, &one.handler().0, "after {:?}", piece);
        }
        one.end(plain);
        other.send(carried, &framed(Opcode::Close, &[3, 232]));
        settle(&mut one);
        settle(&mut other);
        prop_assert_eq!(&other.handler().0, &one.handler().0);
        prop_assert_eq!(unwrapped(other.received(carried)), one.received(plain));
        prop_assert!(one.is_closed(plain) && other.is_closed(carried));
    }

    /// However it is cut, paused and slowed.
    #[test]
    fn websocket_telnet_result_does_not_depend_on_framing(
        stream in streams(),
        frame_sizes in prop::collection::vec(0..20usize, 1..6),
        read_sizes in prop::collection::vec(1..40usize, 1..6),
        mode in 0..3usize,
        pings: bool,
        is_slowed: bool,
        ends_at_once: bool,
    ) {
        let (mut one, plain) = plain(MODES[mode]);
        let (mut other, carried) = carried(MODES[mode], pings, is_slowed);
        let (mut rest, mut bytes, mut is_first) = (&stream[..], Vec::new(), true);
        for (number, size) in frame_sizes.iter().chain(&[1]).cycle().enumerate() {
            let (content, behind) = rest.split_at((*size).min(rest.len()));
            rest = behind;
            let is_last = rest.is_empty() || number % 3 == 0;
            bytes.extend(fragment(content, is_first, is_last));
            is_first = is_last;
            if pings && number % 2 == 0 {
                bytes.extend(framed(Opcode::Ping, b"!"));
            }
            if rest.is_empty() {
                break;
            }
        }
        one.send(plain, &stream);
        let close = framed(Opcode::Close, &[3, 232]);
        if ends_at_once {
            one.end(plain);
            bytes.extend(&close);
        }
        let (mut rest, mut sizes) = (&bytes[..], read_sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((*sizes.next().expect("endless")).min(rest.len()));
            other.send(carried, piece);
            rest = behind;
        }
        for hub in [&mut one, &mut other] {
            for _ in 0..40 {
                hub.note(());
                hub.advance(Duration::from_secs(100));
            }
        }
        if !ends_at_once {
            one.end(plain);
            other.send(carried, &close);
            settle(&mut one);
            settle(&mut other);
        }
        prop_assert_eq!(told(&other), told(&one));
        prop_assert!(one.is_closed(plain) && other.is_closed(carried));
        let told = unwrapped(other.received(carried));
        if mode == 0 {
            prop_assert_eq!(parted(&told), parted(one.received(plain)));
        }
    }
}
