//! The loop: facts from the sockets to the machine, intentions of the machine to the sockets.
//!
//! One task owns every socket. A turn takes all that is ready (mail, signals, peers to accept, sockets to
//! read, attempts to connect, time), and then writes to every connection whose intent changed. What
//! becomes ready later puts its number into the ready queue and wakes the task.

use crate::listener::Listener;
use crate::socket::{Socket, tune};
use drupe_core::shell::{ACCEPTS_PER_TURN, Mail, Mailbox, ReadyKey, ReadyQueue, SCRATCH_BYTES};
use drupe_core::{
    AcceptFailure, Accepting, ConnId, DialId, End, Failure, Handler, ListenerId, Machine, Metrics, Request, Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::signal::unix::Signal;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, Sleep};

/// How many slices are written with one call.
const SLICES_PER_WRITE: usize = 64;
/// Listeners are numbered from the other end of the ready queue's numbers.
const FIRST_LISTENER: u32 = u32::MAX;

pub(crate) struct Driver<H: Handler> {
    machine: Machine<H>,
    /// `None` once it is closed.
    listeners: Vec<Option<Door>>,
    /// By the connection's index.
    connections: Vec<Option<Connection>>,
    mailbox: Mailbox<H::Note>,
    signals: Vec<Signal>,
    queue: Arc<ReadyQueue>,
    ready: Vec<u32>,
    dialing: BTreeMap<DialId, AbortHandle>,
    attempts: JoinSet<(DialId, io::Result<TcpStream>)>,
    scratch: Vec<u8>,
    sleep: Pin<Box<Sleep>>,
    asleep_until: Option<Time>,
    started: Instant,
    /// The time of this turn.
    now: Time,
}

struct Door {
    listener: Listener,
    waker: Waker,
    /// Accepting was left off because the machine did not want it.
    resting: bool,
}

struct Connection {
    id: ConnId,
    socket: Socket,
    waker: Waker,
    /// Reading was left off because the machine did not want it.
    unread: bool,
    /// Writing was left off because the socket is full.
    full: bool,
    shut_down: bool,
}

impl<H: Handler> Driver<H> {
    pub(crate) fn new(
        machine: Machine<H>,
        listeners: Vec<Listener>,
        mailbox: Mailbox<H::Note>,
        signals: Vec<Signal>,
    ) -> Self {
        let queue = ReadyQueue::new();
        let listeners = listeners.into_iter().zip(0..).map(|(listener, place)| {
            let key = queue.key(FIRST_LISTENER - place);
            Some(Door { listener, waker: woken(&key), resting: false })
        });
        Self {
            machine,
            listeners: listeners.collect(),
            connections: Vec::new(),
            mailbox,
            signals,
            queue: Arc::clone(&queue),
            ready: Vec::new(),
            dialing: BTreeMap::new(),
            attempts: JoinSet::new(),
            scratch: vec![0; SCRATCH_BYTES],
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            asleep_until: None,
            started: Instant::now(),
            now: Time::START,
        }
    }

    pub(crate) async fn run(mut self) -> Metrics {
        self.machine.started(Time::START);
        // One turn looks at all sockets: tokio's budget for one task would stop it in the middle.
        tokio::task::unconstrained(std::future::poll_fn(|cx| self.turn(cx))).await;
        self.machine.metrics()
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.now = Time::START + self.started.elapsed();
        self.read_mail(cx);
        let mut ready = std::mem::take(&mut self.ready);
        self.queue.take(cx.waker(), &mut ready);
        for number in ready.drain(..) {
            match self.listeners.get((FIRST_LISTENER - number) as usize) {
                Some(_) => self.accept(FIRST_LISTENER - number),
                None => self.read(number as usize),
            }
            self.write_if_full();
        }
        self.ready = ready;
        self.pass_time();
        self.connect(cx);
        self.write_all();
        self.tend_listeners();
        if self.machine.is_drained() { Poll::Ready(()) } else { self.fall_asleep(cx) }
    }

