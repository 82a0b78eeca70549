use crate::base::Time;
#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure};
use crate::config::{Gcra, Rate};
use alloc::collections::{BTreeMap, BTreeSet};

/// Rate meters by key, in a table of limited size.
///
/// A meter at rest is removed. When the table is full, the meter that would be at rest soonest is
/// removed, so that keys far over their rate stay.
#[derive(Debug)]
pub(crate) struct Meters<K> {
    meters: BTreeMap<K, Gcra>,
    by_rest: BTreeSet<(Time, K)>,
    keys_max: usize,
}

impl<K: Ord + Clone> Meters<K> {
    pub(crate) const fn new(keys_max: usize) -> Self {
        Self { meters: BTreeMap::new(), by_rest: BTreeSet::new(), keys_max }
    }

    /// Charges one unit to a key's meter if it conforms to the rate at `now`.
    ///
    /// # Errors
    /// The moment from which it conforms; nothing was charged.
    pub(crate) fn try_charge(&mut self, now: Time, key: &K, rate: Rate) -> Result<(), Time> {
        let mut meter = self.meters.get(key).copied().unwrap_or_default();
        meter.try_charge(now, 1, rate)?;
        self.put(now, key, meter);
        Ok(())
    }

    /// Checks whether one unit would conform to the rate at `now`, without charging it.
    ///
    /// # Errors
    /// The moment from which it would conform.
    pub(crate) fn check(&self, now: Time, key: &K, rate: Rate) -> Result<(), Time> {
        self.meters.get(key).copied().unwrap_or_default().try_charge(now, 1, rate)
    }

    /// Removes the meter of a key, with all its charges.
    pub(crate) fn forget(&mut self, key: &K) {
        if let Some(meter) = self.meters.remove(key) {
            self.by_rest.remove(&(meter.at_rest(), key.clone()));
        }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn recount(&self) -> Recounted {
        let by_rest: BTreeSet<_> = self.meters.iter().map(|(key, meter)| (meter.at_rest(), key.clone())).collect();
        ensure(by_rest == self.by_rest, || "the two orders of meters differ".into())
    }

    fn put(&mut self, now: Time, key: &K, meter: Gcra) {
        self.forget(key);
        while let Some((rest, soonest)) = self.by_rest.pop_first() {
            if rest > now && self.meters.len() < self.keys_max {
                self.by_rest.insert((rest, soonest));
                break;
            }
            self.meters.remove(&soonest);
        }
        self.by_rest.insert((meter.at_rest(), key.clone()));
        self.meters.insert(key.clone(), meter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::time::Duration;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn meters_with_room_agree_with_one_meter_per_key(steps in prop::collection::vec((0..4u8, 0..3_000u64), 0..200)) {
            let rate = Rate::new(2, 3).expect("not nothing");
            let (mut meters, mut alone, mut now) = (Meters::new(4), [Gcra::default(); 4], Time::START);
            for (key, millis) in steps {
                now = now + Duration::from_millis(millis);
                prop_assert_eq!(meters.check(now, &key, rate), alone[usize::from(key)].clone().try_charge(now, 1, rate));
                prop_assert_eq!(meters.try_charge(now, &key, rate), alone[usize::from(key)].try_charge(now, 1, rate));
                prop_assert_eq!(meters.meters.len(), meters.by_rest.len());
            }
        }
    }

    #[test]
    fn full_meter_table_keeps_the_most_charged_key() {
        let rate = Rate::per(5, 300, 5).expect("not nothing");
        let mut meters = Meters::new(100);
        for _ in 0..5 {
            meters.try_charge(Time::START, &0, rate).expect("five at once");
        }
        for other in 1..1_000 {
            meters.try_charge(Time::from_secs(1), &other, rate).expect("the first of each");
        }
        assert!(meters.try_charge(Time::from_secs(2), &0, rate).is_err());
        assert_eq!(meters.meters.len(), 100);
        let mut late = Vec::new();
        late.extend(meters.try_charge(Time::from_secs(60), &0, rate).err());
        assert_eq!(late, [], "one unit is back after a fifth of the window");
    }
}
