//! Channels for the clients of the Centrifuge protocol, and for people on lines and telnet.
//!
//! [`PubSub`] is a [`Handler`] on [rooms that remember](crate::RoomMemory): clients subscribe to
//! channels, publish, read histories and who is present, and recover what they missed. It speaks
//! version 2 of Centrifuge's client protocol as JSON, so its clients for JavaScript, Python and
//! others connect without a change: over a WebSocket, or as lines or frames of JSON. Whoever begins
//! with `/` instead is a person: see [Commands for people](#commands-for-people).
//!
//! ```
//! use drupe_core::kit::pubsub::{ChannelRules, Channels, PubSub, PubSubOptions};
//! use drupe_core::testing::TestHub;
//! use drupe_core::{Config, RoomMemory};
//!
//! let mut rules = ChannelRules::default();
//! (rules.allow_subscribe_for_client, rules.allow_subscribe_for_anonymous) = (true, true);
//! let mut channels = Channels::default();
//! channels.namespaces.insert("news".into(), rules);
//! let config = Config::listening(["tcp://127.0.0.1:7000".parse()?])
//!     .memory(RoomMemory::default().rooms(channels.rooms()));
//! let options = PubSubOptions::default().channels(channels).allow_anonymous(true);
//! let mut hub = TestHub::with_config(config, PubSub::new(options, ()));
//! let ann = hub.connect();
//! hub.line(ann, r#"{"id":1,"connect":{}}"#);
//! hub.line(ann, r#"{"id":2,"subscribe":{"channel":"news:1"}}"#);
//! assert_eq!(hub.lines(ann)[1], r#"{"id":2,"subscribe":{}}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The rooms need their options in the configuration: see [`Channels::rooms`].
//!
//! # What differs from Centrifugo
//!
//! - An epoch changes whenever continuity is not proved. A client without an epoch does not recover.
//! - A token that is not valid yet is refused for good (3500), because its client would otherwise
//!   fetch another one without end.
//! - A batch has at most as many commands as channels are allowed, and 64 more.
//! - The protocol's Protobuf form, deltas, filters by tags, maps and shared polls do not exist. `delta`
//!   and `tf` are ignored, so clients get whole publications, and unfiltered ones.
//! - Names of channels have at most 128 bytes by default.
//!
//! # Commands for people
//!
//! | line | does |
//! |---|---|
//! | `/connect TOKEN` | gives the token of a connection |
//! | `/sub CHANNEL`, `/unsub CHANNEL` | subscribes, and ends that |
//! | `/pub CHANNEL TEXT` | publishes a text |
//! | `/who CHANNEL` | shows who is there |
//! | `/history CHANNEL` | shows the messages that are kept, latest last |
//! | `/help`, `/quit` | |

mod answer;
mod codes;
mod command;
mod connecting;
mod hooks;
mod json;
mod lines;
mod members;
mod operations;
mod options;
mod publication;
mod refreshing;
mod rules;
mod session;
mod subscribing;
#[cfg(test)]
mod tests;
mod tokens;

pub use codes::Refusal;
pub use hooks::{Caller, Connecting, Hooks};
pub use options::PubSubOptions;
pub use rules::{ChannelRules, Channels};
pub use session::Session;

use crate::base::{ConnId, Outgoing, Reason, Representation};
use crate::handler::{Close, Event, Handler, Hub, NoNote};
use crate::kit::pubsub::json::Object;
use crate::state::{RoomRequest, Timer};
use crate::wire::websocket::CloseCode;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use answer::Answer;
use codes::{Disconnect, Failed};
use command::{Command, Request};
use core::time::Duration;
use operations::Asked;
use session::Phase;

const CONNECT_TIMER: &str = "pubsub connect";
const PING_TIMER: &str = "pubsub ping";
const PONG_TIMER: &str = "pubsub pong";
const EXPIRY_TIMER: &str = "pubsub expiry";
const SUBSCRIPTION_TIMER: &str = "pubsub subscription";

/// Number of commands in a message besides one for each channel.
const COMMANDS: usize = 64;

/// An application of channels. `K` decides what the rules of the channels do not.
#[derive(Debug)]
pub struct PubSub<K = ()> {
    options: PubSubOptions,
    hooks: K,
    /// What was asked of homes, and for whom.
    asked: BTreeMap<RoomRequest, (ConnId, u32, Asked)>,
    /// The members that are told who comes and goes, by channel.
    told: BTreeMap<String, BTreeSet<ConnId>>,
}

