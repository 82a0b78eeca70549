mod broker;
mod homes;
mod input;
mod restless;

use crate::extremes::Draw;
use crate::memory::peak_of;
use arbitrary::Arbitrary;
use broker::Broker;
use drupe_core::history::Keep;
use drupe_core::http::{Credential, Forwarded, ForwardedField, Http};
use drupe_core::limit::{EarlyDrop, Ladder, MessageSize, Network, Rate};
use drupe_core::outbound::{Marks, SlowPolicy};
use drupe_core::telnet::Telnet;
use drupe_core::testing::Netstrings;
use drupe_core::tls::Tls;
use drupe_core::tunnel::{Ssh, Tunnel};
use drupe_core::wire::{Custom, Protocol, Proxies, Wire};
use drupe_core::{
    Address, Command, Config, ConnId, Drain, Input, Listen, Machine, Presence, RoomMemory, RoomOptions, Shard, Time,
    trace, work,
};
use input::{input, input_bytes};
use restless::Restless;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// A random fact. Most facts are about one of the latest connections.
#[derive(Arbitrary, Clone, Debug)]
enum Fact {
    Accepted { listener: u8, address: u8 },
    AcceptFailed { listener: u8, exhausted: bool },
    Received { who: u8, bytes: Vec<u8> },
    Line { who: u8, length: u16 },
    Upgrade { who: u8, deflate: bool },
    Frame { who: u8, opcode: u8, content: Vec<u8> },
    Wrote { who: u8, bytes: u16 },
    WroteAll { who: u8 },
    Blocked { who: u8 },
    Ended { who: u8 },
    Failed { who: u8 },
    Elapsed { millis: u32 },
    ToDeadline,
    ClockBack { millis: u16 },
    Dialed { dial: u8, up: bool },
    Noted(u8),
    Publish { length: u16 },
    Kick { who: u8 },
    Drain,
    Turn,
    Secured { who: u8 },
    Sealed { who: u8, bytes: u16 },
    Header { who: u8, version: u8 },
    Quarantine { address: u8, release: bool },
    ShardMessage { who: u8, kind: u8 },
    Reconfigured { limits: [u8; 8] },
    Tunnel { report: u8, listener: u8 },
}

#[derive(Arbitrary, Clone, Debug)]
struct Run {
    limits: [u8; 8],
    seed: u64,
    facts: Vec<Fact>,
}

#[derive(Arbitrary, Clone, Debug)]
struct ExtremeRun {
    picks: Picks,
    seed: u64,
    facts: Vec<Fact>,
}

/// The bytes from which the configuration is drawn.
#[derive(Clone, Debug)]
struct Picks(Vec<u8>);

impl<'a> Arbitrary<'a> for Picks {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let count = usize::from(u8::arbitrary(bytes)?).min(bytes.len());
        Ok(Self(bytes.bytes(count)?.into()))
    }
}

