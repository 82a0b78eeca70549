//! The commands of clients, as JSON. A field that is `null` counts as absent.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A command: its number, and one request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Command<'a> {
    /// 0 for what gets no reply.
    #[serde(deserialize_with = "or_default")]
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
    #[serde(borrow, deserialize_with = "text")]
    pub(super) token: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    /// The positions of subscriptions that the server makes.
    #[serde(borrow, deserialize_with = "positions")]
    pub(super) subs: BTreeMap<String, Known<'a>>,
    #[serde(borrow, deserialize_with = "text")]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text")]
    pub(super) version: Cow<'a, str>,
}

/// What a client knows of a channel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Known<'a> {
    #[serde(deserialize_with = "or_default")]
    pub(super) recover: bool,
    #[serde(borrow, deserialize_with = "text")]
    pub(super) epoch: Cow<'a, str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) offset: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Subscribe<'a> {
    #[serde(borrow, deserialize_with = "text")]
    pub(super) channel: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text")]
    pub(super) token: Cow<'a, str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) recover: bool,
    #[serde(borrow, deserialize_with = "text")]
    pub(super) epoch: Cow<'a, str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) offset: u64,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(deserialize_with = "or_default")]
    pub(super) positioned: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) recoverable: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) join_leave: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) flag: u64,
    /// Kinds of subscriptions that this server does not have.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfChannel<'a> {
    #[serde(borrow, deserialize_with = "text")]
    pub(super) channel: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Publish<'a> {
    #[serde(borrow, deserialize_with = "text")]
    pub(super) channel: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct History<'a> {
    #[serde(borrow, deserialize_with = "text")]
    pub(super) channel: Cow<'a, str>,
    /// 0: only the position. Negative: as much as the server gives.
    #[serde(deserialize_with = "or_default")]
    pub(super) limit: i32,
    #[serde(borrow)]
    pub(super) since: Option<Since<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) reverse: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Since<'a> {
    #[serde(borrow, deserialize_with = "text")]
    pub(super) epoch: Cow<'a, str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) offset: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rpc<'a> {
    #[serde(borrow, deserialize_with = "text")]
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
    #[serde(borrow, deserialize_with = "text")]
    pub(super) token: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SubRefresh<'a> {
    /// Some clients leave it out, and then the token names it.
    #[serde(borrow, deserialize_with = "text")]
    pub(super) channel: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text")]
    pub(super) token: Cow<'a, str>,
}

/// Reads a value, or the default in place of `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(source: D) -> Result<T, D::Error> {
    Option::deserialize(source).map(Option::unwrap_or_default)
}

/// Reads text, or an empty one in place of `null`. Text without escapes is borrowed.
fn text<'de, D: Deserializer<'de>>(source: D) -> Result<Cow<'de, str>, D::Error> {
    #[derive(Default, Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    or_default::<D, Text<'de>>(source).map(|text| text.0)
}

/// Reads the positions that a client has in channels. `null` in place of one is the default.
fn positions<'de, D: Deserializer<'de>>(source: D) -> Result<BTreeMap<String, Known<'de>>, D::Error> {
    let all: BTreeMap<String, Option<Known<'de>>> = or_default(source)?;
    Ok(all.into_iter().map(|(channel, known)| (channel, known.unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_counts_as_left_out() {
        for (json, without) in [
            (r#"{"id":null,"ping":null}"#, "{}"),
            (r#"{"connect":{"token":null,"data":null,"subs":null,"name":null,"version":null}}"#, r#"{"connect":{}}"#),
            (
                r#"{"connect":{"subs":{"a":null,"b":{"recover":null,"epoch":null,"offset":null}}}}"#,
                r#"{"connect":{"subs":{"a":{},"b":{}}}}"#,
            ),
            (
                r#"{"subscribe":{"channel":null,"token":null,"recover":null,"epoch":null,"offset":null,"data":null,
                "positioned":null,"recoverable":null,"join_leave":null,"flag":null,"type":null}}"#,
                r#"{"subscribe":{}}"#,
            ),
            (r#"{"history":{"limit":null,"since":null,"reverse":null}}"#, r#"{"history":{}}"#),
            (r#"{"history":{"since":{"epoch":null,"offset":null}}}"#, r#"{"history":{"since":{}}}"#),
            (r#"{"sub_refresh":{"channel":null,"token":null}}"#, r#"{"sub_refresh":{}}"#),
            (r#"{"rpc":{"method":null,"data":null}}"#, r#"{"rpc":{}}"#),
            (r#"{"subscribe":null,"publish":{"channel":"a"}}"#, r#"{"publish":{"channel":"a"}}"#),
        ] {
            let parsed = |json| alloc::format!("{:?}", serde_json::from_str::<Command<'_>>(json).expect(json));
            assert_eq!(parsed(json), parsed(without), "{json}");
        }
        for json in [r#"{"id":"1"}"#, r#"{"id":-1}"#, r#"{"id":4294967296}"#, r#"{"subscribe":{"offset":-1}}"#] {
            assert!(serde_json::from_str::<Command<'_>>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let command = r#"{"publish":{"channel":"news:a","data":1}}"#;
        let command: Command<'_> = serde_json::from_str(command).expect("a command");
        assert!(matches!(command.publish.expect("it is one").channel, Cow::Borrowed("news:a")));
    }
}
