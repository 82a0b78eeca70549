//! The other end: a client that comes back by itself, as a handler of a machine without listeners.
//!
//! It dials, logs in if it is told how, sends what it subscribes to whenever it is connected anew, and calls methods with a
//! deadline. It is told [`ClientCommand`]s as notes, and tells [`ClientEvent`]s to a function. Shells have a handle for it, to be used
//! from async and from ordinary code: `drupe_shell::client`.

use super::auth::{Nonces, scram};
use super::layer::{PING, PING_TEXT, PONG};
use super::rpc::{CallError, Message, Parsed, request};
use crate::base::Origin;
use crate::base::{Backoff, ConnId, DialId, Failure, OutgoingBuf, Payload, Peer, Reason, Time};
use crate::config::{Config, Dial, TicketLimits};
use crate::handler::{Event, Handler, Hub};
use crate::state::{Ticket, Timer};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

const LOGIN: &str = "drupe::kit::client::login";
const CALL: &str = "drupe::kit::client::call";
/// So many calls wait at most.
const PARKED_MAX: usize = 16_384;
/// How long a login may take.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// What a client connects to, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Where to, what is spoken there, and when to try again.
    pub dial: Dial,
    /// How to prove who we are.
    pub login: Option<Login>,
    /// Limits for what the server sends. Its rates are not limited.
    pub config: Config,
    /// What is answered to which message, without anybody being told of either.
    pub answers: Vec<(String, OutgoingBuf)>,
}

/// How a client proves who it is to a server with [`Authentication`](super::auth::Authentication).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login {
    /// With a signed token.
    Token(String),
    /// With a name and a password that is not sent (SCRAM-SHA-256).
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
}

/// What a client is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCommand {
    /// Send a message. Without a connection it is lost, and told as [`ClientEvent::Unsent`].
    Send(OutgoingBuf),
    /// Send a message now and whenever the client is connected anew: what was subscribed to under the same key before is not
    /// any more.
    Subscribe(String, OutgoingBuf),
    /// Forget what was subscribed to under a key.
    Unsubscribe(String),
    /// Call a method (JSON-RPC 2.0), once there is a connection, with parameters as JSON; [`ClientEvent::Answered`] under the same number follows.
    Call {
        /// What the answer will be known by.
        number: u64,
        /// The method.
        method: String,
        /// Its parameters, an object or an array.
        params: String,
        /// How long to wait for an answer, and for a connection before that.
        deadline: Duration,
    },
    /// Read on, after an event was answered with false.
    Resume,
    /// Send nothing more: [`Hub::finish`], once there is a connection. The client does not come back from it.
    Finish,
    /// Close the connection and do not come back.
    Close,
}

/// What happens to a client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent<'a> {
    /// There is a connection, and the server knows who we are if it is to.
    Connected(Peer),
    /// A message came that is no answer to a call.
    Message(Payload<'a>),
    /// A call came to its end.
    Answered {
        /// Which.
        number: u64,
        /// The result, as JSON.
        result: Result<String, CallError>,
    },
    /// A message could not be sent: there is no connection.
    Unsent,
    /// The connection ended.
    Disconnected(Reason),
    /// An attempt failed; the next one is after this time, if there is one.
    DialFailed(Failure, Option<Duration>),
    /// The server did not take us for who we say we are, or could not prove that it knows us. The client does not come back.
    LoginFailed(String),
    /// The client does not come back.
    Ended,
}

/// A client, as a handler. `F` is told what happens; if it says false to a [`Message`](ClientEvent::Message), nothing more is read
/// until [`ClientCommand::Resume`].
pub struct Client<F> {
    options: ClientOptions,
    tell: F,
    secret: [u8; 32],
    dial: Option<DialId>,
    stage: Stage,
    subscriptions: BTreeMap<String, OutgoingBuf>,
    calls: BTreeMap<Ticket, u64>,
    /// Calls that wait for a connection, or for the server to keep up, by their numbers.
    parked: BTreeMap<u64, Call>,
    /// Made with the first login, of what tells this client from others of the same secret.
    nonces: Option<Nonces>,
    /// It does not come back.
    finished: bool,
    /// The server does not keep up.
    stalled: bool,
}

struct Call {
    method: String,
    params: String,
    until: Time,
}

