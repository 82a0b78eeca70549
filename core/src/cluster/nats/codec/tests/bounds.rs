use super::{INFO, OpDecoder};
use crate::cluster::nats::codec::bounds::{HEADERS_MAX, INFO_MAX, LINE_MAX, MESSAGE_MAX};
use crate::cluster::nats::codec::{NatsError, ServerOp};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// Pushes bytes until there is an operation or an error.
fn pushed(decoder: &mut OpDecoder, bytes: &[u8]) -> Result<Option<ServerOp>, NatsError> {
    for piece in bytes.chunks(4_096) {
        decoder.push(piece);
        if let Some(op) = decoder.next()? {
            return Ok(Some(op));
        }
    }
    Ok(None)
}

fn begun() -> OpDecoder {
    let mut decoder = OpDecoder::default();
    assert!(matches!(pushed(&mut decoder, INFO), Ok(Some(ServerOp::Info(_)))));
    decoder
}

#[test]
fn lines_have_a_bound_of_their_own() {
    let info = |length: usize| [b"INFO ", &vec![b'x'; length - 5][..], b"\r\n"].concat();
    assert!(matches!(pushed(&mut OpDecoder::default(), &info(INFO_MAX)), Ok(Some(ServerOp::Info(_)))));
    let too_long = pushed(&mut OpDecoder::default(), &info(INFO_MAX + 1));
    assert_eq!(too_long, Err(NatsError::InfoTooLong { max: INFO_MAX }));
    // A line without an end is not kept for longer either.
    let endless = pushed(&mut OpDecoder::default(), &info(1 << 20)[..1 << 20]);
    assert_eq!(endless, Err(NatsError::InfoTooLong { max: INFO_MAX }));
    let error = |length: usize| [b"-ERR ", &vec![b'x'; length - 5][..], b"\r\n"].concat();
    assert!(matches!(pushed(&mut begun(), &error(LINE_MAX)), Ok(Some(ServerOp::Error(_)))));
    assert_eq!(pushed(&mut begun(), &error(LINE_MAX + 1)), Err(NatsError::LineTooLong { max: LINE_MAX }));
    let message = [b"MSG ", &vec![b'x'; LINE_MAX][..]].concat();
    assert_eq!(pushed(&mut begun(), &message), Err(NatsError::LineTooLong { max: LINE_MAX }));
}

#[test]
fn declared_lengths_are_checked_before_anything_is_kept() {
    for (line, expected) in [
        (
            format!("MSG a 1 {}\r\n", MESSAGE_MAX + 1),
            NatsError::MessageTooLong { bytes: MESSAGE_MAX + 1, max: MESSAGE_MAX },
        ),
        (
            format!("HMSG a 1 {} {MESSAGE_MAX}\r\n", HEADERS_MAX + 1),
            NatsError::HeadersTooLong { bytes: HEADERS_MAX + 1, max: HEADERS_MAX },
        ),
    ] {
        let mut decoder = begun();
        assert_eq!(pushed(&mut decoder, line.as_bytes()), Err(expected));
        assert_eq!(decoder.held(), 0);
    }
    let mut decoder = begun();
    assert_eq!(pushed(&mut decoder, format!("MSG a 1 {MESSAGE_MAX}\r\n").as_bytes()), Ok(None));
    assert_eq!(decoder.held(), 0);
}

#[test]
fn longest_message_is_accepted_and_its_memory_is_freed() {
    let payload = vec![b'x'; MESSAGE_MAX];
    let bytes = [format!("MSG a 1 {MESSAGE_MAX}\r\n").as_bytes(), &payload, b"\r\n"].concat();
    let mut decoder = begun();
    let Ok(Some(ServerOp::Message(message))) = pushed(&mut decoder, &bytes) else { panic!("no message") };
    assert_eq!((message.payload.len(), decoder.held()), (MESSAGE_MAX, 0));
}

#[test]
fn bytes_that_nobody_takes_end_the_link() {
    let mut decoder = begun();
    let many: Vec<u8> = b"PING\r\n".repeat(400_000);
    for _ in 0..5 {
        decoder.push(&many);
    }
    let max = MESSAGE_MAX + LINE_MAX + 2;
    assert_eq!((decoder.next(), decoder.held()), (Err(NatsError::NotRead { max }), 0));
}
