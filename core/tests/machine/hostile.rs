//! Hostile input on TCP, HTTP and WebSocket, against the whole machine.
//!
//! Each hostile peer ends with one named reason, however its input is split. It costs its neighbour
//! nothing and leaves nothing behind.

use drupe_core::app::Echo;
use drupe_core::limit::{MessageSize, Rate};
use drupe_core::testing::TestHub;
use drupe_core::websocket::{Opcode, frame};
use drupe_core::{Config, ConnId, Failure, Listen, Reason};
use std::time::Duration;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const MAX: u64 = 1000;

/// How the attacker's connection went.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// What it ended with; `None` if it is open.
    reason: Option<Reason>,
    /// What it was sent.
    heard: Vec<u8>,
}

impl Outcome {
    /// The code of the close frame, which is the last thing that is sent.
    fn close_code(&self) -> Option<u16> {
        let name = self.reason?.name().as_bytes();
        let words = self.heard.strip_suffix(name)?;
        let (rest, code) = words.split_at_checked(words.len().checked_sub(2)?)?;
        assert_eq!(rest[rest.len() - 2..], [0x88, u8::try_from(name.len() + 2).expect("short")]);
        Some(u16::from_be_bytes([code[0], code[1]]))
    }

    fn status(&self) -> String {
        String::from_utf8_lossy(&self.heard).split(' ').nth(1).unwrap_or("nothing").to_owned()
    }
}

fn config(listen: &str) -> Config {
    let listen: Listen = listen.parse().expect("well formed");
    let mut config = Config::listening([listen, "tcp://127.0.0.1:0".parse().expect("well formed")]);
    config.peer.budget.message_max_bytes = MessageSize::new(MAX).expect("in range");
    config
}

/// What comes of a stream, whole and in pieces, beside a neighbour.
fn attack(listen: &str, stream: &[u8]) -> Outcome {
    attack_with(&config(listen), stream, |_, _| {})
}

fn attack_with(config: &Config, stream: &[u8], then: impl Fn(&mut TestHub<Echo>, ConnId)) -> Outcome {
    let outcomes = [1_000_000, 4096, 1].map(|size| {
        let mut hub = TestHub::with_config(config.clone(), Echo);
        let attacker = hub.connect();
        let neighbour = hub
            .try_connect(drupe_core::ListenerId::new(1), "192.0.2.9:9".parse().expect("an address"))
            .expect("let in");
        // A byte at a time only where that does not take all day.
        let size = if stream.len() > 50_000 { size.max(4096) } else { size };
        for piece in stream.chunks(size) {
            if hub.is_closed(attacker) {
                break;
            }
            hub.send(attacker, piece);
        }
        then(&mut hub, attacker);
        hub.line(neighbour, "are you there?");
        assert_eq!(hub.lines(neighbour), ["are you there?"], "the neighbour is served");
        let metrics = hub.machine().metrics();
        let reason = Reason::ALL.iter().copied().find(|&reason| hub.ended(reason) > 0);
        assert!(metrics.ended.total() <= 1, "one reason");
        hub.end(attacker);
        hub.advance(Duration::from_secs(60));
        assert!(reason.is_none() || hub.is_closed(attacker));
        assert_eq!(hub.machine().metrics().queued_bytes, 0, "nothing is left behind");
        Outcome { reason, heard: hub.received(attacker).to_vec() }
    });
    let [whole, pieces, bytes] = outcomes;
    assert_eq!((whole.reason, whole.close_code()), (pieces.reason, pieces.close_code()));
    assert_eq!((whole.reason, whole.close_code()), (bytes.reason, bytes.close_code()));
    whole
}

/// What comes of frames behind the handshake: the reason and the close code.
fn frames(frames: &[u8]) -> (Option<Reason>, Option<u16>) {
    let outcome = attack("ws://127.0.0.1:0", &[UPGRADE.as_bytes(), b"\r\n", frames].concat());
    assert_eq!(outcome.status(), "101");
    (outcome.reason, outcome.close_code())
}

/// The status that answers a request, which ends the connection.
fn request(text: &str) -> String {
    let outcome = attack("ws://127.0.0.1:0", text.as_bytes());
    assert!(outcome.reason.is_some(), "{text:?}");
    outcome.status()
}

fn upgrade_with(fields: &str) -> String {
    request(&format!("{UPGRADE}{fields}\r\n"))
}

/// A frame as a client sends it.
fn masked(first: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame(Opcode::Binary, content, Some([0x5a, 0, 0xff, 7]), &mut out);
    out[0] = first;
    out
}

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

