//! Worlds of outgoing connections, each with random options, servers that fail, and slow networks.
//!
//! A link goes to a model server, half of whose connections go wrong at some step, or to a listener
//! of the same server. The [reference model](model) says which attempt must follow, and which
//! failure it may have. `DRUPE_LINKS=5000` runs that many worlds, and `DRUPE_SEED=7` runs one.

mod app;
mod check;
mod draw;
mod ends;
mod keys;
mod model;
mod server;

use crate::swarm::{Feature, Swarm};
use crate::watchdog::Watchdog;
use app::Linker;
use draw::{Kind, dials, end_of, listeners};
use drupe_core::sim::{Client, Do, Faults, Link, World};
use drupe_core::{Command, Config, Dial, Drain, Random, Shard};
use ends::{End, Pair, Side};
use keys::Keys;
use rustls::pki_types::ServerName;
use server::{Secrecy, Server, Speech};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

/// Enough worlds for combinations of options, in about half a minute on one core.
const WORLDS: u64 = 400;
const STEPS: u32 = 900;

/// One world, with what the checks need to know about its ends.
pub(crate) struct Run {
    world: World<Linker, End>,
    swarm: Swarm,
    dials: Vec<Dial>,
    reloads: Vec<Config>,
    /// The peers whose messages must all come back.
    peers: BTreeSet<usize>,
    /// Whether all limits are the default ones, and no clock, process or operator interferes.
    is_calm: bool,
    /// Whether a drain begins while peers still send.
    drains_early: bool,
}

fn run(seed: u64, keys: &Keys, quiet: bool) -> Run {
    let mut swarm = Swarm::new(seed ^ 0x11c5);
    let is_calm = swarm.chance(2);
    let mut config = if is_calm { Config::default() } else { swarm.config() };
    if is_calm {
        config.drain = Drain::default().window(Duration::ZERO);
    }
    let (mut listeners, tls) = (listeners(), keys.tls());
    for (kind, listen) in &mut listeners {
        if kind.secrecy == Secrecy::AtOnce {
            listen.tls = Some(tls.clone());
        }
    }
    config.listeners = listeners.iter().map(|(_, listen)| listen.clone()).collect();
    let dials = dials(&mut swarm, &keys.dials(), is_calm);
    let shards = if swarm.has(Feature::Shards) { 1 + u8::try_from(swarm.number(4)).expect("small") } else { 1 };
    let mut faults = Faults::default();
    if !is_calm {
        faults.pause_max = Duration::from_secs(swarm.pick(&[0, 1, 60, 1_000]));
        faults.stall_max = Duration::from_secs(swarm.pick(&[0, 1, 30]));
    }
    faults.kicks = !is_calm;
    let world = World::of_shards(seed, &config, shards, |_| Linker::new(dials.clone())).faults(faults).may_be_empty();
    let world = if quiet { world.quiet() } else { world };
    let reloads = if is_calm { vec![] } else { (0..3).map(|_| reload(&mut swarm, &config)).collect() };
    let mut run = Run { world, swarm, dials, reloads, peers: BTreeSet::new(), is_calm, drains_early: false };
    add_servers(&mut run, &keys.servers());
    for (number, (kind, _)) in listeners.iter().enumerate() {
        add_peer(&mut run, u32::try_from(number).expect("few"), *kind, keys);
    }
    run
}

/// Changes the limits, but not the listeners.
fn reload(swarm: &mut Swarm, before: &Config) -> Config {
    let config = swarm.config();
    config.budget(before.peer.budget).listeners(before.listeners.clone())
}

/// Adds two ends for each address that any dial has.
fn add_servers(run: &mut Run, keys: &server::ServerKeys) {
    let addresses: BTreeSet<String> =
        run.dials.iter().flat_map(|dial| std::iter::once(&dial.address).chain(&dial.others)).cloned().collect();
    // No dial reaches this peer. It makes attempts take time even if all addresses are dead.
    run.world.add_remote_at(
        "spare",
        Link::Steady,
        End::Server(Server::new(Speech::Lines, Secrecy::Plain, keys).into()),
    );
    for address in addresses {
        let link = if !run.is_calm && run.swarm.chance(3) { Link::Troubled } else { Link::Steady };
        match end_of(&address) {
            draw::Place::Dead => {}
            draw::Place::Server(kind) => {
                for _ in 0..2 {
                    let server = Server::new(kind.speech, kind.secrecy, keys);
                    run.world.add_remote_at(address.clone(), link, End::Server(server.into()));
                }
            }
            draw::Place::Listener(listener) => {
                let pair = Rc::new(RefCell::new(Pair::default()));
                run.world.add_remote_at(address.clone(), link, End::Side(Side::Dialled, Rc::clone(&pair)));
                let from = drupe_core::Peer::Address(([198, 51, 100, 9], 1).into());
                run.world.add_from(from, listener, true, link, End::Side(Side::Accepted, pair));
            }
        }
    }
}

