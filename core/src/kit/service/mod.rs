//! Services: applications built from functions for messages, commands, calls and events.

pub(super) mod app;
pub(super) mod cx;
mod error;
mod hooks;
pub(super) mod id;
pub(super) mod json;
mod on;
pub(super) mod room_messages;
pub(super) mod rooms;
mod router;
mod words;

pub use app::App;
pub use cx::{Cx, Scope, negotiate};
pub use error::{MessageError, Outcome};
pub use hooks::Joined;
pub use json::RawMessage;
pub use rooms::{RoomError, RoomRules};
pub use router::{Guard, RequireScope, Router};

use super::rpc::Rpc;
use super::rpc::calls::{CallError, Calls, Expired};
use crate::base::{ConnId, Payload, Reason, Representation};
use crate::handler::{Event, Handler, Hub};
use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use core::fmt;
use cx::Then;
use hooks::Hooks;
use id::MessageId;
use json::{Head, Source, reason_of};

/// A [`Handler`] built from functions for messages, commands, calls and events.
///
/// The first bytes of a message decide how it is dispatched, on every wire:
///
/// | message | handled by |
/// |---|---|
/// | a JSON object with `jsonrpc`, or a JSON array | [`rpc`](Self::rpc) |
/// | another JSON object | the function of [`router`](Self::router) for its `type`, or its [fallback](Router::fallback) |
/// | `/name words` | the same function, as a command; `/help` lists commands |
/// | other text | [`on_text`](Self::on_text) |
/// | binary | [`on_binary`](Self::on_binary) |
///
/// The server answers in the peer's representation: JSON after a JSON message, text after a command
/// or other text that was handled. Before that, it uses the default of the wire
/// ([`Representation`]). A message that cannot be handled is answered with a [`MessageError`].
///
/// A JSON object may have an `id`, a string or number of at most 64 bytes. Errors and
/// [answers](Cx::reply_as) to it have the same `id`.
///
/// ```
/// use drupe_core::kit::{App, RoomRules, Router, Service};
/// use drupe_core::testing::TestHub;
/// use std::fmt;
///
/// #[derive(serde::Deserialize)]
/// struct Say {
///     text: String,
/// }
///
/// #[derive(serde::Serialize)]
/// #[serde(tag = "type", rename = "said")]
/// struct Said<'a> {
///     text: &'a str,
/// }
///
/// impl fmt::Display for Said<'_> {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         write!(f, "a peer said: {}", self.text)
///     }
/// }
///
/// let router = Router::new().on("say", |_, cx, Say { text }| {
///     cx.scope().publish_as("all", &Said { text: &text });
/// });
/// let rooms = RoomRules::all_open();
/// let service = Service::new(()).router(router).rooms(rooms).on_open(|_, cx| cx.join("all"));
/// let mut hub = TestHub::new(service);
/// let (program, person) = (hub.connect(), hub.connect());
/// hub.line(program, r#"{"type":"say","text":"hello"}"#);
/// hub.line(person, "/say hello to you");
/// assert_eq!(hub.lines(program), [r#"{"type":"said","text":"hello"}"#, r#"{"type":"said","text":"hello to you"}"#]);
/// assert_eq!(hub.lines(person), ["a peer said: hello", "a peer said: hello to you"]);
/// ```
pub struct Service<A: App> {
    app: A,
    router: Router<A>,
    rpc: Option<Rpc<A>>,
    hooks: Hooks<A>,
    calls: Calls<Then<A>>,
    unknown: Unknown,
    /// Adds the ready-made methods about rooms, if the service has them.
    room_methods: Option<fn(Rpc<A>) -> Rpc<A>>,
}

/// What happens to messages with an unknown type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// The sender receives an error.
    #[default]
    Refuse,
    /// The message is ignored.
    Ignore,
    /// The sender receives an error, and its connection ends as [`Reason::BadRequest`].
    Close,
}