#[test]
fn oversized_lines_and_lengths_are_refused_before_buffering() {
    let endless = attack("tcp://127.0.0.1:0", &[b'x'; 5000]);
    assert_eq!(endless.reason, Some(Reason::MessageTooLarge));
    for (prefix, claim) in [
        ("u32be", &u32::MAX.to_be_bytes()[..]),
        ("u64be", &u64::MAX.to_be_bytes()),
        ("u64be", &(1_u64 << 63).to_be_bytes()),
        ("u16be", &1001_u16.to_be_bytes()),
        ("varint", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ] {
        let claimed = attack(&format!("length://127.0.0.1:0?prefix={prefix}"), claim);
        assert_eq!(claimed.reason, Some(Reason::MessageTooLarge), "{prefix} {claim:?}");
    }
    let exact = [&1000_u16.to_be_bytes()[..], &[b'x'; 1000]].concat();
    let fits = attack("length://127.0.0.1:0?prefix=u16be", &exact);
    assert_eq!((fits.reason, fits.heard), (None, exact));
}

#[test]
fn empty_messages_and_control_frames_count_in_the_rate() {
    let mut config = config("length://127.0.0.1:0?prefix=u8");
    let rate = Rate::new(10, 10);
    config.peer.rates.messages = Some(rate.expect("in range"));
    let outcome = attack_with(&config, &[0; 1000], |hub, attacker| {
        assert!(hub.received(attacker).len() <= 100, "{}", hub.received(attacker).len());
        assert!(hub.machine().metrics().rate_exceeded > 0);
    });
    assert_eq!(outcome.reason, None, "it is slowed and waits");
    // Control frames of WebSocket, answered or not, cost the same.
    config.listeners[0] = "ws://127.0.0.1:0".parse().expect("well formed");
    for kind in [PING, PONG] {
        let flood = [UPGRADE.as_bytes(), b"\r\n", &masked(kind, b"x").repeat(500)].concat();
        attack_with(&config, &flood, |hub, attacker| {
            assert!(hub.machine().metrics().rate_exceeded > 0);
            let pongs = hub.received(attacker).windows(3).filter(|bytes| bytes == b"\x8a\x01x").count();
            // Of many at once the last is answered (RFC 6455 section 5.5.3).
            assert!((kind == PONG || pongs > 0) && pongs <= 20, "{pongs}");
        });
    }
}

#[test]
fn slow_message_times_out_as_a_whole() {
    for (listen, stream) in [
        ("tcp://127.0.0.1:0", b"never a line".to_vec()),
        ("length://127.0.0.1:0?prefix=u8", b"\x10never".to_vec()),
        ("ws://127.0.0.1:0", [UPGRADE.as_bytes(), b"\r\n\x01\x90\0\0\0\0slow"].concat()),
    ] {
        let outcome = attack_with(&config(listen), &stream, |hub, attacker| {
            for _ in 0..100 {
                hub.advance(Duration::from_secs(1));
                hub.send(attacker, b"");
            }
        });
        assert_eq!(outcome.reason, Some(Reason::MessageTimeout), "{listen}");
    }
    // A head a byte at a time meets the deadline of the handshake.
    let outcome = attack_with(&config("ws://127.0.0.1:0"), b"GET / HTTP/1.1\r\nHost: ", |hub, attacker| {
        for _ in 0..100 {
            hub.advance(Duration::from_secs(1));
            hub.send(attacker, b"x");
        }
    });
    assert_eq!((outcome.reason, outcome.status().as_str()), (Some(Reason::MessageTimeout), "408"));
}

#[test]
fn reset_at_any_point_ends_the_connection_once() {
    for stream in [
        &b""[..],
        b"GET / HT",
        UPGRADE.as_bytes(),
        &[UPGRADE.as_bytes(), b"\r\n"].concat(),
        &[UPGRADE.as_bytes(), b"\r\n\x81"].concat(),
        &[UPGRADE.as_bytes(), b"\r\n\x01\x80\0\0\0\0"].concat(),
    ] {
        let outcome = attack_with(&config("ws://127.0.0.1:0"), stream, |hub, attacker| {
            hub.fail(attacker, Failure::Reset);
            hub.fail(attacker, Failure::Reset);
            hub.send(attacker, b"more");
        });
        assert_eq!(outcome.reason, Some(Reason::Reset));
    }
    // After the end there is nothing to reset.
    let closed = [UPGRADE.as_bytes(), b"\r\n", &masked(CLOSE, b"\x03\xe8")].concat();
    let outcome = attack_with(&config("ws://127.0.0.1:0"), &closed, |hub, attacker| hub.fail(attacker, Failure::Reset));
    assert_eq!(outcome.reason, Some(Reason::PeerClosed));
}

#[test]
fn request_heads_are_bounded_and_unambiguous() {
    assert_eq!(request(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(10_000_000))), "431");
    assert_eq!(request(&format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(100_000))), "431");
    assert_eq!(request(&format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(65_536))), "431");
    for (text, status) in [
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "501"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "413"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "413"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 5\r\n\r\n", "400"),
        ("GET / HTTP/1.1\nHost: x\n\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505"),
    ] {
        assert_eq!(request(text), status, "{text:?}");
    }
    // What is no path of ours is not there, whatever it tries to be.
    for path in ["/../etc/passwd", "/%2e%2e/%00", "/%zz", "//healthz", "/healthz/..", "/healthz%20"] {
        let outcome = attack("ws://127.0.0.1:0", format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        assert_eq!(outcome.status(), "404", "{path}");
    }
}

