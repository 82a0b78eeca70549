//! A relay in a thousand seeded worlds.
//!
//! Messages stay in order, healthy peers lose none, and every trace can be replayed to the same
//! bytes.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

use drupe_core::app::Relay;
use drupe_core::limit::{Ladder, MessageSize, Rate};
use drupe_core::outbound::{Marks, SlowPolicy};
use drupe_core::sim::{Act, Actor, Link, World};
use drupe_core::tunnel::{Ssh, Tunnel, TunnelFailure, TunnelState};
use drupe_core::{
    Backoff, Config, ConnId, Dial, DialId, Event, Handler, Hub, Machine, NoNote, Origin, Payload, Random, Reason,
    Timer, trace,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SEEDS: u64 = 1_000;
const STEPS: u32 = 1_500;
/// The talker that is dialled, again and again.
const DIALED: usize = 10;

/// A relay that remembers what it was asked to relay, and calls a few other things of the hub on the way.
#[derive(Default)]
struct Remembering {
    relay: Relay,
    relayed: Vec<String>,
    dialed: u64,
    failed_dials: u64,
    /// What was last wrong with a tunnel, each time that its state changed.
    tunnel_failures: BTreeMap<TunnelFailure, u64>,
}

impl Handler for Remembering {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match &event {
            Event::Started => {
                let backoff = Some(Backoff::default().stable_after(Duration::from_secs(5)));
                hub.dial(Dial::lines("192.0.2.1:7").backoff(backoff));
                return;
            }
            Event::DialFailed { retry_at, .. } => {
                assert!(retry_at.is_some_and(|at| at > hub.now()), "it is tried again, later");
                self.failed_dials += 1;
            }
            Event::Opened { origin: Origin::Dial(_), .. } => self.dialed += 1,
            Event::Tunnel { status, .. } => {
                if let Some((failure, _)) = status.last_error.as_ref().filter(|_| status.state != TunnelState::Up) {
                    *self.tunnel_failures.entry(*failure).or_default() += 1;
                }
            }
            _ => {}
        }
        match &event {
            Event::Opened { conn, .. } => hub.wake(Timer::of(*conn, "greeting"), Duration::from_millis(50)),
            Event::Timer(Timer { conn: Some(conn), .. }) => {
                hub.send(*conn, "private");
                if hub.random().is_multiple_of(4) {
                    hub.pause(*conn);
                    hub.wake(Timer::of(*conn, "resume"), Duration::from_millis(20));
                } else {
                    hub.resume(*conn);
                }
            }
            Event::Message { payload, .. } => self.relayed.extend(payload.as_str().map(str::to_owned)),
            _ => {}
        }
        self.relay.on(hub, event);
    }
}

/// Says numbered lines, and keeps what it hears.
struct Talker {
    name: usize,
    said: u32,
    troubled: bool,
    heard: Vec<u8>,
    over: bool,
}

impl Actor for Talker {
    fn act(&mut self, random: &mut Random) -> Act {
        match random.below(60) {
            0 if self.troubled => Act::End,
            1 if self.troubled => Act::Leave,
            2 if self.troubled => Act::Say(vec![b'x'; 3_000]),
            3 if self.troubled => Act::Say(b"\xff\n".to_vec()),
            4..40 => {
                let count = 1 + random.below(4);
                let length = usize::try_from(random.below(200)).expect("small");
                let line = |n: u32| format!("{} {n} {};\n", self.name, "-".repeat(length));
                let text = (0..count)
                    .map(|_| {
                        self.said += 1;
                        line(self.said)
                    })
                    .collect::<String>();
                Act::Say(text.into_bytes())
            }
            _ => Act::Wait,
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
    }

    fn over(&mut self) {
        self.over = true;
        if self.name == DIALED {
            // What it hears next is on another connection.
            self.heard.push(b'\n');
        }
    }
}

impl Talker {
    fn new(name: usize, troubled: bool) -> Self {
        Self { name, said: 0, troubled, heard: Vec::new(), over: false }
    }

