//! Deadlines of connections.

use super::State;
use crate::base::{Origin, Time, some_time};
use crate::config::PeerLimits;
use crate::state::conn::{Conn, HandshakeStep, Phase};
use crate::wire::Decoder;
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
    /// A telnet connection has had no output for a minute, so its compressed stream ends.
    Compression,
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
        let mut soonest = Soonest(None);
        match conn.phase {
            Phase::Flushing { until } => {
                soonest.add(Some(until), Why::Flush);
                soonest.add(conn.rate_pause, Why::Rate);
            }
            Phase::Lingering { until } => {
                soonest.add(Some(until), Why::Linger);
                soonest.add(conn.rate_pause, Why::Rate);
            }
            Phase::Undecided { until } => self.add_deadlines_of_handshake(&mut soonest, index, conn, until),
            Phase::Over => {}
            Phase::Open => self.add_deadlines(&mut soonest, index, conn),
        }
        soonest.0
    }

    fn add_deadlines_of_handshake(&self, soonest: &mut Soonest, index: u32, conn: &Conn, until: Time) {
        let waiting = conn.waiting();
        soonest.add(conn.rate_pause, Why::Rate);
        if conn.backlog && conn.step == HandshakeStep::Speech && !self.must_wait(index) && waiting.is_none() {
            soonest.add(Some(self.now.plus_nanos(1)), Why::Backlog);
        }
        soonest.add(self.outbound.write_deadline(index), Why::Write);
        soonest.add(conn.drain_at, Why::Drain);
        // A peer that waits for our answer is not slow.
        soonest.add((!conn.backlog && waiting.is_none()).then_some(until), Why::Handshake);
        soonest.add(waiting.map(|waiting| waiting.until), Why::Ticket);
    }

    fn add_deadlines(&self, soonest: &mut Soonest, index: u32, conn: &Conn) {
        let waits = self.must_wait(index);
        let unserved = conn.is_unserved();
        let limits = self.limits_of(conn);
        let after = |since: Time, span: Option<Duration>| some_time(span).map(|span| since + span);
        soonest.add(conn.rate_pause, Why::Rate);
        soonest.add((!waits && unserved).then_some(self.now.plus_nanos(1)), Why::Backlog);
        soonest.add(self.outbound.write_deadline(index), Why::Write);
        if !waits && !unserved {
            soonest.add(conn.message_since.map(|since| since + limits.budget.message_deadline), Why::Message);
            soonest.add(conn.decoder_due, Why::Key);
            if !conn.only_receives() {
                soonest.add(after(conn.last_message_at, limits.idle), Why::Idle);
                soonest.add(idle_warning_at(conn, limits), Why::IdleWarning);
                // A peer that has ended its half can send nothing.
                soonest.add(after(conn.last_byte_at, limits.silence).filter(|_| !conn.input_ended), Why::Silence);
            }
        }
        soonest.add(after(conn.opened_at, limits.lifetime), Why::Expiry);
        soonest.add(conn.keep_alive_at(), Why::KeepAlive);
        if let Decoder::Telnet(session) = &conn.decoder {
            soonest.add(session.compression_rests_at(), Why::Compression);
        }
        soonest.add(self.identity_ends_at(index), Why::Expiry);
        if matches!(conn.origin, Origin::Dial(_)) {
            soonest.add(self.asked_tls_until(self.conns.id(index)), Why::Handshake);
        }
        soonest.add(conn.drain_at, Why::Drain);
    }

    /// Schedules a connection's next deadline.
    pub(crate) fn schedule(&mut self, index: u32) {
        if let Some(deadline) = self.next_deadline(index) {
            self.agenda.no_later_than(index, deadline.at);
        }
    }
}

/// The earliest of several deadlines; of those at the same time, the first reason.
struct Soonest(Option<Deadline>);

impl Soonest {
    #[inline]
    fn add(&mut self, at: Option<Time>, why: Why) {
        if let Some(at) = at {
            let new = Deadline { at, why };
            if self.0.is_none_or(|known| new < known) {
                self.0 = Some(new);
            }
        }
    }
}

/// Returns when to warn of the idle timeout, unless the warning was sent or is disabled.
fn idle_warning_at(conn: &Conn, limits: &PeerLimits) -> Option<Time> {
    let before = some_time(limits.idle)?.checked_sub(some_time(limits.idle_warning)?)?;
    // A warning after no time at all would follow every message.
    let before = some_time(Some(before))?;
    (conn.notices && !conn.idle_warned).then_some(conn.last_message_at + before)
}
