//! Identification of connections, and their end when an identity expires.

use super::users::WallClock;
use super::{Ending, Pending, State};
use crate::base::{ConnId, Identity, Reason, Time, UnixTime};
use crate::state::conn::Conn;
use alloc::vec::Vec;

impl State {
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

    /// Returns when the connection's identity expires.
    ///
    /// Without a wall clock, the identity counts as expired, because the time is unknown.
    pub(crate) fn identity_ends_at(&self, index: u32) -> Option<Time> {
        let expires_at = self.conns.at(index)?.identity.as_ref()?.expires_at?;
        Some(self.wall_clock.map_or(self.now, |clock| clock.time(expires_at)))
    }

    /// Removes an ending connection from its user's list.
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
