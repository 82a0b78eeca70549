//! A forwarded channel as a connection of the server.

use super::farewell::{Goodbye, Sending};
use super::forwarded::Forwarded;
use super::hand_over::{hand_over, take};
use super::inbox::Inbox;
use bytes::BytesMut;
use drupe_core::Failure;
use drupe_shell::Channel;
use russh::client::Msg;
use russh::{ChannelId, ChannelOpenFailure, ChannelWriteHalf};
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A connection through a tunnel.
pub(super) struct SshChannel {
    pub(super) id: ChannelId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) half: Arc<ChannelWriteHalf<Msg>>,
    /// Handle that accepts or rejects the SSH server's request for a channel. `None` once answered.
    pub(super) reply: Option<russh::client::ChannelOpenHandle>,
    /// Whether the SSH server's request was accepted.
    pub(super) is_open: bool,
    pub(super) sending: Option<Sending>,
    /// Whether to close the sending half after the pending write.
    pub(super) ends: bool,
    /// Whether the server refused the connection and sends the reason.
    pub(super) dismissed: bool,
    pub(super) link: Arc<Forwarded>,
}

impl SshChannel {
    fn answer(&mut self, outcome: Result<(), ChannelOpenFailure>) {
        let Some(reply) = self.reply.take() else { return };
        self.link.decided();
        self.is_open = outcome.is_ok();
        // Neither future ever waits.
        match outcome {
            Ok(()) => at_once(reply.accept()),
            Err(failure) => at_once(reply.reject(failure)),
        }
    }

    /// Starts to send `bytes`, or an end-of-file if there are none.
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
        let bytes = take(slices);
        let count = bytes.len();
        self.send(Some(bytes));
        // A pending write continues when the waker is woken.
        match self.poll_sending(cx) {
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn shut_down(&mut self) {
        self.ends = true;
        let waker = self.inbox.waker();
        // An error also appears on the next read.
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
            // There is no channel to close.
            return self.link.forget(self.id);
        }
        // After an orderly end, sent data must still arrive: an earlier close would discard it.
        let waits = self.dismissed || self.inbox.is_orderly();
        // From now on, input is discarded.
        self.inbox.refuse();
        let (id, half, inbox) = (self.id, Arc::clone(&self.half), Arc::clone(&self.inbox));
        self.link.close(Goodbye { id, half, inbox, sending: self.sending.take(), waits, dismissed: self.dismissed });
    }
}

/// Polls a future once. The future must never wait.
fn at_once(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}
