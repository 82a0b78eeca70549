use super::{LAST, Machine};
use crate::base::{ConnId, DialId, ListenerId, Time, UnixTime};
use crate::config::Config;
use crate::facts::record::{Recorder, sum_of};
use crate::facts::{Addressee, Shard, ShardMessage};
use crate::handler::Handler;
use crate::metrics::Metrics;
use crate::state::conn::{HandshakeStep, Phase};
use crate::state::outbound::Outbound;
use crate::state::{Deadline, Why};
#[cfg(feature = "tls")]
use crate::tls::TlsSession;
use crate::wire::telnet::Terminal;
use core::fmt;

/// The machine's intent for one connection: whether to read, what to write, whether to end.
///
/// A level, not an event: it can be read any number of times.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Intent<'a> {
    /// Whether to read the socket when it is readable.
    pub read: bool,
    /// The bytes to write.
    pub transmit: Transmit<'a>,
    /// Whether to close our half of the connection.
    pub end: End,
}

/// The intended state of our half of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must handle each")]
pub enum End {
    /// Our half stays open.
    Open,
    /// Nothing more will be written: the shell shuts down the writing half.
    Shutdown,
}

/// The intended state of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must handle each")]
pub enum Accepting {
    /// The listener accepts connections now.
    Now,
    /// The listener pauses. The [`deadline`](Machine::deadline) covers the next attempt.
    Later,
    /// The listener never accepts again: the shell closes it.
    Never,
}

/// Bytes to write, owned by the machine.
#[derive(Clone, Copy)]
pub struct Transmit<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Queue(&'a Outbound, u32),
    /// Encrypted bytes of a TLS session.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing is enciphered"))]
    Sealed(&'a [u8]),
}

impl<'a> Transmit<'a> {
    /// Returns the total number of bytes.
    #[must_use]
    pub fn len(self) -> usize {
        match self.0 {
            Source::Queue(outbound, index) => outbound.pending(index),
            Source::Sealed(bytes) => bytes.len(),
        }
    }

    /// Returns `true` if there is nothing to write.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the first of the [`slices`](Self::slices), empty if there is nothing to write.
    #[must_use]
    pub fn first(self) -> &'a [u8] {
        match self.0 {
            Source::Queue(outbound, index) => outbound.first(index),
            Source::Sealed(bytes) => bytes,
        }
    }

    /// Returns the bytes to write in order, most often as one slice.
    ///
    /// Write as many as the socket accepts with one call.
    pub fn slices(self) -> impl Iterator<Item = &'a [u8]> {
        let (queue, sealed) = match self.0 {
            Source::Queue(outbound, index) => (Some(outbound.slices(index)), None),
            Source::Sealed(bytes) => (None, Some(bytes).filter(|bytes| !bytes.is_empty())),
        };
        queue.into_iter().flatten().chain(sealed)
    }
}