impl<A: App> Service<A> {
    /// Creates a service for an application, without any functions.
    pub fn new(app: A) -> Self {
        let (router, calls) = (Router::new(), Calls::default());
        Self { app, router, rpc: None, hooks: Hooks::default(), calls, unknown: Unknown::default(), room_methods: None }
    }

    /// Adds a router's functions for messages and commands, behind the router's guards.
    #[must_use]
    pub fn router(self, router: Router<A>) -> Self {
        Self { router: self.router.merge(router), ..self }
    }

    /// Sets the JSON-RPC methods, replacing earlier ones.
    #[must_use]
    pub fn rpc(self, rpc: Rpc<A>) -> Self {
        let rpc = match self.room_methods {
            Some(add) => add(rpc),
            None => rpc,
        };
        Self { rpc: Some(rpc), ..self }
    }

    /// Sets which rooms are open to all. Default: none, so joining and publishing need a scope.
    #[must_use]
    pub fn rooms(mut self, rooms: RoomRules) -> Self {
        self.calls.rooms = rooms;
        self
    }

    /// Lets peers subscribe to rooms, publish to them and read their histories.
    ///
    /// Rooms that [remember](crate::RoomMemory) tell a returning member what it missed. Each message
    /// is a JSON object, a command, or a method of JSON-RPC with these parameters and results:
    ///
    /// | message | answer | needs the right to |
    /// |---|---|---|
    /// | `{"type":"subscribe","room":"news","since":"7.1.2f"}` | `{"type":"subscribed","room":"news","position":"7.3.9a","recovered":true,"missed":2}` | [join](RoomRules::may_join) |
    /// | `{"type":"unsubscribe","room":"news"}` | `{"type":"unsubscribed","room":"news"}` | join |
    /// | `{"type":"publish","room":"news","data":...,"key":"k1"}` | `{"type":"published","room":"news","position":"7.4.c0","repeated":false}` | [publish](RoomRules::may_publish) |
    /// | `{"type":"history","room":"news","since":"7.1.2f","max":100}` | `{"type":"history","room":"news","messages":[{"position":"7.2.11","data":...}],"position":"7.4.c0","more":true}` | join |
    /// | `{"type":"presence","room":"news","max":100}` | `{"type":"presence","room":"news","count":1,"names":[{"name":"ann"}],"more":false}` | join |
    ///
    /// As commands: `/subscribe ROOM [SINCE]`, `/unsubscribe ROOM`, `/publish ROOM TEXT`,
    /// `/history ROOM [MAX] [SINCE]` and `/presence ROOM [MAX] [AFTER]`.
    ///
    /// In rooms with [`Presence`](crate::Presence), a subscriber is present under the name of its
    /// user, with the JSON of `info` if it gives any. Members get
    /// `{"type":"presence_changed","room":"news","name":"ann","present":true}`.
    ///
    /// `since` is the last position that the peer knows. What it missed comes before the answer. If
    /// messages may be missing, none comes, and the answer has `"recovered":false` and a
    /// [`why`](crate::history::Gap). Without `since`, both are absent, and in rooms without a history
    /// `position` as well. Messages arrive as
    /// `{"type":"message","room":"news","position":"7.4.c0","data":...}`, also at their publisher if
    /// it is a member. `data` is any JSON, nested at most 100 times.
    ///
    /// `history` begins after `since`, with the oldest message, or with the last ones if `latest` is
    /// `true`; `max` is 1 to 1,000, by default 100. A page may be shorter, so that it fits in the
    /// peer's queue. If messages after `since` may be missing, the answer is an error whose code is
    /// the [`Gap`](crate::history::Gap), such as `too_old`.
    ///
    /// Errors have the codes of [`MessageError`], `already_subscribed` or `timed_out`. For `publish`,
    /// `refused` means that the message was not sent, and `unknown` that it may have been sent or not:
    /// repeat it with the same `key`. A call gets the code [`REFUSED`](super::rpc::RpcError::REFUSED) or
    /// [`TIMED_OUT`](super::rpc::RpcError::TIMED_OUT), and these codes in its data. Each request
    /// holds a [ticket](crate::TicketLimits) until its answer.
    ///
    /// An application's own function or method takes the place of a ready-made one with its name.
    /// Without [`rpc`](Self::rpc), the service has these methods only.
    #[must_use]
    pub fn room_messages(self) -> Self
    where
        A: 'static,
    {
        let rpc = self.rpc.unwrap_or_else(|| Rpc::new("rooms", "1.0.0"));
        let (router, rpc) = (room_messages::router().merge(self.router), Some(room_messages::methods(rpc)));
        Self { router, rpc, room_methods: Some(room_messages::methods), ..self }
    }

