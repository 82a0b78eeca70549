use super::{LAST, Machine};
use crate::base::{ConnId, DialId, ListenerId, Time, UnixTime};
use crate::config::Config;
use crate::facts::record::Recorder;
use crate::facts::{Addressee, Letter, Shard};
use crate::handler::Handler;
use crate::metrics::Metrics;
use crate::state::conn::{Gate, Phase};
use crate::state::outbound::Outbound;
use crate::state::{Deadline, Why};
#[cfg(feature = "tls")]
use crate::tls::TlsSession;
use crate::wire::telnet::Terminal;
use core::fmt;

/// What should be so for one connection. A level, not an event: it may be looked at any number of times.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
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
pub struct Transmit<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Queue(&'a Outbound, u32),
    /// Enciphered.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing is enciphered"))]
    Sealed(&'a [u8]),
}

impl<'a> Transmit<'a> {
    /// How many bytes in all.
    #[must_use]
    pub fn len(self) -> usize {
        match self.0 {
            Source::Queue(outbound, index) => outbound.pending(index),
            Source::Sealed(bytes) => bytes.len(),
        }
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

/// Intentions.
impl<H: Handler> Machine<H> {
    /// What should be so for a connection; `None` if its socket is to be dropped.
    #[must_use]
    pub fn intent(&self, conn: ConnId) -> Option<Intent<'_>> {
        let found = self.state.conns.get(conn)?;
        let plain = Transmit(Source::Queue(&self.state.outbound, conn.slot()));
        let transmit = self.enciphered(conn).unwrap_or(plain);
        let at_once = found.is_undecided() && !found.backlog && found.gate != Gate::Admission
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

    /// What is to be written of a connection that speaks TLS.
    #[cfg(feature = "tls")]
    fn enciphered(&self, conn: ConnId) -> Option<Transmit<'_>> {
        self.tls.session(conn).map(|session| Transmit(Source::Sealed(session.outgoing())))
    }

    /// Whether TLS, if it is spoken, has said that nothing more will follow.
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

    /// A connection whose intent may have changed since it was last named here, if there is one. A connection
    /// that a shell forgets to look at after it was named is only late.
    ///
    /// What is to be written to a connection that speaks TLS is enciphered when it is named here, so that what one turn brings
    /// is one record.
    ///
    /// A connection that is gone is named by its own id, even if another has its index by then: a shell that keeps its sockets by
    /// id drops each of them here.
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
            at(self.state.tickets.next(), Why::Ticket),
            at(self.state.dials.next(), Why::Dial),
            at(self.state.tunnels.next(), Why::Tunnel),
            at(self.state.listeners.next(), Why::Accept),
            at(self.state.post.counts_at, Why::Counts),
            at(self.state.leaves_at, Why::Drain),
            at(self.state.drain.filter(|_| self.state.conns.len() > 0), Why::Drain),
        ];
        // What lies at the end of time is never reached.
        candidates.into_iter().flatten().min().filter(|deadline| deadline.at <= LAST)
    }

    /// What the machine takes the clock on the wall for at `now`; see [`clock_set`](Self::clock_set).
    #[must_use]
    pub fn unix_time(&self, now: Time) -> Option<UnixTime> {
        self.state.wall_clock.map(|clock| clock.unix(now))
    }

    /// Whether a listener should accept.
    #[must_use]
    pub fn accepting(&self, listener: ListenerId) -> Accepting {
        match self.state.listeners.get_open(listener).filter(|_| self.state.drain.is_none()) {
            None => Accepting::Never,
            Some(_) if self.state.listeners.is_resting(listener) => Accepting::Later,
            Some(_) => Accepting::Now,
        }
    }

    /// The connections that the shell should make, and where to. Each is shown until [`dialed`](Self::dialed) or
    /// [`dial_failed`](Self::dial_failed) says how the attempt went, or until it is no longer wanted.
    ///
    /// It looks at every dial. A shell that may have many asks for [`next_changed_dial`](Self::next_changed_dial) instead.
    pub fn dials(&self) -> impl Iterator<Item = (DialId, &str)> {
        self.state.dials.wanted()
    }

    /// A dial of which an attempt may have to begin or to be given up since it was last named here, if there is one; see
    /// [`address_to_dial`](Self::address_to_dial).
    pub fn next_changed_dial(&mut self) -> Option<DialId> {
        self.state.dials.next_changed()
    }

    /// Where the shell should connect to for a dial; `None` if no attempt is wanted (now).
    #[must_use]
    pub fn address_to_dial(&self, dial: DialId) -> Option<&str> {
        self.state.dials.get_if_wanted(dial).map(|dial| dial.address.as_str())
    }

    /// What this shard has to tell others, one after another: to be asked for until there is none, at the end of a turn. A
    /// machine that is alone has nothing to tell.
    pub fn next_letter(&mut self) -> Option<(Addressee, Letter)> {
        self.state.post.next_letter()
    }

    /// Which of the server's shards this is.
    #[must_use]
    pub fn which_shard(&self) -> Shard {
        self.state.post.shard
    }

    /// Whether the server is being drained.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.is_draining()
    }

    /// Whether there is a connection, in whatever state.
    #[must_use]
    pub fn has_connections(&self) -> bool {
        self.state.conns.len() > 0
    }

    /// Whether a drain is over: the shell may go.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.state.drain.is_some() && self.state.conns.len() == 0 && self.state.tunnels.are_over()
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

    pub(crate) fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// What a telnet peer told of itself; `None` for other wires.
    #[must_use]
    pub fn terminal(&self, conn: ConnId) -> Option<&Terminal> {
        self.state.terminal(conn)
    }

    /// Records every fact; see [`trace`](crate::trace). To be called before the first one.
    pub fn record(&mut self, mut recorder: Recorder<H::Note>) {
        recorder.begin(self.state.config.seed.unwrap_or_default(), self.handler.holds_secrets());
        self.recorder = Some(recorder);
    }

    /// Whether the application wants no messages of a connection for the time being.
    #[cfg(feature = "sim")]
    pub(crate) fn is_paused(&self, conn: ConnId) -> bool {
        self.state.conns.get(conn).is_some_and(|found| found.paused)
    }

    /// The trace of a recorder that keeps it.
    #[cfg(feature = "sim")]
    pub(crate) fn recorded(&self) -> &str {
        self.recorder.as_ref().map_or("", Recorder::kept)
    }
}
