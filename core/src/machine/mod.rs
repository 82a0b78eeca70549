mod admission;
mod admit;
mod call;
mod dialing;
mod due;
mod ended;
mod handshake;
mod intention;
mod offload;
mod outgoing_proxy;
#[cfg(feature = "std")]
mod panics;
mod reconfigure;
#[cfg(feature = "sim")]
mod recount;
mod request;
mod serve;
mod settle;
mod shards;
mod sharing;
mod ssh;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_layer;
mod tunnels;

pub use intention::{Accepting, End, Intent, Transmit};

use crate::base::{AcceptFailure, ConnId, Failure, ListenerId, Origin, Peer, Reason, Time, UnixTime};
use crate::config::Config;
use crate::facts::record::Recorder;
use crate::facts::{Command, Fact, Input, Refusal, Shard};
use crate::handler::{Contexts, Event, Handler};
use crate::state::conn::{HandshakeStep, Phase};
use crate::state::{Ending, State};
use crate::tls::Secured;
use crate::wire::{DecodeBuffer, ProbeInput};
use alloc::vec::Vec;
use core::fmt;

/// The latest time that the machine uses, so that a later time always exists.
const LAST: Time = Time::from_nanos(u64::MAX - 2);

/// A whole server without its sockets: receives facts, shows intentions, and calls the handler.
///
/// See the [crate] for the concept and the loop. Facts cannot fail; a refused connection is a
/// result, not a failure. The machine ignores facts that make no sense or are about a connection
/// that is over. An earlier `now` counts as the latest one.
pub struct Machine<H: Handler> {
    handler: H,
    contexts: Contexts<H::Context>,
    state: State,
    recorder: Option<Recorder<H::Note>>,
    /// Number of messages delivered to the handler in this turn.
    turn_messages: u64,
    scratch: DecodeBuffer,
    #[cfg(feature = "std")]
    panics: panics::Panics,
    #[cfg(feature = "tls")]
    tls: tls_layer::TlsLayer,
}

impl<H: Handler> fmt::Debug for Machine<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = self.state.conns.len();
        f.debug_struct("Machine")
            .field("now", &self.state.now)
            .field("connections", &connections)
            .finish_non_exhaustive()
    }
}

/// Facts, which the shell reports to the machine.
impl<H: Handler> Machine<H> {
    /// Creates a machine that has not started.
    pub fn new(config: Config, handler: H) -> Self {
        Self::shard(config, handler, Shard::ALONE)
    }

    /// Creates a machine that is one of several shards.
    ///
    /// All have the same configuration, and each has its own handler. The shell passes messages
    /// from [`next_shard_message`](Self::next_shard_message) to the
    /// [`shard_message_received`](Self::shard_message_received) of their recipients.
    pub fn shard(config: Config, handler: H, shard: Shard) -> Self {
        // Answers and application messages use different masks.
        let scratch = DecodeBuffer::new(!config.seed.unwrap_or_default());
        Self {
            handler,
            contexts: Contexts::default(),
            state: State::new(config, shard),
            recorder: None,
            turn_messages: 0,
            scratch,
            #[cfg(feature = "std")]
            panics: panics::Panics::default(),
            #[cfg(feature = "tls")]
            tls: tls_layer::TlsLayer::default(),
        }
    }

    /// Starts the server.
    ///
    /// Call it once, before all other facts except [`clock_set`](Self::clock_set).
    pub fn started(&mut self, now: Time) {
        self.begin(now, &Fact::Started);
        self.state.configure_tunnels();
        self.state.start_sharing();
        self.emit(Event::Started);
        self.state.has_started = true;
        self.pass_time_for_tunnels();
    }

    /// Accepts or refuses a new connection on a listener.
    ///
    /// The id may reuse the [index](ConnId::index) of a connection that is gone but was not
    /// returned by [`next_changed`](Self::next_changed) yet. A shell that keeps its sockets by
    /// index drops the old one here. The same holds for [`adopted`](Self::adopted) and
    /// [`dialed`](Self::dialed).
    ///
    /// # Errors
    /// It is refused: write the farewell as far as the socket accepts it, and drop the socket.
    pub fn accepted(&mut self, now: Time, listener: ListenerId, peer: Peer) -> Result<ConnId, Refusal> {
        let peer = peer.canonical();
        self.begin(now, &Fact::Accepted { listener, peer });
        let protocol = self.admit(listener, peer)?;
        Ok(self.opened(peer, Origin::Listener(listener), protocol.wire(), protocol.wait()))
    }