    /// Sets what happens to messages with an unknown type.
    #[must_use]
    pub fn unknown(self, unknown: Unknown) -> Self {
        Self { unknown, ..self }
    }

    /// Returns the application.
    pub fn app(&self) -> &A {
        &self.app
    }

    /// Returns a mutable reference to the application.
    pub fn app_mut(&mut self) -> &mut A {
        &mut self.app
    }
}

impl<A: App> Handler for Service<A> {
    type Context = A::Context;
    type Note = A::Note;

    fn on(&mut self, hub: &mut Hub<'_, A::Context>, event: Event<'_, A::Note>) {
        let Self { app, router, calls, hooks, .. } = self;
        let mut scope = Scope::new(hub, calls);
        match event {
            Event::Started => hooks.start(app, &mut scope),
            Event::Opened { conn, request, .. } => {
                router.opened(app, &mut scope.of(conn));
                if let Err(error) = hooks.opened(app, &mut scope.of(conn), request) {
                    refuse(hub, conn, None, None, &error);
                    hub.end(conn, Reason::Forbidden);
                }
            }
            Event::Authenticated { conn } => hooks.authenticated(app, &mut scope.of(conn)),
            Event::Message { conn, payload } => self.message(hub, conn, payload),
            Event::Timer(timer) if timer.name == hooks::EVERY => hooks.every(app, &mut scope, timer),
            Event::TicketExpired(ticket) => match scope.calls.expired(&mut scope.hub, ticket) {
                Expired::Theirs => {}
                Expired::Ours(then) => {
                    let is_draining = scope.hub.is_draining();
                    let error = if is_draining { CallError::ShuttingDown } else { CallError::TimedOut };
                    then(app, &mut scope.of(ticket.conn()), Err(error));
                }
                Expired::NoCall => hooks.other(app, &mut scope, Event::TicketExpired(ticket)),
            },
            Event::Note(note) => hooks.note(app, &mut scope, note),
            Event::Draining => hooks.drain(app, &mut scope),
            Event::Closed { conn, reason } => {
                let mut cx = scope.of(conn);
                // Before the pending calls' functions, which may panic.
                let unanswered = cx.calls.closed(conn);
                router.closed(app, &mut cx, reason);
                hooks.closed(app, &mut cx, reason);
                for then in unanswered {
                    then(app, &mut cx, Err(CallError::Closed));
                }
            }
            Event::Joined { conn, room, position, recovery, missed } => {
                room_messages::joined(&mut scope, conn, room, position, recovery);
                hooks.room(app, &mut scope, Event::Joined { conn, room, position, recovery, missed });
            }
            Event::PresenceChanged(change) if self.room_methods.is_some() => {
                room_messages::changed(&mut scope, change);
                hooks.room(app, &mut scope, Event::PresenceChanged(change));
            }
            Event::RoomAnswered { request, answer } => {
                if !room_messages::answered(&mut scope, request, answer) {
                    hooks.room(app, &mut scope, Event::RoomAnswered { request, answer });
                }
            }
            Event::RoomGap(gap) => hooks.room(app, &mut scope, Event::RoomGap(gap)),
            other => hooks.other(app, &mut scope, other),
        }
    }
}

