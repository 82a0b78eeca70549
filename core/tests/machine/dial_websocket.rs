//! WebSocket as a client: the handshake, masking, and errors.

use drupe_core::app::Echo;
use drupe_core::http::OpeningHandshake;
use drupe_core::testing::TestHub;
use drupe_core::{
    Backoff, Config, ConnId, Dial, DialId, DialProtocol, Event, Failure, Handler, Hub, Machine, Reason, Time,
};
use proptest::prelude::*;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Dials at a note, says what it is told to over there, and notes what happens.
struct Caller {
    handshake: OpeningHandshake,
    says: Vec<String>,
    log: String,
    dial: Option<DialId>,
    cancels: bool,
}

impl Handler for Caller {
    type Context = ();
    type Note = ();

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, ()>) {
        match event {
            Event::Note(()) if self.cancels => self.dial.into_iter().for_each(|dial| hub.cancel_dial(dial)),
            Event::Note(()) => {
                let backoff = Some(Backoff::default().jitter_percent(0).attempts_max(Some(2)));
                let protocol = DialProtocol::WebSocket(Arc::new(self.handshake.clone()));
                self.dial = Some(hub.dial(Dial::lines("example.org:80").protocol(protocol).backoff(backoff)));
            }
            Event::Opened { conn, .. } => {
                self.log.push_str("opened;");
                for words in &self.says {
                    hub.send(conn, words.as_str());
                }
            }
            Event::Message { payload, .. } => {
                let _ = write!(self.log, "{};", payload.as_str().unwrap_or("binary"));
            }
            Event::Closed { reason, .. } => {
                let _ = write!(self.log, "closed {reason};");
            }
            Event::DialFailed { failure, retry_at, .. } => {
                let _ = write!(self.log, "failed {failure} {:?};", retry_at.map(|at| at.since(Time::START).as_secs()));
            }
            _ => {}
        }
    }
}

fn caller(handshake: OpeningHandshake, says: &[&str]) -> (TestHub<Caller>, ConnId) {
    let says = says.iter().map(ToString::to_string).collect();
    let mut hub = TestHub::with_config(
        Config::listening([]),
        Caller { handshake, says, log: String::new(), dial: None, cancels: false },
    );
    hub.note(());
    let conn = connected(&mut hub);
    (hub, conn)
}

fn connected(hub: &mut TestHub<Caller>) -> ConnId {
    let dial: DialId = hub.machine().dials().next().expect("wanted").0;
    hub.dialed(dial, "192.0.2.7:80".parse().expect("an address")).expect("wanted")
}

fn request(hub: &TestHub<Caller>, conn: ConnId) -> String {
    String::from_utf8(hub.received(conn).to_vec()).expect("text")
}

