use crate::cut::cut;
use crate::memory::peak_of;
use crate::work::bounded;
use arbitrary::{Arbitrary, Unstructured};
use drupe_core::limit::{Budget, MessageSize};
use drupe_core::telnet::{Charset, ClientSession, Delivery, Replies, TelnetClient, TerminalTypes};
use drupe_core::wire::{DecodeBuffer, InvalidUtf8, Item};
use std::mem::take;

#[derive(Arbitrary, Debug)]
struct Setting {
    max: u16,
    config: u16,
    pieces: [u8; 4],
}

/// Decodes any bytes as what a telnet server sends, with any configuration and limit, in any pieces.
///
/// # Panics
/// If the split changes what is decoded, if the session keeps more than the limit, or if it answers
/// with more bytes than the server's requests can ask for.
pub fn telnet_client(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    let (stream, config) = (rest.take_rest(), config(setting.config));
    let budget = Budget::default().message_max_bytes(MessageSize::new(u64::from(setting.max) + 1).expect("in range"));
    let pieces: Vec<usize> = setting.pieces.iter().map(|&piece| usize::from(piece).max(1)).collect();
    let mut told = [&[stream.len().max(1)][..], &[1], &pieces].map(|pieces| told(config, &budget, stream, pieces));
    if told.iter().any(|told| told.last().is_some_and(|last| last == "malformed_frame")) {
        // The split decides how much is inflated before an error in a compressed stream is found.
        let shortest = told.iter().map(Vec::len).min().unwrap_or(0).saturating_sub(2);
        told.iter_mut().for_each(|told| told.truncate(shortest));
    }
    let [whole, single, split] = told;
    assert!(whole == single && whole == split, "the split changes the result: {whole:?}, {single:?}, {split:?}");
}

fn config(bits: u16) -> TelnetClient {
    let has = |bit: u16| bits & 1 << bit != 0;
    let policies = [InvalidUtf8::Reject, InvalidUtf8::Replace, InvalidUtf8::Bytes];
    let types: TerminalTypes = "DRUPE,XTERM-256COLOR,MTTS 13".parse().expect("well formed");
    TelnetClient::default()
        .delivery(if has(0) { Delivery::Stream } else { Delivery::Lines })
        .invalid_utf8(policies[usize::from(bits >> 1 & 3) % policies.len()])
        .charset(Charset::ALL[usize::from(bits >> 3 & 3)])
        .types(if has(5) { types } else { TerminalTypes::default() })
        .size(has(6).then_some((255, 24)))
        .gmcp(has(7))
        .msdp(has(8))
        .compress(has(9))
}

/// Decodes a stream. Returns its items as text, and last the reason of an error.
fn told(config: TelnetClient, budget: &Budget, stream: &[u8], pieces: &[usize]) -> Vec<String> {
    let (mut session, mut scratch) = (ClientSession::new(config), DecodeBuffer::default());
    let (mut told, mut text, mut answered) = (Vec::new(), Vec::new(), 0);
    let max = budget.message_max_bytes.get();
    for mut input in cut(stream, pieces) {
        let mut at = 0;
        while at < input.len() || session.is_ahead() {
            let (mut outcome, was_ahead) = (None, session.is_ahead());
            let rest = input.len() - at;
            let peak = peak_of(|| {
                outcome = Some(
                    bounded(rest, budget, || session.decode(&mut input[at..], &mut scratch, budget))
                        .map(|decoded| (decoded.used, decoded.item.map(|item| spoken(item, config.delivery)))),
                );
            });
            assert!(peak <= isize::try_from(20 * max + 200_000).expect("small"), "{peak} bytes for a limit of {max}");
            match outcome.expect("it was decoded") {
                Ok((used, item)) => {
                    assert!(used > 0 || was_ahead || at == input.len(), "no progress");
                    at += used;
                    match item {
                        Some(Spoken::Piece(bytes)) => {
                            // One character may be longer than the limit.
                            assert!(bytes.len() <= max.max(12), "{} bytes for a limit of {max}", bytes.len());
                            text.extend(bytes);
                        }
                        Some(Spoken::Words(words)) => {
                            told.extend(piece(&mut text));
                            told.push(words);
                        }
                        None => {}
                    }
                }
                Err(error) => {
                    told.extend(piece(&mut text));
                    told.push(error.reason().to_string());
                    return told;
                }
            }
            let Replies { control, output, .. } = session.replies().unwrap_or_default();
            answered += control.len() + output.len();
        }
    }
    // A compressed stream may hold many requests in few bytes.
    assert!(config.compress || answered <= 8 * stream.len(), "{answered} bytes answer {}", stream.len());
    match session.finish(&mut scratch, budget) {
        Ok(Some(last)) if config.delivery == Delivery::Stream => text.extend_from_slice(last.as_bytes()),
        Ok(last) => told.extend(last.map(|payload| format!("{payload:?}"))),
        Err(error) => {
            told.extend(piece(&mut text));
            told.push(error.reason().to_string());
        }
    }
    told.extend(piece(&mut text));
    told
}

/// An item: a piece of the stream, or anything else as text.
enum Spoken {
    Piece(Vec<u8>),
    Words(String),
}

fn spoken(item: Item<'_>, delivery: Delivery) -> Spoken {
    match item {
        Item::Message(payload) if delivery == Delivery::Stream => Spoken::Piece(payload.as_bytes().to_vec()),
        other => Spoken::Words(format!("{other:?}")),
    }
}

fn piece(text: &mut Vec<u8>) -> Option<String> {
    (!text.is_empty()).then(|| format!("{:?}", String::from_utf8_lossy(&take(text))))
}
