//! Closing a connection: flush, close our half, linger, forget.

use super::{Notice, Pending, State};
use crate::base::Failure;
use crate::base::Origin;
use crate::base::{ConnId, DialId, Payload, Reason, seconds_up, some_time};
use crate::config::Rates;
use crate::state::conn::Phase;
use crate::state::dials::AskedTls;
use crate::wire::Decoder;
use crate::wire::websocket::CloseCode;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Which queued output a connection still writes before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything that is queued.
    Flush,
    /// Only queued control data, and the rest of a begun message.
    Discard,
    /// Nothing: the shell drops the socket at once.
    Drop,
}

impl State {
    /// Ends a connection, unless it is already ending. The first reason counts.
    pub(crate) fn end(&mut self, index: u32, reason: Reason, ending: Ending) {
        let is_news = !matches!(reason, Reason::Answered | Reason::PeerClosed | Reason::Idle | Reason::Shutdown);
        self.end_with(index, reason, ending, is_news);
    }

    /// Ends a connection as [`end`](Self::end) does, but queues no event about a refusal.
    pub(crate) fn end_without_event(&mut self, index: u32, reason: Reason, ending: Ending) {
        self.end_with(index, reason, ending, false);
    }

    fn end_with(&mut self, index: u32, reason: Reason, ending: Ending, is_news: bool) {
        let now = self.now;
        let id = self.conns.id(index);
        let Some(conn) = self.conns.at_mut(index).filter(|conn| conn.has_no_reason()) else { return };
        let (announced, origin, peer) = (conn.is_open(), conn.origin, conn.peer);
        let notices = conn.notices && announced && !conn.finished;
        // A server that failed the handshake gets nothing more. A connection kept for it would
        // overlap with the next attempt of its dial.
        let asked_tls = match origin {
            Origin::Dial(dial) => self.dials.asked_tls(dial, id),
            Origin::Listener(_) => AskedTls::No,
        };
        let fails_tls = matches!(asked_tls, AskedTls::Begun(_) | AskedTls::Failed(_));
        let is_failed_dial = (!announced || fails_tls) && matches!(origin, Origin::Dial(_));
        let ending = if is_failed_dial { Ending::Drop } else { ending };
        self.undecided -= u64::from(!announced);
        let (was_undecided, was_answered) = (conn.is_undecided(), conn.was_answered);
        conn.phase = if ending == Ending::Drop {
            Phase::Over
        } else {
            Phase::Flushing { until: now + self.config.closing.flush }
        };
        conn.held.take();
        // Input is discarded from now on, and has a limit of its own.
        conn.rate_pause = None;
        let rooms = core::mem::take(&mut conn.rooms);
        let (id, lasted, was_pending_auth) = (id, now.since(conn.opened_at), core::mem::take(&mut conn.pending_auth));
        for &room in &*rooms {
            self.leave_room(room, index);
        }
        if was_undecided && was_answered {
            self.http_kept -= 1;
            self.metrics.http_ended.add(reason);
        } else {
            self.metrics.opened += u64::from(was_undecided);
            self.metrics.ended.add(reason);
            self.record_end(id, reason, lasted);
        }
        if was_pending_auth {
            self.authenticated();
        }
        self.drop_request(id);
        self.timers.cancel_all_of(id);
        self.tickets.cancel_all_of(id);
        self.jobs.remove(id);
        self.watched.set(id, false);
        self.forget_user(id);
        if announced {
            self.pending.push_back(Pending::Closed(id, reason));
        } else if let Origin::Listener(listener) = origin
            && is_news
        {
            self.pending.push_back(Pending::Refused(listener, peer, reason));
        }
        if let Origin::Dial(dial) = origin
            && is_failed_dial
        {
            let failure = match (asked_tls, reason) {
                (AskedTls::Failed(failure), _) => failure,
                (_, Reason::Reset) => Failure::Reset,
                (_, Reason::NetworkTimeout | Reason::MessageTimeout) => Failure::TimedOut,
                (_, Reason::NetworkError) => Failure::Other,
                _ => Failure::Handshake,
            };
            self.handshake_failed(dial, id, failure);
        }
        self.outbound.changed.insert(index);
        match ending {
            Ending::Drop => return self.over.push(index),
            Ending::Discard => self.outbound.discard(index),
            Ending::Flush => {}
        }
        let said_by_application = matches!(reason, Reason::Application | Reason::PeerClosed);
        // A compressed stream with a missing part cannot be decoded any further.
        let readable = ending == Ending::Flush || !self.is_in_order(index);
        let is_websocket = self.is_websocket(index);
        let has_lines = self.conns.at(index).is_some_and(|conn| !matches!(conn.decoder, Decoder::WebSocket(_)));
        if notices && readable && !said_by_application && has_lines {
            let text = Notice::Closing(reason).write(self.representation_of_notices(index));
            let _ = self.outbound.send_last(index, Payload::Text(&text));
        }
        self.flush_write_buffer(index);
        if is_websocket && announced {
            self.close_websocket(index, reason);
        }
        self.schedule(index);
        self.progress_closing(index);
    }