    /// Handles the failure of a listener to accept a connection.
    pub fn accept_failed(&mut self, now: Time, listener: ListenerId, failure: AcceptFailure) {
        self.begin(now, &Fact::AcceptFailed { listener, failure });
        self.state.accept_failed(listener, failure);
        self.settle();
    }

    /// Handles bytes that were read. Decoding may overwrite them; do not use them afterwards.
    ///
    /// Call it only while [`Intent::read`] is true, with less than 1 MiB. Bytes that may not be
    /// served yet are held, up to 1 MiB; more ends the connection as [`Reason::RateLimited`].
    pub fn received(&mut self, now: Time, conn: ConnId, bytes: &mut [u8]) {
        let from_proxy = self.receive_from_proxy(conn, bytes);
        let header = from_proxy.unwrap_or_else(|| self.state.length_of_header(conn, bytes));
        let (header, rest) = bytes.split_at_mut(header);
        let has_header = !header.is_empty();
        if has_header {
            self.take(now, conn, header);
        }
        if has_header && rest.is_empty() {
            return;
        }
        #[cfg(feature = "tls")]
        if self.is_enciphered(conn) {
            return self.decipher(now, conn, rest);
        }
        self.take(now, conn, rest);
    }

    /// Handles received bytes after any decryption.
    fn take(&mut self, now: Time, conn: ConnId, bytes: &mut [u8]) {
        self.begin(now, &Fact::Received { conn, bytes });
        let (now, index) = (self.state.now, conn.slot());
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        self.state.metrics.bytes_in += bytes.len() as u64;
        found.traffic.bytes_in += bytes.len() as u64;
        let waits = self.state.must_wait(index);
        if let Some(found) = self.state.conns.get(conn) {
            self.state.count_tunnel_traffic(found.origin, bytes.len() as u64, 0);
        }
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        found.last_byte_at = now;
        match found.phase {
            Phase::Open | Phase::Undecided { .. } if found.input_ended => {}
            // The handshake with the proxy has consumed these bytes.
            Phase::Undecided { .. } if found.step == HandshakeStep::Proxy => {
                self.advance_proxy(conn, ProbeInput::Growing);
            }
            Phase::Undecided { .. } => {
                self.hold(conn, bytes);
                self.probe(conn, ProbeInput::Growing);
            }
            Phase::Open if waits || !found.held.is_empty() || found.decoder.is_ahead() => self.hold(conn, bytes),
            Phase::Open => {
                let served = self.digest(conn, bytes);
                if self.state.conns.get(conn).is_some_and(|found| served < bytes.len() || found.decoder.is_ahead()) {
                    self.hold(conn, &bytes[served..]);
                }
                self.state.schedule(index);
            }
            Phase::Flushing { .. } | Phase::Lingering { .. } => self.state.discard_input(index, bytes.len()),
            Phase::Over => {}
        }
        self.settle();
    }

    /// Handles the completion of a TLS handshake.
    ///
    /// Only for shells that do [TLS themselves](crate::tls::Tls::external).
    pub fn secured(&mut self, now: Time, conn: ConnId, secured: &Secured) {
        self.begin(now, &Fact::Secured { conn, secured });
        self.state.metrics.tls_handshakes += 1;
        self.state.metrics.tls_resumed += u64::from(secured.resumed);
        if let Some(found) = self.state.conns.get_mut(conn) {
            found.secured = Some(secured.clone().into());
            if found.step == HandshakeStep::Tls && found.is_undecided() {
                self.pass(conn);
            }
        }
        self.state.asked_tls_is_done(conn);
        self.settle();
    }

    /// Records that a lower layer took `bytes` bytes of [`Intent::transmit`] to write them later.
    ///
    /// The machine no longer inserts data before these bytes or removes them. At most
    /// [`Transmit::first`]. The shell reports them to [`wrote`](Self::wrote) as well.
    pub fn sealed(&mut self, now: Time, conn: ConnId, bytes: usize) {
        // Before the pause is handled, because data that it causes may otherwise go before bytes
        // already taken.
        let pause = self.enter(now, &Fact::Sealed { conn, bytes });
        if self.state.conns.get(conn).is_some() {
            self.state.outbound.sealed(conn.slot(), bytes);
        }
        self.handle_pause(pause);
    }

