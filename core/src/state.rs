//! Everything but the handler: what the hub asks for happens here.

use crate::conn::{Conn, Phase};
use crate::dial::Dials;
use crate::id::Origin;
use crate::limit::{Action, Admission};
use crate::metrics::Metrics;
use crate::outbound::{Crossing, Outbound, PRIVATE, SlowPolicy};
use crate::room::{JoinError, Rooms};
use crate::slots::Slots;
use crate::timer::{Agenda, Timers};
use crate::wire::Wire;
use crate::{Config, ConnId, ListenerId, Payload, Peer, Random, Reason, Time};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

/// Once this much is queued in one turn it should be written before more is read.
const TURN_FULL_BYTES: u64 = 256 << 10;

pub(crate) struct State<C> {
    pub(crate) now: Time,
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) conns: Slots<Conn>,
    /// By slot; a context outlives its connection until its `Closed` was delivered.
    pub(crate) contexts: Vec<Option<C>>,
    pub(crate) outbound: Outbound,
    pub(crate) rooms: Rooms,
    pub(crate) timers: Timers,
    pub(crate) agenda: Agenda,
    pub(crate) dials: Dials,
    pub(crate) admission: Admission,
    /// By listener.
    pub(crate) doors: Vec<Door>,
    pub(crate) metrics: Metrics,
    /// Events that wait until the handler has returned.
    pub(crate) pending: VecDeque<Pending>,
    /// Connections whose slots are to be freed once their events are delivered.
    pub(crate) over: Vec<u32>,
    /// The hard deadline of a drain.
    pub(crate) drain: Option<Time>,
}

/// How accepting goes at one listener.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Door {
    /// Nothing is accepted before then.
    pub(crate) rests_until: Option<Time>,
    /// Failures since the last success.
    pub(crate) failures: u8,
}

/// So many failures in a row are no accident.
const ACCEPT_FAILURES_MAX: u8 = 16;

/// An event about a connection that waits for its turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pending {
    Stalled(ConnId),
    Drained(ConnId),
    Closed(ConnId, Reason),
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What is queued is written first.
    Flush,
    /// Only what has been begun is written first.
    Discard,
    /// The socket is of no use.
    Drop,
}

