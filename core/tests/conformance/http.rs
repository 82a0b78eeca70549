//! HTTP and WebSocket on one port, and HTTP requests to other protocols.

use super::run;
use crate::shell::Server;
use crate::shell::core::app::Echo;
use crate::shell::core::http::{Files, Http, HttpResponse};
use crate::shell::core::outbound::Marks;
use crate::shell::core::telnet::Telnet;
use crate::shell::core::wire::Protocol;
use crate::shell::core::wire::events::Events;
use crate::shell::core::{Config, Event, Handler, Hub, Listen, NoNote, Reason, RequestTicket, Timer};
use std::collections::BTreeMap;
use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn websocket_and_http_share_a_port() {
    let config = Config::listening(["ws://127.0.0.1:0/".parse().expect("well formed")]);
    let server = run(config, Echo, None);
    let mut asks = server.connect();
    asks.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = asks.rest();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    let mut socket = server.connect();
    socket.send(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(socket.line(), "HTTP/1.1 101 Switching Protocols\r");
    while socket.line() != "\r" {}
    for byte in b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x80\0\0\0\0" {
        socket.send(&[*byte]);
    }
    let mut heard = [0; 9];
    socket.0.read_exact(&mut heard).expect("the server answers");
    // A pong may overtake a message.
    assert!([b"\x81\x05Hello\x8a\0", b"\x8a\0\x81\x05Hello"].contains(&&heard), "{heard:?}");
    // The code of a server that shuts down is 1001 (RFC 6455 section 7.4.1).
    server.remote.drain().expect("it runs");
    let _ = server.remote.drain();
    assert_eq!(socket.rest_bytes(), b"\x88\x0a\x03\xe9shutdown");
    assert_eq!(server.thread.join().expect("no panic").http_ended.get(Reason::Answered), 1);
}

/// Sends each client of a stream of events what the number of clients is, and what another one requests.
struct Crowd;

impl Handler for Crowd {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Request { request, .. } if request.path() == "/events" => {
                assert!(hub.respond_stream(Events::default()).expect("a request").is_some());
            }
            Event::Request { request, .. } => {
                hub.publish("all", request.path());
            }
            Event::Opened { conn, .. } => {
                hub.join(conn, "all").expect("few");
                hub.send(conn, "welcome");
            }
            _ => {}
        }
    }
}

#[test]
fn stream_of_events_outlives_the_half_of_its_client_but_not_the_client() {
    let config = Config::listening(["ws://127.0.0.1:0".parse().expect("well formed")]);
    let server = run(config, Crowd, None);
    let (mut ann, mut bob) = (server.connect(), server.connect());
    for peer in [&mut ann, &mut bob] {
        peer.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
        peer.hear("\r\nConnection: close\r\n\r\ndata: welcome\n\n");
    }
    ann.end();
    // Comments, of which the second would fail if the client were gone.
    peer_hears(&mut ann, ":\n:\n");
    drop(bob);
    server.until(|metrics| metrics.open == 1);
    let mut other = server.connect();
    other.send(b"GET /news HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    peer_hears(&mut ann, "data: /news\n\n");
    assert!(other.rest().starts_with("HTTP/1.1 404 "));
    server.remote.drain().expect("it runs");
    let _ = server.remote.drain();
    assert_eq!(ann.rest(), "");
    assert_eq!(server.thread.join().expect("no panic").ended.get(Reason::Shutdown), 1);
}

fn peer_hears(peer: &mut super::Peer, words: &str) {
    let mut heard = vec![0; words.len()];
    peer.0.read_exact(&mut heard).expect("the server sends it");
    assert_eq!(heard, words.as_bytes());
}

#[test]
fn telnet_in_websocket_receives_all_before_the_close() {
    let http = Http::default().telnet(Some(Telnet::default().probe(false)));
    let listen: Listen = "ws://127.0.0.1:0".parse().expect("well formed");
    let config = Config::listening([listen.protocol(Protocol::Http(Arc::new(http)))]);
    let server = run(config, Echo, None);
    let mut peer = server.connect();
    peer.send(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    peer.hear("\r\n\r\n");
    let lines = b"one\r\n".repeat(20);
    peer.send(&[&[0x82, 0x80 | 0x64, 0, 0, 0, 0][..], &lines, &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]].concat());
    let echoed = [&[0x82, 5][..], b"one\r\n"].concat().repeat(20);
    assert_eq!(peer.rest_bytes(), [&echoed[..], &[0x88, 2, 3, 0xe8]].concat());
    assert_eq!(server.end().ended.get(Reason::PeerClosed), 1);
}

#[test]
fn non_http_listeners_refuse_http_posts() {
    let request = b"POST / HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\nContent-Length: 6\r\n\r\nhello\n";
    for (address, probe) in [
        ("tcp://127.0.0.1:0", 0),
        ("telnet://127.0.0.1:0", 3),
        ("auto://127.0.0.1:0", 3),
        ("length://127.0.0.1:0?prefix=u8", 0),
    ] {
        let server = run(Config::listening([address.parse::<Listen>().expect("well formed")]), Echo, None);
        let mut page = server.connect();
        // A browser may connect early and send its request after the server has started telnet.
        page.0.read_exact(&mut [0; 3][..probe]).expect("the server asks for the terminal type");
        page.send(request);
        let heard = String::from_utf8_lossy(&page.rest_bytes()).into_owned();
        assert!(!heard.contains("hello") && !heard.contains("Origin"), "{address}: {heard}");
        let metrics = server.end();
        assert_eq!((metrics.messages_in, metrics.ended.get(Reason::WrongProtocol)), (0, 1), "{address}");
    }
}

/// Responds a moment later with the body of the request.
#[derive(Default)]
struct Later(BTreeMap<u64, (RequestTicket, Vec<u8>)>);

impl Handler for Later {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Request { body, .. } => {
                let (key, ticket) = (hub.random(), hub.respond_later().expect("a request"));
                self.0.insert(key, (ticket, body.to_vec()));
                hub.wake(Timer::named("respond").keyed(key), Duration::from_millis(1));
            }
            Event::Timer(timer) => {
                let (ticket, body) = self.0.remove(&timer.key).expect("it was set once");
                hub.respond_to(ticket, &HttpResponse::new("application/octet-stream", body)).expect("it waits");
            }
            _ => {}
        }
    }
}

