use crate::cut::cut;
use crate::memory::peak_of;
use crate::work::bounded;
use arbitrary::{Arbitrary, Unstructured};
use drupe_core::app::Echo;
use drupe_core::limit::{Budget, MessageSize};
use drupe_core::testing::TestHub;
use drupe_core::websocket::{Role, WebSocket};
use drupe_core::wire::{DecodeBuffer, Decoder, Item, Protocol, Wire};
use drupe_core::{Config, Listen};
use std::time::Duration;

const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n\r\n";

/// Sends any bytes as HTTP requests and frames to a whole server, in any pieces.
///
/// # Panics
/// The application gets bodies of up to 1,000 bytes if the first byte is 128 or more.
///
/// # Panics
/// If the split changes the answer, or too much memory is held.
pub fn http(data: &[u8]) {
    let [piece, stream @ ..] = data else { return };
    check(stream, usize::from(*piece).max(1), if *piece < 128 { 0 } else { 1_000 });
}

/// Sends any bytes after a WebSocket upgrade to a whole server, in any pieces.
///
/// # Panics
/// If the split changes the answer, or too much memory is held.
pub fn websocket(data: &[u8]) {
    let [piece, stream @ ..] = data else { return };
    check(&[UPGRADE, stream].concat(), usize::from(*piece).max(1), 0);
}

fn check(stream: &[u8], piece: usize, body_max: u32) {
    // The values of the metrics depend on the pieces.
    if stream.windows(8).any(|window| window == b"/metrics") {
        return;
    }
    // Of more than 16 pings that arrive together, the first get no pong (RFC 6455 section 5.5.3).
    let may_be_pings = stream.iter().filter(|&&byte| byte & 0x8f == 0x89).count();
    if may_be_pings > 16 {
        answered(stream, stream.len(), body_max);
        return;
    }
    let whole = answered(stream, stream.len().max(1), body_max);
    for size in [1, piece] {
        let split = answered(stream, size, body_max);
        assert!(whole == split, "the split changes the answer: {:?} and {:?}", text(&whole), text(&split));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the server's answer. The bytes after an HTTP head are sorted.
fn answered(stream: &[u8], piece: usize, body_max: u32) -> Vec<u8> {
    let address = format!("ws://127.0.0.1:0/chat?subprotocols=a,b&body_max={body_max}");
    let listen: Listen = address.parse().expect("well formed");
    let mut config = Config::listening([listen]).unlimited();
    config.peer.budget.message_max_bytes = MessageSize::new(5_000).expect("in range");
    let mut hub = TestHub::with_config(config, Echo);
    let conn = hub.connect();
    for piece in stream.chunks(piece) {
        let budget = hub.machine().config().peer.budget;
        let peak = peak_of(|| bounded(piece.len(), &budget, || hub.send(conn, piece)));
        // Copies of the answer, and the state of a compressor and a decompressor.
        assert!(peak < 1_000_000, "{peak} bytes for {} bytes", piece.len());
    }
    // Expensive work continues in later turns.
    hub.advance(Duration::from_millis(1));
    let mut answer = hub.received(conn).to_vec();
    // Pongs and the answer to a Close overtake messages of the same turn, so the order depends on
    // the split.
    if let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
        answer[head + 4..].sort_unstable();
    }
    answer
}

#[derive(Arbitrary, Debug)]
struct Setting {
    max: u16,
    client: bool,
    deflate: bool,
    pieces: [u8; 3],
}

/// Decodes any bytes as WebSocket frames, in either role, with any limit and in any pieces.
///
/// # Panics
/// If the split changes the result, or the decoder keeps more than the limit.
pub fn websocket_frames(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    let stream = rest.take_rest();
    let socket = socket(&setting);
    let max = u64::from(setting.max) + 1;
    let budget = Budget::default().message_max_bytes(MessageSize::new(max).expect("in range"));
    let pieces: Vec<usize> = setting.pieces.iter().map(|&piece| usize::from(piece).max(1)).collect();
    let [whole, single, split] = [&[stream.len().max(1)][..], &[1], &pieces]
        .map(|pieces| told(Wire::WebSocket(socket).decoder(), &budget, stream, pieces));
    assert!(whole == single && whole == split, "the split changes the result: {whole:?}, {single:?}, {split:?}");
}

/// A WebSocket in a state that a handshake can result in.
fn socket(setting: &Setting) -> WebSocket {
    let role = if setting.client { Role::Client } else { Role::Server };
    let deflate = setting.deflate.then(drupe_core::websocket::Deflate::default);
    WebSocket::default().role(role).deflate(deflate).ping(None)
}

fn told(mut decoder: Decoder, budget: &Budget, stream: &[u8], pieces: &[usize]) -> Vec<String> {
    let (mut scratch, mut told) = (DecodeBuffer::default(), Vec::new());
    let max = budget.message_max_bytes.get();
    for mut input in cut(stream, pieces) {
        let mut at = 0;
        while at < input.len() || decoder.is_ahead() {
            let (mut outcome, rest, was_ahead) = (None, input.len() - at, decoder.is_ahead());
            let peak = peak_of(|| {
                let decoded = bounded(rest, budget, || decoder.decode(&mut input[at..], &mut scratch, budget));
                outcome = Some(decoded.map(|decoded| {
                    let length = decoded.message().map_or(0, |payload| payload.as_bytes().len());
                    (decoded.used, length, decoded.item.map(words))
                }));
            });
            assert!(peak <= isize::try_from(20 * max + 100_000).expect("small"), "{peak} bytes for a limit of {max}");
            match outcome.expect("it was decoded") {
                Ok((used, length, words)) => {
                    assert!(used > 0 || was_ahead, "no progress");
                    assert!(length <= max, "{length} bytes for a limit of {max}");
                    at += used;
                    told.extend(words);
                }
                Err(error) => {
                    told.push(error.reason().to_string());
                    return told;
                }
            }
            if let Decoder::WebSocket(socket) = &mut decoder {
                drop(socket.replies());
            }
        }
    }
    if let Err(error) = decoder.finish(&mut scratch, budget) {
        told.push(error.reason().to_string());
    }
    told
}

fn words(item: Item<'_>) -> String {
    format!("{item:?}")
}

/// Parses any text as a listener's address, formats it, and parses it again.
///
/// # Panics
/// If the address or the kind of protocol differs.
pub fn listen(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(listen) = text.parse::<Listen>() else { return };
    let shown: Listen = listen.bound(&listen.address).parse().expect("a formatted address can be parsed");
    assert_eq!(shown.address, listen.address);
    assert_eq!(std::mem::discriminant::<Protocol>(&shown.protocol), std::mem::discriminant(&listen.protocol));
}
