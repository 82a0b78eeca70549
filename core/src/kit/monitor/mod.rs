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
//! | `hello` | first | `version`, `may_act`, `may_watch`, `interval_ms` |
//! | `active_sessions` | then, and every interval | `sessions`, at most 500 of `total` |
//! | `session_started` | a connection opened | `session` |
//! | `session_ended` | a connection closed | `session`, and the `reason` |
//! | `stats` | every interval | `unix_ms`, `draining`, `metrics`: counters since the start, and gauges; `tunnels`: the state of each [tunnel](crate::tunnel); `watchers`: how many of the open connections are monitors |
//! | `recent` | every interval while it differs from the last one | `errors`, `connections_recent`, `connections_longest` and `work_longest` of the metrics, at most 20 of each |
//! | `quarantine` | every interval while addresses are quarantined, and once more when the last is released | `addresses`: each `address`, and for how many `seconds` |
//! | `watch_response` | to `watch_session` and `stop_watching` | `session_id`, `status`: `success`, `stopped` or `error`; and the `error` |
//! | `client_input`, `server_message` | the peer of the watched session sent or received a message | `session_id`, `data`: `text`, `bytes`, `truncated` |
//! | `watch_skipped` | some messages of the watched session were not shown | `session_id`, `count` |
//! | `log` | a line was logged | `unix_ms`, `line` |
//! | `action_response` | to an action | `action`, `status`, and the `error` |
//!
//! The client sends `watch_session` and `stop_watching` with a `session_id`. Actions are `kick`
//! with a `session_id`, `quarantine` and `release` with an `address`, `reset_metrics` (which clears
//! the lists of `recent`), and `drain`.
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

mod command;
mod redact;
mod session;
mod stats;

use crate::base::setters;
use crate::base::text::neutralize;
use crate::base::{AddressKey, ConnId, Payload, Peer, Reason};
use crate::handler::{Event, Handler, Hub};
use crate::kit::layer::Layer;
use crate::state::Timer;
use crate::wire::http::Request;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use command::Command;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use redact::redacted;
use serde_json::{Value, json};
use session::{Client, session};
use stats::{is_empty, stats};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Number of queued bytes at which a watcher starts to miss messages.
const BEHIND_BYTES: usize = 64 << 10;
/// Maximum number of sessions, or of quarantined addresses, in one message.
const SESSIONS_MAX: usize = 500;
/// Maximum number of log lines kept for the next tick, and of those kept for later watchers.
const LINES_MAX: usize = 200;
/// The timer of the periodic messages.
const TICK: Timer = Timer::named("drupe::kit::monitor");

/// Limits and permissions of the watchers of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorLimits {
    /// Maximum number of watchers at a time. Default: 16.
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

/// A shared buffer through which threads pass log lines to the monitor.
#[derive(Clone, Debug, Default)]
pub struct LogTail(Arc<Mutex<VecDeque<(u64, String)>>>);

