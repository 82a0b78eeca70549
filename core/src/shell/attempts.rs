use super::Dialed;
use crate::{DialId, Peer};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;

/// Attempts to connect, as futures that a driver's task polls.
pub struct Attempts<S> {
    /// Wakes that task.
    pub task: Waker,
    futures: BTreeMap<DialId, Attempt<S>>,
}

type Attempt<S> = Pin<Box<dyn Future<Output = io::Result<(S, Peer)>> + Send>>;

impl<S> Attempts<S> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { task: Waker::noop().clone(), futures: BTreeMap::new() }
    }

    /// Begins one, in the place of another of the same dial.
    pub fn begin(&mut self, dial: DialId, attempt: impl Future<Output = io::Result<(S, Peer)>> + Send + 'static) {
        self.futures.insert(dial, Box::pin(attempt));
    }

    /// Gives one up.
    pub fn remove(&mut self, dial: DialId) {
        self.futures.remove(&dial);
    }

    /// One that has come to its end. If there is none, the task is woken when there is.
    pub fn next_done(&mut self) -> Option<Dialed<S>> {
        let cx = &mut Context::from_waker(&self.task);
        let done = self.futures.iter_mut().find_map(|(&dial, attempt)| match attempt.as_mut().poll(cx) {
            Poll::Ready(result) => Some((dial, result)),
            Poll::Pending => None,
        })?;
        self.futures.remove(&done.0);
        Some(done)
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

/// Tries until it is done or fails, or until `poll` has set the waker that is woken when it may be tried again.
///
/// # Errors
/// Those of the attempt and of the poll; [`WouldBlock`](io::ErrorKind::WouldBlock) once the waker is set.
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