    /// Records that the socket accepted `bytes` bytes of [`Intent::transmit`].
    pub fn wrote(&mut self, now: Time, conn: ConnId, bytes: usize) {
        #[cfg(feature = "tls")]
        if self.tls.session(conn).is_some() {
            return self.wrote_sealed(now, conn, bytes);
        }
        self.took(now, conn, bytes);
    }

    fn took(&mut self, now: Time, conn: ConnId, bytes: usize) {
        let before = self.state.now;
        self.record_sum(conn, bytes);
        let pause = self.enter(now, &Fact::Wrote { conn, bytes });
        let is_there = self.state.conns.get(conn).is_some();
        if is_there {
            // Pings after a pause go before queued data, but not before bytes that the socket
            // already has. Those count as written before the pause, so that their deadlines are
            // postponed only once.
            let now = self.state.now;
            self.state.now = if pause.is_some() { before } else { now };
            self.state.wrote(conn.slot(), bytes);
            self.state.now = now;
        }
        self.handle_pause(pause);
        if is_there {
            self.settle();
        }
    }

    /// Records that the socket accepts nothing more for now. Call it whenever a write would block.
    ///
    /// From then until everything is written, the marks and the write deadline apply to the
    /// connection.
    pub fn blocked(&mut self, now: Time, conn: ConnId) {
        #[cfg(feature = "tls")]
        self.settle_failed(now, conn, true);
        self.begin(now, &Fact::Blocked { conn });
        if self.state.conns.get(conn).is_some() {
            self.state.blocked(conn.slot());
            self.settle();
        }
    }

    /// Ends the turn. Call it when the shell is about to wait.
    ///
    /// By then, the shell has offered the output of every connection that
    /// [`next_changed`](Self::next_changed) returned. The machine compacts queues of slow
    /// connections, and continues work that waited because [much was queued](Self::turn_is_full).
    pub fn turn_ended(&mut self, now: Time) {
        self.begin(now, &Fact::TurnEnded);
        self.state.outbound.end_turn(self.state.now);
        self.state.outbox.post_rooms();
        if self.turn_messages > 0 {
            self.state.metrics.turn_messages.record(core::mem::take(&mut self.turn_messages));
        }
    }

