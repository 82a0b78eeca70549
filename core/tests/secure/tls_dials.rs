//! TLS of outgoing connections: two machines that speak to each other, and servers that lie.

use crate::tls_world::World;
use crate::wired::{carry, carry_recorded};
use drupe_core::app::Echo;
use drupe_core::testing::TestHub;
use drupe_core::tls::{
    CertificateFiles, ClientCertificates, ClientTls, ClientTlsFiles, Roots, Secured, TicketKeys, Tls, TlsFiles,
};
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::{
    Backoff, Config, ConnId, Dial, DialId, Event, Failure, Handler, Hub, Listen, Machine, NoNote, Peer, Time, TlsFault,
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// Dials at the start, greets each server, and records what happens.
struct Dialler {
    dial: Dial,
    log: Vec<String>,
}

impl Dialler {
    fn new(dial: Dial) -> Self {
        Self { dial, log: Vec::new() }
    }
}

impl Handler for Dialler {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => drop(hub.dial(self.dial.clone())),
            Event::Opened { conn, .. } => {
                let secured = hub.secured(conn).expect("it has TLS");
                self.log.push(format!("opened {} {:?}", secured.version, secured.protocol));
                hub.send(conn, "hello");
            }
            Event::Message { payload, .. } => self.log.push(payload.as_str().expect("text").to_owned()),
            Event::Closed { reason, .. } => self.log.push(format!("closed {reason}")),
            Event::DialFailed { failure, .. } => self.log.push(format!("failed {failure}")),
            _ => {}
        }
    }
}

type Server = TestHub<Echo>;
type Client = TestHub<Dialler>;

const DIAL: DialId = DialId::new(0);

fn client(dial: Dial) -> Client {
    TestHub::with_config(Config::default(), Dialler::new(dial))
}

fn server(scheme: &str, tls: Tls) -> Server {
    let listen: Listen = format!("{scheme}://127.0.0.1:1").parse().expect(scheme);
    TestHub::with_config(Config::listening([listen.tls(Some(tls))]), Echo)
}

/// Carries bytes between the two machines until neither has more to say.
fn talk(client: &mut Client, server: &mut Server, piece: usize) -> ConnId {
    let peer = Peer::Address(([127, 0, 0, 1], 1).into());
    let ours = client.dialed(DIAL, peer).expect("it is wanted");
    let theirs = server.connect();
    carry(client, ours, server, theirs, piece);
    ours
}

fn log(client: &Client) -> Vec<&str> {
    client.handler().log.iter().map(String::as_str).collect()
}

fn load(files: &ClientTlsFiles) -> ClientTls {
    files.load(&Arc::new(ring::default_provider())).expect("good files")
}

fn trusting(world: &World) -> ClientTlsFiles {
    ClientTlsFiles::new(Roots::File(world.authority()))
}

#[test]
fn every_wire_is_dialled_with_tls() {
    let world = World::new();
    for (scheme, address) in [
        ("tcp", "tcp://localhost:1"),
        ("length", "length://localhost:1"),
        ("delimited", "delimited://localhost:1"),
        ("ws", "ws://localhost:1/"),
    ] {
        for piece in [1, 1_000] {
            let dial: Dial = address.parse().expect(address);
            let mut client = client(dial.tls(Some(load(&trusting(&world)))));
            let mut server = server(scheme, world.tls(&["localhost"]));
            talk(&mut client, &mut server, piece);
            assert_eq!(log(&client), ["opened TLSv1.3 None", "hello"], "{scheme} in pieces of {piece}");
            let metrics = client.machine().metrics();
            assert_eq!((metrics.tls_handshakes, metrics.dial_errors), (1, 0));
        }
    }
}

#[test]
fn names_versions_protocols_and_client_certificates_are_negotiated() {
    let world = World::new();
    let asking = ClientCertificates::Required(world.authority());
    let tickets = TicketKeys::new(ring::Ticketer::new);
    let files = TlsFiles::default().certificates(vec![world.files(&["example.org"])]).clients(asking);
    let files = files.protocols(vec!["drupe/1".into()]);
    let mut server = server("tcp", files.load(&Arc::new(ring::default_provider()), &tickets).expect("good files"));
    let tls = load(&trusting(&world).certificate(Some(world.files(&["ann"]))).protocols(vec!["drupe/1".into()]));
    let dial = Dial::lines("127.0.0.1:1").tls(Some(tls.server_name(Some("example.org".into()))));
    let mut client = client(dial);
    talk(&mut client, &mut server, usize::MAX);
    assert_eq!(log(&client), ["opened TLSv1.3 Some(\"drupe/1\")", "hello"]);
}

