//! Messages between the monitors of two shards.

use crate::base::ConnId;
use crate::handler::Hub;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Topic of the messages between the monitors of two shards.
pub(super) const TOPIC: &str = "drupe::kit::monitor";

/// A message between the monitors of two shards. Sessions are named by their id as text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The number of watchers of the sending shard. With 0, it wants no further messages.
    Watchers(u32),
    /// A request for a [`Report`]. It also renews what may be sent until the next one.
    Ask { number: u64, sessions_max: usize },
    /// The response to `Ask`.
    Report(Box<Report>),
    /// A session of the sending shard started, at this time in nanoseconds since the start.
    Started { session: Value, at: u64 },
    /// A session of the sending shard ended.
    Ended { session: Value, reason: String },
    /// The peer of a watched session sent or received a message.
    Said { kind: String, session: String, data: Value },
    /// A request that the receiving shard answers with `Reply`.
    Request { number: u64, request: Request },
    /// The response to `Request`: the error, if there was one.
    Reply { number: u64, error: Option<String> },
    /// No watcher of the sending shard watches this session any more.
    Unwatch { session: String },
    /// A command that needs no response.
    Order(Order),
}

/// A request to the shard that holds a session, or to the first shard.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    Watch { session: String },
    Kick { session: String },
    Release { address: String },
}

/// A command that all shards execute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    ResetMetrics,
    Drain,
}

/// What a shard knows that others show.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    /// The number of the request.
    pub(super) number: u64,
    /// Sessions of the shard in the order of their ids, at most as many as requested.
    pub(super) sessions: Vec<Value>,
    /// Number of sessions on the shard.
    pub(super) total: usize,
    /// The session that opened last, and when, in nanoseconds since the start.
    pub(super) newest: Option<(u64, String)>,
    pub(super) is_draining: bool,
    /// The `recent` message of the shard. `None` if it is the same as in the report before.
    pub(super) recent: Option<Value>,
    /// Number of messages of each watched session that were not sent since the report before.
    pub(super) missed: Vec<(String, u64)>,
    /// The states of the tunnels, which only the first shard knows.
    pub(super) tunnels: Vec<Value>,
    /// The addresses in quarantine, which only the first shard knows.
    pub(super) quarantine: Vec<Value>,
}

/// Sends a message to a client of the monitor.
pub(super) fn tell<C>(hub: &mut Hub<'_, C>, conn: ConnId, message: &Value) {
    hub.send(conn, &message.to_string());
}

/// Returns the numbers of the other shards.
pub(super) fn others<C>(hub: &Hub<'_, C>) -> impl Iterator<Item = u8> + use<C> {
    let shard = hub.shard();
    (0..shard.count()).filter(move |other| *other != shard.number())
}

/// Sends a message to the monitor of another shard.
pub(super) fn post<C>(hub: &mut Hub<'_, C>, shard: u8, message: &Message) {
    if let Ok(text) = serde_json::to_string(message) {
        hub.send_to_shard(shard, TOPIC, &text);
    }
}

/// Sends a message to the monitors of all other shards.
pub(super) fn post_to_others<C>(hub: &mut Hub<'_, C>, message: &Message) {
    if hub.shard().count() > 1
        && let Ok(text) = serde_json::to_string(message)
    {
        for shard in others(hub) {
            hub.send_to_shard(shard, TOPIC, &text);
        }
    }
}
