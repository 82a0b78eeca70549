//! Every configuration field at zero, at one and at its maximum.
//!
//! In each case the machine serves on every wire, time passes, the machine drains, and nothing
//! loops forever.

use crate::every_wire::{Peers, WIRES, base, message};
use drupe_core::app::Echo;
use drupe_core::history::Keep;
use drupe_core::http::Http;
use drupe_core::limit::{EarlyDrop, Ladder, MessageSize, Rate};
use drupe_core::outbound::{Gather, Marks};
use drupe_core::telnet::Telnet;
use drupe_core::tunnel::{KeepAlive, Ssh, Tunnel, TunnelFailure, TunnelReport};
use drupe_core::wire::{Auto, Protocol, Proxies, Wire};
use drupe_core::{
    AcceptFailure, Accepting, Command, Config, Listen, ListenerId, Machine, Reason, RoomOptions, Time, UnixTime,
};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extreme {
    Zero,
    One,
    Max,
}
use Extreme::{Max, One, Zero};

impl Extreme {
    pub(crate) const fn span(self) -> Duration {
        match self {
            Zero => Duration::ZERO,
            One => Duration::from_nanos(1),
            Max => Duration::MAX,
        }
    }

    pub(crate) const fn count(self) -> u32 {
        match self {
            Zero => 0,
            One => 1,
            Max => u32::MAX,
        }
    }

    pub(crate) fn at_least_one(self) -> u32 {
        self.count().max(1)
    }
}

