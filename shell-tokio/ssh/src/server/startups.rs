//! Limits on connections that have not logged in.

use drupe_core::{AddressKey, Peer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The probability, in percent, with which a connection is refused from a tenth of the limit on.
const REFUSED_PERCENT: u64 = 30;

/// The connections of a listener that have not logged in.
///
/// As with OpenSSH's `MaxStartups 10:30:100`, new ones are refused at random from a tenth of the limit
/// on, and always at the limit. One address may have half of them, so that it does not keep others
/// from logging in.
#[derive(Debug)]
pub(super) struct Startups {
    max: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u32,
    by_address: BTreeMap<AddressKey, u32>,
}

/// The place of a connection among those that have not logged in. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Startup {
    startups: Arc<Startups>,
    key: Option<AddressKey>,
}

impl Startups {
    pub(super) fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { max, state: Mutex::default() })
    }

    /// Admits a connection, or returns `None`. `chance` is a random number.
    pub(super) fn admit(self: &Arc<Self>, peer: Peer, chance: u64) -> Option<Startup> {
        let key = peer.key();
        let mut state = self.lock();
        let of_address = key.and_then(|key| state.by_address.get(&key).copied()).unwrap_or_default();
        if self.refuses(state.count, chance) || of_address >= self.max.div_ceil(2) {
            return None;
        }
        state.count += 1;
        if let Some(key) = key {
            state.by_address.insert(key, of_address + 1);
        }
        Some(Startup { startups: Arc::clone(self), key })
    }

    fn refuses(&self, count: u32, chance: u64) -> bool {
        let begin = self.max / 10;
        if count >= self.max {
            return true;
        }
        let (above, span) = (u64::from(count.saturating_sub(begin)), u64::from(self.max - begin).max(1));
        let percent = REFUSED_PERCENT + (100 - REFUSED_PERCENT) * above / span;
        // A small limit has no random part.
        begin > 0 && count >= begin && chance % 100 < percent
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Startup {
    fn drop(&mut self) {
        let mut state = self.startups.lock();
        state.count = state.count.saturating_sub(1);
        let Some(key) = self.key else { return };
        match state.by_address.get_mut(&key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(state.by_address.remove(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn peer(last: u8) -> Peer {
        Peer::from(SocketAddr::from(([192, 0, 2, last], 1)))
    }

    #[test]
    fn one_address_has_half_of_the_places() {
        let startups = Startups::new(100);
        let first: Vec<_> = (0..200).filter_map(|_| startups.admit(peer(1), 99)).collect();
        assert_eq!(first.len(), 50);
        let second: Vec<_> = (0..200).filter_map(|_| startups.admit(peer(2), 99)).collect();
        assert_eq!(second.len(), 50);
        assert!(startups.admit(peer(3), 99).is_none(), "the limit is reached");
        drop(first);
        assert!(startups.admit(peer(3), 99).is_some() && startups.admit(peer(1), 99).is_some());
        drop(second);
        assert!(startups.lock().by_address.is_empty() && startups.lock().count == 0);
    }

    #[test]
    fn refusals_begin_at_a_tenth_with_a_third() {
        let startups = Startups::new(100);
        let count = |count| (0..100).filter(|chance| startups.refuses(count, *chance)).count();
        assert_eq!([0, 9, 10, 55, 99, 100].map(count), [0, 0, 30, 65, 99, 100]);
        assert!(Startups::new(0).refuses(0, 99) && !Startups::new(1).refuses(0, 0) && Startups::new(1).refuses(1, 99));
    }
}
