//! Blocking jobs of the handler, which a thread of the shell runs.

use crate::base::ConnId;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::fmt;

type Run = Box<dyn FnOnce() -> bool + Send>;

/// The result of [`Hub::offload`](crate::Hub::offload).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offloaded {
    /// The job ran at once, with this return value.
    Done(bool),
    /// The job will run; [`Event::Offloaded`](crate::Event::Offloaded) reports its return value.
    Later,
}

/// A job for a thread of the shell.
///
/// It comes from [`Machine::take_job`](crate::Machine::take_job) and goes back to
/// [`Machine::job_done`](crate::Machine::job_done).
pub struct Job {
    conn: ConnId,
    run: Run,
}

impl Job {
    /// Returns the connection that the job is for.
    #[must_use]
    pub const fn conn(&self) -> ConnId {
        self.conn
    }

    /// Runs the job and returns its result. With the feature `std`, a panic counts as `false`.
    #[must_use]
    pub fn run(self) -> bool {
        #[cfg(feature = "std")]
        return std::panic::catch_unwind(core::panic::AssertUnwindSafe(self.run)).unwrap_or(false);
        #[cfg(not(feature = "std"))]
        (self.run)()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("conn", &self.conn).finish_non_exhaustive()
    }
}

/// The jobs of all connections, oldest first. At most one per connection.
#[derive(Default)]
pub(crate) struct Queue {
    /// Whether the shell takes jobs.
    pub(crate) is_taken: bool,
    /// The queue number of each connection's job, kept while the shell runs it.
    places: BTreeMap<ConnId, u64>,
    waiting: BTreeMap<u64, Job>,
    added: u64,
}

impl Queue {
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        self.places.contains_key(&conn)
    }

    pub(crate) fn add(&mut self, conn: ConnId, run: Run) {
        self.added += 1;
        self.places.insert(conn, self.added);
        self.waiting.insert(self.added, Job { conn, run });
    }

    pub(crate) fn take(&mut self) -> Option<Job> {
        self.waiting.pop_first().map(|(_, job)| job)
    }

    /// Removes a connection's job. Returns false if it has none.
    pub(crate) fn remove(&mut self, conn: ConnId) -> bool {
        let Some(place) = self.places.remove(&conn) else { return false };
        self.waiting.remove(&place);
        true
    }
}
