//! Requests with bodies that the application gets.

use crate::requests_world::{Site, codes, config, send, site, text};
use drupe_core::Reason;
use drupe_core::http::{Authority, Credential, Http};
use drupe_core::limit::{Ladder, Rate};
use drupe_core::testing::TestHub;
use drupe_core::work::steps_of;
use proptest::prelude::*;
use std::time::Duration;

const GET: &str = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";

fn post(fields: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}")
}

#[test]
fn bodies_reach_the_handler_in_any_pieces_and_the_next_request_follows() {
    let hundred = "x".repeat(100);
    for (request, body) in [
        (post("Content-Length: 5", "hello"), "hello"),
        (post("content-length:\t5 ", "hello"), "hello"),
        (post("Content-Length: 5\r\nContent-Length: 5", "hello"), "hello"),
        (post("Content-Length: 4", "\r\n\r\n"), "\\r\\n\\r\\n"),
        (post("Content-Length: 100", &hundred), &hundred),
        (post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), "hello"),
        (post("Transfer-Encoding: CHUNKED", "1;a=b\r\nh\r\n4\r\nello\r\n0\r\nSum: 1\r\n\r\n"), "hello"),
        (post("Transfer-Encoding: chunked", "0\r\n\r\n"), ""),
        (post("Content-Length: 0", ""), ""),
        (post("Accept: */*", ""), ""),
    ] {
        let stream = [&request, GET, &request].concat();
        for piece in [1, 2, 3, 7, stream.len()] {
            let mut hub = site();
            let conn = hub.connect();
            send(&mut hub, conn, stream.as_bytes(), piece);
            let posted = format!("POST /echo {body}");
            let expected = [posted.trim_end(), "GET /echo", posted.trim_end()];
            assert_eq!(hub.handler().seen, expected, "{request:?} by {piece}");
            let answers = text(&hub, conn);
            assert_eq!(codes(&answers), ["200", "200", "200"], "{answers}");
            assert!(!hub.is_closed(conn) && answers.contains("\r\nConnection: keep-alive\r\n"), "{answers}");
            assert_eq!(hub.machine().metrics().requests_page, 3);
        }
    }
}

