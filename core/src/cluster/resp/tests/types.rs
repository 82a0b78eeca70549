//! Each type of reply, and what no reply may be.

use super::super::bounds::REPLY_MAX;
use super::*;
use std::vec;

/// Returns what these bytes are, without a bound that matters.
fn only(stream: &[u8]) -> Result<Reply, RespError> {
    let (mut replies, fault) = decode_any_split(REPLY_MAX, stream);
    match fault {
        Some(fault) => Err(fault),
        None if replies.len() == 1 => Ok(replies.remove(0)),
        None => panic!("{} replies", replies.len()),
    }
}

#[test]
fn each_type_is_decoded() {
    let error = |text: &str| Reply::Error(ServerError::new(text.as_bytes()));
    let number = |digits: &str| Reply::BigNumber(digits.to_string().into());
    for (stream, expected) in [
        ("+OK\r\n", text("OK")),
        ("+\r\n", text("")),
        ("$2\r\nhi\r\n", text("hi")),
        ("$0\r\n\r\n", text("")),
        ("$4\r\n\r\n\r\n\r\n", text("\r\n\r\n")),
        ("=8\r\ntxt:text\r\n", text("text")),
        ("=4\r\nmkd:\r\n", text("")),
        ("-ERR no\r\n", error("ERR no")),
        ("!8\r\nERR a\r\nb\r\n", error("ERR a\r\nb")),
        ("!0\r\n\r\n", error("")),
        (":0\r\n", Reply::Number(0)),
        (":+5\r\n", Reply::Number(5)),
        (":-9223372036854775808\r\n", Reply::Number(i64::MIN)),
        (":9223372036854775807\r\n", Reply::Number(i64::MAX)),
        (",1.5\r\n", Reply::Double(1.5)),
        (",-1e300\r\n", Reply::Double(-1e300)),
        (",10\r\n", Reply::Double(10.0)),
        (",inf\r\n", Reply::Double(f64::INFINITY)),
        (",-inf\r\n", Reply::Double(f64::NEG_INFINITY)),
        ("#t\r\n", Reply::Bool(true)),
        ("#f\r\n", Reply::Bool(false)),
        ("_\r\n", Reply::Null),
        ("$-1\r\n", Reply::Null),
        ("*-1\r\n", Reply::Null),
        ("(-3492890328409238509324850943850943825024385\r\n", number("-3492890328409238509324850943850943825024385")),
        ("*0\r\n", Reply::List(vec![])),
        ("~2\r\n+a\r\n:1\r\n", Reply::List(vec![text("a"), Reply::Number(1)])),
        ("*2\r\n*1\r\n_\r\n*0\r\n", Reply::List(vec![Reply::List(vec![Reply::Null]), Reply::List(vec![])])),
        ("%1\r\n+a\r\n%0\r\n", Reply::Map(vec![(text("a"), Reply::Map(vec![]))])),
        (">2\r\n+message\r\n+a\r\n", Reply::Push(vec![text("message"), text("a")])),
        ("*2\r\n-OOM x\r\n+a\r\n", Reply::List(vec![error("OOM x"), text("a")])),
    ] {
        assert_eq!(only(stream.as_bytes()), Ok(expected), "{stream:?}");
    }
    let Ok(Reply::Double(number)) = only(b",-nan\r\n") else { panic!("a double") };
    assert!(number.is_nan());
}

#[test]
fn attributes_are_dropped_wherever_they_are() {
    for (stream, expected) in [
        ("|1\r\n+ttl\r\n:3\r\n+OK\r\n", text("OK")),
        ("|0\r\n+OK\r\n", text("OK")),
        ("|1\r\n+a\r\n*2\r\n:1\r\n:2\r\n|1\r\n+b\r\n_\r\n:5\r\n", Reply::Number(5)),
        ("*2\r\n|1\r\n+a\r\n:1\r\n+x\r\n|0\r\n+y\r\n", Reply::List(vec![text("x"), text("y")])),
        ("%1\r\n|0\r\n+k\r\n|1\r\n|0\r\n+a\r\n:1\r\n+v\r\n", Reply::Map(vec![(text("k"), text("v"))])),
        ("|1\r\n+a\r\n:1\r\n>1\r\n+x\r\n", Reply::Push(vec![text("x")])),
    ] {
        assert_eq!(only(stream.as_bytes()), Ok(expected), "{stream:?}");
    }
    // An attribute alone is no reply.
    assert_eq!(decode_any_split(REPLY_MAX, b"|1\r\n+a\r\n:1\r\n"), (vec![], None));
}

#[test]
fn replies_and_pushes_come_in_the_order_of_the_wire() {
    let (replies, fault) = decode_any_split(REPLY_MAX, b"+OK\r\n>1\r\n+p\r\n:1\r\n$1\r\na");
    assert_eq!((replies, fault), (vec![text("OK"), Reply::Push(vec![text("p")]), Reply::Number(1)], None));
}

#[test]
fn peer_that_does_not_speak_the_protocol_is_named() {
    for (stream, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "the peer does not speak the Redis protocol: it sent 'H' first"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the peer does not speak the Redis protocol: it sent 'S' first"),
        (b"\0\0\0", "the peer does not speak the Redis protocol: it sent 0x00 first"),
        (b"\r\n", "the peer does not speak the Redis protocol: it sent 0x0d first"),
        (b"\x15\x03\x01\0\x02\x02\x0a", "the peer answered with TLS: this port takes only TLS connections"),
        (b"+OK\r\nHTTP", "the peer sent a reply of the unknown type 'H'"),
        (b"*1\r\n\xff", "the peer sent a reply of the unknown type 0xff"),
        (b"|0\r\n\x15", "the peer sent a reply of the unknown type 0x15"),
    ] {
        let (_, fault) = decode_any_split(REPLY_MAX, stream);
        assert_eq!(fault.map(|fault| fault.to_string()).as_deref(), Some(expected), "{stream:?}");
    }
}

