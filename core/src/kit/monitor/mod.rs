//! A monitor that shows connections and traffic to operators. Needs features `json` and `std`.
//!
//! [`Monitor`] is a layer that serves the WebSocket at `/monitor`, on listeners with
//! [`Http::monitor`](crate::http::Http). Clients need its credential. The page at the same address
//! uses this protocol, as can any program.
//!
//! All messages are JSON objects with a `type`. The server sends:
//!
//! | type | when | other members |
//! |---|---|---|
//! | `hello` | first | `version`, `may_act`, `may_watch`, `may_record`, `interval_ms`; `address`: that of the watcher, as a quarantine of it is listed |
//! | `history` | second, with all samples, and every 10 s with one | `series`: of the last hour, and of the last day. Each has `step_ms`, `samples_max` and `samples`, which are arrays: `unix_ms`, the open connections without those of monitors, `queued_bytes`, `messages_in`, `messages_out`, `round_trip_count` and `round_trip_us` of the metrics |
//! | `active_sessions` | then, and every interval | `sessions`, at most 500 of `total` |
//! | `session_started` | a connection opened | `session` |
//! | `session_ended` | a connection closed | `session`, and the `reason` |
//! | `stats` | every interval | `unix_ms`, `draining`, `metrics`: counters since the start, and gauges; `tunnels`: the state of each [tunnel](crate::tunnel); `watchers`: how many of the open connections are monitors |
//! | `recent` | every interval while it differs from the last one | `errors`, `connections_recent`, `connections_longest` and `work_longest` of the metrics, at most 20 of each |
//! | `quarantine` | every interval while addresses are quarantined, and once more when the last is released | `addresses`: each `address`, and for how many `seconds` |
//! | `hosts` | every interval, in a [cluster](crate::Cluster) | `hosts`, this one first: each `id`, `name`, `version`, `is_own`, `is_linked`, `as_of_seconds`, `uptime_seconds`, `workers`, `connections`, `rooms`, `messages_in`, `messages_out`, `link_losses` |
//! | `watch_response` | to `watch_session` and `stop_watching` | `session_id`, `status`: `success`, `stopped` or `error`; and the `error` |
//! | `client_input`, `server_message` | the peer of the watched session sent or received a message | `session_id`, `data`: `text`, `bytes`, `truncated` |
//! | `watch_skipped` | some messages of the watched session were not shown | `session_id`, `count` |
//! | `log` | a line was logged | `unix_ms`, `line` |
//! | `action_response` | to an action | `action`, `status`, and the `error`; `connections`, `hosts` and `hosts_known` |
//!
//! The client sends `watch_session` and `stop_watching` with a `session_id`. Actions are `kick`
//! with a `session_id`, `kick_user` with a `user`, `quarantine` and `release` with an `address`,
//! `reset_metrics` (which clears the lists of `recent`), `record` (which has a [recording](Monitor::recorder)
//! written), and `drain`.
//!
//! `kick_user`, `quarantine` and `release` act on all hosts of a [cluster](crate::Cluster), and the
//! others on this host. The response to the first two has the number of `connections` that were
//! closed, on how many of `hosts_known` hosts (`hosts` answered within 2 s).
//!
//! `quarantine` also closes the open connections of that address, except those of watchers. A
//! watcher that names its own address gets the error `own_address`, because the server would refuse
//! its next connection too. `"force": true` overrides this.
//!
//! A session has `id`, `client` (`remote_addr`, `path`, `user_agent`), `start_time` (seconds since
//! 1970), `status`, `is_newest`, `listener`, `wire`, `tls`, `user` (authenticated), `name`
//! ([`Hub::set_label`]), `rooms`, `bytes_in`, `bytes_out`, `messages_in`, `queued_bytes` and
//! `round_trip_ms`.
//!
//! Watching does not slow a session. A slow watcher misses messages and gets their count. At most 4
//! KiB of each message are shown, without passwords and tokens: the values of JSON keys that name a
//! secret are replaced, and other text that names one is hidden.
//! [`conceal_unknown`](Monitor::conceal_unknown) hides all messages before authentication.
//!
//! # Several shards
//!
//! Each [shard](crate::Shard) needs its own `Monitor`, with the same limits and a clone of the same
//! [`LogTail`]. A watcher sees and controls the sessions of all shards, whichever one it is
//! connected to. Its shard checks its permissions and writes the audit line; the shard that holds the
//! session executes the command. Sessions are listed in the order of their ids. Of more than 500,
//! each shard shows an equal number, or all that it has.
//!
//! Shards exchange [messages](crate::Hub::send_to_shard) only while there is a watcher. Each
//! interval, the shard of a watcher asks the others for a report, and a shard that has not answered
//! is not asked again. The periodic messages wait for these reports, for at most one interval. A
//! shard sends another at most 128 `session_started` and `session_ended`, and 64 KiB of the messages
//! of watched sessions, until it is asked for the next report. The end of a watched session is
//! always sent. `watch_skipped` counts the messages beyond 64 KiB; sessions beyond the 128 appear in
//! the next list.
//!
//! The counters in `stats` are those that the shards send each other for `/metrics`, at most a
//! second old. A command for a session gets an error if its shard does not answer within 10 s.

