//! Outgoing connections through a proxy: the steps before the protocol, and their failures.

use drupe_core::testing::TestHub;
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::{
    Backoff, Config, ConnId, Dial, DialId, Event, Failure, Handler, Hub, Machine, NoNote, Peer, ProxyFault, Reason,
    Time,
};
use std::time::Duration;

/// Dials at the start, greets each server, and records what happens.
struct Dialler {
    dial: Dial,
    log: Vec<String>,
}

impl Handler for Dialler {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => drop(hub.dial(self.dial.clone())),
            Event::Opened { conn, peer, .. } => {
                self.log.push(format!("opened {peer}"));
                hub.send(conn, "hello");
            }
            Event::Message { payload, .. } => self.log.push(payload.as_str().expect("text").to_owned()),
            Event::Closed { reason, .. } => self.log.push(format!("closed {reason}")),
            Event::DialFailed { failure, retry_at, .. } => {
                let retry = retry_at.map(|at| at.since(Time::START).as_secs());
                self.log.push(format!("failed {failure} {retry:?}"));
            }
            _ => {}
        }
    }
}

type Client = TestHub<Dialler>;

const DIAL: DialId = DialId::new(0);
const HTTP: &str = "http://ann:pw@proxy.example:3128";
const SOCKS: &str = "socks5://ann:pw@[2001:db8::7]:9";
const OK: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
const SOCKS_OK: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fn proxied(dial: Dial, proxy: &str) -> Dial {
    dial.proxy(Some(proxy.parse().expect(proxy)))
}

fn client(dial: Dial) -> Client {
    TestHub::with_config(Config::default(), Dialler { dial, log: Vec::new() })
}

fn proxy_peer() -> Peer {
    Peer::Address(([192, 0, 2, 9], 3128).into())
}

fn connected(client: &mut Client) -> ConnId {
    client.dialed(DIAL, proxy_peer()).expect("wanted")
}

fn log(client: &Client) -> Vec<&str> {
    client.handler().log.iter().map(String::as_str).collect()
}

/// Sends bytes in pieces of length `piece`.
fn send(client: &mut Client, conn: ConnId, bytes: &[u8], piece: usize) {
    bytes.chunks(piece).for_each(|piece| client.send(conn, piece));
}

#[test]
fn lines_begin_behind_the_answer_of_an_http_proxy() {
    for piece in [1, 7, usize::MAX] {
        let mut client = client(proxied(Dial::lines("example.org:7"), HTTP));
        let wanted: Vec<_> = client.machine().dials().map(|(_, address)| address.to_owned()).collect();
        assert_eq!(wanted, ["proxy.example:3128"], "the shell connects to the proxy");
        assert_eq!(client.machine().address_to_dial(DIAL), Some("proxy.example:3128"));
        let conn = connected(&mut client);
        let request =
            "CONNECT example.org:7 HTTP/1.1\r\nHost: example.org:7\r\nProxy-Authorization: Basic YW5uOnB3\r\n\r\n";
        assert_eq!(client.received(conn), request.as_bytes());
        assert!(log(&client).is_empty(), "it is not open yet");
        // The host speaks first, in the same packet.
        send(&mut client, conn, &[OK, b"welcome\nstranger\n"].concat(), piece);
        assert_eq!(log(&client), ["opened 192.0.2.9:3128", "welcome", "stranger"], "in pieces of {piece}");
        assert_eq!(client.received(conn), [request.as_bytes(), b"hello\n"].concat());
        client.end(conn);
        assert_eq!(log(&client).last(), Some(&"closed peer_closed"));
        let metrics = client.machine().metrics();
        assert_eq!((metrics.opened, metrics.dial_errors, metrics.messages_in), (1, 0, 2));
    }
}

#[test]
fn lines_begin_behind_the_reply_of_a_socks_proxy() {
    for piece in [1, usize::MAX] {
        let mut client = client(proxied(Dial::lines("example.org:7"), SOCKS));
        assert_eq!(client.machine().address_to_dial(DIAL), Some("[2001:db8::7]:9"));
        let conn = connected(&mut client);
        for (answer, sent) in [
            (&[][..], &[5, 2, 0, 2][..]),
            (&[5, 2], b"\x01\x03ann\x02pw"),
            (&[1, 0], b"\x05\x01\x00\x03\x0bexample.org\x00\x07"),
            (&[SOCKS_OK, b"welcome\n"].concat(), b"hello\n"),
        ] {
            send(&mut client, conn, answer, piece);
            assert_eq!(client.received(conn), sent);
            client.clear();
        }
        assert_eq!(log(&client), ["opened 192.0.2.9:3128", "welcome"]);
    }
}

#[test]
fn websocket_behind_a_proxy_has_the_host_of_the_server() {
    let mut client = client(proxied(Dial::websocket("example.org:80", "/chat"), HTTP));
    let conn = connected(&mut client);
    client.clear();
    client.send(conn, OK);
    let request = String::from_utf8(client.received(conn).to_vec()).expect("text");
    assert!(request.starts_with("GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket"), "{request}");
    assert!(!request.contains("Authorization"), "the credentials are for the proxy alone: {request}");
    client.send(conn, b"HTTP/1.1 403 No\r\n\r\n");
    assert_eq!(log(&client), ["failed rejected_403 None"], "the server rejected it, not the proxy");
}

