//! What a connection's task and the machine share.

use drupe_core::Reason;
use std::collections::VecDeque;
use std::sync::Arc;

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

/// What a thing that waits in a link counts as, in bytes.
pub(crate) trait Weight {
    fn bytes(&self) -> usize;
}

/// Both ends of the bridge between a task and the machine.
///
/// `I` is what comes in, `A` what is to be done.
pub(crate) struct Link<I, A> {
    state: Mutex<State<I, A>>,
}

struct State<I, A> {
    inbox: VecDeque<I>,
    inbox_bytes: usize,
    /// The machine does not read the peer because of this inbox.
    paused: bool,
    readers: Vec<Waker>,
    outbox: Vec<A>,
    outbox_bytes: usize,
    /// The machine was called and has not looked yet.
    called: bool,
    writers: Vec<Waker>,
    /// Who waits for something to be done, whether the peer keeps up or not.
    callers: Vec<Waker>,
    /// The peer does not take what is sent.
    stalled: bool,
    /// Nobody will receive any more: what comes is lost.
    deaf: bool,
    input_over: bool,
    /// The task has taken a message, or more, and not come back for another.
    working: bool,
    /// The server is to end.
    draining: bool,
    /// The task has panicked.
    panicked: bool,
    end: Option<Reason>,
}

/// The machine's end.
impl<I: Weight, A: Weight> Link<I, A> {
    pub(crate) fn new() -> Arc<Self> {
        let state = State {
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            paused: false,
            readers: Vec::new(),
            outbox: Vec::new(),
            outbox_bytes: 0,
            called: false,
            writers: Vec::new(),
            callers: Vec::new(),
            stalled: false,
            deaf: false,
            input_over: false,
            working: false,
            draining: false,
            panicked: false,
            end: None,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// The peer sent something; true if it should not be read on.
    pub(crate) fn deliver(&self, item: I) -> bool {
        let mut state = self.lock();
        if state.deaf {
            return false;
        }
        state.inbox_bytes += item.bytes();
        state.inbox.push_back(item);
        let is_full = state.is_full();
        state.paused |= is_full;
        let readers = core::mem::take(&mut state.readers);
        drop(state);
        readers.into_iter().for_each(Waker::wake);
        is_full
    }

    /// As [`deliver`](Self::deliver), for what nobody needs who does not listen: it is lost when the inbox is full.
    #[cfg(feature = "auth")]
    pub(crate) fn mention(&self, item: I) {
        if !self.lock().is_full() {
            self.deliver(item);
        }
    }

    /// What the task wants done, and whether its peer should be read again.
    pub(crate) fn take_actions(&self) -> (Vec<A>, bool) {
        let mut state = self.lock();
        state.called = false;
        state.outbox_bytes = 0;
        let resumes = state.paused && state.is_low();
        state.paused &= !resumes;
        let actions = core::mem::take(&mut state.outbox);
        (actions, resumes)
    }

    /// What was taken is done: who waits may go on, unless the peer does not keep up.
    pub(crate) fn done(&self) {
        let mut state = self.lock();
        let callers = core::mem::take(&mut state.callers);
        let writers = if state.stalled { Vec::new() } else { core::mem::take(&mut state.writers) };
        // Who is woken may look here at once.
        drop(state);
        callers.into_iter().chain(writers).for_each(Waker::wake);
    }

    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.lock().stalled = stalled;
        self.done();
    }

    /// The peer sends nothing more; true if nobody would hear of it.
    pub(crate) fn input_ended(&self) -> bool {
        let mut state = self.lock();
        state.input_over = true;
        let (readers, deaf) = (core::mem::take(&mut state.readers), state.deaf);
        drop(state);
        readers.into_iter().for_each(Waker::wake);
        deaf
    }

    /// The server is to end: told to the task, which may finish what it does.
    pub(crate) fn drain(&self) {
        self.lock().draining = true;
        self.done();
    }

    /// Whether something came and is not served.
    pub(crate) fn is_working(&self) -> bool {
        let state = self.lock();
        state.working || !state.inbox.is_empty()
    }

    /// The connection is over. Only the first reason counts.
    pub(crate) fn end(&self, reason: Reason) {
        let mut state = self.lock();
        state.end.get_or_insert(reason);
        let dropped = core::mem::take(&mut state.outbox);
        let (readers, writers) = (core::mem::take(&mut state.readers), core::mem::take(&mut state.writers));
        let callers = core::mem::take(&mut state.callers);
        drop(state);
        readers.into_iter().chain(writers).chain(callers).for_each(Waker::wake);
        // What is dropped may belong to a task that looks here.
        drop(dropped);
    }
}

/// The task's end.
impl<I: Weight, A: Weight> Link<I, A> {
    /// The next message; `None` when there are no more.
    pub(crate) fn poll_receive(&self, cx: &Context<'_>, call: impl FnOnce()) -> Poll<Option<I>> {
        let mut state = self.lock();
        let Some(item) = state.inbox.pop_front() else {
            if state.input_over || state.end.is_some() {
                return Poll::Ready(None);
            }
            note(&mut state.readers, cx);
            let has_worked = core::mem::take(&mut state.working);
            // A server that is to end waits for that.
            let calls = has_worked && state.draining && !core::mem::replace(&mut state.called, true);
            drop(state);
            if calls {
                call();
            }
            return Poll::Pending;
        };
        state.working = true;
        state.inbox_bytes -= item.bytes();
        let calls = state.paused && state.is_low() && !core::mem::replace(&mut state.called, true);
        drop(state);
        if calls {
            call();
        }
        Poll::Ready(Some(item))
    }

