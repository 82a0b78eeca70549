//! Ready-made peers for every wire, each with its own simple codec.
//!
//! They use no code of the server, because a test cannot find a mistake that both sides share.

mod carried;
mod codec;
mod first;
mod frames;
mod http;
mod lines;
mod netstrings;
mod parts;
mod proxy;
mod telnet;
#[cfg(feature = "tls")]
mod tls;
mod websocket;

use super::peer::{Act, Actor};
use crate::base::Random;
use crate::wire::LengthPrefix;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use codec::Codec;
use core::fmt;

/// A ready-made peer: a wire, and a script of what to send.
///
/// A world fails if a client receives something that its wire does not allow, for example:
///
/// - a frame that does not decode, or bytes after a Close;
/// - a message that is cut off although the server ended the connection in good order;
/// - parameters of a telnet option that is off, or a screen that differs from what was typed;
/// - an HTTP response without a request.
pub struct Client {
    codec: Box<dyn Codec>,
    script: Script,
    /// Replies to send at once.
    replies: Vec<u8>,
    sessions: Vec<Session>,
    /// The message to send as soon as the connection opens.
    first: Option<String>,
    /// The function that computes the answer to a received message.
    answers: Option<Answers>,
    /// Messages to send as soon as the codec is ready.
    waiting: VecDeque<String>,
    /// Generator of the random numbers for encoding `waiting` messages.
    random: Random,
    broken: Option<String>,
}

/// The record of one connection of a [`Client`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The messages that the client sent, in order.
    pub said: Vec<String>,
    /// The messages that the client received, in order.
    ///
    /// Over HTTP, the status codes of the responses. For a [typist](Client::typist), the lines that
    /// its screen showed, once the connection is over.
    pub heard: Vec<String>,
    /// Whether the client sent its wire's closing message, or ended its half.
    pub has_ended: bool,
    /// The text that the client had typed without Enter when it ended its half.
    ///
    /// Where the server edits the line, this is the client's last message.
    pub unfinished: Option<String>,
    /// Whether the server refused the connection.
    pub was_refused: bool,
}

/// An action of a [`Client`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Do {
    /// The client does nothing.
    Wait,
    /// The client sends one message, or over HTTP a request for this path.
    Say(String),
    /// The client sends unframed bytes, inside its TLS or carrying WebSocket if it has one.
    Raw(Vec<u8>),
    /// The client sends random input of its wire, such as a ping, editing keys or an option.
    Fidget,
    /// The client sends its wire's closing message: a WebSocket Close, or `close_notify` in TLS.
    ///
    /// On a wire without a closing message, the client ends its half of the connection.
    Close,
    /// The client ends its half of the connection.
    End,
    /// The client closes the connection without reading further.
    Leave,
}

type Answers = Box<dyn FnMut(&str) -> Option<String>>;

enum Script {
    Lines(VecDeque<String>),
    Call(Box<dyn FnMut(&mut Random) -> Do>),
}

impl Client {
    /// Creates a client that sends lines ending with LF or CR LF, and accepts both.
    #[must_use]
    pub fn lines() -> Self {
        Self::of(lines::Lines::default())
    }

    /// Creates a client whose messages are frames with this length prefix.
    #[must_use]
    pub fn length_prefixed(prefix: LengthPrefix) -> Self {
        Self::of(frames::Frames::new(prefix))
    }

    /// Creates a client whose messages end with this delimiter.
    #[must_use]
    pub fn delimited(delimiter: &[u8]) -> Self {
        Self::of(parts::Parts::delimited(delimiter))
    }

    /// Creates a client for a raw listener.
    ///
    /// Raw bytes have no messages, so the application must give them some: the client ends what it
    /// sends with `ending`, and what it receives is a message up to and including each `end`.
    #[must_use]
    pub fn raw(ending: &[u8], end: &[u8]) -> Self {
        Self::of(parts::Parts::raw(ending, end))
    }

    /// Creates a client for a listener with the codec [`Netstrings`](crate::testing::Netstrings).
    #[must_use]
    pub fn netstrings() -> Self {
        Self::of(netstrings::Netstrings::default())
    }

