use super::*;
use crate::app::Echo;
use crate::base::{ConnId, Reason};
use crate::config::{Config, Listen};
use crate::facts::Command;
use crate::testing::TestHub;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: example.org:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn hub(address: &str) -> (TestHub<Echo>, ConnId) {
    let listen: Listen = address.parse().expect("well formed");
    let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
    let conn = hub.connect();
    (hub, conn)
}

/// Returns the response to `request`, with head and body.
fn answered(address: &str, request: &str) -> String {
    let (mut hub, conn) = hub(address);
    hub.send(conn, request.as_bytes());
    String::from_utf8(hub.received(conn).to_vec()).expect("text")
}

fn status(address: &str, request: &str) -> String {
    let answer = answered(address, request);
    answer.split(' ').nth(1).unwrap_or("nothing").to_string()
}

#[test]
fn upgrade_accepts_the_rfc_example_and_a_pipelined_frame() {
    let (mut hub, conn) = hub("ws://127.0.0.1:0");
    let frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    hub.send(conn, &[UPGRADE.as_bytes(), frame].concat());
    let received = hub.received(conn);
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(received, [head.as_bytes(), b"\x81\x05Hello"].concat());
}

#[test]
fn any_split_of_a_request_gets_the_same_response() {
    let whole = answered("ws://127.0.0.1:0", UPGRADE);
    for size in 1..UPGRADE.len() {
        let (mut hub, conn) = hub("ws://127.0.0.1:0");
        UPGRADE.as_bytes().chunks(size).for_each(|piece| hub.send(conn, piece));
        assert_eq!(hub.received(conn), whole.as_bytes(), "by {size}");
    }
}

#[test]
fn each_violated_upgrade_rule_returns_its_status() {
    for (old, new, expected) in [
        ("", "", "101"),
        ("GET /chat", "POST /chat", "400"),
        ("HTTP/1.1", "HTTP/1.0", "426"),
        ("GET /chat", "GET /other", "404"),
        ("GET /chat", "GET /chat?room=x", "101"),
        ("Upgrade: websocket", "Upgrade: h2c, WebSocket", "101"),
        ("Connection: Upgrade", "Connection: keep-alive, upgrade", "101"),
        ("Connection: Upgrade", "Connection: keep-alive", "400"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", "426"),
        ("Sec-WebSocket-Version: 13\r\n", "", "426"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13", "426"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", "400"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "not base64 at all", "400"),
        ("Sec-WebSocket-Key", "X-Key", "400"),
        ("Host: example.org:80\r\n", "", "400"),
        ("Host: example.org:80", "Host: example.org:80\r\nHost: example.com", "400"),
        ("\r\n\r\n", "\r\nOrigin: http://example.org\r\n\r\n", "101"),
        ("\r\n\r\n", "\r\nOrigin: HTTP://EXAMPLE.ORG:80\r\n\r\n", "101"),
        ("\r\n\r\n", "\r\nOrigin: http://example.org:8080\r\n\r\n", "403"),
        ("\r\n\r\n", "\r\nOrigin: http://example.org.evil.org\r\n\r\n", "403"),
        ("\r\n\r\n", "\r\nOrigin: http://evil.org/example.org\r\n\r\n", "403"),
        ("\r\n\r\n", "\r\nOrigin: https://example.org\r\n\r\n", "403"),
        ("\r\n\r\n", "\r\nOrigin: null\r\n\r\n", "403"),
        ("\r\n\r\n", "\r\nOrigin: capacitor://example.org\r\n\r\n", "403"),
        ("\r\n\r\n", "\r\nOrigin: http://example.org:+80\r\n\r\n", "403"),
        ("\r\n\r\n", "\r\nOrigin: http://example.org\r\nOrigin: http://example.org\r\n\r\n", "400"),
    ] {
        let request = UPGRADE.replacen(old, new, 1);
        let request = if old.is_empty() { UPGRADE } else { &request };
        assert_eq!(status("ws://127.0.0.1:0/chat", request), expected, "{old:?} is {new:?}");
    }
    let refused = answered("ws://127.0.0.1:0", &UPGRADE.replace("Version: 13", "Version: 8"));
    assert!(refused.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{refused}");
}

#[test]
fn refusal_of_a_head_request_has_no_body() {
    let refused = answered("ws://127.0.0.1:0/chat", "HEAD /chat HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 426 ") && refused.ends_with("\r\n\r\n"), "{refused}");
}

#[test]
fn upgrade_checks_configured_origins_and_subprotocols() {
    let from = |origin: &str| UPGRADE.replace("\r\n\r\n", &format!("\r\nOrigin: {origin}\r\n\r\n"));
    let address = "ws://127.0.0.1:0?origins=https://example.org,http://localhost:3000";
    for (origin, expected) in [
        ("https://example.org", "101"),
        ("https://example.org:443", "101"),
        ("http://example.org", "403"),
        ("http://localhost:3000", "101"),
        ("http://localhost", "403"),
    ] {
        assert_eq!(status(address, &from(origin)), expected, "{origin}");
    }
    assert_eq!(status("ws://127.0.0.1:0?origins=*", &from("null")), "101");
    let asks =
        UPGRADE.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a, chat.v1\r\nSec-WebSocket-Protocol: b\r\n\r\n");
    let answer = |address: &str| answered(address, &asks);
    assert!(answer("ws://127.0.0.1:0?subprotocols=b,chat.v1").contains("Sec-WebSocket-Protocol: b\r\n"));
    assert!(answer("ws://127.0.0.1:0?subprotocols=chat.v1").contains("Sec-WebSocket-Protocol: chat.v1\r\n"));
    assert!(!answer("ws://127.0.0.1:0?subprotocols=c").contains("Sec-WebSocket-Protocol"));
}

#[test]
fn compression_accepts_the_first_offer_that_can_be_met() {
    for (offer, expected) in [
        ("permessage-deflate", Some("")),
        ("permessage-deflate; client_max_window_bits", Some("")),
        (
            "permessage-deflate; client_max_window_bits=10; server_max_window_bits=\"12\"",
            Some("; server_max_window_bits=12"),
        ),
        ("permessage-deflate; server_max_window_bits=7, permessage-deflate", Some("")),
        ("permessage-deflate; server_max_window_bits=08", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        ("permessage-deflate; unknown", None),
        ("x-webkit-deflate-frame", None),
    ] {
        let request = UPGRADE.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"));
        let answer = answered("ws://127.0.0.1:0", &request);
        let agreed = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
        let always = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(agreed, expected.map(|rest| always.to_string() + rest).as_deref(), "{offer}");
        assert!(!answered("ws://127.0.0.1:0?deflate=no", &request).contains("Extensions"), "{offer}");
    }
}

#[test]
fn ambiguous_requests_are_refused() {
    let many = "X: y\r\n".repeat(65);
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_string(), "200"),
        ("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".to_string(), "200"),
        ("GET / HTTP/1.1\nHost: x\n\n".to_string(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n".to_string(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\0\r\n\r\n".to_string(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n".to_string(), "400"),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n".to_string(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n".to_string(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_string(), "501"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_string(), "413"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n".to_string(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_string(), "200"),
        ("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n".to_string(), "200"),
        ("GET HTTP://x?y HTTP/1.1\r\nHost: x\r\n\r\n".to_string(), "200"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_string(), "400"),
        ("GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n".to_string(), "400"),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_string(), "505"),
        ("GET / HTTP/1.1\r\n\r\n".to_string(), "400"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), "431"),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(9_000)), "431"),
        ("nonsense\r\n\r\n".to_string(), "400"),
    ] {
        assert_eq!(status("ws://127.0.0.1:0", &request), expected, "{request:?}");
    }
}

