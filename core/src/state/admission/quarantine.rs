#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure};
use crate::base::{AddressKey, Time};
use crate::config::QuarantineLimits;
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

/// The addresses in quarantine, each with the time at which its cool-down ends.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    until: BTreeMap<AddressKey, Time>,
    by_time: BTreeSet<(Time, AddressKey)>,
}

impl Quarantine {
    /// Puts an address into quarantine for the cool-down. If full, evicts the soonest to expire.
    ///
    /// Does nothing if `addresses_max` is 0.
    pub(crate) fn add(&mut self, now: Time, key: AddressKey, limits: QuarantineLimits) {
        self.add_until(now, key, now + limits.cool_down, limits);
    }

    /// Puts an address into quarantine for this time, unless it is there for longer.
    pub(crate) fn add_for(&mut self, now: Time, key: AddressKey, time: Duration, limits: QuarantineLimits) {
        let until = now + time;
        if self.until.get(&key).is_none_or(|known| *known < until) {
            self.add_until(now, key, until, limits);
        }
    }

    fn add_until(&mut self, now: Time, key: AddressKey, until: Time, limits: QuarantineLimits) {
        self.expire(now);
        self.forget(key);
        if limits.addresses_max == 0 {
            return;
        }
        while self.until.len() >= limits.addresses_max as usize {
            let Some((_, soonest)) = self.by_time.pop_first() else { break };
            self.until.remove(&soonest);
        }
        self.until.insert(key, until);
        self.by_time.insert((until, key));
    }

    /// Removes an address from quarantine. Returns whether it was there.
    pub(crate) fn remove(&mut self, now: Time, key: AddressKey) -> bool {
        self.expire(now);
        self.forget(key)
    }

    fn forget(&mut self, key: AddressKey) -> bool {
        let Some(until) = self.until.remove(&key) else { return false };
        self.by_time.remove(&(until, key))
    }

    /// Returns the time until which `key` is refused, if it is.
    pub(crate) fn refused_until(&self, now: Time, key: AddressKey) -> Option<Time> {
        self.until.get(&key).copied().filter(|&until| until > now)
    }

    /// Returns the addresses that are refused at `now`, and until when.
    pub(crate) fn iter(&self, now: Time) -> impl Iterator<Item = (AddressKey, Time)> + '_ {
        self.until.iter().map(|(&key, &until)| (key, until)).filter(move |&(_, until)| until > now)
    }

    /// Returns the number of addresses that are refused at `now`.
    pub(crate) fn len(&self, now: Time) -> usize {
        // Earliest first, so the count stops at the first address that is still refused.
        self.until.len() - self.by_time.iter().take_while(|&&(until, _)| until <= now).count()
    }

    #[cfg(feature = "sim")]
    pub(crate) fn recount(&self) -> Recounted {
        let by_time: BTreeSet<_> = self.until.iter().map(|(&key, &until)| (until, key)).collect();
        ensure(by_time == self.by_time, || "the two orders of addresses in quarantine differ".into())
    }

    /// Removes the addresses whose cool-down is over.
    pub(crate) fn expire(&mut self, now: Time) {
        while let Some(&(until, key)) = self.by_time.first() {
            if until > now {
                break;
            }
            self.by_time.pop_first();
            self.until.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn key(n: u32) -> AddressKey {
        core::net::IpAddr::V4(Ipv4Addr::from_bits(n)).into()
    }

    #[test]
    fn quarantine_refuses_an_address_until_its_cool_down_ends() {
        let mut quarantine = Quarantine::default();
        let limits = QuarantineLimits { cool_down: Duration::from_secs(10), addresses_max: 2 };
        quarantine.add(Time::from_secs(1), key(1), limits);
        assert_eq!(quarantine.refused_until(Time::from_secs(10), key(1)), Some(Time::from_secs(11)));
        assert_eq!(quarantine.refused_until(Time::from_secs(11), key(1)), None);
        assert_eq!(quarantine.refused_until(Time::from_secs(2), key(2)), None);
    }

    #[test]
    fn a_shorter_time_from_elsewhere_shortens_no_quarantine() {
        let mut quarantine = Quarantine::default();
        let limits = QuarantineLimits { cool_down: Duration::from_secs(10), addresses_max: 1 };
        let (now, seconds) = (Time::from_secs(1), Duration::from_secs);
        quarantine.add_for(now, key(1), seconds(5), limits);
        for (time, until) in [(4, 6), (6, 7), (0, 7)] {
            quarantine.add_for(now, key(1), seconds(time), limits);
            assert_eq!(quarantine.refused_until(now, key(1)), Some(Time::from_secs(until)), "{time} s");
        }
        quarantine.add_for(now, key(2), seconds(1), limits);
        assert_eq!(quarantine.len(now), 1, "its table stays bounded");
    }

    #[test]
    fn full_quarantine_evicts_the_soonest_to_expire() {
        let mut quarantine = Quarantine::default();
        let limits = QuarantineLimits { cool_down: Duration::from_secs(10), addresses_max: 2 };
        for n in 1..=3 {
            quarantine.add(Time::from_secs(u64::from(n)), key(n), limits);
        }
        let now = Time::from_secs(3);
        assert_eq!(quarantine.len(now), 2);
        assert_eq!(quarantine.refused_until(now, key(1)), None);
        assert!(quarantine.refused_until(now, key(3)).is_some());
        assert!(quarantine.remove(now, key(3)) && !quarantine.remove(now, key(3)));
        // Expired entries are removed before live ones.
        quarantine.add(Time::from_secs(60), key(4), limits);
        assert_eq!(quarantine.until.len(), 1);
    }

    #[test]
    fn expired_quarantine_is_not_counted_listed_or_removed() {
        let mut quarantine = Quarantine::default();
        let limits = QuarantineLimits { cool_down: Duration::from_secs(10), addresses_max: 9 };
        quarantine.add(Time::from_secs(0), key(1), limits);
        quarantine.add(Time::from_secs(5), key(2), limits);
        for (secs, refused) in [(5, 2), (9, 2), (10, 1), (14, 1), (15, 0)] {
            let now = Time::from_secs(secs);
            assert_eq!((quarantine.len(now), quarantine.iter(now).count()), (refused, refused), "{secs} s");
        }
        assert!(!quarantine.remove(Time::from_secs(10), key(1)));
        assert!(quarantine.remove(Time::from_secs(10), key(2)));
    }
}