impl LogTail {
    /// Adds a line with the current time. Only the last 200 lines are kept.
    pub fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        lines.push_back((u64::try_from(since.as_millis()).unwrap_or(u64::MAX), line.into()));
    }

    fn take(&self) -> VecDeque<(u64, String)> {
        core::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A layer that serves the [monitor](self). Make it the outermost layer.
#[derive(Debug)]
pub struct Monitor {
    limits: MonitorLimits,
    log: LogTail,
    conceals_unknown: bool,
    audit: Option<Audit>,
    /// The state of each watcher, by the watcher's connection.
    watchers: BTreeMap<ConnId, Watcher>,
    /// Details of each session, beyond those that the hub keeps.
    clients: BTreeMap<ConnId, Client>,
    newest: Option<ConnId>,
    had_quarantine: bool,
    /// The last `recent` message sent, or `null`.
    recent: Value,
    /// The last log lines, for watchers that connect later.
    lines: VecDeque<Value>,
}

#[derive(Debug, Default)]
struct Watcher {
    watches: Option<ConnId>,
    missed: u64,
}

impl Monitor {
    /// Creates a monitor with these limits, which shows the lines of this log.
    #[must_use]
    pub const fn new(limits: MonitorLimits, log: LogTail) -> Self {
        Self {
            limits,
            log,
            conceals_unknown: false,
            audit: None,
            watchers: BTreeMap::new(),
            clients: BTreeMap::new(),
            newest: None,
            had_quarantine: false,
            recent: Value::Null,
            lines: VecDeque::new(),
        }
    }

    /// Hides messages from and to unauthenticated peers, because they may contain secrets.
    #[must_use]
    pub fn conceal_unknown(self) -> Self {
        Self { conceals_unknown: true, ..self }
    }

    /// Calls `audit` with a line for each command: the watcher, its address and the command.
    #[must_use]
    pub fn audit(self, audit: impl FnMut(&str) + Send + 'static) -> Self {
        Self { audit: Some(Audit(Box::new(audit))), ..self }
    }

    fn opened<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, request: Option<&Request>) -> bool {
        if !request.is_some_and(Request::opens_monitor) {
            let client = Client::new(hub, request);
            self.clients.insert(conn, client);
            self.newest = Some(conn);
            if !self.watchers.is_empty() {
                let session = session(hub, conn, self.clients.get(&conn), true);
                self.tell_all(hub, &json!({ "type": "session_started", "session": session }));
            }
            return false;
        }
        if self.watchers.len() >= self.limits.watchers_max as usize {
            hub.end(conn, Reason::ListenerFull);
            self.watchers.insert(conn, Watcher::default());
            return true;
        }
        if self.watchers.is_empty() {
            hub.wake(TICK, self.limits.interval.max(Duration::from_millis(100)));
        }
        self.watchers.insert(conn, Watcher::default());
        let MonitorLimits { may_act, may_watch, interval, .. } = self.limits;
        tell(
            hub,
            conn,
            &json!({
                "type": "hello", "version": env!("CARGO_PKG_VERSION"), "may_act": may_act, "may_watch": may_watch,
                "interval_ms": u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            }),
        );
        let sessions = self.sessions(hub);
        tell(hub, conn, &sessions);
        if !self.recent.is_null() {
            tell(hub, conn, &self.recent);
        }
        self.lines.iter().for_each(|line| tell(hub, conn, line));
        true
    }

    fn sessions<C>(&self, hub: &Hub<'_, C>) -> Value {
        let shown = self.clients.iter().take(SESSIONS_MAX);
        let sessions: Vec<_> =
            shown.map(|(&conn, client)| session(hub, conn, Some(client), self.newest == Some(conn))).collect();
        json!({ "type": "active_sessions", "sessions": sessions, "total": self.clients.len() })
    }

    fn tick<C>(&mut self, hub: &mut Hub<'_, C>) {
        let lines = self.log.take();
        for (at, line) in lines {
            let line = json!({ "type": "log", "unix_ms": at, "line": line });
            self.tell_all(hub, &line);
            if self.lines.len() >= LINES_MAX {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
        if self.watchers.is_empty() {
            return;
        }
        let sessions = self.sessions(hub);
        self.tell_all(hub, &sessions);
        let (stats, recent) = stats(hub, self.watchers.len());
        self.tell_all(hub, &stats);
        // Nothing is sent before something has happened.
        if recent != self.recent && !(self.recent.is_null() && is_empty(&recent)) {
            self.tell_all(hub, &recent);
            self.recent = recent;
        }
        let at = hub.now();
        let addresses: Vec<_> = hub
            .quarantined()
            .take(SESSIONS_MAX)
            .map(|(key, until)| json!({ "address": key.to_string(), "seconds": crate::base::seconds_up(until.since(at)) }))
            .collect();
        if !addresses.is_empty() || core::mem::replace(&mut self.had_quarantine, !addresses.is_empty()) {
            self.had_quarantine = !addresses.is_empty();
            self.tell_all(hub, &json!({ "type": "quarantine", "addresses": addresses }));
        }
        // Several watchers may watch the same session.
        let watched: BTreeSet<_> = self.watchers.values().filter_map(|watcher| watcher.watches).collect();
        let missed: BTreeMap<_, _> = watched.into_iter().map(|conn| (conn, hub.take_unwatched(conn))).collect();
        for (&conn, watcher) in &mut self.watchers {
            watcher.missed += watcher.watches.and_then(|watched| missed.get(&watched)).unwrap_or(&0);
            if let (Some(watched), 1..) = (watcher.watches, watcher.missed)
                && hub.pending(conn) < BEHIND_BYTES
            {
                let count = core::mem::take(&mut watcher.missed);
                tell(hub, conn, &json!({ "type": "watch_skipped", "session_id": watched.to_string(), "count": count }));
            }
        }
        hub.wake(TICK, self.limits.interval.max(Duration::from_millis(100)));
    }

    /// Sends a message to each watcher whose queue is shorter than `BEHIND_BYTES`.
    fn tell_all<C>(&self, hub: &mut Hub<'_, C>, message: &Value) {
        let text = message.to_string();
        let all: Vec<_> = self.watchers.keys().copied().collect();
        for conn in all {
            if hub.pending(conn) < BEHIND_BYTES {
                hub.send(conn, &text);
            }
        }
    }

    fn said<C>(&mut self, hub: &mut Hub<'_, C>, kind: &str, of: ConnId, start: Payload<'_>, bytes: usize) {
        if !self.watchers.values().any(|watcher| watcher.watches == Some(of)) {
            return;
        }
        let concealed = self.conceals_unknown && hub.identity(of).is_none();
        let text = if concealed { "(hidden before authentication)".into() } else { redacted(start) };
        let truncated = start.as_bytes().len() < bytes;
        let bytes = if concealed { 0 } else { bytes };
        let data = json!({ "text": text, "bytes": bytes, "truncated": truncated });
        let message = json!({ "type": kind, "session_id": of.to_string(), "data": data }).to_string();
        for (&conn, watcher) in self.watchers.iter_mut().filter(|(_, watcher)| watcher.watches == Some(of)) {
            if hub.pending(conn) < BEHIND_BYTES {
                hub.send(conn, &message);
            } else {
                watcher.missed += 1;
            }
        }
    }

    fn command<C>(&mut self, hub: &mut Hub<'_, C>, from: ConnId, payload: Payload<'_>) {
        let command: Command = match serde_json::from_slice(payload.as_bytes()) {
            Ok(command) => command,
            Err(error) => return answer(hub, from, "unknown", Err(error.to_string())),
        };
        let peer = hub.peer(from).map(|peer| peer.to_string()).unwrap_or_default();
        if let Some(Audit(audit)) = &mut self.audit {
            audit(&format!("monitor {from} from {peer}: {}", neutralize(&command.words())));
        }
        match command {
            Command::WatchSession { session_id } => self.watch(hub, from, &session_id),
            Command::StopWatching { session_id } => {
                self.stop(hub, from);
                let message = json!({ "type": "watch_response", "session_id": session_id, "status": "stopped" });
                tell(hub, from, &message);
            }
            action if !self.limits.may_act => {
                answer(hub, from, action.name(), Err("actions are disabled on this monitor".into()));
            }
            action => {
                let done = self.act(hub, from, &action);
                answer(hub, from, action.name(), done);
            }
        }
    }

    fn watch<C>(&mut self, hub: &mut Hub<'_, C>, from: ConnId, session_id: &str) {
        self.stop(hub, from);
        let found = session_id.parse().ok().filter(|conn| self.clients.contains_key(conn) && hub.is_open(*conn));
        let outcome = match found {
            _ if !self.limits.may_watch => Err("watching is disabled on this monitor"),
            Some(conn) => {
                hub.watch(conn, true);
                if let Some(watcher) = self.watchers.get_mut(&from) {
                    watcher.watches = Some(conn);
                }
                Ok(())
            }
            None => Err("Session not found"),
        };
        let message = match outcome {
            Ok(()) => json!({ "type": "watch_response", "session_id": session_id, "status": "success" }),
            Err(error) => {
                json!({ "type": "watch_response", "session_id": session_id, "status": "error", "error": error })
            }
        };
        tell(hub, from, &message);
    }

    fn stop<C>(&mut self, hub: &mut Hub<'_, C>, from: ConnId) {
        let Some(watcher) = self.watchers.get_mut(&from) else { return };
        // What it missed belongs to the session that it watched.
        let Some(watched) = core::mem::take(watcher).watches else { return };
        if !self.watchers.values().any(|watcher| watcher.watches == Some(watched)) {
            hub.watch(watched, false);
        }
    }

    fn act<C>(&self, hub: &mut Hub<'_, C>, from: ConnId, action: &Command) -> Result<(), String> {
        match action {
            Command::Kick { session_id } => {
                let conn = session_id.parse().ok().filter(|conn| self.clients.contains_key(conn));
                let conn = conn.filter(|conn| hub.is_open(*conn)).ok_or("Session not found")?;
                hub.end(conn, Reason::Kicked);
            }
            Command::Quarantine { address, force } => {
                let address: IpAddr = address.parse().map_err(|_| format!("{address:?} is not an IP address"))?;
                let key = AddressKey::from(address);
                if !force && key_of(hub, from) == Some(key) {
                    return Err(OWN_ADDRESS.into());
                }
                hub.quarantine(address);
                let theirs = |conn: &ConnId| self.clients.contains_key(conn) && key_of(hub, *conn) == Some(key);
                let conns: Vec<_> = hub.connections().filter(theirs).collect();
                conns.into_iter().for_each(|conn| hub.end(conn, Reason::Quarantined));
            }
            Command::Release { address } => {
                // For IPv6, the quarantine lists the network.
                let bare = address.split('/').next().unwrap_or_default();
                let address = bare.parse().map_err(|_| format!("{address:?} is not an IP address"))?;
                if !hub.release(address) {
                    return Err("the address is not in quarantine".into());
                }
            }
            Command::ResetMetrics => hub.reset_recent_metrics(),
            Command::Drain => hub.drain(),
            Command::WatchSession { .. } | Command::StopWatching { .. } => {}
        }
        Ok(())
    }
}

/// The function that receives the audit lines.
struct Audit(Box<dyn FnMut(&str) + Send>);

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}

/// The error for a watcher that tries to quarantine its own address.
const OWN_ADDRESS: &str = "own_address";

fn key_of<C>(hub: &Hub<'_, C>, conn: ConnId) -> Option<AddressKey> {
    hub.peer(conn).and_then(Peer::key)
}

fn tell<C>(hub: &mut Hub<'_, C>, conn: ConnId, message: &Value) {
    hub.send(conn, &message.to_string());
}

fn answer<C>(hub: &mut Hub<'_, C>, conn: ConnId, action: &str, done: Result<(), String>) {
    let message = match done {
        Ok(()) => json!({ "type": "action_response", "action": action, "status": "success" }),
        Err(error) => json!({ "type": "action_response", "action": action, "status": "error", "error": error }),
    };
    tell(hub, conn, &message);
}

impl<H: Handler> Layer<H> for Monitor {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        match event {
            Event::Opened { conn, request, .. } if self.opened(hub, conn, request) => return,
            Event::Timer(TICK) => return self.tick(hub),
            Event::Sent { conn, start, bytes, .. } => return self.said(hub, "server_message", conn, start, bytes),
            Event::Message { conn, payload } if self.watchers.contains_key(&conn) => {
                return self.command(hub, conn, payload);
            }
            Event::Message { conn, payload } => {
                let bytes = payload.as_bytes().len();
                self.said(hub, "client_input", conn, payload.start(SHOWN_MAX_BYTES), bytes);
            }
            Event::Closed { conn, .. } if self.watchers.contains_key(&conn) => {
                self.stop(hub, conn);
                self.watchers.remove(&conn);
                return;
            }
            Event::Closed { conn, reason, .. } => {
                let client = self.clients.remove(&conn);
                if !self.watchers.is_empty() {
                    let mut session = session(hub, conn, client.as_ref(), self.newest == Some(conn));
                    session["status"] = "disconnected".into();
                    for watcher in self.watchers.values_mut().filter(|watcher| watcher.watches == Some(conn)) {
                        watcher.watches = None;
                    }
                    let message = json!({ "type": "session_ended", "session": session, "reason": reason.name() });
                    self.tell_all(hub, &message);
                }
            }
            _ => {}
        }
        let is_ours = event.conn().is_some_and(|conn| self.watchers.contains_key(&conn));
        if !is_ours {
            within.on(hub, event);
        }
    }
}

/// Maximum number of bytes shown of each message.
const SHOWN_MAX_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests;
