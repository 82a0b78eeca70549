//! A client that reconnects automatically: the handler of a machine without listeners.
//!
//! It dials, logs in if it has a [`Login`], sends its subscriptions on each new connection, and
//! calls methods with a deadline. It receives [`ClientCommand`]s as notes, and passes
//! [`ClientEvent`]s to a function. Shells have a handle for async and blocking code:
//! `drupe_shell::client`.
//!
//! For TLS, set [`Dial::tls`](crate::Dial::tls). An address such as `wss://example.org:443/chat` asks
//! for it, and its roots must be [loaded](crate::Dial::fill_tls) before the client starts, or each
//! attempt fails. The handles of the shells load those of the operating system, with their feature
//! `client-tls`.

mod options;

pub use options::{ClientOptions, Login};

use super::auth::{Nonces, scram};
use super::rpc::{CallError, Message, Parsed, request};
use crate::base::Origin;
use crate::base::{ConnId, DialId, Failure, OutgoingBuf, Payload, PayloadBuf, Peer, Reason, Time};
use crate::handler::{Event, Handler, Hub};
use crate::state::{Ticket, Timer};
use crate::wire::telnet::Signal;
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

const LOGIN: &str = "drupe::kit::client::login";
const CALL: &str = "drupe::kit::client::call";
/// Maximum number of calls that wait to be sent.
const PARKED_MAX: usize = 16_384;
/// Maximum duration of a login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A command to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCommand {
    /// Sends a message if connected and logged in, or else reports [`ClientEvent::Unsent`].
    Send(OutgoingBuf),
    /// Sends text without a line ending, such as keys, if connected and logged in on a wire of
    /// lines. Otherwise reports [`ClientEvent::Unsent`].
    Write(PayloadBuf),
    /// Sets the columns and rows of the window that a [telnet](crate::telnet) server sees, on this
    /// and on each new connection.
    Resize(u16, u16),
    /// Sends a message now and on each new connection. Replaces the subscription with this key.
    Subscribe(String, OutgoingBuf),
    /// Removes the subscription with this key. Sends nothing to the server.
    Unsubscribe(String),
    /// Calls a method (JSON-RPC 2.0). [`ClientEvent::Answered`] follows with the same number.
    Call {
        /// The number that identifies the answer.
        number: u64,
        /// The name of the method.
        method: String,
        /// The parameters as JSON: an object or an array.
        params: String,
        /// How long to wait for a connection and an answer, in total.
        deadline: Duration,
    },
    /// Resumes reading after the event function returned `false` for a message.
    Resume,
    /// [Closes our half](Hub::finish) of the current or next connection, and stops reconnecting.
    Finish,
    /// Closes the connection, and stops reconnecting.
    Close,
}

