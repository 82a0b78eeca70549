use crate::cut::cut;
use crate::memory::peak_of;
use crate::work::bounded;
use arbitrary::{Arbitrary, Unstructured};
use drupe_core::limit::{Budget, MessageSize};
use drupe_core::telnet::{Charset, InputMode, Replies, Session, Telnet};
use drupe_core::wire::{DecodeBuffer, InvalidUtf8, Item};

#[derive(Arbitrary, Debug)]
struct Setting {
    max: u16,
    config: u8,
    columns: u8,
    pieces: [u8; 4],
}

/// Decodes any bytes as a telnet stream, with any configuration and limit, in any pieces.
///
/// # Panics
/// If the split changes the decoded items, or the session keeps more than the limit.
pub fn telnet_session(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    check(&setting, config(&setting, InputMode::Line), rest.take_rest());
}

/// Decodes any bytes as keys for the server's line editor, in any pieces.
///
/// # Panics
/// If the split changes the decoded items, or the session keeps more than the limit.
pub fn telnet_editor(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    let mode = if setting.config & 64 == 0 { InputMode::Character } else { InputMode::Keys };
    let agreed = [&b"\xff\xfd\x01\xff\xfd\x03\xff\xfb\x1f\xff\xfa\x1f\0"[..], &[setting.columns & 63, 0, 24, 255, 240]];
    let stream = [&agreed.concat(), rest.take_rest()].concat();
    check(&setting, config(&setting, mode), &stream);
}

fn config(setting: &Setting, mode: InputMode) -> Telnet {
    let policies = [InvalidUtf8::Reject, InvalidUtf8::Replace, InvalidUtf8::Bytes];
    Telnet::default()
        .mode(mode)
        .invalid_utf8(policies[usize::from(setting.config) % policies.len()])
        .charset(Charset::ALL[usize::from(setting.config >> 2) % Charset::ALL.len()])
        .gmcp(setting.config & 16 != 0)
        .compress(setting.config & 32 != 0)
        .msdp(setting.config & 128 != 0)
}

fn check(setting: &Setting, config: Telnet, stream: &[u8]) {
    let max = u64::from(setting.max) + 1;
    let budget = Budget::default().message_max_bytes(MessageSize::new(max).expect("in range"));
    let pieces: Vec<usize> = setting.pieces.iter().map(|&piece| usize::from(piece).max(1)).collect();
    let mut told = [&[stream.len().max(1)][..], &[1], &pieces].map(|pieces| told(config, &budget, stream, pieces));
    if told.iter().any(|told| told.last().is_some_and(|last| last == "malformed_frame")) {
        // The split decides how much is inflated before an error in a compressed stream is found.
        let shortest = told.iter().map(Vec::len).min().unwrap_or(0).saturating_sub(1);
        told.iter_mut().for_each(|told| told.truncate(shortest));
    }
    let [whole, single, split] = told;
    assert!(whole == single && whole == split, "the split changes the result: {whole:?}, {single:?}, {split:?}");
}

/// Decodes a stream. Returns its items as text, and last the reason of an error.
fn told(config: Telnet, budget: &Budget, stream: &[u8], pieces: &[usize]) -> Vec<String> {
    let (mut session, mut scratch) = (Session::new(config), DecodeBuffer::default());
    let mut told = Vec::new();
    let max = budget.message_max_bytes.get();
    for (mut input, message) in cut(stream, pieces).zip((0..10).cycle()) {
        let mut at = 0;
        while at < input.len() || session.is_ahead() {
            let (mut outcome, was_ahead) = (None, session.is_ahead());
            let rest = input.len() - at;
            let peak = peak_of(|| {
                outcome = Some(
                    bounded(rest, budget, || session.decode(&mut input[at..], &mut scratch, budget))
                        .map(|decoded| (decoded.used, decoded.item.map(|item| (length(item), words(item))))),
                );
            });
            // A line, its copies and its drawing; the history; two compressed streams.
            assert!(peak <= isize::try_from(40 * max + 500_000).expect("small"), "{peak} bytes for a limit of {max}");
            match outcome.expect("it was decoded") {
                Ok((used, item)) => {
                    assert!(used > 0 || was_ahead || at == input.len(), "no progress");
                    at += used;
                    if let Some((length, words)) = item {
                        assert!(length <= max.max(16 << 10), "{length} bytes for a limit of {max}");
                        told.extend(words);
                    }
                }
                Err(error) => {
                    told.push(error.reason().to_string());
                    return told;
                }
            }
            let Replies { control, output, .. } = session.replies().unwrap_or_default();
            assert!(control.len() + output.len() <= 20 * max + 100_000, "too many bytes to send at once");
        }
        if message == 0 {
            session.render(b"news\r\n");
            drop(session.replies());
        }
    }
    match session.finish(&mut scratch, budget) {
        Ok(last) => told.extend(last.map(|payload| format!("{payload:?}"))),
        Err(error) => told.push(error.reason().to_string()),
    }
    told
}

fn length(item: Item<'_>) -> usize {
    match item {
        Item::Message(payload) => payload.as_bytes().len(),
        _ => 0,
    }
}

/// An item as text. `None` for `Resized`: consecutive ones are merged, depending on the split.
fn words(item: Item<'_>) -> Option<String> {
    match item {
        Item::Message(payload) => Some(format!("{payload:?}")),
        other => Some(format!("{other:?}")).filter(|words| !words.contains("Resized")),
    }
}