/// A certificate that its authority has signed for these dates only.
fn dated(world: &World, from: i32, until: i32) -> CertificateFiles {
    let mut params = CertificateParams::new(vec!["localhost".into()]).expect("good");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    world.files_of(&params, &format!("dated-{from}"))
}

#[test]
fn each_fault_of_a_certificate_has_its_name() {
    let (world, other) = (World::new(), World::new());
    let of = |files: CertificateFiles| World::load(&TlsFiles::default().certificates(vec![files])).expect("good files");
    let asking = world.asking(ClientCertificates::Required(world.authority()), &TicketKeys::new(ring::Ticketer::new));
    let strict = TlsFiles::default().certificates(vec![world.files(&["localhost"])]).protocols(vec!["other".into()]);
    let alpn = trusting(&world).protocols(vec!["drupe/1".into()]);
    let self_signed = {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".into()]).expect("good");
        let certificate = params.self_signed(&key).expect("signed");
        let files = CertificateFiles::new(world.directory.join("self.pem"), world.directory.join("self.key"));
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        (files, <[u8; 32]>::from(Sha256::digest(certificate.der())))
    };
    let pinned = ClientTlsFiles::new(Roots::Pinned(vec![self_signed.1]));
    let trusted = trusting(&world);
    for (tls, files, expected) in [
        (of(other.files(&["localhost"])), &trusted, "certificate_unknown_issuer"),
        (of(self_signed.0.clone()), &trusted, "certificate_unknown_issuer"),
        (of(world.files(&["example.org"])), &trusted, "name_mismatch"),
        (of(dated(&world, 2001, 2002)), &trusted, "certificate_expired"),
        (of(dated(&world, 2101, 2102)), &trusted, "certificate_not_yet_valid"),
        (of(world.files(&["localhost"])), &pinned, "certificate_not_pinned"),
        (World::load(&strict).expect("good files"), &alpn, "nothing_in_common"),
        (of(self_signed.0), &pinned, ""),
        (asking, &trusted, "client_certificate_refused"),
    ] {
        let mut client = client(Dial::lines("localhost:1").tls(Some(load(files))));
        talk(&mut client, &mut server("tcp", tls), usize::MAX);
        // In TLS 1.3, the server looks at the client's certificate after the client has finished.
        let log = log(&client);
        match expected {
            "" => assert_eq!(log, ["opened TLSv1.3 None", "hello"]),
            "client_certificate_refused" => assert_eq!(log, ["opened TLSv1.3 None", "closed tls_failed"]),
            fault => assert_eq!(log, [format!("failed {fault}")], "{expected}"),
        }
    }
}

#[test]
fn servers_without_tls_and_silent_ones_fail_in_time() {
    let world = World::new();
    let tls = load(&trusting(&world));
    let backoff = Some(Backoff::default());
    for (answer, expected) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "failed not_tls"),
        ("welcome\r\n", "failed not_tls"),
        ("", "failed timed_out"),
        ("\u{15}\u{3}\u{3}", "failed timed_out"),
    ] {
        let dial = Dial::lines("localhost:1").timeout(Duration::from_secs(7)).tls(Some(tls.clone()));
        let mut client = client(dial.backoff(backoff));
        let conn = client.dialed(DIAL, Peer::Local).expect("wanted");
        assert!(!client.received(conn).is_empty(), "the client speaks first");
        client.send(conn, answer.as_bytes());
        client.advance(Duration::from_secs(7));
        assert_eq!(log(&client), [expected], "{answer:?}");
        assert!(client.is_closed(conn));
        // Another attempt follows.
        client.advance(Duration::from_secs(3));
        assert!(client.machine().dials().next().is_some());
    }
    // A record that announces more than TLS allows costs no memory.
    let mut client = client(Dial::lines("localhost:1").tls(Some(tls)));
    let conn = client.dialed(DIAL, Peer::Local).expect("wanted");
    client.send(conn, &[22, 3, 3, 0xff, 0xff]);
    assert_eq!(log(&client), ["failed not_tls"]);
}

#[test]
fn dial_without_roots_fails_each_attempt_and_sends_nothing() {
    let dial: Dial = "tls://localhost:1".parse().expect("good");
    let mut client = client(dial.timeout(Duration::from_secs(3_600)).backoff(Some(Backoff::default())));
    for attempts in 1..=3 {
        assert_eq!(client.dialed(DIAL, Peer::Local), None);
        assert_eq!(log(&client), vec!["failed tls"; attempts]);
        client.advance(Duration::from_secs(60));
        assert!(client.machine().dials().next().is_some(), "another attempt follows");
    }
    let metrics = client.machine().metrics();
    assert_eq!((metrics.dial_errors, metrics.opened), (3, 0));
}

