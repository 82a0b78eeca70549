//! Offloaded jobs of the handler: the shell takes a job, runs it, and reports the outcome.

use super::Machine;
use crate::base::{ConnId, Time};
use crate::facts::Fact;
use crate::handler::{Event, Handler};
use crate::state::Job;

impl<H: Handler> Machine<H> {
    /// Declares that the shell runs jobs on its own thread from now on.
    ///
    /// Otherwise, a job runs at once on the machine's thread when the handler
    /// [offloads](crate::Hub::offload) it.
    pub fn takes_jobs(&mut self, now: Time) {
        self.begin(now, &Fact::TakesJobs);
        self.state.jobs.is_taken = true;
    }

    /// Returns the oldest offloaded job, if any. Call it while the shell has capacity.
    ///
    /// A job that is not taken waits, and is dropped with its connection.
    /// [`job_done`](Self::job_done) reports the outcome.
    pub fn take_job(&mut self) -> Option<Job> {
        self.state.jobs.take()
    }

    /// Handles the outcome of a job that was [taken](Self::take_job).
    pub fn job_done(&mut self, now: Time, conn: ConnId, outcome: bool) {
        self.begin(now, &Fact::JobDone { conn, outcome });
        let is_wanted = self.state.open_slot(conn).is_some() || self.state.awaits_login_answer(conn);
        if self.state.jobs.remove(conn) && is_wanted {
            self.emit(Event::Offloaded { conn, outcome });
            self.state.work_ended(conn);
        }
    }
}
