//! A forwarded channel as a connection of the server.

use super::goodbye::Goodbye;
use super::handler::Forwarded;
use super::inbox::Inbox;
use super::outgoing::Outgoing;
use bytes::BytesMut;
use drupe_core::Failure;
use drupe_shell::Channel;
use russh::client::Msg;
use russh::{ChannelId, ChannelOpenFailure, ChannelWriteHalf};
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// So many bytes are taken at a time, and are on their way while more wait: what a socket's buffer would hold.
const TAKEN_MAX_BYTES: usize = 64 << 10;

/// Bytes on their way to SSH.
pub(super) type Sending = Pin<Box<dyn Future<Output = Result<(), russh::Error>> + Send>>;

/// One connection that came through a tunnel.
pub(super) struct SshChannel {
    pub(super) id: ChannelId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) half: Arc<ChannelWriteHalf<Msg>>,
    /// How the SSH server is told whether it is let in; `None` once it was.
    pub(super) reply: Option<russh::client::ChannelOpenHandle>,
    /// The SSH server was told yes.
    pub(super) is_open: bool,
    pub(super) sending: Option<Sending>,
    /// Our half is to be closed.
    pub(super) ends: bool,
    /// It was not let in, and is owed the words that say why.
    pub(super) dismissed: bool,
    pub(super) link: Arc<Forwarded>,
}

impl SshChannel {
    fn answer(&mut self, outcome: Result<(), ChannelOpenFailure>) {
        let Some(reply) = self.reply.take() else { return };
        self.link.decided();
        self.is_open = outcome.is_ok();
        // Neither waits for anything.
        match outcome {
            Ok(()) => at_once(reply.accept()),
            Err(failure) => at_once(reply.reject(failure)),
        }
    }

    /// Puts bytes, or the end, on their way.
    fn send(&mut self, bytes: Option<BytesMut>) {
        let half = Arc::clone(&self.half);
        self.sending = Some(match bytes {
            Some(bytes) => Box::pin(hand_over(half, self.link.flow.outgoing.clone(), bytes)),
            None => Box::pin(async move { half.eof().await }),
        });
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            if let Some(sending) = &mut self.sending {
                match sending.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => self.sending = None,
                    Poll::Ready(Err(_)) => {
                        self.sending = None;
                        return Poll::Ready(Err(Failure::Tunnel));
                    }
                }
            }
            if !std::mem::take(&mut self.ends) {
                return Poll::Ready(Ok(()));
            }
            self.send(None);
        }
    }
}

impl Channel for SshChannel {
    fn accept(&mut self) {
        self.answer(Ok(()));
    }

    fn dismiss(mut self: Box<Self>, words: &[u8]) {
        if words.is_empty() || !self.link.wear.may_tell() {
            return self.answer(Err(ChannelOpenFailure::ResourceShortage));
        }
        self.answer(Ok(()));
        self.send(Some(words.into()));
        self.dismissed = true;
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inbox.check(cx)?;
        self.poll_sending(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>> {
        self.inbox.poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, Failure>> {
        self.inbox.check(cx)?;
        if self.inbox.is_closed() {
            return Poll::Ready(Err(Failure::Reset));
        }
        if self.poll_sending(cx)?.is_pending() {
            return Poll::Pending;
        }
        if self.link.flow.outgoing.poll_room(self.id.number(), cx).is_pending() {
            return Poll::Pending;
        }
        let mut bytes = BytesMut::new();
        for slice in slices {
            let room = TAKEN_MAX_BYTES - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let count = bytes.len();
        self.send(Some(bytes));
        // What is on its way goes on when the waker is woken.
        match self.poll_sending(cx) {
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn shut_down(&mut self) {
        self.ends = true;
        let waker = self.inbox.waker();
        // A failure is seen by whoever reads.
        let _ = self.poll_sending(&mut Context::from_waker(&waker));
    }
}

impl Drop for SshChannel {
    fn drop(&mut self) {
        self.link.flow.outgoing.forget(self.id.number());
        self.link.wear.end();
        if self.reply.is_some() {
            self.answer(Err(ChannelOpenFailure::ResourceShortage));
        }
        if !self.is_open {
            // There is nothing to close.
            return self.link.forget(self.id);
        }
        // Both halves are over, and what was taken is still to arrive: closed before, the rest would be thrown away.
        let waits = self.dismissed || self.inbox.is_orderly();
        // Nobody looks any more.
        self.inbox.refuse();
        let (id, half, inbox) = (self.id, Arc::clone(&self.half), Arc::clone(&self.inbox));
        self.link.close(Goodbye { id, half, inbox, sending: self.sending.take(), waits, dismissed: self.dismissed });
    }
}

/// Gives bytes to russh, piece by piece. Those that wait for the other side to read are not on their way: they stand in nobody's.
async fn hand_over(
    half: Arc<ChannelWriteHalf<Msg>>,
    outgoing: Outgoing,
    mut bytes: BytesMut,
) -> Result<(), russh::Error> {
    while !bytes.is_empty() {
        let window = half.writable_packet_size().await.min(bytes.len());
        let piece = match window {
            0 => bytes.split().freeze(),
            _ => outgoing.counted(bytes.split_to(window)),
        };
        half.data_bytes(piece).await?;
    }
    Ok(())
}

/// Runs what does not wait.
fn at_once(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}
