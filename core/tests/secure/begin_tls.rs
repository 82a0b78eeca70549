//! TLS that a handler begins after a plain exchange, as a client of NATS does.

use crate::tls_world::World;
use crate::wired::{carry, carry_recorded};
use drupe_core::app::Echo;
use drupe_core::testing::TestHub;
use drupe_core::tls::{BeginTlsError, ClientTls, ClientTlsFiles, Roots, Secured, Tls};
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::{
    Backoff, Config, ConnId, Dial, DialId, Event, Failure, Handler, Hub, Listen, Machine, NoNote, Origin, Peer, Time,
    TlsStart,
};
use rustls::crypto::ring;
use std::sync::Arc;
use std::time::Duration;

const DIAL: DialId = DialId::new(0);

/// Waits for `INFO`, begins TLS, and sends its name at once.
struct Polite {
    dial: Dial,
    /// Whether to send something in plain just before.
    is_hasty: bool,
    log: Vec<String>,
}

impl Polite {
    fn new(dial: Dial) -> Self {
        Self { dial: dial.tls_start(TlsStart::WhenAsked), is_hasty: false, log: Vec::new() }
    }
}

impl Handler for Polite {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => drop(hub.dial(self.dial.clone())),
            Event::Opened { conn, origin: Origin::Listener(_), .. } => {
                assert_eq!(hub.begin_tls(conn), Err(BeginTlsError::NoDial));
            }
            Event::Message { conn, payload } if payload.as_str() == Some("INFO") => {
                self.log.push("info".into());
                if self.is_hasty {
                    hub.send(conn, "PLAIN");
                }
                match hub.begin_tls(conn) {
                    Ok(()) => assert_eq!(hub.begin_tls(conn), Err(BeginTlsError::Again)),
                    Err(error) => self.log.push(error.to_string()),
                }
                hub.send(conn, "CONNECT");
            }
            Event::Message { conn, payload } => {
                let version = hub.secured(conn).map_or_else(|| "plain".into(), |secured| secured.version.clone());
                self.log.push(format!("{version} {}", payload.as_str().expect("text")));
            }
            Event::Closed { reason, .. } => self.log.push(format!("closed {reason}")),
            Event::DialFailed { failure, retry_at, .. } => {
                self.log.push(format!("failed {failure}, {}", if retry_at.is_some() { "again" } else { "over" }));
            }
            Event::DialEnded { .. } => self.log.push("dial ended".into()),
            _ => {}
        }
    }
}

fn load(world: &World) -> ClientTls {
    let files = ClientTlsFiles::new(Roots::File(world.authority()));
    files.load(&Arc::new(ring::default_provider())).expect("good files")
}

fn dial(world: &World) -> Dial {
    Dial::lines("localhost:1").tls(Some(load(world))).timeout(Duration::from_secs(7))
}

fn client(dial: Dial) -> (TestHub<Polite>, ConnId) {
    let mut client = TestHub::with_config(Config::default(), Polite::new(dial));
    let conn = client.dialed(DIAL, Peer::Local).expect("wanted");
    (client, conn)
}

/// A server for the part after `INFO`.
fn server(tls: Tls) -> (TestHub<Echo>, ConnId) {
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
    let mut server = TestHub::with_config(Config::listening([listen.tls(Some(tls))]), Echo);
    let conn = server.connect();
    (server, conn)
}

#[test]
fn everything_after_the_plain_exchange_is_encrypted() {
    let world = World::new();
    for piece in [1, 100, usize::MAX] {
        let (mut client, ours) = client(dial(&world));
        let (mut server, theirs) = server(world.tls(&["localhost"]));
        assert_eq!(client.received(ours), b"", "the server speaks first");
        client.send(ours, b"INFO\r\n");
        assert_eq!(client.received(ours).first(), Some(&22), "a handshake record");
        carry(&mut client, ours, &mut server, theirs, piece);
        assert_eq!(client.handler().log, ["info", "TLSv1.3 CONNECT"]);
        assert!(!client.received(ours).windows(7).any(|bytes| bytes == b"CONNECT"));
        assert_eq!(client.machine().metrics().tls_handshakes, 1);
        assert_eq!(client.machine().recount(), Ok(()));
        // The time limit ended with the handshake.
        client.advance(Duration::from_secs(60));
        assert!(!client.is_closed(ours));
    }
}