#[test]
fn later_responses_return_bodies_of_pipelined_requests() {
    let config = Config::listening(["ws://127.0.0.1:0?body_max=500000".parse().expect("well formed")]);
    let server = run(config, Later::default(), None);
    let mut client = server.connect();
    let large = vec![b'x'; 400_000];
    let head = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\nExpect: 100-continue\r\n\r\n";
    client.send(head);
    assert_eq!((client.line(), client.line()), ("HTTP/1.1 100 Continue\r".into(), "\r".into()));
    client.send(&large);
    client.send(
        b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
        3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
    );
    let answers = client.rest();
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{}", &answers[..200]);
    let first = answers.split("\r\n\r\n").nth(1).expect("a body");
    assert!(first.starts_with(&"x".repeat(400_000)) && answers.ends_with("\r\n\r\nabcde"));
    assert_eq!(server.end().requests_page, 2);
}

#[test]
fn curl_sends_bodies_and_waits_for_responses() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl on this machine");
        return;
    }
    let config = Config::listening(["ws://127.0.0.1:0?body_max=100".parse().expect("well formed")]);
    let server = run(config, Later::default(), None);
    let url = server.addresses[0].replace("ws://", "http://");
    let curl = |arguments: &[&str], urls: &[&str]| {
        let always = ["-sS", "--max-time", "60", "--data-binary", "hello"];
        let output = Command::new("curl").args(always).args(arguments).args(urls).output().expect("it is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for arguments in [
        &[][..],
        &["--http1.0"],
        &["-H", "Expect: 100-continue"],
        &["-H", "Transfer-Encoding: chunked"],
        &["-X", "PUT", "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"],
    ] {
        assert_eq!(curl(arguments, &[&url]), "hello", "{arguments:?}");
    }
    assert_eq!(curl(&[], &[&url, &url]), "hellohello", "on one connection");
    let long = "x".repeat(101);
    assert_eq!(curl(&["--data-binary", &long], &[&url]), "the request body is too long: at most 100 bytes\n");
    server.end();
}

#[test]
fn listener_serves_files_that_were_loaded_and_fit() {
    let listening = |files: Files| {
        let listen: Listen = "ws://127.0.0.1:0".parse().expect("well formed");
        let http = Http::default().files(Some(files));
        Config::listening([listen.protocol(Protocol::Http(Arc::new(http)))])
    };
    let file = |bytes: usize| Files::new().file("/x.bin", vec![b'x'; bytes]).expect("it is small enough");
    let mut small = listening(file(100_000));
    small.outbound.marks = Marks::new(1, 2, 100_000).expect("in order");
    for (config, words) in [
        (listening(Files::pending("site")), "the files of \"site\" are not loaded"),
        (small, "does not fit into an output queue of 100000 bytes"),
    ] {
        let error = Server::bind(config, Echo).expect_err("it can't be served").to_string();
        assert!(error.contains(words), "{error}");
    }
    let server = run(listening(file(Files::FILE_MAX_BYTES)), Echo, None);
    let mut client = server.connect();
    client.send(b"GET /x.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = client.rest();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"), "{head}");
    assert!(body.len() == Files::FILE_MAX_BYTES && body.bytes().all(|byte| byte == b'x'));
    server.end();
}
