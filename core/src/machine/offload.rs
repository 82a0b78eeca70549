//! Facts of a shell that runs jobs of the handler.

use super::Machine;
use crate::base::{ConnId, Time};
use crate::facts::Fact;
use crate::handler::{Event, Handler};
use crate::state::Job;

impl<H: Handler> Machine<H> {
    /// The shell runs jobs on a thread of its own, from now on. Without this, a job is run as soon as the handler
    /// [offloads](crate::Hub::offload) it, on the thread of the machine.
    pub fn takes_jobs(&mut self, now: Time) {
        self.begin(now, &Fact::TakesJobs);
        self.state.jobs.is_taken = true;
    }

    /// A job that the handler offloaded, the oldest first. To be asked for as long as the shell has room for more:
    /// a job that is not taken waits, and is dropped with its connection. [`job_done`](Self::job_done) says what came of it.
    pub fn take_job(&mut self) -> Option<Job> {
        self.state.jobs.take()
    }

    /// A job that was [taken](Self::take_job) is done.
    pub fn job_done(&mut self, now: Time, conn: ConnId, outcome: bool) {
        self.begin(now, &Fact::JobDone { conn, outcome });
        if self.state.jobs.remove(conn) && self.state.open_slot(conn).is_some() {
            self.tell(Event::Offloaded { conn, outcome });
        }
    }
}
