//! What a monitor keeps of the monitors of other shards, and what it may send them.

use super::message::Report;
use crate::base::ConnId;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use serde_json::Value;

/// Maximum number of sessions, or of quarantined addresses, in one message.
pub(super) const SESSIONS_MAX: usize = 500;
/// Number of queued bytes at which a watcher starts to miss messages.
///
/// It is also how much of watched sessions one shard sends another between two reports.
pub(super) const BEHIND_BYTES: usize = 64 << 10;
/// Maximum number of started and ended sessions that a shard tells another between two reports.
const NEWS_MAX: u32 = 128;

/// Another shard, whose watchers see the sessions of this one.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) watchers: u32,
    /// The sessions of this shard that they watch, each with its number of messages not sent.
    pub(super) watched: BTreeMap<ConnId, u64>,
    /// The `recent` message of the last report.
    pub(super) recent: Value,
    news_left: u32,
    bytes_left: usize,
}

impl Subscriber {
    pub(super) const fn new() -> Self {
        let watched = BTreeMap::new();
        Self { watchers: 0, watched, recent: Value::Null, news_left: NEWS_MAX, bytes_left: BEHIND_BYTES }
    }

    /// Allows news and copies again, because the shard has asked for the next report.
    pub(super) const fn renew(&mut self) {
        self.news_left = NEWS_MAX;
        self.bytes_left = BEHIND_BYTES;
    }

    /// Returns whether one more start or end of a session may be sent to the shard, and counts it.
    pub(super) const fn admits_news(&mut self) -> bool {
        let admits = self.news_left > 0;
        self.news_left = self.news_left.saturating_sub(1);
        admits
    }

    /// Returns whether a message of a watched session may be sent. Counts it as missed otherwise.
    pub(super) fn admits_copy(&mut self, session: ConnId, bytes: usize) -> bool {
        let Some(missed) = self.watched.get_mut(&session) else { return false };
        if bytes > self.bytes_left {
            *missed = missed.saturating_add(1);
            return false;
        }
        self.bytes_left -= bytes;
        true
    }

    /// Adds messages of a watched session that were not sent.
    pub(super) fn add_missed(&mut self, session: ConnId, count: u64) {
        self.watched.get_mut(&session).into_iter().for_each(|missed| *missed = missed.saturating_add(count));
    }

    /// Returns and resets the number of messages that were not sent, of each session that has some.
    pub(super) fn take_missed(&mut self) -> impl Iterator<Item = (ConnId, u64)> {
        let some = self.watched.iter_mut().filter(|(_, missed)| **missed > 0);
        some.map(|(session, missed)| (*session, core::mem::take(missed)))
    }
}

/// What another shard has reported of its sessions.
#[derive(Debug, Default)]
pub(super) struct Other {
    /// The number of the report that was asked for and has not come.
    pub(super) awaits: Option<u64>,
    /// Whether a report has come since this shard has watchers.
    pub(super) is_known: bool,
    pub(super) sessions: BTreeMap<ConnId, Value>,
    pub(super) total: usize,
    pub(super) newest: Option<(u64, ConnId)>,
    pub(super) is_draining: bool,
    pub(super) recent: Value,
    pub(super) tunnels: Vec<Value>,
    pub(super) quarantine: Vec<Value>,
}

impl Other {
    /// Replaces what was known by a report, unless another one was asked for. Returns whether it did.
    pub(super) fn reported(&mut self, report: Report) -> bool {
        if self.awaits != Some(report.number) {
            return false;
        }
        let Report { sessions, total, newest, is_draining, recent, tunnels, quarantine, .. } = report;
        let named = |session: Value| Some((id_of(&session)?, session));
        self.sessions = sessions.into_iter().filter_map(named).take(SESSIONS_MAX).collect();
        self.newest = newest.and_then(|(at, session)| Some((at, session.parse().ok()?)));
        self.recent = recent.unwrap_or_else(|| core::mem::take(&mut self.recent));
        (self.awaits, self.is_known, self.total, self.is_draining) = (None, true, total, is_draining);
        (self.tunnels, self.quarantine) = (tunnels, quarantine);
        true
    }

