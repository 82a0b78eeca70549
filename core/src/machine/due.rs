//! Handling of expired deadlines, and the start of a drain.

use super::Machine;
use crate::base::{ConnId, Failure, Reason, seconds_up, some_time};
use crate::handler::{Event, Handler};
use crate::state::{Ending, Notice, Why};
use crate::wire::ProbeInput;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

/// Time left for flushing when a drain is sped up, or when work lasts until the deadline.
const HURRY: Duration = Duration::from_millis(500);

impl<H: Handler> Machine<H> {
    /// Ends an expired rate pause, serves held input, and handles an expired deadline.
    pub(super) fn check_deadlines(&mut self, index: u32) {
        let now = self.state.now;
        let id = self.state.conns.id(index);
        if let Some(conn) = self.state.conns.at_mut(index)
            && conn.rate_pause.is_some_and(|until| until <= now)
        {
            conn.rate_pause = None;
            conn.may_speak_again(now);
            self.state.outbound.changed.insert(index);
        }
        self.serve_held(id);
        if let Some(conn) = self.state.conns.get(id).filter(|conn| conn.is_undecided() && conn.backlog) {
            let sight = if conn.input_ended { ProbeInput::Ended } else { ProbeInput::Growing };
            self.probe(id, sight);
        }
        let due = self.state.next_deadline(index).filter(|deadline| deadline.at <= now);
        match due.map(|deadline| deadline.why) {
            Some(Why::Flush | Why::Linger) => self.state.forget(index),
            Some(Why::Write) => self.state.end(index, Reason::SlowConsumer, Ending::Discard),
            Some(Why::Message) => self.state.end(index, Reason::MessageTimeout, Ending::Flush),
            Some(Why::Idle) => self.state.end(index, Reason::Idle, Ending::Flush),
            Some(Why::Silence) => self.state.end(index, Reason::Silent, Ending::Flush),
            Some(Why::Handshake) if self.state.open_slot(id).is_some() => {
                self.state.asked_tls_has_failed(id, Failure::TimedOut);
                self.state.end(index, Reason::TlsFailed, Ending::Drop);
            }
            Some(Why::Handshake) => self.probe(id, ProbeInput::Waited),
            Some(Why::IdleWarning) => {
                if let Some(conn) = self.state.conns.at_mut(index) {
                    conn.idle_warned = true;
                }
                let conn = self.state.conns.at(index);
                let left = conn.and_then(|conn| self.state.limits_of(conn).idle_warning).unwrap_or_default();
                let left = seconds_up(left);
                let words = format!("idle for too long; the connection closes in {left} s");
                self.state.notice(index, Notice::News(&words));
            }
            Some(Why::Key) => {
                if let Some(conn) = self.state.conns.at_mut(index) {
                    conn.decoder_due = None;
                    conn.decoder.on_timeout();
                }
                self.serve_held(id);
            }
            Some(Why::Ticket) => self.expire_request(id),
            Some(Why::KeepAlive) => self.state.keep_alive(index),
            Some(Why::Compression) => self.state.rest_compression(index),
            Some(Why::Expiry) => self.state.end(index, Reason::SessionExpired, Ending::Flush),
            Some(Why::Drain) => {
                if self.state.last_call.is_some_and(|last_call| last_call <= now) && self.state.is_working(id) {
                    self.state.metrics.drain_unfinished += 1;
                    self.expire_tickets(id);
                    self.expire_request(id);
                }
                // The handler may have ended it.
                if self.state.conns.get(id).is_some() {
                    self.state.end_or_wait(index);
                }
            }
            _ => {}
        }
    }

    /// Expires all tickets of a connection and emits their events, before a drain ends it.
    fn expire_tickets(&mut self, id: ConnId) {
        let tickets: Vec<_> = self.state.tickets.of(id).collect();
        for ticket in tickets {
            // An earlier event may have redeemed it.
            if self.state.redeem(ticket, false) {
                self.emit(Event::TicketExpired(ticket));
            }
        }
    }

    /// Starts a drain with its grace period, or speeds up a drain that has started.
    pub(super) fn drain(&mut self) {
        let is_first = !self.state.is_draining();
        if is_first {
            let grace = self.state.config.drain.grace;
            self.state.shutdown_at = Some(self.state.now + grace);
            self.emit(Event::Draining);
            if !grace.is_zero() {
                return;
            }
        }
        self.begin_shutdown(!is_first);
    }

    /// Stops accepting and dialling, and schedules the end of each connection, at once if `fast`.
    pub(super) fn begin_shutdown(&mut self, fast: bool) {
        let now = self.state.now;
        self.state.shutdown_at = None;
        let drain = self.state.config.drain;
        let deadline = self.state.drain.unwrap_or(now + drain.deadline);
        self.state.drain = Some(if fast { deadline.min(now + HURRY) } else { deadline });
        let for_work = drain.deadline.saturating_sub(HURRY.min(drain.deadline / 4));
        self.state.last_call = Some(if fast { now } else { now + for_work });
        self.state.dials.close();
        self.state.tunnels.leave();
        self.state.note_tunnels();
        let ids: Vec<_> = self.state.conns.ids().collect();
        // A connection whose protocol is unknown cannot be notified. An HTTP connection can still
        // ask whether the server is ready.
        let stays = |id: &ConnId| self.state.conns.get(*id).is_some_and(|conn| !conn.is_undecided() || conn.is_http);
        let ids = ids.into_iter().filter(|id| !self.state.is_kept(*id));
        let (ids, undecided): (Vec<_>, Vec<_>) = ids.partition(stays);
        for id in undecided {
            self.state.end(id.slot(), Reason::Shutdown, Ending::Flush);
        }
        // All shards close at the same time and hold about the same number of connections.
        let shards = u32::from(self.state.outbox.shard.count());
        let many = u32::try_from(ids.len()).unwrap_or(u32::MAX).saturating_mul(shards);
        let window = drain.window_for(many);
        let retry = some_time(drain.retry_after)
            .map(|after| format!("; try again in {} s", seconds_up(after)))
            .unwrap_or_default();
        for id in ids {
            let wait = if fast { Duration::ZERO } else { self.state.random.within(window) };
            if let Some(conn) = self.state.conns.get_mut(id) {
                conn.drain_at = Some(now + wait);
            }
            if !fast {
                self.state.notice(id.slot(), Notice::News(&format!("the server is shutting down{retry}")));
            }
            self.state.schedule(id.slot());
        }
    }
}