/// The response that goes with the request of `conn`, with `fields` in it.
fn response(hub: &TestHub<Caller>, conn: ConnId, fields: &str) -> String {
    let sent = request(hub, conn);
    let (_, key) = sent.split_once("Sec-WebSocket-Key: ").expect("it has one");
    let accept = tungstenite_accept(key.split("\r\n").next().expect("a line"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
    )
}

/// The proof as somebody else computes it.
fn tungstenite_accept(key: &str) -> String {
    tungstenite::handshake::derive_accept_key(key.as_bytes())
}

#[test]
fn upgrade_request_has_all_fields_and_no_injected_header() {
    let handshake = OpeningHandshake::new("/chat room?\r\nx=1")
        .origin(Some("https://example.org".into()))
        .subprotocols(vec!["one".into(), "two".into()])
        .fields(vec![("Authorization".into(), "Bearer x\r\nEvil: yes".into())]);
    let (hub, conn) = caller(handshake, &[]);
    let sent = request(&hub, conn);
    let lines: Vec<&str> = sent.split("\r\n").filter(|line| !line.starts_with("Sec-WebSocket-Key: ")).collect();
    let expected = [
        "GET /chat%20room?%20%20x=1 HTTP/1.1",
        "Host: example.org",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Origin: https://example.org",
        "Sec-WebSocket-Protocol: one, two",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         client_max_window_bits",
        "Authorization: Bearer x  Evil: yes",
        "",
        "",
    ];
    assert_eq!(lines, expected);
    assert_eq!(hub.handler().log, "", "nothing is open before the answer");
}

#[test]
fn upgrade_response_opens_and_pipelined_frame_is_served() {
    let handshake = OpeningHandshake::new("/").subprotocols(vec!["two".into()]);
    let (mut hub, conn) = caller(handshake, &["over there"]);
    let mut answer = response(&hub, conn, "Sec-WebSocket-Protocol: two\r\n").into_bytes();
    hub.clear();
    answer.extend_from_slice(b"\x81\x02hi");
    hub.send(conn, &answer);
    assert_eq!(hub.handler().log, "opened;hi;");
    // Ours is masked, with something that nobody would guess.
    let sent = hub.received(conn).to_vec();
    assert_eq!(sent[..2], [0x81, 0x8a]);
    assert_ne!(sent[2..6], [0; 4]);
    let plain: Vec<u8> = sent[6..].iter().zip(sent[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    assert_eq!(plain, b"over there");
    hub.clear();
    // Nobody but a server's end sends plain frames: a masked one breaks the protocol (RFC 6455 section 5.1).
    hub.send(conn, b"\x81\x81\0\0\0\0x");
    assert_eq!(hub.handler().log, "opened;hi;closed malformed_frame;");
    let sent = hub.received(conn);
    assert_eq!(sent[0], 0x88);
    let code: Vec<u8> = sent[6..8].iter().zip(&sent[2..4]).map(|(byte, mask)| byte ^ mask).collect();
    assert_eq!(code, 1002_u16.to_be_bytes());
}

#[test]
fn invalid_upgrade_response_fails_the_dial() {
    type Change = fn(&str) -> String;
    let good = "HTTP/1.1 101 Switching Protocols";
    let cases: [(&str, Change); 13] = [
        ("rejected_403", |_| "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".into()),
        ("rejected_200", |_| "HTTP/1.0 200 OK\r\n\r\n<html>".into()),
        ("handshake", |_| "SSH-2.0-OpenSSH_9.2\r\n\r\n".into()),
        ("handshake", |_| "\0\0\0\0".into()),
        ("handshake", |_| "x".repeat(9000)),
        ("handshake", |answer| answer.replace("Accept: ", "Accept: A")),
        ("handshake", |answer| answer.replace("Upgrade: WebSocket\r\n", "")),
        ("handshake", |answer| answer.replace("keep-alive, Upgrade", "keep-alive")),
        ("handshake", |answer| answer.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: other\r\n\r\n")),
        ("handshake", |answer| answer.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x-gzip\r\n\r\n")),
        // It would take context over, which is not kept.
        ("handshake", |answer| answer.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")),
        ("handshake", |answer| {
            let extension = "permessage-deflate; server_no_context_takeover; client_max_window_bits=7";
            answer.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {extension}\r\n\r\n"))
        }),
        ("handshake", |answer| answer.replace("\r\nUpgrade", "\nUpgrade")),
    ];
    for (failure, change) in cases {
        let (mut hub, conn) = caller(OpeningHandshake::new("/"), &["never"]);
        let answer = response(&hub, conn, "");
        assert!(answer.starts_with(good));
        hub.clear();
        hub.send(conn, change(&answer).as_bytes());
        assert_eq!(hub.handler().log, format!("failed {failure} Some(1);"), "{answer:?}");
        assert!(hub.is_closed(conn) && hub.received(conn).is_empty());
        let metrics = hub.machine().metrics();
        assert_eq!((metrics.opened, metrics.open, metrics.undecided, metrics.dial_errors), (1, 0, 0, 1));
    }
}

#[test]
fn unanswered_handshake_is_retried_up_to_the_limit() {
    let (mut hub, _) = caller(OpeningHandshake::new("/"), &[]);
    hub.advance(Duration::from_secs(30));
    assert_eq!(hub.handler().log, "failed timed_out Some(31);");
    hub.advance(Duration::from_secs(1));
    let second = connected(&mut hub);
    hub.end(second);
    assert_eq!(hub.handler().log, "failed timed_out Some(31);failed handshake None;");
    hub.advance(Duration::from_secs(1000));
    assert_eq!(hub.machine().dials().count(), 0);
    // A reset is told as what it is.
    let (mut hub, conn) = caller(OpeningHandshake::new("/"), &[]);
    hub.fail(conn, Failure::Reset);
    assert_eq!(hub.handler().log, "failed reset Some(1);");
}

#[test]
fn failed_handshake_frees_its_connection_before_the_next_attempt() {
    let handler =
        Caller { handshake: OpeningHandshake::new("/"), says: vec![], log: String::new(), dial: None, cancels: false };
    let mut machine = Machine::new(Config::listening([]), handler);
    machine.noted(Time::START, ());
    let (dial, _) = machine.dials().next().expect("wanted");
    let server = "192.0.2.7:80".parse().expect("an address");
    let conn = machine.dialed(Time::START, dial, server).expect("wanted");
    // The server does not close, and the request is not even written.
    machine.received(Time::START, conn, &mut b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec());
    assert!(machine.intent(conn).is_none(), "nothing is kept of it");
    let now = Time::from_secs(1);
    machine.elapsed(now);
    assert!(machine.dialed(now, dial, server).is_some());
    assert_eq!(machine.recount(), Ok(()));
}

#[test]
fn unanswered_handshake_does_not_count_as_stable() {
    let (mut hub, _) = caller(OpeningHandshake::new("/"), &[]);
    // As long as a connection must be up to count as stable.
    hub.advance(Duration::from_secs(30));
    hub.advance(Duration::from_secs(1));
    connected(&mut hub);
    hub.advance(Duration::from_secs(1000));
    assert_eq!(hub.handler().log, "failed timed_out Some(31);failed timed_out None;");
}

#[test]
fn handshake_can_be_cancelled() {
    let (mut hub, conn) = caller(OpeningHandshake::new("/"), &[]);
    hub.with_handler(|caller| caller.cancels = true);
    hub.note(());
    assert!(hub.is_closed(conn));
    hub.advance(Duration::from_secs(100));
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.undecided, metrics.ended.get(Reason::Application)), (0, 1));
    assert_eq!(hub.handler().log, "", "who hung up need not be told");
}

#[test]
fn client_skips_a_few_1xx_responses() {
    let (mut hub, conn) = caller(OpeningHandshake::new("/"), &[]);
    let answer = response(&hub, conn, "");
    hub.send(
        conn,
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n{answer}").as_bytes(),
    );
    assert_eq!(hub.handler().log, "opened;");
    let (mut hub, conn) = caller(OpeningHandshake::new("/"), &[]);
    hub.send(conn, "HTTP/1.1 102 Processing\r\n\r\n".repeat(9).as_bytes());
    assert_eq!(hub.handler().log, "failed rejected_102 Some(1);");
}

proptest! {
    /// Our client against our server, whatever the network does to the pieces.
    #[test]
    fn client_and_server_exchange_messages_for_any_chunking(
        says in prop::collection::vec("[a-zü漢]{0,400}", 0..6),
        deflate: bool,
        pieces in prop::collection::vec(1..500usize, 1..4),
    ) {
        let handshake = OpeningHandshake::new("/").deflate(deflate);
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        let (mut client, there) = caller(handshake, &says);
        let listen = "ws://127.0.0.1:0/".parse().expect("well formed");
        let mut server = TestHub::with_config(Config::listening([listen]), Echo);
        let here = server.connect();
        let mut pieces = pieces.iter().copied().cycle();
        loop {
            let (request, answer) = (client.received(there).to_vec(), server.received(here).to_vec());
            client.clear();
            server.clear();
            if request.is_empty() && answer.is_empty() {
                break;
            }
            in_pieces(&request, &mut pieces, |piece| server.send(here, piece));
            in_pieces(&answer, &mut pieces, |piece| client.send(there, piece));
        }
        let expected: String = ["opened;"].into_iter().chain(says.iter().flat_map(|words| [*words, ";"])).collect();
        prop_assert_eq!(&client.handler().log, &expected);
        let long = says.iter().filter(|words| words.len() >= 256).count() as u64;
        prop_assert!(deflate || client.machine().metrics().compressed == 0);
        prop_assert!(!deflate || client.machine().metrics().compressed == long);
    }
}

fn in_pieces(bytes: &[u8], lengths: &mut impl Iterator<Item = usize>, mut send: impl FnMut(&[u8])) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
        send(piece);
        rest = after;
    }
}

/// Dials a WebSocket at a note, if it is to, and draws a number.
struct Gambler {
    dials: bool,
    drawn: Vec<u64>,
}

impl Handler for Gambler {
    type Context = ();
    type Note = ();

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, ()>) {
        if matches!(event, Event::Note(())) {
            if self.dials {
                hub.dial(Dial::websocket("example.org:80", "/"));
            }
            self.drawn.push(hub.random());
        }
    }
}

#[test]
fn handshake_key_does_not_reveal_application_random() {
    let seed = 0x1234_5678_9abc_def0;
    let run = |dials| {
        let config = Config::listening([]).seed(Some(seed));
        let mut hub = TestHub::with_config(config, Gambler { dials, drawn: Vec::new() });
        let mut keys = Vec::new();
        for _ in 0..3 {
            hub.note(());
            let wanted = hub.machine().dials().next().map(|(dial, _)| dial);
            let conn = wanted.and_then(|dial| hub.dialed(dial, "192.0.2.7:80".parse().expect("an address")));
            let request = conn.map(|conn| String::from_utf8(hub.received(conn).to_vec()).expect("text"));
            let field = |request: String| {
                let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
                key.expect("a key").to_owned()
            };
            keys.extend(request.map(field));
        }
        (keys, hub.machine().handler().drawn.clone())
    };
    let (keys, drawn) = run(true);
    assert_eq!((keys.len(), run(false).1), (3, drawn));
    let mut random = drupe_core::Random::new(seed);
    let outputs: Vec<_> = (0..1_000).map(|_| random.next_u64().to_be_bytes()).collect();
    for (place, key) in keys.iter().enumerate() {
        assert!(!keys[..place].contains(key), "each handshake has a key of its own");
        let nonce = decode_base64(key);
        assert_eq!(nonce.len(), 16);
        assert!(nonce.chunks(8).all(|half| outputs.iter().all(|output| output != half)), "{key}");
    }
}

fn decode_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = text.bytes().filter_map(|c| ALPHABET.iter().position(|&other| other == c));
    let mut bytes = Vec::new();
    while let (Some(one), Some(two)) = (bits.next(), bits.next()) {
        let (three, four) = (bits.next(), bits.next());
        let all = one << 18 | two << 12 | three.unwrap_or(0) << 6 | four.unwrap_or(0);
        let count = 1 + usize::from(three.is_some()) + usize::from(four.is_some());
        bytes.extend_from_slice(&u32::try_from(all).expect("24 bits").to_be_bytes()[1..=count]);
    }
    bytes
}
