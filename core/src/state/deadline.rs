//! When a connection must be looked at, and what for.

use super::State;
use crate::base::{Time, some_time};
use crate::state::conn::{Conn, Gate, Phase};
use core::time::Duration;

/// The moment at which [`Machine::elapsed`](crate::Machine::elapsed) is to be called, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Deadline {
    /// When. It may turn out that nothing is to be done yet; then a later deadline takes its place.
    pub at: Time,
    /// The reason.
    pub why: Why,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Why {
    /// A connection sent more than is served at a time: call `elapsed` without delay.
    Backlog,
    /// The pause of a connection that was over its rate is over.
    Rate,
    /// A slow socket must have taken what is queued.
    Write,
    /// An incomplete message must be complete.
    Message,
    /// A connection without messages is closed.
    Idle,
    /// A connection without a sign of life is closed.
    Silence,
    /// What is queued for a connection that has its reason must have been written.
    Flush,
    /// The peer must have closed its half.
    Linger,
    /// A peer has not shown what it speaks.
    Handshake,
    /// A peer is told that it will soon be closed for being idle.
    IdleWarning,
    /// A telnet peer pressed the key that begins the names of others, and nothing followed.
    Key,
    /// A sign of life is to be sent.
    KeepAlive,
    /// A drain closes a connection, or ends.
    Drain,
    /// What a peer proved itself with expires.
    Expiry,
    /// Work that was given away has not come back.
    Ticket,
    /// A timer of the application is due.
    Timer,
    /// The next attempt to connect.
    Dial,
    /// A tunnel is dialled, asked whether it is there, given up or ended.
    Tunnel,
    /// A listener that was out of descriptors tries again.
    Accept,
    /// The other shards are told what was counted.
    Counts,
}

impl<C: Default> State<C> {
    /// When a connection must be looked at next, and what for.
    pub(crate) fn next_deadline(&self, index: u32) -> Option<Deadline> {
        let conn = self.conns.at(index)?;
        let at = |at: Option<Time>, why| at.map(|at| Deadline { at, why });
        match conn.phase {
            Phase::Flushing { until } => {
                [at(Some(until), Why::Flush), at(conn.rate_pause, Why::Rate)].into_iter().flatten().min()
            }
            Phase::Lingering { until } => {
                [at(Some(until), Why::Linger), at(conn.rate_pause, Why::Rate)].into_iter().flatten().min()
            }
            Phase::Undecided { until } => {
                let waits = self.must_wait(index);
                let candidates = [
                    at(conn.rate_pause, Why::Rate),
                    at(
                        (conn.backlog && conn.gate == Gate::Speech && !waits).then_some(self.now.plus_nanos(1)),
                        Why::Backlog,
                    ),
                    at(self.outbound.write_deadline(index), Why::Write),
                    at(conn.drain_at, Why::Drain),
                    // Who has asked and waits is not slow.
                    at((!conn.backlog).then_some(until), Why::Handshake),
                ];
                candidates.into_iter().flatten().min()
            }
            Phase::Over => None,
            Phase::Open => {
                let waits = self.must_wait(index);
                let unserved = conn.is_unserved();
                let speaks = !waits && !unserved;
                let limits = self.limits_of(conn);
                let after = |since: Time, span: Option<Duration>| some_time(span).map(|span| since + span);
                let candidates = [
                    at(conn.rate_pause, Why::Rate),
                    at((!waits && unserved).then_some(self.now.plus_nanos(1)), Why::Backlog),
                    at(self.outbound.write_deadline(index), Why::Write),
                    at(
                        conn.message_since.filter(|_| speaks).map(|since| since + limits.budget.message_deadline),
                        Why::Message,
                    ),
                    at(after(conn.last_message_at, limits.idle).filter(|_| speaks), Why::Idle),
                    at(self.idle_warning_at(conn).filter(|_| speaks), Why::IdleWarning),
                    // Who has ended its half can't give any sign of life.
                    at(after(conn.last_byte_at, limits.silence).filter(|_| speaks && !conn.input_ended), Why::Silence),
                    at(after(conn.opened_at, limits.lifetime), Why::Expiry),
                    at(conn.decoder_due.filter(|_| speaks), Why::Key),
                    at(conn.keep_alive_at(), Why::KeepAlive),
                    at(self.identity_ends_at(index), Why::Expiry),
                    at(conn.drain_at, Why::Drain),
                ];
                candidates.into_iter().flatten().min()
            }
        }
    }

    /// When to warn of the end, unless that was done or is not to be done.
    fn idle_warning_at(&self, conn: &Conn) -> Option<Time> {
        let limits = self.limits_of(conn);
        let before = some_time(limits.idle)?.checked_sub(some_time(limits.idle_warning)?)?;
        // A warning after no time at all would follow every message.
        let before = some_time(Some(before))?;
        (conn.notices && !conn.idle_warned).then_some(conn.last_message_at + before)
    }

    /// Makes sure that a connection is looked at in time.
    pub(crate) fn schedule(&mut self, index: u32) {
        if let Some(deadline) = self.next_deadline(index) {
            self.agenda.no_later_than(index, deadline.at);
        }
    }
}
