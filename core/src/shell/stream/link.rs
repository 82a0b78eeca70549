//! What a connection's task and the machine share.

use super::connections::{Linked, Ready};
use crate::shell::Remote;
use crate::{ConnId, Hub, OutgoingBuf, PayloadBuf, Reason};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// With more than this unread, the peer is not read.
const INBOX_HIGH_BYTES: usize = 64 << 10;
const INBOX_HIGH_MESSAGES: usize = 256;
/// With less than this unread, it is read again.
const INBOX_LOW_BYTES: usize = 16 << 10;
const INBOX_LOW_MESSAGES: usize = 64;
/// With more than this on its way to the machine, the task waits.
const OUTBOX_HIGH_BYTES: usize = 64 << 10;
/// What a thing to do counts as beside its bytes.
const ACTION_BYTES: usize = 64;

/// What a task wants done.
pub(super) enum Action {
    Send(OutgoingBuf),
    Write(PayloadBuf),
    Act(Box<dyn FnOnce(&mut Hub<'_, Linked>, ConnId) + Send>),
    Close,
    End(Reason),
}

impl Action {
    fn bytes(&self) -> usize {
        ACTION_BYTES
            + match self {
                Self::Send(message) => message.as_outgoing().len(),
                Self::Write(payload) => payload.as_payload().as_bytes().len(),
                Self::Act(_) | Self::Close | Self::End(_) => 0,
            }
    }
}

/// Both ends of the bridge between a task and the machine.
pub(super) struct Link {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inbox: VecDeque<PayloadBuf>,
    inbox_bytes: usize,
    /// The machine does not read the peer because of this inbox.
    paused: bool,
    reader: Option<Waker>,
    outbox: Vec<Action>,
    outbox_bytes: usize,
    /// The machine was called and has not looked yet.
    called: bool,
    writers: Vec<Waker>,
    /// Who waits for something to be done, whether the peer keeps up or not.
    callers: Vec<Waker>,
    /// The peer does not take what is sent.
    stalled: bool,
    input_over: bool,
    end: Option<Reason>,
}

/// The machine's end.
impl Link {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default() })
    }

    /// The peer sent something; true if it should not be read on.
    pub(super) fn deliver(&self, message: PayloadBuf) -> bool {
        let mut state = self.lock();
        state.inbox_bytes += message.as_payload().as_bytes().len();
        state.inbox.push_back(message);
        let is_full = state.inbox_bytes > INBOX_HIGH_BYTES || state.inbox.len() > INBOX_HIGH_MESSAGES;
        let pauses = is_full && !core::mem::replace(&mut state.paused, is_full);
        wake(state.reader.take());
        pauses
    }

    /// What the task wants done, and whether its peer should be read again.
    pub(super) fn take_actions(&self) -> (Vec<Action>, bool) {
        let mut state = self.lock();
        state.called = false;
        state.outbox_bytes = 0;
        let resumes = state.paused && state.is_low();
        state.paused &= !resumes;
        let actions = core::mem::take(&mut state.outbox);
        (actions, resumes)
    }

    /// What was taken is done: who waits may go on, unless the peer does not keep up.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        state.callers.drain(..).for_each(Waker::wake);
        if !state.stalled {
            state.writers.drain(..).for_each(Waker::wake);
        }
    }

    pub(super) fn set_stalled(&self, stalled: bool) {
        self.lock().stalled = stalled;
        self.done();
    }

    pub(super) fn input_ended(&self) {
        let mut state = self.lock();
        state.input_over = true;
        wake(state.reader.take());
    }

    /// The connection is over. Only the first reason counts.
    pub(super) fn end(&self, reason: Reason) {
        let mut state = self.lock();
        state.end.get_or_insert(reason);
        let dropped = core::mem::take(&mut state.outbox);
        wake(state.reader.take());
        state.writers.drain(..).for_each(Waker::wake);
        state.callers.drain(..).for_each(Waker::wake);
        drop(state);
        // What is dropped may belong to a task that looks here.
        drop(dropped);
    }
}

/// The task's end.
impl Link {
    /// The next message; `None` when there are no more.
    pub(super) fn poll_receive(&self, cx: &Context<'_>, call: impl FnOnce()) -> Poll<Option<PayloadBuf>> {
        let mut state = self.lock();
        let Some(message) = state.inbox.pop_front() else {
            if state.input_over || state.end.is_some() {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.inbox_bytes -= message.as_payload().as_bytes().len();
        let calls = state.paused && state.is_low() && !core::mem::replace(&mut state.called, true);
        drop(state);
        if calls {
            call();
        }
        Poll::Ready(Some(message))
    }

    /// Whether something may be sent.
    pub(super) fn poll_ready(&self, cx: &Context<'_>) -> Poll<Result<(), Reason>> {
        let mut state = self.lock();
        if let Some(reason) = state.end {
            return Poll::Ready(Err(reason));
        }
        if !state.stalled && state.outbox_bytes < OUTBOX_HIGH_BYTES {
            return Poll::Ready(Ok(()));
        }
        state.wait_to_write(cx);
        Poll::Pending
    }

    /// Whether everything was handed to the machine, and the peer keeps up.
    pub(super) fn poll_flush(&self, cx: &Context<'_>) -> Poll<Result<(), Reason>> {
        let mut state = self.lock();
        if let Some(reason) = state.end {
            return Poll::Ready(Err(reason));
        }
        if state.outbox.is_empty() && !state.called && !state.stalled {
            return Poll::Ready(Ok(()));
        }
        state.wait_to_write(cx);
        Poll::Pending
    }

    /// Wants something done, however much waits already.
    pub(super) fn put(&self, action: Action, call: impl FnOnce()) -> Result<(), Reason> {
        let mut state = self.lock();
        if let Some(reason) = state.end {
            return Err(reason);
        }
        state.outbox_bytes += action.bytes();
        state.outbox.push(action);
        let calls = !core::mem::replace(&mut state.called, true);
        drop(state);
        if calls {
            call();
        }
        Ok(())
    }

    /// Why there is nothing to wait for any more; else who asks is woken when something was done.
    pub(super) fn poll_done(&self, cx: &Context<'_>) -> Option<Reason> {
        let mut state = self.lock();
        if state.end.is_none() {
            state.callers.push(cx.waker().clone());
        }
        state.end
    }

    pub(super) fn poll_end(&self, cx: &Context<'_>) -> Poll<Reason> {
        let mut state = self.lock();
        if let Some(reason) = state.end {
            return Poll::Ready(reason);
        }
        state.wait_to_write(cx);
        Poll::Pending
    }

    pub(super) fn reason(&self) -> Option<Reason> {
        self.lock().end
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_low(&self) -> bool {
        self.inbox_bytes <= INBOX_LOW_BYTES && self.inbox.len() <= INBOX_LOW_MESSAGES
    }

    fn wait_to_write(&mut self, cx: &Context<'_>) {
        if !self.writers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.writers.push(cx.waker().clone());
        }
    }
}

fn wake(waker: Option<Waker>) {
    waker.into_iter().for_each(Waker::wake);
}

/// Has the machine look at a link.
pub(super) fn call(remote: &Remote<Ready>, conn: ConnId) {
    // At most one word for each connection is on its way, so there are never too many; and if the server has ended, so has the
    // connection.
    remote.note_in_any_case(Ready(conn));
}
