//! The addresses of a dial, and which of them the next attempt uses.

use crate::base::Random;
use crate::config::{AddressOrder, Dial};
use alloc::string::String;
use alloc::vec::Vec;

/// The addresses of a dial in the order of the current round, and the place in it.
///
/// In a round, each address gets one attempt. The waits of the backoff are between rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    all: Vec<String>,
    place: usize,
}

impl Addresses {
    pub(super) fn of(dial: &Dial) -> Self {
        let others = dial.others.iter().take(Dial::OTHERS_MAX);
        Self { all: core::iter::once(&dial.address).chain(others).cloned().collect(), place: 0 }
    }

    /// Replaces the addresses. The current attempt is not affected, and the next one begins a round.
    pub(super) fn replace(&mut self, all: Vec<String>) {
        self.all = all;
        self.all.truncate(1 + Dial::OTHERS_MAX);
        // No address is left in this round.
        self.place = self.all.len();
    }

    /// Begins a round, and returns its first address.
    pub(super) fn begin(&mut self, order: AddressOrder, random: &mut Random) -> Option<String> {
        if order == AddressOrder::Random {
            shuffle(&mut self.all, random);
        }
        self.place = 0;
        self.all.first().cloned()
    }

    /// Returns the next address of this round, if there is one.
    pub(super) fn next(&mut self) -> Option<String> {
        self.place = self.place.saturating_add(1);
        self.all.get(self.place).cloned()
    }
}

/// Puts the items into a random order, in which each is as likely (Fisher and Yates).
fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for last in (1..items.len()).rev() {
        let bound = u64::try_from(last).unwrap_or_default() + 1;
        let chosen = usize::try_from(random.below(bound)).unwrap_or_default();
        items.swap(chosen, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn dial(count: usize) -> Dial {
        let others = (1..count).map(|number| format!("h{number}:1")).collect();
        Dial::lines("h0:1").others(others)
    }

    proptest! {
        #[test]
        fn each_round_has_every_address_once(count in 1_usize..9, seed: u64, is_random: bool) {
            let order = if is_random { AddressOrder::Random } else { AddressOrder::InOrder };
            let mut random = Random::new(seed);
            let mut addresses = Addresses::of(&dial(count));
            for _ in 0..3 {
                let mut seen = Vec::from_iter(addresses.begin(order, &mut random));
                seen.extend(core::iter::from_fn(|| addresses.next()));
                let expected: Vec<_> = (0..count).map(|number| format!("h{number}:1")).collect();
                if is_random {
                    seen.sort();
                }
                prop_assert_eq!(seen, expected);
            }
        }
    }

    #[test]
    fn random_rounds_begin_with_each_address_about_as_often() {
        let (mut addresses, mut random) = (Addresses::of(&dial(4)), Random::new(1));
        let mut first: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..4_000 {
            *first.entry(addresses.begin(AddressOrder::Random, &mut random).expect("one")).or_default() += 1;
        }
        assert!(first.len() == 4 && first.values().all(|count| (850..1_150).contains(count)), "{first:?}");
    }

    #[test]
    fn replaced_addresses_begin_a_round() {
        let (mut addresses, mut random) = (Addresses::of(&dial(3)), Random::new(1));
        addresses.replace(["x:1", "y:1"].map(ToString::to_string).into());
        assert_eq!(addresses.next(), None);
        assert_eq!(addresses.begin(AddressOrder::InOrder, &mut random).as_deref(), Some("x:1"));
        assert_eq!(addresses.next().as_deref(), Some("y:1"));
        let many = (0..1_000).map(|number| format!("h{number}:1")).collect();
        addresses.replace(many);
        addresses.begin(AddressOrder::InOrder, &mut random);
        assert_eq!(1 + core::iter::from_fn(|| addresses.next()).count(), 1 + Dial::OTHERS_MAX);
    }
}
