#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure};
use crate::base::{ConnId, Time, work};
use crate::state::{PAUSE_MIN, Pause};
use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;

/// A named timer of the application, for one connection or for the whole machine.
///
/// Setting a timer again moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Timer {
    /// The connection that the timer belongs to and ends with, if any.
    pub conn: Option<ConnId>,
    /// Name of the timer.
    pub name: &'static str,
    /// Key that distinguishes timers with the same name. 0 by default.
    pub key: u64,
    /// The index of the application that set the timer, if it has no connection.
    pub(crate) app: u8,
}

impl Timer {
    /// Creates a timer without a connection.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self { conn: None, name, key: 0, app: 0 }
    }

    /// Creates a timer that ends with its connection.
    #[must_use]
    pub const fn of(conn: ConnId, name: &'static str) -> Self {
        Self { conn: Some(conn), name, key: 0, app: 0 }
    }

    /// Returns this timer with its key set to `key`.
    #[must_use]
    pub const fn keyed(self, key: u64) -> Self {
        Self { key, ..self }
    }

    /// Returns the timer marked with the application that sets it, unless it has a connection.
    pub(crate) fn of_app(self, app: u8) -> Self {
        Self { app: if self.conn.is_none() { app } else { 0 }, ..self }
    }
}

/// The application's timers. Setting a timer again moves it.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    at: BTreeMap<Timer, Time>,
    by_time: BTreeSet<(Time, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        work::step(1);
        self.cancel(timer);
        self.at.insert(timer, at);
        self.by_time.insert((at, timer));
    }

    /// Cancels a timer. Returns true if it was set.
    pub(crate) fn cancel(&mut self, timer: Timer) -> bool {
        work::step(1);
        let Some(at) = self.at.remove(&timer) else { return false };
        self.by_time.remove(&(at, timer))
    }

    pub(crate) fn cancel_all_of(&mut self, conn: ConnId) {
        let from = Bound::Included(Timer::of(conn, ""));
        while let Some((&timer, _)) = self.at.range((from, Bound::Unbounded)).next() {
            if timer.conn != Some(conn) {
                break;
            }
            self.cancel(timer);
        }
    }

    /// Postpones the timers of connections by a pause, but no other timers.
    pub(crate) fn postpone_deadlines(&mut self, pause: Pause) {
        for (&timer, at) in self.at.iter_mut().filter(|(timer, _)| timer.conn.is_some()) {
            self.by_time.remove(&(*at, timer));
            *at = pause.postpone(*at, PAUSE_MIN);
            self.by_time.insert((*at, timer));
        }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Removes and returns the earliest timer that is due at `now`.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Timer> {
        work::step(1);
        let &(at, timer) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(feature = "sim")]
impl Timers {
    /// Returns the connections of timers, once per timer.
    pub(crate) fn owners(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.at.keys().filter_map(|timer| timer.conn)
    }

    pub(crate) fn recount(&self) -> Recounted {
        let by_time: BTreeSet<_> = self.at.iter().map(|(&timer, &at)| (at, timer)).collect();
        ensure(by_time == self.by_time, || "the two orders of timers differ".into())
    }
}

/// Times at which connections must be checked again, at most one per connection.
///
/// Entries are lazy. A deadline that moves away, such as the idle deadline with every message,
/// keeps its entry. When the entry is due, the true deadline is computed again. So a message costs
/// this table nothing.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BTreeSet<(Time, u32)>,
    at: alloc::vec::Vec<Option<Time>>,
}

impl Agenda {
    /// Schedules `index` to be checked no later than `at`.
    pub(crate) fn no_later_than(&mut self, index: u32, at: Time) {
        work::step(1);
        let place = index as usize;
        if self.at.len() <= place {
            self.at.resize(place + 1, None);
        }
        match self.at[place] {
            Some(before) if before <= at => return,
            Some(before) => drop(self.entries.remove(&(before, index))),
            None => {}
        }
        self.at[place] = Some(at);
        self.entries.insert((at, index));
    }

    pub(crate) fn forget(&mut self, index: u32) {
        if let Some(at) = self.at.get_mut(index as usize).and_then(Option::take) {
            self.entries.remove(&(at, index));
        }
    }

    pub(crate) fn next(&self) -> Option<(Time, u32)> {
        self.entries.first().copied()
    }

    /// Returns when `index` is checked, if a check is scheduled.
    #[cfg(feature = "sim")]
    pub(crate) fn at(&self, index: u32) -> Option<Time> {
        let at = self.at.get(index as usize).copied().flatten();
        at.filter(|&at| self.entries.contains(&(at, index)))
    }

    /// Returns all scheduled indices.
    #[cfg(feature = "sim")]
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().map(|&(_, index)| index)
    }

    /// Removes the earliest entry that is due at `now`, and returns its index.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<u32> {
        work::step(1);
        let (at, index) = self.next()?;
        if at > now {
            return None;
        }
        self.forget(index);
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const NAMES: [&str; 3] = ["a", "b", "c"];

    proptest! {
        #[test]
        fn timers_agree_with_a_searched_list(
            steps in prop::collection::vec((0..5u8, 0..4u32, 0..3usize, 0..50u64), 0..120)
        ) {
            let mut timers = Timers::default();
            let mut model: Vec<(Time, Timer)> = Vec::new();
            for (step, conn, name, at) in steps {
                let timer = match conn {
                    0 => Timer::named(NAMES[name]),
                    n => Timer::of(ConnId::new(0, n, 1), NAMES[name]),
                };
                let at = Time::from_nanos(at);
                match step {
                    0 | 1 => {
                        model.retain(|&(_, other)| other != timer);
                        model.push((at, timer));
                        timers.set(timer, at);
                    }
                    2 => {
                        let before = model.len();
                        model.retain(|&(_, other)| other != timer);
                        prop_assert_eq!(timers.cancel(timer), model.len() < before);
                    }
                    3 => {
                        model.retain(|&(_, other)| other.conn != Some(ConnId::new(0, conn, 1)));
                        timers.cancel_all_of(ConnId::new(0, conn, 1));
                    }
                    _ => {
                        let due = model.iter().copied().filter(|&(due, _)| due <= at).min();
                        model.retain(|&entry| Some(entry) != due);
                        prop_assert_eq!(timers.take_due(at), due.map(|(_, timer)| timer));
                    }
                }
                prop_assert_eq!(timers.next(), model.iter().map(|&(at, _)| at).min());
            }
        }

        #[test]
        fn agenda_agrees_with_a_map_of_earliest_times(
            steps in prop::collection::vec((0..3u8, 0..6u32, 0..50u64), 0..120)
        ) {
            let mut agenda = Agenda::default();
            let mut model = BTreeMap::<u32, Time>::new();
            for (step, index, at) in steps {
                let at = Time::from_nanos(at);
                match step {
                    0 => {
                        let entry = model.entry(index).or_insert(at);
                        *entry = at.min(*entry);
                        agenda.no_later_than(index, at);
                    }
                    1 => {
                        model.remove(&index);
                        agenda.forget(index);
                    }
                    _ => {
                        let due = model.iter().map(|(&index, &at)| (at, index)).filter(|&(due, _)| due <= at).min();
                        if let Some((_, index)) = due {
                            model.remove(&index);
                        }
                        prop_assert_eq!(agenda.take_due(at), due.map(|(_, index)| index));
                    }
                }
                prop_assert_eq!(agenda.next(), model.iter().map(|(&index, &at)| (at, index)).min());
            }
        }
    }
}
