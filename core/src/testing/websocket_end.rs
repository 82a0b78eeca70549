//! The state of a test's WebSocket client.

use crate::base::{Failure, Payload};
use crate::wire::http::{HeadSearch, OpeningHandshake};
use crate::wire::websocket::{CloseCode, Masks, Opcode, Role, WebSocketDecoder, fragment, last_content};
use crate::wire::{Budget, DecodeBuffer, Item, MessageSize};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A message or control frame that a [`TestWebSocket`](super::TestWebSocket) received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebSocketMessage {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// The answer to a [`ping`](super::TestWebSocket::ping).
    Pong,
    /// A close frame. No message follows.
    #[non_exhaustive]
    Close {
        /// The close code, if the server sent one.
        code: Option<CloseCode>,
        /// The reason after the code.
        reason: String,
    },
}

impl WebSocketMessage {
    /// Returns the text of a text message.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// The client's end of a WebSocket: the handshake, and the frames after it.
pub(super) struct WebSocketEnd {
    handshake: OpeningHandshake,
    /// The `Sec-WebSocket-Accept` that proves that the server read the key.
    accept: String,
    state: State,
    /// The input that is not decoded yet.
    held: Vec<u8>,
    /// The decoded frames since the last item.
    since_item: Vec<u8>,
    buffer: DecodeBuffer,
    masks: Masks,
    has_closed: bool,
    subprotocol: Option<usize>,
    messages: Vec<WebSocketMessage>,
}

enum State {
    /// The response is not complete. `used`: the length of the interim responses before it.
    Opening {
        search: HeadSearch,
        used: usize,
    },
    Open(Box<WebSocketDecoder>),
    Failed(Failure),
}

impl WebSocketEnd {
    /// Begins a handshake. Returns the request as well.
    pub(super) fn new(handshake: OpeningHandshake, seed: u64) -> (Self, Vec<u8>) {
        let mut masks = Masks::new(seed);
        let (request, accept) = handshake.request("localhost", false, masks.nonce());
        let end = Self {
            handshake,
            accept,
            state: State::Opening { search: HeadSearch::default(), used: 0 },
            held: Vec::new(),
            since_item: Vec::new(),
            // The decoder masks its pongs, with other masks than those of the messages.
            buffer: DecodeBuffer::new(!seed),
            masks,
            has_closed: false,
            subprotocol: None,
            messages: Vec::new(),
        };
        (end, request)
    }

    /// Returns whether the handshake is complete, or how it failed.
    pub(super) const fn is_open(&self) -> Result<bool, Failure> {
        match &self.state {
            State::Opening { .. } => Ok(false),
            State::Open(_) => Ok(true),
            State::Failed(failure) => Err(*failure),
        }
    }

    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.handshake.subprotocols.get(self.subprotocol?).map(String::as_str)
    }

    pub(super) fn messages(&self) -> &[WebSocketMessage] {
        &self.messages
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
    }

    /// Returns one masked frame. `is_last`: it ends its message.
    pub(super) fn frame(&mut self, opcode: Opcode, is_last: bool, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.has_closed |= opcode == Opcode::Close;
        fragment(opcode, is_last, content, self.masks.next(Role::Client), &mut out);
        out
    }

    /// Returns a ping, whose pong becomes [`WebSocketMessage::Pong`]. `number` is its content.
    pub(super) fn ping(&mut self, number: u64) -> Vec<u8> {
        let State::Open(decoder) = &mut self.state else { return Vec::new() };
        decoder.send_ping(number, &mut self.masks);
        decoder.take_pongs()
    }

    /// Decodes received bytes. Returns the bytes to send in answer.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        if let State::Opening { search, used } = &mut self.state {
            match self.handshake.parse_response(&self.held, search, used, &self.accept) {
                Ok(None) => return Vec::new(),
                Ok(Some((socket, subprotocol))) => {
                    self.held.drain(..*used);
                    (self.state, self.subprotocol) =
                        (State::Open(Box::new(WebSocketDecoder::new(socket))), subprotocol);
                }
                Err(failure) => self.state = State::Failed(failure),
            }
        }
        self.decode()
    }

    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    fn decode(&mut self) -> Vec<u8> {
        let (mut input, mut at, mut out) = (core::mem::take(&mut self.held), 0, Vec::new());
        let State::Open(decoder) = &mut self.state else { return out };
        let budget = Budget::default().message_max_bytes(MessageSize::MAX);
        // The decoder decodes in place.
        let raw = input.clone();
        while at < input.len() || decoder.is_ahead() {
            let decoded = match decoder.decode(&mut input[at..], &mut self.buffer, &budget) {
                Ok(decoded) => decoded,
                Err(error) => panic!("the server broke the WebSocket protocol: {error}"),
            };
            self.since_item.extend_from_slice(&raw[at..at + decoded.used]);
            at += decoded.used;
            if let Some(item) = decoded.item {
                self.messages.extend(message(item, &self.since_item));
                self.since_item.clear();
            }
            out.append(&mut decoder.take_pongs());
            let farewell = decoder.take_farewell();
            // An endpoint sends one close frame (RFC 6455 section 5.5.1).
            if !farewell.is_empty() && !core::mem::replace(&mut self.has_closed, true) {
                out.extend(farewell);
            }
        }
        out
    }
}

/// Returns what a test sees of an item. `frames`: those since the last item.
fn message(item: Item<'_>, frames: &[u8]) -> Option<WebSocketMessage> {
    Some(match item {
        Item::Message(Payload::Text(text)) => WebSocketMessage::Text(text.to_string()),
        Item::Message(payload) => WebSocketMessage::Binary(payload.as_bytes().to_vec()),
        Item::Pong(_) => WebSocketMessage::Pong,
        Item::Closed(code) => {
            let reason = last_content(frames).get(2..).unwrap_or_default();
            WebSocketMessage::Close { code, reason: String::from_utf8_lossy(reason).into_owned() }
        }
        Item::Signal(_) => return None,
    })
}
