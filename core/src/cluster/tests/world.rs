//! Several hosts, one model of a Redis server, and faults: no message is missing without a gap, none comes twice, and
//! all members of a room get the same order.

mod host;
mod members;
mod setting;

use crate::base::{Random, Time};
use crate::cluster::model::ModelRedis;
use core::time::Duration;
use host::Host;
use setting::{HOSTS, ROOMS, Setting, Tally};
use std::eprintln;
use std::format;
use std::string::String;
use std::vec::Vec;

struct World {
    now: Time,
    random: Random,
    redis: ModelRedis,
    snapshot: Option<crate::cluster::model::Data>,
    hosts: Vec<Host>,
    published: u64,
    /// Which faults this world has.
    has_fault: [bool; 12],
}

impl World {
    fn new(seed: u64, setting: Setting) -> Self {
        let mut random = Random::new(seed);
        let now = Time::from_secs(1);
        let mut redis = ModelRedis::new();
        redis.faults.publishes_first = random.below(2) == 0;
        let hosts = (0..HOSTS).map(|number| Host::new(now, seed * 100 + number, setting)).collect();
        let has_fault = core::array::from_fn(|_| random.below(3) == 0);
        Self { now, random, redis, snapshot: None, hosts, published: 0, has_fault }
    }

    fn run(&mut self) {
        for _ in 0..300 {
            self.now = self.now + Duration::from_millis(self.random.below(400));
            self.act();
            self.pass();
        }
        self.redis.faults =
            crate::cluster::model::Faults { publishes_first: self.redis.faults.publishes_first, ..<_>::default() };
        self.hosts.iter_mut().for_each(Host::heal);
        for _ in 0..1_000 {
            self.now = self.now + Duration::from_millis(100);
            self.pass();
        }
    }

    fn act(&mut self) {
        let at = usize::try_from(self.random.below(HOSTS)).expect("small");
        let room = ROOMS[usize::try_from(self.random.below(3)).expect("small")];
        match self.random.below(60) {
            0..=24 => {
                for _ in 0..=self.random.below(4) {
                    self.published += 1;
                    self.hosts[at].publish(self.now, room, self.published);
                }
            }
            25..=33 => self.hosts[at].join(self.now, room, &mut self.random),
            34..=38 => self.hosts[at].leave(self.now, room, &mut self.random),
            39..=42 => self.hosts[at].enter(self.now, room, &mut self.random),
            43..=44 => self.hosts[at].exit(self.now, room, &mut self.random),
            45..=56 => self.fail(at, room),
            _ => {}
        }
    }

    /// One of the faults that this world has goes on or off.
    fn fail(&mut self, at: usize, room: &str) {
        let fault = self.random.below(12);
        if !self.has_fault[usize::try_from(fault).expect("small")] {
            return;
        }
        match fault {
            0 | 1 => self.hosts[at].cut(self.now, &mut self.redis),
            2 => self.hosts[at].freeze(self.now, Duration::from_millis(self.random.below(9_000))),
            3 => self.snapshot = Some(self.redis.snapshot()),
            4 => self.restart(),
            5 if self.random.below(5) == 0 => {
                self.redis.flush();
                self.redis.disconnect_all();
                self.snapshot = None;
            }
            6 => self.redis.faults.is_deaf = !self.redis.faults.is_deaf,
            7 => self.redis.faults.is_full = !self.redis.faults.is_full,
            8 => self.redis.forget_scripts(),
            9 => {
                let kind = [":m", ":s"][usize::try_from(self.random.below(2)).expect("small")];
                self.redis.evict(&[host::channel(room).as_bytes(), kind.as_bytes()].concat());
            }
            10 => {
                // A demoted master ends its clients, and refuses writes for a while.
                self.redis.faults.is_replica = !self.redis.faults.is_replica;
                self.redis.disconnect_all();
            }
            11 => {
                let seed = self.random.next_u64();
                self.hosts[at].crash(self.now, seed, &mut self.redis);
            }
            _ => {}
        }
    }

    /// The server was killed, and comes back with its last copy, or with all it had.
    fn restart(&mut self) {
        self.redis.disconnect_all();
        match self.snapshot.clone() {
            Some(copy) if self.random.below(3) > 0 => self.redis.restore(copy),
            _ => self.redis.forget_scripts(),
        }
    }

    fn pass(&mut self) {
        for _ in 0..20 {
            let mut is_quiet = true;
            for host in &mut self.hosts {
                is_quiet &= !host.step(self.now, &mut self.redis, &mut self.random);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn check(&self, tally: &mut Tally) -> Result<(), String> {
        let ledger = self.redis.ledger();
        tally.messages += ledger.len();
        tally.lost += ledger.iter().filter(|published| published.was_lost).count();
        let kept = self.hosts.iter().flat_map(|host| host.kept.iter().copied()).collect();
        for (number, host) in self.hosts.iter().enumerate() {
            let in_host = |error| format!("host {number}: {error}");
            if !host.is_up() {
                return Err(in_host("the link is not up at the end".into()));
            }
            host.check_members(ledger, &kept, &self.redis, tally).map_err(in_host)?;
        }
        let mut expected = std::collections::BTreeSet::new();
        self.hosts.iter().for_each(|host| expected.extend(host.present()));
        for (number, host) in self.hosts.iter().enumerate() {
            if let Some(wrong) = host.wrong_news(&expected) {
                return Err(format!("host {number}: {wrong}"));
            }
            for room in ROOMS {
                let found = host.names_in(room);
                let expected: Vec<_> =
                    expected.iter().filter(|(of, _)| *of == room).map(|(_, who)| who.clone()).collect();
                if found.as_ref().is_some_and(|found| *found != expected) {
                    return Err(format!("host {number}: {found:?} are present in {room}, and not {expected:?}"));
                }
                tally.presence += usize::from(found.is_some_and(|found| !found.is_empty()));
            }
        }
        Ok(())
    }
}

fn run_world(seed: u64, setting: Setting, tally: &mut Tally) -> Result<(), String> {
    let mut world = World::new(seed, setting);
    world.run();
    world.check(tally)
}

fn worlds() -> u64 {
    std::env::var("DRUPE_WORLDS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000)
}

#[test]
fn hosts_with_a_faulty_broker_have_no_silent_gap() {
    let mut tally = Tally::default();
    for seed in 0..worlds() {
        if let Err(error) = run_world(seed, Setting::default(), &mut tally) {
            panic!("seed {seed}: {error}");
        }
    }
    eprintln!("{tally:?}");
    assert!(tally.gaps > 0 && tally.lost > 0 && tally.fills > 0 && tally.recovered > 0 && tally.not_recovered > 0);
    assert!(tally.presence > 0);
}

#[test]
fn rule_of_epochs_and_offsets_is_deceived() {
    let setting = Setting { offsets_only: true };
    let mut tally = Tally::default();
    let failed = (0..worlds().min(100)).filter(|seed| run_world(*seed, setting, &mut tally).is_err()).count();
    eprintln!("deceived in {failed} worlds");
    assert!(failed > 0, "a rule that is known to be wrong was not found out");
}
