use super::buffer::grow;
use super::codec::{Custom, DecodeContext, Frame, FrameDecoder};
use super::contained::contained;
use super::decoded::{DecodeBuffer, Decoded};
use super::errors::{CodecError, CodecFault, DecodeError};
use super::line::text;
use super::stream_start::StreamStart;
use crate::base::{Payload, work};
use crate::wire::{Budget, InvalidUtf8};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

/// Decoder of a user-defined wire: calls its [`FrameDecoder`] and reports contract violations.
///
/// Incomplete frames are kept here, so no answer of a codec can exceed the budget. A codec is
/// called a bounded number of times: not before the bytes are there for which it asked, and if it
/// asks for too few again and again, only when twice as many are there or the input is used up.
///
/// # Memory
/// At most `message_max_bytes` and [`framing_max_bytes`](super::Codec::framing_max_bytes) of an
/// incomplete frame, as much again for a written message during the call, and what the author's
/// decoder keeps.
#[derive(Debug)]
pub struct CustomDecoder {
    custom: Custom,
    /// The author's decoder. Made at the first use, where a panic is contained.
    decoder: Option<Box<dyn FrameDecoder>>,
    start: StreamStart,
    /// The beginning of an incomplete frame.
    partial: Vec<u8>,
    /// Minimum length of the incomplete frame. The codec is not called with fewer bytes.
    needed: usize,
    /// Number of bytes of the incomplete frame that were presented before.
    seen: usize,
    is_partial: bool,
}

impl CustomDecoder {
    /// Creates a decoder at the start of a stream.
    #[must_use]
    pub fn new(custom: Custom) -> Self {
        Self {
            custom,
            decoder: None,
            start: StreamStart::default(),
            partial: Vec::new(),
            needed: 0,
            seen: 0,
            is_partial: false,
        }
    }