impl<A: App> Service<A> {
    fn message(&mut self, hub: &mut Hub<'_, A::Context>, conn: ConnId, payload: Payload<'_>) {
        let Self { app, calls, hooks, .. } = self;
        let Payload::Text(text) = payload else {
            let mut scope = Scope::new(hub, calls);
            if !hooks.binary(app, &mut scope.of(conn), payload.as_bytes()) {
                // Frames do not distinguish text from binary, and often carry text.
                match payload.as_str() {
                    Some(text) => self.text(hub, conn, text),
                    None => refuse(
                        hub,
                        conn,
                        None,
                        None,
                        &MessageError::new("unsupported", "binary messages are not supported here"),
                    ),
                }
            }
            return;
        };
        self.text(hub, conn, text);
    }

    fn text(&mut self, hub: &mut Hub<'_, A::Context>, conn: ConnId, text: &str) {
        let trimmed = text.trim_start();
        // A person may begin a line with a bracket; a program sends one only as JSON.
        let is_plain = trimmed.starts_with('[')
            && hub.representation(conn) == Representation::Text
            && self.hooks.text.is_some()
            && !text.contains("\"jsonrpc\"")
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err();
        if trimmed.starts_with(['{', '[']) && !is_plain {
            return self.json(hub, conn, text);
        }
        let command = trimmed.strip_prefix('/');
        // A program's mistake does not switch it to text: unserved text is refused in the current
        // representation.
        if command.is_some() || self.hooks.text.is_some() {
            hub.set_representation(conn, Representation::Text);
        }
        match command {
            Some(command) => self.command(hub, conn, command),
            None => self.plain(hub, conn, text),
        }
    }

