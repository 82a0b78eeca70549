//! A seeded world around a whole server: many peers over links that shorten, delay, stall and reset, a clock that jumps, and
//! for [tunnels](crate::tunnel) SSH servers that go away, fall silent or refuse. Needs the feature `sim`.
//!
//! After every step the promises of the machine are checked, and all of its gauges and tables
//! [recounted](crate::Machine::recount). Whatever is found depends on the seed alone:
//! a failure names it, prints the trace of everything that happened, and happens again with the same seed.
//!
//! ```
//! use drupe_core::sim::{Act, Actor, Link, World};
//! use drupe_core::{app::Echo, Config, Listen, Random};
//!
//! struct Greeter { said: bool, heard: Vec<u8> }
//!
//! impl Actor for Greeter {
//!     fn act(&mut self, _: &mut Random) -> Act {
//!         if std::mem::replace(&mut self.said, true) { Act::Wait } else { Act::Say(b"hello\n".to_vec()) }
//!     }
//!     fn hear(&mut self, bytes: &[u8]) {
//!         self.heard.extend_from_slice(bytes);
//!     }
//! }
//!
//! for seed in 0..20 {
//!     let config = Config::listening(["tcp://127.0.0.1:7000".parse::<Listen>().unwrap()]);
//!     let mut world = World::new(seed, config, Echo);
//!     let peer = world.add(Link::Steady, Greeter { said: false, heard: Vec::new() });
//!     world.run(200);
//!     world.settle();
//!     assert!(world.actor(peer).heard.starts_with(b"hello\n"));
//! }
//! ```

mod tunnel;
mod watch;

use crate::handler::Handler;
use crate::input::{AcceptFailure, Failure, Input, Request};
use crate::machine::{Accepting, End, Machine};
use crate::trace;
use crate::tunnel::TunnelId;
use crate::{Config, ConnId, ListenerId, Peer, Random, Time};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use tunnel::SshServer;
use watch::Watch;

/// What a simulated peer says and hears.
pub trait Actor {
    /// What it does when it may do something.
    fn act(&mut self, random: &mut Random) -> Act;

    /// It hears bytes, cut anyhow.
    fn hear(&mut self, bytes: &[u8]);

    /// Its connection is over, or was refused.
    fn over(&mut self) {}
}

/// What a peer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Wait,
    /// It sends bytes.
    Say(Vec<u8>),
    /// It ends its half.
    End,
    /// It closes, reading nothing more.
    Leave,
}

/// What a peer is connected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It takes whatever is sent to it at once, brings what its peer says before time passes, and never breaks.
    Steady,
    /// It takes a little at a time, stalls for long, and may break.
    Troubled,
}

/// A server, its peers, and what lies between them.
pub struct World<H: Handler, A> {
    seed: u64,
    random: Random,
    now: Time,
    machine: Machine<Watch<H>>,
    ends: Vec<PeerEnd<A>>,
    /// Who has a connection's index, as a shell would keep its sockets.
    sockets: Vec<Option<(ConnId, usize)>>,
    trace: String,
    servers: BTreeMap<TunnelId, SshServer>,
    /// SSH servers are well.
    calm: bool,
}

impl<H: Handler, A> fmt::Debug for World<H, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).field("now", &self.now).finish_non_exhaustive()
    }
}

struct PeerEnd<A> {
    actor: A,
    link: Link,
    state: Socket,
    /// On its way to the server.
    sent: VecDeque<u8>,
    /// Our half is closed once `sent` has arrived.
    ended: bool,
    /// It is dialled and does not connect by itself.
    elsewhere: bool,
    /// How many more bytes the link takes from the server.
    writable: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    Connecting,
    /// Waits to be dialled.
    Elsewhere,
    /// With whether the peer knows that the server closed its half.
    Open(ConnId, bool),
    Closed,
}

/// More than this at one deadline is no progress.
const ELAPSED_MAX: u32 = 1_000;
/// How much a socket with room takes.
const ROOMY: usize = usize::MAX >> 1;

