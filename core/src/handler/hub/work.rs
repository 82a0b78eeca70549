//! Offloaded jobs, tickets, timers and outgoing connections.

use crate::base::{ConnId, DialId, Reason};
use crate::config::{Dial, TicketError};
use crate::handler::Hub;
use crate::state::{Ending, Offloaded, State, Ticket, Timer};
use alloc::boxed::Box;
use core::time::Duration;

impl<C: Default> Hub<'_, C> {
    /// Gives a job away that would hold the loop up, such as hashing a password: to a thread of the shell, if it has one for
    /// that. Otherwise the job runs at once.
    ///
    /// A connection has one such job at a time: a second one runs at once. When the connection ends, its job is not begun any
    /// more, and its outcome is not told.
    pub fn offload(&mut self, conn: ConnId, job: impl FnOnce() -> bool + Send + 'static) -> Offloaded {
        if !self.state.jobs.is_taken || self.state.jobs.has(conn) || !self.is_open(conn) {
            return Offloaded::Done(job());
        }
        self.state.jobs.add(conn, Box::new(job));
        Offloaded::Later
    }

    /// A ticket for work of this connection that is given away, and should be answered within `deadline`. Whoever does the work
    /// gets it, and brings it back with the answer in a [note](crate::Event::Note), where it is to be
    /// [redeemed](Self::redeem). Later than that it is told as [`Event::TicketExpired`](crate::Event::TicketExpired) instead; time
    /// in which the server did not run does not count. A drain waits for what has a ticket: see [`Drain`](crate::Drain).
    ///
    /// # Errors
    /// If the connection is over or a limit of [`TicketLimits`](crate::TicketLimits) is reached.
    pub fn ticket(&mut self, conn: ConnId, deadline: Duration) -> Result<Ticket, TicketError> {
        self.state.open_slot(conn).ok_or(TicketError::NotOpen)?;
        let State { tickets, now, config, .. } = &mut *self.state;
        tickets.issue(conn, *now, deadline, config.tickets)
    }

    /// Takes a ticket back; false if it comes too late, a second time, or its connection is over.
    pub fn redeem(&mut self, ticket: Ticket) -> bool {
        let redeemed = self.state.tickets.redeem(ticket);
        if redeemed {
            self.state.work_ended(ticket.conn());
        }
        redeemed
    }

    /// The tickets of a connection that were not redeemed, oldest first.
    pub fn tickets(&self, conn: ConnId) -> impl Iterator<Item = Ticket> + '_ {
        self.state.tickets.of(conn)
    }

    /// Sets a timer, or moves it if it is set: [`Event::Timer`](crate::Event::Timer) comes `after` from now,
    /// and never during this event. For a timer of a connection, time in which the server did not run (it was stopped, say) does
    /// not count: it measures what the peer had time for.
    pub fn wake(&mut self, timer: Timer, after: Duration) {
        if timer.conn.is_some_and(|conn| self.state.open_slot(conn).is_none()) {
            return;
        }
        let at = (self.state.now + after).max(self.state.now.plus_nanos(1));
        self.state.timers.set(timer, at);
    }

    /// Sets whether a task works for a connection. A drain waits for tasks that work, as it waits for
    /// [tickets](Self::ticket).
    pub fn set_working(&mut self, conn: ConnId, working: bool) {
        self.state.set_working(conn, working);
    }

    /// Ends a connection whose task panicked, as [`Reason::HandlerPanicked`], and counts the panic in
    /// [`Metrics::handler_panics`](crate::Metrics::handler_panics).
    pub fn task_panicked(&mut self, conn: ConnId) {
        self.state.metrics.handler_panics += 1;
        self.end(conn, Reason::HandlerPanicked);
    }

    /// Takes a timer back; false if it was not set.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.state.timers.cancel(timer)
    }

    /// Asks for an outgoing connection, which is told as `Opened` with this dial as its origin. When its
    /// attempts are to be repeated, so is the connection when it ends, until [`hang_up`](Self::hang_up). While
    /// the server drains, nothing is dialled, and what was being dialled is forgotten without an event.
    pub fn dial(&mut self, dial: Dial) -> DialId {
        self.state.dials.add(self.state.now, dial)
    }

    /// Gives a dial up, and closes its connection if it has one.
    pub fn hang_up(&mut self, dial: DialId) {
        if let Some(conn) = self.state.dials.remove(dial) {
            // A handshake ends as well.
            self.state.end(conn.slot(), Reason::Application, Ending::Flush);
        }
    }
}
