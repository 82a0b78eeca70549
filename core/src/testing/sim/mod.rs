//! A seeded simulation of a whole server with many peers and faults. Needs the feature `sim`.
//!
//! It covers peers on every wire, over links that split, delay, stall and reset; one to four shards
//! whose messages arrive late; a clock that jumps; a process that is stopped for a while; new
//! configurations; attempts to connect that fail, or whose result comes late or twice; and, for
//! [tunnels](crate::tunnel), SSH servers that disconnect, fall silent or refuse.
//!
//! After every step it checks the guarantees of the machine, and after every fourth step it also
//! [recounts](crate::Machine::recount) all gauges and tables. Every failure depends on the seed
//! alone: it reports the seed and the guarantee, prints the trace, and repeats with the same seed.
//! If a test's own assertion fails while a world is alive, the world's trace is printed too (with
//! the feature `std`).
//!
//! Peers are [`Client`]s, ready-made for every wire, or [`Actor`]s of your own.
//!
//! ```
//! use drupe_core::sim::{Client, Link, World};
//! use drupe_core::{app::Echo, Config, Listen};
//!
//! for seed in 0..20 {
//!     let listeners = ["tcp://127.0.0.1:7000", "ws://127.0.0.1:7001"].map(|text| text.parse::<Listen>().unwrap());
//!     let mut world = World::new(seed, Config::listening(listeners), Echo);
//!     let ann = world.add(Link::Steady, Client::lines().says(["hello", "bye"]));
//!     let bob = world.add_at(1, Link::Troubled, Client::websocket().says(["hi"]));
//!     world.run(200);
//!     world.settle();
//!     assert!(world.actor(ann).heard().starts_with(&["hello".into()]));
//!     assert!(world.actor(bob).heard().len() <= 2); // Its link may have broken, or it also got a closing notice.
//! }
//! ```
//!
//! # Guarantees
//!
//! - Each connection gets `Opened` once and `Closed` once, and all its other events in between.
//!   `Stalled` and `Drained` alternate.
//! - Every change of an intent is announced: once [`next_changed`](crate::Machine::next_changed)
//!   returns `None`, each intent is the same as when `next_changed` last returned its connection.
//! - After `elapsed` was called and everything was written, the deadline lies in the future.
//! - Gauges and tables equal recounts; counters equal what was passed in and taken out.
//! - One fact costs a bounded number of steps (with the feature `work`).
//! - What a peer sent is read once nothing blocks it: see [`World::rest`].
//! - A peer that answers pings is not closed as silent.
//! - Each dial has an attempt in progress exactly while the machine wants one, at the wanted
//!   address.
//! - In the end no connection and no dial is left, and every connection ended with one reason.
//! - A [`Client`] receives only what its wire allows: see [`Client`].
//! - The facts of a run, replayed on new machines, have the same outcome, byte for byte:
//!   [`World::replay`].

mod attempt;
mod broker;
mod client;
mod dialing;
mod digest;
mod lost_writes;
mod node;
mod operations;
mod peer;
mod promise;
mod replay;
mod replies;
mod rest;
mod ssh_server;
mod tunnel;
mod turn;
mod watch;

pub use crate::state::{Numbered, ToldPresence};
pub use attempt::Attempt;
pub use broker::{BrokerConnection, BrokerMessage, BrokerModel, RedisWork};
pub use client::{Client, Do, Session};
pub use operations::{DecodedOperation, OperationStream};
pub use peer::{Act, Actor, Link};
pub use replies::{DecodedReply, ReplyStream};

use crate::base::{ConnId, ListenerId, Peer, Random, Time, UnixTime};
use crate::config::Config;
use crate::facts::{Command, Input};
use crate::facts::{Shard, ShardMessage};
use crate::handler::Handler;
use crate::metrics::Metrics;
use crate::tunnel::TunnelId;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::{self, Write as _};
use core::time::Duration;
use node::{Mail, Node};
use peer::{PeerEnd, Place};
use ssh_server::SshServer;
use watch::Watch;

