//! Worlds whose rooms have a broker as their home, together with all wires, TLS, several shards and reloads.
//!
//! The unit tests of the cluster simulate many hosts; here one whole server is simulated, with a model of a Redis
//! server or a nats-server that loses its last writes, delivers nothing for a while, or has no memory left. `DRUPE_WORLDS=1000` runs
//! that many worlds; `DRUPE_SEED=7` runs one.
//!
//! For each member of a room, each message that the broker kept while it was a member was delivered once and in the
//! order of the broker, or lies under a gap of which the member was told.

mod check;

use crate::party::Party;
use crate::remembering::{Desk, Draw, Habits};
use crate::tls::Authorities;
use crate::watchdog::Watchdog;
use drupe_core::history::Keep;
use drupe_core::sim::{BrokerConnection, BrokerModel, Link, World};
use drupe_core::tls::TicketKeys;
use drupe_core::{Cluster, Config, Home, Presence, Random, RoomMemory, RoomOptions, Shard};
use rustls::crypto::ring;
use std::panic::AssertUnwindSafe;

const WORLDS: u64 = 100;
/// Worlds that have found a defect that no earlier one finds: in both, a reload changes the limits of rooms and later
/// changes them back, with NATS.
const FOUND: [u64; 2] = [544, 1_494];
const STEPS: u32 = 3_000;
const PARTS: u32 = 6;
const ROOMS: [&str; 2] = ["news", "talk"];
const ADDRESS: &str = "broker:1";

/// What the checks of worlds counted.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) messages: u64,
    pub(crate) gaps: u64,
    pub(crate) recovered: u64,
    pub(crate) lost: u64,
}

/// One world, and what its checks need to know.
pub(crate) struct Run {
    world: World<Desk, Party<BrokerConnection>>,
    broker: BrokerModel,
    peers: usize,
}

fn run(seed: u64, authorities: &Authorities) -> Run {
    let mut draw = Draw(Random::new(seed.wrapping_mul(0x9e37_79b9) ^ 0x73_6861_7265));
    let (broker, cluster) = match draw.number(4) {
        0 => (BrokerModel::redis(), Cluster::redis(ADDRESS)),
        1 => (BrokerModel::redis_that_publishes_first(), Cluster::redis(ADDRESS)),
        _ => (BrokerModel::nats(seed), Cluster::nats(ADDRESS)),
    };
    let mut config = draw.config().memory(memory(&mut draw)).cluster(Some(cluster));
    if draw.chance(4) {
        let tickets = TicketKeys::new(ring::Ticketer::new);
        config.listeners[2..].iter_mut().for_each(|listen| authorities.serve(listen, &tickets));
    }
    let has_tls = config.listeners[2].tls.is_some();
    let shards = u8::try_from(1 + draw.number(4)).expect("small");
    let mut world =
        World::of_shards(seed, &config, shards, |shard| Desk::new(shard.number())).faults(draw.faults()).quiet();
    let (wallet, peers) = (authorities.wallet(), 3 + draw.number(8));
    let habits = Habits { policies: false, panics: false, removes: false, rooms: &ROOMS };
    for number in 0..peers {
        let listener = u32::try_from(draw.number(4)).expect("small");
        let mut client = draw.client(listener % 2 == 1, habits);
        if has_tls && listener >= 2 {
            client = wallet.without_certificate(client);
        }
        let link = if draw.chance(2) { Link::Troubled } else { Link::Steady };
        let from = format!("198.51.100.{}:1000", number + 1).parse().expect("an address");
        world.add_from(from, listener, true, link, Party::Client(client.into()));
    }
    for _ in 0..2 {
        let link = if draw.chance(2) { Link::Troubled } else { Link::Steady };
        world.add_remote_at(ADDRESS, link, Party::Other(broker.connection()));
    }
    let (loses, reloads, fails) = (draw.chance(2), draw.chance(2), draw.chance(3));
    for part in 0..PARTS {
        world.run(STEPS / PARTS);
        change(&mut world, &mut draw, &config, reloads);
        match part % 3 {
            0 => broker.copy(),
            1 if draw.chance(2) => broker.restart(loses),
            1 => broker.announce_end(),
            _ if fails => {
                broker.is_deaf(draw.chance(2));
                broker.is_full(draw.chance(3));
            }
            _ => {}
        }
    }
    broker.is_deaf(false);
    broker.is_full(false);
    world.settle();
    Run { world, broker, peers }
}

fn memory(draw: &mut Draw) -> RoomMemory {
    let rooms = ROOMS.map(|room| {
        let keep = Keep::messages(draw.pick(&[0, 1, 5, 20, 1_000]));
        let presence = draw.pick(&[Presence::Off, Presence::Names, Presence::Counts]);
        RoomOptions::new(room, keep).home(Home::Shared).presence(presence)
    });
    RoomMemory::default().rooms(rooms.into()).recover_max(draw.pick(&[0, 5, 300]))
}

/// Reloads the configuration with other options of rooms, some of which may leave the broker.
fn change(world: &mut World<Desk, Party<BrokerConnection>>, draw: &mut Draw, config: &Config, reloads: bool) {
    if !reloads || draw.chance(2) {
        return;
    }
    let mut memory = memory(draw);
    memory.rooms[1].home = draw.pick(&[Home::Shared, Home::Memory, Home::None]);
    world.reconfigure(&config.clone().memory(memory));
}

#[test]
fn shared_rooms_have_no_silent_gap_on_any_wire() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seeds: Vec<u64> = match number("DRUPE_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("DRUPE_WORLDS").unwrap_or(WORLDS)).chain(FOUND).collect(),
    };
    let is_whole = seeds.len() as u64 > WORLDS;
    crate::quiet();
    let (watchdog, authorities) = (Watchdog::start(), Authorities::new());
    let (mut found, mut failed) = (Found::default(), Vec::new());
    for seed in seeds {
        watchdog.begin(seed);
        let check = AssertUnwindSafe(|| {
            let run = run(seed, &authorities);
            let mut found = Found::default();
            check::members(&run, &mut found);
            run.world.replay(|shard: Shard| Desk::new(shard.number()));
            found
        });
        match std::panic::catch_unwind(check) {
            Ok(other) => found.add(&other),
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "{} worlds failed; DRUPE_SEED={} runs the first: {failed:?}", failed.len(), failed[0]);
    eprintln!("{found:?}");
    if is_whole {
        let Found { messages, gaps, recovered, lost } = found;
        assert!(messages > 1_000 && gaps > 10 && recovered > 10 && lost > 0, "{found:?}");
    }
}

impl Found {
    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.gaps += other.gaps;
        self.recovered += other.recovered;
        self.lost += other.lost;
    }
}