/// Adds a peer that gives commands, and expects each of its messages back.
fn add_peer(run: &mut Run, listener: u32, kind: Kind, keys: &Keys) {
    let client = match kind.speech {
        Speech::Lines => Client::lines(),
        Speech::Frames => Client::length_prefixed(drupe_core::wire::LengthPrefix::U32Be),
        Speech::WebSocket => Client::websocket_at("/", false),
    };
    let client = client.does(|random: &mut Random| {
        let verbs =
            ["dial", "cancel", "addresses", "addresses", "link", "link", "link", "flood", "pause", "resume", "close"];
        match random.below(12) {
            0..3 => Do::Say(format!("echo {}", random.below(1_000))),
            3 => {
                let verb = verbs[usize::try_from(random.below(11)).expect("small")];
                Do::Say(format!("{verb} {}", random.below(1_000)))
            }
            _ => Do::Wait,
        }
    });
    let client = if kind.secrecy == Secrecy::AtOnce {
        client.over_tls(keys.client(0), ServerName::try_from("localhost").expect("a name"))
    } else {
        client
    };
    let number = run.world.add_at(listener, Link::Steady, End::Peer(client));
    run.peers.insert(number);
}

/// Runs one world to its end, checks it and returns it.
fn world(seed: u64, keys: &Keys, quiet: bool) -> Run {
    let mut run = run(seed, keys, quiet);
    let reloads = std::mem::take(&mut run.reloads);
    let drains_after = run.swarm.number(12);
    run.drains_early = drains_after < 6;
    for part in 0..6 {
        run.world.run(STEPS / 6);
        if let Some(config) = reloads.get(part) {
            run.world.reconfigure(config);
        }
        if run.swarm.chance(6) {
            run.world.rest();
        }
        if part == drains_after {
            run.world.command(&Command::Drain);
        }
    }
    run.world.settle();
    check::dials(&run);
    check::ends_of_connections(&run);
    check::words(&run);
    check::peers(&run);
    check::kept(&run);
    let dials = run.dials.clone();
    run.world.replay(|_: Shard| Linker::without_keys(dials.clone()));
    run
}

fn is_same(one: &Run, other: &Run) {
    let logs = |run: &Run| run.world.handlers().map(|app| format!("{:?}{:?}", app.log, app.heard)).collect::<Vec<_>>();
    let (ours, theirs) = (logs(one), logs(other));
    // The `Debug` text of TLS settings may differ between runs, but not its length.
    let plain = |logs: &[String]| logs.iter().map(String::len).collect::<Vec<_>>();
    assert!(ours == theirs || plain(&ours) == plain(&theirs), "runs of the same seed have the same events");
    assert_eq!(one.world.attempts(), other.world.attempts(), "runs of the same seed make the same attempts");
    let counted = [one, other].map(|run| format!("{:?}", run.world.metrics()));
    assert_eq!(counted[0], counted[1], "runs of the same seed have the same metrics");
}

#[test]
fn worlds_of_links_keep_the_invariants() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let from = number("DRUPE_FROM").unwrap_or(0);
    let seeds = match number("DRUPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => from..from + number("DRUPE_LINKS").unwrap_or(WORLDS),
    };
    let is_whole = seeds.end - seeds.start >= WORLDS;
    let (keys, watchdog) = (Keys::new(), Watchdog::start());
    let mut reached = check::Reached::default();
    for seed in seeds {
        watchdog.begin(seed);
        let run = match std::panic::catch_unwind(AssertUnwindSafe(|| world(seed, &keys, is_whole))) {
            Ok(run) => run,
            Err(panic) => {
                eprintln!("seed {seed}: DRUPE_SEED={seed} runs this world alone");
                std::panic::resume_unwind(panic)
            }
        };
        reached.count(&run);
        if seed.is_multiple_of(16) {
            is_same(&run, &world(seed, &keys, false));
        }
    }
    if is_whole {
        reached.check();
    }
}