    /// Decodes the next frame at the front of `input`, if it is complete.
    ///
    /// The [module](super) describes the interface of the decoders. If the codec needed the next
    /// byte to see that a frame had ended before it, the item comes with `used` 0.
    ///
    /// # Errors
    /// [`DecodeError::Codec`] if the peer breaks the protocol, [`DecodeError::CodecFault`] if the
    /// codec breaks its own rules, [`DecodeError::TooLarge`] before anything over the limit is
    /// stored, and [`DecodeError::InvalidUtf8`].
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        let limits = Limits::new(self.custom, budget);
        work::step(1);
        if input.is_empty() {
            return Ok(Decoded::nothing(0));
        }
        if !self.partial.is_empty() {
            return self.decode_partial(input, buffer, limits);
        }
        match self.ask(input, 0, &mut buffer.bytes, limits)? {
            Answer::More(needed) => {
                self.start.push(input);
                work::step(input.len());
                self.needed = needed;
                self.seen = input.len();
                grow(&mut self.partial, input.len(), needed);
                self.partial.extend_from_slice(input);
                Ok(Decoded::nothing(input.len()))
            }
            Answer::Frame { used, content } => {
                self.start.push(&input[..used]);
                work::step(used);
                deliver(content, &input[..used], used, buffer, limits.message)
            }
        }
    }

    /// Adds input to the stored incomplete frame, and decodes the frame if it is complete.
    fn decode_partial<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        limits: Limits,
    ) -> Result<Decoded<'a>, DecodeError> {
        let (kept, mut taken, mut repeated) = (self.partial.len(), 0, 0);
        let mut target = self.needed;
        loop {
            let more = input.len().saturating_sub(taken).min(target.saturating_sub(self.partial.len()));
            grow(&mut self.partial, more, target);
            self.partial.extend_from_slice(&input[taken..taken + more]);
            taken += more;
            work::step(more);
            if self.partial.len() < self.needed {
                break;
            }
            let partial = core::mem::take(&mut self.partial);
            repeated += self.seen;
            work::step(partial.len());
            match self.ask(&partial, self.seen, &mut buffer.bytes, limits)? {
                Answer::More(needed) => {
                    self.seen = partial.len();
                    self.partial = partial;
                    self.needed = needed;
                    // A codec that asks for one byte after the other is not called for each.
                    target = needed.max(2 * self.partial.len()).min(limits.frame);
                    if taken == input.len() {
                        break;
                    }
                }
                // The codec asked for more although this frame was complete.
                Answer::Frame { used, .. } if used < kept => return Err(CodecFault::TookBack.into()),
                Answer::Frame { used, content } => {
                    let used_now = used - kept;
                    self.start.push(&input[..used_now]);
                    (self.needed, self.seen) = (0, 0);
                    let decoded = match content {
                        Content::Range(range, is_text) => {
                            buffer.bytes = partial;
                            let content = Content::Range(range, is_text);
                            deliver_kept(content, used_now, buffer, limits.message)
                        }
                        other => deliver_kept(other, used_now, buffer, limits.message),
                    }?;
                    return Ok(Decoded { cost: used_now + repeated, ..decoded });
                }
            }
        }
        self.start.push(&input[..taken]);
        Ok(Decoded { cost: taken + repeated, ..Decoded::nothing(taken) })
    }

    /// Returns the message that the end of the input completes, if any.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if a frame is incomplete, and those of [`decode`](Self::decode).
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        let limits = Limits::new(self.custom, budget);
        let partial = core::mem::take(&mut self.partial);
        // The codec has not seen the last bytes if it waits for more. What is wrong with them must not
        // depend on how the input was split.
        if partial.len() > self.seen
            && let Answer::Frame { .. } = self.ask(&partial, self.seen, &mut buffer.bytes, limits)?
        {
            return Err(CodecFault::TookBack.into());
        }
        let was_partial = self.is_partial || !partial.is_empty();
        buffer.bytes.clear();
        let mut context =
            DecodeContext { seen: self.seen, max: limits.message, written: &mut buffer.bytes, is_over: false };
        let decoder = self.decoder.take();
        let custom = self.custom;
        let call = || {
            let mut decoder = decoder.unwrap_or_else(|| custom.codec().decoder());
            decoder.finish(&partial, &mut context)
        };
        let frame = contained(call).ok_or(CodecFault::Panicked)?.map_err(DecodeError::Codec)?;
        let is_over = context.is_over;
        match check(frame, &partial, is_over, limits, true)? {
            Answer::More(_) if was_partial => Err(DecodeError::Truncated),
            Answer::More(_) => Ok(None),
            Answer::Frame { used, .. } if used < partial.len() => Err(DecodeError::Truncated),
            Answer::Frame { content, .. } => {
                if matches!(content, Content::Range(..)) {
                    buffer.bytes = partial;
                }
                deliver_kept(content, 0, buffer, limits.message).map(|decoded| decoded.message())
            }
        }
    }

    /// Returns `true` if a frame is incomplete, or the codec's decoder is inside a message.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.is_partial || !self.partial.is_empty()
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.custom.name()
    }

    pub(super) fn begins_http(&self) -> Option<bool> {
        self.start.is_http()
    }

    /// Calls the codec's decoder with `bytes`, and checks its result.
    fn ask(&mut self, bytes: &[u8], seen: usize, written: &mut Vec<u8>, limits: Limits) -> Result<Answer, DecodeError> {
        written.clear();
        let mut context = DecodeContext { seen, max: limits.message, written, is_over: false };
        let (decoder, custom) = (&mut self.decoder, self.custom);
        let call = || {
            let decoder = decoder.get_or_insert_with(|| custom.codec().decoder());
            let frame = decoder.decode(bytes, &mut context)?;
            Ok((frame, decoder.is_partial()))
        };
        let answer: Result<_, CodecError> = contained(call).ok_or(CodecFault::Panicked)?;
        let (frame, is_partial) = answer.map_err(DecodeError::Codec)?;
        self.is_partial = is_partial;
        check(frame, bytes, context.is_over, limits, false)
    }
}

