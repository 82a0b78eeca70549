mod stream;

pub(crate) use stream::{MessageStream, Piece};

use super::deflate::Inflating;
use super::frame::{CONTROL_MAX_BYTES, HEADER_MAX_BYTES, Header, Opcode, frame, unmask};
use super::utf8::Utf8Check;
use super::{CloseCode, Masks, Role, WebSocket};
use crate::base::lazy_box::{HasEmpty, LazyBox};
use crate::base::{Payload, work};
use crate::wire::Budget;
use crate::wire::telnet::Replies;
use crate::wire::{DecodeBuffer, DecodeError, Decoded, Item, grow};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// Decoder of WebSocket frames, which also answers pings and close frames.
///
/// A message that arrives as a single, complete frame is not copied: it is unmasked in place. Text
/// is validated as it arrives, so invalid UTF-8 fails at once (RFC 6455 section 8.1).
///
/// # Memory
/// At most `message_max_bytes` of content that has arrived. While a compressed message is inflated,
/// it takes about twice that.
#[derive(Debug)]
pub struct WebSocketDecoder {
    socket: WebSocket,
    state: State,
    /// The message that is incomplete or being inflated, if any.
    message: Option<Message>,
    partial: Vec<u8>,
    /// A complete message that is being inflated. The input after it waits.
    inflating: Option<Box<Inflating>>,
    answers: LazyBox<Answers>,
    /// Number of control frames in this call of `decode`.
    controls: u32,
    /// The content of our last ping, if the peer has not answered it.
    ping: Option<u64>,
}

/// What waits to be sent.
#[derive(Debug, Default)]
struct Answers {
    /// Pings and pongs.
    replies: Vec<u8>,
    /// The offset of the last pong in `replies`.
    last_pong: u16,
    /// The answer to a close frame.
    farewell: Vec<u8>,
}

impl HasEmpty for Answers {
    const EMPTY: &'static Self = &Self { replies: Vec::new(), last_pong: 0, farewell: Vec::new() };
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A header, of which `count` bytes have arrived.
    Header { bytes: [u8; HEADER_MAX_BYTES], count: u8 },
    /// A data frame, with `missing` bytes of its content still to arrive.
    Data { header: Header, missing: usize },
    /// A control frame, of whose content `count` bytes have arrived.
    ///
    /// It may occur between the frames of a message.
    Control { header: Header, content: Box<[u8; CONTROL_MAX_BYTES]>, count: u8 },
    /// A close frame was received or sent. Further input is ignored.
    Closed,
}

/// State of a message that is incomplete or being inflated, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    is_text: bool,
    compressed: bool,
    /// Number of the message's frames that are empty and not final.
    ///
    /// No other limit counts them.
    empty: u16,
    check: Utf8Check,
}

enum Step {
    Nothing,
    Item(Item<'static>),
    /// The message ended with an empty frame.
    EmptyEnd,
}

/// Maximum number of empty frames in a message, not counting the final frame.
const EMPTY_FRAMES_MAX: u16 = 1024;
/// The state at the start of a frame.
const START: State = State::Header { bytes: [0; HEADER_MAX_BYTES], count: 0 };
/// Limit on the bytes of pending pings and pongs, above which no more input is decoded.
const REPLIES_MAX_BYTES: usize = 4 << 10;
/// Number of control frames per `decode`, beyond which a pong replaces the last pending pong.
///
/// RFC 6455 section 5.5.3 allows that.
const PONGS_MAX: u32 = 16;

impl WebSocketDecoder {
    /// Creates a decoder for the stream after the handshake.
    #[must_use]
    pub const fn new(socket: WebSocket) -> Self {
        Self {
            socket,
            state: START,
            message: None,
            partial: Vec::new(),
            inflating: None,
            answers: LazyBox::new(),
            controls: 0,
            ping: None,
        }
    }

