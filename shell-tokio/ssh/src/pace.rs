//! How those who are far ahead of what is served are slowed: the SSH connection is not read for a while.
//!
//! Channels can't be held back one by one, so all who share the connection wait as well, and it is never for long. What goes
//! the other way goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

/// Timers are no finer: shorter rests are added up until they make one.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest wait for the server to look: a part of it that hangs does not stop the others.
const LOOK_MAX: Duration = Duration::from_millis(100);

/// The pace of what comes. Clones are about the same SSH connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The rests that were not taken yet.
    owed: Duration,
    /// How many channels the server is to look at before more is read.
    awaited: usize,
    reader: Option<Waker>,
}

/// A time in which the connection is not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// It is over once the server has looked.
    pub(super) until_looked: bool,
    pub(super) at_most: Duration,
}

impl Pace {
    /// Something has come, after which the connection is to rest.
    pub(super) fn rest(&self, wait: Duration) {
        self.lock().owed += wait;
    }

    /// The server is to look at a channel first.
    pub(super) fn await_look(&self) {
        self.lock().awaited += 1;
    }

    /// The server has looked at such a channel.
    pub(super) fn looked(&self) {
        let mut state = self.lock();
        state.awaited = state.awaited.saturating_sub(1);
        let reader = if state.awaited == 0 { state.reader.take() } else { None };
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }

    /// For how long to rest before more is read.
    pub(super) fn due(&self) -> Option<Rest> {
        let mut state = self.lock();
        if state.awaited > 0 {
            return Some(Rest { until_looked: true, at_most: LOOK_MAX });
        }
        let is_due = state.owed >= SHORTEST;
        is_due.then(|| Rest { until_looked: false, at_most: std::mem::take(&mut state.owed) })
    }

    /// Whether the server has looked at all that it is to look at. Who asks is woken once it has.
    pub(super) fn has_looked(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        if state.awaited > 0 {
            state.reader = Some(cx.waker().clone());
        }
        state.awaited == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
