//! The queue of dials whose attempts begin in later turns.

use super::DIALS_PER_TURN;
use drupe_core::DialId;
use std::collections::{BTreeSet, VecDeque};

/// Limits the number of attempts that begin in a turn.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    order: VecDeque<DialId>,
    /// The dials in the queue, so that each is queued only once.
    queued: BTreeSet<DialId>,
    /// Number of dials that may still begin in this turn.
    left: usize,
}

impl Starts {
    pub(crate) const fn begin_turn(&mut self) {
        self.left = DIALS_PER_TURN;
    }

    /// Queues a dial. The machine may no longer want it when [`pop`](Self::pop) returns it.
    pub(crate) fn push(&mut self, dial: DialId) {
        if self.queued.insert(dial) {
            self.order.push_back(dial);
        }
    }

    /// Removes and returns the next dial that may begin in this turn.
    pub(crate) fn pop(&mut self) -> Option<DialId> {
        let left = self.left.checked_sub(1)?;
        let dial = self.order.pop_front()?;
        self.left = left;
        self.queued.remove(&dial);
        Some(dial)
    }

    /// Returns `true` if dials wait for the next turn.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turn_begins_a_bounded_number_of_dials_in_order() {
        let mut starts = Starts::default();
        assert_eq!(starts.pop(), None);
        let dials = || (0..150).rev().map(DialId::new);
        dials().chain(dials()).for_each(|dial| starts.push(dial));
        let mut begun = Vec::new();
        for left in [86, 22, 0] {
            starts.begin_turn();
            begun.extend(std::iter::from_fn(|| starts.pop()));
            assert_eq!((begun.len(), starts.is_waiting()), (150 - left, left > 0));
        }
        assert_eq!(begun, dials().collect::<Vec<_>>());
        // It can be queued again.
        starts.begin_turn();
        starts.push(DialId::new(7));
        assert_eq!((starts.pop(), starts.is_waiting()), (Some(DialId::new(7)), false));
    }
}
