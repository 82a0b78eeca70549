//! Postponement of deadlines by a [pause](super::pause).

use super::exchange::Exchange;
use super::{PAUSE_MIN, Pause, State};
use crate::base::Origin;
use crate::base::some_time;
use crate::state::conn::{Conn, HandshakeStep, Phase};
use alloc::vec::Vec;
use core::time::Duration;

impl State {
    /// Postpones the deadlines that a pause affects, and sends keep-alives that were due during it.
    pub(crate) fn postpone_deadlines(&mut self, pause: Pause) {
        // Dials have the time limits of TLS on open connections, which are scheduled below.
        self.dials.postpone_deadlines(pause);
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
            if let Some(Exchange::Waiting(waiting)) = conn.exchange_mut() {
                waiting.until = pause.postpone(waiting.until, PAUSE_MIN);
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
        self.postpone_requests(pause);
        self.tunnels.postpone_deadlines(pause);
        let deadline = self.config.drain.deadline;
        self.drain = self.drain.map(|at| pause.postpone(at, deadline));
        self.last_call = self.last_call.map(|at| at + pause.length);
    }

    /// Returns the time limit for the current step of a handshake.
    fn handshake_span(&self, conn: &Conn) -> Duration {
        let listen = self.listeners.of(conn.origin);
        let span = match (conn.origin, conn.step) {
            (Origin::Dial(dial), _) => self.dials.timeout(dial),
            (_, HandshakeStep::Header | HandshakeStep::Admission) => {
                listen.and_then(|listen| Some(listen.proxies.as_ref()?.timeout))
            }
            // Only dials have such a handshake.
            (_, HandshakeStep::Proxy) => None,
            (_, HandshakeStep::Tls) => listen.and_then(|listen| Some(listen.tls.as_ref()?.handshake_timeout)),
            (_, HandshakeStep::Speech) => conn.handshake.offered.as_ref().and_then(|offered| offered.protocol.wait()),
        };
        span.unwrap_or(Duration::MAX)
    }
}