impl fmt::Debug for Transmit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// The machine's intentions, which the shell carries out.
impl<H: Handler> Machine<H> {
    /// Returns the intent for a connection, or `None` if the shell must drop its socket.
    #[must_use]
    pub fn intent(&self, conn: ConnId) -> Option<Intent<'_>> {
        let found = self.state.conns.get(conn)?;
        let plain = Transmit(Source::Queue(&self.state.outbound, conn.slot()));
        let transmit = self.enciphered(conn).unwrap_or(plain);
        // While a response is awaited, reading only serves to notice that the client has gone.
        let has_input = !found.held.is_empty() && found.waiting().is_some();
        let at_once = self.state.asked_tls_until(conn).is_some()
            || found.is_undecided() && !found.backlog && !has_input && found.step != HandshakeStep::Admission
            || matches!(found.phase, Phase::Flushing { .. } | Phase::Lingering { .. }) && found.rate_pause.is_none();
        let serves =
            found.is_open() && found.held.is_empty() && !found.decoder.is_ahead() && !self.state.must_wait(conn.slot());
        let is_written = plain.is_empty() && found.finished && found.is_open();
        let is_over = transmit.is_empty()
            && self.is_sealed(conn)
            && (is_written || matches!(found.phase, Phase::Lingering { .. }));
        let end = if is_over { End::Shutdown } else { End::Open };
        Some(Intent { read: !found.input_ended && (at_once || serves), transmit, end })
    }

    /// Returns the encrypted bytes to write, or `None` on a connection without TLS.
    #[cfg(feature = "tls")]
    fn enciphered(&self, conn: ConnId) -> Option<Transmit<'_>> {
        self.tls.session(conn).map(|session| Transmit(Source::Sealed(session.outgoing())))
    }

    /// Returns `true` if the connection has no TLS, or TLS will encrypt no more output.
    #[cfg(feature = "tls")]
    fn is_sealed(&self, conn: ConnId) -> bool {
        self.tls.session(conn).is_none_or(TlsSession::has_said_all)
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "with TLS it depends")]
    const fn is_sealed(&self, _: ConnId) -> bool {
        true
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "with TLS it depends")]
    const fn enciphered(&self, _: ConnId) -> Option<Transmit<'_>> {
        None
    }

    /// Returns a connection whose intent may have changed since it was last returned, if any.
    ///
    /// If a shell does not check a returned connection, that connection is only delayed. Output of
    /// TLS connections is encrypted here, so that the output of one turn forms one record.
    ///
    /// A connection that is gone is returned with its own id, even if another one has its index by
    /// then. A shell that keeps its sockets by id drops each of them here.
    pub fn next_changed(&mut self) -> Option<ConnId> {
        if let Some(replaced) = self.state.replaced.pop_front() {
            #[cfg(feature = "tls")]
            self.tls.end(replaced);
            return Some(replaced);
        }
        let id = self.state.outbound.changed.pop().map(|index| self.state.conns.id(index))?;
        #[cfg(feature = "tls")]
        self.seal(self.state.now, id);
        Some(id)
    }

    /// Returns `true` if the turn queued so much that the shell should write before it reads on.
    #[must_use]
    pub fn turn_is_full(&self) -> bool {
        self.state.turn_is_full()
    }

    /// Returns when the shell may take its next turn, if it should rest until then.
    ///
    /// The shell sleeps until this time before it looks what is ready, so that the next turn handles more at once. The
    /// time is that of the last turn that sent messages to rooms, and the rest that [`Gather`](crate::outbound::Gather)
    /// sets. If the writes of a turn take long, count the rest from their end. A time that has passed means nothing.
    #[must_use]
    pub fn rests_until(&self) -> Option<Time> {
        self.state.outbound.rests_until
    }

    /// Returns the deadline at which to call [`elapsed`](Self::elapsed) if nothing else happens.
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
            at(self.state.tickets.next(), Why::Ticket),
            at(self.state.next_unanswered(), Why::RoomRequest),
            at(self.state.has_own_messages().then_some(self.state.now.plus_nanos(1)), Why::Backlog),
            at(self.state.dials.next(), Why::Dial),
            at(self.state.link_deadline(), Why::Broker),
            at(self.state.tunnels.next(), Why::Tunnel),
            at(self.state.listeners.next(), Why::Accept),
            at(self.state.outbox.counts_at, Why::Counts),
            at(self.state.shutdown_at, Why::Drain),
            at(self.state.drain.filter(|_| self.state.conns.len() > 0), Why::Drain),
        ];
        // The end of the time range is never reached.
        candidates.into_iter().flatten().min().filter(|deadline| deadline.at <= LAST)
    }

    /// Returns the wall-clock time at `now`, according to [`clock_set`](Self::clock_set).
    #[must_use]
    pub fn unix_time(&self, now: Time) -> Option<UnixTime> {
        self.state.wall_clock.map(|clock| clock.unix(now))
    }

    /// Returns whether a listener should accept connections.
    #[must_use]
    pub fn accepting(&self, listener: ListenerId) -> Accepting {
        match self.state.listeners.get_open(listener).filter(|_| self.state.drain.is_none()) {
            None => Accepting::Never,
            Some(_) if self.state.listeners.is_resting(listener) => Accepting::Later,
            Some(_) => Accepting::Now,
        }
    }

    /// Returns the dials whose connections the shell should make, with their addresses.
    ///
    /// Each dial is listed until [`dialed`](Self::dialed) or [`dial_failed`](Self::dial_failed)
    /// reports the outcome, or until the attempt times out or is cancelled. This visits every dial;
    /// a shell with many dials calls [`next_changed_dial`](Self::next_changed_dial) instead.
    pub fn dials(&self) -> impl Iterator<Item = (DialId, &str)> {
        self.state.dials.wanted()
    }

    /// Returns a dial whose attempt may have to start or stop since it was last returned, if any.
    ///
    /// See [`address_to_dial`](Self::address_to_dial).
    pub fn next_changed_dial(&mut self) -> Option<DialId> {
        self.state.dials.next_changed()
    }

    /// Returns the address to connect to for a dial, or `None` to make no attempt now.
    ///
    /// It is that of the [proxy](crate::Dial::proxy), if the dial has one.
    #[must_use]
    pub fn address_to_dial(&self, dial: DialId) -> Option<&str> {
        self.state.dials.address_if_wanted(dial)
    }

    /// Returns the next message for other shards, if any.
    ///
    /// At the end of a turn, call it until it returns `None`. A machine without other shards has no
    /// messages.
    pub fn next_shard_message(&mut self) -> Option<(Addressee, ShardMessage)> {
        self.state.outbox.next_shard_message()
    }

    /// Returns which shard of the server this machine is.
    #[must_use]
    pub fn which_shard(&self) -> Shard {
        self.state.outbox.shard
    }

    /// Returns `true` if the server is draining.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.is_draining()
    }

    /// Returns `true` if there is any connection, in any phase.
    #[must_use]
    pub fn has_connections(&self) -> bool {
        self.state.conns.len() > 0
    }

    /// Returns `true` if a drain is over, so that the shell may exit.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.state.drain.is_some()
            && self.state.conns.len() == 0
            && self.state.tunnels.are_over()
            && self.state.memory.is_quiet()
    }

    /// Returns a snapshot of the machine's metrics.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.state.metrics()
    }

    /// Returns the current configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// Returns the latest time that the machine has received.
    #[must_use]
    pub fn now(&self) -> Time {
        self.state.now
    }

    /// Returns the handler of the application.
    #[must_use]
    pub fn handler(&self) -> &H {
        &self.handler
    }

    pub(crate) fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// Returns what a telnet peer reported about its terminal, or `None` for other wires.
    #[must_use]
    pub fn terminal(&self, conn: ConnId) -> Option<&Terminal> {
        self.state.terminal(conn)
    }

    /// Starts to record every fact; see [`trace`](crate::trace). Call it before the first fact.
    pub fn record(&mut self, mut recorder: Recorder<H::Note>) {
        recorder.begin(self.state.config.seed.unwrap_or_default(), self.handler.holds_secrets());
        self.recorder = Some(recorder);
    }

    /// Records the sum of the plain bytes that a socket has accepted, if the recorder wants sums.
    pub(super) fn record_sum(&mut self, conn: ConnId, bytes: usize) {
        let recorder = self.recorder.as_mut().filter(|recorder| recorder.has_sums());
        if let Some(recorder) = recorder.filter(|_| self.state.conns.get(conn).is_some()) {
            recorder.record_sum(conn, sum_of(self.state.outbound.slices(conn.slot()), bytes));
        }
    }

    /// Records the connection that the last fact opened, if the recorder wants sums.
    pub(super) fn record_opened(&mut self, conn: ConnId) {
        if let Some(recorder) = self.recorder.as_mut().filter(|recorder| recorder.has_sums()) {
            recorder.record_opened(conn);
        }
    }

    /// Returns `true` if the application has paused a connection.
    #[cfg(feature = "sim")]
    pub(crate) fn is_paused(&self, conn: ConnId) -> bool {
        self.state.conns.get(conn).is_some_and(|found| found.paused)
    }

    /// Returns the recorded trace, or an empty text if the recorder does not keep it.
    #[cfg(feature = "sim")]
    pub(crate) fn recorded(&self) -> &str {
        self.recorder.as_ref().map_or("", Recorder::kept)
    }
}