#[test]
fn upgrade_checks_every_field() {
    let change = |old: &str, new: &str| {
        let changed = UPGRADE.replacen(old, new, 1);
        assert_ne!(changed, UPGRADE, "{old}");
        request(&format!("{changed}\r\n"))
    };
    for key in ["", "Sec-WebSocket-Key: c2hvcnQ=\r\n", "Sec-WebSocket-Key: ***\r\n", &KEY.repeat(2)] {
        assert_eq!(change(KEY, key), "400", "{key}");
    }
    assert_eq!(change(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ==\r\n"), "400");
    assert_eq!(change("Version: 13", "Version: 8"), "426");
    assert_eq!(change("Connection: Upgrade", "Connection: close"), "400");
    for accepted in ["Connection: upgrade", "Connection: keep-alive\r\nConnection: UPGRADE"] {
        let changed = UPGRADE.replacen("Connection: Upgrade", accepted, 1);
        assert_eq!(attack("ws://127.0.0.1:0", format!("{changed}\r\n").as_bytes()).status(), "101", "{accepted}");
    }
    // It does not ask for WebSocket: it asks for the page, as HTTP/1.1.
    let other = UPGRADE.replacen("Upgrade: websocket", "Upgrade: h2c", 1);
    assert_eq!(attack("ws://127.0.0.1:0", format!("{other}\r\n").as_bytes()).status(), "200");
    for origin in
        ["null", "http://evil.example", "http://example.org.evil", "http://exampleXorg", "http://example.org:81"]
    {
        assert_eq!(upgrade_with(&format!("Origin: {origin}\r\n")), "403", "{origin}");
    }
    for origin in ["http://example.org", "HTTP://EXAMPLE.ORG", "http://example.org:80"] {
        let text = format!("{UPGRADE}Origin: {origin}\r\n\r\n");
        assert_eq!(attack("ws://127.0.0.1:0", text.as_bytes()).status(), "101", "{origin}");
    }
    // The name of another alphabet is compared as the browser sends it, and as nothing else.
    let text = format!("{UPGRADE}Origin: http://xn--bcher-kva.example\r\n\r\n");
    let listed = |origins: &str| attack(&format!("ws://127.0.0.1:0?origins={origins}"), text.as_bytes()).status();
    assert_eq!(listed("http://xn--bcher-kva.example"), "101");
    let error = "ws://127.0.0.1:0?origins=http://bücher.example".parse::<Listen>().expect_err("it never matches");
    assert!(error.to_string().contains("in ASCII (xn--...)"), "{error}");
    // A second upgrade is the beginning of a frame, and a bad one.
    assert_eq!(frames(UPGRADE.as_bytes()), (Some(Reason::MalformedFrame), Some(1002)));
}

#[test]
fn invalid_frames_close_with_their_close_code() {
    let broken = (Some(Reason::MalformedFrame), Some(1002));
    let too_large = (Some(Reason::MessageTooLarge), Some(1009));
    let mut cases = vec![
        ("not masked", b"\x81\x02hi".to_vec()),
        ("a reserved bit", masked(0x91, b"x")),
        ("another", masked(0xa1, b"x")),
        ("compressed though nothing was agreed on", masked(0xc1, b"x")),
        ("two bytes of length for less", b"\x81\xfe\0\x05\0\0\0\0hello".to_vec()),
        ("eight bytes of length for less", b"\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0".to_vec()),
        ("the top bit of the length", b"\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        ("a long ping", masked(PING, &[0; 126])),
        ("a ping in pieces", masked(0x09, b"x")),
        ("a close in pieces", masked(0x08, b"")),
        ("more of nothing", masked(ENDS, b"x")),
        ("a message in a message", [masked(TEXT_BEGINS, b"a"), masked(TEXT, b"b")].concat()),
        ("a million empty pieces", [masked(TEXT_BEGINS, b""), masked(GOES_ON, b"").repeat(100_000)].concat()),
        ("a close of one byte", masked(CLOSE, b"\x03")),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push(("a reserved opcode", masked(0x80 | opcode, b"")));
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        cases.push(("a code that may not be sent", masked(CLOSE, &code.to_be_bytes())));
    }
    for (what, stream) in cases {
        assert_eq!(frames(&stream), broken, "{what}");
    }
    assert_eq!(frames(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"), too_large, "the longest length");
    assert_eq!(frames(&masked(0x82, &[0; 1001])), too_large);
    assert_eq!(frames(&[masked(0x02, &[0; 600]), masked(ENDS, &[0; 600])].concat()), too_large);
    assert_eq!(frames(&masked(0x82, &[0; 1000])), (None, None));
    let invalid = (Some(Reason::InvalidUtf8), Some(1007));
    assert_eq!(frames(&masked(CLOSE, b"\x03\xe8\xff")), invalid);
    // At once, and not when the message is complete.
    assert_eq!(frames(&masked(TEXT_BEGINS, b"caf\xe9 ")), invalid);
    assert_eq!(frames(&masked(TEXT, b"\xed\xa0\x80")), invalid, "a surrogate");
    assert_eq!(frames(&masked(TEXT, b"\xc0\xaf")), invalid, "overlong");
    assert_eq!(frames(&masked(TEXT, b"caf\xc3")), invalid, "the end of a message is no place to stop");
}

#[test]
fn fragmented_text_may_split_inside_a_character() {
    let text = "grüße, 漢字, 👩";
    let echo = [&[0x81, u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    for at in 0..=text.len() {
        let (first, last) = text.as_bytes().split_at(at);
        let stream = [masked(TEXT_BEGINS, first), masked(PING, b"!"), masked(ENDS, last)].concat();
        let outcome = attack("ws://127.0.0.1:0", &[UPGRADE.as_bytes(), b"\r\n", &stream].concat());
        let expected = [b"\x8a\x01!", &echo[..]].concat();
        let heard = outcome.heard.windows(expected.len()).any(|bytes| bytes == expected);
        assert!(heard, "{:?}", String::from_utf8_lossy(&outcome.heard));
    }
}

#[test]
fn frames_after_close_are_ignored_and_the_wait_is_bounded() {
    let late = [masked(CLOSE, b"\x03\xe8bye"), masked(TEXT, b"late")].concat();
    let outcome = attack("ws://127.0.0.1:0", &[UPGRADE.as_bytes(), b"\r\n", &late].concat());
    assert_eq!(outcome.reason, Some(Reason::PeerClosed));
    assert!(outcome.heard.ends_with(b"\r\n\r\n\x88\x02\x03\xe8"), "the code is sent back, and nothing is echoed");
    // Nobody is waited for longer than a while.
    let mut hub = TestHub::with_config(config("ws://127.0.0.1:0"), Echo);
    let conn = hub.connect();
    hub.send(conn, format!("{UPGRADE}\r\n").as_bytes());
    // It does not even take the close.
    hub.set_writable(conn, 0);
    hub.command(&drupe_core::Command::Kick { conn });
    assert_eq!(hub.machine().metrics().closing, 1);
    hub.advance(Duration::from_secs(30));
    assert_eq!(hub.machine().metrics().closing, 0);
}

#[test]
fn compression_bombs_and_bad_deflate_are_refused() {
    let agreed = format!("{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; 1 << 24], 9);
    let garbage = [0x07, 0xff, 0xff];
    let (whole, cut) =
        (masked(0xc2, &bomb[..900]), [masked(0x42, &bomb[..400]), masked(ENDS, &bomb[400..900])].concat());
    for (stream, reason, code) in [
        (whole, Reason::MessageTooLarge, 1009),
        (cut, Reason::MessageTooLarge, 1009),
        (masked(0xc2, &garbage), Reason::MalformedFrame, 1002),
        ([masked(0x42, b"x"), masked(0xc0, b"x")].concat(), Reason::MalformedFrame, 1002),
        (masked(0xc9, b"x"), Reason::MalformedFrame, 1002),
    ] {
        let outcome = attack("ws://127.0.0.1:0", &[agreed.as_bytes(), &stream].concat());
        assert_eq!((outcome.reason, outcome.close_code()), (Some(reason), Some(code)));
    }
    // An offer that can't be met is declined, and the next one is looked at.
    for offer in ["; server_max_window_bits=7", "; server_max_window_bits=9; server_max_window_bits=9", "; zip=best"] {
        let text = format!("{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate{offer}\r\n\r\n");
        let heard = attack("ws://127.0.0.1:0", text.as_bytes()).heard;
        assert!(!String::from_utf8_lossy(&heard).contains("Extensions"), "{offer}");
    }
}

#[test]
fn other_protocols_are_refused_as_wrong_protocol() {
    for (hello, heard) in [
        (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &b"HTTP/1.1 400"[..]),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"\x15\x03\x03\0\x02\x02\x28"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400"),
        (b"\xff\xfb\x1f\xff\xfb\x20", b"HTTP/1.1 400"),
    ] {
        let outcome = attack("ws://127.0.0.1:0", hello);
        assert_eq!(outcome.reason, Some(Reason::WrongProtocol));
        assert!(outcome.heard.starts_with(heard), "{hello:?}");
    }
}
