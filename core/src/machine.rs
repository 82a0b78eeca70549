use crate::conn::Phase;
use crate::handler::{Event, Handler};
use crate::id::Origin;
use crate::input::{AcceptFailure, Fact, Failure, Input, Refusal, Request};
use crate::limit::Action;
use crate::outbound::Outbound;
use crate::state::{Deadline, Ending, Pending, State, Why, farewell};
use crate::trace::Recorder;
use crate::wire::{Decoded, Wire};
use crate::{Config, ConnId, DialId, Hub, ListenerId, Metrics, Payload, Peer, Reason, Time};
use alloc::vec::Vec;
use core::time::Duration;

/// What is read of a connection and may not be served yet is kept up to here. A shell that keeps to
/// [`Intent::read`], and reads less than this at a time, never comes near.
const HELD_MAX_BYTES: usize = 1 << 20;
/// What a drain that is hurried leaves for last bytes.
const HURRY: Duration = Duration::from_millis(500);
/// Later than this nothing happens, so that there is always a moment after now.
const LAST: Time = Time::from_nanos(u64::MAX - 1);

/// A whole server without its sockets: takes facts, shows intentions, and tells the handler what happens.
///
/// See the [crate] for the idea and the loop. Facts can't fail (who may not come in is an answer, not a failure);
/// one about a connection that is over, or
/// that makes no sense, is ignored. `now` never goes backwards: the latest time that was given counts.
pub struct Machine<H: Handler> {
    handler: H,
    state: State<H::Context>,
    recorder: Option<Recorder<H::Note>>,
    /// Messages served in this turn.
    turn_messages: u64,
}

/// What should be so for one connection. A level, not an event: it may be looked at any number of times.
#[derive(Clone, Copy)]
pub struct Intent<'a> {
    /// The socket should be read when it is readable.
    pub read: bool,
    /// What should be written.
    pub transmit: Transmit<'a>,
    /// Whether our half should be closed.
    pub end: End,
}

/// Whether our half of a connection should be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It stays open.
    Open,
    /// Nothing more will be written: the writing half should be shut down.
    Shutdown,
}

/// Whether a listener should accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepting {
    /// Yes.
    Now,
    /// Not for the time being; the [`deadline`](Machine::deadline) covers when to try again.
    Later,
    /// Not any more: the listener should be closed.
    Never,
}

/// Bytes to write, which belong to the machine.
#[derive(Clone, Copy)]
pub struct Transmit<'a> {
    outbound: &'a Outbound,
    index: u32,
}

impl<'a> Transmit<'a> {
    /// How many bytes in all.
    #[must_use]
    pub fn len(self) -> usize {
        self.outbound.pending(self.index)
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The first of the [`slices`](Self::slices); empty if there is nothing to write.
    #[must_use]
    pub fn first(self) -> &'a [u8] {
        self.slices().next().unwrap_or_default()
    }

    /// The bytes in order. Most often one slice; write as many as the socket takes with one call.
    pub fn slices(self) -> impl Iterator<Item = &'a [u8]> {
        self.outbound.slices(self.index)
    }
}

/// Facts.
impl<H: Handler> Machine<H> {
    /// A machine at rest.
    pub fn new(config: Config, handler: H) -> Self {
        Self { handler, state: State::new(config), recorder: None, turn_messages: 0 }
    }

    /// The server has begun: told once, before everything else.
    pub fn started(&mut self, now: Time) {
        self.begin(now, &Fact::Started);
        self.tell(Event::Started);
    }

    /// A listener has a new connection.
    ///
    /// The id may have the [index](ConnId::index) of a connection that was over a moment ago; its socket, if
    /// the shell still has it, is to be dropped.
    ///
    /// # Errors
    /// It is not let in: write the farewell as far as the socket takes it and drop the socket.
    pub fn accepted(&mut self, now: Time, listener: ListenerId, peer: Peer) -> Result<ConnId, Refusal> {
        self.begin(now, &Fact::Accepted { listener, peer });
        if let Some(door) = self.state.doors.get_mut(listener.index()) {
            door.failures = 0;
        }
        match self.admit(listener, peer) {
            Ok(wire) => Ok(self.opened(peer, Origin::Listener(listener), wire)),
            Err(reason) => {
                self.state.metrics.refused.add(reason);
                let mut words = Vec::new();
                if let Some(listen) = self.state.config.listeners.get(listener.index()).filter(|listen| listen.notices)
                {
                    let _ = listen.wire.encode(Payload::Text(&farewell(reason)), &mut words);
                }
                Err(Refusal { reason, farewell: words })
            }
        }
    }

