use super::{Quarantine, QuarantineLimits};
use crate::{AddressKey, ConnId, ListenerId, Peer, Reason, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// How many connections may be open at a time. What is above is told so and closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all, those that are closing and those that the application dialled included; a dial itself is never
    /// refused, so there may be more by as many. More than 16,777,215 are never let in.
    pub total: u32,
    /// From one address: an IPv4 address or an IPv6 /64.
    pub per_address: u32,
}

impl Default for ConnectionLimits {
    /// 10,000 in all; 256 per address, which leaves room for many people behind one NAT.
    fn default() -> Self {
        Self { total: 10_000, per_address: 256 }
    }
}

/// Counts who is inside and decides who may come in.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    total: u32,
    per_listener: Vec<u32>,
    per_address: BTreeMap<AddressKey, u32>,
    pub(crate) quarantine: Quarantine,
}

impl Admission {
    /// Lets a peer in, or names the first reason not to.
    pub(crate) fn admit(
        &mut self,
        now: Time,
        listener: ListenerId,
        listener_max: Option<u32>,
        peer: Peer,
        limits: ConnectionLimits,
    ) -> Result<(), Reason> {
        let key = peer.key();
        if key.is_some_and(|key| self.quarantine.refused_until(now, key).is_some()) {
            return Err(Reason::Quarantined);
        }
        if self.total >= limits.total.min(ConnId::PER_SHARD_MAX) {
            return Err(Reason::ServerFull);
        }
        if listener_max.is_some_and(|max| self.on(listener) >= max) {
            return Err(Reason::ListenerFull);
        }
        if key.is_some_and(|key| self.from(key) >= limits.per_address) {
            return Err(Reason::AddressFull);
        }
        self.count_in(Some(listener), peer);
        Ok(())
    }

    /// Counts a connection that needs no permission, such as one the application dialled.
    pub(crate) fn count_in(&mut self, listener: Option<ListenerId>, peer: Peer) {
        self.total = self.total.saturating_add(1);
        if let Some(listener) = listener {
            let index = listener.index();
            if self.per_listener.len() <= index {
                self.per_listener.resize(index + 1, 0);
            }
            self.per_listener[index] += 1;
            if let Some(key) = peer.key() {
                *self.per_address.entry(key).or_insert(0) += 1;
            }
        }
    }

    /// Forgets a connection that was counted in with the same words.
    pub(crate) fn count_out(&mut self, listener: Option<ListenerId>, peer: Peer) {
        self.total = self.total.saturating_sub(1);
        let Some(listener) = listener else { return };
        if let Some(count) = self.per_listener.get_mut(listener.index()) {
            *count = count.saturating_sub(1);
        }
        let Some(key) = peer.key() else { return };
        if let Some(count) = self.per_address.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&key);
            }
        }
    }

    /// Puts the peer's address in quarantine, if it has one.
    pub(crate) fn quarantine(&mut self, now: Time, peer: Peer, limits: QuarantineLimits) {
        if let Some(key) = peer.key() {
            self.quarantine.add(now, key, limits);
        }
    }

    fn on(&self, listener: ListenerId) -> u32 {
        self.per_listener.get(listener.index()).copied().unwrap_or(0)
    }

    fn from(&self, key: AddressKey) -> u32 {
        self.per_address.get(&key).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits { total: 4, per_address: 2 };
    const FIRST: ListenerId = ListenerId(0);
    const SECOND: ListenerId = ListenerId(1);

    fn peer(text: &str) -> Peer {
        text.parse().expect(text)
    }

    #[test]
    fn the_first_limit_that_is_reached_is_named() {
        let mut admission = Admission::default();
        let mut admit = |listener, max, address| admission.admit(Time::START, listener, max, peer(address), LIMITS);
        assert_eq!(admit(FIRST, Some(3), "[2001:db8::1]:1"), Ok(()));
        assert_eq!(admit(FIRST, Some(3), "[2001:db8::2]:1"), Ok(()));
        assert_eq!(admit(FIRST, Some(3), "[2001:db8::3]:1"), Err(Reason::AddressFull));
        assert_eq!(admit(FIRST, Some(3), "127.0.0.1:1"), Ok(()));
        assert_eq!(admit(FIRST, Some(3), "127.0.0.1:2"), Err(Reason::ListenerFull));
        assert_eq!(admit(SECOND, None, "local"), Ok(()));
        assert_eq!(admit(SECOND, None, "local"), Err(Reason::ServerFull));
    }

    #[test]
    fn what_goes_out_makes_room_and_leaves_no_trace() {
        let mut admission = Admission::default();
        let someone = peer("127.0.0.1:1");
        for _ in 0..100 {
            assert_eq!(admission.admit(Time::START, FIRST, Some(1), someone, LIMITS), Ok(()));
            admission.count_out(Some(FIRST), someone);
        }
        assert_eq!(admission.total, 0);
        assert!(admission.per_address.is_empty());
    }
}
