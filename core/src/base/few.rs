//! A list of numbers that needs no memory of its own while it is short.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Deref;

/// Numbers that are here while there are at most three, and otherwise in memory of their own.
#[derive(Clone, Debug)]
pub(crate) struct Few(Place);

#[derive(Clone, Debug)]
enum Place {
    /// The first `count` of them.
    Here { count: u8, items: [u32; 3] },
    #[expect(clippy::box_collection, reason = "a list of its own would make all others longer")]
    Elsewhere(Box<Vec<u32>>),
}

impl Few {
    pub(crate) const fn new() -> Self {
        Self(Place::Here { count: 0, items: [0; 3] })
    }

    pub(crate) fn push(&mut self, item: u32) {
        match &mut self.0 {
            Place::Elsewhere(items) => items.push(item),
            Place::Here { count, items } => {
                if let Some(free) = items.get_mut(usize::from(*count)) {
                    *free = item;
                    *count += 1;
                } else {
                    let mut more = Vec::from(*items);
                    more.push(item);
                    self.0 = Place::Elsewhere(more.into());
                }
            }
        }
    }

    /// Removes the number at a place. The last one takes its place.
    pub(crate) fn swap_remove(&mut self, place: usize) {
        match &mut self.0 {
            Place::Elsewhere(items) => {
                items.swap_remove(place);
                if items.is_empty() {
                    *self = Self::new();
                }
            }
            Place::Here { count, items } => {
                *count -= 1;
                items.swap(place, usize::from(*count));
            }
        }
    }
}

impl Default for Few {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Few {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match &self.0 {
            Place::Here { count, items } => items.get(..usize::from(*count)).unwrap_or_default(),
            Place::Elsewhere(items) => items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Few;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn few_numbers_are_those_of_a_vec(steps in proptest::collection::vec((any::<bool>(), any::<u32>()), 0..60)) {
            let (mut few, mut all) = (Few::new(), Vec::new());
            for (adds, number) in steps {
                if adds || all.is_empty() {
                    few.push(number);
                    all.push(number);
                } else {
                    let place = number as usize % all.len();
                    few.swap_remove(place);
                    all.swap_remove(place);
                }
                prop_assert_eq!(&*few, &all[..]);
            }
        }
    }

    #[test]
    fn a_short_list_is_as_small_as_two_pointers() {
        assert_eq!(size_of::<Few>(), 16);
    }
}