    /// Handles the deadlines and timers that are due at `now`.
    ///
    /// Call it at the [`deadline`](Self::deadline); calling it earlier is harmless. If the turn is
    /// [full](Self::turn_is_full), the rest stays due.
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
        if self.state.shutdown_at.is_some_and(|at| at <= now) {
            self.begin_shutdown(false);
            self.settle();
        }
        self.state.post_counts();
        self.state.admission.quarantine.expire(now);
        self.state.listeners.elapsed(now);
        while let Some(dial) = self.state.dials.take_overdue(now) {
            self.dial_is_lost(dial, Failure::TimedOut);
            if self.state.turn_is_full() {
                break;
            }
        }
        self.pass_time_for_tunnels();
        // Collected first: what becomes due at this moment again is handled the next time.
        let due: Vec<_> = core::iter::from_fn(|| self.state.agenda.take_due(now)).collect();
        for index in due {
            self.state.outbox.mark_dirty(now);
            self.check_deadlines(index);
            self.state.schedule(index);
            self.settle();
        }
        while let Some(ticket) = self.state.take_due_ticket() {
            self.state.outbox.mark_dirty(now);
            self.state.work_ended(ticket.conn());
            self.emit(Event::TicketExpired(ticket));
            if self.state.turn_is_full() {
                break;
            }
        }
        if self.state.pass_time_for_link() {
            self.settle();
        }
        if self.state.expire_requests() || self.state.has_own_messages() {
            self.settle();
        }
        while let Some(timer) = self.state.timers.take_due(now) {
            self.state.outbox.mark_dirty(now);
            self.emit(Event::Timer(timer));
            if self.state.turn_is_full() {
                // The other timers stay due and fire once this output is written.
                break;
            }
        }
    }

    /// Delivers a note from outside to the handler.
    pub fn noted(&mut self, now: Time, note: H::Note) {
        self.begin(now, &Fact::Noted(&note));
        self.emit(Event::Note(note));
    }

    /// Runs a command of an operator or of another thread.
    pub fn command(&mut self, now: Time, command: &Command) {
        self.begin(now, &Fact::Command(command));
        match command {
            Command::Publish { room, payload } => {
                self.state.publish_everywhere(room, &[], payload.into());
            }
            Command::Send { conn, payload } => {
                self.state.send(*conn, payload.into());
            }
            Command::Kick { conn } => {
                if self.state.conns.get(*conn).is_some() {
                    self.state.end(conn.slot(), Reason::Kicked, Ending::Flush);
                }
            }
            Command::KickEverywhere { target } => {
                self.state.order_end_everywhere(None, target.clone(), Reason::Kicked);
            }
            Command::Quarantine { address } => {
                let peer = Peer::Address((*address, 0).into());
                self.state.quarantine(peer);
            }
            Command::Release { address } => {
                self.state.release(*address);
            }
            Command::ReloadFailed => self.state.metrics.reload_failures += 1,
            Command::LogLoss { left_out, lost } => {
                let metrics = &mut self.state.metrics;
                metrics.log_lines_left_out = metrics.log_lines_left_out.saturating_add(*left_out);
                metrics.log_lines_lost = metrics.log_lines_lost.saturating_add(*lost);
            }
            Command::ProcessUsage(process) => self.state.metrics.process = *process,
            Command::KeySetFetched { succeeded: true } => self.state.metrics.key_set_fetches += 1,
            Command::KeySetFetched { succeeded: false } => self.state.metrics.key_set_fetch_failures += 1,
            Command::ResetMetrics => self.state.reset_recent(),
            Command::Drain => self.drain(),
        }
        self.settle();
    }

    /// Sets the wall clock.
    ///
    /// Call it at the start and whenever that clock and the machine's have drifted apart by half a
    /// second or more. Until it is called, nothing that carries a wall-clock date is accepted.
    pub fn clock_set(&mut self, now: Time, unix: UnixTime) {
        self.begin(now, &Fact::ClockSet(unix));
        self.state.set_clock(unix);
    }

    /// Applies any fact. Returns the id or the refusal of a new connection, if there is one.
    pub fn apply(&mut self, now: Time, input: Input<H::Note>) -> Option<Result<ConnId, Refusal>> {
        match input {
            Input::Started => self.started(now),
            Input::Accepted { listener, peer } => return Some(self.accepted(now, listener, peer)),
            Input::AcceptFailed { listener, failure } => self.accept_failed(now, listener, failure),
            Input::Received { conn, mut bytes } => self.received(now, conn, &mut bytes),
            Input::Secured { conn, secured } => self.secured(now, conn, &secured),
            Input::Sealed { conn, bytes } => self.sealed(now, conn, bytes),
            Input::Wrote { conn, bytes } => self.wrote(now, conn, bytes),
            Input::Blocked { conn } => self.blocked(now, conn),
            Input::TurnEnded => self.turn_ended(now),
            Input::Ended { conn } => self.ended(now, conn),
            Input::Truncated { conn } => self.truncated(now, conn),
            Input::Failed { conn, failure } => self.failed(now, conn, failure),
            Input::Elapsed => self.elapsed(now),
            Input::Dialed { dial, peer } => return self.dialed(now, dial, peer).map(Ok),
            Input::DialFailed { dial, failure } => self.dial_failed(now, dial, failure),
            Input::TunnelReported { link, report } => self.tunnel_reported(now, link, &report),
            Input::Noted(note) => self.noted(now, note),
            Input::Command(command) => self.command(now, &command),
            Input::Dispatched { listener, peer } => return self.dispatched(now, listener, peer).err().map(Err),
            Input::Adopted { listener, peer } => return Some(Ok(self.adopted(now, listener, peer))),
            Input::ShardMessageReceived(message) => self.shard_message_received(now, &message),
            Input::HeldBack(held) => self.held_back(now, held),
            Input::TakesJobs => self.takes_jobs(now),
            Input::JobDone { conn, outcome } => self.job_done(now, conn, outcome),
            Input::ClockSet(unix) => self.clock_set(now, unix),
            Input::Reconfigured(config) => self.reconfigured(now, *config),
        }
        None
    }
}
