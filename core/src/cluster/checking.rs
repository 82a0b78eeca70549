//! Comparing the positions of quiet rooms with those of the broker.

use super::Cluster;
use super::broker::{Answer, Request};
use super::purpose::Purpose;
use super::room::Step;
use crate::base::Time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

/// Time without messages after which the position of a room is compared with that of the broker.
const QUIET: Duration = Duration::from_secs(30);
/// Interval between two rounds of comparisons.
const ROUND_EVERY: Duration = Duration::from_secs(1);
/// Minimum number of rooms that one round looks at. With more than 2,000 rooms, it is a 20th of them.
const ROUND_ROOMS_MIN: usize = 100;

impl Cluster {
    /// Compares the positions of some rooms that were quiet for long.
    pub(super) fn check_quiet_rooms(&mut self, now: Time) {
        if !self.is_up() || self.rooms.is_empty() || self.checking.next_at.is_some_and(|at| at > now) {
            return;
        }
        self.checking.next_at = Some(now + ROUND_EVERY);
        let count = ROUND_ROOMS_MIN.max(self.rooms.len() / 20);
        let from = self.checking.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        let (mut quiet, mut unread) = (Vec::new(), Vec::new());
        for (name, room) in self.rooms.range::<Arc<str>, _>((from, Bound::Unbounded)).take(count) {
            last = Some(Arc::clone(name));
            if room.people.must_compare() && room.people.read_at + QUIET <= now {
                unread.push(Arc::clone(name));
            }
            if room.step == Step::Live && room.confirmed_at + QUIET <= now {
                quiet.push((Arc::clone(name), room.keep));
            }
        }
        self.checking.last = last;
        for name in unread {
            self.read_hosts(now, &name);
        }
        for (name, keep) in quiet {
            self.request(now, Request::Top { room: Arc::clone(&name), keep }, Purpose::Check(name));
        }
    }

    pub(super) fn checking_deadline(&self) -> Option<Time> {
        self.checking.next_at.filter(|_| self.is_up() && !self.rooms.is_empty())
    }

    pub(super) fn checked(&mut self, now: Time, name: &Arc<str>, answer: &Answer) {
        let Answer::Top(top) = *answer else { return };
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.step == Step::Live) else { return };
        if room.top == top {
            room.confirmed_at = now;
        } else {
            self.metrics.missed += 1;
            self.want(name);
        }
    }
}