    /// Nobody will receive any more.
    pub(crate) fn stop_receiving(&self, call: impl FnOnce()) {
        let mut state = self.lock();
        state.deaf = true;
        let unread = core::mem::take(&mut state.inbox);
        state.inbox_bytes = 0;
        let calls = state.end.is_none() && !core::mem::replace(&mut state.called, true);
        drop(state);
        drop(unread);
        if calls {
            call();
        }
    }

    /// Whether nobody hears of anything any more, and the peer has nothing to say either.
    pub(crate) fn is_silent(&self) -> bool {
        let state = self.lock();
        state.deaf && state.input_over
    }

    /// Whether something may be sent.
    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<Result<(), Reason>> {
        let mut state = self.lock();
        if let Some(reason) = state.end {
            return Poll::Ready(Err(reason));
        }
        if !state.stalled && state.outbox_bytes < OUTBOX_HIGH_BYTES {
            return Poll::Ready(Ok(()));
        }
        note(&mut state.writers, cx);
        Poll::Pending
    }

    /// Whether everything was handed to the machine, and the peer keeps up.
    pub(crate) fn poll_flush(&self, cx: &Context<'_>) -> Poll<Result<(), Reason>> {
        let mut state = self.lock();
        if let Some(reason) = state.end {
            return Poll::Ready(Err(reason));
        }
        if state.outbox.is_empty() && !state.called && !state.stalled {
            return Poll::Ready(Ok(()));
        }
        note(&mut state.writers, cx);
        Poll::Pending
    }

    /// Wants something done, however much waits already.
    pub(crate) fn put(&self, action: A, call: impl FnOnce()) -> Result<(), Reason> {
        let mut state = self.lock();
        if let Some(reason) = state.end {
            return Err(reason);
        }
        state.outbox_bytes += ACTION_BYTES + action.bytes();
        state.outbox.push(action);
        let calls = !core::mem::replace(&mut state.called, true);
        drop(state);
        if calls {
            call();
        }
        Ok(())
    }

    /// The task has panicked; true if nobody knew.
    pub(crate) fn panics(&self) -> bool {
        !core::mem::replace(&mut self.lock().panicked, true)
    }

    /// Why there is nothing to wait for any more; else who asks is woken when something was done.
    pub(crate) fn poll_done(&self, cx: &Context<'_>) -> Option<Reason> {
        let mut state = self.lock();
        if state.end.is_none() {
            note(&mut state.callers, cx);
        }
        state.end
    }

    pub(crate) fn poll_end(&self, cx: &Context<'_>) -> Poll<Reason> {
        let mut state = self.lock();
        if let Some(reason) = state.end {
            return Poll::Ready(reason);
        }
        note(&mut state.writers, cx);
        Poll::Pending
    }

    pub(crate) fn poll_draining(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.draining || state.end.is_some() {
            return Poll::Ready(());
        }
        note(&mut state.callers, cx);
        Poll::Pending
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        self.lock().end
    }

    fn lock(&self) -> MutexGuard<'_, State<I, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I, A> State<I, A> {
    fn is_full(&self) -> bool {
        self.inbox_bytes > INBOX_HIGH_BYTES || self.inbox.len() > INBOX_HIGH_MESSAGES
    }

    fn is_low(&self) -> bool {
        self.inbox_bytes <= INBOX_LOW_BYTES && self.inbox.len() <= INBOX_LOW_MESSAGES
    }
}

/// Notes who is to be woken, once.
fn note(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}
