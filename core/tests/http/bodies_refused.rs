//! Request smuggling (RFC 9112 section 11.2): requests that two parsers could understand differently.

use crate::requests_world::{codes, send, site, text};

/// What an attacker wants to be taken for a request.
const SMUGGLED: &str = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn ambiguous_framing_is_refused_and_nothing_behind_it_is_served() {
    let chunked = "Transfer-Encoding: chunked";
    for (name, fields, body, expected) in [
        ("CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG", "400"),
        ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 3", "8\r\nSMUGGLED\r\n0\r\n\r\n", "400"),
        ("CL.CL", "Content-Length: 5\r\nContent-Length: 6", "hello", "400"),
        ("CL.CL in a list", "Content-Length: 5, 6", "hello", "400"),
        ("CL twice in a list", "Content-Length: 5, 5", "hello", "400"),
        ("CL with a sign", "Content-Length: +5", "hello", "400"),
        ("CL with a blank within", "Content-Length: 5 0", "hello", "400"),
        ("CL with a blank before the colon", "Content-Length : 5", "hello", "400"),
        ("TE with a blank before the colon", "Transfer-Encoding : chunked", "0\r\n\r\n", "400"),
        ("TE with a tab before the colon", "Transfer-Encoding\t: chunked", "0\r\n\r\n", "400"),
        ("a folded TE", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n", "400"),
        ("a folded CL", "Content-Length: 1\r\n 0", "hello", "400"),
        ("a field before TE that is folded into it", "X: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n", "400"),
        ("TE.TE", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n", "400"),
        ("TE.TE, one hidden", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "0\r\n\r\n", "400"),
        ("chunked twice", "Transfer-Encoding: chunked, chunked", "0\r\n\r\n", "501"),
        ("another coding", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n", "501"),
        ("chunked is not last", "Transfer-Encoding: chunked, identity", "0\r\n\r\n", "501"),
        ("not quite chunked", "Transfer-Encoding: xchunked", "0\r\n\r\n", "501"),
        ("chunked in quotes", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n", "501"),
        ("TE behind a bare LF", "X: y\nTransfer-Encoding: chunked", "0\r\n\r\n", "400"),
        ("TE behind a bare CR", "X: y\rTransfer-Encoding: chunked", "0\r\n\r\n", "400"),
        ("a NUL", "Transfer-Encoding: chunked\0", "0\r\n\r\n", "400"),
        ("a vertical tab", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n", "400"),
        ("bare LF behind a size", chunked, "5\nhello\r\n0\r\n\r\n", "400"),
        ("bare LF behind a chunk", chunked, "5\r\nhello\n0\r\n\r\n", "400"),
        ("bare LF behind an extension", chunked, "5;x\nhello\r\n0\r\n\r\n", "400"),
        ("bare CR behind a size", chunked, "5\rhello\r\n0\r\n\r\n", "400"),
        ("a chunk longer than its size", chunked, "4\r\nhello\r\n0\r\n\r\n", "400"),
        ("a size with a prefix", chunked, "0x5\r\nhello\r\n0\r\n\r\n", "400"),
        ("a size with a blank", chunked, "5 \r\nhello\r\n0\r\n\r\n", "400"),
        ("a size that overflows", chunked, "100000005\r\nhello\r\n0\r\n\r\n", "400"),
        ("an empty size", chunked, "\r\nhello\r\n0\r\n\r\n", "400"),
        ("a folded trailer", chunked, "0\r\nA: b\r\n c\r\n\r\n", "400"),
        ("bare LF at the end", chunked, "0\r\n\n", "400"),
    ] {
        let stream = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}{SMUGGLED}");
        for piece in [1, 2, 5, stream.len()] {
            let mut hub = site();
            let conn = hub.connect();
            send(&mut hub, conn, stream.as_bytes(), piece);
            hub.end(conn);
            let answer = text(&hub, conn);
            assert!(codes(&answer) == [expected] && answer.contains("\r\nConnection: close\r\n"), "{name}: {answer}");
            assert!(hub.is_closed(conn), "{name} by {piece}");
            let seen = &hub.handler().seen;
            assert!(seen.len() == 1 && seen[0].starts_with(expected), "{name} by {piece}: {seen:?}");
        }
    }
}

#[test]
fn chunked_request_of_http_1_0_is_refused() {
    let mut hub = site();
    let conn = hub.connect();
    hub.send(conn, b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(hub.handler().seen, ["400 Transfer-Encoding needs HTTP/1.1"]);
}

#[test]
fn trailer_does_not_change_the_next_request() {
    let mut hub = site();
    let conn = hub.connect();
    let trailers = "0\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let stream = format!("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{trailers}{SMUGGLED}");
    hub.send(conn, stream.as_bytes());
    assert_eq!(hub.handler().seen, ["POST /echo", "GET /echo"]);
    assert!(!hub.is_closed(conn));
}
