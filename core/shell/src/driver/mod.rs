mod arrivals;
mod listeners;
mod offload;
mod place;

use super::channel::{Arrival, Transport, Trouble};
use super::dial::Starts;
use super::signals::OnSignals;
use super::{DriverMessage, Mailbox, READS_PER_TURN, ReadyQueue, SCRATCH_BYTES, Setup, Sockets, spared};
use drupe_core::{
    Addressee, Config, ConnId, DialId, End, Handler, ListenerId, Machine, Metrics, Shard, Time, UnixTime,
};
use std::collections::BTreeSet;
use std::sync::Arc;

use core::fmt;
use core::time::Duration;
use place::{FIRST_LISTENER, Place, Places};
use std::io::{self, IoSlice};
use std::task::{Context, Waker};
use std::time::{SystemTime, UNIX_EPOCH};

/// Maximum number of slices per write call.
const SLICES_PER_WRITE: usize = 64;
/// Interval at which a shard checks whether other shards have caught up.
const BEHIND_WAIT: Duration = Duration::from_millis(1);
/// The delay with which Linux wakes a thread that sleeps (`PR_SET_TIMERSLACK` in prctl(2)).
const WAKES_LATE: Duration = Duration::from_micros(50);
/// Minimum time between two reads of the wall clock.
const CLOCK_CHECKED_EVERY: Duration = Duration::from_secs(1);
/// Minimum clock difference, in milliseconds, at which the machine's wall clock is corrected.
const CLOCK_OFF_MILLIS: u64 = 500;
/// The runtime-independent part of a shell, which connects the machine with its sockets.
///
/// It passes facts from the sockets to the machine, and applies the machine's intentions to the
/// sockets. One thread owns every socket.
///
/// A turn handles everything that is ready: messages, connections to accept, sockets to read,
/// connection attempts and timers. Then it writes to each connection whose intention changed.
///
/// Readiness is edge-triggered. If the machine has paused reading or accepting, the driver
/// remembers the readiness and continues once the machine resumes it.
pub struct Driver<H: Handler, S: Sockets> {
    machine: Machine<H>,
    sockets: S,
    listeners: Places<S::Listener>,
    /// The queue of ready channels.
    channels: Arc<ReadyQueue>,
    /// The version of the tunnels' intents and states that was published last.
    tunnels_shown: u64,
    /// The connections, by index.
    connections: Vec<Option<Connection<S::Socket>>>,
    mailbox: Mailbox<H::Note>,
    offload: offload::Offload,
    _signals: Vec<OnSignals>,
    shard: Shard,
    /// Whether reading is suspended because another shard is behind.
    waits: bool,
    stopped: bool,
    dialing: BTreeSet<DialId>,
    starts: Starts,
    /// Numbers of ready connections and listeners that the runtime will not report again.
    again: Vec<u32>,
    scratch: Vec<u8>,
    /// The time of the current turn.
    now: Time,
    /// The time at which the wall clock was last read.
    clock_checked: Option<Time>,
}

/// The next step of a shell after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must handle each")]
pub enum Next {
    /// Take the next turn without waiting.
    Turn,
    /// Wait until something is ready, or until this time if there is one.
    Wait(Option<Time>),
    /// The server has ended.
    End,
}

struct Connection<S> {
    id: ConnId,
    transport: Transport<S>,
    /// Whether reading is suspended because the machine has paused it.
    unread: bool,
    /// Whether writing is suspended because the last write would have blocked.
    full: bool,
    shut_down: bool,
}

impl<H: Handler, S: Sockets> Driver<H, S> {
    /// Creates a driver from the parts of a server and the sockets of a runtime.
    ///
    /// # Errors
    /// If the runtime cannot register a listener.
    pub fn new(setup: Setup<H>, mut sockets: S) -> io::Result<Self> {
        let Setup { machine, listeners, mailbox, signals, .. } = setup;
        let places = machine.listeners().zip(listeners).map(|((id, listen), listener)| {
            let far = || Ok(Place::far(listen.address.clone()));
            let place = listener.map_or_else(far, |listener| Place::watched(&mut sockets, id, listener));
            Ok((id, place?))
        });
        let listeners = places.collect::<io::Result<Places<_>>>()?;
        let again = listeners.keys().map(|&id| place::number(id)).collect();
        let shard = machine.which_shard();
        Ok(Self {
            machine,
            sockets,
            listeners,
            channels: ReadyQueue::new(),
            tunnels_shown: 0,
            connections: Vec::new(),
            mailbox,
            offload: offload::Offload::new(),
            _signals: signals,
            shard,
            waits: false,
            stopped: false,
            dialing: BTreeSet::new(),
            starts: Starts::default(),
            again,
            scratch: vec![0; SCRATCH_BYTES],
            now: Time::START,
            clock_checked: None,
        })
    }
}

