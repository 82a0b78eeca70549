//! Who is who.

use super::{Ending, Pending, State};
use crate::conn::Conn;
use crate::{ConnId, Identity, Reason, Time, UnixTime};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The open connections of each user.
#[derive(Debug, Default)]
pub(crate) struct Users(BTreeMap<Arc<str>, Vec<ConnId>>);

impl Users {
    pub(crate) fn connections(&self, user: &str) -> &[ConnId] {
        self.0.get(user).map_or(&[], Vec::as_slice)
    }

    #[cfg(feature = "sim")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &[ConnId])> {
        self.0.iter().map(|(user, conns)| (user, conns.as_slice()))
    }

    fn add(&mut self, user: &Arc<str>, id: ConnId) {
        self.0.entry(user.clone()).or_default().push(id);
    }

    fn remove(&mut self, user: &str, id: ConnId) {
        let Some(connections) = self.0.get_mut(user) else { return };
        connections.retain(|&other| other != id);
        if connections.is_empty() {
            self.0.remove(user);
        }
    }
}

/// How far the clock on the wall is ahead of the machine's.
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

    /// When it will be that late; the start if it always was.
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
        let was_unknown = core::mem::take(&mut conn.unknown);
        let before = conn.identity.replace(identity.into());
        if was_unknown {
            self.known();
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

    /// Whoever has shown a certificate is known by it.
    pub(crate) fn identify_by_certificate(&mut self, id: ConnId) {
        let user = self.conns.get(id).and_then(|conn| conn.secured.as_ref()).and_then(|secured| secured.user.clone());
        if let Some(user) = user {
            self.identify(id, Identity::user(&user));
        }
    }

    /// When what a peer proved itself with ends. Without a clock on the wall it has ended: nobody knows.
    pub(crate) fn identity_ends_at(&self, index: u32) -> Option<Time> {
        let expires_at = self.conns.at(index)?.identity.as_ref()?.expires_at?;
        Some(self.wall_clock.map_or(self.now, |clock| clock.time(expires_at)))
    }

    /// A connection is over: nobody finds it under its user any more.
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
