//! Compatibility of WebSocket frames and messages with another implementation, tungstenite.

use drupe_core::Payload;
use drupe_core::limit::Budget;
use drupe_core::websocket::{Role, WebSocket};
use drupe_core::wire::{DecodeBuffer, Encoder, Item, Wire};
use proptest::prelude::*;
use std::io::{self, Cursor, Read, Write};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, protocol};

/// Somebody else's end: what it reads is there already, and what it writes is kept.
#[derive(Debug, Default)]
struct Line {
    read: Cursor<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.read.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn other_end(role: protocol::Role, read: Vec<u8>) -> tungstenite::WebSocket<Line> {
    tungstenite::WebSocket::from_raw_socket(Line { read: Cursor::new(read), written: Vec::new() }, role, None)
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let message = prop_oneof![
        "[a-zü漢👩]{0,200}".prop_map(Message::text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Message::binary),
        prop::collection::vec(any::<u8>(), 60_000..70_000).prop_map(Message::binary),
    ];
    prop::collection::vec(message, 0..6)
}

fn ours(role: Role) -> Wire {
    Wire::WebSocket(WebSocket::default().role(role))
}

/// What our decoder makes of a stream in pieces, pings left out.
fn decoded(role: Role, stream: &[u8], pieces: &[usize]) -> Vec<Message> {
    let budget = Budget::default().message_max_bytes(drupe_core::limit::MessageSize::new(1 << 20).expect("in range"));
    let (mut decoder, mut scratch) = (ours(role).decoder(), DecodeBuffer::default());
    let (mut messages, mut from) = (Vec::new(), 0);
    for &piece in pieces.iter().cycle() {
        if from == stream.len() {
            break;
        }
        let mut input = stream[from..(from + piece).min(stream.len())].to_vec();
        from += input.len();
        let mut at = 0;
        while at < input.len() {
            let decoded = decoder.decode(&mut input[at..], &mut scratch, &budget).expect("it is well formed");
            at += decoded.used;
            match decoded.item {
                Some(Item::Message(Payload::Text(text))) => messages.push(Message::text(text)),
                Some(Item::Message(Payload::Binary(bytes))) => messages.push(Message::binary(bytes.to_vec())),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
    }
    decoder.finish(&mut scratch, &budget).expect("it is complete");
    messages
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tungstenite_reads_our_frames(messages in messages(), to_client in any::<bool>()) {
        let (us, them) =
            if to_client { (Role::Server, protocol::Role::Client) } else { (Role::Client, protocol::Role::Server) };
        let (mut encoder, mut stream) = (Encoder::new(7), Vec::new());
        for message in &messages {
            let data = message.clone().into_data();
            let payload = match message {
                Message::Text(text) => Payload::Text(text.as_str()),
                _ => Payload::Binary(&data),
            };
            encoder.encode(ours(us).encoding(), payload, &mut stream).expect("it fits");
        }
        let mut end = other_end(them, stream);
        let mut read = Vec::new();
        while let Ok(message) = end.read() {
            read.push(message);
        }
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn decoder_reads_fragmented_frames_of_tungstenite(
        messages in messages(),
        cuts in prop::collection::vec(1..5_000usize, 1..4),
        pieces in prop::collection::vec(1..40_000usize, 1..4),
        from_client in any::<bool>(),
    ) {
        let (us, them) =
            if from_client { (Role::Server, protocol::Role::Client) } else { (Role::Client, protocol::Role::Server) };
        let mut end = other_end(them, Vec::new());
        for message in &messages {
            let first = if message.is_text() { Data::Text } else { Data::Binary };
            let (mut rest, mut opcode) = (message.clone().into_data(), first);
            for &cut in &cuts {
                let piece = rest.split_to(cut.min(rest.len()));
                end.send(Message::Frame(Frame::message(piece, OpCode::Data(opcode), false))).expect("it is kept");
                end.send(Message::Ping(vec![1, 2, 3].into())).expect("it is kept");
                opcode = Data::Continue;
            }
            end.send(Message::Frame(Frame::message(rest, OpCode::Data(opcode), true))).expect("it is kept");
        }
        prop_assert_eq!(decoded(us, &end.get_ref().written, &pieces), messages);
    }
}
