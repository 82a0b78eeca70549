//! The queues between a task and the machine.

use drupe_core::Reason;
use std::collections::VecDeque;
use std::sync::Arc;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Size of the inbox, in bytes, above which the machine stops reading from the peer.
const INBOX_HIGH_BYTES: usize = 64 << 10;
/// Number of queued items above which the machine stops reading from the peer.
const INBOX_HIGH_MESSAGES: usize = 256;
/// Size of the inbox, in bytes, at or below which the machine resumes reading from the peer.
const INBOX_LOW_BYTES: usize = 16 << 10;
/// Number of queued items at or below which the machine resumes reading from the peer.
const INBOX_LOW_MESSAGES: usize = 64;
/// Size of the queued actions, in bytes, at which the task must wait.
const OUTBOX_HIGH_BYTES: usize = 64 << 10;
/// Size that is counted for each action in addition to its data, in bytes.
const ACTION_BYTES: usize = 64;

/// A queued item with a size in bytes, which counts towards the limits of a [`Link`].
pub(crate) trait Weight {
    fn bytes(&self) -> usize;
}

/// A link between a task and the machine, with incoming items `I` and the task's actions `A`.
pub(crate) struct Link<I, A> {
    state: Mutex<State<I, A>>,
}

struct State<I, A> {
    inbox: VecDeque<I>,
    inbox_bytes: usize,
    /// Whether the machine has stopped reading from the peer because of this inbox.
    paused: bool,
    readers: Vec<Waker>,
    outbox: Vec<A>,
    outbox_bytes: usize,
    /// Whether the machine was notified and has not taken the actions yet.
    called: bool,
    writers: Vec<Waker>,
    /// Wakers of tasks that wait for an action or a drain, even if the peer is slow.
    callers: Vec<Waker>,
    /// Whether the peer does not keep up.
    stalled: bool,
    /// Whether the receiver was dropped, so that incoming items are discarded.
    deaf: bool,
    input_over: bool,
    /// Whether the task has taken a message and has not polled for another.
    working: bool,
    /// Number of pieces of other work of the task that are in progress.
    works: usize,
    /// Whether the server is draining.
    draining: bool,
    /// Whether the task has panicked.
    panicked: bool,
    end: Option<Reason>,
}

/// Methods for the machine's side of the link.
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
            works: 0,
            draining: false,
            panicked: false,
            end: None,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Queues an item from the peer. Returns whether the machine should stop reading.
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

    /// Queues an unimportant item, or drops it if the inbox is full.
    #[cfg(feature = "auth")]
    pub(crate) fn mention(&self, item: I) {
        if !self.lock().is_full() {
            self.deliver(item);
        }
    }

    /// Takes the actions of the task. Also returns whether the machine should resume reading.
    pub(crate) fn take_actions(&self) -> (Vec<A>, bool) {
        let mut state = self.lock();
        state.called = false;
        state.outbox_bytes = 0;
        let resumes = state.paused && state.is_low();
        state.paused &= !resumes;
        let actions = core::mem::take(&mut state.outbox);
        (actions, resumes)
    }

    /// Wakes waiting tasks after the machine has run the actions.
    ///
    /// Tasks that wait to write are not woken while the peer is slow.
    pub(crate) fn done(&self) {
        let mut state = self.lock();
        let callers = core::mem::take(&mut state.callers);
        let writers = if state.stalled { Vec::new() } else { core::mem::take(&mut state.writers) };
        // A woken task may lock the link at once.
        drop(state);
        callers.into_iter().chain(writers).for_each(Waker::wake);
    }

    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.lock().stalled = stalled;
        self.done();
    }

    /// Records that the peer has ended its input. Returns whether the receiver was dropped.
    pub(crate) fn input_ended(&self) -> bool {
        let mut state = self.lock();
        state.input_over = true;
        let (readers, deaf) = (core::mem::take(&mut state.readers), state.deaf);
        drop(state);
        readers.into_iter().for_each(Waker::wake);
        deaf
    }

    /// Records that the server is draining, and wakes the task so that it can finish its work.
    pub(crate) fn drain(&self) {
        self.lock().draining = true;
        self.done();
    }

    /// Returns `true` if the task is handling a message or other work, or has messages queued.
    pub(crate) fn is_working(&self) -> bool {
        let state = self.lock();
        state.working || state.works > 0 || !state.inbox.is_empty()
    }

    /// Records that the connection has ended, and wakes all tasks. Only the first reason counts.
    pub(crate) fn end(&self, reason: Reason) {
        let mut state = self.lock();
        state.end.get_or_insert(reason);
        let dropped = core::mem::take(&mut state.outbox);
        let (readers, writers) = (core::mem::take(&mut state.readers), core::mem::take(&mut state.writers));
        let callers = core::mem::take(&mut state.callers);
        drop(state);
        readers.into_iter().chain(writers).chain(callers).for_each(Waker::wake);
        // Dropped actions may lock the link.
        drop(dropped);
    }
}

/// Methods for the task's side of the link.
impl<I: Weight, A: Weight> Link<I, A> {
    /// Polls for the next item. Returns `None` after the last one.
    pub(crate) fn poll_receive(&self, cx: &Context<'_>, call: impl FnOnce()) -> Poll<Option<I>> {
        let mut state = self.lock();
        let Some(item) = state.inbox.pop_front() else {
            if state.input_over || state.end.is_some() {
                return Poll::Ready(None);
            }
            note(&mut state.readers, cx);
            let has_worked = core::mem::take(&mut state.working);
            // A draining server waits for the end of the work.
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

    /// Records that the task has begun a piece of work, for which a drain waits.
    pub(crate) fn begin_work(&self, call: impl FnOnce()) {
        self.set_works(|works| works.saturating_add(1), call);
    }

    /// Records that the task has finished a piece of work.
    pub(crate) fn end_work(&self, call: impl FnOnce()) {
        self.set_works(|works| works.saturating_sub(1), call);
    }

    fn set_works(&self, change: impl FnOnce(usize) -> usize, call: impl FnOnce()) {
        let mut state = self.lock();
        let before = state.works > 0;
        state.works = change(state.works);
        let has_changed = before != (state.works > 0);
        // Only a draining server needs to know.
        let calls =
            has_changed && state.draining && state.end.is_none() && !core::mem::replace(&mut state.called, true);
        drop(state);
        if calls {
            call();
        }
    }

    /// Discards queued and later items, because the receiver was dropped.
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

    /// Returns `true` if the receiver was dropped and the peer has ended its input.
    pub(crate) fn is_silent(&self) -> bool {
        let state = self.lock();
        state.deaf && state.input_over
    }

    /// Polls whether the task may send.
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

    /// Polls whether the machine has taken all actions and the peer keeps up.
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

    /// Queues an action, even if the outbox is full.
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

    /// Records that the task has panicked. Returns whether this is the first report.
    pub(crate) fn panics(&self) -> bool {
        !core::mem::replace(&mut self.lock().panicked, true)
    }

    /// Returns the reason why the connection has ended, or `None` if it has not.
    ///
    /// If it has not, registers a waker that is called after the next actions have run.
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

/// Registers the task's waker, unless it is registered already.
fn note(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}
