//! Messages that watchers get at each interval, made from the reports of all shards.

use super::history::{SAMPLE, STEP};
use super::message::{Message, Report, others, post, tell};
use super::session::session;
use super::shards::{BEHIND_BYTES, SESSIONS_MAX, Subscriber, shares};
use super::stats::{self, is_empty, merged};
use super::{Monitor, TICK};
use crate::base::ConnId;
use crate::handler::Hub;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use serde_json::{Value, json};

impl Monitor {
    /// Tells the watchers of this shard new log lines, and asks the other shards for reports.
    ///
    /// It sends the other messages once all reports have arrived, and at the latest at the next tick.
    pub(super) fn tick<C>(&mut self, hub: &mut Hub<'_, C>) {
        if self.watchers.is_empty() {
            return;
        }
        hub.wake(TICK, self.limits.period());
        let seen = core::mem::replace(&mut self.log_seen, self.log.count());
        self.log.messages(seen..self.log_seen).iter().for_each(|line| self.tell_all(hub, line));
        self.end_late_requests(hub);
        if self.is_due {
            self.tell_report(hub);
        }
        self.ask_others(hub);
        self.is_due = true;
        self.tell_report_if_complete(hub);
    }

    /// Takes the first sample of the metrics, and one at each step from now on, also without watchers.
    pub(super) fn sample<C>(&mut self, hub: &mut Hub<'_, C>) {
        hub.wake(SAMPLE, STEP);
        // Without the time of day, a page could not tell when it was.
        if let Some(sample) = stats::sample(hub, self.watchers_of_all()) {
            let message = self.history.add(sample);
            self.tell_all(hub, &message);
        }
    }

    /// Asks each other shard for a report, except those that still owe one.
    pub(super) fn ask_others<C>(&mut self, hub: &mut Hub<'_, C>) {
        let (shares, left) = self.shares(hub);
        let spare = left / shares.len();
        for shard in others(hub) {
            let other = self.others.entry(shard).or_default();
            if other.awaits.is_some() {
                if hub.is_draining() {
                    other.has_drained();
                }
                continue;
            }
            self.number += 1;
            other.awaits = Some(self.number);
            let sessions_max = shares.get(usize::from(shard)).map_or(0, |share| share + spare);
            post(hub, shard, &Message::Ask { number: self.number, sessions_max });
        }
    }

    /// Returns how many sessions of each shard to show, and how many more there is room for.
    fn shares<C>(&self, hub: &Hub<'_, C>) -> (Vec<usize>, usize) {
        let total = |shard| match self.others.get(&shard) {
            _ if shard == hub.shard().number() => self.clients.len(),
            Some(other) if other.is_known => other.total,
            // As many as any other.
            _ => usize::MAX,
        };
        shares(&(0..hub.shard().count()).map(total).collect::<Vec<_>>(), SESSIONS_MAX)
    }

    /// Sends the report that another shard asked for.
    pub(super) fn send_report<C>(&mut self, hub: &mut Hub<'_, C>, to: u8, number: u64, sessions_max: usize) {
        self.collect_missed(hub);
        let Some(subscriber) = self.subscribers.get_mut(&to) else { return };
        subscriber.renew();
        let missed = subscriber.take_missed().map(|(conn, count)| (conn.to_string(), count)).collect();
        let recent = stats::recent(&hub.state.recent);
        let recent = changed(subscriber, recent);
        let is_first = hub.shard().number() == 0;
        let report = Report {
            number,
            sessions: self.own_sessions(hub, sessions_max.min(SESSIONS_MAX)).collect(),
            total: self.clients.len(),
            newest: self.own_newest.map(|(at, conn)| (at, conn.to_string())),
            is_draining: hub.is_draining(),
            recent,
            missed,
            tunnels: if is_first { stats::tunnels(hub) } else { Vec::new() },
            quarantine: if is_first { stats::quarantine(hub) } else { Vec::new() },
        };
        post(hub, to, &Message::Report(Box::new(report)));
    }

    /// Takes the report of another shard, and tells the watchers if it is the last one.
    pub(super) fn report_came<C>(&mut self, hub: &mut Hub<'_, C>, from: u8, mut report: Report) {
        let missed = core::mem::take(&mut report.missed);
        if !self.others.get_mut(&from).is_some_and(|other| other.reported(report)) {
            return;
        }
        for (session, count) in missed {
            session.parse().into_iter().for_each(|session| self.add_missed(session, count));
        }
        self.tell_first_list(hub);
        if self.is_due {
            self.tell_report_if_complete(hub);
        }
    }