/// A simulated server, its peers and the links between them.
pub struct World<H: Handler, A> {
    seed: u64,
    random: Random,
    now: Time,
    nodes: Vec<Node<H>>,
    ends: Vec<PeerEnd<A>>,
    faults: Faults,
    on_shard_message: Option<OnShardMessage<H>>,
    servers: BTreeMap<TunnelId, SshServer>,
    /// All attempts of dials so far.
    attempts: Vec<Attempt>,
    /// Whether SSH servers work and messages between shards arrive without delay.
    calm: bool,
    /// A listener that never existed and to which a peer tried to connect.
    unreachable: Option<ListenerId>,
    may_be_empty: bool,
    /// Whether `drop` prints no trace: the test forbids it, or the trace was printed already.
    quiet: Cell<bool>,
    checks: Cell<u32>,
    /// Whether a home has lost writes, which no trace contains.
    has_lost_writes: bool,
}

type OnShardMessage<H> = Box<dyn FnMut(&mut H, &ShardMessage)>;

/// Faults that [`World::run`] simulates in addition to those of links.
///
/// The default faults can happen to any server; the others are opt-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Faults {
    /// Whether an operator sometimes kicks peers with troubled links.
    pub kicks: bool,
    /// Whether the process sometimes runs out of file descriptors.
    pub accept_failures: bool,
    /// Whether the clock sometimes goes back.
    pub clock_back: bool,
    /// Maximum duration of a stop of the whole process, for example by `SIGSTOP`. Zero: no stops.
    pub pause_max: Duration,
    /// Maximum duration of a stop of one shard. Zero: no stops.
    pub stall_max: Duration,
    /// Number of queued messages at which a shard counts as behind.
    ///
    /// See [`Machine::held_back`](crate::Machine::held_back).
    pub behind: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            kicks: true,
            accept_failures: true,
            clock_back: true,
            pause_max: Duration::ZERO,
            stall_max: Duration::ZERO,
            behind: 65_536,
        }
    }
}

impl<H: Handler, A> fmt::Debug for World<H, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).field("now", &self.now).finish_non_exhaustive()
    }
}

