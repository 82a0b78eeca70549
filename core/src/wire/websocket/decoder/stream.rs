use super::{DecodeError, Item, Masks, REPLIES_MAX_BYTES, START, State, Step, WebSocketDecoder, unmask};
use crate::base::work;
use core::ops::Range;

/// Reads the content of messages as one stream of bytes, in which the ends of messages and frames mean nothing.
///
/// No content is copied or kept: it is unmasked where it stands in the input, so a message may have any length.
#[derive(Debug)]
pub(crate) struct MessageStream {
    frames: WebSocketDecoder,
    /// How many of the next bytes of the input are content that was unmasked and not consumed yet.
    unmasked: usize,
    /// The message that has begun has had content.
    has_content: bool,
    /// What is wrong with the bytes after the content that was shown.
    failure: Option<DecodeError>,
}

/// What comes next in the input.
#[derive(Debug)]
pub(crate) struct Next {
    /// How many bytes stand before it.
    pub(crate) used: usize,
    /// How many messages those count as: control frames, and messages without content.
    pub(crate) units: u32,
    pub(crate) piece: Piece,
}

/// A piece of the stream, or something between two pieces.
#[derive(Debug)]
pub(crate) enum Piece {
    /// More input is needed, or replies are to be taken first.
    Nothing,
    /// Content at this place of the input, of which [`MessageStream::consume`] is to be told.
    Content(Range<usize>),
    Item(Item<'static>),
}

impl MessageStream {
    pub(crate) const fn new(frames: WebSocketDecoder) -> Self {
        Self { frames, unmasked: 0, has_content: false, failure: None }
    }

    /// Looks at the front of `input`, which begins with what was not consumed before.
    pub(crate) fn next(&mut self, input: &mut [u8], masks: &mut Masks) -> Result<Next, DecodeError> {
        if self.unmasked > 0 {
            let piece = Piece::Content(0..self.unmasked.min(input.len()));
            return Ok(Next { used: 0, units: 0, piece });
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let (mut used, mut empty) = (0, 0);
        self.frames.controls = 0;
        let mut piece = Piece::Nothing;
        while used < input.len() && self.frames.replies.len() <= REPLIES_MAX_BYTES {
            work::step(1);
            match self.frames.state {
                State::Header { .. } | State::Control { .. } => {
                    match self.frames.step(input, &mut used, usize::MAX, masks)? {
                        Step::Nothing => {}
                        Step::Item(item) => {
                            piece = Piece::Item(item);
                            break;
                        }
                        Step::EmptyEnd => {
                            empty += u32::from(!self.has_content);
                            self.end_message();
                            if let Some(failure) = self.failure {
                                return Err(failure);
                            }
                        }
                    }
                }
                State::Data { .. } => {
                    let content = self.content(&mut input[used..]);
                    if let (0, Some(failure)) = (content, self.failure) {
                        return Err(failure);
                    }
                    piece = Piece::Content(used..used + content);
                    break;
                }
                State::Closed => used = input.len(),
            }
        }
        Ok(Next { used, units: self.frames.controls + empty, piece })
    }

    /// So many bytes of the content that was shown are done with.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.unmasked = self.unmasked.saturating_sub(bytes);
    }

    /// Whether a frame or a message has begun and is not complete.
    pub(crate) const fn is_partial(&self) -> bool {
        self.frames.is_partial()
    }

    /// Whether [`next`](Self::next) fails without further input.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failure.is_some() && self.unmasked == 0
    }

    pub(crate) const fn frames(&self) -> &WebSocketDecoder {
        &self.frames
    }

    pub(crate) const fn frames_mut(&mut self) -> &mut WebSocketDecoder {
        &mut self.frames
    }

    /// Unmasks what is there of a frame; how many bytes of it are content that is in order.
    fn content(&mut self, rest: &mut [u8]) -> usize {
        let State::Data { header, missing } = &mut self.frames.state else { return 0 };
        let (header, take) = (*header, (*missing).min(rest.len()));
        let passed = usize::try_from(header.length).unwrap_or(usize::MAX) - *missing;
        *missing -= take;
        let ended = *missing == 0;
        work::step(2 * take);
        unmask(&mut rest[..take], header.mask.unwrap_or_default(), passed);
        self.unmasked = take;
        self.has_content = true;
        if let Some(message) = self.frames.message.as_mut().filter(|message| message.is_text) {
            let before = message.check;
            if !message.check.push(&rest[..take]) {
                let mut check = before;
                self.unmasked = rest.iter().take_while(|byte| check.push(&[**byte])).count();
                self.failure = Some(DecodeError::InvalidUtf8 { valid_up_to: self.unmasked });
                return self.unmasked;
            }
        }
        if ended {
            self.frames.state = START;
            if header.fin {
                self.end_message();
            }
        }
        self.unmasked
    }

    fn end_message(&mut self) {
        self.has_content = false;
        self.frames.state = START;
        let message = self.frames.message.take();
        if message.is_some_and(|message| message.is_text && !message.check.is_whole()) {
            self.failure = Some(DecodeError::InvalidUtf8 { valid_up_to: self.unmasked });
        }
    }
}