    /// Decodes the next [`Item`] at the front of `input`, if it is complete.
    ///
    /// [`wire`](crate::wire) describes the interface of the decoders.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] as soon as the length is known and before the content is kept,
    /// [`DecodeError::InvalidUtf8`], [`DecodeError::Compression`], and [`DecodeError::Frame`] for a
    /// violation of the protocol.
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        let max = budget.message_max_bytes.get();
        let mut used = 0;
        self.controls = 0;
        if let Some(inflating) = self.inflating.take() {
            return self.go_on_inflating(inflating, buffer, max);
        }
        while used < input.len() && self.answers.replies.len() <= REPLIES_MAX_BYTES {
            work::step(1);
            match &mut self.state {
                State::Header { .. } | State::Control { .. } => {
                    match self.step(input, &mut used, max, &mut buffer.masks)? {
                        Step::Nothing => {}
                        Step::Item(item) => return Ok(Decoded { units: self.controls, ..Decoded::of(used, item) }),
                        Step::EmptyEnd => return self.complete(used, &mut [], buffer, max),
                    }
                }
                State::Data { header, missing } => {
                    let (header, at) = (*header, used);
                    let take = (*missing).min(input.len() - at);
                    let passed = usize::try_from(header.length).unwrap_or(usize::MAX) - *missing;
                    *missing -= take;
                    work::step(2 * take);
                    used += take;
                    let ended = *missing == 0;
                    let content = &mut input[at..used];
                    unmask(content, header.mask.unwrap_or_default(), passed);
                    if let Some(message) =
                        self.message.as_mut().filter(|message| message.is_text && !message.compressed)
                        && !message.check.push(content)
                    {
                        return Err(DecodeError::InvalidUtf8 { valid_up_to: self.partial.len() });
                    }
                    if ended && header.fin {
                        return self.complete(used, &mut input[at..used], buffer, max);
                    }
                    let whole = self.partial.len() + if ended { take } else { take + 1 };
                    grow(&mut self.partial, take, max.max(whole));
                    work::step(take);
                    self.partial.extend_from_slice(&input[at..used]);
                    if ended {
                        self.state = START;
                    }
                }
                State::Closed => used = input.len(),
            }
        }
        Ok(Decoded { units: self.controls, ..Decoded::nothing(used) })
    }

