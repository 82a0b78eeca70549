//! Deadlines of connections.

use super::State;
use crate::base::{Time, some_time};
use crate::state::conn::{Conn, HandshakeStep, Phase};
use core::time::Duration;

/// The time of the next call of [`Machine::elapsed`](crate::Machine::elapsed), and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Deadline {
    /// Time of the call. If nothing is due by then, a later deadline replaces this one.
    pub at: Time,
    /// Reason for the call.
    pub why: Why,
}

/// The reason for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Why {
    /// A connection has received input that is not processed yet: call `elapsed` without delay.
    Backlog,
    /// The end of a pause of a connection that exceeded its rate.
    Rate,
    /// The write deadline of a slow socket.
    Write,
    /// The deadline of an incomplete message.
    Message,
    /// The idle timeout of a connection that sends no messages.
    Idle,
    /// The silence timeout of a connection that sends no bytes.
    Silence,
    /// The flush deadline of a closing connection.
    Flush,
    /// The deadline for the peer to close its half.
    Linger,
    /// The deadline of a handshake, by which the protocol must be known.
    Handshake,
    /// The warning that precedes the idle timeout.
    IdleWarning,
    /// The peer sent an Escape byte and nothing after it, so the byte is the Escape key.
    Key,
    /// A keep-alive is due.
    KeepAlive,
    /// A drain closes a connection, or ends.
    Drain,
    /// The authentication of a peer, or the lifetime of its connection, expires.
    Expiry,
    /// A ticket expires, of a connection or of an HTTP request.
    Ticket,
    /// A request to the home of a room counts as unanswered.
    RoomRequest,
    /// A timer of the application is due.
    Timer,
    /// The next attempt to connect is due, or an attempt times out.
    Dial,
    /// The link to the broker of shared rooms has something to do, or a request to all hosts and shards times out.
    Broker,
    /// A tunnel connects, requests a forward again, sends a keep-alive or times out.
    Tunnel,
    /// A paused listener accepts again.
    Accept,
    /// This shard sends its counts to the other shards.
    Counts,
}

impl State {
    /// Returns the next deadline of a connection, if any.
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
                let waiting = conn.waiting();
                let waits = self.must_wait(index);
                let candidates = [
                    at(conn.rate_pause, Why::Rate),
                    at(
                        (conn.backlog && conn.step == HandshakeStep::Speech && !waits && waiting.is_none())
                            .then_some(self.now.plus_nanos(1)),
                        Why::Backlog,
                    ),
                    at(self.outbound.write_deadline(index), Why::Write),
                    at(conn.drain_at, Why::Drain),
                    // A peer that waits for our answer is not slow.
                    at((!conn.backlog && waiting.is_none()).then_some(until), Why::Handshake),
                    at(waiting.map(|waiting| waiting.until), Why::Ticket),
                ];
                candidates.into_iter().flatten().min()
            }
            Phase::Over => None,
            Phase::Open => {
                let waits = self.must_wait(index);
                let unserved = conn.is_unserved();
                let speaks = !waits && !unserved;
                let sends = speaks && !conn.only_receives();
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
                    at(after(conn.last_message_at, limits.idle).filter(|_| sends), Why::Idle),
                    at(self.idle_warning_at(conn).filter(|_| sends), Why::IdleWarning),
                    // A peer that has ended its half can send nothing.
                    at(after(conn.last_byte_at, limits.silence).filter(|_| sends && !conn.input_ended), Why::Silence),
                    at(after(conn.opened_at, limits.lifetime), Why::Expiry),
                    at(conn.decoder_due.filter(|_| speaks), Why::Key),
                    at(conn.keep_alive_at(), Why::KeepAlive),
                    at(self.identity_ends_at(index), Why::Expiry),
                    at(self.asked_tls_until(self.conns.id(index)), Why::Handshake),
                    at(conn.drain_at, Why::Drain),
                ];
                candidates.into_iter().flatten().min()
            }
        }
    }

    /// Returns when to warn of the idle timeout, unless the warning was sent or is disabled.
    fn idle_warning_at(&self, conn: &Conn) -> Option<Time> {
        let limits = self.limits_of(conn);
        let before = some_time(limits.idle)?.checked_sub(some_time(limits.idle_warning)?)?;
        // A warning after no time at all would follow every message.
        let before = some_time(Some(before))?;
        (conn.notices && !conn.idle_warned).then_some(conn.last_message_at + before)
    }

    /// Schedules a connection's next deadline.
    pub(crate) fn schedule(&mut self, index: u32) {
        if let Some(deadline) = self.next_deadline(index) {
            self.agenda.no_later_than(index, deadline.at);
        }
    }
}
