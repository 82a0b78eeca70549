//! What clients send: commands, as JSON.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A command: its number, and one request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Command<'a> {
    /// 0 for what gets no reply.
    pub(super) id: u32,
    #[serde(borrow)]
    pub(super) connect: Option<Connect<'a>>,
    #[serde(borrow)]
    pub(super) subscribe: Option<Subscribe<'a>>,
    #[serde(borrow)]
    pub(super) unsubscribe: Option<OfChannel<'a>>,
    #[serde(borrow)]
    pub(super) publish: Option<Publish<'a>>,
    #[serde(borrow)]
    pub(super) presence: Option<OfChannel<'a>>,
    #[serde(borrow)]
    pub(super) presence_stats: Option<OfChannel<'a>>,
    #[serde(borrow)]
    pub(super) history: Option<History<'a>>,
    #[serde(borrow)]
    pub(super) rpc: Option<Rpc<'a>>,
    #[serde(borrow)]
    pub(super) send: Option<Send<'a>>,
    #[serde(borrow)]
    pub(super) refresh: Option<Refresh<'a>>,
    #[serde(borrow)]
    pub(super) sub_refresh: Option<SubRefresh<'a>>,
    /// Old clients ask for it; the server pings by itself.
    pub(super) ping: Option<serde::de::IgnoredAny>,
}

/// The one request of a command.
#[derive(Debug)]
pub(super) enum Request<'a> {
    Connect(Connect<'a>),
    Subscribe(Subscribe<'a>),
    Unsubscribe(OfChannel<'a>),
    Publish(Publish<'a>),
    Presence(OfChannel<'a>),
    PresenceStats(OfChannel<'a>),
    History(History<'a>),
    Rpc(Rpc<'a>),
    Send(Send<'a>),
    Refresh(Refresh<'a>),
    SubRefresh(SubRefresh<'a>),
    Ping,
    /// An empty object: the answer to a ping.
    Pong,
    /// Nothing that is known here, or several requests.
    Unknown,
}

impl<'a> Command<'a> {
    /// Takes a command apart.
    pub(super) fn into_request(self) -> (u32, Request<'a>) {
        let id = self.id;
        let mut found = [
            self.connect.map(Request::Connect),
            self.subscribe.map(Request::Subscribe),
            self.unsubscribe.map(Request::Unsubscribe),
            self.publish.map(Request::Publish),
            self.presence.map(Request::Presence),
            self.presence_stats.map(Request::PresenceStats),
            self.history.map(Request::History),
            self.rpc.map(Request::Rpc),
            self.send.map(Request::Send),
            self.refresh.map(Request::Refresh),
            self.sub_refresh.map(Request::SubRefresh),
            self.ping.map(|_| Request::Ping),
        ]
        .into_iter()
        .flatten();
        match (found.next(), found.next()) {
            (Some(request), None) => (id, request),
            (None, _) if id == 0 => (id, Request::Pong),
            _ => (id, Request::Unknown),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Connect<'a> {
    #[serde(borrow)]
    pub(super) token: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    /// The positions of subscriptions that the server makes.
    #[serde(borrow)]
    pub(super) subs: BTreeMap<String, Known<'a>>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) version: Cow<'a, str>,
}

/// What a client knows of a channel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Known<'a> {
    pub(super) recover: bool,
    #[serde(borrow)]
    pub(super) epoch: Cow<'a, str>,
    pub(super) offset: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Subscribe<'a> {
    #[serde(borrow)]
    pub(super) channel: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) token: Cow<'a, str>,
    pub(super) recover: bool,
    #[serde(borrow)]
    pub(super) epoch: Cow<'a, str>,
    pub(super) offset: u64,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    pub(super) positioned: bool,
    pub(super) recoverable: bool,
    pub(super) join_leave: bool,
    pub(super) flag: u64,
    /// Kinds of subscriptions that this server does not have.
    #[serde(rename = "type")]
    pub(super) kind: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfChannel<'a> {
    #[serde(borrow)]
    pub(super) channel: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Publish<'a> {
    #[serde(borrow)]
    pub(super) channel: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct History<'a> {
    #[serde(borrow)]
    pub(super) channel: Cow<'a, str>,
    /// 0: only the position. Negative: as much as the server gives.
    pub(super) limit: i32,
    #[serde(borrow)]
    pub(super) since: Option<Since<'a>>,
    pub(super) reverse: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Since<'a> {
    #[serde(borrow)]
    pub(super) epoch: Cow<'a, str>,
    pub(super) offset: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rpc<'a> {
    #[serde(borrow)]
    pub(super) method: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Send<'a> {
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refresh<'a> {
    #[serde(borrow)]
    pub(super) token: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SubRefresh<'a> {
    /// Some clients leave it out, and then the token names it.
    #[serde(borrow)]
    pub(super) channel: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) token: Cow<'a, str>,
}
