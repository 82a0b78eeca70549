use super::stream::ConnectionTask;

use core::task::{Context, Poll};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// An async runtime for a shell: its timers and tasks, and how it watches one descriptor.
///
/// The sockets are those of a [`Poller`](super::Poller), whose descriptor the runtime watches.
pub trait AsyncRuntime: Sized + 'static {
    /// A descriptor that the runtime watches.
    type Watch: Send;
    /// The timer of the runtime.
    type Sleep: Send;

    /// Begins to watch a descriptor.
    ///
    /// # Errors
    /// If the runtime cannot register it.
    fn watch(descriptor: OwnedFd) -> io::Result<Self::Watch>;

    /// Calls `look` while the descriptor is readable, until `look` returns that it has seen all, and the descriptor is no
    /// longer readable. The task is woken when it is readable again.
    ///
    /// If `look` has not seen all, this returns at once, and does not wake the task.
    ///
    /// # Errors
    /// Those of the runtime and of `look`.
    fn poll_readable(
        watch: &mut Self::Watch,
        cx: &mut Context<'_>,
        look: &mut dyn FnMut() -> io::Result<bool>,
    ) -> io::Result<()>;

    /// Creates a timer that expires at `until`.
    fn sleep(until: Instant) -> Self::Sleep;

    /// Resets a timer to expire at `until`.
    fn reset(sleep: &mut Self::Sleep, until: Instant);

    /// Spawns the task of a connection.
    fn spawn(task: ConnectionTask);

    /// Polls whether a timer has expired.
    fn poll(sleep: &mut Self::Sleep, cx: &mut Context<'_>) -> Poll<()>;
}
