//! Peers that speak: each wire from its other end, with a decoder of its own that is as simple as can be.
//!
//! None of it uses the server's code: what both got wrong in the same way would be right.

mod carried;
mod first;
mod frames;
mod http;
mod lines;
mod proxy;
mod screen;
mod telnet;
#[cfg(feature = "tls")]
mod tls;
mod websocket;

use super::peer::{Act, Actor};
use crate::base::Random;
use crate::wire::LengthPrefix;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A ready-made peer: one end of a wire, and what it says there.
///
/// It breaks a world's promise that peers are served well when it receives what its wire does not allow: a frame that does not
/// decode, anything behind a Close, a message that is cut off where the server ended in good order, a telnet option that is
/// said again without a reason, a screen that shows something else than what was typed, a response to nothing.
pub struct Client {
    codec: Box<dyn Codec>,
    script: Script,
    /// What it answers at once.
    replies: Vec<u8>,
    sessions: Vec<Session>,
    /// What it says as soon as it is connected.
    first: Option<String>,
    /// What it says to a message that it received.
    answers: Option<Answers>,
    /// What it says as soon as it can.
    waiting: VecDeque<String>,
    /// For what it says by itself.
    random: Random,
    broken: Option<String>,
}

/// One connection of a [`Client`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The messages that it sent whole, in order.
    pub said: Vec<String>,
    /// The messages that it received, in order.
    pub heard: Vec<String>,
    /// It said in the words of its wire that it ends, or ended its half.
    pub has_ended: bool,
    /// What it had typed when it ended, without Enter behind it: where the server edits the line, that is its last message.
    pub unfinished: Option<String>,
    /// It was not let in.
    pub was_refused: bool,
}

/// What a [`Client`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// Nothing.
    Wait,
    /// It sends one message. Over HTTP, which has none, a request for this path.
    Say(String),
    /// It sends bytes as they are, inside TLS if that is spoken.
    Raw(Vec<u8>),
    /// It does something that only its wire knows, by chance: a ping, keys that are taken back, an option.
    Fidget,
    /// It ends in the words of its wire (a Close of a WebSocket, `close_notify` of TLS), and then its half.
    Close,
    /// It ends its half.
    End,
    /// It closes, reading nothing more.
    Leave,
}

type Answers = Box<dyn FnMut(&str) -> Option<String>>;

enum Script {
    Lines(VecDeque<String>),
    Call(Box<dyn FnMut(&mut Random) -> Do>),
}

impl Client {
    /// Lines that end with LF; what is received may end with CR LF.
    #[must_use]
    pub fn lines() -> Self {
        Self::of(lines::Lines::default())
    }

    /// Frames whose length is written so.
    #[must_use]
    pub fn length_prefixed(prefix: LengthPrefix) -> Self {
        Self::of(frames::Frames::new(prefix))
    }

    /// A telnet client that sends whole lines, and agrees by chance to the options that it is asked for.
    #[must_use]
    pub fn telnet() -> Self {
        Self::of(telnet::Telnet::new(None))
    }

    /// A person at a telnet client, with a screen of so many columns: types, and edits, once the server agrees to show what is
    /// typed. Lines are at most so many bytes long, as far as the server takes them.
    #[must_use]
    pub fn typist(columns: u16, line_max_bytes: usize) -> Self {
        Self::of(telnet::Telnet::new(Some((columns, line_max_bytes))))
    }

    /// A WebSocket, at the path `/`, that offers compression.
    #[must_use]
    pub fn websocket() -> Self {
        Self::websocket_at("/", true)
    }

    /// A WebSocket at a path, and whether it offers compression.
    #[must_use]
    pub fn websocket_at(path: &str, deflate: bool) -> Self {
        Self::of(websocket::WebSocket::new(path, deflate))
    }

    /// A client of HTTP, which asks for the paths that it says, several at a time.
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

    /// What it speaks stands in the messages of a WebSocket at this path (`ws+telnet`).
    #[must_use]
    pub fn in_websocket(self, path: &str) -> Self {
        Self { codec: Box::new(carried::Carried::new(websocket::WebSocket::new(path, false), self.codec)), ..self }
    }

    /// Telnet for a listener of [`Auto`](crate::wire::Auto): it sends a telnet command before anything else, or nothing until it
    /// has heard something. A peer whose first bytes are text speaks lines there.
    #[must_use]
    pub fn telnet_first(self) -> Self {
        Self { codec: Box::new(first::First::new(self.codec)), ..self }
    }