    /// A listener could not accept.
    pub fn accept_failed(&mut self, now: Time, listener: ListenerId, failure: AcceptFailure) {
        self.begin(now, &Fact::AcceptFailed { listener, failure });
        self.state.accept_failed(listener, failure == AcceptFailure::Exhausted);
    }

    /// Bytes were read. They are changed in place where the wire asks for it, and of no use afterwards.
    ///
    /// To be called only while [`Intent::read`] is true, and with less than 1 MiB. What may not be served yet is
    /// kept for later, up to 1 MiB; more ends the connection as [`Reason::RateLimited`].
    pub fn received(&mut self, now: Time, conn: ConnId, bytes: &mut [u8]) {
        self.begin(now, &Fact::Received { conn, bytes });
        let (now, limits, index) = (self.state.now, self.state.config.closing, conn.slot());
        let waits = self.state.must_wait(index);
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        self.state.metrics.bytes_in += bytes.len() as u64;
        found.last_byte_at = now;
        match found.phase {
            Phase::Open if found.input_ended => {}
            Phase::Open if waits || !found.held.is_empty() => self.hold(conn, bytes),
            Phase::Open => {
                self.digest(conn, bytes);
                self.state.schedule(index);
            }
            Phase::Flushing { .. } | Phase::Lingering { .. } => {
                found.discarded = found.discarded.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                if found.discarded > limits.discard_max_bytes {
                    self.state.forget(index);
                }
            }
            Phase::Over => {}
        }
        self.settle();
    }

    /// The socket took `bytes` bytes of what [`Intent::transmit`] showed.
    pub fn wrote(&mut self, now: Time, conn: ConnId, bytes: usize) {
        self.begin(now, &Fact::Wrote { conn, bytes });
        if self.state.conns.get(conn).is_some() {
            self.state.wrote(conn.slot(), bytes);
            self.settle();
        }
    }

    /// The socket takes nothing more for now. To be told whenever a write would block: from then on, until
    /// everything is written, the connection is measured against the marks and the write deadline.
    pub fn blocked(&mut self, now: Time, conn: ConnId) {
        self.begin(now, &Fact::Blocked { conn });
        if self.state.conns.get(conn).is_some() {
            self.state.blocked(conn.slot());
            self.settle();
        }
    }

    /// The shell has offered every connection that [`next_changed`](Self::next_changed) named what there was to
    /// write, and is about to wait. Memory is tidied for those that are behind, and what was held back because
    /// [much was queued](Self::turn_is_full) goes on.
    pub fn turn_ended(&mut self, now: Time) {
        self.begin(now, &Fact::TurnEnded);
        self.state.outbound.end_turn();
        if self.turn_messages > 0 {
            self.state.metrics.turn_messages.record(core::mem::take(&mut self.turn_messages));
        }
    }

    /// The peer ended its half: there is nothing more to read.
    pub fn ended(&mut self, now: Time, conn: ConnId) {
        self.begin(now, &Fact::Ended { conn });
        let waits = self.state.must_wait(conn.slot());
        let Some(found) = self.state.conns.get_mut(conn).filter(|found| !found.input_ended) else { return };
        found.input_ended = true;
        match found.phase {
            Phase::Open if found.held.is_empty() && !waits => self.finish_input(conn),
            // What is held is served first, and nothing while it must wait.
            Phase::Open => self.state.schedule(conn.slot()),
            Phase::Flushing { .. } => {}
            Phase::Lingering { .. } | Phase::Over => self.state.forget(conn.slot()),
        }
        self.state.outbound.changed.insert(conn.slot());
        self.settle();
    }

