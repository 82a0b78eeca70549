//! Decoding of bytes into messages for the handler, within the rates.

use super::Machine;
use crate::base::{ConnId, Failure, Reason, TlsFault};
use crate::config::Action;
use crate::handler::{Event, Handler};
use crate::state::Ending;
use crate::state::conn::Conn;
use crate::wire::telnet::Signal;
use crate::wire::{DecodeError, Decoded, Item};

/// Maximum number of undecoded bytes that the machine holds per connection.
///
/// A shell that respects [`Intent::read`] and reads less than this at a time never reaches it.
const HELD_MAX_BYTES: usize = 1 << 20;

/// Maximum number of steps beyond one per byte before other connections get their turn.
///
/// Such steps come from inflating, moving and drawing.
const EXTRA_COST_PER_TURN: usize = 64 << 10;

impl<H: Handler> Machine<H> {
    /// Decodes `bytes` and delivers their messages to the handler.
    ///
    /// Returns how many bytes were consumed; the caller holds the rest.
    #[must_use]
    pub(super) fn digest(&mut self, conn: ConnId, bytes: &mut [u8]) -> usize {
        let index = conn.slot();
        let budget = self.state.budget(conn);
        let mut scratch = core::mem::take(&mut self.scratch);
        // Deadlines count messages; the limit per turn counts everything served or answered.
        let (mut at, mut served, mut messages, mut extra) = (0, 0, 0, 0);
        loop {
            let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.is_open()) else {
                // The connection is not open, so the rest is not served.
                at = bytes.len();
                break;
            };
            if at == bytes.len() && !found.decoder.is_ahead() {
                break;
            }
            let enough = served >= budget.messages_per_turn.max(1)
                || served > 0 && self.state.should_write_first(index)
                || extra > EXTRA_COST_PER_TURN;
            if enough || self.state.must_wait(index) {
                break;
            }
            // What was sent before an answer goes before it.
            self.state.flush_write_buffer_within(index);
            let Some(found) = self.state.conns.get_mut(conn) else { break };
            let decoded = found.decoder.decode(&mut bytes[at..], &mut scratch, &budget);
            let answered = found.decoder.answers() && self.state.deliver_answers(index);
            let Decoded { used, cost, units, item } = match decoded {
                Ok(decoded) => decoded,
                Err(error) => {
                    let reason = self.decode_failed(conn, error);
                    self.state.end(index, reason, Ending::Flush);
                    continue;
                }
            };
            if let Some(item) = item
                && self.is_request(conn, item)
            {
                self.state.end(index, Reason::WrongProtocol, Ending::Flush);
                continue;
            }
            at += used;
            extra += cost.saturating_sub(used);
            served += u32::from(item.is_some() || answered);
            messages += u32::from(item.is_some_and(Item::is_input));
            // The end is never over the rate: no warning may follow its answer.
            let is_end = matches!(item, Some(Item::Closed(_)));
            let action = if is_end { Action::Serve } else { self.state.charge(index, u64::from(units), cost as u64) };
            let discard_message = self.state.conns.get_mut(conn).is_some_and(|found| {
                found.discard_message |= action == Action::Drop && (item.is_some() || found.decoder.is_partial());
                found.discard_message && (item.is_none() || core::mem::take(&mut found.discard_message))
            });
            match item {
                Some(item) if is_end => self.serve(conn, item),
                Some(Item::Pong(sent_at)) => self.state.answered_ping(index, sent_at),
                Some(_) if discard_message => self.state.metrics.rate_dropped += 1,
                Some(item) if action.serves() => self.serve(conn, item),
                _ => {}
            }
            if self.ends_for_early_input(conn, at < bytes.len()) {
                at = bytes.len();
            }
        }
        scratch.shrink();
        self.scratch = scratch;
        self.state.draw_line(index);
        self.state.settle_watermarks();
        let now = self.state.now;
        if let Some(found) = self.state.conns.get_mut(conn) {
            if messages > 0 {
                found.message_since = None;
                found.last_message_at = now;
                found.idle_warned = false;
            }
            if found.decoder.is_partial() {
                found.message_since.get_or_insert(now);
            } else {
                found.message_since = None;
            }
            found.decoder_due = found.decoder.wait().map(|wait| now + wait);
        }
        at
    }

    /// Holds bytes that must not be decoded yet, or ends the connection if they are too many.
    pub(super) fn hold(&mut self, conn: ConnId, bytes: &[u8]) {
        // What comes behind the end of a connection is never served.
        let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.has_no_reason()) else { return };
        if found.held.len() + bytes.len() > HELD_MAX_BYTES {
            return self.state.end(conn.slot(), Reason::RateLimited, Ending::Flush);
        }
        if !bytes.is_empty() {
            found.held.extend_from_slice(bytes);
        }
        self.state.outbound.changed.insert(conn.slot());
    }

    /// Returns `true` if a connection begins with an HTTP request on a listener that refuses it.
    fn is_request(&mut self, conn: ConnId, item: Item<'_>) -> bool {
        let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.refuses_http) else { return false };
        let begins_http = found.decoder.begins_http(item);
        found.refuses_http = begins_http.is_none();
        begins_http == Some(true)
    }

    /// Ends a connection whose application asked for TLS while plain input is left. Returns whether
    /// it did. `more`: whether the decoder has not seen all input yet.
    ///
    /// An attacker who can write into the plain part of a connection could otherwise inject input
    /// that is handled as if it had arrived encrypted (CVE-2011-0411).
    fn ends_for_early_input(&mut self, conn: ConnId, more: bool) -> bool {
        if self.state.begins_tls.is_empty() || self.state.asked_tls_until(conn).is_none() {
            return false;
        }
        let is_ahead =
            self.state.conns.get(conn).is_some_and(|found| found.decoder.is_ahead() || !found.held.is_empty());
        if more || is_ahead {
            self.state.asked_tls_has_failed(conn, Failure::TlsHandshake(TlsFault::EarlyInput));
            self.state.end(conn.slot(), Reason::TlsFailed, Ending::Drop);
        }
        more || is_ahead
    }

    fn serve(&mut self, conn: ConnId, item: Item<'_>) {
        // A warning may have closed a slow connection.
        if self.state.open_slot(conn).is_none() {
            return;
        }
        let event = match item {
            Item::Message(payload) => {
                self.state.metrics.messages_in += 1;
                if let Some(found) = self.state.conns.get_mut(conn) {
                    found.traffic.messages_in += 1;
                }
                self.turn_messages += 1;
                Event::Message { conn, payload }
            }
            Item::Pong(_) => return,
            Item::Closed(_) => return self.state.end(conn.slot(), Reason::PeerClosed, Ending::Flush),
            Item::Signal(signal) => {
                self.state.apply_signal(conn, signal);
                Event::Signal { conn, signal }
            }
        };
        self.call(event);
        if matches!(item, Item::Signal(Signal::Logout)) {
            self.state.end(conn.slot(), Reason::PeerClosed, Ending::Flush);
        }
        if !self.state.pending.is_empty() {
            self.settle();
        }
    }

    /// Stores the error of a decoder, for the log. Returns the reason with which the connection ends.
    fn decode_failed(&mut self, conn: ConnId, error: DecodeError) -> Reason {
        if let Some(found) = self.state.conns.get_mut(conn) {
            found.faults.decode_error = Some(error);
        }
        error.reason()
    }

    /// Handles the end of a peer's input, after everything before it was decoded.
    pub(super) fn finish_input(&mut self, conn: ConnId) {
        let budget = self.state.budget(conn);
        let found = self.state.conns.get_mut(conn);
        if let Some(found) = found.filter(|found| found.truncated) {
            // An incomplete message may be the beginning of a different one. Without message
            // boundaries, whatever came may be.
            let is_cut = found.decoder.is_partial() || found.discard_message || !found.decoder.has_boundaries();
            found.input_finished = true;
            let reason = if is_cut { Reason::Truncated } else { Reason::PeerClosed };
            return self.state.end(conn.slot(), reason, Ending::Flush);
        }
        let waits = self.state.conns.get_mut(conn).filter(|found| found.decoder.has_pending_key());
        if let Some(found) = waits {
            // Nothing will follow the escape character.
            found.decoder.on_timeout();
            let _ = self.digest(conn, &mut []);
        }
        self.state.flush_write_buffer(conn.slot());
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        let mut scratch = core::mem::take(&mut self.scratch);
        found.input_finished = true;
        found.message_since = None;
        let (half_open, discard_message) = (found.half_open, found.discard_message);
        let reason = match found.decoder.finish(&mut scratch, &budget) {
            Ok(None) => Reason::PeerClosed,
            Ok(Some(payload)) if self.is_request(conn, Item::Message(payload)) => Reason::WrongProtocol,
            Ok(Some(payload)) => {
                if self.state.charge(conn.slot(), 1, 0).serves() && !discard_message {
                    self.serve(conn, Item::Message(payload));
                }
                Reason::PeerClosed
            }
            Err(error) => self.decode_failed(conn, error),
        };
        scratch.shrink();
        self.scratch = scratch;
        // The application may have answered the last message by closing our half.
        let finished = self.state.conns.get(conn).is_some_and(|found| found.finished);
        let found = self.state.conns.get(conn).filter(|found| found.is_open());
        let goes_on = found.filter(|_| !finished && reason == Reason::PeerClosed).map(Conn::only_receives);
        if goes_on == Some(true) {
            // The peer may be gone. A keep-alive finds out.
            self.state.keep_alive(conn.slot());
            self.state.schedule(conn.slot());
        } else if half_open && goes_on.is_some() {
            self.emit(Event::InputEnded { conn });
        } else {
            self.state.end(conn.slot(), reason, Ending::Flush);
        }
    }

    /// Decodes held bytes, then handles the end of input, if any, unless the input must wait.
    pub(super) fn serve_held(&mut self, id: ConnId) {
        if self.state.must_wait(id.slot()) {
            return;
        }
        let Some(conn) = self.state.conns.get_mut(id).filter(|conn| conn.is_open()) else { return };
        if !conn.held.is_empty() || conn.decoder.is_ahead() {
            let mut held = conn.held.take();
            let served = self.digest(id, &mut held);
            held.consume(served);
            if let Some(conn) = self.state.conns.get_mut(id).filter(|conn| conn.has_no_reason()) {
                conn.held.keep(held);
            }
            self.state.outbound.changed.insert(id.slot());
        }
        let waits = self.state.must_wait(id.slot());
        let Some(conn) = self
            .state
            .conns
            .get_mut(id)
            .filter(|conn| conn.is_open() && conn.held.is_empty() && !conn.decoder.is_ahead())
        else {
            return;
        };
        if conn.input_ended && !conn.input_finished && !waits {
            self.finish_input(id);
        }
    }
}
