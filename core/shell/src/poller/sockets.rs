//! Sockets that remember their readiness.
//!
//! The system reports readiness as edges: once when a socket becomes readable, and again only after
//! more data has arrived. So each socket keeps two flags. An event sets a flag, and a call that
//! leaves nothing to read or write clears it. While a flag is clear, no system call is made.

use super::dials::Dials;
use crate::{Dialed, Names, OsListener, OsStream, Sockets, TELLS_URGENT};
use drupe_core::{DialId, Peer, Time};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::Waker;

/// The [`Sockets`] of a [`Poller`](super::Poller). The token of a socket is its number.
#[derive(Debug)]
pub struct PolledSockets {
    registry: Arc<Registry>,
    pub(super) dials: Dials,
}

/// A registered connection.
#[derive(Debug)]
pub struct Socket {
    stream: OsStream,
    readable: bool,
    writable: bool,
    /// Whether a short read may leave data that no further edge reports.
    ///
    /// That is the end of the stream, or data after urgent data, where every read stops (RFC 9293
    /// section 3.8.5).
    careful: bool,
}

/// What an event of a connection may report. Urgent data is reported as priority.
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl Socket {
    /// Sets the readiness flags that an event reports.
    pub(super) fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.careful |= event.is_read_closed() || event.is_error() || event.is_priority();
    }
}

impl PolledSockets {
    pub(super) fn new(registry: &Registry, names: Names) -> io::Result<Self> {
        let registry = Arc::new(registry.try_clone()?);
        Ok(Self { dials: Dials::new(Arc::clone(&registry), names), registry })
    }

    fn register(&self, number: u32, socket: &impl AsRawFd, interest: Interest) -> io::Result<()> {
        // The system forgets a descriptor that is closed.
        self.registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(number as usize), interest)
    }
}

impl Sockets for PolledSockets {
    type Listener = OsListener;
    type Stream = OsStream;
    type Socket = Socket;

    fn begin_turn(&mut self, now: Time, task: &Waker) {
        self.dials.begin_turn(now, task);
    }

    fn deadline(&self) -> Option<Time> {
        self.dials.deadline()
    }

    fn listen(&mut self, number: u32, listener: OsListener) -> io::Result<OsListener> {
        self.register(number, &listener, Interest::READABLE)?;
        Ok(listener)
    }

    fn accept(&mut self, listener: &mut OsListener) -> io::Result<(OsStream, Peer)> {
        listener.accept()
    }

    fn adopt(&mut self, number: u32, stream: OsStream) -> io::Result<Socket> {
        self.register(number, &stream, INTEREST)?;
        Ok(Socket { stream, readable: true, writable: true, careful: false })
    }

    fn dismiss(&mut self, stream: OsStream, words: &[u8]) {
        let _ = stream.write(&[IoSlice::new(words)]);
    }

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        if !socket.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = socket.stream.read(buffer);
        // A short read has read everything, and an edge reports more, unless that edge has passed.
        let everything = read.as_ref().is_ok_and(|&bytes| bytes < buffer.len());
        if everything && TELLS_URGENT && !socket.careful || would_block(&read) {
            socket.readable = false;
        }
        read
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !socket.writable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = socket.stream.write(slices);
        if would_block(&written) {
            socket.writable = false;
        }
        written
    }

    fn shut_down(&mut self, socket: &mut Socket) {
        socket.stream.shut_down();
    }

    fn dial(&mut self, dial: DialId, address: &str) {
        self.dials.begin(dial, address);
    }

    fn cancel_dial(&mut self, dial: DialId) {
        self.dials.remove(dial);
    }

    fn dialed(&mut self) -> Option<Dialed<OsStream>> {
        self.dials.next_done()
    }
}

fn would_block(result: &io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