    /// The socket failed and is of no use.
    pub fn failed(&mut self, now: Time, conn: ConnId, failure: Failure) {
        self.begin(now, &Fact::Failed { conn, failure });
        if self.state.conns.get(conn).is_some() {
            self.state.end(conn.slot(), failure.reason(), Ending::Drop);
            self.state.forget(conn.slot());
            self.settle();
        }
    }

    /// Time passed. To be called at the [`deadline`](Self::deadline); at any other time it does no harm.
    pub fn elapsed(&mut self, now: Time) {
        self.begin(now, &Fact::Elapsed);
        let now = self.state.now;
        if self.state.drain.is_some_and(|deadline| deadline <= now) {
            let ids: Vec<_> = self.state.conns.ids().collect();
            for id in ids {
                self.state.end(id.slot(), Reason::Shutdown, Ending::Drop);
                self.state.forget(id.slot());
            }
            self.settle();
        }
        for door in &mut self.state.doors {
            door.rests_until = door.rests_until.filter(|&until| until > now);
        }
        while let Some(dial) = self.state.dials.overdue(now) {
            self.dial_is_lost(dial, Failure::TimedOut);
        }
        self.state.dials.elapsed(now);
        while let Some(index) = self.state.agenda.take_due(now) {
            self.look_at(index);
            self.state.schedule(index);
            self.settle();
        }
        while let Some(timer) = self.state.timers.take_due(now) {
            self.tell(Event::Timer(timer));
            if self.state.turn_is_full() {
                // The others are due still, and come when this is written.
                break;
            }
        }
    }

    /// An attempt to connect that [`dials`](Self::dials) showed went well. `None` if the connection is no longer
    /// wanted; its socket is to be dropped.
    pub fn dialed(&mut self, now: Time, dial: DialId, peer: Peer) -> Option<ConnId> {
        self.begin(now, &Fact::Dialed { dial, peer });
        let wire = self.state.dials.wire_if_wanted(dial)?;
        self.state.admission.count_in(None, peer);
        let id = self.opened(peer, Origin::Dial(dial), wire);
        self.state.dials.connected(dial, id, self.state.now);
        Some(id)
    }

    /// An attempt to connect that [`dials`](Self::dials) showed failed.
    pub fn dial_failed(&mut self, now: Time, dial: DialId, failure: Failure) {
        self.begin(now, &Fact::DialFailed { dial, failure });
        if self.state.dials.wire_if_wanted(dial).is_some() {
            self.dial_is_lost(dial, failure);
        }
    }

    fn dial_is_lost(&mut self, dial: DialId, failure: Failure) {
        self.state.metrics.dial_errors += 1;
        let State { dials, random, now, .. } = &mut self.state;
        let retry_at = dials.disconnected(dial, *now, random);
        self.tell(Event::DialFailed { dial, failure, retry_at });
    }

    /// A note came from outside.
    pub fn noted(&mut self, now: Time, note: H::Note) {
        self.begin(now, &Fact::Noted(&note));
        self.tell(Event::Note(note));
    }

    /// An operator or another thread asks for something.
    pub fn requested(&mut self, now: Time, request: &Request) {
        self.begin(now, &Fact::Requested(request));
        match request {
            Request::Publish { room, payload } => {
                self.state.publish(room, &[], payload.as_payload());
            }
            Request::Kick { conn } => {
                if let Some(index) = self.state.open_slot(*conn) {
                    self.state.end(index, Reason::Kicked, Ending::Flush);
                }
            }
            Request::Drain => self.drain(),
        }
        self.settle();
    }

    /// Any fact. For those that let a connection in, whether and as whom.
    pub fn apply(&mut self, now: Time, input: Input<H::Note>) -> Option<Result<ConnId, Refusal>> {
        match input {
            Input::Started => self.started(now),
            Input::Accepted { listener, peer } => return Some(self.accepted(now, listener, peer)),
            Input::AcceptFailed { listener, failure } => self.accept_failed(now, listener, failure),
            Input::Received { conn, mut bytes } => self.received(now, conn, &mut bytes),
            Input::Wrote { conn, bytes } => self.wrote(now, conn, bytes),
            Input::Blocked { conn } => self.blocked(now, conn),
            Input::TurnEnded => self.turn_ended(now),
            Input::Ended { conn } => self.ended(now, conn),
            Input::Failed { conn, failure } => self.failed(now, conn, failure),
            Input::Elapsed => self.elapsed(now),
            Input::Dialed { dial, peer } => return self.dialed(now, dial, peer).map(Ok),
            Input::DialFailed { dial, failure } => self.dial_failed(now, dial, failure),
            Input::Noted(note) => self.noted(now, note),
            Input::Requested(request) => self.requested(now, &request),
        }
        None
    }
}