#[test]
fn each_failure_at_the_proxy_has_its_name_and_ends_the_attempt() {
    let reply = |reply: u8| [&[5, 0, 5, reply][..], &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
    let long = [OK.strip_suffix(b"\r\n").expect("it ends so"), b"X: ", &[b'y'; 9_000][..]].concat();
    for (proxy, answer, expected, reason) in [
        (HTTP, b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec(), "proxy_forbidden", Reason::NetworkError),
        (HTTP, b"HTTP/1.0 407 Who?\r\n\r\n".to_vec(), "proxy_credentials_refused", Reason::NetworkError),
        ("p", b"HTTP/1.0 407 Who?\r\n\r\n".to_vec(), "proxy_authentication_required", Reason::NetworkError),
        (HTTP, b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec(), "proxy_target_unreachable", Reason::NetworkError),
        (HTTP, b"HTTP/1.1 400 What?\r\n\r\n".to_vec(), "proxy_rejected_400", Reason::NetworkError),
        (HTTP, b"SSH-2.0-OpenSSH_10\r\n".to_vec(), "not_a_proxy", Reason::WrongProtocol),
        (HTTP, long, "proxy_response_too_long", Reason::WrongProtocol),
        ("socks5://p", reply(2), "proxy_forbidden", Reason::NetworkError),
        ("socks5://p", reply(4), "proxy_target_unreachable", Reason::NetworkError),
        ("socks5://p", reply(5), "proxy_target_refused", Reason::NetworkError),
        ("socks5://p", reply(1), "proxy_general_failure", Reason::NetworkError),
        ("socks5://p", reply(8), "proxy_unsupported", Reason::NetworkError),
        ("socks5://p", vec![5, 0xFF], "proxy_authentication_required", Reason::NetworkError),
        (SOCKS, vec![5, 0xFF], "proxy_credentials_refused", Reason::NetworkError),
        (SOCKS, vec![5, 2, 1, 1], "proxy_credentials_refused", Reason::NetworkError),
        ("socks5://p", b"HTTP/1.1 400 What?\r\n\r\n".to_vec(), "not_a_proxy", Reason::WrongProtocol),
    ] {
        for piece in [1, usize::MAX] {
            let backoff = Some(Backoff::default().jitter_percent(0));
            let mut client = client(proxied(Dial::lines("h:1").backoff(backoff), proxy));
            let conn = connected(&mut client);
            send(&mut client, conn, &answer, piece);
            assert_eq!(log(&client), [format!("failed {expected} Some(1)")], "{proxy} in pieces of {piece}");
            assert!(client.is_closed(conn) && client.ended(reason) == 1, "{expected}");
            assert_eq!(client.machine().metrics().dial_errors, 1);
            // The next attempt asks the proxy again.
            client.advance(Duration::from_secs(1));
            let conn = connected(&mut client);
            assert!(!client.received(conn).is_empty());
        }
    }
}

#[test]
fn proxy_that_closes_resets_or_refuses_fails_the_attempt() {
    for (act, expected) in [(0, "proxy_closed"), (1, "reset"), (2, "refused")] {
        let mut client = client(proxied(Dial::lines("h:1"), HTTP));
        match act {
            0 => {
                let conn = connected(&mut client);
                client.send(conn, b"HTTP/1.1 200 OK\r\n");
                client.end(conn);
            }
            1 => {
                let conn = connected(&mut client);
                client.fail(conn, Failure::Reset);
            }
            _ => client.dial_failed(DIAL, Failure::Refused),
        }
        assert_eq!(log(&client), [format!("failed {expected} None")]);
        assert_eq!(client.machine().recount(), Ok(()));
    }
}

#[test]
fn each_step_has_the_time_limit_of_the_dial() {
    let seconds = Duration::from_secs;
    let moment = Duration::from_nanos(1);
    let dial = || Dial::websocket("h:1", "/").timeout(seconds(10));
    // To connect.
    let mut away = client(proxied(dial(), SOCKS));
    away.advance(seconds(10));
    assert_eq!(log(&away), ["failed timed_out None"]);
    // The answer of the proxy, even if some bytes arrive.
    let mut slow = client(proxied(dial(), SOCKS));
    slow.advance(seconds(9));
    let conn = connected(&mut slow);
    slow.advance(seconds(9));
    slow.send(conn, &[5, 2]);
    slow.advance(seconds(1).checked_sub(moment).expect("longer"));
    assert!(log(&slow).is_empty());
    slow.advance(moment);
    assert_eq!(log(&slow), ["failed proxy_timed_out None"]);
    assert_eq!((slow.is_closed(conn), slow.ended(Reason::NetworkTimeout)), (true, 1));
    // The handshake of the WebSocket.
    let mut late = client(proxied(dial(), "socks5://p"));
    let conn = connected(&mut late);
    late.advance(seconds(9));
    late.send(conn, &[5, 0]);
    late.send(conn, SOCKS_OK);
    late.advance(seconds(10).checked_sub(moment).expect("longer"));
    assert!(log(&late).is_empty());
    late.advance(moment);
    assert_eq!(log(&late), ["failed timed_out None"]);
}

#[test]
fn each_address_of_a_list_is_dialled_through_the_proxy() {
    let mut client = client(proxied(Dial::lines("one:1").others(vec!["two:2".into()]), "http://p:1"));
    for (host, answer) in [("one:1", &b"HTTP/1.1 503 No\r\n\r\n"[..]), ("two:2", OK)] {
        assert_eq!(client.machine().address_to_dial(DIAL), Some("p:1"));
        let conn = connected(&mut client);
        let request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(client.received(conn), request.as_bytes());
        client.send(conn, answer);
        client.advance(Duration::from_nanos(1));
    }
    assert_eq!(log(&client), ["failed proxy_target_unreachable Some(0)", "opened 192.0.2.9:3128"]);
}

#[test]
fn address_without_a_host_cannot_be_dialled_through_a_proxy() {
    for address in ["unix:/run/drupe.sock", "h", "a b:1", "h\r\nX: y:1"] {
        let mut client = client(proxied(Dial::lines(address), HTTP));
        assert_eq!(client.dialed(DIAL, proxy_peer()), None, "{address}");
        assert_eq!(log(&client), ["failed proxy_bad_target None"]);
        assert_eq!(client.machine().metrics().opened, 0);
    }
}

#[test]
fn answer_before_the_request_is_written_fails_as_not_a_proxy() {
    for written in [0, 10] {
        let dial = proxied(Dial::lines("h:1"), "http://p");
        let mut machine = Machine::new(Config::default(), Dialler { dial, log: Vec::new() });
        machine.started(Time::START);
        let conn = machine.dialed(Time::START, DIAL, proxy_peer()).expect("wanted");
        machine.wrote(Time::START, conn, written);
        machine.received(Time::START, conn, &mut OK.to_vec());
        assert_eq!(machine.handler().log, ["failed not_a_proxy None"]);
        assert_eq!(machine.recount(), Ok(()));
    }
}

#[test]
fn cancelled_dial_leaves_nothing_behind() {
    struct Cancelling(Dial);
    impl Handler for Cancelling {
        type Context = ();
        type Note = u8;

        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, u8>) {
            match event {
                Event::Started => drop(hub.dial(self.0.clone())),
                Event::Note(_) => hub.cancel_dial(DIAL),
                _ => panic!("it never opens: {event:?}"),
            }
        }
    }
    let mut hub = TestHub::with_config(Config::default(), Cancelling(proxied(Dial::lines("h:1"), SOCKS)));
    let conn = hub.dialed(DIAL, proxy_peer()).expect("wanted");
    hub.note(1);
    assert!(hub.is_closed(conn) && hub.machine().dials().next().is_none());
    assert_eq!(hub.machine().recount(), Ok(()));
}

