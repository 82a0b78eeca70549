use crate::run::Smol;
use drupe_core::{DialId, Peer};
use drupe_shell::{Attempts, Dialed, Names, OsListener, OsStream, ReadyQueue, Sockets, connect, until_blocked};
use smol::Async;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Waker};

/// The implementation of [`Sockets`] for smol. Each socket has its own waker, which puts its number
/// into the ready queue.
#[derive(Debug)]
pub struct SmolSockets {
    pub(crate) queue: Arc<ReadyQueue>,
    pub(crate) attempts: Attempts<(OsStream, Peer)>,
    pub(crate) names: Names,
}

/// A listener and its waker.
#[derive(Debug)]
pub struct Listener(Async<OsListener>, Waker);

/// A registered connection.
#[derive(Debug)]
pub struct Socket {
    stream: Async<OsStream>,
    waker: Waker,
    /// Whether the last read emptied the socket's receive buffer.
    drained: bool,
}

impl Sockets for SmolSockets {
    type Listener = Listener;
    type Stream = OsStream;
    type Socket = Socket;

    fn listen(&mut self, number: u32, listener: OsListener) -> io::Result<Listener> {
        Ok(Listener(Async::new_nonblocking(listener)?, self.queue.key(number).into()))
    }

    fn accept(&mut self, Listener(listener, waker): &mut Listener) -> io::Result<(OsStream, Peer)> {
        until_blocked(|| listener.get_ref().accept(), || listener.poll_readable(&mut Context::from_waker(waker)))
    }

    fn adopt(&mut self, number: u32, stream: OsStream) -> io::Result<Socket> {
        Ok(Socket { stream: Async::new_nonblocking(stream)?, waker: self.queue.key(number).into(), drained: false })
    }

    fn dismiss(&mut self, stream: OsStream, words: &[u8]) {
        let _ = stream.write(&[IoSlice::new(words)]);
    }

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let Socket { stream, waker, drained } = socket;
        let read = || {
            // The system call would block, so it is skipped. `poll_readable` registers the waker, and
            // reports what is there then, unlike an edge.
            if std::mem::take(drained) { Err(io::ErrorKind::WouldBlock.into()) } else { stream.get_ref().read(buffer) }
        };
        let bytes = until_blocked(read, || stream.poll_readable(&mut Context::from_waker(waker)))?;
        socket.drained = bytes > 0 && bytes < buffer.len();
        Ok(bytes)
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Socket { stream, waker, .. } = socket;
        until_blocked(|| stream.get_ref().write(slices), || stream.poll_writable(&mut Context::from_waker(waker)))
    }

    fn shut_down(&mut self, socket: &mut Socket) {
        socket.stream.get_ref().shut_down();
    }

    fn dial(&mut self, dial: DialId, address: &str) {
        self.attempts.begin(dial, connect::<Smol>(&self.names, address));
    }

    fn cancel_dial(&mut self, dial: DialId) {
        self.attempts.remove(dial);
    }

    fn dialed(&mut self) -> Option<Dialed<OsStream>> {
        self.attempts.next_done()
    }
}
