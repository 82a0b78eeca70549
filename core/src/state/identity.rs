//! Users of connections, and the expiry of their identities.

use super::{Ending, Pending, State};
use crate::base::{ConnId, Identity, Reason, Time, UnixTime, work};
use crate::state::conn::Conn;
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
        /// The sequence number of each.
        numbers: BTreeMap<ConnId, u64>,
        next: u64,
        /// In the order of their numbers. Empty after a change, until the next query.
        listed: OnceCell<Vec<ConnId>>,
    },
}

/// Up to this many connections are searched linearly.
const FEW: usize = 32;

impl Users {
    pub(crate) fn connections(&self, user: &str) -> &[ConnId] {
        self.0.get(user).map_or(&[], Connections::list)
    }

    #[cfg(feature = "sim")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &[ConnId])> {
        self.0.iter().map(|(user, conns)| (user, conns.list()))
    }

    fn add(&mut self, user: &Arc<str>, id: ConnId) {
        self.0.entry(user.clone()).or_insert(Connections::Few(Vec::new())).add(id);
    }

    fn remove(&mut self, user: &str, id: ConnId) {
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

    /// Removes a connection. Returns true if none is left.
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

/// How far the wall clock is ahead of the machine's clock.
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

    /// When the wall clock reaches `unix`. The start if that has passed.
    fn time(self, unix: UnixTime) -> Time {
        let millis = i128::from(unix.as_millis()) - self.ahead_millis;
        Time::from_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
    }
}

impl<C: Default> State<C> {
    pub(crate) fn identify(&mut self, id: ConnId, identity: Identity) -> bool {
        let Some(index) = self.open_slot(id) else { return false };
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let user = identity.user.clone();
        let was_pending_auth = core::mem::take(&mut conn.pending_auth);
        let before = conn.identity.replace(identity.into());
        if was_pending_auth {
            self.authenticated();
        }
        if before.as_ref().is_none_or(|before| before.user != user) {
            before.into_iter().for_each(|before| self.users.remove(&before.user, id));
            self.users.add(&user, id);
            self.metrics.authenticated += 1;
            self.pending.push_back(Pending::Authenticated(id));
        }
        if self.identity_ends_at(index).is_some_and(|at| at <= self.now) {
            self.end(index, Reason::SessionExpired, Ending::Flush);
        }
        self.schedule(index);
        true
    }

    /// Identifies a connection by its client certificate, if any.
    pub(crate) fn identify_by_certificate(&mut self, id: ConnId) {
        let user = self.conns.get(id).and_then(|conn| conn.secured.as_ref()).and_then(|secured| secured.user.clone());
        if let Some(user) = user {
            self.identify(id, Identity::user(&user));
        }
    }

    /// When the connection's identity expires.
    ///
    /// Without a wall clock it is expired, because the time is unknown.
    pub(crate) fn identity_ends_at(&self, index: u32) -> Option<Time> {
        let expires_at = self.conns.at(index)?.identity.as_ref()?.expires_at?;
        Some(self.wall_clock.map_or(self.now, |clock| clock.time(expires_at)))
    }

    /// Removes a connection that is over from its user's list.
    pub(crate) fn forget_user(&mut self, id: ConnId) {
        if let Some(identity) = self.conns.get(id).and_then(|conn| conn.identity.as_ref()) {
            self.users.remove(&identity.user, id);
        }
    }

    pub(crate) fn set_clock(&mut self, unix: UnixTime) {
        self.wall_clock = Some(WallClock::new(self.now, unix));
        let ends = |conn: &Conn| conn.identity.as_ref().is_some_and(|identity| identity.expires_at.is_some());
        let ids: Vec<_> = self.conns.ids().filter(|&id| self.conns.get(id).is_some_and(ends)).collect();
        ids.into_iter().for_each(|id| self.schedule(id.slot()));
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
