//! Checks of a wire's decoder and encoder, for fuzz targets and tests of a codec.

use crate::base::{Payload, PayloadBuf, Reason};
use crate::wire::{Budget, CodecFault, DecodeBuffer, DecodeError, Encoder, Wire};
use alloc::vec::Vec;

/// A defect that [`check_wire`] found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireDefect {
    /// The decoder used no byte and yielded nothing, although there was input.
    #[error("the decoder makes no progress")]
    NoProgress,
    /// The input is not decoded after the maximum number of decoder calls for its length.
    #[error("the decoder yields items without end")]
    NoEnd,
    /// The codec violated the contract of [`Codec`](crate::wire::Codec).
    #[error("the codec failed: {0}")]
    Fault(CodecFault),
    /// A message is longer than the budget allows.
    #[error("a message has {bytes} bytes, but the longest has {max}")]
    TooLong {
        /// The length of the message, in bytes.
        bytes: usize,
        /// The maximum length of a message, in bytes.
        max: usize,
    },
    /// Decoding the input in pieces changes the messages or the final error.
    #[error("split into pieces of {pieces:?} bytes, the input gives {split:?}, but at once {whole:?}")]
    Split {
        /// The lengths of the pieces.
        pieces: Vec<usize>,
        /// The outcome of decoding the pieces.
        split: WireOutcome,
        /// The outcome of decoding the whole input at once.
        whole: WireOutcome,
    },
    /// Decoding the encoded messages yields other messages, or an error.
    #[error("encoded and decoded again, {before:?} gives {after:?}")]
    RoundTrip {
        /// The messages that were encoded, in order.
        before: Vec<PayloadBuf>,
        /// The outcome of decoding the encoded messages.
        after: WireOutcome,
    },
}

/// The decoded messages of a stream, and the reason of the error that ended decoding, if any.
pub type WireOutcome = (Vec<PayloadBuf>, Option<Reason>);

/// Checks a wire's decoder and encoder with a stream of arbitrary bytes.
///
/// Decoded at once, byte by byte, and in pieces of these lengths (in a cycle), the stream gives the
/// same messages. No message exceeds the budget. No codec breaks its rules. The messages survive
/// encoding and decoding, except those that the wire cannot carry.
///
/// The wire must be the same in both directions: frames, delimited messages or a
/// [`Codec`](crate::wire::Codec). A fuzz target for a codec is one line:
///
/// ```
/// use drupe_core::limit::Budget;
/// use drupe_core::testing::{Netstrings, check_wire};
/// use drupe_core::wire::{Custom, Wire};
///
/// fn fuzz(data: &[u8]) {
///     let wire = Wire::Custom(Custom::new(&Netstrings).expect("a good name"));
///     check_wire(wire, &Budget::default(), data, &[3, 1, 70]).expect("no defect");
/// }
///
/// fuzz(b"5:hello,0:,12");
/// ```
///
/// # Errors
/// The first defect.
pub fn check_wire(wire: Wire, budget: &Budget, stream: &[u8], pieces: &[usize]) -> Result<(), WireDefect> {
    let whole = decode(wire, budget, stream, &[stream.len()])?;
    for pieces in [&[1], pieces] {
        let split = decode(wire, budget, stream, pieces)?;
        if split != whole {
            return Err(WireDefect::Split { pieces: pieces.to_vec(), split, whole });
        }
    }
    let (mut sent, mut again) = (Vec::new(), Vec::new());
    let mut encoder = Encoder::default();
    for message in whole.0 {
        if encoder.encode(wire.encoding(), message.as_payload(), &mut again).is_ok() {
            sent.push(message);
        }
    }
    let after = decode(wire, budget, &again, pieces)?;
    if after.1.is_some() || after.0 != sent {
        return Err(WireDefect::RoundTrip { before: sent, after });
    }
    Ok(())
}