    /// Creates a telnet client that sends whole lines, and agrees to a random set of options.
    #[must_use]
    pub fn telnet() -> Self {
        Self::of(telnet::Telnet::new(None))
    }

    /// Creates a telnet client that types single keys on a screen with this many columns.
    ///
    /// It types and edits once the server agrees to echo. `line_max_bytes` is the longest line that
    /// the server accepts.
    #[must_use]
    pub fn typist(columns: u16, line_max_bytes: usize) -> Self {
        Self::of(telnet::Telnet::new(Some((columns, line_max_bytes))))
    }

    /// Creates a WebSocket client for the path `/` that offers compression.
    #[must_use]
    pub fn websocket() -> Self {
        Self::websocket_at("/", true)
    }

    /// Creates a WebSocket client for a path. With `deflate`, it offers compression.
    #[must_use]
    pub fn websocket_at(path: &str, deflate: bool) -> Self {
        Self::of(websocket::WebSocket::new(path, deflate))
    }

    /// Creates an HTTP client that pipelines requests. Each message is the path of a request.
    #[must_use]
    pub fn http() -> Self {
        Self::of(http::Http::default())
    }

    fn of(codec: impl Codec + 'static) -> Self {
        Self {
            codec: Box::new(codec),
            script: Script::Lines(VecDeque::new()),
            replies: Vec::new(),
            sessions: Vec::new(),
            first: None,
            answers: None,
            waiting: VecDeque::new(),
            random: Random::new(0),
            broken: None,
        }
    }

    /// Carries the client's bytes in the messages of a WebSocket at this path (`ws+telnet`).
    #[must_use]
    pub fn in_websocket(self, path: &str) -> Self {
        Self { codec: Box::new(carried::Carried::new(websocket::WebSocket::new(path, false), self.codec)), ..self }
    }

    /// Adapts a telnet client to a listener of [`Auto`](crate::wire::Auto).
    ///
    /// The client sends a telnet command first, or nothing until it receives something. The
    /// listener treats a peer whose first bytes are text as a line client.
    #[must_use]
    pub fn telnet_first(self) -> Self {
        Self { codec: Box::new(first::First::new(self.codec)), ..self }
    }

    /// Makes the client send this PROXY header before everything else.
    #[must_use]
    pub fn behind_proxy(self, header: Vec<u8>) -> Self {
        Self { codec: Box::new(proxy::Proxied::new(header, self.codec)), ..self }
    }

    /// Makes the client use TLS, with `name` as the server name.
    ///
    /// The configuration holds the session tickets: clients that share it resume sessions.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn over_tls(
        self,
        config: alloc::sync::Arc<rustls::ClientConfig>,
        name: rustls::pki_types::ServerName<'static>,
    ) -> Self {
        Self { codec: Box::new(tls::Tls::new(config, name, self.codec)), ..self }
    }

    /// Sets the messages that the client sends, one per turn of the client.
    #[must_use]
    pub fn says<T: Into<String>>(self, messages: impl IntoIterator<Item = T>) -> Self {
        Self { script: Script::Lines(messages.into_iter().map(Into::into).collect()), ..self }
    }

    /// Sets the message that the client sends as soon as the connection opens.
    ///
    /// A listener of [`Auto`](crate::wire::Auto) detects a peer that waits as a telnet client.
    #[must_use]
    pub fn begins_with(self, message: &str) -> Self {
        Self { first: Some(message.into()), ..self }
    }

    /// Sets a function that returns the answer to a received message, which is sent at once.
    ///
    /// An example is a login. Has no effect for a [`typist`](Self::typist), which receives no
    /// single messages.
    #[must_use]
    pub fn answers(self, answer: impl FnMut(&str) -> Option<String> + 'static) -> Self {
        Self { answers: Some(Box::new(answer)), ..self }
    }

    /// Sets a function that chooses the client's next action, once per turn of the client.
    #[must_use]
    pub fn does(self, next: impl FnMut(&mut Random) -> Do + 'static) -> Self {
        Self { script: Script::Call(Box::new(next)), ..self }
    }

    /// Returns the messages that the client received on its last connection.
    #[must_use]
    pub fn heard(&self) -> &[String] {
        self.sessions.last().map_or(&[], |session| &session.heard)
    }

    /// Returns the records of the client's connections, in order, including refused ones.
    #[must_use]
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    fn next(&mut self, random: &mut Random) -> Do {
        match &mut self.script {
            Script::Lines(lines) => lines.pop_front().map_or(Do::Wait, Do::Say),
            Script::Call(next) => next(random),
        }
    }

    /// Returns the action of a client that is not ready: to wait, or rarely to end or leave.
    fn leave_early(&self, random: &mut Random) -> Do {
        match (&self.script, random.below(100)) {
            (Script::Call(_), 0) => Do::Leave,
            (Script::Call(_), 1) => Do::End,
            _ => Do::Wait,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(session) = self.sessions.last_mut() else { return };
        let before = session.heard.len();
        if let Err(broken) = self.codec.hear(bytes, &mut session.heard, &mut self.replies) {
            self.broken.get_or_insert(broken);
        }
        if let Some(answer) = &mut self.answers {
            self.waiting.extend(session.heard[before..].iter().filter_map(|message| answer(message)));
        }
        while self.codec.is_ready()
            && !session.has_ended
            && let Some(message) = self.waiting.pop_front()
        {
            self.codec.say(&message, &mut self.random, &mut self.replies);
            session.said.push(message);
        }
    }
}