#[test]
fn malformed_replies_are_refused() {
    let byte = TypeByte;
    for (stream, expected) in [
        ("$?\r\n;1\r\na\r\n;0\r\n", RespError::Streamed(byte(b'$'))),
        ("*?\r\n", RespError::Streamed(byte(b'*'))),
        ("~?\r\n", RespError::Streamed(byte(b'~'))),
        ("%?\r\n", RespError::Streamed(byte(b'%'))),
        (">?\r\n", RespError::Streamed(byte(b'>'))),
        ("|?\r\n", RespError::Streamed(byte(b'|'))),
        ("!?\r\n", RespError::Streamed(byte(b'!'))),
        ("=?\r\n", RespError::Streamed(byte(b'='))),
        (";1\r\na\r\n", RespError::Streamed(byte(b';'))),
        (".\r\n", RespError::Streamed(byte(b'.'))),
        ("*1\r\n>0\r\n", RespError::MisplacedPush),
        ("|1\r\n+a\r\n>0\r\n", RespError::MisplacedPush),
        ("$+1\r\na\r\n", RespError::BadLength(byte(b'$'))),
        ("$ 1\r\na\r\n", RespError::BadLength(byte(b'$'))),
        ("$1 \r\na\r\n", RespError::BadLength(byte(b'$'))),
        ("$\r\n\r\n", RespError::BadLength(byte(b'$'))),
        ("$-2\r\n", RespError::BadLength(byte(b'$'))),
        ("$-0\r\n\r\n", RespError::BadLength(byte(b'$'))),
        ("$0x1\r\na\r\n", RespError::BadLength(byte(b'$'))),
        ("*+1\r\n", RespError::BadLength(byte(b'*'))),
        ("%1.0\r\n", RespError::BadLength(byte(b'%'))),
        ("~-1\r\n", RespError::NullNotAllowed(byte(b'~'))),
        ("%-1\r\n", RespError::NullNotAllowed(byte(b'%'))),
        (">-1\r\n", RespError::NullNotAllowed(byte(b'>'))),
        ("|-1\r\n", RespError::NullNotAllowed(byte(b'|'))),
        ("!-1\r\n", RespError::NullNotAllowed(byte(b'!'))),
        ("=-1\r\n", RespError::NullNotAllowed(byte(b'='))),
        ("+OK\n", RespError::LoneLineEnd(byte(b'+'))),
        ("+O\rK\r\n", RespError::LoneLineEnd(byte(b'+'))),
        ("+O\nK\r\n", RespError::LoneLineEnd(byte(b'+'))),
        ("+OK\r\r\n", RespError::LoneLineEnd(byte(b'+'))),
        ("$1\na\r\n", RespError::LoneLineEnd(byte(b'$'))),
        ("$1\r\nab\r\n", RespError::MissingLineEnd(byte(b'$'))),
        ("$1\r\na\n\n", RespError::MissingLineEnd(byte(b'$'))),
        ("!1\r\nab\r\n", RespError::MissingLineEnd(byte(b'!'))),
        ("=4\r\ntxt:a\r\n", RespError::MissingLineEnd(byte(b'='))),
        ("=3\r\ntxt\r\n", RespError::Malformed),
        ("=5\r\ntext:\r\n", RespError::Malformed),
        ("=5\r\nabcde\r\n", RespError::Malformed),
        (":\r\n", RespError::Malformed),
        (":1.0\r\n", RespError::Malformed),
        (": 1\r\n", RespError::Malformed),
        (":9223372036854775808\r\n", RespError::IntegerTooLarge),
        (",\r\n", RespError::Malformed),
        (",one\r\n", RespError::Malformed),
        ("(1.5\r\n", RespError::Malformed),
        ("(\r\n", RespError::Malformed),
        ("#\r\n", RespError::BadBoolean),
        ("#true\r\n", RespError::BadBoolean),
        ("_x\r\n", RespError::Malformed),
        ("*1\r\n|1\r\n:x\r\n:1\r\n+a\r\n", RespError::Malformed),
    ] {
        let (replies, fault) = decode_any_split(REPLY_MAX, stream.as_bytes());
        assert_eq!((replies, fault), (vec![], Some(expected)), "{stream:?}");
    }
}

#[test]
fn fault_is_final() {
    let mut decoder = ReplyDecoder::new(100);
    decoder.push(b"+a\r\n?");
    assert_eq!(decoder.next(), Ok(Some(text("a"))));
    let fault = Err(RespError::UnknownType(TypeByte(b'?')));
    assert_eq!(decoder.next(), fault);
    decoder.push(b"+OK\r\n");
    assert_eq!((decoder.next(), decoder.held()), (fault, 0));
}

#[test]
fn helpers_read_replies() {
    assert_eq!(text("17").as_number(), Some(17));
    assert_eq!(text("-17").as_number(), Some(-17));
    assert_eq!(text("9223372036854775808").as_number(), None);
    assert_eq!(Reply::Text(bytes::Bytes::from_static(b"\xff")).as_number(), None);
    assert_eq!(Reply::Number(3).as_number(), Some(3));
    assert_eq!(Reply::Null.as_number(), None);
    assert_eq!(text("a").as_bytes().map(AsRef::as_ref), Some(&b"a"[..]));
    assert_eq!(Reply::Number(3).as_bytes(), None);
    assert_eq!(Reply::List(vec![Reply::Null]).into_list(), Some(vec![Reply::Null]));
    assert_eq!(Reply::Push(vec![]).into_list(), None);
}
