//! Time in which the server did not run: it was stopped, its machine slept, or a worker was busy.
//!
//! A shell calls [`elapsed`](crate::Machine::elapsed) at the deadline. If the next fact comes much
//! later than the deadline, nothing was served meanwhile: no byte was read or written, and no ping
//! was sent. Peers did not cause this, and their input has not been read yet, so the time does not
//! count against them:
//!
//! | deadline | after a pause |
//! |---|---|
//! | handshakes, messages, `idle`, `silence`, write deadlines, `closing`, attempts to connect, tunnels | later by the length of the pause; then at least the length of the pause remains, or the whole timeout if that is shorter |
//! | tickets, timers of a connection | later by the length of the pause, and at least one second from now |
//! | the end of a drain | later by the length of the pause |
//! | pings, telnet keep-alive, keep-alive requests of a tunnel | at once, if they were due during the pause |
//! | timers of no connection, `lifetime`, expiry of tokens, rates, quarantine, backoff, the grace and the closes of a drain | unchanged |
//!
//! At least the length of the pause remains because the network may have been down as well: TCP
//! retransmits after waits that double (RFC 6298 section 5.5), so lost data arrives within about
//! the same time.

use super::State;
use crate::base::Origin;
use crate::base::{Time, some_time};
use crate::state::conn::{Conn, HandshakeStep, Phase};
use alloc::vec::Vec;
use core::time::Duration;

/// A shell that is late by no more than this was only busy.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(1);

/// A pause that has just ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(crate) now: Time,
    /// Its length, as far as known.
    pub(crate) length: Duration,
}

impl Pause {
    /// Postpones a deadline. `span` is its whole length.
    pub(crate) fn postpone(self, at: Time, span: Duration) -> Time {
        (at + self.length).max(self.now + self.length.min(span))
    }

    /// Postpones the beginning of a span.
    fn begin_later(self, since: Time, span: Duration) -> Time {
        let missing = span.saturating_sub(self.length);
        let begin = self.now.minus_nanos(u64::try_from(missing.as_nanos()).unwrap_or(u64::MAX));
        (since + self.length).max(begin).min(self.now)
    }
}

impl<C: Default> State<C> {
    /// Postpones all deadlines by the pause, and sends keep-alives that were due during it.
    pub(crate) fn postpone_deadlines(&mut self, pause: Pause) {
        let ids: Vec<_> = self.conns.ids().collect();
        for id in ids {
            let index = id.slot();
            let Some(conn) = self.conns.at(index) else { continue };
            let (handshake, limits) = (self.handshake_span(conn), *self.limits_of(conn));
            let asks = conn.is_open() && conn.keep_alive_at().is_some_and(|at| at <= pause.now);
            let closing = self.config.closing;
            let Some(conn) = self.conns.at_mut(index) else { continue };
            match &mut conn.phase {
                Phase::Undecided { until } => *until = pause.postpone(*until, handshake),
                Phase::Flushing { until } => *until = pause.postpone(*until, closing.flush),
                Phase::Lingering { until } => *until = pause.postpone(*until, closing.linger),
                Phase::Open | Phase::Over => {}
            }
            let (silence, idle) = (some_time(limits.silence), some_time(limits.idle));
            conn.last_byte_at = pause.begin_later(conn.last_byte_at, silence.unwrap_or(Duration::MAX));
            conn.last_message_at = pause.begin_later(conn.last_message_at, idle.unwrap_or(Duration::MAX));
            let message_deadline = limits.budget.message_deadline;
            conn.message_since = conn.message_since.map(|since| pause.begin_later(since, message_deadline));
            conn.decoder_due = conn.decoder_due.map(|at| at + pause.length);
            self.outbound.postpone_deadlines(index, pause);
            if asks {
                self.keep_alive(index);
            }
            self.schedule(index);
        }
        self.tickets.postpone_deadlines(pause);
        self.timers.postpone_deadlines(pause);
        self.dials.postpone_deadlines(pause);
        self.tunnels.postpone_deadlines(pause);
        let deadline = self.config.drain.deadline;
        self.drain = self.drain.map(|at| pause.postpone(at, deadline));
        self.last_call = self.last_call.map(|at| at + pause.length);
    }

    /// Time limit for the current step of a handshake.
    fn handshake_span(&self, conn: &Conn) -> Duration {
        let listen = self.listeners.of(conn.origin);
        let span = match (conn.origin, conn.step) {
            (Origin::Dial(dial), _) => self.dials.timeout(dial),
            (_, HandshakeStep::Header | HandshakeStep::Admission) => {
                listen.and_then(|listen| Some(listen.proxies.as_ref()?.timeout))
            }
            (_, HandshakeStep::Tls) => listen.and_then(|listen| Some(listen.tls.as_ref()?.handshake_timeout)),
            (_, HandshakeStep::Speech) => conn.offered.as_ref().and_then(|offered| offered.protocol.wait()),
        };
        span.unwrap_or(Duration::MAX)
    }
}