mod action;
mod command;
mod exchange;
mod history;
mod log_tail;
mod message;
mod news;
mod redact;
mod report;
mod session;
mod shards;
mod stats;

pub use log_tail::LogTail;

use crate::base::setters;
use crate::base::{ConnId, Reason, Time};
use crate::handler::{Event, Handler, Hub};
use crate::kit::layer::Layer;
use crate::state::{ClusterRequest, Timer};
use crate::wire::http::Request;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use core::fmt;
use core::time::Duration;
use history::{History, SAMPLE};
use message::TOPIC;
use serde_json::{Value, json};
use session::Client;
use shards::{Other, Subscriber};

/// Maximum number of bytes shown of each message.
const SHOWN_MAX_BYTES: usize = 4 << 10;
/// The timer of the periodic messages.
const TICK: Timer = Timer::named("drupe::kit::monitor");

/// Limits and permissions of the watchers of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorLimits {
    /// Maximum number of watchers at a time, on all shards. Default: 16.
    pub watchers_max: u32,
    /// Interval of the periodic messages. At least 100 ms. Default: 1 s.
    pub interval: Duration,
    /// Whether watchers may perform [actions](self), such as closing connections. Default: true.
    pub may_act: bool,
    /// Whether watchers may see messages of sessions. Default: true.
    pub may_watch: bool,
}

setters!(MonitorLimits { watchers_max: u32, interval: Duration, may_act: bool, may_watch: bool });

impl Default for MonitorLimits {
    /// Returns limits of 16 watchers and an interval of 1 s, with both permissions.
    fn default() -> Self {
        Self { watchers_max: 16, interval: Duration::from_secs(1), may_act: true, may_watch: true }
    }
}

impl MonitorLimits {
    /// Returns the interval of the periodic messages.
    fn period(&self) -> Duration {
        self.interval.max(Duration::from_millis(100))
    }
}

/// A layer that serves the [monitor](self). Make it the outermost layer.
#[derive(Debug)]
pub struct Monitor {
    limits: MonitorLimits,
    log: LogTail,
    /// Number of log lines that the watchers have been told.
    log_seen: u64,
    conceals_unknown: bool,
    audit: Option<Audit>,
    recorder: Option<Recorder>,
    /// The state of each watcher of this shard, by the watcher's connection.
    watchers: BTreeMap<ConnId, Watcher>,
    /// Connections beyond the limit, until they are over.
    refused: BTreeSet<ConnId>,
    /// Details of each session of this shard, beyond those that the hub keeps.
    clients: BTreeMap<ConnId, Client>,
    /// The session of this shard that opened last, and when, in nanoseconds since the start.
    own_newest: Option<(u64, ConnId)>,
    /// What the other shards have reported, while this one has watchers.
    others: BTreeMap<u8, Other>,
    /// The other shards that have watchers.
    subscribers: BTreeMap<u8, Subscriber>,
    /// Requests of watchers to other shards, by number, until the reply comes.
    asked: BTreeMap<u64, Asked>,
    /// Actions on all hosts whose answers are awaited: the watcher, and the name of the action.
    asked_hosts: BTreeMap<ClusterRequest, (ConnId, &'static str)>,
    /// The number of the last request or report asked for.
    number: u64,
    /// Whether the periodic messages wait for reports of other shards.
    is_due: bool,
    had_quarantine: bool,
    /// The last `recent` message sent, or `null`.
    recent: Value,
    history: History,
}

#[derive(Debug, Default)]
struct Watcher {
    watches: Option<ConnId>,
    missed: u64,
    /// Whether it has received a list of the sessions.
    is_listed: bool,
}

impl Watcher {
    /// Returns the message that tells how many messages it was not shown, and resets their number.
    fn take_missed(&mut self) -> Option<Value> {
        let session = self.watches.filter(|_| self.missed > 0)?;
        let count = core::mem::take(&mut self.missed);
        Some(json!({ "type": "watch_skipped", "session_id": session.to_string(), "count": count }))
    }
}

/// A watcher's request to another shard.
#[derive(Debug)]
struct Asked {
    watcher: ConnId,
    shard: u8,
    what: What,
    at: Time,
}

/// What a watcher asked for, which names the response.
#[derive(Debug)]
enum What {
    /// To watch the session of this id, as the watcher wrote it.
    Watch(String),
    /// An action of this name.
    Action(&'static str),
}

/// The function that has a recording written.
struct Recorder(Box<dyn FnMut() -> Result<(), String> + Send>);

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// The function that receives the audit lines.
struct Audit(Box<dyn FnMut(&str) + Send>);

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}

impl Monitor {
    /// Creates a monitor with these limits, which shows the lines of this log.
    #[must_use]
    pub const fn new(limits: MonitorLimits, log: LogTail) -> Self {
        Self {
            limits,
            log,
            log_seen: 0,
            conceals_unknown: false,
            audit: None,
            recorder: None,
            watchers: BTreeMap::new(),
            refused: BTreeSet::new(),
            clients: BTreeMap::new(),
            own_newest: None,
            others: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            asked: BTreeMap::new(),
            asked_hosts: BTreeMap::new(),
            number: 0,
            is_due: false,
            had_quarantine: false,
            recent: Value::Null,
            history: History::new(),
        }
    }

