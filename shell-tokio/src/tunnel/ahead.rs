//! A stream that is read while its writer waits, and that says when something has come.
//!
//! russh does not read while it waits to write. If the other side does the same, and both have filled what is between them,
//! nothing ever moves again. So what comes meanwhile is kept.

use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// More is not kept. Together with what is in the buffers of both systems it is less than russh takes while it waits for new
/// keys.
const KEPT_MAX_BYTES: usize = 16 << 20;
const READ_BYTES: usize = 64 << 10;

pub(super) struct ReadAhead<S> {
    stream: S,
    kept: BytesMut,
    ear: Ear,
}

/// Hears whether something comes.
#[derive(Clone, Default)]
pub(super) struct Ear(Arc<Heard>);

#[derive(Default)]
struct Heard {
    listens: AtomicBool,
    heard: Notify,
}

impl Ear {
    /// Whatever comes from now on is to be told.
    pub(super) fn listen(&self) {
        self.0.listens.store(true, Ordering::Release);
    }

    /// Something has come since that was asked.
    pub(super) async fn heard(&self) {
        self.0.heard.notified().await;
    }

    fn hear(&self, bytes: usize) {
        if bytes > 0 && self.0.listens.swap(false, Ordering::AcqRel) {
            self.0.heard.notify_one();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ReadAhead<S> {
    pub(super) fn new(stream: S, ear: Ear) -> Self {
        Self { stream, kept: BytesMut::new(), ear }
    }

    /// Keeps what has come. An end or a failure is seen by whoever reads.
    fn keep(&mut self, cx: &mut Context<'_>) {
        while self.kept.len() < KEPT_MAX_BYTES {
            let before = self.kept.len();
            self.kept.resize(before + READ_BYTES, 0);
            let mut buffer = ReadBuf::new(&mut self.kept[before..]);
            let polled = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
            let count = buffer.filled().len();
            self.kept.truncate(before + count);
            self.ear.hear(count);
            if count == 0 || !matches!(polled, Poll::Ready(Ok(()))) {
                return;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.kept.is_empty() {
            let before = buffer.filled().len();
            let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
            self.ear.hear(buffer.filled().len() - before);
            return polled;
        }
        let count = self.kept.len().min(buffer.remaining());
        buffer.put_slice(&self.kept[..count]);
        self.kept.advance(count);
        if self.kept.is_empty() {
            self.kept = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if polled.is_pending() {
            self.keep(cx);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// Two sides that write all before they read, over a pipe that holds next to nothing.
    #[tokio::test]
    async fn two_that_only_write_do_not_wait_for_each_other() {
        const BYTES: usize = 1 << 20;
        let (here, there) = duplex(100);
        let talk = |stream| async move {
            let mut stream = ReadAhead::new(stream, Ear::default());
            stream.write_all(&vec![7; BYTES]).await.expect("it is taken");
            let mut heard = vec![0; BYTES];
            stream.read_exact(&mut heard).await.expect("it comes");
            assert!(heard.iter().all(|byte| *byte == 7));
        };
        tokio::join!(talk(here), talk(there));
    }
}
