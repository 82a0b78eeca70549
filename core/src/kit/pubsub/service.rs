//! The application, and how it answers and ends connections.

use super::answer::Answer;
use super::api::{Call, HostCalls, Place};
use super::codes::{Disconnect, Failed};
use super::hooks::Hooks;
use super::json::Object;
use super::options::PubSubOptions;
use super::session::{Phase, Session, Stream};
use super::stream_output;
use crate::base::{ConnId, Outgoing, Reason};
use crate::handler::{Close, Hub};
use crate::kit::backend::Backend;
use crate::metrics::SeriesId;
use crate::state::{RequestTicket, RoomRequest, Timer};
use crate::wire::websocket::CloseCode;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

pub(super) const CONNECT_TIMER: &str = "pubsub connect";
pub(super) const PING_TIMER: &str = "pubsub ping";
pub(super) const PONG_TIMER: &str = "pubsub pong";
pub(super) const EXPIRY_TIMER: &str = "pubsub expiry";
pub(super) const HOSTS_TIMER: &str = "pubsub hosts";
pub(super) const SUBSCRIPTION_TIMER: &str = "pubsub subscription";

/// An application of channels. `K` decides what the rules of the channels do not.
#[derive(Debug)]
pub struct PubSub<K = ()> {
    pub(super) options: PubSubOptions,
    pub(super) hooks: K,
    /// The requests to homes, each with the asker that waits for the answer.
    pub(super) asked: BTreeMap<RoomRequest, (Asker, Asked)>,
    /// The streams of events that are about to begin, by the slot of the connection.
    pub(super) opening: BTreeMap<usize, (ConnId, Opening)>,
    /// The subscribers that get joins and leaves, by channel.
    pub(super) told: BTreeMap<String, BTreeSet<ConnId>>,
    /// The connections of clients, by user. Anonymous clients have the empty name.
    pub(super) clients: BTreeMap<String, BTreeSet<ConnId>>,
    /// The calls of the API that wait for homes and other workers.
    pub(super) calls: BTreeMap<RequestTicket, Call>,
    pub(super) host_calls: HostCalls,
    /// The connections whose commands wait for the backend, by the number of the question.
    pub(super) questions: BTreeMap<u64, ConnId>,
    pub(super) backend: Option<Backend>,
    /// The counter of notices that the backend did not receive.
    pub(super) lost: Option<SeriesId>,
    /// The random number that identifies this worker in the result of `info`.
    pub(super) uid: u64,
}

impl<K: Hooks> PubSub<K> {
    /// Creates an application with these options and hooks.
    pub fn new(options: PubSubOptions, hooks: K) -> Self {
        let backend = options.backend.as_ref().map(|backend| Backend::new(backend.options()));
        Self {
            options,
            hooks,
            asked: BTreeMap::new(),
            opening: BTreeMap::new(),
            told: BTreeMap::new(),
            clients: BTreeMap::new(),
            calls: BTreeMap::new(),
            host_calls: HostCalls::default(),
            questions: BTreeMap::new(),
            backend,
            lost: None,
            uid: 0,
        }
    }

    /// Replaces the options. Subscriptions that exist stay.
    pub fn set_options(&mut self, options: PubSubOptions) {
        match (&mut self.backend, &options.backend) {
            (Some(backend), Some(new)) => backend.set_options(new.options()),
            // Requests under way still get their answers.
            (Some(_) | None, None) => {}
            (None, Some(new)) => self.backend = Some(Backend::new(new.options())),
        }
        self.options = options;
    }
}

/// The receiver of the answer of a home.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// A client, for the reply to the command with this number.
    Client(ConnId, u32),
    /// A call of the API.
    Api(Place),
}

/// A stream of events that is allowed, but has not begun.
#[derive(Debug)]
pub(super) struct Opening {
    /// The identifier of the client.
    pub(super) client: String,
    pub(super) user: String,
    /// The `info` of the connection token, as JSON.
    pub(super) user_info: Option<String>,
    /// When the connection ends, in seconds since 1970.
    pub(super) connection_expires_at: Option<u64>,
    pub(super) channel: String,
    /// The `info` of the channel token, as JSON.
    pub(super) info: Option<String>,
    /// Data for the client, as JSON.
    pub(super) data: Option<String>,
    /// When the right to the channel ends, in seconds since 1970.
    pub(super) expires_at: Option<u64>,
    pub(super) stream: Stream,
}

/// What was asked of the home of a channel.
#[derive(Debug)]
pub(super) enum Asked {
    Publish,
    History { is_reversed: bool },
    Presence { channel: String, found: Vec<(Arc<str>, Arc<str>)>, is_stats: bool },
}

pub(super) fn wake(hub: &mut Hub<'_, Session>, conn: ConnId, name: &'static str, after: Duration) {
    if !after.is_zero() {
        hub.wake(Timer::of(conn, name), after);
    }
}

/// Removes a connection from the set of a name.
pub(super) fn forget(named: &mut BTreeMap<String, BTreeSet<ConnId>>, name: &str, conn: ConnId) {
    if let Some(conns) = named.get_mut(name) {
        conns.remove(&conn);
        if conns.is_empty() {
            named.remove(name);
        }
    }
}

/// Answers a command.
pub(super) fn reply(hub: &mut Hub<'_, Session>, conn: ConnId, id: u32, answer: &Answer) {
    if let Some(stream) = hub.context(conn).and_then(|session| session.stream()) {
        if let Answer::Subscribed(subscribed) = answer {
            stream_output::subscribed(hub, conn, stream, subscribed);
        }
        return;
    }
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
pub(super) fn fail(hub: &mut Hub<'_, Session>, conn: ConnId, id: u32, failed: &Failed) {
    let is_person = hub.context(conn).is_some_and(|session| matches!(session.phase, Phase::Lines));
    match failed {
        // It is run again.
        Failed::Waits => {}
        Failed::Disconnect(why) => disconnect(hub, conn, why),
        Failed::Refused(refusal) if is_person => {
            hub.send(conn, &alloc::format!("* {}", refusal.message));
        }
        Failed::Refused(refusal) => {
            hub.send(conn, &Object::new().number("id", id.into()).raw("error", &refusal.json()).end());
        }
    }
}

/// Ends a connection, and tells the client whether to come back.
pub(super) fn disconnect(hub: &mut Hub<'_, Session>, conn: ConnId, why: &Disconnect) {
    let is_websocket = hub.wire_name(conn) == Some("websocket");
    let Some(session) = hub.context(conn) else { return };
    let was = core::mem::replace(&mut session.phase, Phase::Over);
    let json = Object::new().number("code", why.code.into()).text("reason", &why.reason).end();
    let push = alloc::format!("{{\"push\":{{\"disconnect\":{json}}}}}");
    let text = alloc::format!("* disconnected: {}", why.reason);
    let mut close = Close::new(Reason::Application).text(&why.reason);
    if let Ok(code) = CloseCode::new(why.code) {
        close = close.code(code);
    }
    // A WebSocket carries the code itself.
    match was {
        Phase::Over => return,
        Phase::Stream(_) => stream_output::ended(hub, conn, why),
        Phase::Lines => close = close.farewell(Outgoing::from(&text)),
        _ if !is_websocket => close = close.farewell(Outgoing::from(&push)),
        _ => {}
    }
    hub.end(conn, close);
}
