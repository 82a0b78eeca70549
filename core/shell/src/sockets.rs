use super::{OsListener, OsStream};
use drupe_core::{DialId, Peer, Time};
use std::io::{self, IoSlice};
use std::task::Waker;

/// The non-blocking sockets of a runtime, for a [`Driver`](super::Driver).
///
/// After [`WouldBlock`](io::ErrorKind::WouldBlock), the shell passes the number of the socket or
/// listener to [`Driver::turn`](super::Driver::turn) once it is ready.
pub trait Sockets {
    /// A registered listener.
    type Listener;
    /// A connection that the driver does not serve yet. It can be passed to the runtime of another
    /// thread as an [`OsStream`].
    type Stream: From<OsStream> + Into<OsStream>;
    /// A registered connection.
    type Socket;

    /// Begins a turn. `task` is woken when a connection attempt has finished.
    fn begin_turn(&mut self, _now: Time, _task: &Waker) {}

    /// Returns when a connection attempt needs a turn, if nothing happens before.
    fn deadline(&self) -> Option<Time> {
        None
    }

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

    /// Sends as much of a final message as the socket accepts, and closes the connection.
    fn dismiss(&mut self, stream: Self::Stream, words: &[u8]);

    /// Reads available bytes into `buffer`. Returns 0 at the end of the input.
    ///
    /// # Errors
    /// As `recv(2)`.
    fn read(&mut self, socket: &mut Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as many bytes as the socket accepts, and returns their number.
    ///
    /// # Errors
    /// As `send(2)`.
    fn write(&mut self, socket: &mut Self::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Closes the sending half. If that fails, the next read reports that the peer is gone.
    fn shut_down(&mut self, socket: &mut Self::Socket);

    /// Starts a connection attempt to `address`.
    fn dial(&mut self, dial: DialId, address: &str);

    /// Cancels a connection attempt.
    fn cancel_dial(&mut self, dial: DialId);

    /// Returns a finished connection attempt, if any. The driver's task is woken when one finishes.
    fn dialed(&mut self) -> Option<Dialed<Self::Stream>>;
}

/// The dial of a finished connection attempt, and its result.
pub type Dialed<S> = (DialId, io::Result<(S, Peer)>);