    /// A proxy has put this header before everything that it sends.
    #[must_use]
    pub fn behind_proxy(self, header: Vec<u8>) -> Self {
        Self { codec: Box::new(proxy::Proxied::new(header, self.codec)), ..self }
    }

    /// TLS beneath, for the server of this name. Its session tickets are in the configuration: clients that share it resume.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn over_tls(
        self,
        config: alloc::sync::Arc<rustls::ClientConfig>,
        name: rustls::pki_types::ServerName<'static>,
    ) -> Self {
        Self { codec: Box::new(tls::Tls::new(config, name, self.codec)), ..self }
    }

    /// It says these messages, one whenever it may do something.
    #[must_use]
    pub fn says<T: Into<String>>(self, messages: impl IntoIterator<Item = T>) -> Self {
        Self { script: Script::Lines(messages.into_iter().map(Into::into).collect()), ..self }
    }

    /// It says this as soon as it is connected, before anything else: a peer of [`Auto`](crate::wire::Auto) that waits is taken
    /// for a terminal.
    #[must_use]
    pub fn begins_with(self, message: &str) -> Self {
        Self { first: Some(message.into()), ..self }
    }

    /// What it says next to a message that it received, before anything else: a login, for instance. A person at a screen
    /// receives no single messages.
    #[must_use]
    pub fn answers(self, answer: impl FnMut(&str) -> Option<String> + 'static) -> Self {
        Self { answers: Some(Box::new(answer)), ..self }
    }

    /// It does what `next` says, whenever it may do something.
    #[must_use]
    pub fn does(self, next: impl FnMut(&mut Random) -> Do + 'static) -> Self {
        Self { script: Script::Call(Box::new(next)), ..self }
    }

    /// The messages that it received on its last connection.
    #[must_use]
    pub fn heard(&self) -> &[String] {
        self.sessions.last().map_or(&[], |session| &session.heard)
    }

    /// All its connections, in order; one that was refused as well.
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

    /// Some do not wait until they could speak.
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
                // Without words for it, the half is ended.
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
            // Where what is spoken is not clear, the farewell may be in another wire's words.
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

/// The other end of a wire.
trait Codec {
    /// The codec whose bytes this one carries, if there is one. Methods that are not overridden call it.
    fn within(&self) -> Option<&dyn Codec> {
        None
    }

    /// As [`within`](Self::within).
    fn within_mut(&mut self) -> Option<&mut dyn Codec> {
        None
    }

    /// It is connected: everything anew, and what it sends first.
    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>);

    /// Messages can be said.
    fn is_ready(&self) -> bool {
        self.within().is_none_or(Codec::is_ready)
    }

    /// Says a message.
    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>);

    /// Says bytes that may be anything.
    fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.within_mut() {
            Some(within) => within.raw(bytes, out),
            None => out.extend_from_slice(bytes),
        }
    }

    /// Does something that only this wire knows.
    fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        if let Some(within) = self.within_mut() {
            within.fidget(random, out);
        }
    }

    /// Says that it ends; false if it has no words for that.
    fn close(&mut self, out: &mut Vec<u8>) -> bool {
        self.within_mut().is_some_and(|within| within.close(out))
    }

    /// Takes bytes: messages to `heard`, answers to `out`.
    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String>;

    /// The server has closed its half in good order.
    fn finished(&mut self, heard: &mut Vec<String>) -> Result<(), String> {
        self.within_mut().map_or(Ok(()), |within| within.finished(heard))
    }

    /// The connection is over.
    fn over(&mut self, heard: &mut Vec<String>) {
        if let Some(within) = self.within_mut() {
            within.over(heard);
        }
    }

    /// Everything has arrived, both ways.
    fn rested(&mut self) -> Result<(), String> {
        self.within_mut().map_or(Ok(()), Codec::rested)
    }

    /// What is typed and was not sent by Enter.
    fn unfinished(&self) -> Option<String> {
        self.within()?.unfinished()
    }

    fn answers_pings(&self) -> bool {
        self.within().is_some_and(Codec::answers_pings)
    }
}

/// Bytes as a test shows them, the beginning of many.
fn shown(bytes: &[u8]) -> String {
    let (start, more) = if bytes.len() > 80 { (&bytes[..80], "...") } else { (bytes, "") };
    format!("\"{}{more}\"", start.escape_ascii())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_string()
}
