//! Work of a task for which a drain waits, and work that ends with the connection.

use super::connection::{Connection, Disconnected, Handle, Sender};

use core::fmt;
use core::future::poll_fn;
use core::pin::pin;
use std::task::Poll;

/// A guard for work in progress: see [`Connection::work`]. Dropping the guard ends the work.
#[must_use = "dropping it ends the work"]
pub struct Work {
    handle: Handle,
}

/// # Work, drain and cancellation
impl Connection {
    /// Declares work in progress that is no answer to a message, until the result is dropped.
    ///
    /// A drain waits for it until [`Drain::deadline`](drupe_core::Drain::deadline), and then ends
    /// the connection as [`Reason::Shutdown`](drupe_core::Reason::Shutdown). It also waits while
    /// the task handles a message, without this call.
    pub fn work(&self) -> Work {
        self.sender.work()
    }

    /// Runs a future until it is done or the connection has ended.
    ///
    /// # Errors
    /// If the connection ends first. The future is dropped.
    pub async fn run_until_closed<F: Future>(&self, future: F) -> Result<F::Output, Disconnected> {
        self.sender.run_until_closed(future).await
    }
}

/// # Work, drain and cancellation
impl Sender {
    /// Declares work in progress: see [`Connection::work`].
    pub fn work(&self) -> Work {
        let handle = self.shared.handle.clone();
        handle.link.begin_work(|| handle.call());
        Work { handle }
    }

    /// Runs a future until it is done or the connection has ended.
    ///
    /// # Errors
    /// If the connection ends first. The future is dropped.
    pub async fn run_until_closed<F: Future>(&self, future: F) -> Result<F::Output, Disconnected> {
        let mut future = pin!(future);
        poll_fn(|cx| match self.shared.handle.link.poll_end(cx) {
            Poll::Ready(reason) => Poll::Ready(Err(Disconnected(reason))),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.handle.link.end_work(|| self.handle.call());
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}
