//! Outgoing connections and their retries.

use super::tls::tls;
use super::{PATIENCE, accept, lines, run};
use crate::shell;
use crate::shell::common::block_on;
use crate::shell::common::client::Incoming;
use crate::shell::core::app::Echo;
use crate::shell::core::kit::client::ClientOptions;
use crate::shell::core::tls::{ClientTls, ClientTlsFiles, Roots};
use crate::shell::core::{Backoff, Config, Dial, Event, Handler, Hub, Listen, Reason, Timer};
use rustls::crypto::ring;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Dials the address in a note, and publishes what each connection receives to all others.
struct Caller;

impl Handler for Caller {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Note(address) => {
                let backoff = Some(Backoff::default().initial(Duration::from_millis(1)).cap(Duration::from_millis(5)));
                hub.dial(Dial::lines(address).backoff(backoff));
            }
            Event::Opened { conn, .. } => {
                let _ = hub.join(conn, "all");
                hub.wake(Timer::of(conn, "greet"), Duration::from_millis(1));
            }
            Event::Timer(Timer { conn: Some(conn), .. }) => drop(hub.send(conn, "greetings")),
            Event::Message { conn, payload } => drop(hub.publish_except("all", &[conn], payload)),
            _ => {}
        }
    }
}

#[test]
fn dial_reconnects_after_its_peer_was_away() {
    let server = run(lines(), Caller, None);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = elsewhere.local_addr().expect("an address");
    server.remote.note(address.to_string()).expect("it runs");
    let mut peer = accept(&elsewhere);
    assert_eq!(peer.line(), "greetings");
    drop((peer, elsewhere));
    server.until(|metrics| metrics.dial_errors > 0);
    let elsewhere = std::net::TcpListener::bind(address).expect("the port is free again");
    let mut peer = accept(&elsewhere);
    assert_eq!(peer.line(), "greetings");
    let mut ann = server.connect();
    assert_eq!(ann.line(), "greetings");
    peer.send(b"from afar\n");
    assert_eq!(ann.line(), "from afar");
    server.remote.publish("all", "from outside").expect("it runs");
    assert_eq!((ann.line(), peer.line()), ("from outside".into(), "from outside".into()));
    server.end();
}

/// A server with TLS on a listener of each kind of wire.
fn secure_listeners(tls: &crate::shell::core::tls::Tls) -> Config {
    Config::listening(["tcp", "length", "delimited", "ws", "telnet"].map(|scheme| {
        let listen: Listen = format!("{scheme}://127.0.0.1:0").parse().expect("well formed");
        listen.tls(Some(tls.clone()))
    }))
}

#[test]
fn client_exchanges_large_messages_over_tls_on_every_wire() {
    let (tls, trusting) = tls();
    let server = run(secure_listeners(&tls).unlimited(), Echo, None);
    for address in &server.addresses {
        let mut dial: Dial = address.parse().expect("what a server prints");
        let ours = ClientTls::new(Arc::clone(&trusting)).server_name(Some("localhost".into()));
        dial.fill_tls(|| Ok::<_, ()>(ours)).expect("it cannot fail");
        let mut client = shell::connect(ClientOptions::once(dial)).expect("a thread");
        // Each is longer than a TLS record, and all are more than sockets and watermarks hold.
        let message = |number: usize| format!("{number:05}").repeat(10_000);
        let sender = client.clone();
        let sending = std::thread::spawn(move || {
            (0..400).for_each(|number| block_on(sender.send(message(number))).expect("it runs"));
        });
        block_on(async {
            assert!(matches!(client.receive().await, Some(Incoming::Connected(_))), "{address}");
            for number in 0..400 {
                let Some(Incoming::Message(received)) = client.receive().await else {
                    panic!("{address}: message {number} is missing");
                };
                let is_same = received.as_payload().as_bytes() == message(number).as_bytes();
                assert!(is_same, "{address}: message {number}");
            }
            client.close();
            let end = client.receive().await;
            assert_eq!(end, Some(Incoming::Disconnected(Reason::Application)), "{address}");
        });
        sending.join().expect("no panic");
    }
    assert_eq!(server.end().tls_handshakes, 5);
}

/// Dials at the start, and reports each failed attempt.
pub(super) struct Failing {
    pub(super) dials: Vec<Dial>,
    pub(super) report: mpsc::Sender<String>,
}

impl Handler for Failing {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Started => {
                for dial in self.dials.drain(..) {
                    hub.dial(dial);
                }
            }
            Event::DialFailed { failure, retry_at, .. } => {
                let _ = self.report.send(format!("{failure} {}", retry_at.is_some()));
            }
            Event::Opened { .. } => drop(self.report.send("opened".into())),
            _ => {}
        }
    }
}

#[test]
fn failed_tls_handshake_is_a_failed_attempt_with_its_cause() {
    let (tls, trusting) = tls();
    let server = run(secure_listeners(&tls), Echo, None);
    let at = |listener: usize| {
        let (_, address) = server.addresses[listener].split_once("://").expect("a scheme");
        address.split('/').next().expect("a host").to_owned()
    };
    let pinned = ClientTlsFiles::new(Roots::Pinned(vec![[7; 32]]));
    let pinned = pinned.load(&Arc::new(ring::default_provider())).expect("no files");
    let trusting = ClientTls::new(trusting);
    let backoff = Backoff::default().initial(Duration::from_millis(1)).cap(Duration::from_millis(1));
    for (address, settings, backoff, expected) in [
        (at(0), &trusting, None, &["name_mismatch false"][..]),
        (at(3), &trusting, None, &["name_mismatch false"]),
        (at(1), &pinned, None, &["certificate_not_pinned false"]),
        (at(0), &ClientTls::pending(), Some(backoff), &["tls true", "tls true", "tls true"]),
        (at(0), &pinned, Some(backoff), &["certificate_not_pinned true", "certificate_not_pinned true"]),
    ] {
        let (report, reports) = mpsc::channel();
        let dials = vec![Dial::lines(address).tls(Some(settings.clone())).backoff(backoff)];
        let dialler = run(Config::default(), Failing { dials, report }, None);
        for expected in expected {
            assert_eq!(reports.recv_timeout(PATIENCE).as_deref(), Ok(*expected));
        }
        dialler.end();
    }
    server.end();
}