/// An event that a client reports.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent<'a> {
    /// The client is connected, and logged in if it has a [`Login`].
    Connected(Peer),
    /// The server of a WebSocket chose this subprotocol. [`Connected`](Self::Connected) follows.
    Subprotocol(&'a str),
    /// The server sent a message that the client does not handle itself.
    Message(Payload<'a>),
    /// A telnet server sent a signal, such as a prompt or a change of the input mode.
    Signal(Signal<'a>),
    /// A call has succeeded or failed.
    Answered {
        /// The number of the call.
        number: u64,
        /// The result of the call, as JSON.
        result: Result<String, CallError>,
    },
    /// A message was not sent, because the client is not connected or not logged in.
    Unsent,
    /// The connection ended.
    Disconnected(Reason),
    /// An attempt to connect failed. The next one follows after this delay, if any.
    DialFailed(Failure, Option<Duration>),
    /// The login failed, for this reason. The client does not reconnect.
    LoginFailed(String),
    /// The client has ended, and does not reconnect.
    Ended,
}

/// A [`Handler`] that acts as a client and passes its events to the function `F`.
///
/// If `F` returns false for a [`Message`](ClientEvent::Message) or a
/// [`Signal`](ClientEvent::Signal), the client stops reading until
/// [`ClientCommand::Resume`].
pub struct Client<F> {
    options: ClientOptions,
    tell: F,
    secret: [u8; 32],
    dial: Option<DialId>,
    stage: Stage,
    subscriptions: BTreeMap<String, OutgoingBuf>,
    calls: BTreeMap<Ticket, u64>,
    /// Calls that have not been sent yet, by number.
    parked: BTreeMap<u64, Call>,
    /// The SCRAM nonces of this client, created for the first login.
    nonces: Option<Nonces>,
    /// Whether the client got a `Finish` command: its current or next connection is the last.
    finished: bool,
    /// Whether the server reads too slowly.
    stalled: bool,
    /// The size of the window, if a command has set it.
    window: Option<(u16, u16)>,
}

struct Call {
    method: String,
    params: String,
    until: Time,
}

enum Stage {
    Down,
    /// The login is in progress.
    LoggingIn(ConnId, Peer, Option<Exchange>),
    Up(ConnId),
    Over,
}

struct Exchange {
    client: scram::ScramClient,
    /// The message with which the server must prove that it knows the password.
    expected: Option<String>,
}

impl<F: FnMut(ClientEvent<'_>) -> bool> Client<F> {
    /// Creates a client that passes events to `tell`. `secret` is 32 unpredictable bytes.
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
            window: None,
        }
    }

    /// Executes a command.
    pub fn command(&mut self, hub: &mut Hub<'_, ()>, command: ClientCommand) {
        let up = match self.stage {
            Stage::Up(conn) => Some(conn),
            _ => None,
        };
        match (command, up) {
            (ClientCommand::Send(message), Some(conn)) => drop(hub.send(conn, message.as_outgoing())),
            (ClientCommand::Write(text), Some(conn)) if hub.write(conn, text.as_payload()) => {}
            (ClientCommand::Send(_) | ClientCommand::Write(_), _) => drop((self.tell)(ClientEvent::Unsent)),
            (ClientCommand::Resize(columns, rows), _) => {
                self.window = Some((columns, rows));
                self.set_window(hub);
            }
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
                // `closed` ends the client.
                self.finished = true;
            }
            (ClientCommand::Finish, None) => self.finished = true,
            (ClientCommand::Close, _) => self.give_up(hub),
        }
    }

    /// Reports the size of the window to a telnet server, if a command has set it.
    fn set_window(&self, hub: &mut Hub<'_, ()>) {
        if let (Some((columns, rows)), Stage::Up(conn) | Stage::LoggingIn(conn, ..)) = (self.window, &self.stage) {
            hub.set_window_size(*conn, columns, rows);
        }
    }

    /// Sends waiting calls, unless the connection is stalled or the ticket limit is reached.
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

    /// Ends the client: fails the waiting calls, and drains the machine.
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
        self.set_window(hub);
        for message in self.subscriptions.values() {
            hub.send(conn, message.as_outgoing());
        }
        if let Some(subprotocol) = hub.subprotocol(conn) {
            (self.tell)(ClientEvent::Subprotocol(subprotocol));
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

    /// Handles a login message. Ignores other messages during the login, such as greetings.
    fn logging_in(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, payload: Payload<'_>) {
        // A prompt may precede the JSON.
        let json = payload.as_str().and_then(|text| text.find('{').map(|start| &text[start..]));
        let Some(response) = json.and_then(|json| serde_json::from_str::<Auth<'_>>(json).ok()) else { return };
        let Stage::LoggingIn(_, peer, exchange) = &mut self.stage else { return };
        let peer = *peer;
        match (&*response.kind, exchange) {
            ("auth", Some(Exchange { expected: Some(_), .. })) => {
                // Each answer costs many hashes, and one is enough.
                self.login_failed(hub, conn, "the server sent a second SCRAM challenge");
            }
            ("auth", Some(exchange)) => {
                let answer = response.scram.ok_or(scram::ScramError::Malformed);
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
                if expected.is_none_or(|expected| expected.is_some() && expected == response.scram.as_deref()) {
                    self.up(hub, conn, peer);
                } else {
                    self.login_failed(hub, conn, "the server did not prove that it knows the password");
                }
            }
            ("error", _) => {
                let why = response.reason.unwrap_or("the server gave no reason".into());
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
        // A cheap check first: few messages are responses.
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

    fn signal(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, signal: Signal<'_>) {
        if !(self.tell)(ClientEvent::Signal(signal)) {
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
            Event::Signal { conn, signal, .. } => self.signal(hub, conn, signal),
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

/// A message of the authentication protocol.
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

impl<F> fmt::Debug for Client<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}
