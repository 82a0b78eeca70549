//! A session as a connection of the machine.

use super::attempts::Attempts;
use super::input::Input;
use crate::farewell::Sending;
use crate::hand_over::{hand_over, take};
use crate::outgoing::Outgoing;
use bytes::BytesMut;
use drupe_core::Failure;
use drupe_shell::Channel;
use russh::ChannelWriteHalf;
use russh::server::Msg;
use std::io::IoSlice;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::Notify;

/// What the machine's end of a session and its SSH connection share.
#[derive(Default)]
pub(super) struct Link {
    pub(super) input: Arc<Input>,
    /// Attempts to log in, before the session.
    pub(super) attempts: Attempts,
    /// The sending half of the session's channel. Unset until the session begins.
    pub(super) half: OnceLock<Arc<ChannelWriteHalf<Msg>>>,
    pub(super) outgoing: Outgoing,
    /// What is still to be sent after the machine has dropped the session.
    rest: Mutex<Option<Sending>>,
    /// Notified when the machine has dropped the session.
    pub(super) dropped: Notify,
}

impl Link {
    /// Takes what is still to be sent. `None` if the session did not end in order.
    pub(super) fn take_rest(&self) -> Option<Sending> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The machine's end of a session.
pub(super) struct Session {
    pub(super) link: Arc<Link>,
    pub(super) sending: Option<Sending>,
    /// Whether to end the session after the pending write.
    pub(super) ends: bool,
    /// Whether the end of the session was sent, or is in `sending`.
    pub(super) has_ended: bool,
}

impl Session {
    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link, sending: None, ends: false, has_ended: false }
    }

    /// Starts to send `bytes`, or the end of the session if there are none.
    fn send(&mut self, bytes: Option<BytesMut>) {
        let Some(half) = self.link.half.get().cloned() else { return };
        self.sending = Some(match bytes {
            Some(bytes) => Box::pin(hand_over(half, self.link.outgoing.clone(), bytes)),
            None => Box::pin(end(half)),
        });
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            if let Some(sending) = &mut self.sending {
                match sending.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.link.input.set_output_blocked(true);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(())) => self.sending = None,
                    Poll::Ready(Err(_)) => {
                        self.sending = None;
                        return Poll::Ready(Err(Failure::Reset));
                    }
                }
            }
            self.link.input.set_output_blocked(false);
            if !std::mem::take(&mut self.ends) {
                return Poll::Ready(Ok(()));
            }
            self.has_ended = true;
            self.send(None);
        }
    }
}

impl Channel for Session {
    /// Does nothing: the socket was accepted before.
    fn accept(&mut self) {}

    fn dismiss(self: Box<Self>, _: &[u8]) {}

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.link.input.check(cx)?;
        self.poll_sending(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>> {
        self.link.input.poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, Failure>> {
        self.link.input.check(cx)?;
        if self.poll_sending(cx)?.is_pending() {
            return Poll::Pending;
        }
        if self.link.outgoing.poll_room(0, cx).is_pending() {
            self.link.input.set_output_blocked(true);
            return Poll::Pending;
        }
        let bytes = take(slices);
        let count = bytes.len();
        if self.link.half.get().is_some() {
            self.send(Some(bytes));
        } else {
            self.link.attempts.answer(&bytes);
        }
        // A pending write continues when the waker is woken.
        match self.poll_sending(cx) {
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn shut_down(&mut self) {
        self.ends = true;
        let waker = self.link.input.waker();
        // An error also appears on the next read.
        let _ = self.poll_sending(&mut Context::from_waker(&waker));
        if self.link.half.get().is_none() {
            // Without a session, the client has nothing to wait for.
            self.link.dropped.notify_one();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // If the client has ended its input, the machine drops a session once everything is written.
        let is_orderly = self.ends || self.has_ended || self.link.input.is_orderly();
        self.link.input.refuse();
        if is_orderly && let Some(half) = self.link.half.get().cloned() {
            let (sending, ends) = (self.sending.take(), !self.has_ended);
            let rest: Sending = Box::pin(async move {
                if let Some(sending) = sending {
                    sending.await?;
                }
                if ends { end(half).await } else { Ok(()) }
            });
            *self.link.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        }
        self.link.dropped.notify_one();
    }
}

/// Ends a session: a client exits with this status.
async fn end(half: Arc<ChannelWriteHalf<Msg>>) -> Result<(), russh::Error> {
    half.exit_status(0).await?;
    half.eof().await?;
    half.close().await
}
