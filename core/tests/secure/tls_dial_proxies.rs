//! TLS of outgoing connections through a proxy.

use crate::tls_world::World;
use crate::wired::{carry, carry_recorded, written};
use drupe_core::app::Echo;
use drupe_core::testing::TestHub;
use drupe_core::tls::{ClientTls, ClientTlsFiles, Roots};
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::{Config, ConnId, Dial, DialId, Event, Handler, Hub, Listen, Machine, NoNote, Peer, Time};
use rustls::crypto::ring;
use std::sync::Arc;
use std::time::Duration;

/// Dials at the start, greets each server, and records what happens.
struct Dialler {
    dial: Dial,
    log: Vec<String>,
}

impl Handler for Dialler {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => drop(hub.dial(self.dial.clone())),
            Event::Opened { conn, .. } => {
                self.log.push(format!("opened {}", hub.secured(conn).expect("it has TLS").version));
                hub.send(conn, "hello");
            }
            Event::Message { payload, .. } => self.log.push(payload.as_str().expect("text").to_owned()),
            Event::Closed { reason, .. } => self.log.push(format!("closed {reason}")),
            Event::DialFailed { failure, .. } => self.log.push(format!("failed {failure}")),
            _ => {}
        }
    }
}

const DIAL: DialId = DialId::new(0);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A proxy in text form, and its answers in order.
fn proxies() -> [(&'static str, Vec<&'static [u8]>); 3] {
    let reply = &[5, 0, 0, 3, 4, b'h', b'o', b's', b't', 0, 7];
    [
        ("http://ann:pw@proxy.example:1", vec![OK]),
        ("socks5://proxy.example:1", vec![&[5, 0], reply]),
        ("socks5://ann:pw@proxy.example:1", vec![&[5, 2], &[1, 0], reply]),
    ]
}

fn trusting(world: &World) -> ClientTls {
    let files = ClientTlsFiles::new(Roots::File(world.authority()));
    files.load(&Arc::new(ring::default_provider())).expect("good files")
}

fn dial(address: &str, proxy: &str, tls: ClientTls) -> Dial {
    let dial: Dial = address.parse().expect(address);
    dial.tls(Some(tls)).proxy(Some(proxy.parse().expect(proxy)))
}

fn client(dial: Dial) -> TestHub<Dialler> {
    TestHub::with_config(Config::default(), Dialler { dial, log: Vec::new() })
}

fn server(scheme: &str, world: &World) -> TestHub<Echo> {
    let listen: Listen = format!("{scheme}://127.0.0.1:1").parse().expect(scheme);
    TestHub::with_config(Config::listening([listen.tls(Some(world.tls(&["localhost"])))]), Echo)
}

/// Sends the answers of the proxy, then passes bytes between the client and the server.
fn talk(client: &mut TestHub<Dialler>, answers: &[&[u8]], server: &mut TestHub<Echo>, piece: usize) -> ConnId {
    let ours = client.dialed(DIAL, Peer::Local).expect("it is wanted");
    for answer in answers {
        assert!(!client.received(ours).is_empty(), "it asks first");
        client.clear();
        answer.chunks(piece).for_each(|piece| client.send(ours, piece));
    }
    let theirs = server.connect();
    carry(client, ours, server, theirs, piece);
    ours
}

#[test]
fn every_wire_is_dialled_with_tls_through_every_proxy() {
    let world = World::new();
    for (scheme, address) in
        [("tcp", "tcp://localhost:1"), ("length", "length://localhost:1"), ("ws", "ws://localhost:1/")]
    {
        for (proxy, answers) in proxies() {
            for piece in [1, 1_000] {
                // The certificate is for the server's name, not for the proxy's.
                let mut client = client(dial(address, proxy, trusting(&world)));
                talk(&mut client, &answers, &mut server(scheme, &world), piece);
                assert_eq!(client.handler().log, ["opened TLSv1.3", "hello"], "{address} {proxy} in pieces of {piece}");
                assert_eq!(client.machine().recount(), Ok(()));
            }
        }
    }
}

#[test]
fn faults_behind_the_proxy_are_those_of_tls() {
    let world = World::new();
    let mut wrong_name = client(dial("tcp://other:1", "http://localhost:1", trusting(&world)));
    talk(&mut wrong_name, &[OK], &mut server("tcp", &world), usize::MAX);
    assert_eq!(wrong_name.handler().log, ["failed name_mismatch"]);
    // Bytes in the packet of the answer are the server's.
    for piece in [1, usize::MAX] {
        let mut no_tls = client(dial("tcp://localhost:1", "http://p:1", trusting(&world)));
        let conn = no_tls.dialed(DIAL, Peer::Local).expect("wanted");
        for piece in [OK, b"welcome, stranger\r\n"].concat().chunks(piece) {
            no_tls.send(conn, piece);
        }
        assert_eq!(no_tls.handler().log, ["failed not_tls"]);
    }
}

#[test]
fn tls_behind_the_proxy_has_the_whole_time_limit() {
    let world = World::new();
    let timeout = Duration::from_secs(10);
    let mut client = client(dial("tcp://localhost:1", "http://p:1", trusting(&world)).timeout(timeout));
    let conn = client.dialed(DIAL, Peer::Local).expect("wanted");
    client.advance(Duration::from_secs(9));
    client.send(conn, OK);
    client.advance(timeout.checked_sub(Duration::from_nanos(1)).expect("longer"));
    assert!(client.handler().log.is_empty());
    client.advance(Duration::from_nanos(1));
    assert_eq!(client.handler().log, ["failed timed_out"]);
}

#[test]
fn trace_through_a_proxy_replays_without_keys() {
    let world = World::new();
    let config = || Config::default().seed(Some(7));
    let at = |tls| dial("tcp://localhost:1", "http://ann:pw@p:1", tls);
    let trace = SharedTrace::new();
    let mut machine = Machine::new(config(), Dialler { dial: at(trusting(&world)), log: Vec::new() });
    machine.record(trace.recorder());
    machine.started(Time::START);
    let mut server = server("tcp", &world);
    let theirs = server.connect();
    let conn = machine.dialed(Time::START, DIAL, Peer::Local).expect("wanted");
    assert!(written(&mut machine, Time::START, conn).starts_with(b"CONNECT"));
    machine.received(Time::START, conn, &mut OK.to_vec());
    carry_recorded(&mut machine, conn, &mut server, theirs);
    assert_eq!(machine.handler().log, ["opened TLSv1.3", "hello"]);
    let text = trace.text();
    assert!(text.contains("received 0.1 \"HTTP/1.1 200 OK") && text.contains("received 0.1 \"hello\\n\""), "{text}");
    let mut again = Machine::new(config(), Dialler { dial: at(ClientTls::external()), log: Vec::new() });
    let transcript = replay(&text, &mut again).expect("a good trace");
    assert_eq!(again.handler().log, machine.handler().log);
    let written = transcript.written.get(&conn).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(written.is_some_and(|text| text.starts_with("CONNECT localhost:1 ") && text.ends_with("\r\n\r\nhello\n")));
}