    /// Checks that the input does not end inside a frame or a message.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if a frame or a message is incomplete.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        if self.is_partial() { Err(DecodeError::Truncated) } else { Ok(()) }
    }

    /// Returns `true` if [`decode`](Self::decode) can inflate more without further input.
    #[must_use]
    pub const fn is_ahead(&self) -> bool {
        self.inflating.is_some()
    }

    /// Returns `true` if a frame or a message is incomplete, or a message is being inflated.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        match self.state {
            _ if self.inflating.is_some() => true,
            State::Header { count, .. } => count > 0 || self.message.is_some(),
            State::Data { .. } | State::Control { .. } => true,
            State::Closed => false,
        }
    }

    /// Takes the pending pings and pongs, and the answer to a close frame, if any.
    ///
    /// Pings and pongs go between two queued messages, and the answer to a close frame after all of
    /// them.
    pub fn replies(&mut self) -> Option<Replies> {
        self.answers.get()?;
        let Answers { replies: control, farewell: output, .. } = self.answers.take();
        let has_some = !control.is_empty() || !output.is_empty();
        has_some.then_some(Replies { control, output })
    }

    pub(crate) fn take_pongs(&mut self) -> Vec<u8> {
        self.answers.get_mut().map(|answers| core::mem::take(&mut answers.replies)).unwrap_or_default()
    }

    pub(crate) fn take_farewell(&mut self) -> Vec<u8> {
        self.answers.get_mut().map(|answers| core::mem::take(&mut answers.farewell)).unwrap_or_default()
    }

    /// Returns `true` if a close frame was received or sent.
    pub(crate) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Queues a ping whose content is the time `now`, unless the WebSocket is closed.
    pub(crate) fn send_ping(&mut self, now: u64, masks: &mut Masks) {
        if self.state != State::Closed {
            self.ping = Some(now);
            self.reply(Opcode::Ping, &now.to_be_bytes(), masks);
        }
    }

    /// Returns the interval between pings, which is also the silence before the first ping.
    pub(crate) const fn ping_interval(&self) -> Option<Duration> {
        self.socket.ping
    }

    /// Appends a close frame to `out`, unless one was sent or received (RFC 6455 section 5.5.1).
    ///
    /// If the answer to the peer's close frame is pending, it is appended instead.
    pub(crate) fn close(&mut self, content: &[u8], masks: &mut Masks, out: &mut Vec<u8>) {
        out.append(&mut self.take_farewell());
        if self.state != State::Closed {
            frame(Opcode::Close, content, masks.next(self.socket.role), out);
            self.state = State::Closed;
        }
    }

    /// Reads part of a header or of a control frame, and handles the header or frame once complete.
    fn step(&mut self, input: &[u8], used: &mut usize, max: usize, masks: &mut Masks) -> Result<Step, DecodeError> {
        match &mut self.state {
            State::Header { bytes, count } => {
                let Some(header) = take_header(bytes, count, input, used)? else { return Ok(Step::Nothing) };
                self.begin_frame(header, max)?;
                if header.opcode.is_control() {
                    return self.begin_control(header, input, used, masks);
                }
                Ok(if header.length == 0 && header.fin { Step::EmptyEnd } else { Step::Nothing })
            }
            State::Control { header, content, count } => {
                let length = usize::try_from(header.length).unwrap_or(CONTROL_MAX_BYTES);
                let begun = usize::from(*count);
                let take = (length - begun).min(input.len() - *used);
                content[begun..begun + take].copy_from_slice(&input[*used..*used + take]);
                work::step(2 * take);
                *used += take;
                *count += u8::try_from(take).unwrap_or(0);
                if begun + take < length {
                    return Ok(Step::Nothing);
                }
                let (header, mut content) = (*header, **content);
                self.masked_control(header, &mut content[..length], masks)
            }
            State::Data { .. } | State::Closed => Ok(Step::Nothing),
        }
    }

    /// Handles a control frame if all of it has arrived, as most often. Otherwise its content is collected.
    fn begin_control(
        &mut self,
        header: Header,
        input: &[u8],
        used: &mut usize,
        masks: &mut Masks,
    ) -> Result<Step, DecodeError> {
        let length = usize::try_from(header.length).unwrap_or(CONTROL_MAX_BYTES);
        let mut content = [0; CONTROL_MAX_BYTES];
        let Some(arrived) = input.get(*used..*used + length) else {
            self.state = State::Control { header, content: Box::new(content), count: 0 };
            return Ok(Step::Nothing);
        };
        let content = &mut content[..length];
        content.copy_from_slice(arrived);
        work::step(2 * length);
        *used += length;
        self.masked_control(header, content, masks)
    }

    fn masked_control(&mut self, header: Header, content: &mut [u8], masks: &mut Masks) -> Result<Step, DecodeError> {
        unmask(content, header.mask.unwrap_or_default(), 0);
        self.control(header.opcode, content, masks)
    }

    fn begin_frame(&mut self, header: Header, max: usize) -> Result<(), DecodeError> {
        match (self.socket.role, header.mask) {
            (Role::Server, None) => return Err(DecodeError::Frame("unmasked frame from a client")),
            (Role::Client, Some(_)) => return Err(DecodeError::Frame("masked frame from a server")),
            _ => {}
        }
        let begins = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        if header.compressed && (self.socket.deflate.is_none() || !begins) {
            return Err(DecodeError::Frame("reserved bit set"));
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        match (header.opcode, self.message) {
            (Opcode::Continuation, None) => return Err(DecodeError::Frame("continuation frame without a message")),
            (Opcode::Continuation, Some(_)) => {}
            (_, Some(_)) => return Err(DecodeError::Frame("new message before the end of the last one")),
            (opcode, None) => {
                let (is_text, compressed) = (opcode == Opcode::Text, header.compressed);
                self.message = Some(Message { is_text, compressed, empty: 0, check: Utf8Check::default() });
            }
        }
        if let Some(message) = self.message.as_mut().filter(|_| header.length == 0 && !header.fin) {
            message.empty += 1;
            if message.empty > EMPTY_FRAMES_MAX {
                return Err(DecodeError::Frame("too many empty frames in a message"));
            }
        }
        // Deflate expands incompressible data by at most five bytes per block of 64 KiB (RFC 1951
        // section 3.2.4).
        let compressed = self.message.is_some_and(|message| message.compressed);
        let most = if compressed { max + max / 1024 + 64 } else { max };
        let length = usize::try_from(header.length).ok().filter(|length| self.partial.len() + length <= most);
        let missing = length.ok_or(DecodeError::TooLarge { max })?;
        self.state = if missing > 0 { State::Data { header, missing } } else { START };
        Ok(())
    }

    /// Completes the message that consists of `self.partial` and its last part, `last`.
    fn complete<'a>(
        &mut self,
        used: usize,
        last: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        max: usize,
    ) -> Result<Decoded<'a>, DecodeError> {
        self.state = START;
        let Some(message) = self.message.take() else { return Ok(Decoded::nothing(used)) };
        let DecodeBuffer { bytes, inflater, .. } = buffer;
        let mut content: &'a [u8] = last;
        if !self.partial.is_empty() {
            let whole = self.partial.len() + content.len();
            grow(&mut self.partial, content.len(), max.max(whole));
            work::step(content.len());
            self.partial.extend_from_slice(content);
        }
        let mut cost = used;
        if message.compressed {
            let compressed = core::mem::take(&mut self.partial);
            bytes.clear();
            let all = if compressed.is_empty() { content } else { &compressed };
            let (spent, rest) = inflater.begin(all, bytes, max)?;
            cost = used.max(spent);
            if let Some(rest) = rest {
                self.message = Some(message);
                self.inflating = Some(rest);
                return Ok(Decoded { cost, units: self.controls, ..Decoded::nothing(used) });
            }
            content = bytes;
        } else if !self.partial.is_empty() {
            *bytes = core::mem::take(&mut self.partial);
            content = bytes;
        }
        let payload = message.payload(content)?;
        Ok(Decoded { cost, units: self.controls + 1, ..Decoded::of_message(used, payload) })
    }

    /// Continues to inflate a message.
    fn go_on_inflating<'a>(
        &mut self,
        mut inflating: Box<Inflating>,
        buffer: &'a mut DecodeBuffer,
        max: usize,
    ) -> Result<Decoded<'a>, DecodeError> {
        let (cost, whole) = inflating.go_on(max)?;
        let Some(whole) = whole else {
            self.inflating = Some(inflating);
            return Ok(Decoded { cost, ..Decoded::nothing(0) });
        };
        buffer.bytes = whole;
        let Some(message) = self.message.take() else { return Ok(Decoded::nothing(0)) };
        let payload = message.payload(&buffer.bytes)?;
        Ok(Decoded { cost, ..Decoded::of_message(0, payload) })
    }

    fn control(&mut self, opcode: Opcode, content: &[u8], masks: &mut Masks) -> Result<Step, DecodeError> {
        self.state = START;
        self.controls += 1;
        match opcode {
            Opcode::Ping => {
                let answers = &mut *self.answers;
                if self.controls > PONGS_MAX {
                    answers.replies.truncate(answers.last_pong.into());
                }
                answers.last_pong = u16::try_from(answers.replies.len()).unwrap_or(0);
                self.reply(Opcode::Pong, content, masks);
                Ok(Step::Nothing)
            }
            Opcode::Close => {
                let code = close_code(content)?;
                self.state = State::Closed;
                // Returns the code (RFC 6455 section 5.5.1). No data may follow a close frame.
                let content = code.map_or(&[][..], |_| &content[..2]);
                frame(Opcode::Close, content, masks.next(self.socket.role), &mut self.answers.farewell);
                Ok(Step::Item(Item::Closed(code)))
            }
            Opcode::Pong => {
                let sent_at = content.try_into().ok().map(u64::from_be_bytes);
                let answers = sent_at.is_some() && sent_at == self.ping;
                let pong = self.ping.take_if(|_| answers);
                Ok(pong.map_or(Step::Nothing, |sent_at| Step::Item(Item::Pong(sent_at))))
            }
            _ => Ok(Step::Nothing),
        }
    }

    fn reply(&mut self, opcode: Opcode, content: &[u8], masks: &mut Masks) {
        frame(opcode, content, masks.next(self.socket.role), &mut self.answers.replies);
    }
}

