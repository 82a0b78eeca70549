//! Offloaded jobs, tickets, timers and outgoing connections.

use crate::base::{ConnId, DialId, Reason};
use crate::config::{Dial, TicketError};
use crate::handler::Hub;
use crate::state::{Ending, Offloaded, State, Ticket, Timer};
use crate::tls::BeginTlsError;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// # Work, timers and outgoing connections
impl<C> Hub<'_, C> {
    /// Runs a blocking job, such as hashing a password, on a thread of the shell if possible.
    ///
    /// Without such a thread, the job runs at once and blocks the loop. A connection has one
    /// offloaded job at a time; a second one runs at once. A drain waits for it until shortly
    /// before its deadline. If the connection ends first, a job that has not begun never runs, and
    /// its outcome is discarded.
    pub fn offload(&mut self, conn: ConnId, job: impl FnOnce() -> bool + Send + 'static) -> Offloaded {
        let is_wanted = self.is_open(conn) || self.state.awaits_login_answer(conn);
        if !self.state.jobs.is_taken || self.state.jobs.has(conn) || !is_wanted {
            return Offloaded::Done(job());
        }
        self.state.jobs.add(conn, Box::new(job));
        Offloaded::Later
    }

    /// Issues a ticket for work that another task does for a connection, due within `deadline`.
    ///
    /// The worker returns the ticket with its answer in a [note](crate::Event::Note), and the
    /// handler [redeems](Self::redeem) it. After the deadline, the handler gets
    /// [`Event::TicketExpired`](crate::Event::TicketExpired) instead. Time in which the server did
    /// not run does not count. A drain waits for connections with tickets. Shortly before its
    /// deadline, their tickets expire, and then the connections end: see [`Drain`](crate::Drain).
    ///
    /// # Errors
    /// If the connection is over or a limit of [`TicketLimits`](crate::TicketLimits) is reached.
    pub fn ticket(&mut self, conn: ConnId, deadline: Duration) -> Result<Ticket, TicketError> {
        self.state.open_slot(conn).ok_or(TicketError::NotOpen)?;
        let State { tickets, now, config, .. } = &mut *self.state;
        tickets.issue(conn, *now, deadline, config.tickets)
    }

    /// Redeems a ticket, once the answer to its work has arrived.
    ///
    /// Returns `false` if the ticket has expired, was already redeemed, or its connection is over.
    pub fn redeem(&mut self, ticket: Ticket) -> bool {
        let redeemed = self.state.redeem(ticket, true);
        if redeemed {
            self.state.work_ended(ticket.conn());
        }
        redeemed
    }

    /// Returns the unredeemed tickets of a connection, oldest first.
    pub fn tickets(&self, conn: ConnId) -> impl Iterator<Item = Ticket> + '_ {
        self.state.tickets.of(conn)
    }

    /// Sets a one-shot timer, or moves it if it is already set.
    ///
    /// [`Event::Timer`](crate::Event::Timer) comes `after` from now, and never during this event.
    /// For a timer of a connection, time in which the server did not run (because it was stopped,
    /// say) does not count: the timer measures the time that the peer had.
    pub fn wake(&mut self, timer: Timer, after: Duration) {
        if timer.conn.is_some_and(|conn| self.state.open_slot(conn).is_none()) {
            return;
        }
        let timer = timer.of_app(self.app);
        let at = (self.state.now + after).max(self.state.now.plus_nanos(1));
        self.state.timers.set(timer, at);
    }

    /// Sets whether a task has unfinished work for a connection.
    ///
    /// A drain waits for such connections, as it waits for [tickets](Self::ticket).
    pub fn set_working(&mut self, conn: ConnId, working: bool) {
        self.state.set_working(conn, working);
    }

    /// Ends a connection whose task panicked, as [`Reason::HandlerPanicked`].
    ///
    /// Counts the panic in [`Metrics::handler_panics`](crate::Metrics::handler_panics).
    pub fn task_panicked(&mut self, conn: ConnId) {
        self.state.metrics.handler_panics += 1;
        self.end(conn, Reason::HandlerPanicked);
    }

    /// Cancels a timer. Returns `false` if it was not set.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.state.timers.cancel(timer.of_app(self.app))
    }

    /// Starts an outgoing connection. The handler receives `Opened` with this dial as its origin.
    ///
    /// With a backoff, the dial repeats its attempts, and connects again when the connection ends,
    /// until [`cancel_dial`](Self::cancel_dial). While the server drains, it makes no new dials, and
    /// pending ones end without an event, unless they are [kept](Dial::kept_in_drain).
    pub fn dial(&mut self, dial: Dial) -> DialId {
        let State { dials, random, now, .. } = &mut *self.state;
        dials.add(*now, dial, self.app, random)
    }

    /// Replaces all addresses of a dial, such as by those that a server has announced.
    ///
    /// They apply to the attempts after the current one. An open connection stays. Returns `false`
    /// if there is no such dial, or no address.
    pub fn set_dial_addresses(&mut self, dial: DialId, addresses: Vec<String>) -> bool {
        let State { dials, random, .. } = &mut *self.state;
        !addresses.is_empty() && dials.set_addresses(dial, addresses, random)
    }

    /// Begins TLS on an open connection of a dial whose [`tls_start`](Dial::tls_start) is `WhenAsked`.
    ///
    /// Later output is encrypted, and waits for the handshake. Messages that the server sends over
    /// TLS arrive after the handshake. A handshake that fails, or takes longer than the dial's
    /// [timeout](Dial::timeout), closes the connection and is a failed attempt:
    /// [`Closed`](crate::Event::Closed) is followed by [`DialFailed`](crate::Event::DialFailed)
    /// with the cause.
    ///
    /// Call it while you handle the server's message that allows TLS, such as `INFO` of NATS. If the
    /// server has sent more after that message, the connection fails as
    /// [`TlsFault::EarlyInput`](crate::TlsFault::EarlyInput).
    ///
    /// # Errors
    /// If the connection or its dial has no TLS to begin, or if unencrypted output or input waits.
    pub fn begin_tls(&mut self, conn: ConnId) -> Result<(), BeginTlsError> {
        self.state.ask_for_tls(conn)
    }

    /// Returns the subprotocol that the server of a dialled WebSocket chose.
    ///
    /// `None` if it chose none, and on other connections.
    #[must_use]
    pub fn subprotocol(&self, conn: ConnId) -> Option<&str> {
        self.state.dials.subprotocol(self.state.dial_of(conn)?, conn)
    }

    /// Cancels a dial and closes its connection, if it has one.
    pub fn cancel_dial(&mut self, dial: DialId) {
        if let Some(conn) = self.state.dials.remove(dial) {
            // A handshake ends as well.
            self.state.end(conn.slot(), Reason::Application, Ending::Flush);
        }
    }
}
