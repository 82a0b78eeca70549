//! Servers that misbehave at some step: the connection to each ends with the right reason within
//! its deadline, uses bounded memory, and disturbs no other connection.

use crate::counting::Measure;
use drupe_core::testing::TestHub;
use drupe_core::tls::ClientTls;
use drupe_core::{
    Backoff, Config, ConnId, Dial, DialId, Event, Handler, Hub, Listen, NoNote, Origin, Peer, Time, TlsStart,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

const DIAL: DialId = DialId::new(0);
/// The time limit of each step.
const LIMIT: Duration = Duration::from_secs(7);
/// The most memory of one connection at any time: the longest message, and one that is growing to
/// that length.
const HELD_MAX: isize = 200 << 10;

/// Dials at the start, begins TLS at `INFO`, and echoes the messages of peers.
struct Linked {
    dial: Dial,
    log: Vec<String>,
}

impl Handler for Linked {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => drop(hub.dial(self.dial.clone())),
            Event::Opened { origin: Origin::Dial(_), .. } => self.log.push("opened".into()),
            Event::Message { conn, payload } if payload.as_str() == Some("INFO") => {
                hub.begin_tls(conn).expect("it is configured");
            }
            Event::Message { conn, payload } if hub.listen(conn).is_some() => {
                let text = payload.as_str().expect("text").to_owned();
                hub.send(conn, &text);
            }
            Event::Closed { reason, .. } => self.log.push(format!("closed {reason}")),
            Event::DialFailed { failure, .. } => self.log.push(format!("failed {failure}")),
            _ => {}
        }
    }
}

struct Keys {
    client: ClientTls,
    server: Arc<ServerConfig>,
    /// Sends a certificate chain of 600 KB.
    long_chain: Arc<ServerConfig>,
}

fn keys() -> Keys {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = CertificateDer::from(params.self_signed(&key).expect("signed"));
    let server = |count: usize| {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().expect("known").with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![certificate.clone(); count], key).expect("good"))
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("good");
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().expect("known");
    let client = ClientTls::new(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
    Keys { client, server: server(1), long_chain: server(600_000 / certificate.len()) }
}

