use super::{OpDecoder, decoded, message};
use crate::cluster::nats::codec::{NatsError, ServerOp, write};
use alloc::vec::Vec;
use bytes::Bytes;

#[test]
fn operations_are_decoded_in_pieces_of_any_length() {
    let text = b"PING\r\nPONG\r\n+OK\r\n-ERR 'Authorization Violation'\r\nINFO {\"a\":1}\r\n\
        MSG a.b 7 3\r\nx\r\n\r\nMSG a 1 reply.to 0\r\n\r\nHMSG a 2 12 14\r\nNATS/1.0\r\n\r\nhi\r\n\
        HMSG a 2 r 16 16\r\nNATS/1.0 503\r\n\r\n\r\nMSG\ta  1   2\r\nok\r\n";
    let expected = [
        ServerOp::Ping,
        ServerOp::Pong,
        ServerOp::Ok,
        ServerOp::Error("Authorization Violation".into()),
        ServerOp::Info(Bytes::from_static(b" {\"a\":1}")),
        message("a.b", 7, None, b"", b"x\r\n"),
        message("a", 1, Some("reply.to"), b"", b""),
        message("a", 2, None, b"NATS/1.0\r\n\r\n", b"hi"),
        message("a", 2, Some("r"), b"NATS/1.0 503\r\n\r\n", b""),
        message("a", 1, None, b"", b"ok"),
    ];
    for piece in 1..text.len() {
        assert_eq!(decoded(text, piece).as_deref(), Ok(&expected[..]), "{piece}");
    }
}

#[test]
fn errors_lose_control_characters() {
    let ops = decoded(b"-ERR 'a\x1b[2Jb'\r\n-ERR\r\n-ERR 'it''s \xff'\r\n", 100);
    let texts = ["a[2Jb", "", "it''s \u{fffd}"].map(|text| ServerOp::Error(text.into()));
    assert_eq!(ops.as_deref(), Ok(&texts[..]));
}

#[test]
fn other_bytes_are_refused_with_an_error_of_their_own() {
    for (bytes, expected) in [
        (&b"ping\r\n"[..], NatsError::UnknownOperation),
        (b"PUB a 0\r\n", NatsError::UnknownOperation),
        (b"\r\n", NatsError::UnknownOperation),
        (b"PING\n", NatsError::LoneLineEnd),
        (b"PING\rx", NatsError::LoneLineEnd),
        (b"MSG a 1\r\n", NatsError::WordCount { words: 2 }),
        (b"MSG a 1 r 2 3\r\n", NatsError::WordCount { words: 5 }),
        (b"HMSG a 1 2\r\n", NatsError::WordCount { words: 3 }),
        (b"HMSG a b c d e f g h i j\r\n", NatsError::WordCount { words: 10 }),
        (b"MSG a x 0\r\n", NatsError::BadNumber),
        (b"MSG a 1 -1\r\n", NatsError::BadNumber),
        (b"MSG a 1 +1\r\n", NatsError::BadNumber),
        (b"MSG a 1 0x1\r\n", NatsError::BadNumber),
        (b"MSG a 1 99999999999999999999\r\n", NatsError::BadNumber),
        (b"MSG a 1 18446744073709551615\r\n", NatsError::MessageTooLong { bytes: usize::MAX, max: 8 << 20 }),
        (b"HMSG a 1 13 12\r\n", NatsError::HeadersBeyondMessage { headers: 13, total: 12 }),
        (b"HMSG a 1 0 1\r\n", NatsError::BadHeaders),
        (b"MSG a 1 1\r\nxy\r\n", NatsError::NoMessageEnd),
        (b"MSG a 1 1\r\nx\n", NatsError::NoMessageEnd),
        (b"HMSG a 1 4 4\r\n\r\n\r\n\r\n", NatsError::BadHeaders),
        (b"HMSG a 1 10 10\r\nNATS/1.0\r\n\r\n", NatsError::BadHeaders),
    ] {
        for piece in [1, 2, 1_000] {
            assert_eq!(decoded(bytes, piece), Err(expected.clone()), "{:?}", Bytes::from_static(bytes));
        }
    }
}

#[test]
fn strangers_are_known_by_their_first_bytes() {
    for (bytes, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], NatsError::NotNats),
        (b"SSH-2.0-OpenSSH_9.2\r\n", NatsError::NotNats),
        (b"-ERR unknown command\r\n", NatsError::NotNats),
        (b"+OK POP3 ready\r\n", NatsError::NotNats),
        (b"220 mail ESMTP\r\n", NatsError::NotNats),
        (b"PING\r\n", NatsError::NotNats),
        (b"info {}\r\n", NatsError::NotNats),
        (b"INFORMATION\r\n", NatsError::NotNats),
        (b"I\r\n", NatsError::NotNats),
        (b"\0", NatsError::NotNats),
        (b"\x15\x03\x03\0\x02\x02\x28", NatsError::Tls),
        (b"\x16\x03\x01", NatsError::Tls),
    ] {
        let mut decoder = OpDecoder::default();
        let at = bytes.iter().position(|byte| {
            decoder.push(&[*byte]);
            decoder.next().is_err()
        });
        // No stranger is listened to for longer than the word INFO.
        assert!(at.is_some_and(|at| at < 5), "{bytes:?} {at:?}");
        assert_eq!((decoder.next(), decoder.held()), (Err(expected), 0), "{bytes:?}");
    }
}

#[test]
fn nothing_is_decoded_after_a_fault() {
    let mut decoder = OpDecoder::default();
    decoder.push(b"INFO {}\r\nbad\r\nPING\r\n");
    assert!(matches!(decoder.next(), Ok(Some(ServerOp::Info(_)))));
    for _ in 0..2 {
        assert_eq!(decoder.next(), Err(NatsError::UnknownOperation));
        decoder.push(b"PING\r\n");
        assert_eq!(decoder.held(), 0);
    }
}

#[test]
fn what_is_sent_has_the_form_of_the_protocol() {
    let mut out = Vec::new();
    write::connect(&mut out, "{}");
    write::ping(&mut out);
    write::pong(&mut out);
    write::subscribe(&mut out, "a.*", 3);
    write::unsubscribe(&mut out, 3);
    write::publish(&mut out, "a", "", b"", b"xy");
    write::publish(&mut out, "a", "r", b"", b"");
    write::publish(&mut out, "a", "r", b"NATS/1.0\r\n\r\n", b"xy");
    let expected = "CONNECT {}\r\nPING\r\nPONG\r\nSUB a.* 3\r\nUNSUB 3\r\nPUB a 2\r\nxy\r\nPUB a r 0\r\n\r\n\
        HPUB a r 12 14\r\nNATS/1.0\r\n\r\nxy\r\n";
    assert_eq!(core::str::from_utf8(&out), Ok(expected));
}