#[test]
fn host_field_has_no_default_port() {
    for (address, expected) in [
        ("ws://localhost:80/", "\r\nHost: localhost\r\n"),
        ("ws://localhost:443/", "\r\nHost: localhost:443\r\n"),
        ("ws://[::1]:80/", "\r\nHost: [::1]\r\n"),
        ("wss://localhost:80/", "\r\nHost: localhost:80\r\n"),
        ("wss://[::1]:443/", "\r\nHost: [::1]\r\n"),
        ("wss://localhost:443/", "\r\nHost: localhost\r\n"),
    ] {
        let mut dial: Dial = address.parse().expect(address);
        dial.fill_tls(|| Ok::<_, NoNote>(ClientTls::external())).expect("it cannot fail");
        let has_tls = dial.tls.is_some();
        let mut client = client(dial);
        let conn = client.dialed(DIAL, Peer::Local).expect("wanted");
        if has_tls {
            assert_eq!(client.received(conn), b"", "nothing is sent before the handshake");
            client.secured(conn, &Secured::default().version("TLSv1.3".into()));
        }
        let sent = String::from_utf8(client.received(conn).to_vec()).expect("text");
        assert!(sent.contains(expected), "{address}: {sent}");
    }
}

#[test]
fn lost_connection_in_the_tls_handshake_is_a_failed_attempt() {
    let world = World::new();
    for (act, expected) in [(0, "failed reset"), (1, "failed handshake")] {
        let mut client = client(Dial::lines("localhost:1").tls(Some(load(&trusting(&world)))));
        let conn = client.dialed(DIAL, Peer::Local).expect("wanted");
        match act {
            0 => client.fail(conn, Failure::Reset),
            _ => client.end(conn),
        }
        assert_eq!(log(&client), [expected]);
    }
}

#[test]
fn fault_has_its_name_even_if_the_server_ends_before_the_alert_is_written() {
    let world = World::new();
    let dial = Dial::lines("localhost:1").tls(Some(load(&trusting(&world))));
    let mut machine = Machine::new(Config::default(), Dialler::new(dial));
    machine.started(Time::START);
    let conn = machine.dialed(Time::START, DIAL, Peer::Local).expect("wanted");
    // Both are read in one turn, before the shell writes.
    machine.received(Time::START, conn, &mut b"welcome\r\n".to_vec());
    machine.ended(Time::START, conn);
    assert_eq!(machine.handler().log, ["failed not_tls"]);
}

#[test]
fn host_that_is_no_name_is_a_failed_attempt() {
    let world = World::new();
    for address in ["no name:1", "unix:///run/localhost:1"] {
        let mut client = client(Dial::lines(address).tls(Some(load(&trusting(&world)))));
        client.dialed(DIAL, Peer::Local);
        assert_eq!(log(&client), [format!("failed {}", TlsFault::NameMismatch)], "{address}");
    }
}

#[test]
fn trace_of_a_tls_client_is_plain_and_replays_without_keys() {
    let world = World::new();
    let dial = Dial::lines("localhost:1").tls(Some(load(&trusting(&world))));
    let config = || Config::default().seed(Some(7));
    let trace = SharedTrace::new();
    let mut machine = Machine::new(config(), Dialler::new(dial.clone()));
    machine.record(trace.recorder());
    machine.started(Time::START);
    let mut server = server("tcp", world.tls(&["localhost"]));
    let theirs = server.connect();
    let conn = machine.dialed(Time::START, DIAL, Peer::Local).expect("wanted");
    carry_recorded(&mut machine, conn, &mut server, theirs);
    assert_eq!(machine.handler().log, ["opened TLSv1.3 None", "hello"]);
    let text = trace.text();
    assert!(text.contains("received 0.1 \"hello\\n\"") && text.contains("secured 0.1 \"TLSv1.3\""), "{text}");
    let mut again = Machine::new(config(), Dialler::new(dial.tls(Some(ClientTls::external()))));
    let transcript = replay(&text, &mut again).expect("a good trace");
    assert_eq!(transcript.written.get(&conn).map(Vec::as_slice), Some(&b"hello\n"[..]));
    assert_eq!(again.handler().log, machine.handler().log);
}
