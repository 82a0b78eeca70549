use super::{Dialed, ReadyQueue};
use drupe_core::{DialId, Peer};

use std::collections::BTreeMap;
use std::sync::Arc;

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;

/// Connection attempts, as futures that the driver's task polls.
///
/// Each is polled once when it begins, and then only after it was woken.
pub struct Attempts<S> {
    /// The waker of the driver's task.
    pub task: Waker,
    futures: BTreeMap<DialId, (Waker, Attempt<S>)>,
    queue: Arc<ReadyQueue>,
    /// The numbers of the attempts to poll next.
    ready: Vec<u32>,
}

type Attempt<S> = Pin<Box<dyn Future<Output = io::Result<(S, Peer)>> + Send>>;

impl<S> Attempts<S> {
    /// Creates an empty set of attempts.
    #[must_use]
    pub fn new() -> Self {
        Self { task: Waker::noop().clone(), futures: BTreeMap::new(), queue: ReadyQueue::new(), ready: Vec::new() }
    }

    /// Starts a connection attempt, which replaces an earlier attempt of the same dial.
    pub fn begin(&mut self, dial: DialId, attempt: impl Future<Output = io::Result<(S, Peer)>> + Send + 'static) {
        self.futures.insert(dial, (self.queue.key(dial.number()).into(), Box::pin(attempt)));
        self.ready.push(dial.number());
    }

    /// Cancels the connection attempt of a dial.
    pub fn remove(&mut self, dial: DialId) {
        self.futures.remove(&dial);
    }

    /// Polls the woken attempts, and returns one that has finished, if any.
    ///
    /// Later wake-ups of attempts wake the driver's task.
    pub fn next_done(&mut self) -> Option<Dialed<S>> {
        self.queue.take(&self.task, &mut self.ready);
        while let Some(dial) = self.ready.pop().map(DialId::new) {
            let Some((waker, attempt)) = self.futures.get_mut(&dial) else { continue };
            if let Poll::Ready(result) = attempt.as_mut().poll(&mut Context::from_waker(waker)) {
                self.futures.remove(&dial);
                return Some((dial, result));
            }
        }
        None
    }
}

impl<S> Default for Attempts<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Attempts<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.futures.keys()).finish()
    }
}

/// Calls `attempt` until it succeeds, fails, or would block while the socket is not ready.
///
/// After each attempt that would block, `poll` reports whether the socket is ready, and otherwise
/// registers a waker for when it is.
///
/// # Errors
/// Those of the attempt and of `poll`, and [`WouldBlock`](io::ErrorKind::WouldBlock) once the waker
/// is registered.
pub fn until_blocked<T>(
    mut attempt: impl FnMut() -> io::Result<T>,
    mut poll: impl FnMut() -> Poll<io::Result<()>>,
) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
        match poll() {
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(result) => result?,
        }
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

    #[test]
    fn attempt_is_polled_only_when_begun_and_when_woken() {
        let polls = Arc::new(AtomicUsize::new(0));
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let mut attempts = Attempts::<u32>::new();
        attempts.task = Arc::clone(&woken).into();
        let (wakers, waiting) = mpsc::channel();
        for number in 0..500 {
            let (polls, wakers) = (Arc::clone(&polls), wakers.clone());
            let mut is_first = true;
            attempts.begin(
                DialId::new(number),
                core::future::poll_fn(move |cx| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    if core::mem::take(&mut is_first) {
                        wakers.send(cx.waker().clone()).expect("the test waits");
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok((number, Peer::Local)))
                }),
            );
        }
        assert!(attempts.next_done().is_none());
        assert_eq!(polls.load(Ordering::Relaxed), 500);
        attempts.remove(DialId::new(7));
        // One after another, as wake-ups arrive.
        let mut done = 0;
        for waker in waiting.try_iter() {
            waker.wake();
            done += usize::from(attempts.next_done().is_some());
            assert!(attempts.next_done().is_none());
        }
        assert_eq!((done, polls.load(Ordering::Relaxed)), (499, 999));
        assert_eq!(woken.0.load(Ordering::Relaxed), 500, "the task is woken for each");
    }
}
