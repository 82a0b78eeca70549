use crate::cut::cut;
use crate::memory::peak_of;
use crate::work::bounded;
use arbitrary::{Arbitrary, Unstructured};
use drupe_core::limit::{Budget, MessageSize};
use drupe_core::testing::{Netstrings, check_wire};
use drupe_core::wire::{
    Custom, DecodeBuffer, DecodeError, Delimited, Delimiter, Encoder, InvalidUtf8, LengthPrefix, LengthPrefixed, Lines,
    Wire,
};

#[derive(Arbitrary, Debug)]
struct Setting {
    max: u16,
    kind: u8,
    pieces: [u8; 4],
}

/// Decodes any bytes as lines, with any UTF-8 policy and limit, in any pieces.
///
/// # Panics
/// If the split changes the result, or a limit on memory, length or steps is exceeded.
pub fn line(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    let policies = [InvalidUtf8::Reject, InvalidUtf8::Replace, InvalidUtf8::Bytes];
    let invalid_utf8 = policies[usize::from(setting.kind) % policies.len()];
    check(Wire::Lines(Lines::default().invalid_utf8(invalid_utf8)), &setting, rest.take_rest());
}

/// Decodes any bytes as length-prefixed frames, with any prefix and limit, in any pieces.
///
/// # Panics
/// If the split changes the result, a limit on memory, length or steps is exceeded, or the decoded
/// messages do not survive a round trip.
pub fn length(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    let prefix = LengthPrefix::ALL[usize::from(setting.kind) % LengthPrefix::ALL.len()];
    check(Wire::LengthPrefixed(LengthPrefixed::default().prefix(prefix)), &setting, rest.take_rest());
}

/// Decodes any bytes as messages with any delimiter, UTF-8 policy and limit, in any pieces.
///
/// # Panics
/// As [`length`].
pub fn delimited(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    let policies = [InvalidUtf8::Reject, InvalidUtf8::Replace, InvalidUtf8::Bytes];
    let length = 1 + usize::from(setting.kind / 3) % Delimiter::MAX_BYTES;
    let (Ok(bytes), stream) = (rest.bytes(length).map(<[u8]>::to_vec), rest.take_rest()) else { return };
    let delimiter = Delimiter::new(&bytes).expect("1 to 8 bytes");
    let wire = Delimited::default().delimiter(delimiter).invalid_utf8(policies[usize::from(setting.kind) % 3]);
    check(Wire::Delimited(wire), &setting, stream);
}

/// Decodes any bytes with a codec of the application, with any limit, in any pieces.
///
/// # Panics
/// As [`length`].
pub fn codec(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    check(Wire::Custom(Custom::new(&Netstrings).expect("a good name")), &setting, rest.take_rest());
}

fn check(wire: Wire, setting: &Setting, stream: &[u8]) {
    let max = u64::from(setting.max) + 1;
    let budget = Budget::default().message_max_bytes(MessageSize::new(max).expect("in range"));
    let whole = decode(wire, &budget, stream, &[stream.len().max(1)]);
    let single = decode(wire, &budget, stream, &[1]);
    let pieces: Vec<usize> = setting.pieces.iter().map(|&piece| usize::from(piece).max(1)).collect();
    let split = decode(wire, &budget, stream, &pieces);
    assert!(whole == single && whole == split, "the split changes the result: {whole:?}, {single:?}, {split:?}");
    if matches!(wire, Wire::Custom(_) | Wire::Delimited(_)) {
        check_wire(wire, &budget, stream, &pieces).unwrap_or_else(|defect| panic!("{defect}"));
        return;
    }
    // Decoding the encoded messages must return the same messages.
    let mut again = Vec::new();
    for message in &whole.0 {
        Encoder::default()
            .encode(wire.encoding(), message.as_slice().into(), &mut again)
            .expect("a decoded message fits");
    }
    if matches!(wire, Wire::LengthPrefixed(_)) {
        assert_eq!(decode(wire, &budget, &again, &pieces), (whole.0, None));
    }
}

/// Decodes a stream. Returns its messages, and the reason of the error that stopped it.
fn decode(wire: Wire, budget: &Budget, stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, Option<drupe_core::Reason>) {
    let (mut decoder, mut scratch) = (wire.decoder(), DecodeBuffer::default());
    let mut messages = Vec::new();
    let max = budget.message_max_bytes.get();
    let mut step = |decoder: &mut drupe_core::wire::Decoder, input: &mut [u8]| -> Result<usize, DecodeError> {
        let mut result = Ok(0);
        let (mut kept, mut length) = (None, 0);
        let bytes = input.len();
        let peak = peak_of(|| {
            result = bounded(bytes, budget, || decoder.decode(input, &mut scratch, budget)).map(|decoded| {
                length = decoded.message().map_or(0, |message| message.as_bytes().len());
                kept = decoded.message().map(|message| message.as_bytes().to_vec());
                decoded.used
            });
        });
        // The decoder's buffer, its growth, and the copy made here.
        let bound = isize::try_from(3 * max + 64 + length).expect("small");
        assert!(peak <= bound, "{peak} bytes for a limit of {max}");
        assert!(length <= max, "a message of {length} bytes for a limit of {max}");
        messages.extend(kept);
        result
    };
    for mut input in cut(stream, pieces) {
        let mut at = 0;
        while at < input.len() {
            match step(&mut decoder, &mut input[at..]) {
                Ok(used) => {
                    assert!(used > 0, "no progress");
                    at += used;
                }
                Err(error) => return (messages, Some(error.reason())),
            }
        }
    }
    match decoder.finish(&mut scratch, budget) {
        Ok(last) => messages.extend(last.map(|message| message.as_bytes().to_vec())),
        Err(error) => return (messages, Some(error.reason())),
    }
    (messages, None)
}
