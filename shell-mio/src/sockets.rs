//! Sockets that remember their readiness.
//!
//! The system reports readiness as edges: once when a socket becomes readable, and again only after
//! more data has arrived. So each socket keeps two flags. An event sets a flag, and a call that
//! leaves nothing to read or write clears it. While a flag is clear, no system call is made.

use crate::dial::Dials;
use drupe_core::{DialId, Peer};
use drupe_shell::{Dialed, Names, OsListener, OsStream, SocketFile, Sockets, TELLS_URGENT, tune_accepted};
use mio::event::{Event, Source};
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;

/// The implementation of [`Sockets`] for mio. The token of a socket is its number.
#[derive(Debug)]
pub(crate) struct MioSockets {
    registry: Registry,
    pub(crate) dials: Dials,
}

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "it goes with the listener")] SocketFile),
}

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    readable: bool,
    writable: bool,
    /// Whether a short read may leave data that no further edge reports.
    ///
    /// That is the end of the stream, or data after urgent data, where every read stops (RFC 9293
    /// section 3.8.5).
    careful: bool,
}

impl Socket {
    /// Sets the readiness flags that an event reports.
    pub(crate) fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.careful |= event.is_read_closed() || event.is_error() || event.is_priority();
    }
}

impl MioSockets {
    pub(crate) fn new(registry: &Registry, names: Names) -> io::Result<Self> {
        Ok(Self { registry: registry.try_clone()?, dials: Dials::new(registry.try_clone()?, names) })
    }
}

impl Sockets for MioSockets {
    type Listener = Listener;
    type Stream = Stream;
    type Socket = Socket;

    fn listen(&mut self, number: u32, listener: OsListener) -> io::Result<Listener> {
        let token = Token(number as usize);
        Ok(match listener {
            OsListener::Tcp(listener) => {
                let mut listener = TcpListener::from_std(listener);
                self.registry.register(&mut listener, token, Interest::READABLE)?;
                Listener::Tcp(listener)
            }
            OsListener::Unix(listener, file) => {
                let mut listener = UnixListener::from_std(listener);
                self.registry.register(&mut listener, token, Interest::READABLE)?;
                Listener::Unix(listener, file)
            }
        })
    }

    fn accept(&mut self, listener: &mut Listener) -> io::Result<(Stream, Peer)> {
        match listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                tune_accepted(&stream);
                Ok((Stream::Tcp(stream), Peer::from(address)))
            }
            Listener::Unix(listener, _) => Ok((Stream::Unix(listener.accept()?.0), Peer::Local)),
        }
    }

    fn adopt(&mut self, number: u32, mut stream: Stream) -> io::Result<Socket> {
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let interest = Interest::READABLE | Interest::WRITABLE;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.registry.register(stream.source(), Token(number as usize), interest)?;
        Ok(Socket { stream, readable: true, writable: true, careful: false })
    }

    fn dismiss(&mut self, mut stream: Stream, words: &[u8]) {
        let _ = stream.write(&[IoSlice::new(words)]);
    }

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        if !socket.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = match &mut socket.stream {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        };
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
        let _ = match &socket.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    fn dial(&mut self, dial: DialId, address: &str) {
        self.dials.begin(dial, address);
    }

    fn cancel_dial(&mut self, dial: DialId) {
        self.dials.remove(dial);
    }

    fn dialed(&mut self) -> Option<Dialed<Stream>> {
        self.dials.next_done()
    }
}

impl From<OsStream> for Stream {
    fn from(stream: OsStream) -> Self {
        match stream {
            OsStream::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream)),
            OsStream::Unix(stream) => Self::Unix(UnixStream::from_std(stream)),
        }
    }
}

impl From<Stream> for OsStream {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Tcp(stream) => Self::Tcp(OwnedFd::from(stream).into()),
            Stream::Unix(stream) => Self::Unix(OwnedFd::from(stream).into()),
        }
    }
}

impl Stream {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Tcp(stream), [slice]) => stream.write(slice),
            (Self::Tcp(stream), slices) => stream.write_vectored(slices),
            (Self::Unix(stream), slices) => stream.write_vectored(slices),
        }
    }
}

fn would_block(result: &io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
