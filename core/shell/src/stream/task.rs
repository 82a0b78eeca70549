//! The task that serves one connection.

use super::connection::Handle;

use core::fmt;
use core::pin::Pin;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

pub(super) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The task that serves one connection. It reports a panic of its future to the server.
pub struct Task {
    pub(super) future: Serving,
    pub(super) handle: Handle,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { future, handle } = &mut *self;
        // The future is not polled again after a panic.
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))).unwrap_or_else(|_| {
            handle.panicked();
            Poll::Ready(())
        })
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}
