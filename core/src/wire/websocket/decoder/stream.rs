use super::{DecodeError, Item, Masks, REPLIES_MAX_BYTES, START, State, Step, WebSocketDecoder, unmask};
use crate::base::work;
use core::ops::Range;

/// A reader of message content as one byte stream, without message and frame boundaries.
///
/// Content is unmasked in place, not copied or stored, so a message may have any length.
#[derive(Debug)]
pub(crate) struct MessageStream {
    frames: WebSocketDecoder,
    /// Number of bytes at the front of the input that are unmasked content, not yet consumed.
    unmasked: usize,
    /// Whether the current message has had content.
    has_content: bool,
    /// The pending error, which follows the content that was returned.
    failure: Option<DecodeError>,
}

/// The result of `MessageStream::next`: a piece, and the numbers of bytes and units used.
#[derive(Debug)]
pub(crate) struct Next {
    /// Number of bytes consumed, without those of a returned piece of content.
    pub(crate) used: usize,
    /// Number of control frames and empty messages in the used bytes.
    pub(crate) units: u32,
    pub(crate) piece: Piece,
}

/// A piece of the stream, or an item between two pieces.
#[derive(Debug)]
pub(crate) enum Piece {
    /// More input is needed, or the replies must be taken first.
    Nothing,
    /// Content, at this range of the input.
    ///
    /// Call [`MessageStream::consume`] with the number of bytes used.
    Content(Range<usize>),
    Item(Item<'static>),
}

impl MessageStream {
    pub(crate) const fn new(frames: WebSocketDecoder) -> Self {
        Self { frames, unmasked: 0, has_content: false, failure: None }
    }

    /// Returns the next piece of `input`, which must begin with the bytes that were not consumed.
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
        while used < input.len() && self.frames.answers.replies.len() <= REPLIES_MAX_BYTES {
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

    /// Marks `bytes` bytes of the content as consumed.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.unmasked = self.unmasked.saturating_sub(bytes);
    }

    /// Returns `true` if a frame or a message is incomplete.
    pub(crate) const fn is_partial(&self) -> bool {
        self.frames.is_partial()
    }

    /// Returns `true` if [`next`](Self::next) fails without further input.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failure.is_some() && self.unmasked == 0
    }

    pub(crate) const fn frames(&self) -> &WebSocketDecoder {
        &self.frames
    }

    pub(crate) const fn frames_mut(&mut self) -> &mut WebSocketDecoder {
        &mut self.frames
    }

    /// Unmasks the part of a frame that has arrived. Returns the number of valid bytes of content.
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