    /// Adds a session that started.
    pub(super) fn started(&mut self, conn: ConnId, session: Value, at: u64) {
        self.total += 1;
        self.newest = self.newest.max(Some((at, conn)));
        if self.sessions.len() < SESSIONS_MAX {
            self.sessions.insert(conn, session);
        }
    }

    /// Removes a session that ended.
    pub(super) fn ended(&mut self, conn: ConnId) {
        self.sessions.remove(&conn);
        self.total = self.total.saturating_sub(1);
    }

    /// Removes all sessions, because the shard has drained and reports no more.
    pub(super) fn has_drained(&mut self) {
        self.sessions.clear();
        self.total = 0;
    }
}

/// Returns the id of a session in a message.
pub(super) fn id_of(session: &Value) -> Option<ConnId> {
    session["id"].as_str()?.parse().ok()
}

/// Divides `max` places among shards with these numbers of sessions, and returns how many are left.
///
/// A shard gets a place for each session, or as many as any other.
pub(super) fn shares(totals: &[usize], max: usize) -> (Vec<usize>, usize) {
    let mut order: Vec<_> = totals.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, total)| *total);
    let (mut shares, mut left) = (vec![0; totals.len()], max);
    for (served, (shard, total)) in order.into_iter().enumerate() {
        let share = total.min(left / (totals.len() - served));
        shares[shard] = share;
        left -= share;
    }
    (shares, left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn shares_are_fair_and_leave_no_place_unused(totals in prop::collection::vec(0..50_usize, 1..9), max in 0..99_usize) {
            let (shares, left) = shares(&totals, max);
            let sum: usize = shares.iter().sum();
            prop_assert_eq!(sum + left, max);
            prop_assert_eq!(sum, totals.iter().sum::<usize>().min(max), "every place is used if there are sessions");
            let most = shares.iter().copied().max().unwrap_or_default();
            for (share, total) in shares.iter().zip(&totals) {
                prop_assert!(share <= total);
                prop_assert!(share == total || share + 1 >= most, "a shard has less than another: {:?}", shares);
            }
        }
    }

    #[test]
    fn subscriber_admits_a_bounded_number_of_news_and_bytes_until_renewed() {
        let mut subscriber = Subscriber::new();
        let session: ConnId = "1.0".parse().expect("an id");
        assert!(!subscriber.admits_copy(session, 0), "nobody watches it");
        subscriber.watched.insert(session, 0);
        for _ in 0..2 {
            assert_eq!((0..NEWS_MAX * 2).filter(|_| subscriber.admits_news()).count(), 128);
            assert!(subscriber.admits_copy(session, BEHIND_BYTES - 1) && subscriber.admits_copy(session, 1));
            assert!(!subscriber.admits_copy(session, 1) && !subscriber.admits_copy(session, usize::MAX));
            subscriber.add_missed(session, 3);
            assert_eq!(subscriber.take_missed().collect::<Vec<_>>(), [(session, 5)]);
            assert_eq!(subscriber.take_missed().count(), 0);
            subscriber.renew();
        }
    }

    #[test]
    fn report_that_was_not_asked_for_changes_nothing() {
        let mut other = Other { awaits: Some(2), ..Other::default() };
        let report = |number| Report {
            number,
            total: 7,
            sessions: vec![json!({ "id": "1:0.0" }), json!({})],
            ..Report::default()
        };
        assert!(!other.reported(report(1)) && !other.is_known);
        assert!(other.reported(report(2)) && !other.reported(report(2)));
        assert_eq!((other.total, other.sessions.len()), (7, 1), "a session without an id is not shown");
        other.ended("1:0.0".parse().expect("an id"));
        assert_eq!((other.total, other.sessions.len()), (6, 0));
        other.has_drained();
        other.ended("1:0.0".parse().expect("an id"));
        assert_eq!(other.total, 0);
    }
}
