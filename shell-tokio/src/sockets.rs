use crate::run::Tokio;
use drupe_core::{DialId, Peer};
use drupe_shell::{
    Attempts, Dialed, Names, OsListener, OsStream, ReadyQueue, SocketFile, Sockets, connect, tune_accepted,
    until_blocked,
};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The implementation of [`Sockets`] for tokio. Each socket has its own waker, which puts its number
/// into the ready queue.
#[derive(Debug)]
pub struct TokioSockets {
    pub(crate) queue: Arc<ReadyQueue>,
    pub(crate) attempts: Attempts<(Stream, Peer)>,
    pub(crate) names: Names,
}

/// A listener and its waker.
#[derive(Debug)]
pub enum Listener {
    /// A TCP listener.
    Tcp(TcpListener, Waker),
    /// A Unix listener, and its socket file. Dropping it removes a file that this process created.
    Unix(UnixListener, Waker, SocketFile),
}

/// A TCP or Unix socket connection.
#[derive(Debug)]
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A Unix socket connection.
    Unix(UnixStream),
}

/// A registered connection.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    waker: Waker,
}

impl Sockets for TokioSockets {
    type Listener = Listener;
    type Stream = Stream;
    type Socket = Socket;

    fn listen(&mut self, number: u32, listener: OsListener) -> io::Result<Listener> {
        let waker = self.queue.key(number).into();
        Ok(match listener {
            OsListener::Tcp(listener) => Listener::Tcp(TcpListener::from_std(listener)?, waker),
            OsListener::Unix(listener, file) => Listener::Unix(UnixListener::from_std(listener)?, waker, file),
        })
    }

    fn accept(&mut self, listener: &mut Listener) -> io::Result<(Stream, Peer)> {
        match listener {
            Listener::Tcp(listener, waker) => {
                let (stream, address) = now(listener.poll_accept(&mut Context::from_waker(waker)))?;
                tune_accepted(&stream);
                Ok((Stream::Tcp(stream), Peer::from(address)))
            }
            Listener::Unix(listener, waker, _) => {
                let (stream, _) = now(listener.poll_accept(&mut Context::from_waker(waker)))?;
                Ok((Stream::Unix(stream), Peer::Local))
            }
        }
    }

    fn adopt(&mut self, number: u32, stream: Stream) -> io::Result<Socket> {
        Ok(Socket { stream, waker: self.queue.key(number).into() })
    }

    fn dismiss(&mut self, stream: Stream, words: &[u8]) {
        let _ = match stream {
            Stream::Tcp(stream) => stream.try_write(words),
            Stream::Unix(stream) => stream.try_write(words),
        };
    }

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(&socket.waker);
        // Not `poll_read`: it assumes that a short read has read everything. But a read stops at
        // urgent data (RFC 9293 section 3.8.5), and no event reports what follows it.
        let read = || match &socket.stream {
            Stream::Tcp(stream) => stream.try_read(buffer),
            Stream::Unix(stream) => stream.try_read(buffer),
        };
        let readable = || match &socket.stream {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
            Stream::Unix(stream) => stream.poll_read_ready(cx),
        };
        until_blocked(read, readable)
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(&socket.waker);
        // A plain write lets tokio see that the socket is full, which saves an attempt.
        now(match (&mut socket.stream, slices) {
            (Stream::Tcp(stream), [slice]) => Pin::new(stream).poll_write(cx, slice),
            (Stream::Tcp(stream), slices) => Pin::new(stream).poll_write_vectored(cx, slices),
            (Stream::Unix(stream), slices) => Pin::new(stream).poll_write_vectored(cx, slices),
        })
    }

    fn shut_down(&mut self, socket: &mut Socket) {
        let cx = &mut Context::from_waker(&socket.waker);
        // Never pending, for either kind.
        let _ = match &mut socket.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        };
    }

    fn dial(&mut self, dial: DialId, address: &str) {
        self.attempts.begin(dial, connect::<Tokio>(&self.names, address));
    }

    fn cancel_dial(&mut self, dial: DialId) {
        self.attempts.remove(dial);
    }

    fn dialed(&mut self) -> Option<Dialed<Stream>> {
        self.attempts.next_done()
    }

    fn give(&mut self, stream: Stream) -> io::Result<OsStream> {
        match stream {
            Stream::Tcp(stream) => stream.into_std().map(OsStream::Tcp),
            Stream::Unix(stream) => stream.into_std().map(OsStream::Unix),
        }
    }
}

impl TryFrom<OsStream> for Stream {
    type Error = io::Error;

    fn try_from(stream: OsStream) -> io::Result<Self> {
        match stream {
            OsStream::Tcp(stream) => TcpStream::from_std(stream).map(Self::Tcp),
            OsStream::Unix(stream) => UnixStream::from_std(stream).map(Self::Unix),
        }
    }
}

/// Converts `Pending` to `WouldBlock`. The poll has registered its waker.
fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