#[test]
fn http_1_0_request_may_have_a_body_with_a_length() {
    let mut hub = site();
    let conn = hub.connect();
    hub.send(conn, b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi");
    let answer = text(&hub, conn);
    assert!(codes(&answer) == ["200"] && answer.ends_with("\r\n\r\nhi"), "{answer}");
    hub.end(conn);
    assert!(hub.is_closed(conn) && answer.contains("\r\nConnection: close\r\n"), "{answer}");
}

#[test]
fn unanswered_request_with_a_body_is_refused_and_keeps_the_connection() {
    let mut hub = site();
    let conn = hub.connect();
    hub.send(conn, format!("POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi{GET}").as_bytes());
    assert_eq!(hub.handler().seen, ["POST /none hi", "405 use GET, HEAD or OPTIONS", "GET /echo"]);
    assert_eq!(codes(&text(&hub, conn)), ["405", "200"]);
}

#[test]
fn client_that_expects_it_gets_100_continue_before_its_body() {
    let mut hub = site();
    let conn = hub.connect();
    for body in ["hello", "again"] {
        hub.clear();
        hub.send(conn, post("Content-Length: 5\r\nExpect: 100-Continue", "").as_bytes());
        assert_eq!(text(&hub, conn), "HTTP/1.1 100 Continue\r\n\r\n");
        hub.send(conn, body.as_bytes());
        let answer = text(&hub, conn);
        assert!(codes(&answer) == ["100", "200"] && answer.ends_with(body), "{answer}");
    }
    hub.clear();
    hub.send(conn, post("Content-Length: 0\r\nExpect: 100-continue", "").as_bytes());
    assert_eq!(codes(&text(&hub, conn)), ["200"], "nothing is to be continued");
}

#[test]
fn refusal_comes_instead_of_100_continue() {
    let credential = Credential::new("0123456789abcdef").expect("long enough");
    let hosts: Vec<Authority> = vec!["x".parse().expect("a name")];
    let http = Http::default().body_max_bytes(100).monitor(Some(credential)).hosts(hosts);
    for (request, expected) in [
        (post("Content-Length: 101\r\nExpect: 100-continue", ""), "413"),
        (post("Content-Length: 5\r\nExpect: more", ""), "417"),
        (post("Content-Length: 5\r\nExpect: 100-continue, more", ""), "417"),
        (post("Transfer-Encoding: gzip\r\nExpect: 100-continue", ""), "501"),
        (post("Content-Length: 5\r\nExpect: 100-continue", "").replace("/echo", "/monitor"), "401"),
        (post("Content-Length: 5\r\nExpect: 100-continue", "").replace("Host: x", "Host: y"), "421"),
        // The server's own paths take no body.
        (post("Content-Length: 5\r\nExpect: 100-continue", "").replace("POST /echo", "GET /healthz"), "413"),
        (post("Transfer-Encoding: chunked", "").replace("POST /echo", "OPTIONS /echo"), "413"),
        (post("Content-Length: 5\r\nUpgrade: websocket\r\nConnection: Upgrade", ""), "413"),
    ] {
        let mut hub = TestHub::with_config(config(http.clone()), Site::default());
        let conn = hub.connect();
        hub.send(conn, request.as_bytes());
        hub.send(conn, GET.as_bytes());
        hub.end(conn);
        let answer = text(&hub, conn);
        assert!(codes(&answer) == [expected] && answer.contains("\r\nConnection: close\r\n"), "{request}: {answer}");
        assert!(hub.is_closed(conn) && hub.handler().seen.iter().all(|seen| !seen.contains("/echo")));
    }
}

#[test]
fn body_beyond_the_limit_is_refused_with_the_limit() {
    let chunks = format!("64\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(100));
    for request in [
        post("Content-Length: 101", ""),
        post("Content-Length: 99999999999999999999999999", ""),
        post("Transfer-Encoding: chunked", "65\r\n"),
        post("Transfer-Encoding: chunked", "ffffffff\r\n"),
        post("Transfer-Encoding: chunked", &chunks),
    ] {
        for piece in [1, request.len()] {
            let mut hub = site();
            let conn = hub.connect();
            send(&mut hub, conn, request.as_bytes(), piece);
            let answer = text(&hub, conn);
            assert!(
                answer.starts_with("HTTP/1.1 413 Content Too Large\r\n")
                    && answer.contains("\r\nConnection: close\r\n")
                    && answer.ends_with("\r\n\r\nthe request body is too long: at most 100 bytes\n"),
                "{answer}"
            );
            assert_eq!(hub.handler().seen, ["413 the request body is too long"]);
            assert_eq!(hub.machine().metrics().requests_refused.get(Reason::BadRequest), 1);
        }
    }
    let mut hub = TestHub::with_config(config(Http::default().body_max_bytes(u32::MAX)), Site::default());
    let conn = hub.connect();
    hub.send(conn, post("Content-Length: 16777217", "").as_bytes());
    assert!(text(&hub, conn).ends_with("at most 16777216 bytes\n"), "there is a highest limit");
}

#[test]
fn without_the_option_bodies_are_refused_as_before() {
    for (fields, expected) in [
        ("Content-Length: 1", "413"),
        ("Transfer-Encoding: chunked", "501"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", "400"),
        ("Content-Length: 0", "200"),
        ("Expect: anything", "200"),
    ] {
        let mut hub = TestHub::with_config(config(Http::default()), Site::default());
        let conn = hub.connect();
        hub.send(conn, post(fields, "").as_bytes());
        let answer = text(&hub, conn);
        assert_eq!(codes(&answer), [expected], "{fields}");
        assert_eq!(answer.ends_with("\r\n\r\nrequest bodies are not supported\n"), answer.contains("supported"));
    }
}

#[test]
fn body_must_arrive_in_time() {
    let begun = post("Transfer-Encoding: chunked", "5\r\nhel");
    let mut hub = site();
    let conn = hub.connect();
    hub.send(conn, begun.as_bytes());
    hub.advance(Duration::from_millis(9_990));
    assert_eq!(text(&hub, conn), "");
    hub.advance(Duration::from_millis(20));
    assert_eq!(codes(&text(&hub, conn)), ["408"]);
    assert_eq!((hub.ended(Reason::MessageTimeout), hub.handler().seen.len()), (1, 0));
    // Each 16 KiB of content give one second more, and framing gives none. Nothing serves `/none`.
    let http = Http::default().body_max_bytes(1 << 20);
    for (size, extension, expected) in
        [(16 << 10, "", "405"), (15 << 10, "", "405"), (8 << 10, "", "408"), (1, ";more=y", "408")]
    {
        let mut hub = TestHub::with_config(config(http.clone()), Site::default());
        let conn = hub.connect();
        hub.send(conn, post("Transfer-Encoding: chunked", "").replace("/echo", "/none").as_bytes());
        for _ in 0..60 {
            hub.send(conn, format!("{size:x}{extension}\r\n{}\r\n", "x".repeat(size)).as_bytes());
            hub.advance(Duration::from_secs(1));
        }
        hub.send(conn, b"0\r\n\r\n");
        assert_eq!(codes(&text(&hub, conn)), [expected], "{size} bytes per second");
    }
}

#[test]
fn end_of_input_within_a_body_ends_the_connection() {
    let mut hub = site();
    let conn = hub.connect();
    hub.send(conn, post("Content-Length: 5", "hell").as_bytes());
    hub.end(conn);
    assert!(hub.is_closed(conn) && hub.handler().seen.is_empty() && text(&hub, conn).is_empty());
    assert_eq!(hub.ended(Reason::PeerClosed), 1);
}

#[test]
fn body_counts_against_the_rate_of_bytes() {
    let mut limited = config(Http::default().body_max_bytes(10_000));
    limited.peer.rates.bytes = Rate::new(1_000, 1_000).ok();
    let slow = "x".repeat(5_000);
    // Paused, and not taken for slow: the pause is longer than the time limit of a body.
    let mut hub = TestHub::with_config(limited.clone(), Site::default());
    let conn = hub.connect();
    for piece in post("Content-Length: 5000", &slow).as_bytes().chunks(500) {
        while !hub.machine().intent(conn).expect("it is there").read {
            hub.advance(Duration::from_millis(100));
        }
        hub.send(conn, piece);
    }
    hub.advance(Duration::from_secs(20));
    assert_eq!(codes(&text(&hub, conn)), ["200"]);
    assert!(hub.now().as_nanos() > 3_000_000_000, "it took its time: {:?}", hub.now());
    // Dropped requests with a body close the connection: their bodies are no requests.
    limited.peer.rates.ladder = Ladder::default().warn(None).pause(None).drop(Some(1));
    for pieces in [1, 5] {
        let mut hub = TestHub::with_config(limited.clone(), Site::default());
        let conn = hub.connect();
        let smuggled = GET.repeat(200);
        let stream = post(&format!("Content-Length: {}", smuggled.len()), &smuggled);
        send(&mut hub, conn, stream.as_bytes(), stream.len() / pieces);
        hub.end(conn);
        assert_eq!(codes(&text(&hub, conn)), ["429"]);
        assert!(hub.is_closed(conn) && hub.handler().seen.is_empty(), "{:?}", hub.handler().seen);
        assert_eq!(hub.ended(Reason::RateLimited), 1);
    }
}

#[test]
fn body_in_single_bytes_costs_bounded_work_per_byte() {
    let chunks = "1;x=y\r\nh\r\n".repeat(90);
    let stream = post("Transfer-Encoding: chunked", &format!("{chunks}0\r\nA: b\r\n\r\n"));
    let mut hub = site();
    let conn = hub.connect();
    let ((), whole) = steps_of(|| send(&mut hub, conn, stream.as_bytes(), 1));
    assert_eq!(hub.handler().seen.len(), 1);
    assert!(whole <= 60 * stream.len() as u64, "{whole} steps for {} bytes", stream.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_chunking_of_any_body_is_the_same_request(
        body in prop::collection::vec(any::<u8>(), 0..100),
        sizes in prop::collection::vec(1..40_usize, 1..10),
        pieces in prop::collection::vec(1..60_usize, 1..10),
        declared in any::<bool>(),
    ) {
        let mut stream = post(&format!("Content-Length: {}", body.len()), "").into_bytes();
        if declared {
            stream.extend_from_slice(&body);
        } else {
            stream = post("Transfer-Encoding: chunked", "").into_bytes();
            let (mut rest, mut sizes) = (&body[..], sizes.iter().cycle());
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at(rest.len().min(*sizes.next().expect("some")));
                stream.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                stream.extend_from_slice(chunk);
                stream.extend_from_slice(b"\r\n");
                rest = behind;
            }
            stream.extend_from_slice(b"0\r\n\r\n");
        }
        stream.extend_from_slice(GET.as_bytes());
        let mut hub = site();
        let conn = hub.connect();
        let (mut rest, mut pieces) = (&stream[..], pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(*pieces.next().expect("some")));
            hub.send(conn, piece);
            rest = behind;
        }
        let expected = format!("POST /echo {}", body.escape_ascii());
        // The handler of this test trims the end.
        prop_assert_eq!(&hub.handler().seen, &[expected.trim_end(), "GET /echo"]);
    }
}
