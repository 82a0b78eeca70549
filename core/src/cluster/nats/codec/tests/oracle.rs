//! Comparison with another codec, and pieces that are cut anywhere.

use super::{INFO, OpDecoder, decoded};
use crate::cluster::nats::codec::{ServerMessage, ServerOp};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::{BufMut, Bytes};
use proptest::prelude::*;
use watermelon_proto::proto::ServerOp as OtherOp;
use watermelon_proto::proto::StreamDecoder;

fn subject() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_$-]{1,6}(\\.[a-zA-Z0-9_$-]{1,6}){0,3}"
}

fn headers() -> impl Strategy<Value = Bytes> {
    let lines = prop::collection::vec(("[A-Za-z-]{1,8}", "[a-z0-9 ]{0,8}[a-z0-9]"), 0..4);
    (prop::option::of(100..600_u16), lines).prop_map(|(status, lines)| {
        let status = status.map(|status| format!(" {status}")).unwrap_or_default();
        let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Bytes::from(format!("NATS/1.0{status}\r\n{lines}\r\n"))
    })
}

fn message() -> impl Strategy<Value = ServerMessage> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "(\r\n|PING\r\n|MSG a 1 2\r\n){0,3}".prop_map(String::into_bytes),
    ];
    let headers = prop_oneof![Just(Bytes::new()), headers()];
    (subject(), 1..u64::MAX, prop::option::of(subject()), headers, payload).prop_map(
        |(subject, sid, reply, headers, payload)| ServerMessage {
            subject: subject.into(),
            sid,
            reply: reply.map(Bytes::from),
            headers,
            payload: payload.into(),
        },
    )
}

fn op() -> impl Strategy<Value = ServerOp> {
    prop_oneof![
        4 => message().prop_map(ServerOp::Message),
        1 => Just(ServerOp::Ping),
        1 => Just(ServerOp::Pong),
        1 => Just(ServerOp::Ok),
    ]
}

fn written(op: &ServerOp) -> Vec<u8> {
    match op {
        ServerOp::Ping => b"PING\r\n".to_vec(),
        ServerOp::Pong => b"PONG\r\n".to_vec(),
        ServerOp::Ok => b"+OK\r\n".to_vec(),
        ServerOp::Message(message) => {
            let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("text");
            let reply = message.reply.as_ref().map(|reply| format!("{} ", text(reply))).unwrap_or_default();
            let (headers, total) = (message.headers.len(), message.headers.len() + message.payload.len());
            let (name, lengths) =
                if headers == 0 { ("MSG", format!("{total}")) } else { ("HMSG", format!("{headers} {total}")) };
            let line = format!("{name} {} {} {reply}{lengths}\r\n", text(&message.subject), message.sid);
            [line.as_bytes(), &message.headers, &message.payload, b"\r\n"].concat()
        }
        ServerOp::Info(_) | ServerOp::Error(_) => Vec::new(),
    }
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = "(PING|MSG a 1 [0-9]{1,2}|HMSG a 1 1[0-9] 1[0-9]|NATS/1.0|x|\r\n|\r|\n| ){0,12}";
    prop_oneof![prop::collection::vec(any::<u8>(), 0..60), words.prop_map(String::into_bytes)]
}

proptest! {
    #[test]
    fn result_is_that_of_another_codec(ops in prop::collection::vec(op(), 1..6), piece in 1..50_usize) {
        let bytes: Vec<u8> = ops.iter().flat_map(written).collect();
        prop_assert_eq!(decoded(&bytes, piece), Ok(ops.clone()));
        let mut other = StreamDecoder::new();
        other.read_buf().put_slice(&bytes);
        for op in ops {
            let found = other.decode().expect("an operation");
            match (op, found) {
                (ServerOp::Ping, Some(OtherOp::Ping))
                | (ServerOp::Pong, Some(OtherOp::Pong))
                | (ServerOp::Ok, Some(OtherOp::Success)) => {}
                (ServerOp::Message(ours), Some(OtherOp::Message { message })) => {
                    prop_assert_eq!(ours.sid, u64::from(message.subscription_id));
                    prop_assert_eq!(&ours.payload, &message.base.payload);
                    prop_assert_eq!(&*ours.subject, message.base.subject.as_bytes());
                    let reply = message.base.reply_subject.as_ref().map(|reply| reply.as_bytes());
                    prop_assert_eq!(ours.reply.as_deref(), reply);
                    let status = message.status_code.map(u16::from);
                    prop_assert_eq!(crate::cluster::nats::headers::Headers::new(&ours.headers).status(), status);
                }
                (ours, other) => prop_assert!(false, "{:?} {:?}", ours, other),
            }
        }
    }

    #[test]
    fn no_bytes_panic_and_pieces_make_no_difference(
        bytes in any_bytes(),
        piece in 1..20_usize,
    ) {
        let whole = decoded(&bytes, bytes.len() + INFO.len());
        prop_assert_eq!(decoded(&bytes, piece), whole);
        let mut decoder = OpDecoder::default();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next() {}
    }
}