enum Stage {
    Down,
    /// The server is asked to let us in.
    LoggingIn(ConnId, Peer, Option<Exchange>),
    Up(ConnId),
    Over,
}

struct Exchange {
    client: scram::ScramClient,
    /// What the server must prove itself with.
    expected: Option<String>,
}

impl ClientOptions {
    /// A client that comes back for ever, with the default [`Backoff`], and does not log in.
    #[must_use]
    pub fn new(dial: Dial) -> Self {
        let dial = Dial { backoff: dial.backoff.or(Some(Backoff::default())), ..dial };
        // What is in flight is up to whoever calls.
        let config = Config { tickets: TicketLimits { per_connection: 16_384, total: 16_384 }, ..Config::default() };
        let answers = [PING, PING_TEXT].map(|ping| (ping.into(), PONG.into())).into();
        Self { dial, login: None, config: config.unlimited(), answers }
    }

    /// Answers each message that is exactly `message` with `answer`, and passes it on to nobody: for a server with a
    /// [`Heartbeat`](super::layer::Heartbeat) in words of its own. What [`Heartbeat::ping`](super::layer::Heartbeat::ping) sends is
    /// answered without this.
    #[must_use]
    pub fn answering(mut self, message: impl Into<String>, answer: impl Into<OutgoingBuf>) -> Self {
        self.answers.push((message.into(), answer.into()));
        self
    }

    /// One that connects once.
    #[must_use]
    pub fn once(dial: Dial) -> Self {
        let mut options = Self::new(dial);
        options.dial.backoff = None;
        options
    }

    /// One that logs in.
    #[must_use]
    pub fn login(self, login: Login) -> Self {
        Self { login: Some(login), ..self }
    }
}

