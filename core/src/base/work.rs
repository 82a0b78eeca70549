//! Counts the machine's steps of work, for tests that limit the number of steps.
//!
//! A peer decides how many keys, commands, frames and blocks it sends, so both the memory and the
//! work that they cause must be bounded. Steps measure the work, identically on every computer.
//!
//! # What a step is
//!
//! One step is one byte that a decoder reads or copies, or one table entry (a connection, a member
//! of a room, a segment of a queue, a timer, a key) that is visited. The steps of libraries are
//! estimated: an inflated byte is one step, and a compressed block counts as many steps as its
//! tables have entries. The handler's own work is not counted; its calls to the [`Hub`](crate::Hub)
//! are.
//!
//! # The bound
//!
//! Each fact about one connection, such as [`Machine::received`](crate::Machine::received), takes
//! at most [`Budget::steps_max`](crate::limit::Budget::steps_max) steps. The same bound holds for
//! the held input of one connection that one call of [`Machine::elapsed`](crate::Machine::elapsed)
//! serves:
//!
//! > [`BASE`] + [`PER_BYTE`] × (bytes of the fact) + [`PER_BUDGET_BYTE`] × (the longest message)
//! > + [`PER_MESSAGE`] × (messages per turn)
//!
//! A fact about several connections (`elapsed`, `turn_ended`) takes at most that for each of them.
//! A published message takes one more step per recipient.
//!
//! Steps are counted per thread, and only with the feature `work`, which only tests enable. Without
//! it, counting compiles to nothing.

#[cfg(feature = "work")]
pub use counting::{BASE, PER_BUDGET_BYTE, PER_BYTE, PER_MESSAGE, steps_of};

/// Does nothing, because the feature `work` is disabled.
#[cfg(not(feature = "work"))]
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must compile to nothing")]
pub(crate) const fn step(_steps: usize) {}

#[cfg(feature = "work")]
pub(crate) use counting::step;

#[cfg(feature = "work")]
mod counting {
    use std::cell::Cell;

    std::thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    /// Constant term of the bound on the steps of a fact.
    pub const BASE: u64 = 100_000;
    /// Steps that the bound allows per byte of the fact.
    pub const PER_BYTE: u64 = 24;
    /// Steps that the bound allows per byte of the longest message, which a fact may complete.
    pub const PER_BUDGET_BYTE: u64 = 8;
    /// Steps that the bound allows per message of `Budget::messages_per_turn`.
    pub const PER_MESSAGE: u64 = 64;

    /// Adds `steps` to this thread's count of steps.
    pub(crate) fn step(steps: usize) {
        // A thread that is being destroyed does not count.
        let _ = STEPS.try_with(|counted| counted.set(counted.get().saturating_add(steps as u64)));
    }

    /// Runs `act` and returns its result and the number of steps that this thread counted in it.
    pub fn steps_of<T>(act: impl FnOnce() -> T) -> (T, u64) {
        let before = STEPS.get();
        let result = act();
        (result, STEPS.get() - before)
    }
}

#[cfg(all(test, feature = "work"))]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_per_thread_and_nested_counts_add_up() {
        let (((), inner), outer) = steps_of(|| {
            step(2);
            std::thread::spawn(|| step(100)).join().expect("it only counts");
            steps_of(|| step(3))
        });
        assert_eq!((inner, outer), (3, 5));
    }
}
