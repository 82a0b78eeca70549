use std::sync::Arc;

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// A queue of ready sources, for one task that owns all sources.
///
/// Each source is polled with the waker of its own key. A wake-up queues the key, unless it is
/// queued already. The first key in the queue also wakes the task. So a turn of the task polls
/// every ready source and no other.
#[derive(Debug, Default)]
pub struct ReadyQueue {
    state: Mutex<Ready>,
}

#[derive(Debug, Default)]
struct Ready {
    keys: Vec<Arc<ReadyKey>>,
    task: Option<Waker>,
}

impl ReadyQueue {
    /// Creates an empty queue.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Creates the key of the source with this number.
    #[must_use]
    pub fn key(self: &Arc<Self>, number: u32) -> Arc<ReadyKey> {
        Arc::new(ReadyKey { number, noted: AtomicBool::new(false), queue: Arc::clone(self) })
    }

    /// Sets the waker of the task, and appends the numbers of the ready sources to `numbers`.
    pub fn take(&self, task: &Waker, numbers: &mut Vec<u32>) {
        let mut state = self.lock();
        if !state.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            state.task = Some(task.clone());
        }
        for key in state.keys.drain(..) {
            // Reset before the source is polled, so that a wake-up during the poll queues the key
            // again. A swap and not a store: it must synchronize with the wake-up that it resets.
            key.noted.swap(false, Ordering::AcqRel);
            numbers.push(key.number);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wake-up key of one source, to be converted into a [`Waker`].
#[derive(Debug)]
pub struct ReadyKey {
    number: u32,
    noted: AtomicBool,
    queue: Arc<ReadyQueue>,
}

impl Wake for ReadyKey {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.noted.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = self.queue.lock();
        state.keys.push(Arc::clone(self));
        let task = if state.keys.len() == 1 { state.task.clone() } else { None };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU32;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn ready_queue_deduplicates_sources_and_wakes_the_task_once() {
        let queue = ReadyQueue::new();
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut numbers = Vec::new();
        queue.take(&task, &mut numbers);
        let wakers: Vec<Waker> = (0..3).map(|number| queue.key(number).into()).collect();
        wakers[2].wake_by_ref();
        wakers[0].wake_by_ref();
        wakers[2].wake_by_ref();
        queue.take(&task, &mut numbers);
        assert_eq!((numbers.as_slice(), count.0.load(Ordering::Relaxed)), (&[2, 0][..], 1));
        wakers[2].wake_by_ref();
        queue.take(&task, &mut numbers);
        assert_eq!((numbers.as_slice(), count.0.load(Ordering::Relaxed)), (&[2, 0, 2][..], 2));
    }
}