impl Message {
    fn payload(self, content: &[u8]) -> Result<Payload<'_>, DecodeError> {
        if !self.is_text {
            return Ok(Payload::Binary(content));
        }
        let invalid = |valid_up_to| DecodeError::InvalidUtf8 { valid_up_to };
        if !self.compressed && !self.check.is_whole() {
            return Err(invalid(content.len()));
        }
        work::step(content.len());
        core::str::from_utf8(content).map(Payload::Text).map_err(|error| invalid(error.valid_up_to()))
    }
}

fn take_header(
    bytes: &mut [u8; HEADER_MAX_BYTES],
    count: &mut u8,
    input: &[u8],
    used: &mut usize,
) -> Result<Option<Header>, DecodeError> {
    loop {
        let known = usize::from(*count);
        if known >= 2 && known == Header::size(&bytes[..known]) {
            return Header::read(&bytes[..known]).map(Some);
        }
        let Some(&byte) = input.get(*used) else { return Ok(None) };
        work::step(1);
        bytes[known] = byte;
        *used += 1;
        *count += 1;
        // Reject an invalid header as soon as its first two bytes are there.
        if *count == 2 {
            Header::check(bytes[0], bytes[1])?;
        }
    }
}

/// Checks the content of a close frame and returns its code, or `None` if the frame is empty.
fn close_code(content: &[u8]) -> Result<Option<CloseCode>, DecodeError> {
    match content {
        [] => Ok(None),
        &[high, low, ref words @ ..] => {
            let code = CloseCode::new(u16::from_be_bytes([high, low]));
            let code = code.map_err(|_| DecodeError::Frame("reserved or undefined close code"))?;
            core::str::from_utf8(words)
                .map_err(|error| DecodeError::InvalidUtf8 { valid_up_to: error.valid_up_to() })?;
            Ok(Some(code))
        }
        [_] => Err(DecodeError::Frame("close frame with one byte of content")),
    }
}
