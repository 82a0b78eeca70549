use super::{OsListener, OsStream};
use drupe_core::{DialId, Peer};
use std::io::{self, IoSlice};

/// What a [`Driver`](super::Driver) needs of a runtime: sockets that never wait.
///
/// [`WouldBlock`](io::ErrorKind::WouldBlock) is "not now": whoever drives hears of it when it may be tried again, and
/// gives the number of the socket or the listener to [`Driver::turn`](super::Driver::turn) then.
pub trait Sockets {
    /// Where connections are accepted.
    type Listener;
    /// A connection that nobody looks at yet.
    type Stream;
    /// A connection whose readiness is noted under a number.
    type Socket;

    /// Notes the readiness of a listener under `number` from now on.
    ///
    /// # Errors
    /// If it can't be watched.
    fn listen(&mut self, number: u32, listener: OsListener) -> io::Result<Self::Listener>;

    /// Accepts one connection.
    ///
    /// # Errors
    /// As `accept(2)`.
    fn accept(&mut self, listener: &mut Self::Listener) -> io::Result<(Self::Stream, Peer)>;

    /// Notes the readiness of a connection under `number` from now on, beginning at once.
    ///
    /// # Errors
    /// If it can't be watched; the connection is dropped.
    fn adopt(&mut self, number: u32, stream: Self::Stream) -> io::Result<Self::Socket>;

    /// Writes what the socket takes of a few last words to a connection that is about to be dropped.
    fn dismiss(&mut self, stream: Self::Stream, words: &[u8]);

    /// Reads what is there; 0 is the end.
    ///
    /// # Errors
    /// As `recv(2)`.
    fn read(&mut self, socket: &mut Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// As `send(2)`.
    fn write(&mut self, socket: &mut Self::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Closes our half. If that fails the peer is gone, which reading will tell.
    fn shut_down(&mut self, socket: &mut Self::Socket);

    /// Begins to connect.
    fn dial(&mut self, dial: DialId, address: &str);

    /// Leaves off connecting.
    fn cancel_dial(&mut self, dial: DialId);

    /// An attempt that has come to its end. If there is none, the driver's task is woken when there is.
    fn dialed(&mut self) -> Option<Dialed<Self::Stream>>;

    /// Takes a connection out of this thread's runtime, for another one's.
    ///
    /// # Errors
    /// If the runtime does not let it go.
    fn give(&mut self, stream: Self::Stream) -> io::Result<OsStream>;

    /// Takes a connection over that another thread gave.
    ///
    /// # Errors
    /// If the runtime does not take it.
    fn take(&mut self, stream: OsStream) -> io::Result<Self::Stream>;
}

/// An attempt to connect, and what it came to.
pub type Dialed<S> = (DialId, io::Result<(S, Peer)>);
