use crate::run::Smol;
use drupe_core::{DialId, Peer};
use drupe_shell::{
    Attempts, Dialed, Names, OsListener, OsStream, ReadyQueue, SocketFile, Sockets, connect, tune_accepted,
    until_blocked,
};
use smol::Async;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The implementation of [`Sockets`] for smol. Each socket has its own waker, which puts its number
/// into the ready queue.
#[derive(Debug)]
pub struct SmolSockets {
    pub(crate) queue: Arc<ReadyQueue>,
    pub(crate) attempts: Attempts<(Stream, Peer)>,
    pub(crate) names: Names,
}

/// A listener and its waker.
#[derive(Debug)]
pub enum Listener {
    /// A TCP listener.
    Tcp(Async<TcpListener>, Waker),
    /// A Unix listener, and its socket file. Dropping it removes a file that this process created.
    Unix(Async<UnixListener>, Waker, SocketFile),
}

/// A TCP or Unix socket connection.
#[derive(Debug)]
pub enum Stream {
    /// A TCP connection.
    Tcp(Async<TcpStream>),
    /// A Unix socket connection.
    Unix(Async<UnixStream>),
}

/// A registered connection.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    waker: Waker,
    /// Whether the last read emptied the socket's receive buffer.
    drained: bool,
}

impl Sockets for SmolSockets {
    type Listener = Listener;
    type Stream = Stream;
    type Socket = Socket;

    fn listen(&mut self, number: u32, listener: OsListener) -> io::Result<Listener> {
        let waker = self.queue.key(number).into();
        Ok(match listener {
            OsListener::Tcp(listener) => Listener::Tcp(Async::new_nonblocking(listener)?, waker),
            OsListener::Unix(listener, file) => Listener::Unix(Async::new_nonblocking(listener)?, waker, file),
        })
    }

    fn accept(&mut self, listener: &mut Listener) -> io::Result<(Stream, Peer)> {
        match listener {
            Listener::Tcp(listener, waker) => {
                let readable = |waker: &Waker| listener.poll_readable(&mut Context::from_waker(waker));
                let (stream, address) = until_blocked(|| listener.get_ref().accept(), || readable(waker))?;
                tune_accepted(&stream);
                Ok((Stream::Tcp(Async::new(stream)?), Peer::from(address)))
            }
            Listener::Unix(listener, waker, _) => {
                let readable = |waker: &Waker| listener.poll_readable(&mut Context::from_waker(waker));
                let (stream, _) = until_blocked(|| listener.get_ref().accept(), || readable(waker))?;
                Ok((Stream::Unix(Async::new(stream)?), Peer::Local))
            }
        }
    }

    fn adopt(&mut self, number: u32, stream: Stream) -> io::Result<Socket> {
        Ok(Socket { stream, waker: self.queue.key(number).into(), drained: false })
    }

    fn dismiss(&mut self, stream: Stream, words: &[u8]) {
        let _ = stream.write(&[IoSlice::new(words)]);
    }

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let Socket { stream, waker, drained } = socket;
        let read = || {
            // The system call would block, so it is skipped. `poll_readable` registers the waker.
            if std::mem::take(drained) { Err(io::ErrorKind::WouldBlock.into()) } else { stream.read(buffer) }
        };
        let bytes = until_blocked(read, || stream.poll_readable(&mut Context::from_waker(waker)))?;
        socket.drained = bytes > 0 && bytes < buffer.len();
        Ok(bytes)
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Socket { stream, waker, .. } = socket;
        until_blocked(|| stream.write(slices), || stream.poll_writable(&mut Context::from_waker(waker)))
    }

    fn shut_down(&mut self, socket: &mut Socket) {
        let _ = match &socket.stream {
            Stream::Tcp(stream) => stream.get_ref().shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.get_ref().shutdown(Shutdown::Write),
        };
    }

    fn dial(&mut self, dial: DialId, address: &str) {
        self.attempts.begin(dial, connect::<Smol>(&self.names, address));
    }

    fn cancel_dial(&mut self, dial: DialId) {
        self.attempts.remove(dial);
    }

    fn dialed(&mut self) -> Option<Dialed<Stream>> {
        self.attempts.next_done()
    }

    fn give(&mut self, stream: Stream) -> io::Result<OsStream> {
        match stream {
            Stream::Tcp(stream) => stream.into_inner().map(OsStream::Tcp),
            Stream::Unix(stream) => stream.into_inner().map(OsStream::Unix),
        }
    }
}

impl TryFrom<OsStream> for Stream {
    type Error = io::Error;

    fn try_from(stream: OsStream) -> io::Result<Self> {
        match stream {
            OsStream::Tcp(stream) => Async::new_nonblocking(stream).map(Self::Tcp),
            OsStream::Unix(stream) => Async::new_nonblocking(stream).map(Self::Unix),
        }
    }
}

impl Stream {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.get_ref().read(buffer),
            Self::Unix(stream) => stream.get_ref().read(buffer),
        }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Tcp(stream), [slice]) => stream.get_ref().write(slice),
            (Self::Tcp(stream), slices) => stream.get_ref().write_vectored(slices),
            (Self::Unix(stream), slices) => stream.get_ref().write_vectored(slices),
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_readable(cx),
            Self::Unix(stream) => stream.poll_readable(cx),
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_writable(cx),
            Self::Unix(stream) => stream.poll_writable(cx),
        }
    }
}
