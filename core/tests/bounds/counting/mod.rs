//! An allocator that counts the bytes that each thread holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // A thread that ends still frees, but measures nothing any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

#[allow(
    unsafe_code,
    reason = "the trait can't be implemented without; every call goes to the system's allocator unchanged"
)]
// SAFETY: every method passes its arguments on to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(isize::try_from(layout.size()).expect("a layout's size fits"));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-isize::try_from(layout.size()).expect("a layout's size fits"));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What this thread holds from a moment on, in bytes.
pub(crate) struct Measure {
    before: isize,
}

impl Measure {
    pub(crate) fn begin() -> Self {
        let before = HELD.get();
        PEAK.set(before);
        Self { before }
    }

    /// The most that was held since, beyond what was held before.
    pub(crate) fn peak(&self) -> isize {
        PEAK.get() - self.before
    }

    /// What is held now, beyond what was held before.
    pub(crate) fn held(&self) -> isize {
        HELD.get() - self.before
    }
}