impl<K: Hooks> PubSub<K> {
    /// Creates an application with these options and hooks.
    pub const fn new(options: PubSubOptions, hooks: K) -> Self {
        Self { options, hooks, asked: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Replaces the options. Subscriptions that exist stay.
    pub fn set_options(&mut self, options: PubSubOptions) {
        self.options = options;
    }

    /// Handles an event, as [`Handler::on`] does, for any type of notes.
    pub fn on_event<N>(&mut self, hub: &mut Hub<'_, Session>, event: &Event<'_, N>) {
        match *event {
            Event::Opened { conn, .. } => self.opened(hub, conn),
            Event::Message { conn, payload } => match payload.as_str() {
                Some(text) => self.said(hub, conn, text),
                None => disconnect(hub, conn, Disconnect::BAD_REQUEST),
            },
            Event::Timer(Timer { conn: Some(conn), name, key, .. }) => self.timer(hub, conn, name, key),
            Event::Joined { conn, room, position, recovery, missed } => {
                self.joined(hub, conn, room, position, recovery, missed);
            }
            Event::RoomAnswered { request, answer } => self.answered(hub, request, answer),
            Event::RoomGap(gap) => self.gap(hub, gap.conn, gap.room),
            Event::PresenceChanged(change) => self.presence_changed(hub, change),
            Event::Draining => {
                let all: alloc::vec::Vec<ConnId> = hub.connections().collect();
                all.into_iter().for_each(|conn| disconnect(hub, conn, Disconnect::SHUTDOWN));
            }
            Event::Closed { conn, .. } => self.closed(hub, conn),
            _ => {}
        }
    }

    fn opened(&self, hub: &mut Hub<'_, Session>, conn: ConnId) {
        if hub.wire_name(conn) == Some("websocket") {
            wake(hub, conn, CONNECT_TIMER, self.options.connect_timeout);
        }
    }

    /// Handles a message: commands of the protocol, or a line of a person.
    fn said(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, text: &str) {
        let is_websocket = hub.wire_name(conn) == Some("websocket");
        let Some(session) = hub.context(conn) else { return };
        match session.phase {
            Phase::Over => {}
            Phase::New if !is_websocket && text.starts_with('/') => {
                session.phase = Phase::Lines;
                hub.set_representation(conn, Representation::Text);
                lines::begin(self, hub, conn);
                lines::said(self, hub, conn, text);
            }
            Phase::Lines => lines::said(self, hub, conn, text),
            Phase::New | Phase::Connecting(_) | Phase::Connected => self.batch(hub, conn, text),
        }
    }

    fn batch(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, text: &str) {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let most = self.options.channels_max as usize + COMMANDS;
        for (number, line) in text.split('\n').enumerate() {
            let is_fine = number < most && self.command(hub, conn, line, most);
            if !is_fine {
                return disconnect(hub, conn, Disconnect::BAD_REQUEST);
            }
        }
    }

    /// Runs a command, or keeps it until the client is connected. Returns `false` if it is none, or too many wait.
    fn command(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, line: &str, most: usize) -> bool {
        match hub.context(conn).map(|session| &mut session.phase) {
            None | Some(Phase::Over) => return true,
            Some(Phase::Connecting(connecting)) => {
                let fits = connecting.commands.len() < most;
                connecting.commands.push(line.into());
                return fits;
            }
            Some(_) => {}
        }
        // Otherwise, an array would be read as the fields of a command in their order.
        if !line.trim_ascii_start().starts_with('{') {
            return false;
        }
        let Ok(command) = serde_json::from_str::<Command<'_>>(line) else { return false };
        let (id, request) = command.into_request();
        match self.run(hub, conn, id, request) {
            Ok(Some(answer)) => reply(hub, conn, id, &answer),
            Ok(None) => {}
            Err(failed) => fail(hub, conn, id, &failed),
        }
        true
    }

    /// Runs a command. `None`: there is no answer, or it follows.
    fn run(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        id: u32,
        request: Request<'_>,
    ) -> Result<Option<Answer>, Failed> {
        let Some(session) = hub.context(conn) else { return Ok(None) };
        let is_connect = matches!(request, Request::Connect(_));
        let has_id = id > 0 || matches!(request, Request::Send(_) | Request::Pong);
        if is_connect != matches!(session.phase, Phase::New) || !has_id {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        match request {
            Request::Connect(connect) => self.connect(hub, conn, id, &connect),
            Request::Subscribe(subscribe) => self.subscribe(hub, conn, id, &subscribe),
            Request::Unsubscribe(of) => Ok(Some(self.unsubscribe(hub, conn, &of.channel))),
            Request::Publish(publish) => self.publish(hub, conn, id, &publish),
            Request::Presence(of) => self.presence(hub, conn, id, &of.channel, false),
            Request::PresenceStats(of) => self.presence(hub, conn, id, &of.channel, true),
            Request::History(history) => self.history(hub, conn, id, &history),
            Request::Rpc(rpc) => self.rpc(hub, conn, &rpc),
            Request::Send(send) => self.message(hub, conn, &send),
            Request::Refresh(refresh) => self.refresh(hub, conn, &refresh.token),
            Request::SubRefresh(refresh) => self.sub_refresh(hub, conn, &refresh),
            Request::Ping => Err(Refusal::NOT_AVAILABLE.into()),
            Request::Pong => self.pong(hub, conn),
            Request::Unknown => Err(Refusal::BAD_REQUEST.into()),
        }
    }

    /// Handles the answer to a ping.
    fn pong(&self, hub: &mut Hub<'_, Session>, conn: ConnId) -> Result<Option<Answer>, Failed> {
        let Some(session) = hub.context(conn) else { return Ok(None) };
        if !core::mem::take(&mut session.owes_pong) && !self.options.pong_timeout.is_zero() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        hub.cancel(Timer::of(conn, PONG_TIMER));
        Ok(None)
    }

    fn timer(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, name: &'static str, key: u64) {
        match name {
            CONNECT_TIMER => disconnect(hub, conn, Disconnect::STALE),
            PONG_TIMER => disconnect(hub, conn, Disconnect::NO_PONG),
            EXPIRY_TIMER => disconnect(hub, conn, Disconnect::EXPIRED),
            SUBSCRIPTION_TIMER => self.subscription_expired(hub, conn, key),
            PING_TIMER => {
                hub.send(conn, "{}");
                wake(hub, conn, PING_TIMER, self.options.ping_interval);
                let pong_timeout = self.options.pong_timeout;
                if let Some(session) = hub.context(conn).filter(|_| !pong_timeout.is_zero()) {
                    if !core::mem::replace(&mut session.owes_pong, true) {
                        wake(hub, conn, PONG_TIMER, pong_timeout);
                    }
                }
            }
            _ => {}
        }
    }

    fn closed(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId) {
        let Some(session) = hub.context(conn) else { return };
        for channel in session.subscriptions.keys() {
            forget_told(&mut self.told, channel, conn);
        }
        if !session.client.is_empty() {
            self.hooks.disconnected(Caller { client: &session.client, user: &session.user });
        }
    }
}

impl<K: Hooks> Handler for PubSub<K> {
    type Context = Session;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Session>, event: Event<'_, NoNote>) {
        self.on_event(hub, &event);
    }

    fn holds_secrets(&self) -> bool {
        true
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

fn wake(hub: &mut Hub<'_, Session>, conn: ConnId, name: &'static str, after: Duration) {
    if !after.is_zero() {
        hub.wake(Timer::of(conn, name), after);
    }
}

/// Forgets that a member is told who comes and goes.
fn forget_told(told: &mut BTreeMap<String, BTreeSet<ConnId>>, channel: &str, conn: ConnId) {
    if let Some(members) = told.get_mut(channel) {
        members.remove(&conn);
        if members.is_empty() {
            told.remove(channel);
        }
    }
}

/// Answers a command.
fn reply(hub: &mut Hub<'_, Session>, conn: ConnId, id: u32, answer: &Answer) {
    if hub.context(conn).is_some_and(|session| matches!(session.phase, Phase::Lines)) {
        answer.lines().iter().for_each(|line| {
            hub.send(conn, line);
        });
        return;
    }
    let (kind, json) = answer.json();
    hub.send(conn, &Object::new().number("id", id.into()).raw(kind, &json).end());
}

/// Tells a client why its command has no result.
fn fail(hub: &mut Hub<'_, Session>, conn: ConnId, id: u32, failed: &Failed) {
    let is_person = hub.context(conn).is_some_and(|session| matches!(session.phase, Phase::Lines));
    match failed {
        Failed::Disconnect(why) => disconnect(hub, conn, *why),
        Failed::Refused(refusal) if is_person => {
            hub.send(conn, &alloc::format!("* {}", refusal.message));
        }
        Failed::Refused(refusal) => {
            hub.send(conn, &Object::new().number("id", id.into()).raw("error", &refusal.json()).end());
        }
    }
}

/// Ends a connection, and tells the client whether to come back.
fn disconnect(hub: &mut Hub<'_, Session>, conn: ConnId, why: Disconnect) {
    let is_websocket = hub.wire_name(conn) == Some("websocket");
    let Some(session) = hub.context(conn) else { return };
    let was = core::mem::replace(&mut session.phase, Phase::Over);
    let push =
        alloc::format!("{{\"push\":{{\"disconnect\":{{\"code\":{},\"reason\":\"{}\"}}}}}}", why.code, why.reason);
    let text = alloc::format!("* disconnected: {}", why.reason);
    let mut close = Close::new(Reason::Application).text(why.reason);
    if let Ok(code) = CloseCode::new(why.code) {
        close = close.code(code);
    }
    // A WebSocket carries the code itself.
    match was {
        Phase::Over => return,
        Phase::Lines => close = close.farewell(Outgoing::from(&text)),
        _ if !is_websocket => close = close.farewell(Outgoing::from(&push)),
        _ => {}
    }
    hub.end(conn, close);
}
