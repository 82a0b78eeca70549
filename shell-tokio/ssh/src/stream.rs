//! The stream beneath SSH: its writer does not wait, its reader may have to, and it says when something has come.
//!
//! russh does not read while it waits to write. If the other side does the same, and both have filled what is between them,
//! nothing ever moves again. So what it writes is taken at once, and goes out whenever the stream is looked at.

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

/// More is not taken: an SSH server that asks and asks, and reads no answer, is waited for after all.
const TAKEN_MAX_BYTES: usize = 16 << 20;

pub(super) struct SshStream<S> {
    stream: S,
    taken: BytesMut,
    rest: Option<(Rest, Pin<Box<Sleep>>)>,
    flow: Flow,
}

/// What the users of an SSH connection and its stream tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    pub(super) ear: Ear,
    pub(super) outgoing: Outgoing,
    pub(super) pace: Pace,
}

/// Hears whether something comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Ear(Arc<Heard>);

#[derive(Debug, Default)]
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

impl<S: AsyncRead + AsyncWrite + Unpin> SshStream<S> {
    pub(super) fn new(stream: S, flow: Flow) -> Self {
        Self { stream, taken: BytesMut::new(), rest: None, flow }
    }

    /// Writes what was taken, as far as that goes now.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.taken.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.taken))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.taken.advance(count),
            }
        }
        // Whoever has nothing to say holds no buffer.
        self.taken = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Waits until more may be read.
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

    /// Reads what is of no use any more, so that the other side does not wait for that.
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
        // russh reads only when it has written all that it had enciphered.
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
        let room = TAKEN_MAX_BYTES.saturating_sub(self.taken.len());
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
            // The writer is to go on.
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

    /// Two sides that write all before they read, over a pipe that holds next to nothing.
    #[tokio::test]
    async fn two_that_only_write_do_not_wait_for_each_other() {
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
    async fn all_goes_out_before_the_end_to_one_who_writes_before_he_reads() {
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
    async fn one_who_is_never_looked_at_does_not_stop_what_comes() {
        let (here, mut there) = duplex(100);
        let mut stream = ssh_stream(here);
        stream.flow.pace.await_look();
        there.write_all(b"hello").await.expect("it is taken");
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.expect("it comes");
        assert_eq!(&heard, b"hello");
    }

    #[tokio::test]
    async fn not_more_is_taken_than_may_be() {
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
