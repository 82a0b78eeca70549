//! Browser requests to listeners of other protocols.
//!
//! A web page can make a browser send an HTTP request to any port, with lines of the page's choice
//! in its body. A listener for lines, telnet or frames must serve none of it.

use drupe_core::app::{Chat, Echo};
use drupe_core::testing::TestHub;
use drupe_core::{Config, Event, Handler, Hub, Listen, NoNote, Reason};
use std::time::Duration;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:7000\r\nOrigin: http://evil.example\r\n\
    Content-Type: text/plain\r\nContent-Length: 22\r\n\r\n/nick page\r\nhello all\r\n";

/// Remembers everything that it is told of peers.
#[derive(Default)]
struct Told(Vec<String>);

impl Handler for Told {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, _: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { payload, .. } => self.0.push(format!("{payload:?}")),
            Event::Signal { signal, .. } => self.0.push(format!("{signal:?}")),
            Event::Closed { reason, .. } => self.0.push(reason.to_string()),
            _ => {}
        }
    }
}

fn hub(address: &str) -> TestHub<Told> {
    let listen: Listen = address.parse().expect("well formed");
    TestHub::with_config(Config::listening([listen]), Told::default())
}

#[test]
fn http_request_closes_the_connection_before_being_served() {
    for address in [
        "tcp://127.0.0.1:1",
        "unix:///run/x",
        "telnet://127.0.0.1:1",
        "telnet://127.0.0.1:1?mode=character",
        "telnet://127.0.0.1:1?mode=keys",
        "raw://127.0.0.1:1",
        "raw://127.0.0.1:1?mode=keys",
        "length://127.0.0.1:1?prefix=u8",
        "length://127.0.0.1:1?prefix=u16be",
        "length://127.0.0.1:1?prefix=varint",
        // Longer than anything may be.
        "length://127.0.0.1:1?prefix=u32be",
    ] {
        // Frames whose first one is all that stands before what the page chose.
        let request = [REQUEST, &b"x".repeat(40_000)].concat();
        for size in [1, 7, 100_000] {
            let mut hub = hub(address);
            let conn = hub.connect();
            request.chunks(size).for_each(|piece| hub.send(conn, piece));
            let reason = if address.ends_with("u32be") { "message_too_large" } else { "wrong_protocol" };
            let told = &hub.handler().0;
            // Raw bytes are served as they come, until they can only be a request.
            let begun = told.iter().take_while(|told| address.starts_with("raw") && told.len() < 20).count();
            let (method, rest) = told.split_at(begun.min(told.len() - 1));
            assert!(method.len() < 6 && method.iter().all(|told| !told.contains("nick")), "{address}: {method:?}");
            assert_eq!(rest, [reason], "{address} by {size}");
            assert!(hub.is_closed(conn));
        }
    }
}

#[test]
fn late_http_request_is_not_served_as_lines() {
    for wait in [0, 200, 300, 400, 5_000] {
        let mut hub = hub("auto://127.0.0.1:1?prefix=u32be");
        let conn = hub.connect();
        hub.advance(Duration::from_millis(wait));
        hub.send(conn, REQUEST);
        let told = if wait < 300 { &[][..] } else { &["wrong_protocol"] };
        assert_eq!(hub.handler().0, told, "after {wait} ms");
        assert_eq!(hub.machine().metrics().messages_in, 0);
    }
}

#[test]
fn http_request_does_not_join_the_chat() {
    for address in ["tcp://127.0.0.1:1", "telnet://127.0.0.1:1", "auto://127.0.0.1:1"] {
        let listen: Listen = address.parse().expect("well formed");
        let mut hub = TestHub::with_config(Config::listening([listen]), Chat::default());
        let (ann, page) = (hub.connect(), hub.connect());
        hub.advance(Duration::from_secs(1));
        hub.line(ann, "/nick ann");
        hub.clear();
        hub.send(page, REQUEST);
        let heard = hub.lines(ann);
        assert!(!heard.iter().any(|line| line.contains("page") || line.contains("hello")), "{address}: {heard:?}");
    }
}

#[test]
fn unterminated_request_line_is_refused() {
    let mut hub = hub("tcp://127.0.0.1:1");
    let conn = hub.connect();
    hub.send(conn, b"POST / HTTP/1.1");
    hub.end(conn);
    assert_eq!(hub.handler().0, ["wrong_protocol"]);
}

#[test]
fn rate_limited_request_line_is_refused() {
    use drupe_core::limit::{Ladder, Rate};
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("well formed")]);
    config.peer.rates.bytes = Rate::new(20, 20).ok();
    config.peer.rates.ladder = Ladder::default().pause(None).drop(Some(1));
    let mut hub = TestHub::with_config(config, Told::default());
    let conn = hub.connect();
    // It comes in pieces, and is discarded for being too fast.
    hub.send(conn, format!("POST /{}", "x".repeat(100)).as_bytes());
    hub.send(conn, b" HTTP/1.1\r\n");
    hub.advance(Duration::from_secs(60));
    hub.send(conn, b"/nick page\r\n");
    assert_eq!(hub.handler().0, ["wrong_protocol"]);
}

#[test]
fn non_request_first_line_disables_the_request_guard() {
    let mut hub = hub("tcp://127.0.0.1:1");
    let conn = hub.connect();
    hub.send(conn, b"\r\nGET the ball\r\nGET / HTTP/1.1\r\n");
    assert_eq!(hub.handler().0, ["Text(\"\")", "Text(\"GET the ball\")", "Text(\"GET / HTTP/1.1\")"]);
    let conn = hub.connect();
    hub.send(conn, b"\r\nGET / HTTP/1.1\r\n");
    assert_eq!(hub.ended(Reason::WrongProtocol), 1, "an empty line changes nothing");
    assert!(hub.is_closed(conn));
}

#[test]
fn request_guard_can_be_disabled() {
    for address in ["tcp://127.0.0.1:1?refuse_http=no", "telnet://127.0.0.1:1?refuse_http=no&probe=no"] {
        let listen: Listen = address.parse().expect("well formed");
        let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
        let conn = hub.connect();
        hub.send(conn, b"GET / HTTP/1.1\r\n");
        assert_eq!(hub.lines(conn), ["GET / HTTP/1.1"], "{address}");
    }
}

#[test]
fn request_guard_ignores_dialled_connections() {
    use drupe_core::{Dial, Peer};
    struct Dials(Vec<String>);
    impl Handler for Dials {
        type Context = ();
        type Note = NoNote;
        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
            match event {
                Event::Started => drop(hub.dial(Dial::lines("192.0.2.1:80"))),
                Event::Message { payload, .. } => self.0.push(format!("{payload:?}")),
                _ => {}
            }
        }
    }
    let mut hub = TestHub::with_config(Config::default(), Dials(Vec::new()));
    let dial = hub.machine().dials().next().expect("it dials").0;
    let conn = hub.dialed(dial, "192.0.2.1:80".parse::<Peer>().expect("an address")).expect("wanted");
    hub.send(conn, b"GET / HTTP/1.1\r\n");
    assert_eq!(hub.handler().0, ["Text(\"GET / HTTP/1.1\")"]);
}