impl Drop for CustomDecoder {
    fn drop(&mut self) {
        let decoder = self.decoder.take();
        let _ = contained(|| drop(decoder));
    }
}

/// The maximum sizes of a message and of a frame, in bytes.
#[derive(Clone, Copy)]
struct Limits {
    message: usize,
    frame: usize,
}

impl Limits {
    const fn new(custom: Custom, budget: &Budget) -> Self {
        let message = budget.message_max_bytes.get();
        Self { message, frame: message + custom.framing_max_bytes() }
    }
}

/// A checked result of a codec's decoder.
enum Answer {
    /// The frame is incomplete and has at least this length.
    More(usize),
    Frame {
        used: usize,
        content: Content,
    },
}

/// Where the message of a frame is.
enum Content {
    /// In the frame. Text if the flag is set.
    Range(Range<usize>, bool),
    /// In the buffer of the call.
    Written,
    /// The frame has no message.
    None,
}

/// Checks a result of a codec's decoder against the contract and the limits.
fn check(frame: Frame, bytes: &[u8], is_over: bool, limits: Limits, is_last: bool) -> Result<Answer, DecodeError> {
    let too_large = DecodeError::TooLarge { max: limits.message };
    let (used, content) = match frame {
        Frame::More(0) => return Err(CodecFault::AskedForNothing.into()),
        Frame::More(more) => {
            let needed = bytes.len().saturating_add(more);
            return if needed > limits.frame && !is_last { Err(too_large) } else { Ok(Answer::More(needed)) };
        }
        Frame::Binary { used, content } => (used, Content::Range(content, false)),
        Frame::Text { used, content } => (used, Content::Range(content, true)),
        Frame::Written { used } => (used, Content::Written),
        Frame::Skip { used } => (used, Content::None),
    };
    let length = match &content {
        Content::Range(range, _) if range.start > range.end || range.end > used => {
            return Err(CodecFault::OutsideFrame.into());
        }
        Content::Range(range, _) => range.len(),
        Content::Written | Content::None => 0,
    };
    match used {
        0 if !is_last => Err(CodecFault::NoProgress.into()),
        _ if used > bytes.len() => Err(CodecFault::UsedTooMuch { used, given: bytes.len() }.into()),
        _ if used > limits.frame || length > limits.message => Err(too_large),
        _ if is_over && matches!(content, Content::Written) => Err(too_large),
        _ => Ok(Answer::Frame { used, content }),
    }
}

/// Turns a frame in the input into an item.
fn deliver<'a>(
    content: Content,
    frame: &'a [u8],
    used: usize,
    buffer: &'a mut DecodeBuffer,
    max: usize,
) -> Result<Decoded<'a>, DecodeError> {
    match content {
        Content::Range(range, is_text) => {
            let message = message(frame.get(range).unwrap_or_default(), is_text, max, buffer)?;
            Ok(Decoded::of_message(used, message))
        }
        other => deliver_kept(other, used, buffer, max),
    }
}

/// Turns a frame in the buffer into an item.
fn deliver_kept(
    content: Content,
    used: usize,
    buffer: &mut DecodeBuffer,
    max: usize,
) -> Result<Decoded<'_>, DecodeError> {
    let DecodeBuffer { bytes, text: replaced, .. } = buffer;
    let message = match content {
        Content::None => return Ok(Decoded { units: 1, ..Decoded::nothing(used) }),
        Content::Written => Payload::Binary(bytes),
        Content::Range(range, false) => Payload::Binary(bytes.get(range).unwrap_or_default()),
        Content::Range(range, true) => text(bytes.get(range).unwrap_or_default(), InvalidUtf8::Reject, max, replaced)?,
    };
    Ok(Decoded::of_message(used, message))
}

fn message<'a>(
    content: &'a [u8],
    is_text: bool,
    max: usize,
    buffer: &'a mut DecodeBuffer,
) -> Result<Payload<'a>, DecodeError> {
    if is_text { text(content, InvalidUtf8::Reject, max, &mut buffer.text) } else { Ok(Payload::Binary(content)) }
}