impl<H: Handler, A: Actor> World<H, A>
where
    H::Note: fmt::Display,
{
    /// Creates a world with one machine. All random choices, also the machine's, come from `seed`.
    pub fn new(seed: u64, config: Config, handler: H) -> Self {
        let node = Node::new(Config { seed: Some(seed), ..config }, handler, Shard::ALONE);
        Self::with_nodes(seed, alloc::vec![node])
    }

    /// Creates a world with a server of several shards, each with its own handler.
    ///
    /// # Panics
    /// If `count` is 0.
    #[expect(clippy::expect_used, reason = "a test should fail where its assumption does")]
    pub fn of_shards(seed: u64, config: &Config, count: u8, mut handler: impl FnMut(Shard) -> H) -> Self {
        let nodes = (0..count.max(1)).map(|number| {
            let shard = Shard::new(number, count).expect("a server has at least one shard");
            Node::new(Config { seed: Some(seed), ..config.clone() }, handler(shard), shard)
        });
        Self::with_nodes(seed, nodes.collect())
    }

    fn with_nodes(seed: u64, nodes: Vec<Node<H>>) -> Self {
        let mut world = Self {
            seed,
            random: Random::new(seed ^ 0x5eed),
            now: Time::START,
            nodes,
            ends: Vec::new(),
            faults: Faults::default(),
            on_shard_message: None,
            servers: BTreeMap::new(),
            attempts: Vec::new(),
            calm: false,
            unreachable: None,
            may_be_empty: false,
            quiet: Cell::new(false),
            checks: Cell::new(0),
            has_lost_writes: false,
        };
        for node in 0..world.nodes.len() {
            world.apply(node, Input::TakesJobs);
            world.apply(node, Input::Started);
        }
        world
    }

    /// Sets the faults of [`run`](Self::run).
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Disables the trace that is printed when a test's own assertion fails.
    ///
    /// For tests that only count failing worlds.
    #[must_use]
    pub fn quiet(self) -> Self {
        self.quiet.set(true);
        self
    }

    /// Allows a run in which no peer is ever accepted, for tests with random limits.
    #[must_use]
    pub const fn may_be_empty(mut self) -> Self {
        self.may_be_empty = true;
        self
    }

    /// Makes the machines catch panics of the handlers, as on a server. Needs `std`.
    ///
    /// A panic then ends the connection of its event, and the test continues.
    #[must_use]
    pub fn catch_panics(mut self) -> Self {
        self.nodes.iter_mut().for_each(|node| node.machine.keep_panics(false));
        self
    }

    /// Sets a function that is called before a shard handles a message from another shard.
    ///
    /// For a reference model of the messages between shards.
    #[must_use]
    pub fn on_shard_message(mut self, call: impl FnMut(&mut H, &ShardMessage) + 'static) -> Self {
        self.on_shard_message = Some(Box::new(call));
        self
    }

    /// Adds a peer that will connect to the first listener. Returns the peer's number.
    pub fn add(&mut self, link: Link, actor: A) -> usize {
        self.add_at(0, link, actor)
    }

    /// Adds a peer that will connect to the listener with this number. Returns the peer's number.
    pub fn add_at(&mut self, listener: u32, link: Link, actor: A) -> usize {
        let place = Place { listener: ListenerId(listener), ..Place::default() };
        self.add_to(place, link, actor)
    }

    /// Adds a peer that connects to a listener from the address `from`.
    ///
    /// With `returns`, it reconnects whenever its connection is over. Returns the peer's number.
    pub fn add_from(&mut self, from: Peer, listener: u32, returns: bool, link: Link, actor: A) -> usize {
        self.add_to(Place { listener: ListenerId(listener), from: Some(from), returns, is_remote: false }, link, actor)
    }

    /// Adds a peer that the server can dial any number of times. Returns the peer's number.
    pub fn add_remote(&mut self, link: Link, actor: A) -> usize {
        self.add_to(Place { is_remote: true, ..Place::default() }, link, actor)
    }

    /// Adds a peer that the server can dial at an address. Returns the peer's number.
    ///
    /// Several peers may have the same address, for several connections at a time. Once any peer
    /// has an address, attempts take time, and attempts to other addresses fail. Some results come
    /// late or twice: see [`attempts`](Self::attempts).
    pub fn add_remote_at(&mut self, address: impl Into<String>, link: Link, actor: A) -> usize {
        let number = self.add_remote(link, actor);
        self.ends[number].address = Some(address.into());
        number
    }

    fn add_to(&mut self, place: Place, link: Link, actor: A) -> usize {
        self.ends.push(PeerEnd::new(place, link, actor));
        self.ends.len() - 1
    }

    /// Returns the actor of the peer with this number.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn actor(&self, number: usize) -> &A {
        &self.ends[number].actor
    }

    /// Returns the actors of all peers, in the order of the peers' numbers.
    pub fn actors(&self) -> impl Iterator<Item = &A> {
        self.ends.iter().map(|end| &end.actor)
    }

    /// Returns the connections that a peer has had, in order.
    ///
    /// # Panics
    /// If there is no such peer.
    #[must_use]
    pub fn connections(&self, number: usize) -> &[ConnId] {
        &self.ends[number].conns
    }

    /// Returns `true` if the peer's link was steady when the peer was added.
    ///
    /// # Panics
    /// If there is no such peer.
    #[must_use]
    pub fn is_steady(&self, number: usize) -> bool {
        self.ends[number].always_steady
    }

    /// Returns the reason in a connection's `Closed` event, if the handler has received it.
    #[must_use]
    pub fn reason(&self, conn: ConnId) -> Option<crate::base::Reason> {
        self.nodes.get(usize::from(conn.shard()))?.machine.handler().reason(conn)
    }

    /// Returns the handler of the application. With several shards, that of the first one.
    #[must_use]
    pub fn handler(&self) -> &H {
        self.nodes[0].machine.handler().inner()
    }

    /// Returns the handler of each shard.
    pub fn handlers(&self) -> impl Iterator<Item = &H> {
        self.nodes.iter().map(|node| node.machine.handler().inner())
    }

    /// Returns the current configuration of the first shard, with the seed of the world.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.nodes[0].machine.config()
    }

    /// Returns the metrics, added up over all shards.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let mut metrics = self.nodes[0].machine.metrics();
        self.nodes[1..].iter().for_each(|node| metrics.add(&node.machine.metrics()));
        metrics
    }

    /// Returns the current virtual time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Returns the [trace](crate::trace) of the run. With several shards, that of the first one.
    ///
    /// It contains decrypted bytes.
    #[must_use]
    pub fn trace(&self) -> &str {
        self.nodes[0].machine.recorded()
    }

    /// Returns the traces of all shards. With several, a comment line before each names the shard.
    #[must_use]
    pub fn traces(&self) -> String {
        let mut text = String::new();
        for (number, node) in self.nodes.iter().enumerate() {
            if self.nodes.len() > 1 {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "# shard {number}");
            }
            text.push_str(node.machine.recorded());
        }
        text
    }

    /// Runs this many random steps, and checks the guarantees after each step.
    ///
    /// # Panics
    /// If a guarantee is broken: with the seed, the guarantee, and the trace.
    pub fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
            self.check();
        }
    }

    /// Runs an operator's command on the server.
    ///
    /// # Panics
    /// If a guarantee is broken.
    pub fn command(&mut self, command: &Command) {
        // Like a shell's handle: a drain and a reset go to all shards, a command about a connection to
        // its shard, and every other command to the first.
        let nodes = match *command {
            Command::Drain | Command::ResetMetrics => 0..self.nodes.len(),
            Command::Kick { conn } | Command::Send { conn, .. } => {
                let shard = usize::from(conn.shard());
                shard.min(self.nodes.len())..(shard + 1).min(self.nodes.len())
            }
            _ => 0..1,
        };
        for node in nodes.rev() {
            self.apply(node, Input::Command(command.clone()));
        }
        self.check();
    }

    /// Sets the wall clock on all shards.
    pub fn set_clock(&mut self, unix: UnixTime) {
        (0..self.nodes.len()).for_each(|node| self.apply(node, Input::ClockSet(unix)));
    }

    /// Delivers a note to a shard. If there is no such shard, the last one gets it.
    ///
    /// # Panics
    /// If a guarantee is broken.
    pub fn note(&mut self, shard: u8, note: H::Note) {
        let node = usize::from(shard).min(self.nodes.len() - 1);
        self.apply(node, Input::Noted(note));
        self.check();
    }

    /// Replaces the configuration: on the first shard at once, on the others by message.
    ///
    /// # Panics
    /// If a guarantee is broken.
    pub fn reconfigure(&mut self, config: &Config) {
        for node in 1..self.nodes.len() {
            self.post(0, node, Mail::Reconfigured(config.clone().into()));
        }
        self.reconfigured(0, config.clone());
        self.check();
    }

    /// Advances the clock, stopping at every deadline.
    ///
    /// # Panics
    /// If a guarantee is broken.
    pub fn advance(&mut self, span: Duration) {
        self.pass(span);
        self.check();
    }

    /// Stops the whole process for `span`. Then the shards handle input and expired deadlines.
    ///
    /// # Panics
    /// If a guarantee is broken.
    pub fn pause(&mut self, span: Duration) {
        self.stop(span);
        self.check();
    }

    /// Makes all links steady, and drains the server until no connection is left.
    ///
    /// # Panics
    /// If a connection is left or a guarantee is broken; or if there are peers and none was ever
    /// accepted.
    pub fn settle(&mut self) {
        let nobody = self.unreachable.filter(|_| self.nodes.iter().all(|node| node.machine.metrics().opened == 0));
        self.promise(nobody.is_none(), "every peer's listener exists: there is no such listener");
        let has_opened = self.nodes.iter().any(|node| node.machine.metrics().opened > 0);
        // A run in which no peer could connect has tested nothing.
        let is_empty = !has_opened && !self.ends.is_empty();
        self.promise(!is_empty || self.may_be_empty, "at least one peer connected in the steps that were run");
        self.ends.iter_mut().for_each(|end| end.link = Link::Steady);
        self.rest();
        self.calm = true;
        self.command(&Command::Drain);
        for _ in 0..1_000 {
            self.flush_all();
            self.deliver_steady();
            self.deliver_mail();
            self.pass(Duration::from_millis(500));
            self.check();
            if self.nodes.iter().all(|node| node.machine.is_drained()) {
                self.flush_all();
                // The last messages between shards were sent as the last connections closed.
                self.deliver_mail();
                return self.check_end();
            }
        }
        self.promise(false, "a drain completes");
    }
}

impl<H: Handler, A> Drop for World<H, A> {
    /// Prints the traces of all shards if a test panics outside of the world's checks.
    fn drop(&mut self) {
        #[cfg(feature = "std")]
        if std::thread::panicking() && !self.quiet.get() {
            let traces: Vec<&str> = self.nodes.iter().map(|node| node.machine.recorded()).collect();
            std::eprintln!("The test failed in the world of seed {}. The trace:\n{}", self.seed, traces.join("\n"));
        }
    }
}
