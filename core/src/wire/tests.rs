use super::*;
use crate::wire::MessageSize;
use alloc::string::String;
use alloc::vec;
use core::time::Duration;
use proptest::prelude::*;

fn budget(max: u64) -> Budget {
    Budget {
        message_max_bytes: MessageSize::new(max).expect("in range"),
        message_deadline: Duration::MAX,
        messages_per_turn: 1,
    }
}

fn lines(invalid_utf8: InvalidUtf8) -> Wire {
    Wire::Lines(Lines { ending: LineEnding::Lf, invalid_utf8 })
}

fn frames(prefix: LengthPrefix) -> Wire {
    Wire::LengthPrefixed(LengthPrefixed { prefix })
}

fn encode(wire: Wire, message: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    Encoder::default().encode(wire.encoding(), Payload::Binary(message), out)
}

/// The result of decoding a stream: its messages, and how it ended.
type Outcome = (Vec<Vec<u8>>, Result<(), DecodeError>);

/// Decodes a stream in pieces of the given lengths, which are repeated.
fn feed(wire: Wire, max: u64, stream: &[u8], pieces: &[usize]) -> Outcome {
    let (mut decoder, mut buffer, budget) = (wire.decoder(), DecodeBuffer::default(), budget(max));
    let (mut messages, mut from) = (Vec::new(), 0);
    for &piece in pieces.iter().cycle() {
        if from == stream.len() {
            break;
        }
        let mut input = stream[from..(from + piece.max(1)).min(stream.len())].to_vec();
        from += input.len();
        let mut at = 0;
        while at < input.len() {
            match decoder.decode(&mut input[at..], &mut buffer, &budget) {
                Ok(decoded) => {
                    assert!(decoded.used > 0, "no progress");
                    at += decoded.used;
                    messages.extend(decoded.message().map(|payload| payload.as_bytes().to_vec()));
                }
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    match decoder.finish(&mut buffer, &budget) {
        Ok(message) => {
            messages.extend(message.map(|payload| payload.as_bytes().to_vec()));
            (messages, Ok(()))
        }
        Err(error) => (messages, Err(error)),
    }
}

/// Splits a complete stream into lines, as a reference implementation.
fn naive_lines(max: usize, policy: InvalidUtf8, stream: &[u8]) -> Outcome {
    let (mut messages, mut line) = (Vec::new(), Vec::new());
    let accept = |line: &[u8]| -> Result<Vec<u8>, DecodeError> {
        if line.len() > max {
            return Err(DecodeError::TooLarge { max });
        }
        match (policy, core::str::from_utf8(line)) {
            (InvalidUtf8::Bytes, _) | (_, Ok(_)) => Ok(line.to_vec()),
            (InvalidUtf8::Reject, Err(error)) => Err(DecodeError::InvalidUtf8 { valid_up_to: error.valid_up_to() }),
            (InvalidUtf8::Replace, Err(_)) => {
                let text = String::from_utf8_lossy(line).into_owned();
                if text.len() > max { Err(DecodeError::TooLarge { max }) } else { Ok(text.into_bytes()) }
            }
        }
    };
    for &byte in stream {
        let after_cr = line.last() == Some(&b'\r');
        if byte == b'\n' || byte == 0 && after_cr {
            line.truncate(line.len() - usize::from(after_cr));
            match accept(&line) {
                Ok(message) => messages.push(message),
                Err(error) => return (messages, Err(error)),
            }
            line.clear();
            continue;
        }
        line.push(byte);
        if line.len() > max + usize::from(byte == b'\r') {
            return (messages, Err(DecodeError::TooLarge { max }));
        }
    }
    let rest = line.strip_suffix(b"\r").unwrap_or(&line);
    if line.is_empty() {
        return (messages, Ok(()));
    }
    match accept(rest) {
        Ok(message) => messages.push(message),
        Err(error) => return (messages, Err(error)),
    }
    (messages, Ok(()))
}

/// Generates bytes in which line ends, NULs and invalid UTF-8 are common.
fn tricky_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => "[a-z]{0,9}".prop_map(String::into_bytes),
        4 => prop::sample::select(vec![&b"\n"[..], b"\r\n", b"\r\0", b"\r", b"\0", b"\n\r", b"\r\r\n"]).prop_map(<[u8]>::to_vec),
        2 => prop::sample::select(vec!["ü", "漢", "👩"]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec![&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"]).prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), Just(vec![usize::MAX >> 1]), prop::collection::vec(1..9usize, 1..6)]
}

fn policies() -> impl Strategy<Value = InvalidUtf8> {
    prop_oneof![Just(InvalidUtf8::Reject), Just(InvalidUtf8::Replace), Just(InvalidUtf8::Bytes)]
}

/// Returns `true` if two outcomes have the same messages and the same reason for failure.
///
/// The split of the input decides how early an error is detected, but not its reason.
fn same_end(split: &Outcome, whole: &Outcome) -> bool {
    let (Err(split_error), Err(whole_error)) = (&split.1, &whole.1) else { return split == whole };
    split.0 == whole.0 && split_error.reason() == whole_error.reason()
}

proptest! {
    #[test]
    fn line_decoding_agrees_with_naive_cut_for_any_split(
        stream in tricky_bytes(), pieces in pieces(), policy in policies(), max in 1..60u64
    ) {
        let split = feed(lines(policy), max, &stream, &pieces);
        let naive = naive_lines(usize::try_from(max).expect("small"), policy, &stream);
        prop_assert!(same_end(&split, &naive), "{:?} but naively {:?}", split, naive);
    }

    #[test]
    fn length_prefixed_messages_round_trip(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
        pieces in pieces(), prefix in prop::sample::select(LengthPrefix::ALL.to_vec())
    ) {
        let wire = frames(prefix);
        let mut stream = Vec::new();
        for message in &messages {
            encode(wire, message, &mut stream).expect("at most 200 bytes");
        }
        prop_assert_eq!(feed(wire, 200, &stream, &pieces), (messages, Ok(())));
    }

    #[test]
    fn frame_decoding_does_not_depend_on_the_split(
        stream in prop::collection::vec(prop_oneof![0..4u8, any::<u8>()], 0..80),
        pieces in pieces(), prefix in prop::sample::select(LengthPrefix::ALL.to_vec()), max in 1..40u64
    ) {
        prop_assert_eq!(feed(frames(prefix), max, &stream, &pieces), feed(frames(prefix), max, &stream, &[stream.len()]));
    }
}

#[test]
fn message_size_limit_is_exact() {
    for pieces in [&[1][..], &[100]] {
        assert_eq!(feed(lines(InvalidUtf8::Reject), 5, b"12345\r\n", pieces), (vec![b"12345".to_vec()], Ok(())));
        assert_eq!(
            feed(lines(InvalidUtf8::Reject), 5, b"123456\n", pieces),
            (vec![], Err(DecodeError::TooLarge { max: 5 }))
        );
        assert_eq!(feed(frames(LengthPrefix::U8), 5, b"\x0512345", pieces), (vec![b"12345".to_vec()], Ok(())));
        assert_eq!(
            feed(frames(LengthPrefix::U8), 5, b"\x06123456", pieces),
            (vec![], Err(DecodeError::TooLarge { max: 5 }))
        );
    }
}

#[test]
fn hostile_lengths_are_refused_before_the_payload() {
    let too_large = Err(DecodeError::TooLarge { max: 100 });
    for (prefix, stream, end) in [
        (LengthPrefix::U32Be, &[0xff; 4][..], too_large),
        (LengthPrefix::U32Le, &[0xff; 4], too_large),
        (LengthPrefix::U64Be, &[0xff; 8], too_large),
        (LengthPrefix::U64Be, &[0x80, 0, 0, 0, 0, 0, 0, 0], too_large),
        (LengthPrefix::U64Le, &[0, 0, 0, 0, 0, 0, 0, 0x80], too_large),
        (LengthPrefix::Varint, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], too_large),
        (
            LengthPrefix::Varint,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            Err(DecodeError::LengthOverflow),
        ),
        (LengthPrefix::Varint, &[0x80; 10], Err(DecodeError::LengthOverflow)),
        (LengthPrefix::Varint, &[0x80; 9], Err(DecodeError::Truncated)),
        (LengthPrefix::U16Be, &[0], Err(DecodeError::Truncated)),
        (LengthPrefix::U16Be, &[0, 2, 1], Err(DecodeError::Truncated)),
    ] {
        for pieces in [&[1][..], &[100]] {
            assert_eq!(feed(frames(prefix), 100, stream, pieces), (vec![], end), "{prefix:?} {stream:?}");
        }
    }
}

#[test]
fn length_prefixes_are_encoded_per_their_standards() {
    for (prefix, expected) in [
        (LengthPrefix::U16Be, &[1, 44][..]),
        (LengthPrefix::U16Le, &[44, 1]),
        (LengthPrefix::U32Be, &[0, 0, 1, 44]),
        (LengthPrefix::U32Le, &[44, 1, 0, 0]),
        (LengthPrefix::U64Be, &[0, 0, 0, 0, 0, 0, 1, 44]),
        (LengthPrefix::U64Le, &[44, 1, 0, 0, 0, 0, 0, 0]),
        (LengthPrefix::Varint, &[0xac, 0x02]),
    ] {
        let mut out = Vec::new();
        encode(frames(prefix), &[7; 300], &mut out).expect("fits");
        assert_eq!(&out[..out.len() - 300], expected, "{prefix:?}");
    }
    let mut out = b"before".to_vec();
    let refused = encode(frames(LengthPrefix::U8), &[7; 300], &mut out);
    assert_eq!((refused, &out[..]), (Err(EncodeError::TooLong { bytes: 300, max: 255 }), &b"before"[..]));
}

#[test]
fn invalid_utf8_error_gives_its_offset() {
    let (_, end) = feed(lines(InvalidUtf8::Reject), 100, b"fine\nab\xffcd\n", &[3]);
    assert_eq!(end, Err(DecodeError::InvalidUtf8 { valid_up_to: 2 }));
}