    /// Closes our half of a connection after its queued output, and removes it from its rooms.
    ///
    /// The connection ends once the peer has ended its half, too. WebSocket has no halves, telnet must
    /// answer negotiation and the peer of a stream of events has nothing to send, so those connections
    /// end at once.
    pub(crate) fn finish(&mut self, id: ConnId) {
        let Some(index) = self.open_slot(id) else { return };
        let Some(conn) = self.conns.at_mut(index).filter(|conn| !conn.finished) else { return };
        if conn.decoder.answers() {
            return self.end(index, Reason::Application, Ending::Flush);
        }
        conn.finished = true;
        let is_over = conn.input_finished;
        let rooms = core::mem::take(&mut conn.rooms);
        for &room in &*rooms {
            self.leave_room(room, index);
        }
        self.outbound.changed.insert(index);
        if is_over {
            // Nothing can arrive, and nothing will be sent.
            self.end(index, Reason::PeerClosed, Ending::Flush);
        }
    }

    /// Counts discarded input of an ending connection. Above `discard_max_bytes`, limits its rate.
    ///
    /// If the shell reads although the rate limit pauses reading, the connection is over.
    ///
    /// Unread input would reset the connection, and output in transit to the peer would be lost
    /// (RFC 1122 section 4.2.2.13).
    pub(crate) fn discard_input(&mut self, index: u32, bytes: usize) {
        let (now, free) = (self.now, self.config.closing.discard_max_bytes);
        let rate = self.conns.at(index).and_then(|conn| self.limits_of(conn).rates.bytes).or(Rates::default().bytes);
        let Some(conn) = self.conns.at_mut(index) else { return };
        let discarded = &mut conn.faults.discarded;
        *discarded = discarded.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        let Some(rate) = rate.filter(|_| *discarded > free) else { return };
        if conn.rate_pause.is_some_and(|until| until > now) {
            // The shell reads although the intent says not to.
            return self.forget(index);
        }
        conn.rate_pause = conn.bytes.charge(now, bytes as u64, rate);
        self.outbound.changed.insert(index);
        self.schedule(index);
    }

    /// Ends a connection in a drain, or postpones its end while work for it is in progress.
    pub(crate) fn end_or_wait(&mut self, index: u32) {
        let (now, id) = (self.now, self.conns.id(index));
        let waits = self.is_working(id);
        match (self.last_call.filter(|&at| waits && at > now), self.conns.at_mut(index)) {
            (Some(last_call), Some(conn)) => {
                conn.drain_at = Some(last_call);
                conn.drain_waits = true;
            }
            _ => self.end(index, Reason::Shutdown, Ending::Flush),
        }
    }

    /// Returns `true` if a drain keeps the connection until all others have ended.
    pub(crate) fn is_kept(&self, id: ConnId) -> bool {
        self.dial_of(id).is_some_and(|dial| self.dials.is_kept(dial))
    }

    /// Ends the dials that a drain kept, once no other connection is left. Returns whether it ended
    /// any.
    pub(crate) fn release_kept_dials(&mut self) -> bool {
        if self.drain.is_none() {
            return false;
        }
        let released = self.dials.release_kept(self.conns.len());
        for &dial in &released {
            if Self::is_link_dial(dial) {
                self.leave_cluster();
            }
            if let Some(conn) = self.dials.connection(dial) {
                self.end_or_wait(conn.slot());
            } else {
                self.dials.remove(dial);
                self.pending.push_back(Pending::DialEnded(dial));
            }
        }
        !released.is_empty()
    }

    /// Returns `true` if a connection that is not ending has a ticket, a job or other work, or an
    /// HTTP request in progress.
    pub(crate) fn is_working(&self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(id).filter(|conn| conn.has_no_reason()) else { return false };
        conn.working || conn.handshake.exchange.is_some() || self.jobs.has(id) || self.tickets.of(id).next().is_some()
    }

