//! Pauses in reading from the SSH connection, which slow down peers far ahead of the server.
//!
//! Single channels cannot be held back, so all channels of the connection wait. The pauses are
//! short. Data in the other direction continues to flow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

/// The shortest pause, which is the resolution of timers. Shorter pauses are added up first.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest wait for the server to poll, so that a stuck task does not stop all channels.
const LOOK_MAX: Duration = Duration::from_millis(100);

/// The state of the pauses in reading. Clones refer to the same SSH connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Sum of the pauses that were not taken yet.
    owed: Duration,
    /// Number of channels that the server must poll before more is read.
    awaited: usize,
    reader: Option<Waker>,
}

/// A pause in which the connection is not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Whether the pause ends as soon as the server has polled.
    pub(super) until_looked: bool,
    pub(super) at_most: Duration,
}

impl Pace {
    /// Adds a pause after received data.
    pub(super) fn rest(&self, wait: Duration) {
        self.lock().owed += wait;
    }

    /// Pauses reading until the server has polled one more channel.
    pub(super) fn await_look(&self) {
        self.lock().awaited += 1;
    }

    /// Records that the server has polled an awaited channel.
    pub(super) fn looked(&self) {
        let mut state = self.lock();
        state.awaited = state.awaited.saturating_sub(1);
        let reader = if state.awaited == 0 { state.reader.take() } else { None };
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }

    /// Returns the pause to take before more is read, if any.
    pub(super) fn due(&self) -> Option<Rest> {
        let mut state = self.lock();
        if state.awaited > 0 {
            return Some(Rest { until_looked: true, at_most: LOOK_MAX });
        }
        let is_due = state.owed >= SHORTEST;
        is_due.then(|| Rest { until_looked: false, at_most: std::mem::take(&mut state.owed) })
    }

    /// Returns `true` if the server has polled all awaited channels. Otherwise registers the waker.
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