impl Actor for Client {
    fn connected(&mut self, random: &mut Random) -> Vec<u8> {
        let mut session = Session::default();
        self.random = Random::new(random.next_u64());
        self.replies.clear();
        self.waiting.clear();
        let mut out = Vec::new();
        self.codec.begin(random, &mut out);
        match &self.first {
            Some(message) if self.codec.is_ready() => {
                self.codec.say(message, random, &mut out);
                session.said.push(message.clone());
            }
            Some(message) => self.waiting.push_back(message.clone()),
            None => {}
        }
        self.sessions.push(session);
        out
    }

    fn act(&mut self, random: &mut Random) -> Act {
        let ready = self.codec.is_ready();
        let next = if ready { self.next(random) } else { self.leave_early(random) };
        let Some(session) = self.sessions.last_mut().filter(|session| !session.has_ended) else { return Act::Wait };
        let mut out = Vec::new();
        match next {
            Do::Wait => {}
            Do::Raw(bytes) => self.codec.raw(&bytes, &mut out),
            Do::Fidget => self.codec.fidget(random, &mut out),
            Do::Say(message) => {
                self.codec.say(&message, random, &mut out);
                session.said.push(message);
            }
            Do::Close => {
                session.has_ended = true;
                session.unfinished = self.codec.unfinished();
                // The wire has no closing message.
                if !self.codec.close(&mut out) {
                    return Act::End;
                }
            }
            Do::End => {
                session.has_ended = true;
                session.unfinished = self.codec.unfinished();
                return Act::End;
            }
            Do::Leave => return Act::Leave,
        }
        if out.is_empty() { Act::Wait } else { Act::Say(out) }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.take(bytes);
    }

    fn replies(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.replies)
    }

    fn finished(&mut self) -> bool {
        let Some(session) = self.sessions.last_mut() else { return true };
        if let Err(broken) = self.codec.finished(&mut session.heard) {
            self.broken.get_or_insert(broken);
        }
        true
    }

    fn refused(&mut self, farewell: &[u8]) {
        if let Some(session) = self.sessions.last_mut() {
            session.was_refused = true;
            // Before the listener has detected the wire, the farewell may use another one.
            let _ = self.codec.hear(farewell, &mut session.heard, &mut self.replies);
        }
    }

    fn over(&mut self) {
        if let Some(session) = self.sessions.last_mut() {
            self.codec.over(&mut session.heard);
        }
    }

    fn rested(&mut self) {
        if let Err(broken) = self.codec.rested() {
            self.broken.get_or_insert(broken);
        }
    }

    fn answers_pings(&self) -> bool {
        self.codec.answers_pings()
    }

    fn broken(&self) -> Option<String> {
        self.broken.clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}