/// What a server does after it has accepted.
enum Does {
    /// Sends these bytes this many times.
    Says(&'static [u8], usize),
    /// Completes the TLS handshake, and sends these bytes over it this many times.
    SaysInTls(&'static [u8], usize),
    /// Shows a certificate chain that is too long.
    LongChain,
    /// Sends one byte of the handshake each second.
    Trickles,
}
use Does::{LongChain, Says, SaysInTls, Trickles};

/// A client with its one outgoing connection, and a peer of a listener beside it.
struct Run {
    hub: TestHub<Linked>,
    /// The bytes that the client holds, and the most that it has held.
    held: isize,
    peak: isize,
    link: ConnId,
    peer: ConnId,
    heard: usize,
    tls: Option<ServerConnection>,
    /// The number of entries of the log, and when the last one came.
    logged: (usize, Time),
}

impl Run {
    /// Runs `act` on the client, and measures its memory.
    fn act<T>(&mut self, act: impl FnOnce(&mut TestHub<Linked>) -> T) -> T {
        let measure = Measure::begin();
        let result = act(&mut self.hub);
        self.peak = self.peak.max(self.held + measure.peak());
        self.held += measure.held();
        result
    }

    /// Passes bytes of the server on, in pieces as a shell reads them.
    fn receive(&mut self, bytes: &[u8]) {
        let link = self.link;
        for piece in bytes.chunks(16 << 10) {
            if !self.hub.is_closed(link) {
                self.act(|hub| hub.send(link, piece));
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.receive(bytes);
        self.hub.clear();
        self.hub.line(self.peer, "hello");
        assert_eq!(self.hub.lines(self.peer), ["hello"], "others are not disturbed");
        self.hub.clear();
        self.heard = 0;
        // Expensive input continues in later turns.
        self.pass(Duration::from_millis(1));
    }

    fn pass(&mut self, span: Duration) {
        self.act(|hub| hub.advance(span));
        let count = self.hub.handler().log.len();
        if count > self.logged.0 {
            self.logged = (count, self.hub.now());
        }
    }

    /// Passes bytes between the client and the server's TLS until neither has more to send.
    fn exchange(&mut self) {
        loop {
            let fresh = self.hub.received(self.link)[self.heard..].to_vec();
            self.heard += fresh.len();
            let tls = self.tls.as_mut().expect("it has TLS");
            let mut rest = &fresh[..];
            while !rest.is_empty() && tls.read_tls(&mut rest).is_ok() && tls.process_new_packets().is_ok() {}
            let mut plain = Vec::new();
            let _ = tls.reader().read_to_end(&mut plain);
            let mut out = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut out).expect("a vector");
            }
            if fresh.is_empty() && out.is_empty() {
                return;
            }
            self.receive(&out);
        }
    }
}

/// Runs a client against such a server until the client's time limits have passed.
///
/// Returns the client's log, the time until it was complete, and the most memory that was held.
fn run(dial: Dial, keys: &Keys, does: &Does) -> (Vec<String>, Duration, isize) {
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
    let mut hub = TestHub::with_config(Config::listening([listen]).unlimited(), Linked { dial, log: Vec::new() });
    let peer = hub.connect();
    let begun = hub.now();
    let mut run = Run { hub, held: 0, peak: 0, link: peer, peer, heard: 0, tls: None, logged: (0, begun) };
    run.link = run.act(|hub| hub.dialed(DIAL, Peer::Local)).expect("wanted");
    match does {
        Says(bytes, count) => (0..*count).for_each(|_| run.send(bytes)),
        SaysInTls(bytes, count) => {
            run.tls = Some(ServerConnection::new(Arc::clone(&keys.server)).expect("good"));
            run.exchange();
            for _ in 0..*count {
                run.tls.as_mut().expect("it has TLS").writer().write_all(bytes).expect("room");
                run.exchange();
                run.pass(Duration::from_millis(1));
            }
        }
        LongChain => {
            let mut tls = ServerConnection::new(Arc::clone(&keys.long_chain)).expect("good");
            tls.set_buffer_limit(None);
            run.tls = Some(tls);
            run.exchange();
        }
        Trickles => {
            for byte in [&[22, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc][..], &[0; 100]].concat() {
                run.send(&[byte]);
                run.pass(Duration::from_secs(1));
            }
        }
    }
    (0..20).for_each(|_| run.pass(Duration::from_secs(1)));
    run.hub.line(run.peer, "still here");
    assert_eq!(run.hub.lines(run.peer).last().map(String::as_str), Some("still here"));
    assert_eq!(run.hub.machine().recount(), Ok(()));
    (run.hub.handler().log.clone(), run.logged.1.since(begun), run.peak)
}

/// TLS records of a `ServerHello` of 16 MB.
const ENDLESS_HELLO: &[u8] = &[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff];
const KIB_OF_LINE: &[u8] = &[b'x'; 1 << 10];
const HEADERS: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nX-More: and more\r\nX-More: and more\r\nX-More: and more\r\n";
const REDIRECT: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: https://example.org/\r\nContent-Length: 0\r\n\r\n";
const ERROR_PAGE: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>";

#[test]
fn each_bad_server_ends_with_its_reason_in_time_and_bounded_memory() {
    let keys = keys();
    let (in_time, at_once) = (LIMIT + Duration::from_secs(1), Duration::from_secs(1));
    let mut wrong = Vec::new();
    for (address, name, does, expected, within) in [
        ("tls://", "says nothing", Says(b"", 0), "failed timed_out", in_time),
        ("ws://", "says nothing", Says(b"", 0), "failed timed_out", in_time),
        ("wss://", "says nothing in TLS", SaysInTls(b"", 0), "failed timed_out", in_time),
        (
            "asked://",
            "says nothing after INFO",
            Says(b"INFO\n", 1),
            "opened, closed tls_failed, failed timed_out",
            in_time,
        ),
        ("tls://", "sends one byte a second", Trickles, "failed timed_out", in_time),
        ("tls://", "announces 65,535 bytes", Says(&[22, 3, 3, 0xff, 0xff], 1), "failed not_tls", at_once),
        ("tls://", "says hello for ever", Says(ENDLESS_HELLO, 20_000), "failed not_tls", in_time),
        ("tls://", "shows an endless chain", LongChain, "failed certificate_invalid", at_once),
        ("tls://", "answers with HTTP", Says(REDIRECT, 1), "failed not_tls", at_once),
        ("ws://", "redirects", Says(REDIRECT, 1), "failed rejected_302", at_once),
        ("wss://", "redirects", SaysInTls(REDIRECT, 1), "failed rejected_302", at_once),
        ("ws://", "shows an error page", Says(ERROR_PAGE, 1), "failed rejected_502", at_once),
        ("wss://", "shows an error page", SaysInTls(ERROR_PAGE, 1), "failed rejected_502", at_once),
        ("ws://", "sends endless headers", Says(HEADERS, 1_000), "failed handshake", at_once),
        ("wss://", "sends endless headers", SaysInTls(HEADERS, 1_000), "failed handshake", at_once),
        ("lengths://", "announces 2 GiB", SaysInTls(b"\x80\0\0\0", 1), "opened, closed message_too_large", at_once),
        ("length://", "announces 4 GiB", Says(b"\xff\xff\xff\xff", 1), "opened, closed message_too_large", at_once),
        ("tls://", "sends an endless line", SaysInTls(KIB_OF_LINE, 2_000), "opened, closed message_too_large", at_once),
        ("tcp://", "sends an endless line", Says(KIB_OF_LINE, 2_000), "opened, closed message_too_large", in_time),
        ("asked://", "goes on in plain", Says(b"INFO\n", 2), "opened, closed tls_failed, failed not_tls", at_once),
        (
            "asked://",
            "sends more than INFO",
            Says(b"INFO\nmore\n", 1),
            "opened, closed tls_failed, failed early_input",
            at_once,
        ),
    ] {
        let (scheme, is_asked) = if address == "asked://" { ("tls://", true) } else { (address, false) };
        let mut dial: Dial = format!("{scheme}localhost:1").parse().expect(scheme);
        dial.fill_tls(|| Ok::<_, NoNote>(keys.client.clone())).expect("it cannot fail");
        let start = if is_asked { TlsStart::WhenAsked } else { TlsStart::AtOnce };
        let (log, time, peak) = run(dial.timeout(LIMIT).tls_start(start), &keys, &does);
        let about = format!("a server of {address} that {name}");
        let log = log.join(", ");
        if log != expected || time > within || peak > HELD_MAX {
            wrong.push(format!("{about}: {log}, after {time:?}, with {peak} bytes"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn attempt_that_never_connects_ends_in_time_and_the_next_one_follows() {
    let dial = Dial::lines("192.0.2.1:7").others(vec!["192.0.2.2:7".into()]).timeout(LIMIT);
    let dial = dial.backoff(Some(Backoff::default().jitter_percent(0)));
    let mut hub = TestHub::with_config(Config::default(), Linked { dial, log: Vec::new() });
    let address = |hub: &TestHub<Linked>| hub.machine().address_to_dial(DIAL).map(str::to_owned);
    assert_eq!(address(&hub).as_deref(), Some("192.0.2.1:7"));
    hub.advance(LIMIT);
    assert_eq!((hub.handler().log.join(", "), address(&hub)), ("failed timed_out".into(), None));
    hub.advance(Duration::from_nanos(1));
    assert_eq!(address(&hub).as_deref(), Some("192.0.2.2:7"));
    hub.advance(LIMIT);
    assert_eq!((hub.handler().log.len(), address(&hub)), (2, None));
    hub.advance(Duration::from_secs(1));
    assert_eq!(address(&hub).as_deref(), Some("192.0.2.1:7"));
}