#[test]
fn more_input_before_tls_ends_the_connection() {
    let world = World::new();
    for more in ["INFO\r\nPING\r\n", "INFO\r\nP", "INFO\r\nINFO\r\n"] {
        let (mut client, ours) = client(dial(&world).backoff(Some(Backoff::default())));
        client.send(ours, more.as_bytes());
        assert_eq!(client.handler().log, ["info", "closed tls_failed", "failed early_input, again"], "{more:?}");
        assert!(client.is_closed(ours) && client.received(ours).is_empty());
        assert_eq!(client.machine().recount(), Ok(()));
    }
}

#[test]
fn unsent_output_before_tls_is_an_error_and_nothing_is_encrypted() {
    let world = World::new();
    let (mut client, ours) = client(dial(&world));
    client.with_handler(|handler| handler.is_hasty = true);
    client.send(ours, b"INFO\r\n");
    assert_eq!(client.handler().log[1], BeginTlsError::UnsentOutput.to_string());
    assert_eq!(client.received(ours), b"PLAIN\nCONNECT\n");
}

#[test]
fn dial_without_tls_to_begin_is_an_error() {
    let (mut client, ours) = client(Dial::lines("localhost:1"));
    client.send(ours, b"INFO\r\n");
    assert_eq!(client.handler().log[1], BeginTlsError::NotConfigured.to_string());
    assert_eq!(client.received(ours), b"CONNECT\n");
    // Settings without roots fail the attempt before any plain bytes are sent.
    let pending = Dial::lines("localhost:1").tls(Some(ClientTls::pending()));
    let mut client = TestHub::with_config(Config::default(), Polite::new(pending));
    assert_eq!(client.dialed(DIAL, Peer::Local), None);
    assert_eq!(client.handler().log, ["failed tls, over"]);
}

#[test]
fn handshake_that_fails_is_a_failed_attempt_with_its_cause() {
    let (world, other) = (World::new(), World::new());
    let (mut client, ours) = client(dial(&world).backoff(Some(Backoff::default())));
    let (mut server, theirs) = server(other.tls(&["localhost"]));
    client.send(ours, b"INFO\r\n");
    carry(&mut client, ours, &mut server, theirs, usize::MAX);
    let expected = ["info", "closed tls_failed", "failed certificate_unknown_issuer, again"];
    assert_eq!(client.handler().log, expected);
    assert!(client.is_closed(ours));
    // The next connection begins in plain again.
    client.advance(Duration::from_secs(3));
    let again = client.dialed(DIAL, Peer::Local).expect("another attempt");
    client.send(again, b"hello\r\n");
    assert_eq!(client.handler().log.last().map(String::as_str), Some("plain hello"));
}

type Act = fn(&mut TestHub<Polite>, ConnId);

#[test]
fn silence_and_plain_answers_fail_the_handshake() {
    let world = World::new();
    let acts: [(Act, &str); 5] = [
        (|client, _| client.advance(Duration::from_secs(7)), "failed timed_out, over"),
        (|client, conn| client.end(conn), "failed handshake, over"),
        (|client, conn| client.fail(conn, Failure::Reset), "failed reset, over"),
        (|client, conn| client.send(conn, b"-ERR no TLS here\r\n"), "failed not_tls, over"),
        (|client, conn| client.send(conn, &[22, 3, 3, 0xff, 0xff]), "failed not_tls, over"),
    ];
    for (act, expected) in acts {
        let (mut client, ours) = client(dial(&world));
        client.send(ours, b"INFO\r\n");
        client.advance(Duration::from_secs(6));
        act(&mut client, ours);
        let log = &client.handler().log;
        assert!(log.len() == 3 && log[1].starts_with("closed ") && log[2] == expected, "{expected}: {log:?}");
        assert!(client.is_closed(ours));
        assert_eq!(client.machine().recount(), Ok(()));
    }
}