impl<F: FnMut(ClientEvent<'_>) -> bool> Client<F> {
    /// A client. `secret` is 32 bytes that nobody can guess.
    pub fn new(options: ClientOptions, secret: [u8; 32], tell: F) -> Self {
        let (subscriptions, calls) = (BTreeMap::new(), BTreeMap::new());
        let (dial, stage, parked) = (None, Stage::Down, BTreeMap::new());
        Self {
            options,
            tell,
            secret,
            dial,
            stage,
            subscriptions,
            calls,
            parked,
            nonces: None,
            finished: false,
            stalled: false,
        }
    }

    /// Does what it is asked to.
    pub fn command(&mut self, hub: &mut Hub<'_, ()>, command: ClientCommand) {
        let up = match self.stage {
            Stage::Up(conn) => Some(conn),
            _ => None,
        };
        match (command, up) {
            (ClientCommand::Send(message), Some(conn)) => drop(hub.send(conn, message.as_outgoing())),
            (ClientCommand::Send(_), None) => drop((self.tell)(ClientEvent::Unsent)),
            (ClientCommand::Subscribe(key, message), up) => {
                up.map(|conn| hub.send(conn, message.as_outgoing()));
                self.subscriptions.insert(key, message);
            }
            (ClientCommand::Unsubscribe(key), _) => drop(self.subscriptions.remove(&key)),
            (ClientCommand::Call { number, .. }, _) if matches!(self.stage, Stage::Over) => {
                self.answer(number, Err(CallError::Closed));
            }
            (ClientCommand::Call { number, .. }, _) if self.parked.len() >= PARKED_MAX => {
                self.answer(number, Err(CallError::Busy));
            }
            (ClientCommand::Call { number, method, params, deadline }, _) => {
                hub.wake(Timer::named(CALL).keyed(number), deadline);
                self.parked.insert(number, Call { method, params, until: hub.now() + deadline });
                self.unpark(hub);
            }
            (ClientCommand::Resume, _) => {
                if let Stage::Up(conn) | Stage::LoggingIn(conn, ..) = self.stage {
                    hub.resume(conn);
                }
            }
            (ClientCommand::Finish, Some(conn)) => {
                hub.finish(conn);
                // The connection is told as over when it is, and no other follows.
                self.finished = true;
            }
            (ClientCommand::Finish, None) => self.finished = true,
            (ClientCommand::Close, _) => self.give_up(hub),
        }
    }

    /// Makes the calls that wait, as far as the server keeps up.
    fn unpark(&mut self, hub: &mut Hub<'_, ()>) {
        let Stage::Up(conn) = self.stage else { return };
        while !self.stalled
            && let Some((&number, call)) = self.parked.first_key_value()
            && let Ok(ticket) = hub.ticket(conn, call.until.since(hub.now()))
        {
            hub.send(conn, &request(Some(ticket.number), &call.method, Some(&call.params)));
            hub.cancel(Timer::named(CALL).keyed(number));
            self.calls.insert(ticket, number);
            self.parked.pop_first();
        }
    }

    fn answer(&mut self, number: u64, result: Result<String, CallError>) {
        (self.tell)(ClientEvent::Answered { number, result });
    }

    fn give_up(&mut self, hub: &mut Hub<'_, ()>) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        let is_up = matches!(self.stage, Stage::Up(_) | Stage::LoggingIn(..));
        self.dial.take().into_iter().for_each(|dial| hub.cancel_dial(dial));
        if !is_up {
            self.over(hub);
        }
    }

    /// Nothing follows.
    fn over(&mut self, hub: &mut Hub<'_, ()>) {
        if !matches!(self.stage, Stage::Over) {
            self.stage = Stage::Over;
            for number in core::mem::take(&mut self.parked).into_keys() {
                hub.cancel(Timer::named(CALL).keyed(number));
                self.answer(number, Err(CallError::Closed));
            }
            (self.tell)(ClientEvent::Ended);
            hub.drain();
        }
    }

    fn opened(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, peer: Peer) {
        let Some(login) = self.options.login.clone() else { return self.up(hub, conn, peer) };
        self.stage = Stage::LoggingIn(conn, peer, None);
        hub.wake(Timer::of(conn, LOGIN), LOGIN_TIMEOUT);
        let (message, exchange) = match login {
            Login::Token(token) => (Auth { token: Some(token.into()), ..Auth::default() }, None),
            Login::Password { user, password } => {
                let nonce = self.nonces.get_or_insert_with(|| Nonces::new(&self.secret, hub)).next();
                match scram::ScramClient::new(&user, &password, &nonce) {
                    Ok(client) => {
                        let first = client.first();
                        let exchange = Exchange { client, expected: None };
                        (Auth { scram: Some(first.into()), ..Auth::default() }, Some(exchange))
                    }
                    Err(error) => return self.login_failed(hub, conn, &error.to_string()),
                }
            }
        };
        self.stage = Stage::LoggingIn(conn, peer, exchange);
        message.send(hub, conn);
    }

    fn up(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, peer: Peer) {
        hub.cancel(Timer::of(conn, LOGIN));
        self.stage = Stage::Up(conn);
        self.stalled = false;
        for message in self.subscriptions.values() {
            hub.send(conn, message.as_outgoing());
        }
        (self.tell)(ClientEvent::Connected(peer));
        self.unpark(hub);
        if self.finished {
            hub.finish(conn);
        }
    }

    fn login_failed(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, why: &str) {
        (self.tell)(ClientEvent::LoginFailed(why.into()));
        hub.end(conn, Reason::Unauthorized);
        self.dial.take().into_iter().for_each(|dial| hub.cancel_dial(dial));
    }

    /// A message while the server is asked to let us in: greetings are passed over.
    fn logging_in(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, payload: Payload<'_>) {
        // A prompt for people may stand before it.
        let json = payload.as_str().and_then(|text| text.find('{').map(|start| &text[start..]));
        let Some(told) = json.and_then(|json| serde_json::from_str::<Auth<'_>>(json).ok()) else { return };
        let Stage::LoggingIn(_, peer, exchange) = &mut self.stage else { return };
        let peer = *peer;
        match (&*told.kind, exchange) {
            ("auth", Some(Exchange { expected: Some(_), .. })) => {
                // Each answer costs much, and one is enough.
                self.login_failed(hub, conn, "the server asked twice");
            }
            ("auth", Some(exchange)) => {
                let answer = told.scram.ok_or(scram::ScramError::Malformed);
                match answer.and_then(|first| exchange.client.answer(&first)) {
                    Ok((last, expected)) => {
                        exchange.expected = Some(expected);
                        Auth { scram: Some(last.into()), ..Auth::default() }.send(hub, conn);
                    }
                    Err(error) => self.login_failed(hub, conn, &error.to_string()),
                }
            }
            ("auth_ok", exchange) => {
                let expected = exchange.as_ref().map(|exchange| exchange.expected.as_deref());
                if expected.is_none_or(|expected| expected.is_some() && expected == told.scram.as_deref()) {
                    self.up(hub, conn, peer);
                } else {
                    self.login_failed(hub, conn, "the server did not prove that it knows the password");
                }
            }
            ("error", _) => {
                let why = told.reason.unwrap_or("it was refused".into());
                self.login_failed(hub, conn, &why);
            }
            _ => {}
        }
    }

    fn message(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, payload: Payload<'_>) {
        let answer = self.options.answers.iter().find(|(message, _)| message.as_bytes() == payload.as_bytes());
        if let Some((_, answer)) = answer {
            hub.send(conn, answer.as_outgoing());
            return;
        }
        // Few messages are answers, and those say so.
        if !self.calls.is_empty()
            && let Some(text) = payload.as_str().filter(|text| text.contains("\"jsonrpc\""))
            && let Ok(Message::One(Parsed::Response { id, result })) = Message::parse(text, 1)
            && let Some(number) = id.as_number()
            && let Some(asked) = self.calls.remove(&Ticket { conn, number })
        {
            hub.redeem(Ticket { conn, number });
            let result = result.map(|raw| raw.get().to_string()).map_err(CallError::Remote);
            self.answer(asked, result);
            return self.unpark(hub);
        }
        if !(self.tell)(ClientEvent::Message(payload)) {
            hub.pause(conn);
        }
    }

    fn closed(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, reason: Reason) {
        // There is one connection at a time, so all calls were made on it.
        for number in core::mem::take(&mut self.calls).into_values() {
            self.answer(number, Err(CallError::Closed));
        }
        if matches!(self.stage, Stage::Up(up) | Stage::LoggingIn(up, ..) if up == conn) {
            self.stage = Stage::Down;
            (self.tell)(ClientEvent::Disconnected(reason));
            if self.finished || self.dial.is_none() {
                self.dial.take().into_iter().for_each(|dial| hub.cancel_dial(dial));
                self.over(hub);
            }
        }
    }
}

impl<F: FnMut(ClientEvent<'_>) -> bool> Handler for Client<F> {
    type Context = ();
    type Note = ClientCommand;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, ClientCommand>) {
        match event {
            Event::Started => self.dial = Some(hub.dial(self.options.dial.clone())),
            Event::Opened { conn, peer, origin: Origin::Dial(_), .. } => self.opened(hub, conn, peer),
            Event::Message { conn, payload } => match self.stage {
                Stage::LoggingIn(..) => self.logging_in(hub, conn, payload),
                _ => self.message(hub, conn, payload),
            },
            Event::Timer(Timer { conn: Some(conn), name: LOGIN, .. }) => {
                hub.end(conn, Reason::AuthenticationTimeout);
            }
            Event::Timer(Timer { name: CALL, key, .. }) => {
                let parked = self.parked.remove(&key);
                if parked.is_some() {
                    self.answer(key, Err(CallError::TimedOut));
                }
            }
            Event::Stalled { .. } => self.stalled = true,
            Event::Drained { .. } => {
                self.stalled = false;
                self.unpark(hub);
            }
            Event::TicketExpired(ticket) => {
                if let Some(number) = self.calls.remove(&ticket) {
                    self.answer(number, Err(CallError::TimedOut));
                }
            }
            Event::Note(command) => self.command(hub, command),
            Event::DialFailed { failure, retry_at, .. } => {
                self.stage = Stage::Down;
                let wait = retry_at.map(|at: Time| at.since(hub.now()));
                (self.tell)(ClientEvent::DialFailed(failure, wait));
                if wait.is_none() {
                    self.over(hub);
                }
            }
            Event::DialEnded { .. } => self.over(hub),
            Event::Closed { conn, reason } => self.closed(hub, conn, reason),
            _ => {}
        }
    }
}

/// What stands in a message about who is who.
#[derive(Serialize, Deserialize)]
struct Auth<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    token: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    scram: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

impl Default for Auth<'_> {
    fn default() -> Self {
        Self { kind: "auth".into(), token: None, scram: None, reason: None }
    }
}

impl Auth<'_> {
    fn send(&self, hub: &mut Hub<'_, ()>, conn: ConnId) {
        hub.send(conn, &serde_json::to_string(self).unwrap_or_default());
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::Password { user, .. } => f.write_str(&format!("Password of {user}")),
        }
    }
}

impl<F> fmt::Debug for Client<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}