    fn json(&mut self, hub: &mut Hub<'_, A::Context>, conn: ConnId, text: &str) {
        let is_array = text.trim_start().starts_with('[');
        let head = if is_array { Ok(None) } else { serde_json::from_str::<Head<'_>>(text).map(Some) };
        let head = match head {
            // It is a malformed call, so the answer is that of a call.
            Err(_) if self.rpc.is_some() && text.contains("\"jsonrpc\"") => {
                Some(Head { kind: None, id: None, jsonrpc: true })
            }
            // A person may begin a line with a brace.
            Err(_) if hub.representation(conn) == Representation::Text && self.hooks.text.is_some() => {
                return self.plain(hub, conn, text);
            }
            Err(error) => {
                hub.set_representation(conn, Representation::Json);
                let code = if error.is_data() { "invalid" } else { "not_json" };
                return refuse(hub, conn, None, None, &MessageError::new(code, format!("{error}")));
            }
            Ok(head) => head,
        };
        hub.set_representation(conn, Representation::Json);
        let Self { app, router, rpc, calls, hooks, .. } = self;
        let Some(Head { jsonrpc: false, kind, id }) = head else {
            let Some(rpc) = rpc else {
                let error = MessageError::new("unsupported", "calls are not supported here");
                return refuse(hub, conn, None, None, &error);
            };
            let mut log = |method: &str, cause: &str| hooks.error(method, cause);
            return rpc.serve(app, &mut Scope::new(hub, calls).of(conn), text, &mut log);
        };
        let (id, id_error) = match id.map(MessageId::new).transpose() {
            Ok(id) => (id, None),
            Err(reason) => {
                (None, Some(MessageError { path: Some("id".into()), ..MessageError::new("invalid", reason) }))
            }
        };
        let kind = match kind.map(|kind| serde_json::from_str::<Cow<'_, str>>(kind.get())) {
            Some(Ok(kind)) => kind,
            Some(Err(error)) => {
                let error =
                    MessageError { path: Some("type".into()), ..MessageError::new("invalid", reason_of(&error)) };
                return refuse(hub, conn, None, id, &error);
            }
            None => return refuse(hub, conn, None, id, &MessageError::new("invalid", "missing field `type`")),
        };
        if kind == "error" && !router.knows(&kind) {
            // Two peers that answer each other's errors would never stop.
            return;
        }
        if let Some(error) = id_error {
            return refuse(hub, conn, Some(&shown(&kind)), None, &error);
        }
        if !router.serves(&kind) {
            return self.unknown_type(hub, conn, id, &kind);
        }
        let mut scope = Scope::new(hub, calls);
        let mut cx = scope.of(conn);
        cx.id = id;
        let result = router.serve(app, &mut cx, &kind, Source::Object(text));
        if let Err(error) = result {
            refuse(hub, conn, Some(&shown(&kind)), id, &error);
        }
    }

    fn command(&mut self, hub: &mut Hub<'_, A::Context>, conn: ConnId, command: &str) {
        let Self { app, router, calls, .. } = self;
        let (first, mut rest) = next_word(command);
        let (mut kind, all) = (first.to_owned(), rest);
        while !router.knows(&kind) {
            let (word, after) = next_word(rest);
            if word.is_empty() {
                break;
            }
            kind = format!("{kind}.{word}");
            rest = after;
            if kind.len() > 128 {
                break;
            }
        }
        if !router.knows(&kind) && first != "help" {
            // The fallback of a nested router gets the type with the router's name.
            (kind, rest) = (first.to_owned(), all);
            let (word, after) = next_word(all);
            let nested = format!("{first}.{word}");
            if !word.is_empty() && router.is_nested(&nested) {
                (kind, rest) = (nested, after);
            }
        }
        if first != "help" && router.serves(&kind) || router.knows(&kind) {
            let result = router.serve(app, &mut Scope::new(hub, calls).of(conn), &kind, Source::Words(rest));
            if let Err(error) = result {
                refuse(hub, conn, Some(&shown(&kind)), None, &error);
            }
        } else if first == "help" {
            let mut scope = Scope::new(hub, calls);
            for (kind, usage) in router.usages(&scope.of(conn)) {
                let line = format!("/{} {usage}", kind.replace('.', " "));
                scope.hub.send(conn, line.trim_end());
            }
        } else {
            self.unknown_type(hub, conn, None, first);
        }
    }

    fn plain(&mut self, hub: &mut Hub<'_, A::Context>, conn: ConnId, text: &str) {
        let Self { app, calls, hooks, .. } = self;
        let mut scope = Scope::new(hub, calls);
        if hooks.text.is_none() {
            let words = "expected a JSON object with a `type`, or a command; /help lists the commands";
            return refuse(hub, conn, None, None, &MessageError::new("unsupported", words));
        }
        if let Err(error) = hooks.plain(app, &mut scope.of(conn), text) {
            refuse(hub, conn, None, None, &error);
        }
    }

    fn unknown_type(&mut self, hub: &mut Hub<'_, A::Context>, conn: ConnId, id: Option<MessageId<'_>>, kind: &str) {
        if self.unknown == Unknown::Ignore {
            return;
        }
        refuse(hub, conn, Some(&shown(kind)), id, &MessageError::new("unknown_type", "unknown type or command"));
        if self.unknown == Unknown::Close {
            hub.end(conn, Reason::BadRequest);
        }
    }
}

fn refuse<C>(hub: &mut Hub<'_, C>, conn: ConnId, of: Option<&str>, id: Option<MessageId<'_>>, error: &MessageError) {
    error.tell(of, id, |message| hub.send(conn, message));
}

/// Returns at most the first 64 characters of a peer's message type, for an error.
fn shown(kind: &str) -> Cow<'_, str> {
    match kind.char_indices().nth(64) {
        Some((end, _)) => kind[..end].into(),
        None => kind.into(),
    }
}

fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

impl<A: App + fmt::Debug> fmt::Debug for Service<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("app", &self.app).field("router", &self.router).finish_non_exhaustive()
    }
}