/// Intentions.
impl<H: Handler> Machine<H> {
    /// What should be so for a connection; `None` if its socket is to be dropped.
    #[must_use]
    pub fn intent(&self, conn: ConnId) -> Option<Intent<'_>> {
        let found = self.state.conns.get(conn)?;
        let transmit = Transmit { outbound: &self.state.outbound, index: conn.slot() };
        let discards = matches!(found.phase, Phase::Flushing { .. } | Phase::Lingering { .. });
        let serves = found.is_open() && found.held.is_empty() && !self.state.must_wait(conn.slot());
        let end = if matches!(found.phase, Phase::Lingering { .. }) { End::Shutdown } else { End::Open };
        Some(Intent { read: !found.input_ended && (discards || serves), transmit, end })
    }

    /// A connection whose intent may have changed since it was last named here, if there is one. A connection
    /// that a shell forgets to look at after it was named is only late.
    pub fn next_changed(&mut self) -> Option<ConnId> {
        self.state.outbound.changed.pop().map(|index| self.state.conns.id(index))
    }

    /// Whether so much was queued since the last turn's end that the shell should write before it reads on.
    #[must_use]
    pub fn turn_is_full(&self) -> bool {
        self.state.turn_is_full()
    }

    /// When [`elapsed`](Self::elapsed) is to be called, if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        let of_conn = self.state.agenda.next().map(|(at, index)| {
            let why = self.state.next_deadline(index).map_or(Why::Idle, |deadline| deadline.why);
            Deadline { at, why }
        });
        let at = |at: Option<Time>, why| at.map(|at| Deadline { at, why });
        let candidates = [
            of_conn,
            at(self.state.timers.next(), Why::Timer),
            at(self.state.dials.next(), Why::Dial),
            at(self.state.doors.iter().filter_map(|door| door.rests_until).min(), Why::Accept),
            at(self.state.drain.filter(|_| self.state.conns.len() > 0), Why::Drain),
        ];
        // What lies at the end of time is never reached.
        candidates.into_iter().flatten().min().filter(|deadline| deadline.at <= LAST)
    }

    /// Whether a listener should accept.
    #[must_use]
    pub fn accepting(&self, listener: ListenerId) -> Accepting {
        match self.state.doors.get(listener.index()) {
            None => Accepting::Never,
            Some(_) if self.state.drain.is_some() => Accepting::Never,
            Some(door) if door.rests_until.is_some() => Accepting::Later,
            Some(_) => Accepting::Now,
        }
    }

    /// The connections that the shell should make, and where to. Each is shown until [`dialed`](Self::dialed)
    /// says how the attempt went, or until it is no longer wanted.
    pub fn dials(&self) -> impl Iterator<Item = (DialId, &str)> {
        self.state.dials.wanted()
    }

    /// Whether a drain is over: the shell may go.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.state.drain.is_some() && self.state.conns.len() == 0
    }

    /// The counters and gauges as of now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.state.metrics()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// The latest time that was given.
    #[must_use]
    pub fn now(&self) -> Time {
        self.state.now
    }

    /// The application.
    #[must_use]
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// Records every fact; see [`trace`](crate::trace). To be called before the first one.
    pub fn record(&mut self, mut recorder: Recorder<H::Note>) {
        recorder.begin(self.state.config.seed.unwrap_or_default());
        self.recorder = Some(recorder);
    }
}

impl<H: Handler> Machine<H> {
    fn begin(&mut self, now: Time, fact: &Fact<'_, H::Note>) {
        self.state.now = self.state.now.max(now.min(LAST));
        if let Some(recorder) = &mut self.recorder {
            recorder.record(self.state.now, fact);
        }
    }

