use super::{OsListener, OsStream};
use drupe_core::{DialId, Peer};
use std::io::{self, IoSlice};

/// The non-blocking sockets of a runtime, for a [`Driver`](super::Driver).
///
/// After [`WouldBlock`](io::ErrorKind::WouldBlock), the shell passes the number of the socket or
/// listener to [`Driver::turn`](super::Driver::turn) once it is ready.
pub trait Sockets {
    /// A registered listener.
    type Listener;
    /// A connection that is not registered yet.
    type Stream;
    /// A registered connection.
    type Socket;

    /// Registers a listener: its readiness is reported under `number`.
    ///
    /// # Errors
    /// If the runtime cannot register it.
    fn listen(&mut self, number: u32, listener: OsListener) -> io::Result<Self::Listener>;

    /// Accepts one connection.
    ///
    /// # Errors
    /// As `accept(2)`.
    fn accept(&mut self, listener: &mut Self::Listener) -> io::Result<(Self::Stream, Peer)>;

    /// Registers a connection: its readiness is reported under `number`, from the start.
    ///
    /// # Errors
    /// If the runtime cannot register it. The connection is dropped.
    fn adopt(&mut self, number: u32, stream: Self::Stream) -> io::Result<Self::Socket>;

    /// Sends a final message to a connection, as far as the socket takes it, and closes it.
    fn dismiss(&mut self, stream: Self::Stream, words: &[u8]);

    /// Reads available bytes. 0 means the end of the input.
    ///
    /// # Errors
    /// As `recv(2)`.
    fn read(&mut self, socket: &mut Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// As `send(2)`.
    fn write(&mut self, socket: &mut Self::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Closes our half. If that fails, the peer is gone, and the next read reports it.
    fn shut_down(&mut self, socket: &mut Self::Socket);

    /// Starts a connection attempt.
    fn dial(&mut self, dial: DialId, address: &str);

    /// Cancels a connection attempt.
    fn cancel_dial(&mut self, dial: DialId);

    /// Returns a finished attempt. If there is none, the driver's task is woken when one finishes.
    fn dialed(&mut self) -> Option<Dialed<Self::Stream>>;

    /// Converts a connection for another thread's runtime.
    ///
    /// # Errors
    /// If the runtime cannot release it.
    fn give(&mut self, stream: Self::Stream) -> io::Result<OsStream>;

    /// Takes a connection from another thread.
    ///
    /// # Errors
    /// If the runtime cannot take it.
    fn take(&mut self, stream: OsStream) -> io::Result<Self::Stream>;
}

/// A connection attempt and its result.
pub type Dialed<S> = (DialId, io::Result<(S, Peer)>);
