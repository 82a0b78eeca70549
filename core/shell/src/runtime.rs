use super::stream::ConnectionTask;
use super::{Names, ReadyQueue, Sockets};

use std::sync::Arc;

use core::task::{Context, Poll, Waker};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

/// An async runtime for a shell: its sockets, timers and tasks.
pub trait AsyncRuntime: Sized + 'static {
    /// The sockets of the runtime.
    type Sockets: Sockets<Stream: Send>;
    /// The timer of the runtime.
    type Sleep: Send;

    /// Creates sockets that report their readiness to `queue`. Dials resolve hosts with `names`.
    fn sockets(queue: Arc<ReadyQueue>, names: Names) -> Self::Sockets;

    /// Begins a turn. `waker` is called when a connection attempt has finished.
    fn begin_turn(sockets: &mut Self::Sockets, waker: &Waker);

    /// Connects to one address.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<StreamOf<Self>>> + Send + 'static;

    /// Creates a timer that expires at `until`.
    fn sleep(until: Instant) -> Self::Sleep;

    /// Resets a timer to expire at `until`.
    fn reset(sleep: &mut Self::Sleep, until: Instant);

    /// Spawns the task of a connection.
    fn spawn(task: ConnectionTask);

    /// Polls whether a timer has expired.
    fn poll(sleep: &mut Self::Sleep, cx: &mut Context<'_>) -> Poll<()>;

    /// Wakes the task after the runtime has looked which sockets are ready.
    fn wake_after_io(cx: &mut Context<'_>);
}

/// The connection of a runtime that no driver serves yet.
pub type StreamOf<R> = <<R as AsyncRuntime>::Sockets as Sockets>::Stream;