    /// Tells the handler, and then what came of it.
    fn tell(&mut self, event: Event<'_, H::Note>) {
        self.handler.on(&mut Hub { state: &mut self.state }, event);
        self.settle();
    }

    /// Tells the handler what waits, until nothing does, and frees what is over.
    fn settle(&mut self) {
        while let Some(pending) = self.state.pending.pop_front() {
            let event = match pending {
                Pending::Stalled(conn) => Event::Stalled { conn, queued: self.state.outbound.pending(conn.slot()) },
                Pending::Drained(conn) => Event::Drained { conn },
                Pending::Closed(conn, reason) => Event::Closed { conn, reason },
            };
            // An open connection may have been closed since, and `Closed` is the last event.
            let outdated = !matches!(pending, Pending::Closed(..)) && is_behind_closed(&self.state, &event);
            if outdated {
                continue;
            }
            self.handler.on(&mut Hub { state: &mut self.state }, event);
            if let Pending::Closed(conn, _) = pending {
                self.state.contexts[conn.index()] = None;
            }
        }
        self.state.free_those_over();
    }

    fn admit(&mut self, listener: ListenerId, peer: Peer) -> Result<Wire, Reason> {
        let State { config, admission, now, drain, .. } = &mut self.state;
        let listen = config.listeners.get(listener.index()).ok_or(Reason::Shutdown)?;
        if drain.is_some() {
            return Err(Reason::Shutdown);
        }
        admission.admit(*now, listener, listen.connections_max, peer, config.connections)?;
        Ok(listen.wire)
    }

    fn opened(&mut self, peer: Peer, origin: Origin, wire: Wire) -> ConnId {
        let id = self.state.open(peer, origin, wire);
        self.tell(Event::Opened { conn: id, peer, origin });
        id
    }

