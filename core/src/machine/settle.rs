//! The start of handling a fact, and the delivery of the events that result from it.

use crate::base::{AppIndex, Time};
use crate::facts::{Fact, ShardMessage};
use crate::handler::{Event, Handler, PresenceChange, RoomGap};
use crate::machine::{LAST, Machine};
use crate::state::{Copied, PAUSE_MIN, Pause, Pending};

impl<H: Handler> Machine<H> {
    pub(super) fn begin(&mut self, now: Time, fact: &Fact<'_, H::Note>) {
        let pause = self.enter(now, fact);
        self.handle_pause(pause);
    }

    /// Advances the machine's time to that of a fact, and records the fact.
    ///
    /// Returns the pause before it, for [`handle_pause`](Self::handle_pause).
    pub(super) fn enter(&mut self, now: Time, fact: &Fact<'_, H::Note>) -> Option<Pause> {
        debug_assert!(self.state.is_settled(), "the events of the previous fact were not delivered");
        let now = self.state.now.max(now.min(LAST));
        let pause = self.pause(now);
        self.state.now = now;
        self.state.begin_rounds();
        let changes_nothing_counted = matches!(
            fact,
            Fact::ShardMessageReceived(ShardMessage::Counted { .. } | ShardMessage::RoomsCounted { .. })
                | Fact::Elapsed
                | Fact::TurnEnded
        );
        if !changes_nothing_counted {
            self.state.outbox.mark_dirty(self.state.now);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.record(self.state.now, fact);
        }
        pause
    }

    pub(super) fn handle_pause(&mut self, pause: Option<Pause>) {
        if let Some(pause) = pause {
            self.state.postpone_deadlines(pause);
            self.settle();
        }
    }

    /// Returns the pause in which the machine was not driven although something was due, if any.
    fn pause(&self, now: Time) -> Option<Pause> {
        if now.since(self.state.now) <= PAUSE_MIN {
            return None;
        }
        let length = now.since(self.deadline()?.at.max(self.state.now));
        (length > PAUSE_MIN).then_some(Pause { now, length })
    }

    /// Calls the handler with an event and handles the effects.
    pub(super) fn emit(&mut self, event: Event<'_, H::Note>) {
        self.call(event);
        self.settle();
    }

    /// Flushes write buffers, emits pending events, frees ended connections, and starts drains.
    ///
    /// Repeats this until nothing is left to do. Ends unused tunnels as well.
    #[inline]
    pub(super) fn settle(&mut self) {
        if !self.state.has_nothing_to_settle() {
            self.settle_all();
        }
    }

    fn settle_all(&mut self) {
        loop {
            self.state.flush_write_buffers();
            self.emit_pending();
            #[cfg(feature = "tls")]
            self.begin_asked_tls();
            if self.state.handle_own_messages() || self.state.drive_link_further() {
                // Their events may cause more.
            } else if !self.state.over.is_empty() {
                // The handler learns that a dial is over once its slot is free.
                self.state.free_ended();
            } else if core::mem::take(&mut self.state.drain_wanted) {
                self.drain();
            } else if self.state.release_kept_dials() {
                // Their connections may be over.
            } else if !self.state.end_unused_tunnels() {
                return;
            }
        }
    }

    fn emit_pending(&mut self) {
        loop {
            self.emit_all_pending();
            // Handling a copy may cause pending events.
            let Some(Copied { conn, start, bytes }) = self.state.watched.next() else { return };
            if self.state.open_slot(conn).is_some() {
                self.call(Event::Sent { conn, start: start.as_payload(), bytes });
                self.state.flush_write_buffers();
            }
        }
    }

    fn emit_all_pending(&mut self) {
        while let Some(pending) = self.state.pending.pop_front() {
            let (status, name, member, info, answer, cluster_answer, handed_over, reason);
            let event = match pending {
                // It may have been closed since, and `Closed` is the last event.
                Pending::Stalled(conn) | Pending::Drained(conn) | Pending::Authenticated(conn)
                    if self.state.open_slot(conn).is_none() =>
                {
                    continue;
                }
                Pending::Stalled(conn) => Event::Stalled { conn, queued: self.state.outbound.pending(conn.slot()) },
                Pending::Authenticated(conn) => Event::Authenticated { conn },
                Pending::Drained(conn) => Event::Drained { conn },
                Pending::Closed(conn, reason) => Event::Closed { conn, reason },
                Pending::Refused(listener, peer, reason) => Event::Refused { listener, peer, reason },
                Pending::AcceptPaused(listener, failure) => Event::AcceptPaused { listener, failure },
                Pending::AcceptResumed(listener) => Event::AcceptResumed { listener },
                Pending::DialFailed(dial, failure, retry_at) => Event::DialFailed { dial, failure, retry_at },
                Pending::Joined { conn, room, position, recovery, missed } if self.state.open_slot(conn).is_some() => {
                    (name, handed_over) = (room, missed);
                    Event::Joined { conn, room: AppIndex::of_room(&name).1, position, recovery, missed: &handed_over }
                }
                Pending::Joined { .. } => continue,
                Pending::RoomGap { conn: Some(conn), .. } if self.state.open_slot(conn).is_none() => continue,
                Pending::RoomGap { conn, room, position, why } => {
                    name = room;
                    Event::RoomGap(RoomGap::new(conn, &name, position, why))
                }
                Pending::PresenceChanged { room, name: who, is_present, info: about } => {
                    (name, member, info) = (room, who, about);
                    Event::PresenceChanged(PresenceChange::new(&name, &member, is_present, info.as_deref()))
                }
                Pending::RoomAnswered(request, found) => {
                    answer = found;
                    Event::RoomAnswered { request, answer: &answer }
                }
                Pending::RequestExpired(ticket, listener) => Event::RequestExpired { ticket, listener },
                Pending::LoginEnded(conn, listener) => Event::LoginEnded { conn, listener },
                Pending::ClusterAnswered(request, found) => {
                    cluster_answer = found;
                    Event::ClusterAnswered { request, answer: &cluster_answer }
                }
                Pending::HostMessage { from, topic: of, content: said } => {
                    (name, info) = (of, Some(said));
                    Event::HostMessage { from, topic: &name, content: info.as_deref().unwrap_or_default() }
                }
                Pending::Broker { is_up, why } => {
                    reason = why;
                    Event::Broker { is_up, why: reason.as_deref() }
                }
                Pending::DialEnded(dial) => Event::DialEnded { dial },
                Pending::Tunnel(tunnel) => {
                    status = self.state.tunnel_status(tunnel);
                    match &status {
                        Some(status) => Event::Tunnel { status },
                        None => continue,
                    }
                }
            };
            self.call(event);
            // Sending may have stalled a connection, which causes another event.
            self.state.flush_write_buffers();
        }
    }
}