    /// Hides messages from and to unauthenticated peers, because they may contain secrets.
    #[must_use]
    pub fn conceal_unknown(self) -> Self {
        Self { conceals_unknown: true, ..self }
    }

    /// Calls `audit` with a line for each command: the watcher, its address and the command.
    ///
    /// The shard that the watcher is connected to writes it, also of commands that others execute.
    #[must_use]
    pub fn audit(self, audit: impl FnMut(&str) + Send + 'static) -> Self {
        Self { audit: Some(Audit(Box::new(audit))), ..self }
    }

    /// Lets watchers that may act have a recording written, such as that of a
    /// [flight recorder](crate::trace::FlightRecorder). `record` is called on the thread of the shard, so it should only
    /// start a thread that writes. If it returns an error, the monitor sends that to the watcher.
    #[must_use]
    pub fn recorder(self, record: impl FnMut() -> Result<(), String> + Send + 'static) -> Self {
        Self { recorder: Some(Recorder(Box::new(record))), ..self }
    }

    /// Adds a session or a watcher. Returns whether the application must not see the connection.
    fn opened<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, request: Option<&Request>) -> bool {
        if !request.is_some_and(Request::opens_monitor) {
            self.clients.insert(conn, Client::new(hub, request));
            self.own_newest = Some((hub.now().as_nanos(), conn));
            self.tell_started(hub, conn);
            return false;
        }
        if self.watchers_of_all() >= self.limits.watchers_max as usize {
            hub.end(conn, Reason::ListenerFull);
            self.refused.insert(conn);
        } else {
            self.admit(hub, conn);
        }
        true
    }
}

impl<H: Handler> Layer<H> for Monitor {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        match event {
            Event::Opened { conn, request, .. } if self.opened(hub, conn, request) => return,
            Event::Started => self.sample(hub),
            Event::Timer(SAMPLE) => return self.sample(hub),
            Event::Timer(TICK) => return self.tick(hub),
            Event::ShardMessage { from, topic: TOPIC, content } => return self.received(hub, from, content),
            Event::ClusterAnswered { request, answer } if self.asked_hosts.contains_key(&request) => {
                return self.hosts_answered(hub, request, answer);
            }
            Event::Sent { conn, start, bytes, .. } => return self.said(hub, "server_message", conn, start, bytes),
            Event::Message { conn, payload } if self.watchers.contains_key(&conn) => {
                return self.command(hub, conn, payload);
            }
            Event::Message { conn, payload } => {
                let bytes = payload.as_bytes().len();
                self.said(hub, "client_input", conn, payload.start(SHOWN_MAX_BYTES), bytes);
            }
            Event::Closed { conn, .. } if self.watchers.contains_key(&conn) => return self.remove(hub, conn),
            Event::Closed { conn, .. } if self.refused.remove(&conn) => return,
            Event::Closed { conn, reason, .. } => self.tell_ended(hub, conn, reason),
            _ => {}
        }
        let is_ours = |conn| self.watchers.contains_key(&conn) || self.refused.contains(&conn);
        if !event.conn().is_some_and(is_ours) {
            within.on(hub, event);
        }
    }
}

#[cfg(test)]
mod tests;
