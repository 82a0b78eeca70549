use super::deflate::{Deflater, Inflater};
use super::*;
use crate::base::{Payload, Reason};
use crate::wire::{Budget, MessageSize};
use crate::wire::{DecodeBuffer, DecodeError, Encoder, Item, Wire};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const SERVER: WebSocket = WebSocket { role: Role::Server, deflate: None, ping: None };
const CLIENT: WebSocket = WebSocket { role: Role::Client, deflate: None, ping: None };

fn deflating(role: Role) -> WebSocket {
    let (deflate, _) =
        Deflate::accept(["permessage-deflate; server_max_window_bits=12"].into_iter()).expect("an acceptable offer");
    WebSocket { role, deflate: Some(deflate), ping: None }
}

/// The result of decoding a stream: its messages, the answers to it, and how it ended.
type Outcome = (Vec<String>, Vec<u8>, Result<(), DecodeError>);

fn feed(socket: WebSocket, max: u64, stream: &[u8], pieces: &[usize]) -> Outcome {
    let budget = Budget { message_max_bytes: MessageSize::new(max).expect("in range"), ..Budget::default() };
    let (mut decoder, mut buffer) = (WebSocketDecoder::new(socket), DecodeBuffer::default());
    let (mut told, mut sent, mut from) = (vec![], vec![], 0);
    for &piece in pieces.iter().cycle() {
        if from == stream.len() {
            break;
        }
        let mut input = stream[from..(from + piece.max(1)).min(stream.len())].to_vec();
        from += input.len();
        let mut at = 0;
        while at < input.len() || decoder.is_ahead() {
            let was_ahead = decoder.is_ahead();
            let decoded = decoder.decode(&mut input[at..], &mut buffer, &budget);
            tell(&decoded, &mut told);
            match decoded {
                Ok(decoded) => {
                    assert!(decoded.used > 0 || was_ahead, "no progress");
                    at += decoded.used;
                }
                Err(error) => return (told, sent, Err(error)),
            }
            let replies = decoder.replies().unwrap_or_default();
            sent.extend([replies.control, replies.output].concat());
        }
    }
    (told, sent, decoder.finish())
}

fn tell(decoded: &Result<crate::wire::Decoded<'_>, DecodeError>, told: &mut Vec<String>) {
    match decoded.as_ref().ok().and_then(|decoded| decoded.item) {
        Some(Item::Message(payload)) => told.push(format!("{payload:?}")),
        Some(other) => told.push(format!("{other:?}")),
        None => {}
    }
}

/// Inflates the content of a message in as many turns as necessary.
fn inflated(content: &[u8], max: usize) -> Result<Vec<u8>, DecodeError> {
    let mut out = vec![];
    let (_, mut rest) = Inflater::default().begin(content, &mut out, max)?;
    while let Some(mut inflating) = rest.take() {
        match inflating.go_on(max)? {
            (_, Some(whole)) => out = whole,
            (_, None) => rest = Some(inflating),
        }
    }
    Ok(out)
}

/// Returns a client's frame whose first byte is `first`.
fn masked(first: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    frame(Opcode::Binary, content, Some([1, 2, 3, 4]), &mut bytes);
    bytes[0] = first;
    bytes
}

#[test]
fn websocket_refuses_each_protocol_violation() {
    let long = [&[0x82, 0xff][..], &(1u64 << 63).to_be_bytes(), &[0; 4]].concat();
    let claims = [&[0x82, 0xff][..], &(1u64 << 62).to_be_bytes(), &[0; 4]].concat();
    let frame_error = "malformed_frame";
    for (stream, reason) in [
        (vec![0x81, 0x01, b'x'], frame_error),
        (masked(0xc1, b"x"), frame_error),
        (masked(0xa1, b"x"), frame_error),
        (masked(0x91, b"x"), frame_error),
        (masked(0x83, b"x"), frame_error),
        (masked(0x8b, b"x"), frame_error),
        (masked(0x80, b"x"), frame_error),
        (masked(0x00, b"x"), frame_error),
        ([masked(0x01, b"x"), masked(0x81, b"y")].concat(), frame_error),
        (masked(0x09, b"ping"), frame_error),
        (masked(0x89, &[0; 126]), frame_error),
        (masked(0x88, b"x"), frame_error),
        (masked(0x88, &1005u16.to_be_bytes()), frame_error),
        (masked(0x88, &1006u16.to_be_bytes()), frame_error),
        (masked(0x88, &2999u16.to_be_bytes()), frame_error),
        (masked(0x88, &5000u16.to_be_bytes()), frame_error),
        (masked(0x88, b"\x03\xe8\xff"), "invalid_utf8"),
        (masked(0x81, b"\xff"), "invalid_utf8"),
        (masked(0x81, b"\xc3"), "invalid_utf8"),
        ([masked(0x01, b"\xc3"), masked(0x80, b"x")].concat(), "invalid_utf8"),
        (masked(0x82, &[0; 101]), "message_too_large"),
        ([masked(0x02, &[0; 60]), masked(0x80, &[0; 60])].concat(), "message_too_large"),
        (claims, "message_too_large"),
        (long, frame_error),
        // Lengths that are not written in the shortest form.
        ([&[0x82, 0xfe, 0, 125, 0, 0, 0, 0][..], &[0; 125]].concat(), frame_error),
        ([&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0][..], &[0; 1]].concat(), frame_error),
        ([masked(0x01, b""), masked(0x00, b"").repeat(1_024)].concat(), frame_error),
        (masked(0x82, b"x")[..6].to_vec(), "peer_closed"),
    ] {
        for pieces in [1, 3, 1000] {
            let (told, _, end) = feed(SERVER, 100, &stream, &[pieces]);
            assert_eq!(end.map_err(|error| error.reason().name()), Err(reason), "{stream:?} by {pieces}: {told:?}");
        }
    }
    assert_eq!(
        feed(CLIENT, 100, &masked(0x81, b"x"), &[100]).2.map_err(DecodeError::reason),
        Err(Reason::MalformedFrame)
    );
    // The invalid byte is detected when it arrives, although the frame is incomplete.
    let begun = &masked(0x81, b"ab\xffcdefgh")[..9];
    assert!(matches!(feed(SERVER, 100, begun, &[1]).2, Err(DecodeError::InvalidUtf8 { .. })));
}

