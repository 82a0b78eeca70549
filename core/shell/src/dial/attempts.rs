use super::DIALS_PER_TURN;
use crate::ReadyQueue;
use drupe_core::DialId;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;

/// Steps of connection attempts, as futures that the driver's task polls.
///
/// Each is polled once when it begins, and then only after it was woken. At most [`DIALS_PER_TURN`]
/// are polled in a turn.
pub struct Attempts<T> {
    /// The waker of the driver's task.
    task: Waker,
    futures: BTreeMap<DialId, (Waker, Attempt<T>)>,
    queue: Arc<ReadyQueue>,
    /// The numbers of the attempts to poll next.
    ready: VecDeque<u32>,
    /// Number of attempts that may still be polled in this turn.
    left: usize,
    woken: Vec<u32>,
}

type Attempt<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl<T> Attempts<T> {
    /// Creates an empty set of attempts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            task: Waker::noop().clone(),
            futures: BTreeMap::new(),
            queue: ReadyQueue::new(),
            ready: VecDeque::new(),
            left: DIALS_PER_TURN,
            woken: Vec::new(),
        }
    }

    /// Begins a turn of the driver's task, which `task` wakes.
    pub fn begin_turn(&mut self, task: &Waker) {
        self.task.clone_from(task);
        self.left = DIALS_PER_TURN;
    }

    /// Starts a connection attempt, which replaces an earlier attempt of the same dial.
    pub fn begin(&mut self, dial: DialId, attempt: impl Future<Output = io::Result<T>> + Send + 'static) {
        self.futures.insert(dial, (self.queue.key(dial.number()).into(), Box::pin(attempt)));
        self.ready.push_back(dial.number());
    }

    /// Cancels the connection attempt of a dial.
    pub fn remove(&mut self, dial: DialId) {
        self.futures.remove(&dial);
    }

    /// Polls the woken attempts, and returns one that has finished, if any.
    ///
    /// Later wake-ups of attempts wake the driver's task. So does this call, if attempts are left
    /// for the next turn.
    pub fn next_done(&mut self) -> Option<(DialId, io::Result<T>)> {
        self.queue.take(&self.task, &mut self.woken);
        self.ready.extend(self.woken.drain(..));
        while let Some(dial) = self.ready.front().copied().map(DialId::new) {
            let Some((waker, attempt)) = self.futures.get_mut(&dial) else {
                self.ready.pop_front();
                continue;
            };
            let Some(left) = self.left.checked_sub(1) else {
                self.task.wake_by_ref();
                return None;
            };
            self.left = left;
            self.ready.pop_front();
            if let Poll::Ready(result) = attempt.as_mut().poll(&mut Context::from_waker(waker)) {
                self.futures.remove(&dial);
                return Some((dial, result));
            }
        }
        None
    }
}

impl<T> Default for Attempts<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Attempts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.futures.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An attempt that is pending once, and sends its waker.
    fn pending_once(number: u32, polls: &Arc<AtomicUsize>, wakers: &mpsc::Sender<Waker>) -> Attempt<u32> {
        let (polls, wakers, mut is_first) = (Arc::clone(polls), wakers.clone(), true);
        Box::pin(core::future::poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            if core::mem::take(&mut is_first) {
                wakers.send(cx.waker().clone()).expect("the test waits");
                return Poll::Pending;
            }
            Poll::Ready(Ok(number))
        }))
    }

    #[test]
    fn attempt_is_polled_only_when_begun_and_when_woken() {
        let polls = Arc::new(AtomicUsize::new(0));
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let task = Waker::from(Arc::clone(&woken));
        let mut attempts = Attempts::<u32>::new();
        let (wakers, waiting) = mpsc::channel();
        for number in 0..500 {
            attempts.begin(DialId::new(number), pending_once(number, &polls, &wakers));
        }
        // Each turn polls some of them, and wakes the task for the next turn.
        for turn in 1..=500_usize.div_ceil(DIALS_PER_TURN) {
            attempts.begin_turn(&task);
            assert!(attempts.next_done().is_none());
            assert_eq!(polls.load(Ordering::Relaxed), (turn * DIALS_PER_TURN).min(500));
        }
        let turns = woken.0.swap(0, Ordering::Relaxed);
        assert_eq!(turns, 500 / DIALS_PER_TURN);
        attempts.remove(DialId::new(7));
        // One after another, as wake-ups arrive.
        let mut done = 0;
        for waker in waiting.try_iter() {
            waker.wake();
            attempts.begin_turn(&task);
            done += usize::from(attempts.next_done().is_some());
            assert!(attempts.next_done().is_none());
        }
        assert_eq!((done, polls.load(Ordering::Relaxed)), (499, 999));
        assert_eq!(woken.0.load(Ordering::Relaxed), 500, "the task is woken for each");
    }

    #[test]
    fn dials_of_different_applications_have_attempts_of_their_own() {
        let mut attempts = Attempts::<u32>::new();
        // The index of the application is the highest byte.
        let numbers = [0, 1, 1 << 24, 64 << 24, 128 << 24, 255 << 24, u32::MAX];
        for number in numbers {
            attempts.begin(DialId::new(number), core::future::ready(Ok(number)));
        }
        for number in numbers {
            let done = attempts.next_done().map(|(dial, result)| (dial.number(), result.expect("no error")));
            assert_eq!(done, Some((number, number)));
        }
        assert!(attempts.next_done().is_none());
    }
}
