//! No decoder holds more memory than its budget, whatever a peer sends.
//!
//! A counting allocator measures it.

use crate::counting::Measure;
use drupe_core::app::Echo;
use drupe_core::limit::{Budget, MessageSize};
use drupe_core::telnet::{InputMode, Telnet};
use drupe_core::testing::TestHub;
use drupe_core::wire::{DecodeBuffer, Decoder, InvalidUtf8, LengthPrefix, LengthPrefixed, LineEnding, Lines, Wire};
use drupe_core::{Config, Listen};

const MAX: usize = 10_000;

/// The most memory that a decoder held while it was fed `stream` in pieces of `piece` bytes, and what it
/// holds in the end.
fn memory(wire: Wire, stream: &[u8], piece: usize) -> (isize, isize) {
    let budget = Budget::default().message_max_bytes(MessageSize::new(MAX as u64).expect("in range"));
    let (mut decoder, mut scratch) = (wire.decoder(), DecodeBuffer::default());
    let mut input = vec![0; piece];
    let measure = Measure::begin();
    'stream: for chunk in stream.chunks(piece) {
        let input = &mut input[..chunk.len()];
        input.copy_from_slice(chunk);
        let mut at = 0;
        while at < input.len() {
            match decoder.decode(&mut input[at..], &mut scratch, &budget) {
                Ok(decoded) => at += decoded.used,
                Err(_) => break 'stream,
            }
            if let Decoder::Telnet(session) = &mut decoder {
                drop(session.replies());
            }
        }
    }
    drop(scratch);
    (measure.peak(), measure.held())
}

fn lines(invalid_utf8: InvalidUtf8) -> Wire {
    Wire::Lines(Lines::default().ending(LineEnding::Lf).invalid_utf8(invalid_utf8))
}

fn frames(prefix: LengthPrefix) -> Wire {
    Wire::LengthPrefixed(LengthPrefixed::default().prefix(prefix))
}

fn telnet(mode: InputMode) -> Wire {
    Wire::Telnet(Telnet::default().mode(mode))
}

#[test]
fn decoders_hold_no_more_than_their_budget() {
    let endless = vec![b'x'; 20 * MAX];
    let endless_cr = vec![b'\r'; 20 * MAX];
    let garbage: Vec<u8> = (0..20 * MAX).map(|n| u8::try_from(n * 31 % 251).expect("small")).collect();
    let almost = [&vec![0xff; MAX / 3][..], b"\n"].concat();
    let claims = [&(MAX as u64).to_be_bytes()[..], &vec![b'x'; MAX - 1]].concat();
    let lies = [&u64::MAX.to_be_bytes()[..], &endless].concat();
    // A screen reader's worst enemy: every key changes the whole line.
    let editing = [&b"\xff\xfd\x01\xff\xfd\x03"[..], &b"x\x1b[D".repeat(2 * MAX)].concat();
    let endless_subnegotiation = [&b"\xff\xfb\x18\xff\xfa\x18"[..], &endless].concat();
    let commands = [255, 246].repeat(2 * MAX);
    let all = (0..=u8::MAX).flat_map(|option| (251..=254).flat_map(move |verb| [255, verb, option]));
    let negotiations = all.collect::<Vec<_>>().repeat(40);
    // What is partial, and in the scratch, which all decoders share, a line and what it is replaced with.
    let bound = isize::try_from(3 * MAX + 64).expect("small");
    for wire in [
        lines(InvalidUtf8::Reject),
        lines(InvalidUtf8::Replace),
        lines(InvalidUtf8::Bytes),
        frames(LengthPrefix::U64Be),
        frames(LengthPrefix::Varint),
        telnet(InputMode::Line),
        telnet(InputMode::Character),
    ] {
        // A redrawn line is encoded anew, and options that a peer touched are remembered.
        let bound = if matches!(wire, Wire::Telnet(_)) { 4 * bound + 16_384 } else { bound };
        let telnet = [&editing, &endless_subnegotiation, &commands, &negotiations];
        for stream in [&endless, &endless_cr, &garbage, &almost, &claims, &lies].into_iter().chain(telnet) {
            for piece in [1, 7, 4096, 65_536] {
                let (peak, _) = memory(wire, stream, piece);
                assert!(peak <= bound, "{wire:?} held {peak} bytes, fed {piece} at a time");
            }
        }
    }
}

#[test]
fn claimed_length_reserves_no_memory() {
    let claim = (MAX as u64).to_be_bytes();
    let (peak, _) = memory(frames(LengthPrefix::U64Be), &claim, 65_536);
    assert_eq!(peak, 0);
    let (peak, _) = memory(frames(LengthPrefix::U64Be), &[&claim[..], b"abc"].concat(), 65_536);
    assert!(peak <= 16, "{peak} bytes for three");
}

/// The most memory that a server takes for pieces of one connection's input.
fn memory_of_server(pieces: &[&[u8]]) -> isize {
    let listen: Listen = "ws://127.0.0.1:1?body_max=1000000".parse().expect("well formed");
    let mut hub = TestHub::with_config(Config::listening([listen]).unlimited(), Echo);
    let conn = hub.connect();
    let measure = Measure::begin();
    pieces.iter().for_each(|piece| hub.send(conn, piece));
    measure.peak()
}

#[test]
fn declared_body_reserves_no_memory() {
    let head = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
    let (length, chunked) = (head("Content-Length: 1000000"), head("Transfer-Encoding: chunked"));
    for pieces in [[length.as_bytes(), b"x"], [chunked.as_bytes(), b"f4240\r\nx"]] {
        let peak = memory_of_server(&pieces);
        assert!(peak <= 20_000, "{peak} bytes for one");
    }
    // What arrives is held, once more while it grows, and beside the piece that arrives.
    let (piece, mut pieces) = (vec![b'x'; 62_500], vec![length.as_bytes()]);
    pieces.resize(16, &piece);
    let peak = memory_of_server(&pieces);
    assert!((937_500..2_100_000).contains(&peak), "{peak} bytes for {}", 15 * piece.len());
}

#[test]
fn decoder_holds_nothing_between_messages() {
    let (peak, held) = memory(lines(InvalidUtf8::Reject), b"one\ntwo\r\nthree\n", 65_536);
    assert_eq!((peak, held), (0, 0), "whole lines are not copied");
    let (_, held) = memory(lines(InvalidUtf8::Reject), b"one\ntwo\nx\n", 3);
    assert_eq!(held, 0);
}