impl<H: Handler, S: Sockets> Driver<H, S> {
    /// Starts the machine: sets its wall clock, enables its jobs, and reports the start.
    ///
    /// Call it before the first turn.
    pub fn start(&mut self) {
        self.sync_wall_clock();
        self.machine.takes_jobs(Time::START);
        self.machine.started(Time::START);
    }

    /// Takes one turn: handles everything that is ready, then writes to connections.
    ///
    /// `ready` contains the numbers of the ready sockets and listeners, and is cleared. `task` is
    /// woken when a message arrives, a channel is ready or a job has finished.
    pub fn turn(&mut self, now: Time, ready: &mut Vec<u32>, task: &Waker) -> Next {
        self.now = now;
        self.starts.begin_turn();
        self.sockets.begin_turn(now, task);
        self.sync_wall_clock();
        self.read_mail(task);
        self.take_outcomes(task);
        self.channels.take(task, ready);
        ready.append(&mut self.again);
        self.hold_back();
        for number in ready.drain(..) {
            let listener = ListenerId::new(FIRST_LISTENER - number);
            if self.listeners.contains_key(&listener) {
                self.accept(listener);
            } else {
                self.read(number);
            }
            self.write_if_full();
        }
        self.pass_time();
        self.connect();
        self.write_all();
        self.tend_listeners();
        self.show_tunnels();
        self.give_jobs(task);
        self.next()
    }

    /// Sleeps after a turn that sent messages to rooms, if the machine [rests](drupe_core::Machine::rests_until).
    ///
    /// Call it after [`Next::Wait`], before you look what is ready. The rest is counted from now, because the writes of
    /// a turn to many members take longer than a rest. It blocks the thread for up to 500 µs: the timers of most runtimes
    /// are not that precise.
    pub fn rest(&self) {
        let until = self.machine.rests_until().unwrap_or(self.now);
        let rest = until.since(self.now).saturating_sub(WAKES_LATE);
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }

    /// Returns the sockets of the runtime.
    pub fn sockets(&mut self) -> &mut S {
        &mut self.sockets
    }

    /// Returns the socket with this number. `None` for channels and unknown numbers.
    pub fn socket(&mut self, number: u32) -> Option<&mut S::Socket> {
        match &mut self.connections.get_mut(number as usize)?.as_mut()?.transport {
            Transport::Socket(socket) => Some(socket),
            Transport::Channel(..) => None,
        }
    }

    /// Returns the final metrics: of all shards on the first shard, of this shard on the others.
    ///
    /// Call it after [`Next::End`].
    ///
    /// # Errors
    /// If another shard ended by a panic.
    pub fn outcome(&self) -> io::Result<Metrics> {
        let mut metrics = self.machine.metrics();
        if self.shard.number() == 0 {
            let others = self.mailbox.metrics_of_others().ok_or_else(|| io::Error::other("a worker panicked"))?;
            others.iter().for_each(|other| metrics.add(other));
        }
        Ok(metrics)
    }

    /// Reports the results of finished jobs to the machine.
    fn take_outcomes(&mut self, task: &Waker) {
        for (conn, outcome) in self.offload.take(task) {
            self.machine.job_done(self.now, conn, outcome);
            self.write_if_full();
        }
    }

    /// Passes jobs from the machine to the offload thread.
    fn give_jobs(&mut self, task: &Waker) {
        while self.offload.has_room()
            && let Some(job) = self.machine.take_job()
        {
            self.offload.give(job, task);
        }
    }

    /// Sets the machine's wall clock if it is unset or off by 500 ms, at most once per second.
    fn sync_wall_clock(&mut self) {
        let is_soon = |last: Time| self.now.since(last) < CLOCK_CHECKED_EVERY;
        if self.clock_checked.is_some_and(is_soon) {
            return;
        }
        self.clock_checked = Some(self.now);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let known = self.machine.unix_time(self.now).map(UnixTime::as_millis);
        if known.is_none_or(|known| known.abs_diff(unix) >= CLOCK_OFF_MILLIS) {
            self.machine.clock_set(self.now, UnixTime::from_millis(unix));
        }
    }

