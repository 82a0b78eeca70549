use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// A set of small numbers with constant-time insert and remove.
///
/// Its order depends only on the calls made, unlike that of a hash set.
#[derive(Debug, Default)]
pub(crate) struct DenseSet {
    members: Vec<u32>,
    /// For each number, its index in `members` plus one, or 0 if the number is absent.
    places: Vec<u32>,
}

impl DenseSet {
    /// Adds `number`. Returns true if it was absent.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        let index = number as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, 0);
        }
        if self.places[index] != 0 {
            return false;
        }
        self.members.push(number);
        self.places[index] = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        true
    }

    /// Removes `number`. Returns true if it was present.
    pub(crate) fn remove(&mut self, number: u32) -> bool {
        let Some(place) = self.places.get_mut(number as usize) else { return false };
        if *place == 0 {
            return false;
        }
        let at = (core::mem::take(place) - 1) as usize;
        self.members.swap_remove(at);
        if let Some(&moved) = self.members.get(at) {
            self.places[moved as usize] = u32::try_from(at + 1).unwrap_or(u32::MAX);
        }
        true
    }

    #[cfg(feature = "sim")]
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.places.get(number as usize).is_some_and(|&place| place != 0)
    }

    /// Returns the members, in an order that depends only on the calls made.
    pub(crate) fn as_slice(&self) -> &[u32] {
        &self.members
    }
}

/// A queue of small numbers that contains each number at most once.
#[derive(Debug, Default)]
pub(crate) struct DedupQueue {
    waiting: VecDeque<u32>,
    waits: Vec<bool>,
}

impl DedupQueue {
    /// Appends `number`, unless it is queued already.
    pub(crate) fn insert(&mut self, number: u32) {
        let index = number as usize;
        if self.waits.len() <= index {
            self.waits.resize(index + 1, false);
        }
        if !core::mem::replace(&mut self.waits[index], true) {
            self.waiting.push_back(number);
        }
    }

    /// Returns `true` if `number` is queued.
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.waits.get(number as usize).copied().unwrap_or(false)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Removes and returns the first number.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        let number = self.waiting.pop_front()?;
        self.waits[number as usize] = false;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dense_set_agrees_with_an_ordered_set(steps in prop::collection::vec((0..3u8, 0..20u32), 0..200)) {
            let (mut set, mut model) = (DenseSet::default(), BTreeSet::new());
            for (step, number) in steps {
                match step {
                    0 | 1 => prop_assert_eq!(set.insert(number), model.insert(number)),
                    _ => prop_assert_eq!(set.remove(number), model.remove(&number)),
                }
                let mut members = set.as_slice().to_vec();
                members.sort_unstable();
                prop_assert_eq!(members, model.iter().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn dedup_queue_holds_each_number_once_in_order() {
        let mut queue = DedupQueue::default();
        [3, 1, 3, 2].into_iter().for_each(|number| queue.insert(number));
        assert_eq!(queue.pop(), Some(3));
        queue.insert(3);
        assert_eq!(core::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
