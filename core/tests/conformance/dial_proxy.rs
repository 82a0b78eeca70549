//! Outgoing connections through a proxy: HTTP `CONNECT` and SOCKS5.

use super::proxy_server::{USER, proxy};
use super::tls::tls;
use super::{PATIENCE, run};
use crate::shell;
use crate::shell::common::block_on;
use crate::shell::common::client::Incoming;
use crate::shell::core::app::Echo;
use crate::shell::core::kit::client::ClientOptions;
use crate::shell::core::tls::ClientTls;
use crate::shell::core::{Config, Dial, Event, Failure, Handler, Hub, Listen, ProxyFault, Reason};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

fn through(scheme: &str, user: &str, proxy: SocketAddr, dial: Dial) -> Dial {
    dial.proxy(Some(format!("{scheme}://{user}@{proxy}").parse().expect("well formed")))
}

#[test]
fn client_exchanges_large_messages_over_tls_through_every_proxy() {
    let (tls, trusting) = tls();
    let config = Config::listening(["tcp", "ws"].map(|scheme| {
        let listen: Listen = format!("{scheme}://127.0.0.1:0").parse().expect("well formed");
        listen.tls(Some(tls.clone()))
    }));
    let server = run(config.unlimited(), Echo, None);
    let proxy = proxy(false);
    for address in &server.addresses {
        for scheme in ["http", "socks5"] {
            let mut dial: Dial = address.replace("127.0.0.1", "localhost").parse().expect("what a server prints");
            dial.fill_tls(|| Ok::<_, ()>(ClientTls::new(Arc::clone(&trusting)))).expect("it cannot fail");
            let options = ClientOptions::once(through(scheme, USER, proxy, dial));
            let mut client = shell::connect(options).expect("a thread");
            let message = |number: usize| format!("{number:05}").repeat(10_000);
            block_on(async {
                assert_eq!(client.receive().await, Some(Incoming::Connected(proxy.into())), "{address}");
                for number in 0..5 {
                    client.send(message(number)).await.expect("it runs");
                    let Some(Incoming::Message(received)) = client.receive().await else {
                        panic!("{address}: message {number} is missing");
                    };
                    let is_same = received.as_payload().as_bytes() == message(number).as_bytes();
                    assert!(is_same, "{address}: message {number}");
                }
                client.close();
                assert_eq!(client.receive().await, Some(Incoming::Disconnected(Reason::Application)), "{address}");
            });
        }
    }
    assert_eq!(server.end().tls_handshakes, 4);
}

#[test]
fn bytes_after_the_proxy_answer_in_one_packet_belong_to_the_host() {
    let host = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = host.local_addr().expect("bound").port();
    let proxy = proxy(true);
    for scheme in ["http", "socks5"] {
        let options = ClientOptions::once(through(scheme, USER, proxy, Dial::lines(format!("localhost:{port}"))));
        let mut client = shell::connect(options).expect("a thread");
        let mut peer = super::accept(&host);
        peer.send(b"welcome\n");
        block_on(async {
            assert_eq!(client.receive().await, Some(Incoming::Connected(proxy.into())));
            assert_eq!(client.receive().await, Some(Incoming::Message("welcome".into())));
            client.send("hello").await.expect("it runs");
        });
        assert_eq!(peer.line(), "hello");
    }
}

/// Dials at the start, and reports each failed attempt.
struct Failing {
    dial: Dial,
    report: mpsc::Sender<Failure>,
}

impl Handler for Failing {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Started => drop(hub.dial(self.dial.clone())),
            Event::DialFailed { failure, .. } => drop(self.report.send(failure)),
            _ => {}
        }
    }
}

#[test]
fn failure_at_the_proxy_is_a_failed_attempt_with_its_cause() {
    let proxy = proxy(false);
    let ssh = TcpListener::bind("127.0.0.1:0").expect("a port");
    let no_proxy = ssh.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in ssh.incoming().map_while(Result::ok) {
            let _ = (&stream).write_all(b"SSH-2.0-OpenSSH_10.0\r\n");
            // Reads until the client closes, so that the connection is not reset.
            let _ = io::copy(&mut &stream, &mut io::sink());
        }
    });
    // A port at which nothing listens, and which the system does not assign.
    let closed: SocketAddr = ([127, 0, 0, 1], 1).into();
    for (scheme, user, proxy, target, expected) in [
        ("http", USER, proxy, "other.example:7", Failure::Proxy(ProxyFault::Forbidden)),
        ("socks5", USER, proxy, "other.example:7", Failure::Proxy(ProxyFault::Forbidden)),
        ("http", "ann:wrong", proxy, "localhost:7", Failure::Proxy(ProxyFault::CredentialsRefused)),
        ("socks5", "ann:shut%20sesame", proxy, "localhost:7", Failure::Proxy(ProxyFault::CredentialsRefused)),
        ("http", USER, proxy, "localhost:1", Failure::Proxy(ProxyFault::TargetUnreachable)),
        ("socks5", USER, proxy, "localhost:1", Failure::Proxy(ProxyFault::TargetRefused)),
        ("http", USER, no_proxy, "localhost:7", Failure::Proxy(ProxyFault::NotProxy)),
        ("http", USER, closed, "localhost:7", Failure::Refused),
    ] {
        let (report, reports) = mpsc::channel();
        let dial = through(scheme, user, proxy, Dial::lines(target).timeout(Duration::from_secs(600)));
        let dialler = run(Config::default(), Failing { dial, report }, None);
        assert_eq!(reports.recv_timeout(PATIENCE), Ok(expected), "{scheme} {user} {proxy} {target}");
        dialler.end();
    }
}