#[test]
fn trace_replays_and_has_no_credentials() {
    for (proxy, answers) in [
        (HTTP, vec![[OK, b"welcome\n"].concat()]),
        (HTTP, vec![b"HTTP/1.1 407 Who?\r\n\r\n".to_vec()]),
        (SOCKS, vec![vec![5, 2], vec![1, 0], [SOCKS_OK, b"welcome\n"].concat()]),
    ] {
        let machine = || {
            let dialler = Dialler { dial: proxied(Dial::lines("example.org:7"), proxy), log: Vec::new() };
            Machine::new(Config::default().seed(Some(7)), dialler)
        };
        let trace = SharedTrace::new();
        let mut first = machine();
        first.record(trace.recorder().verbatim());
        first.started(Time::START);
        let conn = first.dialed(Time::from_millis(1), DIAL, proxy_peer()).expect("wanted");
        let mut written = Vec::new();
        let mut write = |machine: &mut Machine<Dialler>, now| {
            while let Some(intent) = machine.intent(conn).filter(|intent| !intent.transmit.is_empty()) {
                let bytes = intent.transmit.first().to_vec();
                machine.wrote(now, conn, bytes.len());
                written.extend(bytes);
            }
        };
        for (mut answer, number) in answers.into_iter().zip(2..) {
            let now = Time::from_millis(number);
            write(&mut first, now);
            first.received(now, conn, &mut answer);
            write(&mut first, now);
        }
        let text = trace.text();
        for secret in ["pw", "YW5uOnB3"] {
            assert!(!text.contains(secret), "{text}");
        }
        let mut again = machine();
        let transcript = replay(&text, &mut again).expect("a good trace");
        assert_eq!(again.handler().log, first.handler().log);
        assert_eq!(transcript.written.get(&conn), Some(&written));
    }
}

#[test]
fn failures_of_proxies_are_parsed_from_traces() {
    for failure in [Failure::Proxy(ProxyFault::Forbidden), Failure::Proxy(ProxyFault::Rejected { status: 418 })] {
        assert_eq!(failure.to_string().parse(), Ok(failure));
    }
    assert_eq!("rejected_418".parse(), Ok(Failure::Rejected { status: 418 }), "that of the server");
}