#[test]
fn time_limit_of_the_handshake_is_extended_by_a_pause_of_the_process() {
    let world = World::new();
    let at = Time::from_secs;
    for answers in [true, false] {
        let mut machine = Machine::new(Config::default(), Polite::new(dial(&world)));
        machine.started(Time::START);
        let (mut server, theirs) = server(world.tls(&["localhost"]));
        let conn = machine.dialed(Time::START, DIAL, Peer::Local).expect("wanted");
        machine.received(Time::START, conn, &mut b"INFO\r\n".to_vec());
        assert_eq!(machine.deadline().map(|deadline| deadline.at), Some(at(7)));
        // The process stops for a minute, and learns of the time before it reads the answer.
        machine.elapsed(at(66));
        assert_eq!(machine.deadline().map(|deadline| deadline.at), Some(at(73)));
        machine.elapsed(at(72));
        assert_eq!(machine.handler().log, ["info"]);
        if answers {
            carry_recorded(&mut machine, conn, &mut server, theirs);
            assert_eq!(machine.handler().log, ["info", "TLSv1.3 CONNECT"]);
        } else {
            machine.elapsed(at(73));
            assert_eq!(machine.handler().log, ["info", "closed tls_failed", "failed timed_out, over"]);
        }
        assert_eq!(machine.recount(), Ok(()));
    }
}

#[test]
fn server_name_that_is_no_name_fails_at_once() {
    let world = World::new();
    let (mut client, ours) = client(Dial::lines("not a name:1").tls(Some(load(&world))));
    client.send(ours, b"INFO\r\n");
    assert_eq!(client.handler().log, ["info", "closed tls_failed", "failed name_mismatch, over"]);
    assert!(client.is_closed(ours));
}

#[test]
fn tls_begins_when_asked_behind_a_proxy_too() {
    let world = World::new();
    let (mut client, ours) = client(dial(&world).proxy(Some("http://192.0.2.1:3128".parse().expect("good"))));
    assert!(client.received(ours).starts_with(b"CONNECT localhost:1 "), "it asks the proxy, in plain");
    let asked = client.received(ours).len();
    client.send(ours, b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(client.received(ours).len(), asked, "the server speaks first");
    client.send(ours, b"INFO\r\n");
    assert_eq!(client.handler().log, ["info"]);
    assert_eq!(client.received(ours).get(asked), Some(&22), "a handshake record");
}

#[test]
fn trace_replays_without_keys() {
    let world = World::new();
    let config = || Config::default().seed(Some(7));
    let trace = SharedTrace::new();
    let mut machine = Machine::new(config(), Polite::new(dial(&world)));
    machine.record(trace.recorder());
    machine.started(Time::START);
    let (mut server, theirs) = server(world.tls(&["localhost"]));
    let conn = machine.dialed(Time::START, DIAL, Peer::Local).expect("wanted");
    machine.received(Time::START, conn, &mut b"INFO\r\n".to_vec());
    carry_recorded(&mut machine, conn, &mut server, theirs);
    assert_eq!(machine.handler().log, ["info", "TLSv1.3 CONNECT"]);
    let external = Polite::new(dial(&world).tls(Some(ClientTls::external())));
    let mut again = Machine::new(config(), external);
    let transcript = replay(&trace.text(), &mut again).expect("a good trace");
    assert_eq!(transcript.written.get(&conn).map(Vec::as_slice), Some(&b"CONNECT\n"[..]));
    assert_eq!(again.handler().log, machine.handler().log);
}

#[test]
fn embedder_may_do_the_tls_that_a_handler_begins() {
    let (mut client, ours) = client(Dial::lines("localhost:1").tls(Some(ClientTls::external())));
    client.send(ours, b"INFO\r\n");
    client.secured(ours, &Secured::default().version("TLSv1.3".into()));
    client.send(ours, b"PONG\r\n");
    assert_eq!(client.handler().log, ["info", "TLSv1.3 PONG"]);
}
