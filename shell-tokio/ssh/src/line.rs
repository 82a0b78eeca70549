//! The connection below SSH, which can be aborted.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that carries SSH.
pub(super) struct Line<S> {
    stream: S,
    cut: Cut,
}

/// A handle that aborts a connection, even while a task waits to write to it.
#[derive(Clone, Default)]
pub(super) struct Cut(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cut: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Cut {
    /// Aborts the connection: all reads and writes fail from now on.
    pub(super) fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an error if the connection is aborted. Otherwise registers the task's waker.
    fn check(&self, waker: impl FnOnce(&mut State) -> &mut Option<Waker>, cx: &Context<'_>) -> io::Result<()> {
        let mut state = self.lock();
        if state.cut {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the SSH connection was aborted"));
        }
        let waker = waker(&mut state);
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Ok(())
    }
}

impl<S> Line<S> {
    pub(super) const fn new(stream: S, cut: Cut) -> Self {
        Self { stream, cut }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.cut.check(|state| &mut state.reader, cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.cut.check(|state| &mut state.writer, cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
