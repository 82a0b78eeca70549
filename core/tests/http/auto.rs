//! A listener that detects the protocol from the first bytes.

use drupe_core::app::Echo;
use drupe_core::testing::TestHub;
use drupe_core::{Command, Config, Failure, Reason};
use std::time::Duration;

fn hub() -> TestHub<Echo> {
    let listen = "auto://127.0.0.1:0?prefix=u32be".parse().expect("well formed");
    TestHub::with_config(Config::listening([listen]), Echo)
}

#[test]
fn auto_serves_the_detected_protocol_without_losing_bytes() {
    for (said, heard) in [
        (&b"one\ntwo\n"[..], &b"one\ntwo\n"[..]),
        (b"GET the ball\n", b"GET the ball\n"),
        (b"\0\0\0\x03one\0\0\0\0", b"\0\0\0\x03one\0\0\0\0"),
        (b"\xff\xf1one\r\n", b"\xff\xfd\x18\xff\xfd\x1f\xff\xfd\x27\xff\xfb\x2a\xff\xfb\x19\xff\xfd\x22one\r\n"),
    ] {
        for size in [1, 3, 100] {
            let mut hub = hub();
            let conn = hub.connect();
            said.chunks(size).for_each(|piece| hub.send(conn, piece));
            assert_eq!(hub.received(conn), heard, "{said:?} by {size}");
        }
    }
}

#[test]
fn auto_treats_a_silent_peer_as_telnet_after_the_delay() {
    let mut hub = hub();
    let conn = hub.connect();
    assert_eq!(hub.received(conn), b"");
    hub.advance(Duration::from_millis(299));
    assert_eq!(hub.received(conn), b"");
    hub.advance(Duration::from_millis(1));
    assert_eq!(hub.received(conn), b"\xff\xfd\x18");
    hub.send(conn, b"hello\n");
    assert_eq!(hub.received(conn), b"\xff\xfd\x18hello\r\n");
}

#[test]
fn auto_treats_a_partial_request_as_a_line_after_the_delay() {
    let mut hub = hub();
    let (waits, ends) = (hub.connect(), hub.connect());
    hub.send(waits, b"GET ");
    hub.send(ends, b"GET ");
    hub.end(ends);
    assert_eq!(hub.received(ends), b"GET \n");
    hub.advance(Duration::from_millis(300));
    hub.send(waits, b"it\n");
    assert_eq!(hub.received(waits), b"GET it\n");
}

#[test]
fn auto_serves_http_and_refuses_tls_with_an_alert() {
    let mut hub = hub();
    let (http, tls) = (hub.connect(), hub.connect());
    hub.send(http, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /readyz HTTP/1.0\r\n\r\n");
    assert!(hub.received(http).starts_with(b"HTTP/1.1 200 OK\r\n"));
    hub.send(tls, b"\x16\x03\x01\x02\0\x01");
    assert_eq!(hub.received(tls), [21, 3, 3, 0, 2, 2, 40]);
    assert!(hub.is_closed(http) && hub.is_closed(tls));
    assert_eq!((hub.ended(Reason::WrongProtocol), hub.ended(Reason::Answered)), (1, 1));
}

#[test]
fn undecided_peer_closes_without_a_handler_event() {
    let mut hub = hub();
    let (gone, failed, drained) = (hub.connect(), hub.connect(), hub.connect());
    hub.send(failed, b"GE");
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.opened, metrics.open, metrics.undecided), (0, 0, 3), "none of them is one yet");
    hub.fail(failed, Failure::Reset);
    hub.end(gone);
    hub.command(&Command::Drain);
    assert_eq!(hub.received(drained), b"");
    assert!(hub.is_closed(drained) && hub.is_closed(gone) && hub.machine().is_drained());
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.opened, metrics.open), (3, 0));
    assert_eq!((hub.ended(Reason::Reset), hub.ended(Reason::PeerClosed), hub.ended(Reason::Shutdown)), (1, 1, 1));
}