    fn read_mail(&mut self, cx: &mut Context<'_>) {
        let now = self.now;
        for mail in self.mailbox.take(cx.waker()) {
            match mail {
                Mail::Note(note) => self.machine.noted(now, note),
                Mail::Request(request) => self.machine.requested(now, &request),
                Mail::Metrics(receive) => receive(self.machine.metrics()),
            }
            self.write_if_full();
        }
        for signal in &mut self.signals {
            while let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                self.machine.requested(now, &Request::Drain);
            }
        }
    }

    fn accept(&mut self, place: u32) {
        let id = ListenerId(place);
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(door) = &mut self.listeners[place as usize] else { return };
            door.resting = self.machine.accepting(id) != Accepting::Now;
            if door.resting {
                return;
            }
            match door.listener.poll_accept(&mut Context::from_waker(&door.waker)) {
                Poll::Pending => return,
                Poll::Ready(Err(error)) => self.machine.accept_failed(self.now, id, AcceptFailure::from(&error)),
                Poll::Ready(Ok((mut socket, peer))) => match self.machine.accepted(self.now, id, peer) {
                    Ok(id) => self.add(id, socket),
                    Err(refusal) => {
                        let words = [IoSlice::new(&refusal.farewell)];
                        let _ = socket.poll_write(&mut Context::from_waker(Waker::noop()), &words);
                    }
                },
            }
        }
        if let Some(door) = &self.listeners[place as usize] {
            door.waker.wake_by_ref();
        }
    }

    fn add(&mut self, id: ConnId, socket: Socket) {
        let index = id.index();
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        let waker = woken(&self.queue.key(u32::try_from(index).unwrap_or(0)));
        self.connections[index] = Some(Connection { id, socket, waker, unread: false, full: false, shut_down: false });
    }

    fn read(&mut self, index: usize) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        let id = connection.id;
        if connection.full {
            write(&mut self.machine, connection, now);
        }
        loop {
            connection.unread = self.machine.intent(id).is_some_and(|intent| !intent.read);
            if connection.unread {
                return;
            }
            match connection.socket.poll_read(&mut Context::from_waker(&connection.waker), &mut self.scratch) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => return self.machine.ended(now, id),
                Poll::Ready(Ok(bytes)) => {
                    self.machine.received(now, id, &mut self.scratch[..bytes]);
                    if bytes == self.scratch.len() {
                        // There is more, but it is somebody else's turn.
                        return connection.waker.wake_by_ref();
                    }
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return self.machine.failed(now, id, Failure::from(&error)),
            }
        }
    }

    fn connect(&mut self, cx: &mut Context<'_>) {
        loop {
            let wanted: BTreeSet<DialId> = self.machine.dials().map(|(dial, _)| dial).collect();
            self.dialing.retain(|dial, attempt| wanted.contains(dial) || abort(attempt));
            for (dial, address) in self.machine.dials() {
                self.dialing.entry(dial).or_insert_with(|| {
                    let address = address.to_owned();
                    self.attempts.spawn(async move { (dial, TcpStream::connect(address).await) })
                });
            }
            // Polled after the last attempt was begun, so that every one of them wakes us.
            let Poll::Ready(Some(attempt)) = self.attempts.poll_join_next(cx) else { return };
            let Ok((dial, result)) = attempt else { continue };
            self.dialing.remove(&dial);
            match result.and_then(|stream| Ok((stream.peer_addr()?, stream))) {
                Err(error) => self.machine.dial_failed(self.now, dial, Failure::from(&error)),
                Ok((address, stream)) => {
                    tune(&stream);
                    if let Some(id) = self.machine.dialed(self.now, dial, address.into()) {
                        self.add(id, Socket::Tcp(stream));
                    }
                }
            }
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
        }
    }

    /// Writes to everybody whose intent changed, and drops who is over.
    fn write_all(&mut self) {
        let now = self.now;
        while let Some(id) = self.machine.next_changed() {
            let Some(slot) = self.connections.get_mut(id.index()) else { continue };
            let Some(connection) = slot.as_mut().filter(|connection| connection.id == id) else { continue };
            write(&mut self.machine, connection, now);
            match self.machine.intent(id) {
                None => *slot = None,
                Some(intent) if connection.unread && intent.read => connection.waker.wake_by_ref(),
                Some(_) => {}
            }
        }
        self.machine.turn_ended(now);
    }

    fn tend_listeners(&mut self) {
        for (slot, place) in self.listeners.iter_mut().zip(0..) {
            match (self.machine.accepting(ListenerId(place)), &slot) {
                (Accepting::Never, _) => *slot = None,
                (Accepting::Now, Some(door)) if door.resting => door.waker.wake_by_ref(),
                _ => {}
            }
        }
    }

    fn fall_asleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What was written may have made the application dial.
        let dials = self.machine.dials().any(|(dial, _)| !self.dialing.contains_key(&dial));
        let until = self.machine.deadline().map(|deadline| deadline.at);
        // A backlog is served without delay, and timers are no finer than a millisecond.
        if dials || until.is_some_and(|at| at <= self.now.plus_nanos(1)) {
            cx.waker().wake_by_ref();
        }
        let Some(at) = until else { return Poll::Pending };
        if until != self.asleep_until {
            self.asleep_until = until;
            self.sleep.as_mut().reset(self.started + Duration::from_nanos(at.as_nanos()));
        }
        if self.sleep.as_mut().poll(cx).is_ready() {
            self.asleep_until = None;
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Writes what the socket takes, and closes our half when that is wanted.
fn write<H: Handler>(machine: &mut Machine<H>, connection: &mut Connection, now: Time) {
    let cx = &mut Context::from_waker(&connection.waker);
    while let Some(intent) = machine.intent(connection.id) {
        if intent.transmit.is_empty() {
            connection.full = false;
            if intent.end == End::Shutdown && !connection.shut_down {
                connection.shut_down = true;
                connection.socket.shut_down(cx);
            }
            return;
        }
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let mut count = 0;
        for (place, slice) in slices.iter_mut().zip(intent.transmit.slices()) {
            *place = IoSlice::new(slice);
            count += 1;
        }
        match connection.socket.poll_write(cx, &slices[..count]) {
            Poll::Ready(Ok(bytes)) => machine.wrote(now, connection.id, bytes),
            Poll::Pending => {
                connection.full = true;
                return machine.blocked(now, connection.id);
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => return machine.failed(now, connection.id, Failure::from(&error)),
        }
    }
}

/// Gives an attempt up that is no longer wanted; false, as it is not kept.
fn abort(attempt: &AbortHandle) -> bool {
    attempt.abort();
    false
}

/// The waker of a key that is ready at once, so that its source is polled a first time.
fn woken(key: &Arc<ReadyKey>) -> Waker {
    let waker = Waker::from(Arc::clone(key));
    waker.wake_by_ref();
    waker
}
