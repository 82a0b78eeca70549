use crate::run::Tokio;
use drupe_core::{DialId, Peer};
use drupe_shell::{Attempts, Dialed, Names, OsListener, OsStream, ReadyQueue, Sockets, TELLS_URGENT, connect};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The implementation of [`Sockets`] for tokio. Each socket has its own waker, which puts its number
/// into the ready queue.
#[derive(Debug)]
pub struct TokioSockets {
    pub(crate) queue: Arc<ReadyQueue>,
    pub(crate) attempts: Attempts<(OsStream, Peer)>,
    pub(crate) names: Names,
}

/// A listener and its waker.
#[derive(Debug)]
pub struct Listener(AsyncFd<OsListener>, Waker);

/// A registered connection.
#[derive(Debug)]
pub struct Socket {
    stream: AsyncFd<OsStream>,
    waker: Waker,
    /// Whether a short read may leave data that no event reports: urgent data has come, where every
    /// read stops (RFC 9293 section 3.8.5), or the end of the stream.
    careful: bool,
}

/// What an event of a connection may report. Urgent data is reported as priority.
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl Sockets for TokioSockets {
    type Listener = Listener;
    type Stream = OsStream;
    type Socket = Socket;

    fn listen(&mut self, number: u32, listener: OsListener) -> io::Result<Listener> {
        Ok(Listener(register(listener, Interest::READABLE)?, self.queue.key(number).into()))
    }

    fn accept(&mut self, Listener(listener, waker): &mut Listener) -> io::Result<(OsStream, Peer)> {
        loop {
            let mut ready = now(listener.poll_read_ready(&mut Context::from_waker(waker)))?;
            if let Ok(result) = ready.try_io(|listener| listener.get_ref().accept()) {
                return result;
            }
        }
    }

    fn adopt(&mut self, number: u32, stream: OsStream) -> io::Result<Socket> {
        let stream = register(stream, INTEREST)?;
        Ok(Socket { stream, waker: self.queue.key(number).into(), careful: !TELLS_URGENT })
    }

    fn dismiss(&mut self, stream: OsStream, words: &[u8]) {
        let _ = stream.write(&[IoSlice::new(words)]);
    }

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let Socket { stream, waker, careful } = socket;
        loop {
            let mut ready = now(stream.poll_read_ready(&mut Context::from_waker(waker)))?;
            let Ok(result) = ready.try_io(|stream| stream.get_ref().read(buffer)) else { continue };
            if result.as_ref().is_ok_and(|&bytes| bytes > 0 && bytes < buffer.len()) {
                *careful = *careful || is_urgent(stream);
                if !*careful {
                    // A short read has read everything, so the next one would only block.
                    ready.clear_ready();
                }
            }
            return result;
        }
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Socket { stream, waker, .. } = socket;
        loop {
            let mut ready = now(stream.poll_write_ready(&mut Context::from_waker(waker)))?;
            let Ok(result) = ready.try_io(|stream| stream.get_ref().write(slices)) else { continue };
            let length: usize = slices.iter().map(|slice| slice.len()).sum();
            if result.as_ref().is_ok_and(|&bytes| bytes < length) {
                // The socket is full.
                ready.clear_ready();
            }
            return result;
        }
    }

    fn shut_down(&mut self, socket: &mut Socket) {
        socket.stream.get_ref().shut_down();
    }

    fn dial(&mut self, dial: DialId, address: &str) {
        self.attempts.begin(dial, connect::<Tokio>(&self.names, address));
    }

    fn cancel_dial(&mut self, dial: DialId) {
        self.attempts.remove(dial);
    }

    fn dialed(&mut self) -> Option<Dialed<OsStream>> {
        self.attempts.next_done()
    }
}

#[expect(deprecated, reason = "what replaces it is unsafe, for types that may change their descriptor; ours own one")]
fn register<T: AsRawFd>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}

/// Converts `Pending` to `WouldBlock`. The poll has registered its waker.
fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Returns `true` if urgent data or the end of the stream was reported.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_urgent(stream: &AsyncFd<OsStream>) -> bool {
    stream.try_io(Interest::PRIORITY, |_| Ok(())).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn is_urgent(_: &AsyncFd<OsStream>) -> bool {
    true
}