impl<H: Handler, A: Actor> World<H, A>
where
    H::Note: fmt::Display,
{
    /// A world in which all chance comes from `seed`, the configuration's too.
    pub fn new(seed: u64, mut config: Config, handler: H) -> Self {
        config.seed = Some(seed);
        let mut world = Self {
            seed,
            random: Random::new(seed ^ 0x5eed),
            now: Time::START,
            machine: Machine::new(config, Watch::new(handler)),
            ends: Vec::new(),
            sockets: Vec::new(),
            trace: format!("seed {seed}\n"),
            servers: BTreeMap::new(),
            calm: false,
        };
        world.apply(Input::Started);
        world
    }

    /// Adds a peer that is about to connect; returns its number.
    pub fn add(&mut self, link: Link, actor: A) -> usize {
        let writable = if link == Link::Steady { ROOMY } else { 0 };
        self.ends.push(PeerEnd {
            actor,
            link,
            state: Socket::Connecting,
            sent: VecDeque::new(),
            ended: false,
            elsewhere: false,
            writable,
        });
        self.ends.len() - 1
    }

    /// Adds a peer that waits elsewhere for the server to dial it, each time anew; returns its number.
    pub fn add_elsewhere(&mut self, link: Link, actor: A) -> usize {
        let number = self.add(link, actor);
        self.ends[number].state = Socket::Elsewhere;
        self.ends[number].elsewhere = true;
        number
    }

    /// A peer, by its number.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn actor(&self, number: usize) -> &A {
        &self.ends[number].actor
    }

    /// All peers, by their numbers.
    pub fn actors(&self) -> impl Iterator<Item = &A> {
        self.ends.iter().map(|end| &end.actor)
    }

    /// The application.
    #[must_use]
    pub fn handler(&self) -> &H {
        self.machine.handler().inner()
    }

    /// The configuration, with the seed.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.machine.config()
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> crate::Metrics {
        self.machine.metrics()
    }

    /// Everything that happened, as a [`trace`].
    #[must_use]
    pub fn trace(&self) -> &str {
        &self.trace
    }

    /// Lets so many things happen.
    ///
    /// # Panics
    /// If a promise is broken: with the seed, the promise, and the trace.
    pub fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
            self.check();
        }
    }

    /// Drains the server over links that have become steady, until nobody is left.
    ///
    /// # Panics
    /// If somebody stays, or a promise is broken.
    pub fn settle(&mut self) {
        self.calm = true;
        // Everything that was said arrives first.
        for _ in 0..1_000 {
            for peer in 0..self.ends.len() {
                self.ends[peer].link = Link::Steady;
                self.ends[peer].writable = ROOMY;
            }
            self.deliver_steady();
            self.flush();
            self.pass(Duration::from_millis(100));
            self.check();
            if self.ends.iter().all(|end| !matches!(end.state, Socket::Open(..)) || end.sent.is_empty()) {
                break;
            }
        }
        self.apply(Input::Requested(Request::Drain));
        for _ in 0..1_000 {
            self.flush();
            self.deliver_steady();
            self.pass(Duration::from_millis(500));
            self.check();
            if self.machine.is_drained() {
                self.flush();
                let metrics = self.machine.metrics();
                self.promise(
                    metrics.queued_bytes == 0 && metrics.open == 0 && metrics.closing == 0,
                    "nothing is left after a drain",
                );
                self.promise(metrics.opened == metrics.ended.total(), "every connection ended with one reason");
                let closed = self.machine.handler().closed();
                self.promise(closed == metrics.opened, "every connection was told closed");
                return;
            }
        }
        self.promise(false, "a drain comes to its end");
    }

    fn step(&mut self) {
        let peer = usize::try_from(self.random.below(self.ends.len() as u64)).unwrap_or(0);
        match (self.random.below(100), self.ends.get(peer).map(|end| end.state)) {
            (0..50, Some(Socket::Open(id, _))) => self.peer_moves(peer, id),
            (0..50, Some(Socket::Connecting)) => self.connect(peer),
            (50..80, _) => self.flush(),
            (80..96, _) => {
                let span = match self.random.below(20) {
                    0 => Duration::from_secs(self.random.below(100)),
                    1 => Duration::from_secs(5),
                    _ => Duration::from_millis(self.random.below(200)),
                };
                self.deliver_steady();
                self.pass(span);
            }
            (97, _) => {
                // A clock that goes back is not believed.
                let back = self.now.minus_nanos(self.random.below(10_000_000_000));
                let now = core::mem::replace(&mut self.now, back);
                self.apply(Input::Elapsed);
                self.now = now;
            }
            (96, _) => self.answer_a_dial(),
            (98, _) => self.apply(Input::AcceptFailed { listener: ListenerId(0), failure: AcceptFailure::Exhausted }),
            (99, Some(Socket::Open(id, _))) if self.ends[peer].link == Link::Troubled => match self.random.below(4) {
                0 => self.apply(Input::Requested(Request::Kick { conn: id })),
                // A fact about somebody who never was.
                1 => self.apply(Input::Wrote { conn: ConnId::new(0, u32::MAX, 9), bytes: 5 }),
                _ => self.fail(peer, id, Failure::Reset),
            },
            _ => {}
        }
    }

    fn connect(&mut self, peer: usize) {
        if self.machine.accepting(ListenerId(0)) != Accepting::Now || !self.is_reachable(ListenerId(0)) {
            return;
        }
        let port = u16::try_from(1000 + peer).unwrap_or(0);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let input = Input::Accepted { listener: ListenerId(0), peer: Peer::Address(address) };
        self.record(&input);
        match self.machine.apply(self.now, input) {
            Some(Ok(id)) => self.plug_in(peer, id),
            _ => self.drop_socket(peer),
        }
    }

    /// One of the attempts that the machine wants goes well or does not.
    fn answer_a_dial(&mut self) {
        let Some(dial) = self.machine.dials().map(|(dial, _)| dial).next() else { return };
        let waits = |end: &PeerEnd<A>| end.state == Socket::Elsewhere;
        let peer = self.ends.iter().position(waits).filter(|_| self.random.below(3) > 0);
        let Some(peer) = peer else {
            return self.apply(Input::DialFailed { dial, failure: Failure::Refused });
        };
        let input = Input::Dialed { dial, peer: Peer::Address(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 7))) };
        self.record(&input);
        if let Some(Ok(id)) = self.machine.apply(self.now, input) {
            self.ends[peer].sent.clear();
            self.ends[peer].ended = false;
            self.plug_in(peer, id);
        }
    }

    /// Keeps a socket where a shell would: by its index.
    fn plug_in(&mut self, peer: usize, id: ConnId) {
        self.ends[peer].state = Socket::Open(id, false);
        if self.sockets.len() <= id.index() {
            self.sockets.resize(id.index() + 1, None);
        }
        if let Some((old, owner)) = self.sockets[id.index()].replace((id, peer)) {
            self.promise(self.machine.intent(old).is_none(), "an index is given to one connection at a time");
            self.drop_socket(owner);
        }
    }

    fn peer_moves(&mut self, peer: usize, id: ConnId) {
        let end = &mut self.ends[peer];
        match self.random.below(10) {
            0..4 if !end.ended => match end.actor.act(&mut self.random) {
                Act::Wait => {}
                Act::Say(bytes) => end.sent.extend(bytes),
                Act::End => end.ended = true,
                Act::Leave => {
                    end.sent.clear();
                    self.fail(peer, id, Failure::Reset);
                }
            },
            4..8 => {
                let most = match self.random.below(4) {
                    0 => 1,
                    1 => usize::try_from(self.random.below(20)).unwrap_or(1),
                    _ => usize::MAX,
                };
                self.deliver(peer, id, most);
            }
            8 if end.link == Link::Troubled => {
                end.writable = match self.random.below(6) {
                    0 => ROOMY,
                    1..3 => 0,
                    _ => usize::try_from(self.random.below(2_000)).unwrap_or(0),
                };
                // The socket has become writable.
                self.write(peer, id);
            }
            _ => {}
        }
    }

    /// Bytes of a peer arrive, if the machine wants to read.
    fn deliver(&mut self, peer: usize, id: ConnId, most: usize) {
        if !self.machine.intent(id).is_some_and(|intent| intent.read) {
            return;
        }
        let end = &mut self.ends[peer];
        let count = most.min(end.sent.len()).min(4096);
        let bytes: Vec<u8> = end.sent.drain(..count).collect();
        if !bytes.is_empty() {
            self.apply(Input::Received { conn: id, bytes });
        } else if end.ended || matches!(end.state, Socket::Open(_, true)) {
            self.apply(Input::Ended { conn: id });
        }
    }

    /// A steady link holds nothing back while time passes.
    fn deliver_steady(&mut self) {
        for peer in 0..self.ends.len() {
            if let (Link::Steady, Socket::Open(id, _)) = (self.ends[peer].link, self.ends[peer].state) {
                self.deliver(peer, id, usize::MAX);
            }
        }
    }

    /// What a shell does at the end of a turn.
    fn flush(&mut self) {
        while let Some(id) = self.machine.next_changed() {
            let found = self.sockets.get(id.index()).copied().flatten();
            if let Some((_, peer)) = found.filter(|&(known, _)| known == id) {
                self.write(peer, id);
            }
        }
        self.apply(Input::TurnEnded);
    }

    fn write(&mut self, peer: usize, id: ConnId) {
        let Some(intent) = self.machine.intent(id) else {
            self.sockets[id.index()] = None;
            return self.drop_socket(peer);
        };
        let end = &mut self.ends[peer];
        if intent.transmit.is_empty() {
            if intent.end == End::Shutdown && !matches!(end.state, Socket::Open(_, true)) {
                end.state = Socket::Open(id, true);
            }
            return;
        }
        let (mut taken, pending) = (0, intent.transmit.len());
        for slice in intent.transmit.slices() {
            let take = slice.len().min(end.writable);
            end.actor.hear(&slice[..take]);
            end.writable -= if end.writable == ROOMY { 0 } else { take };
            taken += take;
        }
        self.apply(Input::Wrote { conn: id, bytes: taken });
        if taken < pending {
            self.apply(Input::Blocked { conn: id });
        }
    }

    fn fail(&mut self, peer: usize, id: ConnId, failure: Failure) {
        self.apply(Input::Failed { conn: id, failure });
        self.write(peer, id);
    }

    fn drop_socket(&mut self, peer: usize) {
        self.ends[peer].state = if self.ends[peer].elsewhere { Socket::Elsewhere } else { Socket::Closed };
        self.ends[peer].actor.over();
    }

    /// Time passes, with a stop at every deadline.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        let (mut last, mut count) = (self.now, 0);
        while let Some(deadline) = self.machine.deadline().filter(|deadline| deadline.at <= until) {
            self.now = self.now.max(deadline.at);
            self.apply(Input::Elapsed);
            count = if self.now == last { count + 1 } else { 0 };
            last = self.now;
            self.promise(count < ELAPSED_MAX, "time passes after a deadline");
            self.tend_tunnels();
            self.flush();
        }
        self.now = until;
        self.apply(Input::Elapsed);
        self.tend_tunnels();
    }

    fn apply(&mut self, input: Input<H::Note>) {
        self.record(&input);
        let _ = self.machine.apply(self.now, input);
    }

    fn record(&mut self, input: &Input<H::Note>) {
        self.trace.push_str(&trace::line(self.now, input));
    }

    fn check(&self) {
        if let Some(broken) = self.machine.handler().broken() {
            self.promise(false, broken);
        }
        if let Err(wrong) = self.machine.recount() {
            self.promise(false, &format!("a recount agrees with what is stored ({wrong})"));
        }
        let metrics = self.machine.metrics();
        let config = self.machine.config();
        let owed: u64 = self
            .sockets
            .iter()
            .flatten()
            .filter_map(|&(id, _)| self.machine.intent(id))
            .map(|intent| intent.transmit.len() as u64)
            .sum();
        self.promise(metrics.queued_bytes == owed, "the gauge of queued bytes is their sum");
        let dialed = self.ends.iter().filter(|end| end.elsewhere).count() as u64;
        let allowed = u64::from(config.connections.total) + dialed;
        self.promise(metrics.open + metrics.closing <= allowed, "there are no more connections than allowed");
    }

    fn promise(&self, kept: bool, promise: &str) {
        assert!(kept, "seed {}: it does not hold that {promise}. The trace:\n{}", self.seed, self.trace);
    }
}