/// A change of one field, and what it is called.
pub(crate) type Change = (&'static str, fn(&mut Config, Extreme));

/// The same, of tunnels.
type TunnelChange = (&'static str, fn(&mut Tunnel, Extreme));

/// Every change there is.
fn changes() -> Vec<Change> {
    [of_connections(), of_rates_and_queues(), of_time(), of_memory(), of_listeners()].concat()
}

fn of_connections() -> Vec<Change> {
    vec![
        ("seed", |c, x| c.seed = Some(x.count().into())),
        ("connections.total", |c, x| c.connections.total = x.count()),
        ("connections.per_address", |c, x| c.connections.per_address = x.count()),
        ("connections.arrivals_per_address", |c, x| {
            c.connections.arrivals_per_address = Rate::per(x.at_least_one(), x.at_least_one(), x.at_least_one()).ok();
        }),
        ("connections.early_drop", |c, x| {
            c.connections.early_drop = EarlyDrop::new(x.count() / 2, x.at_least_one()).ok();
        }),
        ("budget.message_max_bytes", |c, x| {
            let bytes = if x == Max { MessageSize::MAX.get() as u64 } else { 64 };
            c.peer.budget.message_max_bytes = MessageSize::new(bytes).expect("in range");
        }),
        ("budget.message_deadline", |c, x| c.peer.budget.message_deadline = x.span()),
        ("budget.messages_per_turn", |c, x| c.peer.budget.messages_per_turn = x.count()),
    ]
}

fn of_rates_and_queues() -> Vec<Change> {
    vec![
        ("rates.messages", |c, x| c.peer.rates.messages = Rate::per(x.at_least_one(), 1, x.at_least_one()).ok()),
        ("rates.messages, seldom", |c, x| c.peer.rates.messages = Rate::per(1, x.at_least_one(), 1).ok()),
        ("rates.bytes", |c, x| c.peer.rates.bytes = Rate::new(x.at_least_one(), x.at_least_one()).ok()),
        ("ladder.warn", |c, x| strict(c).warn = Some(x.count())),
        ("ladder.pause", |c, x| strict(c).pause = Some(x.count())),
        ("ladder.drop", |c, x| strict(c).drop = Some(x.count())),
        ("ladder.close", |c, x| strict(c).close = Some(x.count())),
        ("ladder.quarantine", |c, x| strict(c).quarantine = Some(x.count())),
        ("ladder.forgive_after", |c, x| strict(c).forgive_after = x.span()),
        ("quarantine.cool_down", |c, x| c.quarantine.cool_down = x.span()),
        ("quarantine.addresses_max", |c, x| c.quarantine.addresses_max = x.count()),
        ("outbound.marks", |c, x| {
            let most = x.count().min(1 << 30);
            c.outbound.marks = Marks::new(most / 2, most, most.max(1)).expect("in order");
        }),
        ("outbound.write_deadline", |c, x| c.outbound.write_deadline = x.span()),
        ("outbound.drain_min_bytes_per_second", |c, x| {
            c.outbound.drain_min_bytes_per_second = NonZeroU32::new(x.at_least_one()).expect("not zero");
        }),
        ("rooms.total", |c, x| c.rooms.total = x.count()),
        ("rooms.per_connection", |c, x| c.rooms.per_connection = x.count()),
        ("rooms.name_max_bytes", |c, x| c.rooms.name_max_bytes = x.count()),
        ("tickets.per_connection", |c, x| c.tickets.per_connection = x.count()),
        ("tickets.total", |c, x| c.tickets.total = x.count()),
    ]
}

fn of_time() -> Vec<Change> {
    vec![
        ("idle", |c, x| c.peer.idle = Some(x.span())),
        ("idle_warning", |c, x| (c.peer.idle, c.peer.idle_warning) = (Some(Duration::from_secs(9)), Some(x.span()))),
        ("idle_warning as long as idle", |c, x| (c.peer.idle, c.peer.idle_warning) = (Some(x.span()), Some(x.span()))),
        ("silence", |c, x| c.peer.silence = Some(x.span())),
        ("lifetime", |c, x| c.peer.lifetime = Some(x.span())),
        ("closing.flush", |c, x| c.closing.flush = x.span()),
        ("closing.linger", |c, x| c.closing.linger = x.span()),
        ("closing.discard_max_bytes", |c, x| c.closing.discard_max_bytes = x.count()),
        ("drain.grace", |c, x| c.drain.grace = x.span()),
        ("drain.retry_after", |c, x| c.drain.retry_after = Some(x.span())),
        ("drain.window", |c, x| c.drain.window = x.span()),
        ("drain.closes_per_second", |c, x| c.drain.closes_per_second = x.count()),
        ("drain.deadline", |c, x| c.drain.deadline = x.span()),
        ("metrics.errors_kept", |c, x| c.metrics.errors_kept = x.count()),
        ("metrics.durations_kept", |c, x| c.metrics.durations_kept = x.count()),
        ("accept_backoff", |c, x| c.accept_backoff = x.span()),
        ("outbound.gather.micros", |c, x| {
            let most = u64::from(Gather::MICROS_MAX);
            c.outbound.gather = Gather::from_micros(most.min(x.count().into())).expect("in range");
        }),
    ]
}

/// Changes of the options of rooms that remember, which then are all.
pub(crate) fn of_memory() -> Vec<Change> {
    vec![
        ("memory.bytes_max", |c, x| {
            remember(c, |_| {});
            c.memory.bytes_max = if x == Max { u64::MAX } else { x.count().into() };
        }),
        ("memory.recover_max", |c, x| {
            remember(c, |_| {});
            c.memory.recover_max = x.count();
        }),
        ("memory.keep.messages", |c, x| remember(c, |keep| keep.messages = x.count())),
        ("memory.keep.bytes", |c, x| remember(c, |keep| keep.bytes = x.count())),
        ("memory.keep.age", |c, x| remember(c, |keep| keep.age = Some(x.span()))),
        ("memory.keep.key_window", |c, x| remember(c, |keep| keep.key_window = x.span())),
    ]
}

fn remember(config: &mut Config, change: impl FnOnce(&mut Keep)) {
    let mut keep = Keep::messages(10);
    change(&mut keep);
    config.memory.rooms = vec![RoomOptions::new("*", keep)];
}

fn of_listeners() -> Vec<Change> {
    vec![
        ("listen.connections_max", |c, x| each(c, |listen| listen.connections_max = Some(x.count()))),
        ("listen.limits", |c, x| {
            let limits = c.peer.idle(Some(x.span())).silence(Some(x.span()));
            each(c, |listen| listen.limits = Some(limits));
        }),
        ("http.ping", |c, x| web(c, |http| http.ping = Some(x.span()))),
        ("http.timeout", |c, x| web(c, |http| http.timeout = x.span())),
        ("http.body_max_bytes", |c, x| web(c, |http| http.body_max_bytes = x.count())),
        ("telnet.keep_alive", |c, x| {
            let set = |telnet: &mut Telnet| telnet.keep_alive = Some(x.span());
            each(c, |listen| {
                if let Protocol::Spoken(Wire::Telnet(telnet)) = &mut listen.protocol {
                    set(telnet);
                }
            });
            web(c, |http| http.telnet.iter_mut().for_each(set));
        }),
        ("auto.wait", |c, x| {
            each(c, |listen| {
                if let Protocol::Auto(auto) = &mut listen.protocol {
                    auto.wait = x.span();
                }
            });
        }),
        ("proxies.timeout", |c, x| {
            each(c, |listen| listen.proxies.iter_mut().for_each(|proxies| proxies.timeout = x.span()));
        }),
        ("tls.handshake_timeout", |c, x| {
            each(c, |listen| listen.tls.iter_mut().for_each(|tls| tls.handshake_timeout = x.span()));
        }),
        ("tls.expires_at", |c, x| {
            let at = UnixTime::from_secs(x.count().into());
            each(c, |listen| listen.tls.iter_mut().for_each(|tls| tls.expires_at = Some(at)));
        }),
    ]
}

/// Options that are no number, and what rates and marks consist of.
const WITHOUT_EXTREMES: [&str; 61] = [
    "address",
    "allow",
    "api",
    "app",
    "burst",
    "charset",
    "cluster",
    "compress",
    "deflate",
    "deny",
    "dry_run",
    "ending",
    "event",
    "exempt",
    "files",
    "form",
    "forwarded",
    "gmcp",
    "group",
    "half_open",
    "high",
    "home",
    "hosts",
    "labels",
    "line",
    "lines",
    "listeners",
    "login",
    "low",
    "max",
    "metrics",
    "mode",
    "monitor",
    "msdp",
    "name",
    "notices",
    "origins",
    "page",
    "pages",
    "path",
    "peer",
    "positions",
    "prefix",
    "presence",
    "probe",
    "prompt",
    "protocol",
    "refuses_http",
    "seconds",
    "sections",
    "slow_policy",
    "socket",
    "stream",
    "subprotocols",
    "tells_gaps",
    "title",
    "trusted",
    "tunnels",
    "unapplied",
    "units",
    "welcome",
];

/// The options of a value, by its `Debug` text.
pub(crate) fn options(value: &dyn std::fmt::Debug) -> Vec<String> {
    let text = format!("{value:?}");
    let before_colons = text.split(": ").map(|part| part.rsplit(|c: char| !c.is_ascii_lowercase() && c != '_').next());
    before_colons.flatten().filter(|name| !name.is_empty()).map(str::to_string).collect()
}

#[test]
fn every_config_field_is_covered_by_extremes() {
    let values: [&dyn std::fmt::Debug; 7] = [
        &Config::default(),
        &Listen::lines(([127, 0, 0, 1], 1).into()),
        &Http::default(),
        &Telnet::default(),
        &Auto::default(),
        &Proxies::trusting([]),
        &RoomOptions::new("*", Keep::messages(1)),
    ];
    let names: BTreeSet<String> = values.into_iter().flat_map(options).collect();
    let changed =
        |name: &str| changes().iter().any(|(change, _)| change.split(['.', ' ', ',']).any(|part| part == name));
    let missing: Vec<_> =
        names.iter().filter(|name| !changed(name) && !WITHOUT_EXTREMES.iter().any(|other| other == name)).collect();
    assert!(missing.is_empty(), "a new option needs its extremes, or a place in the list above: {missing:?}");
    let stale: Vec<_> = WITHOUT_EXTREMES.iter().filter(|name| !names.contains(**name)).collect();
    assert!(stale.is_empty(), "no option has these names: {stale:?}");
}

/// A ladder that is stepped on, since two messages are more than the rate.
fn strict(config: &mut Config) -> &mut Ladder {
    config.peer.rates.messages = Rate::new(1, 1).ok();
    config.peer.rates.ladder = Ladder::default().warn(None).pause(None);
    &mut config.peer.rates.ladder
}

fn each(config: &mut Config, change: impl FnMut(&mut Listen)) {
    config.listeners.iter_mut().for_each(change);
}

fn web(config: &mut Config, mut change: impl FnMut(&mut Http)) {
    each(config, |listen| {
        if let Protocol::Http(http) = &mut listen.protocol {
            change(Arc::make_mut(http));
        }
    });
}

/// Why nobody is served, where that is what the value says.
fn refuses_all(field: &str, extreme: Extreme) -> Option<Reason> {
    match (field, extreme) {
        ("connections.total", Zero) => Some(Reason::ServerFull),
        ("connections.per_address", Zero) => Some(Reason::AddressFull),
        ("listen.connections_max", Zero) => Some(Reason::ListenerFull),
        _ => None,
    }
}

/// How many connections of one address, one after another from the first listener on, there is room for.
fn room(field: &str, extreme: Extreme) -> usize {
    match (field, extreme) {
        // There is one, and the next is refused.
        ("connections.total" | "connections.per_address", One)
        | ("connections.arrivals_per_address" | "connections.early_drop", Zero | One) => 1,
        _ => WIRES.len(),
    }
}

#[test]
fn extreme_settings_keep_all_wires_serving_without_busy_loop() {
    for (field, change) in changes() {
        for extreme in [Zero, One, Max] {
            let about = format!("{field} at {extreme:?}");
            let mut config = base();
            change(&mut config, extreme);
            let mut peers = Peers::new(config);
            peers.connect();
            if let Some(reason) = refuses_all(field, extreme) {
                let metrics = peers.machine.metrics();
                let refused = metrics.refused.get(reason) + metrics.ended.get(reason);
                assert!(refused >= WIRES.len() as u64 && metrics.open == 0, "{about}: {:?}", peers.refused);
                continue;
            }
            WIRES.iter().for_each(|wire| peers.say(wire, &message(wire, "hello")));
            // What is more than a turn may bring comes in the next.
            peers.advance(Duration::from_millis(1));
            let served = WIRES.iter().filter(|wire| peers.has_heard(wire, "hello")).count();
            let refused = &peers.refused;
            assert!(pauses(field) || served >= room(field, extreme), "{about}: {served} are served, {refused:?}");
            let before = peers.elapsed;
            let asks = matches!((field, extreme), ("http.ping" | "telnet.keep_alive", One));
            // What is asked for every 10 ms takes its time in a test, too.
            let seconds = if asks { 600 } else { 3600 };
            peers.advance(Duration::from_secs(seconds));
            // Nothing repeats faster than that.
            let turns = peers.elapsed - before;
            assert!(turns <= seconds * 100 + 1_000, "{about}: looked at {turns} times in {seconds} s");
            peers.machine.command(peers.now, &Command::Drain);
            let (before, begun) = (peers.elapsed, peers.now);
            peers.turn();
            while !peers.machine.is_drained() && peers.now < begun + Duration::from_secs(3600) {
                peers.advance(Duration::from_secs(60));
            }
            let turns = peers.elapsed - before;
            assert!(turns <= 3600 * 100 + 1_000, "{about}: looked at {turns} times in a drain");
            if (field, extreme) == ("drain.grace", Max) {
                peers.machine.command(peers.now, &Command::Drain);
                peers.advance(Duration::from_secs(60));
            }
            assert!(peers.machine.is_drained(), "{about}: it drains");
            assert_eq!(peers.machine.metrics().handler_panics, 0, "{about}");
        }
    }
}

/// Where a rate is so low that a message may have to wait for its turn.
fn pauses(field: &str) -> bool {
    field.starts_with("rates.") || field.starts_with("ladder.")
}

#[test]
fn zero_duration_disables_optional_timeouts() {
    let mut config = base();
    config.peer.idle = Some(Duration::ZERO);
    config.peer.silence = Some(Duration::ZERO);
    config.peer.lifetime = Some(Duration::ZERO);
    web(&mut config, |http| http.ping = Some(Duration::ZERO));
    let mut peers = Peers::new(config);
    peers.connect();
    peers.heard.clear();
    peers.advance(Duration::from_secs(3600));
    assert_eq!(peers.machine.metrics().open, WIRES.len() as u64);
    assert!(!peers.heard.contains_key(&peers.conns["websocket"]), "nobody is pinged");
}

#[test]
fn extreme_tunnel_settings_wake_at_most_every_10_ms() {
    let changes: [TunnelChange; 6] = [
        ("connect_timeout", |tunnel, x| tunnel.connect_timeout = x.span()),
        ("keep_alive.interval", |tunnel, x| tunnel.keep_alive.interval = x.span()),
        ("keep_alive.count_max", |tunnel, x| tunnel.keep_alive.count_max = x.count()),
        ("reconnect.initial", |tunnel, x| tunnel.reconnect.initial = x.span()),
        ("refused_wait", |tunnel, x| tunnel.refused_wait = x.span()),
        ("close_timeout", |tunnel, x| tunnel.close_timeout = x.span()),
    ];
    let names = options(&KeepAlive::default());
    assert!(names.iter().all(|name| changes.iter().any(|(change, _)| change.ends_with(name.as_str()))), "{names:?}");
    for ((field, change), extreme) in changes.iter().flat_map(|change| [Zero, One, Max].map(|x| (change, x))) {
        for connects in [false, true] {
            let mut tunnel = Tunnel::new("edge", Ssh::new("192.0.2.1", "drupe", "known_hosts"));
            change(&mut tunnel, extreme);
            let mut config = Config::listening(["tcp://127.0.0.1:0?tunnel=edge".parse().expect("good")]);
            config.tunnels.push(tunnel);
            let mut machine = Machine::new(config, Echo);
            machine.started(Time::START);
            let (mut now, mut turns, mut up) = (Time::START, 0_u64, false);
            while now < Time::from_secs(600) {
                turns += 1;
                assert!(turns < 600 * 100 * 4, "{field} at {extreme:?}: it turns in circles at {now}");
                for intent in machine.tunnels().collect::<Vec<_>>() {
                    let refused = TunnelReport::Failed { failure: TunnelFailure::Authentication, words: "no".into() };
                    if !connects {
                        machine.tunnel_reported(now, intent.link, &refused);
                        continue;
                    }
                    machine.tunnel_reported(now, intent.link, &TunnelReport::Connected);
                    for forward in intent.forwards {
                        let bound = TunnelReport::Bound { listener: forward.listener, port: 7000 };
                        machine.tunnel_reported(now, intent.link, &bound);
                    }
                    up |= machine.tunnel_statuses().any(|status| status.forwards.iter().any(|forward| forward.bound));
                    machine.tunnel_reported(now, intent.link, &TunnelReport::Answered(intent.asked));
                }
                let Some(deadline) = machine.deadline() else { break };
                now = now.max(deadline.at);
                machine.elapsed(now);
            }
            assert_eq!(up, connects, "{field} at {extreme:?}");
        }
    }
}

#[test]
fn extreme_accept_backoff_still_pauses_failing_accepts() {
    for extreme in [Zero, One, Max] {
        let mut machine = Machine::new(base().accept_backoff(extreme.span()), Echo);
        machine.started(Time::START);
        let (mut now, mut turns) = (Time::START, 0);
        while now < Time::from_secs(10) {
            if machine.accepting(ListenerId::new(0)) == Accepting::Now {
                machine.accept_failed(now, ListenerId::new(0), AcceptFailure::Exhausted);
            }
            turns += 1;
            assert!(turns < 10 * 100 + 10, "{extreme:?}: it turns in circles at {now}");
            let Some(deadline) = machine.deadline() else { break };
            now = now.max(deadline.at);
            machine.elapsed(now);
        }
    }
}
