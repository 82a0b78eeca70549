use drupe_core::{ConnId, Job};
use std::collections::VecDeque;
use std::sync::Arc;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;

/// Maximum number of jobs taken from the machine: one that runs, and one that waits.
const TAKEN_MAX: usize = 2;

/// The thread that runs the machine's jobs. It starts with the first job.
pub(super) struct Offload {
    shared: Arc<Shared>,
    /// Number of jobs whose results have not been taken.
    taken: usize,
    has_thread: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    done: Vec<(ConnId, bool)>,
    task: Option<Waker>,
    /// Whether the server has ended.
    over: bool,
}

impl Offload {
    pub(super) fn new() -> Self {
        Self { shared: Arc::default(), taken: 0, has_thread: false }
    }

    /// Returns `true` if another job can be taken.
    pub(super) fn has_room(&self) -> bool {
        self.taken < TAKEN_MAX
    }

    /// Queues a job. Wakes `task` when the job has finished.
    pub(super) fn give(&mut self, job: Job, task: &Waker) {
        self.taken += 1;
        let mut state = self.shared.lock();
        state.wake(task);
        state.waiting.push_back(job);
        drop(state);
        if self.has_thread {
            return self.shared.changed.notify_one();
        }
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("drupe-offload".into()).spawn(move || shared.work());
        self.has_thread = thread.is_ok();
        if !self.has_thread {
            // Without a thread, the job runs here, and delays the turn.
            while self.shared.do_next() {}
        }
    }

    /// Takes the results of finished jobs. Wakes `task` when another job finishes.
    pub(super) fn take(&mut self, task: &Waker) -> Vec<(ConnId, bool)> {
        if self.taken == 0 {
            return Vec::new();
        }
        let mut state = self.shared.lock();
        state.wake(task);
        let done = core::mem::take(&mut state.done);
        self.taken -= done.len();
        done
    }
}

impl State {
    /// Sets the waker of the driver's task.
    fn wake(&mut self, task: &Waker) {
        if !self.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            self.task = Some(task.clone());
        }
    }
}

impl Shared {
    /// Runs jobs until the server has ended.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            while state.waiting.is_empty() && !state.over {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.over {
                return;
            }
            drop(state);
            self.do_next();
        }
    }

    fn do_next(&self) -> bool {
        let Some(job) = self.lock().waiting.pop_front() else { return false };
        let (conn, outcome) = (job.conn(), job.run());
        let mut state = self.lock();
        state.done.push((conn, outcome));
        let task = state.task.clone();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_one();
    }
}