    fn read_mail(&mut self, task: &Waker) {
        let now = self.now;
        for mail in self.mailbox.take(task) {
            match mail {
                DriverMessage::Note(note) => self.machine.noted(now, note),
                DriverMessage::Command(request) => self.machine.command(now, &request),
                DriverMessage::Metrics(receive) => {
                    let metrics = self.machine.metrics();
                    spared(|| receive(metrics));
                }
                DriverMessage::ShardMessage(message) => self.machine.shard_message_received(now, &message),
                DriverMessage::Connection(listener, peer, stream) => self.adopt(listener, peer, stream),
                DriverMessage::Channel(listener, peer, channel) => {
                    if let Err((arrival, refusal)) = self.admit(listener, Arrival::Channel(channel), peer) {
                        self.dismiss(arrival, &refusal.farewell);
                    }
                }
                DriverMessage::Mount(mounting) => self.mount(*mounting),
                DriverMessage::Tunnel(link, report) => self.machine.tunnel_reported(now, link, &report),
                DriverMessage::Reconfigure(config, tell) => {
                    let outcome = self.reconfigure(*config);
                    spared(|| tell(outcome));
                }
                DriverMessage::Reconfigured(config) => self.machine.reconfigured(now, Config::clone(&config)),
                DriverMessage::Stop => self.stopped = true,
            }
            self.write_if_full();
        }
    }

    fn read(&mut self, number: u32) {
        let Self { machine, sockets, connections, again, scratch, now, .. } = self;
        let Some(connection) = connections.get_mut(number as usize).and_then(Option::as_mut) else { return };
        let id = connection.id;
        if let Err(failure) = connection.transport.flush() {
            return machine.failed(*now, id, failure);
        }
        if connection.full {
            write(machine, sockets, connection, *now);
        }
        for _ in 0..READS_PER_TURN {
            connection.unread = machine.intent(id).is_some_and(|intent| !intent.read);
            if connection.unread {
                return;
            }
            match read(sockets, &mut connection.transport, scratch) {
                Ok(0) => return machine.ended(*now, id),
                Ok(bytes) => {
                    machine.received(*now, id, &mut scratch[..bytes]);
                    if bytes == scratch.len() {
                        break;
                    }
                }
                Err(Trouble::Blocked) => return,
                Err(Trouble::Interrupted) => {}
                Err(Trouble::Failed(failure)) => return machine.failed(*now, id, failure),
            }
        }
        // There is more to read, but other sockets have their turn first.
        again.push(number);
    }

    /// Publishes the intents and states of the tunnels if they have changed.
    fn show_tunnels(&mut self) {
        let version = self.machine.tunnels_version();
        if core::mem::replace(&mut self.tunnels_shown, version) != version {
            let (intents, statuses) = (self.machine.tunnels().collect(), self.machine.tunnel_statuses().collect());
            self.mailbox.board().show(version, intents, statuses);
        }
    }

    fn pass_time(&mut self) {
        if self.machine.deadline().is_some_and(|deadline| deadline.at <= self.now) {
            self.machine.elapsed(self.now);
        }
    }

    fn write_if_full(&mut self) {
        if self.machine.turn_is_full() {
            self.write_all();
            self.hold_back();
        }
    }

    /// Writes to changed connections, drops ended ones, ends the turn, and posts shard messages.
    fn write_all(&mut self) {
        let Self { machine, sockets, connections, again, now, .. } = self;
        while let Some(id) = machine.next_changed() {
            let Some(slot) = connections.get_mut(id.index()) else { continue };
            let Some(connection) = slot.as_mut().filter(|connection| connection.id == id) else { continue };
            match write(machine, sockets, connection, *now) {
                None => *slot = None,
                Some(reads) if connection.unread && reads => again.push(id.slot()),
                Some(_) => {}
            }
        }
        machine.turn_ended(*now);
        self.post_shard_messages();
    }

    /// Reports to the machine when another shard falls behind with its messages, or catches up.
    fn hold_back(&mut self) {
        let behind = self.shard.count() > 1 && self.mailbox.is_another_behind();
        if behind != self.waits {
            self.waits = behind;
            self.machine.held_back(self.now, behind);
        }
    }

