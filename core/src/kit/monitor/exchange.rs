//! Watchers that come and go, and the messages between the monitors of the shards about it.

use super::action::key_of;
use super::message::{Message, post_to_others, tell};
use super::shards::{Subscriber, id_of};
use super::{Monitor, TICK, Watcher};
use crate::base::{ConnId, whole_millis};
use crate::handler::Hub;
use alloc::string::ToString;
use serde_json::json;

impl Monitor {
    /// Adds a watcher of this shard, and sends it what is known.
    pub(super) fn admit<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        let is_first = self.watchers.is_empty();
        self.watchers.insert(conn, Watcher::default());
        let (limits, period) = (self.limits, self.limits.period());
        tell(
            hub,
            conn,
            &json!({
                "type": "hello", "version": env!("CARGO_PKG_VERSION"),
                "may_act": limits.may_act, "may_watch": limits.may_watch,
                "may_record": limits.may_act && self.recorder.is_some(),
                "interval_ms": whole_millis(limits.interval),
                "address": key_of(hub, conn).map(|key| key.to_string()),
            }),
        );
        self.history.whole().iter().for_each(|message| tell(hub, conn, message));
        self.tell_count(hub);
        if is_first {
            hub.wake(TICK, period);
            self.log_seen = self.log.count();
        }
        self.ask_others(hub);
        self.tell_first_list(hub);
        if !self.recent.is_null() {
            tell(hub, conn, &self.recent);
        }
        self.log.messages(0..self.log_seen).iter().for_each(|line| tell(hub, conn, line));
    }

    /// Removes a watcher of this shard. The others learn when none is left.
    pub(super) fn remove<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        self.stop(hub, conn);
        self.asked.retain(|_, asked| asked.watcher != conn);
        if self.watchers.remove(&conn).is_none() {
            return;
        }
        self.tell_count(hub);
        if self.watchers.is_empty() {
            self.others.clear();
            self.is_due = false;
            hub.cancel(TICK);
        }
    }

    /// Tells the other shards the number of watchers of this one.
    fn tell_count<C>(&self, hub: &mut Hub<'_, C>) {
        let count = u32::try_from(self.watchers.len()).unwrap_or(u32::MAX);
        post_to_others(hub, &Message::Watchers(count));
    }

    /// Handles a message from the monitor of another shard.
    pub(super) fn received<C>(&mut self, hub: &mut Hub<'_, C>, from: u8, content: &str) {
        let Ok(message) = serde_json::from_str(content) else { return };
        match message {
            Message::Watchers(0) => {
                let subscriber = self.subscribers.remove(&from);
                let watched = subscriber.into_iter().flat_map(|subscriber| subscriber.watched.into_keys());
                watched.for_each(|conn| self.end_watching(hub, conn));
            }
            Message::Watchers(count) => {
                self.subscribers.entry(from).or_insert_with(Subscriber::new).watchers = count;
            }
            Message::Ask { number, sessions_max } => self.send_report(hub, from, number, sessions_max),
            Message::Report(report) => self.report_came(hub, from, *report),
            Message::Started { session, at } => {
                if let (Some(other), Some(conn)) = (self.others.get_mut(&from), id_of(&session)) {
                    let message = json!({ "type": "session_started", "session": session });
                    other.started(conn, session, at);
                    self.tell_listed(hub, &message);
                }
            }
            Message::Ended { mut session, reason } => {
                if let (Some(other), Some(conn)) = (self.others.get_mut(&from), id_of(&session)) {
                    other.ended(conn);
                    session["is_newest"] = (self.newest() == Some(conn)).into();
                    self.show_ended(hub, conn, &session, &reason);
                }
            }
            Message::Said { kind, session, data } => {
                session.parse().into_iter().for_each(|conn| self.show_said(hub, &kind, conn, &data));
            }
            Message::Request { number, request } => self.requested(hub, from, number, &request),
            Message::Reply { number, error } => self.replied(hub, from, number, error),
            Message::Unwatch { session } => {
                if let Ok(conn) = session.parse()
                    && let Some(subscriber) = self.subscribers.get_mut(&from)
                    && subscriber.watched.remove(&conn).is_some()
                {
                    self.end_watching(hub, conn);
                }
            }
            Message::Order(order) => Self::order(hub, &order),
        }
    }
}
