//! Messages that watchers get at once: of sessions that start or end, and of watched sessions.

use super::message::{Message, post};
use super::redact::redacted;
use super::session::session;
use super::shards::BEHIND_BYTES;
use super::{Monitor, Watcher};
use crate::base::{ConnId, Payload, Reason};
use crate::handler::Hub;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;
use serde_json::{Value, json};

impl Monitor {
    /// Tells the watchers of all shards that a session of this shard started.
    pub(super) fn tell_started<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        if self.is_unwatched() {
            return;
        }
        let session = session(hub, conn, self.clients.get(&conn), true);
        let at = hub.now().as_nanos();
        for (shard, subscriber) in &mut self.subscribers {
            if subscriber.admits_news() {
                post(hub, *shard, &Message::Started { session: session.clone(), at });
            }
        }
        self.tell_listed(hub, &json!({ "type": "session_started", "session": session }));
    }

    /// Tells the watchers of all shards that a session of this shard ended.
    pub(super) fn tell_ended<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, reason: Reason) {
        let client = self.clients.remove(&conn);
        if self.is_unwatched() {
            return;
        }
        let mut session = session(hub, conn, client.as_ref(), self.newest() == Some(conn));
        session["status"] = "disconnected".into();
        for (shard, subscriber) in &mut self.subscribers {
            // Who watches it learns of its end in any case.
            let is_watched = subscriber.watched.remove(&conn).is_some();
            if subscriber.admits_news() || is_watched {
                post(hub, *shard, &Message::Ended { session: session.clone(), reason: reason.name().into() });
            }
        }
        self.show_ended(hub, conn, &session, reason.name());
    }

    /// Tells the watchers of this shard that a session ended.
    pub(super) fn show_ended<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, session: &Value, reason: &str) {
        for watcher in self.watchers.values_mut().filter(|watcher| watcher.watches == Some(conn)) {
            watcher.watches = None;
        }
        self.tell_listed(hub, &json!({ "type": "session_ended", "session": session, "reason": reason }));
    }

    /// Shows a message from or to a session of this shard to those who watch it, on any shard.
    pub(super) fn said<C>(&mut self, hub: &mut Hub<'_, C>, kind: &str, of: ConnId, start: Payload<'_>, bytes: usize) {
        let is_watched_elsewhere = self.subscribers.values().any(|subscriber| subscriber.watched.contains_key(&of));
        if !is_watched_elsewhere && !self.is_watched_here(of) {
            return;
        }
        let concealed = self.conceals_unknown && hub.identity(of).is_none();
        let text = if concealed { "(hidden before authentication)".into() } else { redacted(start) };
        let truncated = start.as_bytes().len() < bytes;
        let bytes = if concealed { 0 } else { bytes };
        let data = json!({ "text": text, "bytes": bytes, "truncated": truncated });
        self.show_said(hub, kind, of, &data);
        if is_watched_elsewhere {
            let length = data.to_string().len();
            let message = Message::Said { kind: kind.into(), session: of.to_string(), data };
            for (shard, subscriber) in &mut self.subscribers {
                if subscriber.admits_copy(of, length) {
                    post(hub, *shard, &message);
                }
            }
        }
    }

    /// Shows a message of a session on any shard to the watchers of this shard.
    pub(super) fn show_said<C>(&mut self, hub: &mut Hub<'_, C>, kind: &str, of: ConnId, data: &Value) {
        if !self.is_watched_here(of) {
            return;
        }
        let message = json!({ "type": kind, "session_id": of.to_string(), "data": data }).to_string();
        for (&conn, watcher) in self.watchers.iter_mut().filter(|(_, watcher)| watcher.watches == Some(of)) {
            if hub.pending(conn) < BEHIND_BYTES {
                hub.send(conn, &message);
            } else {
                watcher.missed += 1;
            }
        }
    }

    /// Counts the messages of watched sessions that the hub did not copy, for all who watch them.
    pub(super) fn collect_missed<C>(&mut self, hub: &mut Hub<'_, C>) {
        // Several watchers may watch the same session.
        let here = self.watchers.values().filter_map(|watcher| watcher.watches);
        let there = self.subscribers.values().flat_map(|subscriber| subscriber.watched.keys().copied());
        let watched: BTreeSet<_> = here.chain(there).collect();
        let missed: BTreeMap<_, _> = watched.into_iter().map(|conn| (conn, hub.take_unwatched(conn))).collect();
        for (conn, count) in missed.into_iter().filter(|(_, count)| *count > 0) {
            self.subscribers.values_mut().for_each(|subscriber| subscriber.add_missed(conn, count));
            self.add_missed(conn, count);
        }
    }

    /// Counts messages of a session that the watchers of this shard were not shown.
    pub(super) fn add_missed(&mut self, session: ConnId, count: u64) {
        for watcher in self.watchers.values_mut().filter(|watcher| watcher.watches == Some(session)) {
            watcher.missed = watcher.missed.saturating_add(count);
        }
    }

    /// Sends a message to each watcher that keeps up.
    pub(super) fn tell_all<C>(&self, hub: &mut Hub<'_, C>, message: &Value) {
        self.tell_those(hub, message, |_| true);
    }

    /// Sends a message to each watcher that keeps up and has had a list of the sessions.
    pub(super) fn tell_listed<C>(&self, hub: &mut Hub<'_, C>, message: &Value) {
        self.tell_those(hub, message, |watcher| watcher.is_listed);
    }

    fn tell_those<C>(&self, hub: &mut Hub<'_, C>, message: &Value, is_meant: impl Fn(&Watcher) -> bool) {
        let those: Vec<_> =
            self.watchers.iter().filter(|(_, watcher)| is_meant(watcher)).map(|(conn, _)| *conn).collect();
        if those.is_empty() {
            return;
        }
        let text = message.to_string();
        for conn in those {
            if hub.pending(conn) < BEHIND_BYTES {
                hub.send(conn, &text);
            }
        }
    }

    fn is_watched_here(&self, conn: ConnId) -> bool {
        self.watchers.values().any(|watcher| watcher.watches == Some(conn))
    }

    /// Returns `true` if no shard has a watcher.
    fn is_unwatched(&self) -> bool {
        self.watchers.is_empty() && self.subscribers.is_empty()
    }
}
