//! Lines over TCP: relay, chat, half-open connections, resets.

use super::{Peer, lines, run};
use crate::shell::core::app::{Chat, Echo, Relay};
use crate::shell::core::{Config, Reason};
use std::io::Write;
use std::net::{Shutdown, TcpStream};

#[test]
fn relay_forwards_lines_between_peers() {
    let server = run(lines(), Relay::default(), None);
    let (mut ann, mut bob) = (server.connect(), server.connect());
    // The relay must have both connections before the first line.
    server.until(|metrics| metrics.open >= 2);
    ann.send(b"hello\r\nfrom ann\n");
    assert_eq!((bob.line(), bob.line()), ("hello".into(), "from ann".into()));
    bob.send(b"hello");
    bob.end();
    assert_eq!(ann.line(), "hello");
    assert_eq!(bob.rest(), "");
    let metrics = server.end();
    assert_eq!((metrics.opened, metrics.ended.total(), metrics.ended.get(Reason::PeerClosed)), (2, 2, 1));
    assert_eq!(ann.line(), "notice: the server is shutting down");
    assert_eq!(ann.rest(), "closing (shutdown): the server is shutting down\n");
}

#[test]
fn echo_is_the_same_by_byte_and_in_one_burst() {
    let server = run(lines(), Echo, None);
    let mut peer = server.connect();
    peer.0.get_mut().set_nodelay(true).expect("it is TCP");
    for byte in b"one\r\ntwo\nthree" {
        peer.send(&[*byte]);
    }
    peer.end();
    assert_eq!(peer.rest(), "one\ntwo\nthree\n");
    let all: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    let server = run(lines().unlimited(), Echo, None);
    let peer = server.connect();
    let mut writer = peer.0.get_ref().try_clone().expect("a second handle");
    let sent = all.clone();
    let thread = std::thread::spawn(move || {
        writer.write_all(sent.as_bytes()).expect("the server reads");
        writer.shutdown(Shutdown::Write).expect("it is open");
    });
    let mut peer = peer;
    assert!(peer.rest() == all, "nothing is lost, added or reordered");
    thread.join().expect("no panic");
    assert_eq!(server.end().messages_in, 20_000);
}

#[test]
fn reset_is_counted_and_affects_no_other_peer() {
    let server = run(lines(), Relay::default(), None);
    let (gone, mut ann, mut bob) = (server.connect(), server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 3);
    // Closing a socket with unread input resets the connection.
    ann.send(b"unread\n");
    assert_eq!(bob.line(), "unread");
    let mut unread = [0];
    while gone.0.get_ref().peek(&mut unread).expect("the line arrives") == 0 {}
    drop(gone);
    server.until(|metrics| metrics.open <= 2);
    ann.send(b"still here\n");
    assert_eq!(bob.line(), "still here");
    assert_eq!(server.end().ended.get(Reason::Reset), 1);
}

#[test]
fn half_open_peer_keeps_receiving() {
    let config = Config::listening(["tcp://127.0.0.1:0?half_open=yes".parse().expect("well formed")]);
    let server = run(config, Relay::default(), None);
    let (mut listens, mut speaks) = (server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 2);
    listens.send(b"goodbye\n");
    listens.end();
    assert_eq!(speaks.line(), "goodbye");
    speaks.send(b"still there?\n");
    assert_eq!(listens.line(), "still there?");
    server.end();
}

#[test]
fn chat_peers_talk_in_rooms_over_tcp_and_telnet() {
    let config = Config::listening(["tcp://127.0.0.1:0", "telnet://127.0.0.1:0"].map(|text| text.parse().expect(text)));
    let server = run(config, Chat::default(), None);
    let mut ann = server.connect();
    ann.send(b"/nick ann\n/join orchard\n");
    while ann.line() != "* ann came to orchard" {}
    let telnet = server.addresses[1].replace("telnet://", "");
    let mut bob = Peer::new(TcpStream::connect(telnet).expect("it listens"));
    bob.send(b"/nick bob\r\n/join orchard\r\n");
    assert_eq!(ann.line(), "* bob came to orchard");
    bob.send("plums are drupes, \u{1b}[2Jann\r\n".as_bytes());
    assert_eq!(ann.line(), "<bob> plums are drupes, [2Jann");
    bob.send(b"/quit good night\r\n");
    assert_eq!(ann.line(), "* bob left: good night");
    server.end();
}
