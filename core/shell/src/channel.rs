//! Connections that are no sockets of the operating system: what comes through a tunnel.

use drupe_core::Failure;

use core::fmt;
use core::task::{Context, Poll, Waker};
use std::io::{self, IoSlice};

/// A connection in both directions whose other end is driven elsewhere, on whatever thread. All three shells serve it as it is:
/// it needs nothing but a waker.
pub trait Channel: Send {
    /// It is let in. Before that nothing of it is read.
    fn accept(&mut self);

    /// It is not let in: it is told these words, if there are any, and ends.
    fn dismiss(self: Box<Self>, words: &[u8]);

    /// Goes on with what was taken and is not yet on its way. Called each time that the waker was woken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>>;

    /// Reads what is there; 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>>;

    /// Takes some of these bytes, or none for the time being.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, Failure>>;

    /// Closes our half, behind all that was taken.
    fn shut_down(&mut self);
}

/// A connection that nobody serves yet: a runtime's own, a socket on its way from one thread to another, or a channel.
pub enum Arrival<S> {
    /// A connection of the runtime or the system.
    Stream(S),
    /// What came through a tunnel.
    Channel(Box<dyn Channel>),
}

impl<S> Arrival<S> {
    /// The same with another kind of stream.
    pub(super) fn try_map<T>(self, map: impl FnOnce(S) -> io::Result<T>) -> io::Result<Arrival<T>> {
        match self {
            Self::Stream(stream) => map(stream).map(Arrival::Stream),
            Self::Channel(channel) => Ok(Arrival::Channel(channel)),
        }
    }
}

/// What carries a connection: a runtime's socket, or a channel with the waker that notes its number.
pub(super) enum Transport<S> {
    Socket(S),
    Channel(Box<dyn Channel>, Waker),
}

/// Why nothing was read or written.
pub(super) enum Trouble {
    /// Not now.
    Blocked,
    /// At once again.
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
    /// What a channel's poll gave.
    pub(super) fn or<T>(poll: Poll<Result<T, Failure>>) -> Result<T, Self> {
        match poll {
            Poll::Ready(result) => result.map_err(Self::Failed),
            Poll::Pending => Err(Self::Blocked),
        }
    }
}

impl<S> Transport<S> {
    /// Goes on with what a channel has taken. If that fails it is of no use, whether or not anybody reads it.
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