#[test]
fn control_frames_between_fragments_are_answered() {
    let stream = [
        masked(0x01, b"gr\xc3"),
        masked(0x89, b"are you there"),
        masked(0x8a, b"unasked"),
        masked(0x00, b""),
        masked(0x80, b"\xbcn"),
        masked(0x81, b""),
        masked(0x88, b"\x03\xe8bye"),
        masked(0x81, b"too late"),
    ]
    .concat();
    for pieces in [1, 2, 7, 1000] {
        let (told, sent, end) = feed(SERVER, 100, &stream, &[pieces]);
        assert_eq!(told, ["Text(\"grün\")", "Text(\"\")", "Closed(Some(CloseCode(1000)))"], "by {pieces}");
        assert_eq!(sent, [&b"\x8a\x0dare you there"[..], b"\x88\x02\x03\xe8"].concat(), "by {pieces}");
        assert_eq!(end, Ok(()));
    }
}

#[test]
fn frame_uses_the_shortest_length_encoding() {
    for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
        let mut out = vec![];
        frame(Opcode::Binary, &vec![7; length], None, &mut out);
        assert_eq!(out.len(), length + header);
    }
}

#[test]
fn inflated_message_size_is_bounded() {
    let mut deflater = Deflater::default();
    let deflate = deflating(Role::Client).deflate.expect("configured above");
    let bomb = deflater.compress(&vec![0; 10_000_000], deflate).expect("compressible content");
    let mut stream = vec![];
    compressed_frame(Opcode::Binary, &bomb, Some([9; 4]), &mut stream);
    let (_, _, end) = feed(deflating(Role::Server), 100_000, &stream, &[65_536]);
    assert_eq!(end, Err(DecodeError::TooLarge { max: 100_000 }));
    let mut nonsense = vec![];
    compressed_frame(Opcode::Text, b"\x07 not deflate", Some([9; 4]), &mut nonsense);
    assert_eq!(feed(deflating(Role::Server), 100, &nonsense, &[100]).2, Err(DecodeError::Compression));
    // Only the first frame of a message may have the bit.
    let stream = [masked(0x42, b"\x02"), masked(0xc0, b"\0")].concat();
    assert!(matches!(feed(deflating(Role::Server), 100, &stream, &[100]).2, Err(DecodeError::Frame(_))));
    assert!(matches!(feed(deflating(Role::Server), 100, &masked(0xc9, b""), &[100]).2, Err(DecodeError::Frame(_))));
}

#[test]
fn truncated_or_invalid_deflate_data_is_refused() {
    let mut deflater = Deflater::default();
    let deflate = Deflate::default();
    let text = "all work and no play ".repeat(40);
    let whole = deflater.compress(text.as_bytes(), deflate).expect("compressible content");
    let inflated = |content: &[u8]| inflated(content, 10_000);
    assert_eq!(inflated(&whole), Ok(text.into_bytes()));
    for cut in 1..whole.len() {
        assert_eq!(inflated(&whole[..cut]), Err(DecodeError::Compression), "cut to {cut} bytes");
    }
    // A truncated stored block, and a back-reference to before the beginning.
    assert_eq!(inflated(b"\0\x07\0\xf8\xffabc"), Err(DecodeError::Compression));
    assert_eq!(inflated(b"\x03\x02\0"), Err(DecodeError::Compression));
    // Last blocks in the middle, as some compressors write them, and many of them.
    assert_eq!(inflated(b"\xf3H\xcd\xc9\xc9\x07\0\0"), Ok(b"Hello".to_vec()));
    assert_eq!(inflated(&[&b"\x03\0".repeat(30_000)[..], b"\0"].concat()), Ok(vec![]));
}

proptest! {
    #[test]
    fn websocket_messages_round_trip_between_roles(
        messages in prop::collection::vec((any::<bool>(), "[a-cü漢]{0,400}"), 0..8),
        compressed in any::<bool>(),
        to_server in any::<bool>(),
        pieces in prop::collection::vec(1..600usize, 1..5),
    ) {
        let (from, to) = if to_server { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
        let socket = |role| if compressed { deflating(role) } else { WebSocket { role, deflate: None, ping: None } };
        let (mut encoder, mut stream, mut expected) = (Encoder::new(7), vec![], vec![]);
        for (is_text, text) in &messages {
            let payload = if *is_text { Payload::Text(text) } else { Payload::Binary(text.as_bytes()) };
            encoder.encode(Wire::WebSocket(socket(from)).encoding(), payload, &mut stream).expect("short enough");
            expected.push(format!("{payload:?}"));
        }
        prop_assert_eq!(feed(socket(to), 10_000, &stream, &pieces), (expected, vec![], Ok(())));
    }

    #[test]
    fn compression_round_trips_for_every_window_size(content in prop::collection::vec(0..5u8, 256..5_000), bits in 8..=15u8) {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let (deflate, _) = Deflate::accept([offer.as_str()].into_iter()).expect("an acceptable offer");
        if let Some(compressed) = Deflater::default().compress(&content, deflate) {
            prop_assert_eq!(inflated(&compressed, content.len()), Ok(content));
        }
    }
}