/// Decodes a stream in pieces of these lengths, in a cycle. A length of 0 counts as 1.
fn decode(wire: Wire, budget: &Budget, stream: &[u8], pieces: &[usize]) -> Result<WireOutcome, WireDefect> {
    let (mut decoder, mut buffer, max) = (wire.decoder(), DecodeBuffer::default(), budget.message_max_bytes.get());
    let (mut messages, mut rest, mut lengths) = (Vec::new(), stream, pieces.iter().cycle());
    let end = |error| match error {
        DecodeError::CodecFault(fault) => Err(WireDefect::Fault(fault)),
        error => Ok(Some(error.reason())),
    };
    let mut calls = 0;
    while !rest.is_empty() {
        let length = lengths.next().map_or(rest.len(), |&length| length.clamp(1, rest.len()));
        let (piece, behind) = rest.split_at(length);
        let (mut input, mut at) = (piece.to_vec(), 0);
        rest = behind;
        while at < input.len() || decoder.is_ahead() {
            calls += 1;
            // Each call uses a byte, or yields what the bytes before it have completed.
            if calls > 4 * stream.len() + 4 {
                return Err(WireDefect::NoEnd);
            }
            let (was_ahead, input) = (decoder.is_ahead(), input.get_mut(at..).unwrap_or_default());
            match decoder.decode(input, &mut buffer, budget) {
                Ok(decoded) if decoded.used == 0 && decoded.item.is_none() && !was_ahead => {
                    return Err(WireDefect::NoProgress);
                }
                Ok(decoded) => {
                    at += decoded.used;
                    messages.extend(decoded.message().map(Payload::to_owned));
                }
                Err(error) => return Ok((messages, end(error)?)),
            }
        }
    }
    let reason = match decoder.finish(&mut buffer, budget) {
        Ok(last) => {
            messages.extend(last.map(Payload::to_owned));
            None
        }
        Err(error) => end(error)?,
    };
    let longest = messages.iter().map(|message| message.as_payload().as_bytes().len()).max().unwrap_or(0);
    if longest > max { Err(WireDefect::TooLong { bytes: longest, max }) } else { Ok((messages, reason)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Netstrings;
    use crate::wire::{Codec, CodecError, Custom, DecodeContext, Delimited, Frame, FrameDecoder, LengthPrefixed};
    use alloc::boxed::Box;

    #[test]
    fn good_wires_have_no_defect() {
        let netstrings = Wire::Custom(Custom::new(&Netstrings).expect("a good name"));
        let frames = Wire::LengthPrefixed(LengthPrefixed::default());
        for stream in [&b"5:hello,0:,1:x"[..], b"3:abc,x", b"12345678901:", b"\0\0\0\x01x\0", b"a\0\0b", b""] {
            for wire in [netstrings, frames, Wire::Delimited(Delimited::default())] {
                assert_eq!(check_wire(wire, &Budget::default(), stream, &[2, 3]), Ok(()), "{wire:?}");
            }
        }
    }

    /// A codec with the defect `split`, `round trip` or `fault`, selected by its text.
    #[derive(Debug)]
    struct Bad(&'static str);

    impl Codec for Bad {
        fn name(&self) -> &'static str {
            "bad"
        }

        fn decoder(&self) -> Box<dyn FrameDecoder> {
            Box::new(BadDecoder(self.0))
        }

        fn encode(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
            out.extend_from_slice(payload.as_bytes());
            out.push(b'y');
            Ok(())
        }
    }

    #[derive(Debug)]
    struct BadDecoder(&'static str);

    impl FrameDecoder for BadDecoder {
        fn decode(&mut self, bytes: &[u8], _: &mut DecodeContext<'_>) -> Result<Frame, CodecError> {
            Ok(match self.0 {
                "split" => Frame::Binary { used: bytes.len(), content: 0..bytes.len() },
                "round trip" => Frame::Binary { used: 1, content: 0..1 },
                _ => Frame::Skip { used: 0 },
            })
        }
    }

    #[test]
    fn defects_of_a_codec_are_found() {
        let check = |kind| {
            let codec: &'static Bad = Box::leak(Box::new(Bad(kind)));
            let wire = Wire::Custom(Custom::new(codec).expect("a good name"));
            check_wire(wire, &Budget::default(), b"xx", &[1])
        };
        assert!(matches!(check("split"), Err(WireDefect::Split { .. })));
        assert!(matches!(check("round trip"), Err(WireDefect::RoundTrip { .. })));
        assert_eq!(check("fault"), Err(WireDefect::Fault(CodecFault::NoProgress)));
    }
}