    fn post_shard_messages(&mut self) {
        while let Some((to, message)) = self.machine.next_shard_message() {
            match to {
                Addressee::Others => self.mailbox.post_to_others(|| DriverMessage::ShardMessage(message.clone())),
                Addressee::First => drop(self.mailbox.post(0, DriverMessage::ShardMessage(message))),
                Addressee::Shard(shard) => drop(self.mailbox.post(shard.into(), DriverMessage::ShardMessage(message))),
            }
        }
    }

    fn next(&mut self) -> Next {
        let is_first = self.shard.number() == 0;
        let drained = self.machine.is_drained() && self.mailbox.may_end();
        if self.stopped || drained && self.mailbox.end_if_empty(|| self.machine.metrics()) {
            return Next::End;
        }
        if is_first && !self.machine.is_draining() && self.mailbox.has_another_panicked() {
            // It panicked. The server cannot continue without it.
            let _ = self.mailbox.remote().drain();
        }
        // Handling what was written may have made the application dial.
        let dials = self.begin_dials();
        let deadline = self.machine.deadline().map(|deadline| deadline.at);
        let mut until = deadline.into_iter().chain(self.sockets.deadline()).min();
        if self.waits {
            // Shards do not report that they have caught up.
            let soon = self.now + BEHIND_WAIT;
            until = Some(until.map_or(soon, |until| until.min(soon)));
        }
        // A backlog is served without delay, and timers have a resolution of a millisecond.
        let at_once = until.is_some_and(|at| at <= self.now.plus_nanos(1));
        if dials || at_once || !self.again.is_empty() {
            return Next::Turn;
        }
        if !self.machine.has_connections() {
            self.mailbox.rest();
        }
        Next::Wait(until)
    }
}

impl<H: Handler, S: Sockets> fmt::Debug for Driver<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// Writes queued bytes until the transport is full. Once all are written, shuts down if requested.
///
/// Returns whether the machine wants to read, or `None` if the connection has ended.
fn write<H: Handler, S: Sockets>(
    machine: &mut Machine<H>,
    sockets: &mut S,
    connection: &mut Connection<S::Socket>,
    now: Time,
) -> Option<bool> {
    let id = connection.id;
    loop {
        let intent = machine.intent(id)?;
        let bytes = intent.transmit.len();
        if bytes == 0 {
            connection.full = false;
            if intent.end == End::Shutdown && !connection.shut_down {
                connection.shut_down = true;
                match &mut connection.transport {
                    Transport::Socket(socket) => sockets.shut_down(socket),
                    Transport::Channel(channel, _) => channel.shut_down(),
                }
            }
            return Some(intent.read);
        }
        let first = intent.transmit.first();
        let written = if first.len() == bytes {
            // Most often there is one slice, for which no array is filled.
            send(sockets, &mut connection.transport, &[IoSlice::new(first)])
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
            let mut count = 0;
            for (place, slice) in slices.iter_mut().zip(intent.transmit.slices()) {
                *place = IoSlice::new(slice);
                count += 1;
            }
            send(sockets, &mut connection.transport, &slices[..count])
        };
        match written {
            Ok(bytes) => machine.wrote(now, id, bytes),
            Err(Trouble::Interrupted) => {}
            Err(Trouble::Blocked) => {
                connection.full = true;
                machine.blocked(now, id);
                break;
            }
            Err(Trouble::Failed(failure)) => {
                machine.failed(now, id, failure);
                break;
            }
        }
    }
    machine.intent(id).map(|intent| intent.read)
}

fn send<S: Sockets>(
    sockets: &mut S,
    transport: &mut Transport<S::Socket>,
    slices: &[IoSlice<'_>],
) -> Result<usize, Trouble> {
    match transport {
        Transport::Socket(socket) => Ok(sockets.write(socket, slices)?),
        Transport::Channel(channel, waker) => Trouble::or(channel.poll_write(&mut Context::from_waker(waker), slices)),
    }
}

fn read<S: Sockets>(
    sockets: &mut S,
    transport: &mut Transport<S::Socket>,
    buffer: &mut [u8],
) -> Result<usize, Trouble> {
    match transport {
        Transport::Socket(socket) => Ok(sockets.read(socket, buffer)?),
        Transport::Channel(channel, waker) => Trouble::or(channel.poll_read(&mut Context::from_waker(waker), buffer)),
    }
}

#[cfg(test)]
mod tests;
