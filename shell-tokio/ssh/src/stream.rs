//! The stream below SSH: writes do not wait, reads may pause, and arriving data is reported.
//!
//! russh does not read while it waits to write. If the other side does the same and all buffers
//! between them are full, both wait for ever. So this stream accepts russh's writes at once, and
//! sends them whenever it is polled.

use super::outgoing::Outgoing;
use super::pace::{Pace, Rest};
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

/// Limit on data accepted from russh and not yet written, in bytes.
///
/// Writes wait above it, for an SSH server that keeps sending requests and does not read the
/// answers.
const TAKEN_MAX_BYTES: usize = 16 << 20;

pub(super) struct SshStream<S> {
    stream: S,
    taken: BytesMut,
    /// Limit on `taken`, in bytes.
    taken_max: usize,
    rest: Option<(Rest, Pin<Box<Sleep>>)>,
    flow: Flow,
}

/// State that an SSH connection shares with its stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    pub(super) ear: Ear,
    pub(super) outgoing: Outgoing,
    pub(super) pace: Pace,
}

/// A detector of arriving data, for keep-alive checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Ear(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    listens: AtomicBool,
    heard: Notify,
}

impl Ear {
    /// Starts to watch for arriving data.
    pub(super) fn listen(&self) {
        self.0.listens.store(true, Ordering::Release);
    }

    /// Waits until data has arrived since [`listen`](Self::listen).
    pub(super) async fn heard(&self) {
        self.0.heard.notified().await;
    }

    fn hear(&self, bytes: usize) {
        if bytes > 0 && self.0.listens.swap(false, Ordering::AcqRel) {
            self.0.heard.notify_one();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> SshStream<S> {
    pub(super) fn new(stream: S, flow: Flow) -> Self {
        Self { stream, taken: BytesMut::new(), taken_max: TAKEN_MAX_BYTES, rest: None, flow }
    }

    /// Sets the limit on data accepted from russh and not yet written, in bytes.
    pub(super) fn taken_max(self, bytes: usize) -> Self {
        Self { taken_max: bytes, ..self }
    }

    /// Writes as much accepted data as the inner stream takes.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.taken.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.taken))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.taken.advance(count),
            }
        }
        // An idle stream keeps no buffer.
        self.taken = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Polls whether the next read may begin.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.rest {
                None => match self.flow.pace.due() {
                    Some(rest) => self.rest = Some((rest, Box::pin(sleep(rest.at_most)))),
                    None => return Poll::Ready(()),
                },
                Some((rest, _)) if rest.until_looked && self.flow.pace.has_looked(cx) => self.rest = None,
                Some((rest, sleep)) => {
                    let is_in_vain = rest.until_looked;
                    ready!(sleep.as_mut().poll(cx));
                    self.rest = None;
                    if is_in_vain {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }

    /// Discards input, so that the other side is not blocked from reading.
    fn discard(&mut self, cx: &mut Context<'_>) {
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let polled = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
            if buffer.filled().is_empty() || !matches!(polled, Poll::Ready(Ok(()))) {
                return;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for SshStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let _ = self.poll_drain(cx)?;
        // russh reads only after it has written everything that it has encrypted.
        self.flow.outgoing.is_left(self.taken.len(), cx);
        ready!(self.poll_rest(cx));
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.flow.ear.hear(buffer.filled().len() - before);
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SshStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.poll_drain(cx)?.is_ready()
            && let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes)
        {
            return Poll::Ready(written);
        }
        let room = self.taken_max.saturating_sub(self.taken.len());
        if room == 0 {
            return Poll::Pending;
        }
        let count = room.min(bytes.len());
        self.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_drain(cx)? {
            Poll::Ready(()) => Pin::new(&mut self.stream).poll_flush(cx),
            // The writer must not wait.
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_drain(cx)?.is_pending() {
            self.discard(cx);
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const BYTES: usize = 1 << 20;

    fn ssh_stream<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> SshStream<S> {
        SshStream::new(stream, Flow::default())
    }

    /// Runs two sides that write everything before they read, over a pipe with a small buffer.
    #[tokio::test]
    async fn two_writing_sides_do_not_deadlock() {
        let (here, there) = duplex(100);
        let talk = |stream| async move {
            let mut stream = ssh_stream(stream);
            stream.write_all(&vec![7; BYTES]).await.expect("it is taken");
            let mut heard = vec![0; BYTES];
            stream.read_exact(&mut heard).await.expect("it comes");
            assert!(heard.iter().all(|byte| *byte == 7));
            stream.shutdown().await.expect("it goes out");
        };
        tokio::join!(talk(here), talk(there));
    }

    #[tokio::test]
    async fn shutdown_flushes_to_a_peer_that_writes_before_reading() {
        let (here, mut there) = duplex(100);
        let end = async {
            let mut stream = ssh_stream(here);
            stream.write_all(&vec![7; BYTES]).await.expect("it is taken");
            stream.shutdown().await.expect("it goes out");
        };
        let other = async {
            there.write_all(&vec![8; BYTES]).await.expect("it is taken");
            let mut heard = Vec::new();
            there.read_to_end(&mut heard).await.expect("it comes");
            assert_eq!(heard.len(), BYTES);
        };
        tokio::join!(end, other);
    }

    #[tokio::test]
    async fn channel_that_is_never_polled_does_not_stop_reading() {
        let (here, mut there) = duplex(100);
        let mut stream = ssh_stream(here);
        stream.flow.pace.await_look();
        there.write_all(b"hello").await.expect("it is taken");
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.expect("it comes");
        assert_eq!(&heard, b"hello");
    }

    #[tokio::test]
    async fn ssh_stream_buffers_writes_up_to_its_limit() {
        let (here, _there) = duplex(100);
        let mut stream = ssh_stream(here);
        let much = vec![7; BYTES];
        let taken = poll_fn(|cx| {
            let mut taken = 0;
            while let Poll::Ready(count) = Pin::new(&mut stream).poll_write(cx, &much) {
                taken += count.expect("nothing fails");
            }
            Poll::Ready(taken)
        });
        assert_eq!(taken.await, 100 + TAKEN_MAX_BYTES);
    }
}