    /// Sends a list of the sessions to the watchers that had none, unless a report is on its way.
    pub(super) fn tell_first_list<C>(&mut self, hub: &mut Hub<'_, C>) {
        if self.watchers.values().all(|watcher| watcher.is_listed) || !self.is_complete() {
            return;
        }
        let list = self.list(hub);
        for (&conn, watcher) in &mut self.watchers {
            if !core::mem::replace(&mut watcher.is_listed, true) {
                tell(hub, conn, &list);
            }
        }
    }

    fn tell_report_if_complete<C>(&mut self, hub: &mut Hub<'_, C>) {
        if self.is_complete() {
            self.tell_report(hub);
        }
    }

    /// Returns `true` if no other shard owes a report.
    fn is_complete(&self) -> bool {
        self.others.values().all(|other| other.awaits.is_none())
    }

    /// Tells each watcher that keeps up the periodic messages.
    fn tell_report<C>(&mut self, hub: &mut Hub<'_, C>) {
        self.is_due = false;
        let is_draining = hub.is_draining() || self.others.values().any(|other| other.is_draining);
        let first = self.others.get(&0);
        let tunnels = first.map_or_else(|| stats::tunnels(hub), |first| first.tunnels.clone());
        let addresses = first.map_or_else(|| stats::quarantine(hub), |first| first.quarantine.clone());
        let mut messages = vec![self.list(hub), stats::stats(hub, self.watchers_of_all(), is_draining, &tunnels)];
        if hub.has_cluster() {
            messages.push(stats::hosts(hub));
        }
        let recent = self.recent_of_all(hub);
        // Nothing is sent before something has happened.
        if recent != self.recent && !(self.recent.is_null() && is_empty(&recent)) {
            messages.push(recent.clone());
            self.recent = recent;
        }
        if core::mem::replace(&mut self.had_quarantine, !addresses.is_empty()) || !addresses.is_empty() {
            messages.push(json!({ "type": "quarantine", "addresses": addresses }));
        }
        self.collect_missed(hub);
        let texts: Vec<_> = messages.iter().map(ToString::to_string).collect();
        for (&conn, watcher) in &mut self.watchers {
            watcher.is_listed = true;
            // All or none: the list alone may be long enough that the rest would not follow it.
            if hub.pending(conn) < BEHIND_BYTES {
                for text in &texts {
                    hub.send(conn, text);
                }
                watcher.take_missed().into_iter().for_each(|message| tell(hub, conn, &message));
            }
        }
    }

    /// Returns the `recent` message of all shards together.
    fn recent_of_all<C>(&self, hub: &Hub<'_, C>) -> Value {
        let (shard, own) = (hub.shard(), stats::recent(&hub.state.recent));
        let of_shard = |number| match self.others.get(&number) {
            _ if number == shard.number() => &own,
            other => other.map_or(&Value::Null, |other| &other.recent),
        };
        merged(&(0..shard.count()).map(of_shard).collect::<Vec<_>>())
    }

    /// Returns the list of the sessions of all shards, in the order of their ids.
    fn list<C>(&self, hub: &Hub<'_, C>) -> Value {
        let (shares, _) = self.shares(hub);
        let newest = self.newest();
        let (mut sessions, mut total) = (Vec::new(), 0);
        for (shard, share) in (0..).zip(shares) {
            if let Some(other) = self.others.get(&shard) {
                sessions.extend(other.sessions.iter().take(share).map(|(conn, session)| {
                    let mut session = session.clone();
                    session["is_newest"] = (newest == Some(*conn)).into();
                    session
                }));
                total += other.total;
            } else if shard == hub.shard().number() {
                sessions.extend(self.own_sessions(hub, share));
                total += self.clients.len();
            }
        }
        json!({ "type": "active_sessions", "sessions": sessions, "total": total })
    }

    fn own_sessions<C>(&self, hub: &Hub<'_, C>, max: usize) -> impl Iterator<Item = Value> {
        let newest = self.newest();
        self.clients.iter().take(max).map(move |(&conn, client)| session(hub, conn, Some(client), newest == Some(conn)))
    }

    /// Returns the session that opened last, on any shard. It may be over.
    pub(super) fn newest(&self) -> Option<ConnId> {
        let others = self.others.values().map(|other| other.newest);
        others.chain([self.own_newest]).max().flatten().map(|(_, conn)| conn)
    }

    /// Returns the number of watchers on all shards.
    pub(super) fn watchers_of_all(&self) -> usize {
        let others = self.subscribers.values().map(|subscriber| subscriber.watchers as usize);
        others.fold(self.watchers.len(), usize::saturating_add)
    }
}

/// Returns the `recent` message if it differs from that of the subscriber's last report.
fn changed(subscriber: &mut Subscriber, recent: Value) -> Option<Value> {
    if subscriber.recent == recent {
        return None;
    }
    subscriber.recent = recent.clone();
    Some(recent)
}