    /// Lines of other talkers, in the order heard.
    fn relayed(&self) -> Vec<&str> {
        let text = std::str::from_utf8(&self.heard).expect("only UTF-8 was relayed");
        text.lines().filter(|line| is_whole(line)).collect()
    }
}

fn config(seed: u64) -> Config {
    let address = if seed % 5 == 4 { "telnet://127.0.0.1:7000?probe=no" } else { "tcp://127.0.0.1:7000" };
    let mut config = Config::listening([address.parse().expect("well formed")]);
    config.outbound.marks = Marks::new(500, 1_000, 4_000).expect("in order");
    config.outbound.slow_policy =
        [SlowPolicy::Close, SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest]
            [(seed % 4) as usize];
    config.outbound.write_deadline = Duration::from_secs(20);
    config.peer.budget.message_max_bytes = MessageSize::new(2_000).expect("in range");
    config.peer.budget.message_deadline = Duration::from_secs(30);
    config.peer.budget.messages_per_turn = 3;
    config.connections.total = 9;
    if seed.is_multiple_of(3) {
        config.peer.rates.messages = Rate::new(20, 5).ok();
        config.peer.rates.ladder = Ladder::default().warn(Some(1));
    } else {
        config.peer.rates.messages = None;
    }
    if seed.is_multiple_of(5) {
        config.peer.idle = Some(Duration::from_secs(300));
    }
    config
}

fn world(seed: u64) -> World<Remembering, Talker> {
    let mut world = World::new(seed, config(seed), Remembering::default());
    for name in 0..10 {
        let troubled = name >= 3;
        world.add(if troubled { Link::Troubled } else { Link::Steady }, Talker::new(name, troubled));
    }
    world.add_remote(Link::Troubled, Talker::new(DIALED, true));
    world
}

/// A connection may break in the middle of a line, and what is left of it may be relayed.
fn is_whole(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_digit()) && line.ends_with(';')
}

/// The number of the talker and of the line.
fn numbers(line: &str) -> (usize, u32) {
    let mut words = line.split(' ').map(str::parse::<u32>);
    let mut next = || words.next().expect("a word").expect("a number");
    (next() as usize, next())
}

#[test]
fn thousand_simulated_worlds_keep_the_invariants() {
    let mut reached = BTreeMap::<Reason, u64>::new();
    let (mut messages, mut skipped, mut stayed) = (0, 0, 0);
    let (mut dialed, mut failed_dials) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = world(seed);
        world.run(STEPS);
        world.settle();
        let relayed: BTreeSet<&str> =
            world.handler().relayed.iter().map(String::as_str).filter(|line| is_whole(line)).collect();
        for actor in world.actors() {
            let mut last = BTreeMap::new();
            for line in actor.relayed() {
                let (name, number) = numbers(line);
                assert!(relayed.contains(line) && name != actor.name, "seed {seed}: {} heard {line:?}", actor.name);
                let before = last.insert(name, number).unwrap_or(0);
                assert!(before < number, "seed {seed}: {} heard {number} of {name} after {before}", actor.name);
                if !actor.troubled {
                    // A gap is what was lost on the sender's side; what was relayed while it listened is heard.
                    let lost = (before + 1..number)
                        .find(|n| before > 0 && relayed.iter().any(|line| numbers(line) == (name, *n)));
                    assert_eq!(lost, None, "seed {seed}: {} lost a line of {name}", actor.name);
                }
            }
            if actor.heard.ends_with(b"closing (shutdown): the server is shutting down\n") && !actor.troubled {
                for line in relayed.iter().filter(|line| numbers(line).0 != actor.name) {
                    let (name, number) = numbers(line);
                    let heard = last.get(&name).is_none_or(|&last| number <= last);
                    assert!(heard, "seed {seed}: {} did not hear the last lines of {name}", actor.name);
                }
                stayed += 1;
            }
        }
        dialed += world.handler().dialed;
        failed_dials += world.handler().failed_dials;
        let metrics = world.metrics();
        messages += metrics.messages_in;
        skipped += metrics.skipped;
        metrics.ended.iter().for_each(|(reason, count)| *reached.entry(reason).or_default() += count);

        let mut again = Machine::new(config(seed).seed(Some(seed)), Remembering::default());
        let transcript = trace::replay(world.trace(), &mut again).expect("a trace is well formed");
        let written: usize = transcript.written.values().map(Vec::len).sum();
        assert_eq!(written as u64, metrics.bytes_out, "seed {seed}");
        for actor in world.actors().filter(|actor| !actor.heard.is_empty() && actor.name != DIALED) {
            assert!(
                transcript.written.values().any(|bytes| *bytes == actor.heard),
                "seed {seed}: the replay wrote something else"
            );
        }
    }
    // A simulation that reaches nothing proves nothing.
    for reason in [
        Reason::PeerClosed,
        Reason::MessageTooLarge,
        Reason::InvalidUtf8,
        Reason::SlowConsumer,
        Reason::Reset,
        Reason::Kicked,
        Reason::Shutdown,
    ] {
        assert!(reached[&reason] > 20, "{reason} was reached {} times in {reached:?}", reached[&reason]);
    }
    assert!(messages > 50_000 && skipped > 1_000, "{messages} messages, {skipped} skipped");
    assert!(dialed > 3_000 && failed_dials > 1_000, "{dialed} dials went well and {failed_dials} did not");
    assert!(stayed > 2_000, "{stayed} healthy peers stayed to the end");
}

/// A handler that does everything the hub offers from every event, by chance.
#[derive(Default)]
struct Restless;

