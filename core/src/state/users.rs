//! The connections of each user, and the wall clock by which identities expire.

use crate::base::{ConnId, Time, UnixTime, work};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::OnceCell;

/// The open connections of each user, in the order in which they were identified.
#[derive(Debug, Default)]
pub(crate) struct Users(BTreeMap<Arc<str>, Connections>);

/// The connections of one user.
#[derive(Debug)]
enum Connections {
    Few(Vec<ConnId>),
    Many {
        /// The sequence number of each connection.
        numbers: BTreeMap<ConnId, u64>,
        next: u64,
        /// Connections in the order of their numbers. Unset after a change, until the next query.
        listed: OnceCell<Vec<ConnId>>,
    },
}

/// Number of connections up to which a user's list is searched linearly.
const FEW: usize = 32;

impl Users {
    pub(crate) fn connections(&self, user: &str) -> &[ConnId] {
        self.0.get(user).map_or(&[], Connections::list)
    }

    #[cfg(feature = "sim")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &[ConnId])> {
        self.0.iter().map(|(user, conns)| (user, conns.list()))
    }

    pub(super) fn add(&mut self, user: &Arc<str>, id: ConnId) {
        self.0.entry(user.clone()).or_insert(Connections::Few(Vec::new())).add(id);
    }

    pub(super) fn remove(&mut self, user: &str, id: ConnId) {
        let Some(connections) = self.0.get_mut(user) else { return };
        if connections.remove(id) {
            self.0.remove(user);
        }
    }
}

impl Connections {
    fn list(&self) -> &[ConnId] {
        match self {
            Self::Few(list) => list,
            Self::Many { numbers, listed, .. } => listed.get_or_init(|| {
                work::step(numbers.len());
                let mut numbered: Vec<_> = numbers.iter().map(|(&id, &number)| (number, id)).collect();
                numbered.sort_unstable();
                numbered.into_iter().map(|(_, id)| id).collect()
            }),
        }
    }

    fn add(&mut self, id: ConnId) {
        match self {
            Self::Few(list) if list.len() < FEW => list.push(id),
            Self::Few(list) => {
                let next = list.len() as u64 + 1;
                let numbers = core::mem::take(list).into_iter().chain([id]).zip(0..).collect();
                *self = Self::Many { numbers, next, listed: OnceCell::new() };
            }
            Self::Many { numbers, next, listed } => {
                numbers.insert(id, *next);
                *next += 1;
                listed.take();
            }
        }
    }

    /// Removes a connection. Returns true if the user has no other.
    fn remove(&mut self, id: ConnId) -> bool {
        match self {
            Self::Few(list) => {
                work::step(list.len());
                list.retain(|&other| other != id);
                list.is_empty()
            }
            Self::Many { numbers, listed, .. } => {
                work::step(1);
                numbers.remove(&id);
                listed.take();
                numbers.is_empty()
            }
        }
    }
}

/// Offset of the wall clock from the machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    ahead_millis: i128,
}

impl WallClock {
    pub(crate) fn new(now: Time, unix: UnixTime) -> Self {
        Self { ahead_millis: i128::from(unix.as_millis()) - i128::from(now.as_millis()) }
    }

    pub(crate) fn unix(self, now: Time) -> UnixTime {
        let millis = i128::from(now.as_millis()) + self.ahead_millis;
        UnixTime::from_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
    }

    /// Returns the machine time at which the wall clock shows `unix`, but not before the start.
    pub(super) fn time(self, unix: UnixTime) -> Time {
        let millis = i128::from(unix.as_millis()) - self.ahead_millis;
        Time::from_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(index: u32) -> ConnId {
        ConnId::new(0, index, 1)
    }

    #[test]
    fn user_connections_are_listed_in_login_order() {
        let (mut users, mut model) = (Users::default(), Vec::new());
        let user: Arc<str> = "ann".into();
        for step in 0..500_u32 {
            let id = conn(step * 7919 % 251);
            if model.contains(&id) {
                model.retain(|&other| other != id);
                users.remove(&user, id);
            } else {
                model.push(id);
                users.add(&user, id);
            }
            assert_eq!(users.connections(&user), model);
        }
        model.drain(..).for_each(|id| users.remove(&user, id));
        assert!(users.0.is_empty());
    }

    #[test]
    fn user_connections_are_removed_without_a_search() {
        let mut users = Users::default();
        let user: Arc<str> = "ann".into();
        (0..5_000).for_each(|index| users.add(&user, conn(index)));
        let ((), steps) = work::steps_of(|| (0..5_000).for_each(|index| users.remove(&user, conn(index))));
        assert!(users.0.is_empty() && steps <= 5_000, "{steps} steps");
    }
}