fn config(limits: [u8; 8], seed: u64) -> Config {
    let [message, marks, rate, ladder, time, conns, turn, half_open] = limits;
    let addresses = [
        "tcp://127.0.0.1:1",
        "length://127.0.0.1:2?prefix=u8",
        "telnet://127.0.0.1:3?gmcp=yes&compress=yes&keep_alive=1",
        "telnet://127.0.0.1:4?mode=character",
        "auto://127.0.0.1:5?prefix=u32be",
        "ws://127.0.0.1:6/chat?ping=1",
    ];
    let mut listeners: Vec<Listen> = addresses.map(|text| text.parse().expect(text)).into();
    for listen in &mut listeners {
        listen.half_open = half_open & 1 == 1;
        listen.notices = half_open & 2 == 2;
    }
    let secure = listeners[0].clone().tls(Some(Tls::external()));
    let trusted: Network = "2001:db8::/63".parse().expect("good");
    let proxies = Some(Proxies::trusting([trusted]));
    let proxied = listeners[4].clone().proxies(proxies.clone()).tls(Some(Tls::external()));
    let http = Http::default()
        .telnet(Some(Telnet::default()))
        .forwarded(Some(Forwarded::new(ForwardedField::XForwardedFor, [trusted])))
        .monitor(Credential::new("0123456789abcdef").ok())
        .ping(Some(Duration::from_secs(1)));
    let carried = listeners[5].clone().protocol(Protocol::Http(http.into())).notices(true);
    listeners.extend([secure, proxied, listeners[1].clone().proxies(proxies), carried]);
    for (listen, port) in listeners.iter_mut().zip(1..) {
        listen.address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    for text in ["tcp://127.0.0.1:0?tunnel=edge", "unix:///run/x.sock?tunnel=edge"] {
        listeners.push(text.parse().expect(text));
    }
    for text in ["raw://127.0.0.1:11?mode=keys", "delimited://127.0.0.1:12?delimiter=%00%01"] {
        listeners.push(text.parse().expect(text));
    }
    let netstrings = Wire::Custom(Custom::new(&Netstrings).expect("a good name"));
    listeners.push(Listen::new(Address::Tcp(([127, 0, 0, 1], 13).into()), netstrings));
    let mut config = Config::listening(listeners).seed(Some(seed));
    let mut tunnel = Tunnel::new("edge", Ssh::new("192.0.2.1", "drupe", "known_hosts"));
    tunnel.reconnect.attempts_max = (time & 16 == 16).then_some(3);
    tunnel.keep_alive.interval = Duration::from_millis(u64::from(time));
    // A reload to a configuration without the tunnel ends it.
    config.tunnels.extend((time & 32 == 0).then_some(tunnel));
    config.connections.early_drop = EarlyDrop::new(u32::from(conns % 5), 9).ok().filter(|_| conns & 32 > 0);
    config.connections.arrivals_per_address = Rate::per(u32::from(conns % 7), 1, 3).ok();
    config.dry_run = conns & 64 > 0;
    config.peer.lifetime = (time & 4 == 4).then_some(Duration::from_millis(u64::from(time) * 8));
    config.drain.grace = Duration::from_millis(u64::from(time % 3));
    config.drain.retry_after = (time & 8 == 8).then_some(Duration::from_secs(1));
    config.peer.budget.message_max_bytes = MessageSize::new(u64::from(message) * 8 + 1).expect("in range");
    config.peer.budget.messages_per_turn = u32::from(turn % 5);
    let unit = u32::from(marks);
    config.outbound.marks = Marks::new(unit, 4 * unit, 16 * unit + 1).expect("in order");
    config.outbound.slow_policy =
        [SlowPolicy::Close, SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest]
            [usize::from(marks % 4)];
    config.peer.rates.messages = Rate::new(u32::from(rate), 3).ok();
    config.peer.rates.bytes = Rate::new(u32::from(rate) * 50, 100).ok();
    let step = |bit: u8| (ladder >> bit & 1 == 1).then_some(u32::from(bit));
    config.peer.rates.ladder =
        Ladder::default().warn(step(0)).pause(step(1)).drop(step(2)).close(step(3)).quarantine(step(4));
    config.peer.idle = (time & 1 == 1).then_some(Duration::from_millis(u64::from(time)));
    config.peer.silence = (time & 2 == 2).then_some(Duration::from_millis(u64::from(time) / 2));
    config.closing.linger = Duration::from_millis(u64::from(time));
    config.connections.total = u32::from(conns % 16) + 1;
    config.connections.per_address = u32::from(conns / 16) + 1;
    config.rooms.total = 2;
    config.rooms.per_connection = 1;
    config.memory = memory(half_open, unit);
    config
}

/// Returns which rooms have a home: none, or those of one name, whose options the other bits decide.
fn memory(bits: u8, unit: u32) -> RoomMemory {
    if bits & 4 == 0 {
        return RoomMemory::default();
    }
    let presence = [Presence::Names, Presence::Counts, Presence::Names, Presence::Off][usize::from(bits >> 3 & 3)];
    let keep = Keep::messages(unit % 7).bytes(unit * 16 + 1).key_window(Duration::from_secs(1));
    let options = RoomOptions::new("a", keep).presence(presence).tells_gaps(bits & 32 == 0).positions(bits & 64 == 0);
    RoomMemory::default().rooms(vec![options]).bytes_max(u64::from(unit) * 64).recover_max(u32::from(bits >> 6))
}

/// Runs any facts, in any order, on a machine with any limits and a random handler.
///
/// # Panics
/// If a guarantee is broken.
pub fn machine(data: &[u8]) {
    let Ok(run) = Run::arbitrary_take_rest(arbitrary::Unstructured::new(data)) else { return };
    drive(&run.facts, run.seed, &|| config(run.limits, run.seed));
}

/// Like [`machine`], with a configuration in which each field may be 0, 1 or the maximum.
///
/// # Panics
/// If a guarantee is broken.
pub fn machine_extremes(data: &[u8]) {
    let Ok(run) = ExtremeRun::arbitrary_take_rest(arbitrary::Unstructured::new(data)) else { return };
    drive(&run.facts, run.seed, &|| Draw::new(&run.picks.0).config(run.seed));
}

fn drive(facts: &[Fact], seed: u64, configured: &dyn Fn() -> Config) {
    let facts = facts.get(..facts.len().min(500)).unwrap_or_default();
    let shards = [Shard::ALONE, Shard::new(0, 3).expect("in range"), Shard::new(1, 3).expect("in range")];
    let shard = shards[usize::try_from(seed % 3).unwrap_or(0)];
    let mut driven = Driven::new(Machine::shard(configured(), Restless::default(), shard));
    let mut dialing = BTreeSet::new();
    for fact in facts {
        if matches!(fact, Fact::Turn) {
            driven.forget_ended();
            while let Some(dial) = driven.machine.next_changed_dial() {
                if driven.machine.address_to_dial(dial).is_some() {
                    dialing.insert(dial);
                } else {
                    dialing.remove(&dial);
                }
            }
            assert!(
                driven.machine.dials().map(|(dial, _)| dial).eq(dialing.iter().copied()),
                "next_changed_dial returns each changed dial"
            );
            driven.exchange_with_broker();
        }
        if let Some(input) = input(fact, &mut driven.machine, &driven.known, &mut driven.now) {
            driven.apply(input);
        }
    }
    // A replay must have the same outcome.
    let Driven { mut machine, mut now, text, written, reloads, .. } = driven;
    replay(&text, configured(), reloads, shard, written, &machine);
    machine.apply(now, Input::Command(Command::Drain));
    for _ in 0..1_000 {
        let Some(deadline) = machine.deadline().filter(|_| !machine.is_drained()) else { break };
        now = now.max(deadline.at);
        machine.elapsed(now);
        machine.turn_ended(now);
    }
    let Drain { grace, window, deadline, .. } = machine.config().drain;
    // The configuration may allow a drain that never ends.
    let ends = ![grace, window, deadline].into_iter().any(|span| span >= Duration::from_nanos(u64::MAX));
    if ends {
        assert!(machine.is_drained() && machine.handler().open.is_empty(), "a drain ends");
        assert_eq!(machine.metrics().queued_bytes, 0);
    }
}

/// A machine, and what it was told so far.
struct Driven {
    machine: Machine<Restless>,
    now: Time,
    broker: Broker,
    known: Vec<ConnId>,
    sockets: BTreeSet<ConnId>,
    text: String,
    /// Number of bytes that were written to all connections.
    written: usize,
    /// Number of bytes that were received from all connections.
    received: usize,
    reloads: Vec<Config>,
}

impl Driven {
    fn new(machine: Machine<Restless>) -> Self {
        let broker = Broker::of(machine.config());
        Self {
            machine,
            now: Time::START,
            broker,
            known: Vec::new(),
            sockets: BTreeSet::new(),
            text: String::new(),
            written: 0,
            received: 0,
            reloads: Vec::new(),
        }
    }

    fn forget_ended(&mut self) {
        while let Some(id) = self.machine.next_changed() {
            if self.machine.intent(id).is_none() {
                self.sockets.remove(&id);
            }
        }
        assert!(
            self.sockets.iter().all(|&id| self.machine.intent(id).is_some()),
            "next_changed returns each connection that has ended"
        );
    }

    /// Passes bytes between the machine and its broker, until nothing is left or for a while.
    fn exchange_with_broker(&mut self) {
        for _ in 0..40 {
            let Some(input) = self.broker.next_input(&self.machine) else { return };
            self.apply(input);
        }
    }

    /// Tells the machine one fact, and checks what that costs and causes.
    fn apply(&mut self, input: Input<u8>) {
        if let Input::Wrote { conn, bytes } = input {
            self.written += self.machine.intent(conn).map_or(0, |intent| bytes.min(intent.transmit.len()));
            self.broker.hear(&self.machine, conn, bytes);
        }
        if let Input::Reconfigured(newer) = &input {
            self.reloads.push(Config::clone(newer));
        }
        let is_of_broker = matches!(input, Input::Dialed { dial, .. } if Broker::is_link(&self.machine, dial));
        self.text.push_str(&trace::line(self.now, &input));
        let grew = input_bytes(&input);
        self.received += grew.unsigned_abs();
        let (mut outcome, mut steps) = (None, 0);
        let peak = peak_of(|| (outcome, steps) = work::steps_of(|| self.machine.apply(self.now, input)));
        // One fact may serve one message of every connection, into logs that grow by doubling.
        assert!(peak < (1 << 20) + 8 * grew, "{peak} bytes for one fact");
        let of_dials = self.machine.handler().messages_per_turn;
        let most = most_steps(self.machine.config(), self.received, self.known.len(), of_dials);
        assert!(steps <= most, "{steps} steps for one fact; the maximum is {most}");
        if let Some(Ok(id)) = outcome {
            self.known.push(id);
            self.sockets.insert(id);
            if is_of_broker {
                self.broker.accept(id);
            }
        }
        check(&self.machine, &self.known);
        while self.machine.next_shard_message().is_some() {}
    }
}

/// The most steps that one fact may take.
///
/// It may serve each of `connections`. No message can be longer than the `received` bytes so far,
/// and no turn can have more messages than that. `of_dials` is the largest limit of any dial.
fn most_steps(config: &Config, received: usize, connections: usize, of_dials: u32) -> u64 {
    let per_turn = config.peer.budget.messages_per_turn.max(of_dials);
    let longest = MessageSize::new(received.max(1) as u64).unwrap_or(MessageSize::MAX);
    let budget = config
        .peer
        .budget
        .message_max_bytes(longest)
        .messages_per_turn(per_turn.min(u32::try_from(received).unwrap_or(u32::MAX)));
    budget.steps_max(received).saturating_mul(connections as u64 + 1)
}

fn replay(text: &str, config: Config, reloads: Vec<Config>, shard: Shard, written: usize, machine: &Machine<Restless>) {
    let mut again = Machine::shard(config, Restless::default(), shard);
    let transcript = trace::replay_with(text, &mut again, reloads).expect("a written trace can be parsed");
    assert_eq!(transcript.written.values().map(Vec::len).sum::<usize>(), written);
    assert_eq!(format!("{:?}", again.metrics()), format!("{:?}", machine.metrics()));
}

fn check(machine: &Machine<Restless>, known: &[ConnId]) {
    assert_eq!(machine.recount(), Ok(()));
    let metrics = machine.metrics();
    let owed: usize = known
        .iter()
        .filter_map(|&id| machine.intent(id))
        .map(|intent| intent.transmit.slices().map(<[u8]>::len).sum::<usize>())
        .sum();
    assert_eq!(metrics.queued_bytes, owed as u64, "the gauge of queued bytes equals their sum");
    assert_eq!(metrics.open, machine.handler().open.len() as u64);
    let shown = known.iter().filter(|&&id| machine.intent(id).is_some()).count() as u64;
    assert_eq!(metrics.open + metrics.closing + metrics.undecided, shown);
}