impl Handler for Restless {
    type Context = u32;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, u32>, event: Event<'_, NoNote>) {
        let named = match &event {
            Event::Opened { conn, .. }
            | Event::Message { conn, .. }
            | Event::Closed { conn, .. }
            | Event::Stalled { conn, .. }
            | Event::Drained { conn, .. }
            | Event::InputEnded { conn, .. } => Some(*conn),
            _ => None,
        };
        let all: Vec<ConnId> = hub.connections().collect();
        let anyone = |random: u64| all.get(usize::try_from(random).expect("64 bits") % all.len().max(1)).copied();
        let other = anyone(hub.random()).or(named);
        for conn in [named, other].into_iter().flatten() {
            let room = ["a", "b", "c"][(hub.random() % 3) as usize];
            let chance = hub.random();
            match chance / 8 % 18 {
                16 => {
                    hub.dial(Dial::lines("192.0.2.1:7").backoff(chance.is_multiple_of(2).then(Backoff::default)));
                }
                17 => hub.cancel_dial(DialId::new(u32::try_from(chance % 8).expect("small"))),
                0 => hub.close(conn),
                1 => hub.close_with(conn, "bye"),
                2 => hub.pause(conn),
                3 | 4 => hub.resume(conn),
                5 => drop(hub.join(conn, room)),
                6 => drop(hub.leave(conn, room)),
                7 => drop(hub.publish(room, "to a room")),
                8 => drop(hub.publish_except(room, &all, "to nobody")),
                9 => drop(hub.send_each(&all, "to all")),
                10 => hub.wake(Timer::of(conn, "soon"), Duration::ZERO),
                11 => hub.wake(Timer::named("never"), Duration::MAX),
                12 => drop(hub.cancel(Timer::of(conn, "soon"))),
                13 => hub.set_slow_policy(room, SlowPolicy::KeepLatest).expect("a good name"),
                _ => drop(hub.send(conn, Payload::Binary(b"private"))),
            }
            if let Some(count) = hub.context(conn) {
                *count += 1;
            }
        }
    }
}

#[test]
fn erratic_handler_breaks_no_invariant() {
    for seed in 0..300 {
        let mut config = config(seed);
        config.listeners[0].half_open = seed % 2 == 0;
        let mut world = World::new(seed, config, Restless);
        for name in 0..8 {
            world.add(if name < 2 { Link::Steady } else { Link::Troubled }, Talker::new(name, name >= 2));
        }
        world.add_remote(Link::Steady, Talker::new(8, false));
        world.add_remote(Link::Troubled, Talker::new(9, true));
        world.run(STEPS);
        world.settle();
    }
}

/// A relay that is reached through a tunnel only.
fn tunnelled(seed: u64) -> World<Remembering, Talker> {
    let mut config = config(seed);
    let address = if seed % 5 == 4 { "telnet://127.0.0.1:7000?probe=no" } else { "tcp://127.0.0.1:7000" };
    config.listeners =
        vec![format!("{address}{}tunnel=edge", if seed % 5 == 4 { '&' } else { '?' }).parse().expect("good")];
    config.connections.total = 30;
    let mut tunnel = Tunnel::new("edge", Ssh::new("edge.example", "drupe", "known_hosts"));
    tunnel.reconnect.cap = Duration::from_secs(20);
    config.tunnels = vec![tunnel];
    let mut world = World::new(seed, config, Remembering::default());
    for name in 0..40 {
        world.add(if name < 3 { Link::Steady } else { Link::Troubled }, Talker::new(name, name >= 3));
    }
    world.add_remote(Link::Troubled, Talker::new(DIALED + 30, true));
    world
}

#[test]
fn tunnels_recover_from_any_failure() {
    let (mut lost, mut connects, mut connected) = (0, 0, 0);
    let mut failures = BTreeMap::<TunnelFailure, u64>::new();
    for seed in 0..1_200 {
        let mut world = tunnelled(seed);
        world.run(STEPS);
        // The longest wait, the longest attempt, the slow schedule, and the longest wait for a port.
        world.recover(Duration::from_secs(300 + 30 + 20 + 20));
        world.settle();
        let metrics = world.metrics();
        world.handler().tunnel_failures.iter().for_each(|(failure, n)| *failures.entry(*failure).or_default() += n);
        lost += metrics.ended.get(Reason::TunnelLost);
        connects += metrics.tunnels[0].connects;
        connected += metrics.tunnels[0].connected;

        let mut again = Machine::new(world.config().clone(), Remembering::default());
        let transcript = trace::replay(world.trace(), &mut again).expect("a trace is well formed");
        let written: usize = transcript.written.values().map(Vec::len).sum();
        assert_eq!(written as u64, metrics.bytes_out, "seed {seed}");
    }
    assert!(
        lost > 500 && connects > 2_000 && connected > 1_000,
        "{lost} lost, {connects} tried, {connected} connected"
    );
    for failure in [
        TunnelFailure::Network,
        TunnelFailure::TimedOut,
        TunnelFailure::Silent,
        TunnelFailure::Disconnected,
        TunnelFailure::Authentication,
        TunnelFailure::Forward,
    ] {
        assert!(failures[&failure] > 20, "{failure} was reached {} times in {failures:?}", failures[&failure]);
    }
}