    /// Serves the messages in `bytes`, and holds what may not be served yet.
    fn digest(&mut self, conn: ConnId, bytes: &mut [u8]) {
        let index = conn.slot();
        let budget = self.state.config.budget;
        let Some(mut decoder) = self.state.conns.get_mut(conn).and_then(|found| found.decoder.take()) else { return };
        let (mut at, mut served) = (0, 0);
        while at < bytes.len() && self.state.open_slot(conn).is_some() {
            let enough =
                served >= budget.messages_per_turn.max(1) || served > 0 && self.state.should_write_first(index);
            if enough || self.state.must_wait(index) {
                self.hold(conn, &bytes[at..]);
                break;
            }
            let Decoded { used, message } = match decoder.decode(&mut bytes[at..], &budget) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.state.end(index, error.reason(), Ending::Flush);
                    break;
                }
            };
            at += used;
            served += u32::from(message.is_some());
            let action = self.state.charge(index, u64::from(message.is_some()), used as u64);
            let doomed = self.state.conns.get_mut(conn).is_some_and(|found| {
                found.doomed |= action == Action::Drop;
                found.doomed && (message.is_none() || core::mem::take(&mut found.doomed))
            });
            match message {
                Some(_) if doomed => self.state.metrics.rate_dropped += 1,
                Some(payload) if action.serves() => self.serve(conn, payload),
                _ => {}
            }
        }
        let now = self.state.now;
        if let Some(found) = self.state.conns.get_mut(conn) {
            if served > 0 {
                found.message_since = None;
                found.last_message_at = now;
            }
            if decoder.is_partial() {
                found.message_since.get_or_insert(now);
            }
            found.decoder = Some(decoder);
        }
    }

    /// Keeps what was read and may not be served yet.
    fn hold(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        if found.held.len() + bytes.len() > HELD_MAX_BYTES {
            return self.state.end(conn.slot(), Reason::RateLimited, Ending::Flush);
        }
        found.held.extend_from_slice(bytes);
        self.state.outbound.changed.insert(conn.slot());
    }

    fn serve(&mut self, conn: ConnId, payload: Payload<'_>) {
        // A warning may have been one message too many for a slow peer.
        if self.state.open_slot(conn).is_none() {
            return;
        }
        self.state.metrics.messages_in += 1;
        self.turn_messages += 1;
        self.handler.on(&mut Hub { state: &mut self.state }, Event::Message { conn, payload });
        if !self.state.pending.is_empty() {
            self.settle();
        }
    }

    /// The peer ended its half and everything before that is served.
    fn finish_input(&mut self, conn: ConnId) {
        let budget = self.state.config.budget;
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        found.input_finished = true;
        let (half_open, decoder) = (found.half_open, found.decoder.take());
        let Some(mut decoder) = decoder else { return };
        let reason = match decoder.finish(&budget) {
            Ok(None) => Reason::PeerClosed,
            Ok(Some(payload)) => {
                let doomed = self.state.conns.get(conn).is_some_and(|found| found.doomed);
                if self.state.charge(conn.slot(), 1, 0).serves() && !doomed {
                    self.serve(conn, payload);
                }
                Reason::PeerClosed
            }
            Err(error) => error.reason(),
        };
        if let Some(found) = self.state.conns.get_mut(conn) {
            found.decoder = Some(decoder);
            found.message_since = None;
        }
        if half_open && reason == Reason::PeerClosed && self.state.open_slot(conn).is_some() {
            self.tell(Event::InputEnded { conn });
        } else {
            self.state.end(conn.slot(), reason, Ending::Flush);
        }
    }

    /// Does what is due for a connection.
    fn look_at(&mut self, index: u32) {
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
        let due = self.state.next_deadline(index).filter(|deadline| deadline.at <= now);
        match due.map(|deadline| deadline.why) {
            Some(Why::Flush | Why::Linger) => self.state.forget(index),
            Some(Why::Write) => self.state.end(index, Reason::SlowConsumer, Ending::Discard),
            Some(Why::Message) => self.state.end(index, Reason::MessageTimeout, Ending::Flush),
            Some(Why::Idle) => self.state.end(index, Reason::Idle, Ending::Flush),
            Some(Why::Silence) => self.state.end(index, Reason::Silent, Ending::Flush),
            Some(Why::Drain) => self.state.end(index, Reason::Shutdown, Ending::Flush),
            _ => {}
        }
    }

    /// Serves what was held, and the end of the input behind it, as far as that may be.
    fn serve_held(&mut self, id: ConnId) {
        if self.state.must_wait(id.slot()) {
            return;
        }
        let Some(conn) = self.state.conns.get_mut(id).filter(|conn| conn.is_open()) else { return };
        if !conn.held.is_empty() {
            let mut held = core::mem::take(&mut conn.held);
            self.digest(id, &mut held);
            self.state.outbound.changed.insert(id.slot());
        }
        let waits = self.state.must_wait(id.slot());
        let Some(conn) = self.state.conns.get_mut(id).filter(|conn| conn.is_open() && conn.held.is_empty()) else {
            return;
        };
        if conn.input_ended && !conn.input_finished && !waits {
            self.finish_input(id);
        }
    }

    fn drain(&mut self) {
        let now = self.state.now;
        let hurry = self.state.drain.is_some();
        if let Some(deadline) = &mut self.state.drain {
            *deadline = (*deadline).min(now + HURRY);
        } else {
            self.state.drain = Some(now + self.state.config.drain.deadline);
            self.state.dials.close();
            self.tell(Event::Draining);
        }
        let ids: Vec<_> = self.state.conns.ids().filter(|&id| self.state.open_slot(id).is_some()).collect();
        let many = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let window = self.state.config.drain.window_for(many);
        for id in ids {
            let wait = if hurry { Duration::ZERO } else { self.state.random.within(window) };
            if let Some(conn) = self.state.conns.get_mut(id) {
                conn.drain_at = Some(now + wait);
            }
            if !hurry {
                self.state.notice(id.slot(), "notice: the server is shutting down");
            }
            self.state.schedule(id.slot());
        }
    }
}

/// Whether an event names a connection that is closed.
fn is_behind_closed<C: Default, N>(state: &State<C>, event: &Event<'_, N>) -> bool {
    match event {
        Event::Stalled { conn, .. } | Event::Drained { conn } => state.open_slot(*conn).is_none(),
        _ => false,
    }
}