impl<C: Default> State<C> {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            now: Time::START,
            random: Random::new(config.seed.unwrap_or_default()),
            conns: Slots::default(),
            contexts: Vec::new(),
            outbound: Outbound::new(config.outbound),
            rooms: Rooms::default(),
            timers: Timers::default(),
            agenda: Agenda::default(),
            dials: Dials::default(),
            admission: Admission::default(),
            doors: config.listeners.iter().map(|_| Door::default()).collect(),
            metrics: Metrics::new(),
            pending: VecDeque::new(),
            over: Vec::new(),
            drain: None,
            config,
        }
    }

    /// Gives a peer that was let in a place.
    pub(crate) fn open(&mut self, peer: Peer, origin: Origin, wire: Wire) -> ConnId {
        let number = self.outbound.intern(wire);
        let mut conn = Conn::new(peer, origin, wire.decoder(), number, self.now);
        if let Origin::Listener(listener) = origin
            && let Some(listen) = self.config.listeners.get(listener.index())
        {
            conn.half_open = listen.half_open;
            conn.notices = listen.notices;
        }
        let id = self.conns.insert(conn);
        let index = id.slot();
        self.outbound.open(index, number);
        if self.contexts.len() <= id.index() {
            self.contexts.resize_with(id.index() + 1, || None);
        }
        self.contexts[id.index()] = Some(C::default());
        self.metrics.opened += 1;
        self.outbound.changed.insert(index);
        self.schedule(index);
        id
    }

    /// The slot of a connection that is open.
    pub(crate) fn open_slot(&self, id: ConnId) -> Option<u32> {
        self.conns.get(id).filter(|conn| conn.is_open()).map(|_| id.slot())
    }

    pub(crate) fn send(&mut self, id: ConnId, payload: Payload<'_>) -> bool {
        let Some(index) = self.open_slot(id) else { return false };
        let sent = self.outbound.send(index, payload);
        self.count_out(u64::from(sent == Ok(true)), u64::from(sent.is_err()));
        self.settle_crossings();
        sent == Ok(true)
    }

    pub(crate) fn publish(&mut self, room: &str, except: &[ConnId], payload: Payload<'_>) -> usize {
        let Some(room) = self.rooms.number(room).and_then(|number| self.rooms.get(number)) else { return 0 };
        let (mut sent, mut unsendable) = (0, 0);
        // One exception is passed over while publishing; for more, the members are chosen first.
        let (one, several) = match *except {
            [one] => (self.conns.get(one).map(|_| one.slot()), false),
            _ => (None, !except.is_empty()),
        };
        for group in &room.groups {
            let chosen: Vec<u32>;
            let members = if several {
                let is_chosen = |member: &&u32| !except.contains(&self.conns.id(**member));
                chosen = group.members.iter().filter(is_chosen).copied().collect();
                &chosen
            } else {
                &group.members
            };
            match self.outbound.publish(members, one, group.wire, room.tag, room.policy, payload) {
                Ok(recipients) => sent += recipients,
                Err(_) => unsendable += members.iter().filter(|&&member| Some(member) != one).count(),
            }
        }
        self.count_out(sent as u64, unsendable as u64);
        self.settle_crossings();
        sent
    }

    pub(crate) fn send_each(&mut self, ids: &[ConnId], payload: Payload<'_>) -> usize {
        let mut groups: Vec<(u16, Vec<u32>)> = Vec::new();
        for &id in ids {
            let Some(conn) = self.conns.get(id).filter(|conn| conn.is_open()) else { continue };
            match groups.iter_mut().find(|(wire, _)| *wire == conn.wire) {
                Some((_, members)) => members.push(id.slot()),
                None => groups.push((conn.wire, alloc::vec![id.slot()])),
            }
        }
        let (mut sent, mut unsendable) = (0, 0);
        for (wire, members) in groups {
            match self.outbound.publish(&members, None, wire, PRIVATE, SlowPolicy::Close, payload) {
                Ok(recipients) => sent += recipients,
                Err(_) => unsendable += members.len(),
            }
        }
        self.count_out(sent as u64, unsendable as u64);
        self.settle_crossings();
        sent
    }

    pub(crate) fn join(&mut self, id: ConnId, name: &str) -> Result<bool, JoinError> {
        let Some(index) = self.open_slot(id) else { return Err(JoinError::NotOpen) };
        let limits = self.config.rooms;
        let Some(conn) = self.conns.at_mut(index) else { return Err(JoinError::NotOpen) };
        if let Some(number) = self.rooms.number(name)
            && conn.rooms.contains(&number)
        {
            return Ok(false);
        }
        if conn.rooms.len() >= limits.per_connection as usize {
            return Err(JoinError::TooManyOfConnection(limits.per_connection));
        }
        let number = self.rooms.number_or_new(name, &limits, self.config.outbound.slow_policy)?;
        conn.rooms.push(number);
        self.rooms.add(number, index, conn.wire);
        Ok(true)
    }

    pub(crate) fn leave(&mut self, id: ConnId, name: &str) -> bool {
        let (Some(number), Some(conn)) = (self.rooms.number(name), self.conns.get_mut(id)) else { return false };
        let Some(place) = conn.rooms.iter().position(|&room| room == number) else { return false };
        conn.rooms.swap_remove(place);
        self.rooms.remove(number, id.slot(), conn.wire);
        true
    }

    pub(crate) fn set_paused(&mut self, id: ConnId, paused: bool) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.paused != paused) else { return };
        conn.paused = paused;
        if !paused {
            conn.may_speak_again(now);
        }
        self.outbound.changed.insert(id.slot());
        self.schedule(id.slot());
    }

    /// Ends a connection that is open. The first reason is the one that counts.
    pub(crate) fn end(&mut self, index: u32, reason: Reason, ending: Ending) {
        let now = self.now;
        let Some(conn) = self.conns.at_mut(index).filter(|conn| conn.is_open()) else { return };
        let (wire, notices) = (conn.wire, conn.notices);
        conn.phase = if ending == Ending::Drop {
            Phase::Over
        } else {
            Phase::Flushing { until: now + self.config.closing.flush }
        };
        conn.held = Vec::new();
        for room in core::mem::take(&mut conn.rooms) {
            self.rooms.remove(room, index, wire);
        }
        self.metrics.ended.add(reason);
        self.metrics.lasted(now.since(conn.opened_at));
        let id = self.conns.id(index);
        self.timers.cancel_all_of(id);
        self.pending.push_back(Pending::Closed(id, reason));
        self.outbound.changed.insert(index);
        match ending {
            Ending::Drop => return self.over.push(index),
            Ending::Discard => self.outbound.discard(index),
            Ending::Flush => {}
        }
        let said_by_application = matches!(reason, Reason::Application | Reason::PeerClosed);
        if notices && !said_by_application {
            let _ = self.outbound.send_last(index, Payload::Text(&farewell(reason)));
        }
        self.schedule(index);
        self.progress_closing(index);
    }

    /// Moves a connection on that has its reason and nothing left to write.
    pub(crate) fn progress_closing(&mut self, index: u32) {
        let until = self.now + self.config.closing.linger;
        let Some(conn) = self.conns.at_mut(index) else { return };
        if !matches!(conn.phase, Phase::Flushing { .. }) || self.outbound.pending(index) > 0 {
            return;
        }
        if conn.input_ended {
            return self.forget(index);
        }
        conn.phase = Phase::Lingering { until };
        self.outbound.changed.insert(index);
        self.schedule(index);
    }

    /// The socket of a connection that has its reason is to be dropped.
    pub(crate) fn forget(&mut self, index: u32) {
        let Some(conn) = self.conns.at_mut(index) else { return };
        if conn.phase != Phase::Over {
            conn.phase = Phase::Over;
            self.outbound.changed.insert(index);
            self.over.push(index);
        }
    }

    /// Frees the slots of connections that are over. Their events have been delivered.
    pub(crate) fn free_those_over(&mut self) {
        while let Some(index) = self.over.pop() {
            let Some(conn) = self.conns.remove(index) else { continue };
            self.outbound.close(index);
            self.outbound.changed.insert(index);
            self.agenda.forget(index);
            match conn.origin {
                Origin::Listener(listener) => self.admission.count_out(Some(listener), conn.peer),
                Origin::Dial(dial) => {
                    self.admission.count_out(None, conn.peer);
                    let _ = self.dials.disconnected(dial, self.now, &mut self.random);
                }
            }
        }
    }

    /// Whether what a connection sends must wait, in the kernel or in `held`.
    pub(crate) fn must_wait(&self, index: u32) -> bool {
        let waits = |conn: &Conn| conn.paused || conn.rate_pause.is_some() || self.outbound.is_stalled(index);
        self.conns.at(index).is_some_and(waits)
    }

    /// Charges what arrived to the rates and says what to do with it.
    pub(crate) fn charge(&mut self, index: u32, messages: u64, bytes: u64) -> Action {
        let rates = self.config.rates;
        if rates.messages.is_none() && rates.bytes.is_none() {
            return Action::Serve;
        }
        let now = self.now;
        let Some(conn) = self.conns.at_mut(index) else { return Action::Serve };
        let (mut by_message, mut by_byte) = (conn.messages, conn.bytes);
        let over = |meter: &mut crate::limit::Gcra, units, rate: Option<crate::limit::Rate>| {
            rate.is_some_and(|rate| units > 0 && meter.try_charge(now, units, rate).is_err())
        };
        let too_many = over(&mut by_message, messages, rates.messages);
        let too_long = over(&mut by_byte, bytes, rates.bytes);
        if !too_many && !too_long {
            (conn.messages, conn.bytes) = (by_message, by_byte);
            return Action::Serve;
        }
        self.metrics.rate_exceeded += 1;
        let strikes = conn.strikes.add(now, rates.ladder.forgive_after);
        let action = rates.ladder.action(strikes);
        if action.serves() {
            let debt = |meter: &mut crate::limit::Gcra, units, rate: Option<crate::limit::Rate>| {
                let rate = rate?;
                meter.charge(now, units, rate).map(|until| until + rate.rest())
            };
            let until =
                debt(&mut conn.messages, messages, rates.messages).max(debt(&mut conn.bytes, bytes, rates.bytes));
            if action == Action::Pause {
                conn.rate_pause = until;
                self.outbound.changed.insert(index);
            }
        }
        if rates.ladder.tells(strikes) {
            self.notice(
                index,
                match action {
                    Action::Pause => "warning: too many messages or bytes; you are read more slowly",
                    Action::Drop => "warning: too many messages or bytes; what is too much is discarded",
                    _ => "warning: too many messages or bytes; please slow down",
                },
            );
        }
        match action {
            Action::Close => self.end(index, Reason::RateLimited, Ending::Flush),
            Action::Quarantine => {
                if let Some(conn) = self.conns.at(index) {
                    self.admission.quarantine(now, conn.peer, self.config.quarantine);
                }
                self.end(index, Reason::Quarantined, Ending::Flush);
            }
            Action::Serve | Action::Pause | Action::Drop => {}
        }
        action
    }

    /// Tells a peer something, where its wire can carry it.
    pub(crate) fn notice(&mut self, index: u32, text: &str) {
        if self.conns.at(index).is_some_and(|conn| conn.is_open() && conn.notices) {
            let _ = self.outbound.send(index, Payload::Text(text));
            self.settle_crossings();
        }
    }

    pub(crate) fn wrote(&mut self, index: u32, bytes: usize) {
        self.metrics.bytes_out += self.outbound.wrote(self.now, index, bytes) as u64;
        self.settle_crossings();
        self.progress_closing(index);
    }

    pub(crate) fn blocked(&mut self, index: u32) {
        self.outbound.blocked(self.now, index);
        self.schedule(index);
        self.settle_crossings();
    }

    /// A connection that was stalled is read again.
    fn drained(&mut self, index: u32) {
        let id = self.conns.id(index);
        if let Some(conn) = self.conns.at_mut(index).filter(|conn| conn.is_open()) {
            conn.may_speak_again(self.now);
            self.pending.push_back(Pending::Drained(id));
        }
        self.outbound.changed.insert(index);
        self.schedule(index);
    }

    fn settle_crossings(&mut self) {
        while let Some(crossing) = self.outbound.take_crossings() {
            match crossing {
                Crossing::Overflow(index) => self.end(index, Reason::SlowConsumer, Ending::Discard),
                Crossing::Drained(index) => self.drained(index),
                Crossing::Stalled(index) => {
                    self.outbound.changed.insert(index);
                    if self.conns.at(index).is_some_and(Conn::is_open) {
                        self.pending.push_back(Pending::Stalled(self.conns.id(index)));
                    }
                }
            }
        }
    }

    /// When a connection must be looked at next, and what for.
    pub(crate) fn next_deadline(&self, index: u32) -> Option<Deadline> {
        let conn = self.conns.at(index)?;
        let at = |at: Option<Time>, why| at.map(|at| Deadline { at, why });
        match conn.phase {
            Phase::Flushing { until } => at(Some(until), Why::Flush),
            Phase::Lingering { until } => at(Some(until), Why::Linger),
            Phase::Over => None,
            Phase::Open => {
                let waits = self.must_wait(index);
                let unserved = !conn.held.is_empty() || conn.input_ended && !conn.input_finished;
                let speaks = !waits && !unserved;
                let after = |since: Time, span: Option<core::time::Duration>| span.map(|span| since + span);
                let candidates = [
                    at(conn.rate_pause, Why::Rate),
                    at((!waits && unserved).then_some(self.now.plus_nanos(1)), Why::Backlog),
                    at(self.outbound.write_deadline(index), Why::Write),
                    at(
                        conn.message_since.filter(|_| speaks).map(|since| since + self.config.budget.message_deadline),
                        Why::Message,
                    ),
                    at(after(conn.last_message_at, self.config.idle).filter(|_| speaks), Why::Idle),
                    at(after(conn.last_byte_at, self.config.silence).filter(|_| speaks), Why::Silence),
                    at(conn.drain_at, Why::Drain),
                ];
                candidates.into_iter().flatten().min()
            }
        }
    }

    /// Makes sure that a connection is looked at in time.
    pub(crate) fn schedule(&mut self, index: u32) {
        if let Some(deadline) = self.next_deadline(index) {
            self.agenda.no_later_than(index, deadline.at);
        }
    }

    /// A listener rests that can't accept: at once if the process is out of something, else after many failures.
    pub(crate) fn accept_failed(&mut self, listener: ListenerId, exhausted: bool) {
        self.metrics.accept_errors += 1;
        let until = self.now + self.config.accept_backoff;
        let Some(door) = self.doors.get_mut(listener.index()) else { return };
        door.failures = door.failures.saturating_add(1);
        if exhausted || door.failures >= ACCEPT_FAILURES_MAX {
            *door = Door { rests_until: Some(until), failures: 0 };
        }
    }

    /// Whether so much was queued in this turn, or for this connection, that it should be written before more
    /// of the connection's messages are served: they may have long answers.
    pub(crate) fn should_write_first(&self, index: u32) -> bool {
        self.turn_is_full() || self.outbound.pending(index) > self.config.outbound.marks.max()
    }

    pub(crate) fn turn_is_full(&self) -> bool {
        self.outbound.turn_bytes > TURN_FULL_BYTES
    }

    /// The counters and gauges as of now.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut metrics = self.metrics.clone();
        metrics.open = metrics.opened - metrics.ended.total();
        metrics.closing = self.conns.len() as u64 - metrics.open;
        metrics.stalled = self.conns.ids().filter(|id| self.outbound.is_stalled(id.slot())).count() as u64;
        metrics.rooms = self.rooms.len() as u64;
        metrics.quarantined = self.admission.quarantine.len() as u64;
        metrics.accept_paused = self.doors.iter().filter(|door| door.rests_until.is_some()).count() as u64;
        metrics.queued_bytes = self.outbound.queued;
        metrics.queued_bytes_peak = self.outbound.queued_peak;
        metrics.queued_memory_bytes = self.outbound.held() as u64;
        metrics.skipped = self.outbound.skipped;
        metrics
    }

    fn count_out(&mut self, sent: u64, unsendable: u64) {
        self.metrics.messages_out += sent;
        self.metrics.messages_unsendable += unsendable;
    }
}

/// What a peer is told at its end, or instead of being let in.
pub(crate) fn farewell(reason: Reason) -> alloc::string::String {
    format!("closing ({reason}): {}", reason.sentence())
}

/// The moment at which [`Machine::elapsed`](crate::Machine::elapsed) is to be called, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// A drain closes a connection, or ends.
    Drain,
    /// A timer of the application is due.
    Timer,
    /// The next attempt to connect.
    Dial,
    /// A listener that was out of descriptors tries again.
    Accept,
}
