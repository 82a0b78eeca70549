//! Transports of connections: sockets, channels of SSH tunnels, and mounted connections.

use drupe_core::Failure;

use core::fmt;
use core::task::{Context, Poll, Waker};
use std::io::{self, IoSlice};

/// A bidirectional connection without a socket, whose other end may run on any thread.
///
/// Every shell can serve it, because it needs only a waker.
pub trait Channel: Send {
    /// Accepts the connection. The server calls it once, before it reads or writes.
    fn accept(&mut self);

    /// Refuses the connection: sends `words` to the peer if possible, and closes the connection.
    fn dismiss(self: Box<Self>, words: &[u8]);

    /// Continues to send the bytes that `poll_write` accepted. Called after each wake-up.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>>;

    /// Reads available bytes into `buffer`. Returns 0 at the end of the input.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>>;

    /// Accepts some bytes of `slices` and returns their number, or returns `Pending`.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, Failure>>;

    /// Closes the sending half after all accepted bytes were sent.
    fn shut_down(&mut self);
}

/// The transport of a new connection that no driver serves yet.
///
/// It is a stream of the runtime, a socket on its way to another thread, or a channel.
#[expect(clippy::exhaustive_enums, reason = "a shell must handle each")]
pub enum Arrival<S> {
    /// A stream of the runtime or a socket of the system.
    Stream(S),
    /// A channel of an SSH tunnel, or a mounted connection.
    Channel(Box<dyn Channel>),
}

impl<S> Arrival<S> {
    /// Converts a stream with `map`, or returns a channel unchanged.
    pub(super) fn map<T>(self, map: impl FnOnce(S) -> T) -> Arrival<T> {
        match self {
            Self::Stream(stream) => Arrival::Stream(map(stream)),
            Self::Channel(channel) => Arrival::Channel(channel),
        }
    }
}

/// The transport of a connection: a runtime's socket, or a channel with the waker for its slot.
pub(super) enum Transport<S> {
    Socket(S),
    Channel(Box<dyn Channel>, Waker),
}

/// The reason why a read or write transferred no bytes.
pub(super) enum Trouble {
    /// The read or write would block.
    Blocked,
    /// A signal interrupted the system call, which can be retried at once.
    Interrupted,
    Failed(Failure),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Blocked,
            io::ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::Failed(Failure::from(&error)),
        }
    }
}

impl Trouble {
    /// Converts a channel's poll to a result, in which `Pending` becomes `Blocked`.
    pub(super) fn or<T>(poll: Poll<Result<T, Failure>>) -> Result<T, Self> {
        match poll {
            Poll::Ready(result) => result.map_err(Self::Failed),
            Poll::Pending => Err(Self::Blocked),
        }
    }
}

impl<S> Transport<S> {
    /// Continues to send the bytes that a channel accepted. Does nothing for a socket.
    ///
    /// An error ends the connection, even if the machine does not read from it at the moment.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        match self {
            Self::Channel(channel, waker) => match channel.poll_flush(&mut Context::from_waker(waker)) {
                Poll::Ready(result) => result,
                Poll::Pending => Ok(()),
            },
            Self::Socket(_) => Ok(()),
        }
    }
}

impl<S> fmt::Debug for Arrival<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream(_) => "Stream",
            Self::Channel(_) => "Channel",
        })
    }
}