#[test]
fn http_endpoints_respond_and_keep_the_connection() {
    let (mut hub, conn) = hub("ws://127.0.0.1:0");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    hub.send(conn, (get("/healthz") + &get("/readyz")).as_bytes());
    let text = String::from_utf8_lossy(hub.received(conn)).into_owned();
    assert!(text.matches("HTTP/1.1 200 OK\r\n").count() == 2 && text.contains("\r\n\r\nok\n"), "{text}");
    hub.clear();
    for (path, kind, words) in [
        ("/", "text/html", "<html"),
        ("/drupe.js", "text/javascript", "WebSocket"),
        ("/drupe.css", "text/css", "color-scheme"),
        ("/metrics", "text/plain; version=0.0.4", "\ndrupe_connections_opened_total 0\n"),
    ] {
        hub.send(conn, get(path).as_bytes());
        let text = String::from_utf8_lossy(hub.received(conn)).into_owned();
        assert!(text.contains(&format!("\r\nContent-Type: {kind}")) && text.contains(words), "{path}: {text}");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())) && head.contains("default-src 'none'"));
        hub.clear();
    }
    hub.send(conn, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(hub.received(conn).ends_with(b"\r\n\r\n"), "a head alone");
    hub.clear();
    hub.send(conn, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nCookie: na\xefve\r\n\r\n");
    assert!(hub.received(conn).starts_with(b"HTTP/1.1 200 ") && hub.received(conn).ends_with(b"\r\n\r\n"));
    hub.clear();
    hub.send(conn, b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(String::from_utf8_lossy(hub.received(conn)).contains("405 Method Not Allowed"));
    assert!(!hub.is_closed(conn));
    hub.send(conn, b"GET / HTTP/1.0\r\n\r\n");
    assert!(hub.is_closed(conn) && hub.ended(Reason::Answered) == 1);
}

#[test]
fn console_page_escapes_its_path() {
    let page = answered("ws://127.0.0.1:0/a\"<b>&", "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(page.contains("data-path=\"/a&quot;&lt;b>&amp;\""), "{page}");
}

#[test]
fn http_listener_refuses_slow_silent_and_non_http_peers() {
    let (mut hub, slow) = hub("ws://127.0.0.1:0?timeout=5");
    let silent = hub.connect();
    hub.send(slow, b"GET / HT");
    hub.advance(Duration::from_secs(5));
    assert!(hub.received(slow).starts_with(b"HTTP/1.1 408 ") && hub.is_closed(slow));
    assert!(hub.received(silent).is_empty() && hub.is_closed(silent));
    for (first, answer) in [
        (&b"\x16\x03\x01\x02\0"[..], &b"\x15\x03"[..]),
        (b"SSH-2.0-OpenSSH_9.7\r\n", b"HTTP/1.1 400 "),
        (b"\xff\xfb\x18", b"HTTP/1.1 400 "),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 400 "),
    ] {
        let conn = hub.connect();
        hub.send(conn, first);
        assert!(hub.received(conn).starts_with(answer) && hub.is_closed(conn), "{first:?}");
    }
    assert_eq!(hub.ended(Reason::WrongProtocol), 4);
}

#[test]
fn readyz_returns_503_while_draining() {
    let (mut hub, conn) = self::hub("ws://127.0.0.1:0");
    let ask = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
    hub.send(conn, ask);
    assert!(hub.received(conn).starts_with(b"HTTP/1.1 200 OK"));
    hub.clear();
    let others: Vec<_> = (0..200).map(|_| hub.connect()).collect();
    hub.command(&Command::Drain);
    hub.send(conn, ask);
    assert!(hub.received(conn).starts_with(b"HTTP/1.1 503 Service Unavailable"));
    hub.advance(Duration::from_secs(10));
    assert!(hub.is_closed(conn) && hub.is_closed(others[0]) && hub.machine().is_drained());
    // A WebSocket receives the reason in its close frame.
    let (mut hub, conn) = self::hub("ws://127.0.0.1:0");
    hub.send(conn, UPGRADE.as_bytes());
    hub.clear();
    hub.command(&Command::Drain);
    hub.advance(Duration::from_secs(5));
    assert_eq!(hub.received(conn), [&b"\x88\x0a\x03\xe9"[..], b"shutdown"].concat());
}

#[test]
fn metrics_follow_the_prometheus_text_format() {
    let (mut hub, conn) = hub("ws://127.0.0.1:0");
    hub.send(conn, UPGRADE.as_bytes());
    hub.end(conn);
    let text = hub.machine().metrics().exposition();
    let mut known = vec![];
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            known.push(kind.split(' ').next().unwrap_or_default().to_string());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let family = known.last().expect("its type stands before it");
            assert!(name.starts_with(family.as_str()), "{line}");
        }
    }
    assert!(text.contains("\ndrupe_connections_ended_total{reason=\"peer_closed\"} 1\n"), "{text}");
    assert!(text.contains("drupe_connection_duration_seconds_bucket{le=\"+Inf\"} 1\n"), "{text}");
}

