//! Telnet: negotiation, line editing, urgent data.

use super::gated::Gated;
use super::{Peer, run};
use crate::shell;
use crate::shell::common::block_on;
use crate::shell::common::client::Incoming;
use crate::shell::core::app::Echo;
use crate::shell::core::kit::client::ClientOptions;
use crate::shell::core::telnet::ClientMode;
use crate::shell::core::{Config, Dial, Listen, Reason};
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;

#[test]
fn telnet_listener_negotiates_and_serves() {
    let config = Config::listening(["telnet://127.0.0.1:0".parse().expect("well formed")]);
    let server = run(config, Echo, None);
    let mut peer = server.connect();
    // The server sends DO TERMINAL-TYPE; the peer answers WONT.
    let mut probe = [0; 3];
    peer.0.read_exact(&mut probe).expect("the server begins");
    assert_eq!(probe, *b"\xff\xfd\x18");
    peer.send(b"\xff\xfc\x18hello\r\0");
    peer.0.read_exact(&mut probe).expect("the server asks for more");
    peer.end();
    let rest = peer.rest_bytes();
    assert!(rest.ends_with(b"hello\r\n"), "{rest:?}");
    server.end();
}

#[test]
fn dialled_telnet_sends_keys_to_a_server_that_echoes() {
    let listen: Listen = "telnet://127.0.0.1:0?mode=character".parse().expect("well formed");
    let server = run(Config::listening([listen]), Echo, None);
    let dial: Dial =
        format!("{}?delivery=stream&terminal=xterm&size=80x24", server.addresses[0]).parse().expect("well formed");
    let mut client = shell::connect(ClientOptions::once(dial)).expect("a thread");
    block_on(async {
        assert!(matches!(client.receive().await, Some(Incoming::Connected(_))));
        while client.receive().await != Some(Incoming::ClientMode(ClientMode::Character)) {}
        client.set_window_size(100, 30).expect("it runs");
        client.write("helo\u{1b}[Dl").await.expect("it runs");
        client.write("\r").await.expect("it runs");
        // The server shows the keys, and echoes the line that they make.
        let mut heard = String::new();
        while !heard.ends_with("\r\nhello\r\n") {
            match client.receive().await {
                Some(Incoming::Message(piece)) => heard.push_str(piece.as_str().expect("text")),
                Some(Incoming::ClientMode(_)) => {}
                other => panic!("{other:?} after {heard:?}"),
            }
        }
        client.close();
        assert_eq!(client.receive().await, Some(Incoming::Disconnected(Reason::Application)));
    });
    server.end();
}

#[test]
fn dialled_telnet_reports_an_unmarked_prompt() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let dial = format!("telnet://{}?prompt_after=1", listener.local_addr().expect("bound"));
    let mut client = shell::connect(ClientOptions::once(dial.parse().expect("well formed"))).expect("a thread");
    let mut device = super::accept(&listener);
    device.send(b"\xff\xfd\x18Welcome\r\nlogin: ");
    block_on(async {
        assert!(matches!(client.receive().await, Some(Incoming::Connected(_))));
        assert_eq!(client.receive().await, Some(Incoming::Message("Welcome".into())));
        assert_eq!(client.receive().await, Some(Incoming::Prompt("login: ".into())));
        client.send("admin").await.expect("it runs");
        device.hear("admin\r\n");
        client.close();
    });
}

/// Keys that each redraw a long line once made the server allocate hundreds of megabytes per read.
///
/// It served no other connection meanwhile.
#[test]
fn keys_that_redraw_a_long_line_do_not_block_other_peers() {
    let listen: Listen = "telnet://127.0.0.1:0?mode=character&probe=no".parse().expect("well formed");
    let running = run(Config::listening([listen]), Echo, None);
    let mut hostile = running.connect();
    hostile.send(b"\xff\xfd\x01\xff\xfd\x03");
    hostile.send(&[b'x'; 4_090]);
    let mut rest = hostile.0.get_ref().try_clone().expect("a descriptor");
    let reader = std::thread::spawn(move || drop(std::io::copy(&mut rest, &mut std::io::sink())));
    hostile.send(&b"\x0c\x01\x05".repeat(22_000));
    running.until(|metrics| metrics.bytes_in >= 65_536);
    let mut other = running.connect();
    other.send(b"hello\r\n");
    other.hear("hello\r\n");
    assert!(running.metrics().queued_bytes_peak < 2 << 20, "{} bytes were queued", running.metrics().queued_bytes_peak);
    running.end();
    reader.join().expect("no panic");
}

#[test]
fn input_after_urgent_data_is_read() {
    let gate = Arc::default();
    let (handler, config) =
        (Gated { gate: Arc::clone(&gate), is_first: true }, ["tcp://127.0.0.1:0", "telnet://127.0.0.1:0"]);
    let server = run(Config::listening(config.map(|text| text.parse().expect(text))), handler, None);
    for address in server.addresses.clone() {
        let mut peer =
            Peer::new(TcpStream::connect(address.split_once("://").expect("a scheme").1).expect("it listens"));
        peer.send(b"in\n");
        peer.hear("in");
        let closed = gate.lock().expect("no panic");
        server.remote.note(String::new()).expect("it runs");
        // The handler blocks while all of this arrives, so that the server receives one readiness
        // event. The Synch of a telnet client is IAC IP and IAC DM, and its last byte is urgent
        // (RFC 854).
        let synch: &[u8] = if address.starts_with("tcp") { b"x" } else { b"\xff\xf4\xff\xf2" };
        peer.send(b"one\n");
        socket2::SockRef::from(peer.0.get_ref()).send_out_of_band(synch).expect("it is TCP");
        peer.send(b"\ntwo\n");
        drop(closed);
        peer.hear("two");
    }
    server.end();
}