    /// Makes a drain that waits for a connection's work check that connection again.
    ///
    /// The check follows once the answer is sent.
    pub(crate) fn work_ended(&mut self, id: ConnId) {
        let now = self.now;
        if let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.drain_waits) {
            conn.drain_waits = false;
            conn.drain_at = Some(now);
            self.schedule(id.slot());
        }
    }

    /// Sets whether work that has no ticket is in progress for a connection.
    pub(crate) fn set_working(&mut self, id: ConnId, working: bool) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.working = working;
        }
        if !working {
            self.work_ended(id);
        }
    }

    /// Handles a dial that connected but failed in its handshake. Only the first failure counts.
    pub(crate) fn handshake_failed(&mut self, dial: DialId, id: ConnId, failure: Failure) {
        if self.dials.is_up(dial, id) {
            self.metrics.dial_errors += 1;
            let retry_at = self.dials.disconnected(dial, self.now, &mut self.random);
            self.pending.push_back(Pending::DialFailed(dial, failure, retry_at));
        }
    }

    fn is_websocket(&self, index: u32) -> bool {
        self.conns.at(index).is_some_and(|conn| conn.decoder.socket().is_some())
    }

    /// Sends the close frame for `reason`, unless a close frame was sent already.
    fn close_websocket(&mut self, index: u32, reason: Reason) {
        let words = match (reason, some_time(self.config.drain.retry_after)) {
            (Reason::Application, _) => String::new(),
            (Reason::Shutdown, Some(after)) => format!("{reason}; retry after {} s", seconds_up(after)),
            _ => reason.name().into(),
        };
        self.send_close(index, CloseCode::of(reason), &words);
    }

    /// Sends a close frame with `code` and `words`, unless a close frame was sent already.
    pub(crate) fn send_close(&mut self, index: u32, code: CloseCode, words: &str) {
        const WORDS_MAX_BYTES: usize = 123;
        let Some(socket) = self.conns.at_mut(index).and_then(|conn| conn.decoder.socket_mut()) else { return };
        let mut bytes = Vec::new();
        let content = [&code.get().to_be_bytes()[..], Payload::Text(words).start(WORDS_MAX_BYTES).as_bytes()].concat();
        socket.close(&content, &mut self.outbound.encoder.masks, &mut bytes);
        if !bytes.is_empty() {
            self.outbound.send_raw(index, &bytes, None);
        }
    }

    /// Starts the linger of an ending connection whose queue is empty, or marks it as over.
    ///
    /// It is over at once if the peer has ended its half and TLS is not in use.
    pub(crate) fn progress_closing(&mut self, index: u32) {
        let Some(conn) = self.conns.at_mut(index) else { return };
        if !matches!(conn.phase, Phase::Flushing { .. }) || self.outbound.pending(index) > 0 {
            return;
        }
        let until = self.now + self.config.closing.linger;
        // TLS may still have its `close_notify` to send.
        if conn.input_ended && conn.secured.is_none() {
            return self.forget(index);
        }
        conn.phase = Phase::Lingering { until };
        self.outbound.changed.insert(index);
        self.schedule(index);
    }

    /// Marks a connection as over, so that the shell drops its socket.
    pub(crate) fn forget(&mut self, index: u32) {
        let Some(conn) = self.conns.at_mut(index) else { return };
        if conn.phase != Phase::Over {
            conn.phase = Phase::Over;
            self.outbound.changed.insert(index);
            self.over.push(index);
        }
    }

    /// Returns `true` if no event, ended connection or requested drain is waiting to be handled.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.over.is_empty() && !self.drain_wanted
    }

    /// Returns `true` if it is certain, without a closer look, that the last fact caused nothing more.
    pub(crate) fn has_nothing_to_settle(&self) -> bool {
        self.is_settled()
            && self.outbound.is_settled()
            && !self.outbound.has_buffered()
            && self.watched.is_idle()
            && self.begins_tls.is_empty()
            && !self.has_own_messages()
            && self.sharing.is_none()
            && self.drain.is_none()
            && self.tunnels.is_empty()
    }

    /// Frees the slots of connections that are over, and schedules their dials' next attempts.
    ///
    /// The events of these connections have been delivered.
    pub(crate) fn free_ended(&mut self) {
        while let Some(index) = self.over.pop() {
            let id = self.conns.id(index);
            let Some(conn) = self.conns.remove(index) else { continue };
            self.outbound.close(index);
            self.outbound.changed.insert(index);
            self.agenda.forget(index);
            self.labels.forget(id);
            match conn.origin {
                Origin::Listener(listener) => {
                    self.left(Some(listener), conn.counted_as());
                    if self.listeners.closed(listener) {
                        self.forget_unused_listeners();
                    }
                }
                Origin::Dial(dial) => {
                    self.left(None, conn.peer);
                    if self.dials.is_up(dial, id) && self.dials.disconnected(dial, self.now, &mut self.random).is_none()
                    {
                        self.pending.push_back(Pending::DialEnded(dial));
                    }
                }
            }
        }
    }
}