#[test]
fn ping_measures_the_round_trip_of_a_peer() {
    let (mut hub, conn) = hub("ws://127.0.0.1:0?ping=30");
    hub.send(conn, UPGRADE.as_bytes());
    hub.clear();
    hub.advance(Duration::from_secs(30));
    let ping = hub.received(conn).to_vec();
    assert_eq!((ping.len(), &ping[..2]), (10, &b"\x89\x08"[..]));
    hub.advance(Duration::from_millis(50));
    let mut pong = vec![];
    crate::wire::websocket::frame(crate::wire::websocket::Opcode::Pong, &ping[2..], Some([1, 2, 3, 4]), &mut pong);
    hub.send(conn, &pong);
    hub.send(conn, &pong);
    let round_trips = hub.machine().metrics().round_trip_us;
    assert_eq!((round_trips.count(), round_trips.sum()), (1, 50_000), "an unsolicited pong is not measured");
}

#[test]
fn responses_and_pong_keep_order_around_the_upgrade() {
    let (mut hub, conn) = hub("ws://127.0.0.1:0");
    let ping = b"\x89\x82\0\0\0\0hi";
    hub.send(conn, &[b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", UPGRADE.as_bytes(), ping].concat());
    let text = String::from_utf8_lossy(hub.received(conn)).into_owned();
    let places = ["HTTP/1.1 200", "ok\n", "HTTP/1.1 101", "hi"].map(|words| text.find(words));
    assert!(places.is_sorted() && places[0] == Some(0), "{text}");
}

#[test]
fn pipelined_requests_wait_while_responses_are_not_read() {
    let (mut hub, conn) = hub("ws://127.0.0.1:0");
    hub.set_writable(conn, 0);
    let get = b"GET /drupe.js HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..20 {
        hub.send(conn, &get.repeat(100));
    }
    let queued = hub.machine().metrics().queued_bytes;
    assert!(queued < 2 << 20 && !hub.machine().intent(conn).expect("it is there").read, "{queued} bytes");
    hub.set_writable(conn, usize::MAX);
    for _ in 0..100 {
        hub.advance(Duration::from_secs(1));
    }
    let answers = String::from_utf8_lossy(hub.received(conn)).matches("HTTP/1.1 200 OK").count();
    assert_eq!(answers, 2_000, "nothing is lost");
}

#[test]
fn close_reply_follows_the_messages() {
    for size in [1, 100] {
        let (mut hub, conn) = hub("ws://127.0.0.1:0");
        hub.send(conn, UPGRADE.as_bytes());
        hub.clear();
        let said = b"\x81\x85\0\0\0\0hello\x88\x82\0\0\0\0\x03\xe8";
        said.chunks(size).for_each(|piece| hub.send(conn, piece));
        assert_eq!(hub.received(conn), b"\x81\x05hello\x88\x02\x03\xe8", "by {size}");
    }
}

#[test]
fn kick_ends_a_handshake_and_full_listener_returns_503() {
    let (mut hub, conn) = hub("ws://127.0.0.1:0?max=1&notices=yes");
    hub.send(conn, b"GET / HT");
    let peer = crate::base::Peer::Local;
    let refusal = hub.try_connect(crate::base::ListenerId(0), peer).expect_err("one is enough");
    assert!(refusal.farewell.starts_with(b"HTTP/1.1 503 "));
    hub.command(&Command::Kick { conn });
    assert!(hub.is_closed(conn) && hub.ended(Reason::Kicked) == 1);
}

#[test]
fn refusal_of_a_connection_names_its_reason_and_whether_the_address_is_the_cause() {
    let peer: crate::base::Peer = "192.0.2.1:9".parse().expect("an address");
    let refused = |options: &str, config: &dyn Fn(&mut Config), drains: bool| {
        let listen: Listen = format!("ws://127.0.0.1:0{options}").parse().expect("well formed");
        let mut whole = Config::listening([listen]);
        config(&mut whole);
        let mut hub = TestHub::with_config(whole, Echo);
        hub.try_connect(crate::base::ListenerId(0), peer).expect("the first is admitted");
        if drains {
            hub.command(&Command::Drain);
        }
        let refusal = hub.try_connect(crate::base::ListenerId(0), peer).expect_err("the second is not");
        String::from_utf8(refusal.farewell).expect("text")
    };
    let nothing = |_: &mut Config| {};
    for (answer, status, reason) in [
        (refused("", &|config| config.connections.per_address = 1, false), "429 ", Reason::AddressFull),
        (
            refused("", &|config| config.connections.arrivals_per_address = crate::config::Rate::new(1, 1).ok(), false),
            "429 ",
            Reason::AddressTooFast,
        ),
        (refused("", &|config| config.connections.total = 1, false), "503 ", Reason::ServerFull),
        (refused("?max=1", &nothing, false), "503 ", Reason::ListenerFull),
        (refused("", &nothing, true), "503 ", Reason::Shutdown),
    ] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{reason}: {answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{}\n", reason.sentence())), "{reason}: {answer}");
    }
}

#[test]
fn message_to_many_recipients_is_compressed_once() {
    let listen: Listen = "ws://127.0.0.1:0".parse().expect("well formed");
    let mut hub = TestHub::with_config(Config::listening([listen]), crate::app::Relay::default());
    let request = UPGRADE.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    let conns: Vec<_> = (0..100).map(|_| hub.connect()).collect();
    for &conn in &conns {
        hub.send(conn, request.as_bytes());
    }
    hub.clear();
    let mut message = vec![];
    crate::wire::websocket::frame(
        crate::wire::websocket::Opcode::Text,
        "so long ".repeat(50).as_bytes(),
        Some([7; 4]),
        &mut message,
    );
    hub.send(conns[0], &message);
    let heard = hub.received(conns[1]).to_vec();
    assert!(heard[0] == 0xc1 && heard.len() < 60, "it is compressed: {heard:?}");
    assert!(conns[1..].iter().all(|&conn| hub.received(conn) == heard));
    assert_eq!(hub.machine().metrics().compressed, 1);
}
