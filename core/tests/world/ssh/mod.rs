//! Worlds whose clients log in over SSH, with keys that are good, unknown, or decided later.
//!
//! There are one to four shards that stall, links that break, configurations that change, and a provider that answers late,
//! twice, never, about other connections, or otherwise to a proof than to an offer. `DRUPE_LOGINS=1000` runs that many
//! worlds; `DRUPE_SEED=7` runs one.
//!
//! - The application gets a connection only after a login. Its user is one whose proof the provider accepted on this
//!   connection. It is not enough that the provider accepted an offer.
//! - Each attempt has one answer, and nothing else comes before the session.
//! - A connection has no more failures than its limit, and an address no more than its rate. Offers are no failures.
//! - A replay of the facts has the same outcome.

mod app;
mod peer;

use crate::watchdog::Watchdog;
use app::{App, Late, Room, Shared};
use drupe_core::kit::auth::AuthenticationLimits;
use drupe_core::kit::layer::Layered;
use drupe_core::limit::Rate;
use drupe_core::sim::{Faults, Link, World};
use drupe_core::telnet::InputMode;
use drupe_core::wire::Protocol;
use drupe_core::wire::ssh::SshServer;
use drupe_core::{Address, Config, Listen, Peer as From, Random, Reason};
use peer::{Manners, Peer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

const WORLDS: u64 = 150;
const PARTS: u32 = 60;
const STEPS: u32 = 12;
/// The reason that a login is refused once there were too many failures. It is not counted as another failure.
const LIMITED: &str = "too many failures";

/// The random choices of one world.
struct Draw(Random);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).expect("small")
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn listener(&mut self, number: u16) -> Listen {
        let server = SshServer::default()
            .takes_keys(true)
            .mode(self.pick(&[InputMode::Character, InputMode::Keys]))
            .login_timeout(Duration::from_millis(self.pick(&[0, 500, 30_000, 30_000, 30_000])));
        let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 7_000 + number)));
        let mut listen = Listen::new(address, Protocol::Ssh(Arc::new(server)));
        listen.half_open = self.chance(3);
        listen.connections_max = self.chance(6).then_some(2);
        listen
    }

    fn config(&mut self) -> Config {
        let count = 1 + u16::try_from(self.below(3)).expect("small");
        Config::listening((0..count).map(|number| self.listener(number)).collect::<Vec<_>>())
    }

    fn limits(&mut self) -> Limits {
        let (failures, burst) = (self.pick(&[1, 5, 1_000]), self.pick(&[1, 5, 1_000]));
        let rate = Rate::per(failures, 300, burst).expect("not 0");
        let limits = AuthenticationLimits::default().tries(self.pick(&[0, 1, 3, 6])).per_address(rate);
        Limits { limits, failures: failures.into(), burst: burst.into() }
    }

    fn faults(&mut self) -> Faults {
        let mut faults = Faults::default();
        faults.stall_max = Duration::from_secs(self.pick(&[0, 1, 10]));
        faults.pause_max = Duration::from_secs(self.pick(&[0, 0, 60]));
        faults
    }

    fn peer(&mut self) -> Peer {
        // The provider takes the first question about the last two for that of an offer.
        let kinds = ["good", "unknown", "late", "late", "renamed", "unknown", "removed", "changed"];
        let (count, skips_offers) = (1 + self.below(8), self.chance(3));
        let kinds = if skips_offers { &kinds[..6] } else { &kinds };
        let keys = (0..count).map(|_| {
            let (user, kind) = (self.pick(&["ann", "bob", "root"]), self.pick(kinds));
            (user.to_string(), format!("ssh-ed25519 {kind}"))
        });
        let keys = keys.collect();
        let manners = if self.chance(8) { Manners::WithoutLogin } else { Manners::Polite };
        Peer::new(manners, keys, skips_offers)
    }

    /// Sends some of the answers that the provider owes, and some answers to questions that nobody asked.
    fn answer(&mut self, world: &mut World<App, Peer>, shared: &Shared) {
        let owed = std::mem::take(&mut shared.lock().owed);
        for (conn, key) in owed {
            match self.below(6) {
                // Later, or never.
                0 => shared.lock().owed.push((conn, key)),
                1 if self.chance(3) => {}
                choice => {
                    let user = (choice % 2 == 0).then(|| format!("late-{}", self.below(3)));
                    let before = self.chance(4).then_some(Late::OfAnother(conn));
                    let again = self.chance(4).then_some(Late::Verdict(conn, None));
                    let all = before.into_iter().chain([Late::Verdict(conn, user)]).chain(again);
                    // The shard of the connection, or another one, which does not have it.
                    let shard = if self.chance(8) { conn.shard().wrapping_add(1) } else { conn.shard() };
                    all.for_each(|note| world.note(shard, note));
                }
            }
        }
    }
}

/// The limits on failures in one world.
#[derive(Clone, Copy)]
struct Limits {
    limits: AuthenticationLimits,
    /// Failures that each address may have in 300 s.
    failures: u64,
    /// Failures that each address may have at once.
    burst: u64,
}

impl Limits {
    /// Returns the maximum number of failures of an address since the start.
    fn most(&self, nanos: u64) -> u64 {
        self.burst + 1 + self.failures * nanos / 300_000_000_000
    }
}

/// What the worlds have reached.
#[derive(Debug, Default)]
struct Reached(BTreeMap<&'static str, u64>);

impl Reached {
    fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    /// Worlds that never reach something do not test it.
    fn assert_all(&self) {
        for (what, least) in [
            ("served", 100),
            ("lines", 100),
            ("served late", 20),
            ("failures", 100),
            ("failures over the limit", 10),
            ("ended as unauthorized", 50),
            ("ended by the time limit", 10),
            ("without a login", 20),
        ] {
            let count = self.0.get(what).copied().unwrap_or_default();
            assert!(count >= least, "{what}: {count} of {least}, in {self:?}");
        }
    }
}

/// Runs one world to its end, and checks it.
fn world(seed: u64, quiet: bool, reached: &mut Reached) {
    let mut draw = Draw(Random::new(seed.wrapping_mul(0x9e37_79b9) ^ 0x0073_7368));
    let (config, limits, shared) = (draw.config(), draw.limits(), Shared::default());
    let shards = 1 + u8::try_from(draw.below(4)).expect("small");
    let mut world =
        World::of_shards(seed, &config, shards, |_| shared.app(limits.limits)).faults(draw.faults()).may_be_empty();
    if quiet {
        world = world.quiet();
    }
    let peers = 4 + draw.below(12);
    let mut addresses = Vec::new();
    for _ in 0..peers {
        let listener = u32::try_from(draw.below(config.listeners.len())).expect("small");
        let link = if draw.chance(3) { Link::Troubled } else { Link::Steady };
        let address = draw.pick(&[1, 1, 2, 3]);
        addresses.push(address);
        let from = From::Address(SocketAddr::from(([198, 51, 100, address], 1_000)));
        let (returns, peer) = (draw.chance(2), draw.peer());
        world.add_from(from, listener, returns, link, peer);
    }
    for part in 0..PARTS {
        world.run(STEPS);
        draw.answer(&mut world, &shared);
        if part % 20 == 19 && draw.chance(2) {
            let mut newer = draw.config();
            newer.listeners.truncate(config.listeners.len());
            world.reconfigure(&newer);
        }
    }
    world.settle();
    check(&world, &shared, limits, &addresses, reached);
    world.replay(|_| Shared::default().app(limits.limits));
}

/// Checks what the module promises.
fn check(world: &World<App, Peer>, shared: &Shared, limits: Limits, addresses: &[u8], reached: &mut Reached) {
    let records = shared.lock();
    let rooms: Vec<&Room> = world.handlers().map(Layered::inner).collect();
    let served: BTreeMap<_, _> = rooms.iter().flat_map(|room| &room.served).collect();
    for (conn, user) in &served {
        let accepted = records.accepted.get(conn).is_some_and(|users| users.contains(*user));
        assert!(accepted, "{conn} is served as {user}, whom the provider has not accepted: {records:?}");
        reached.add("served late", u64::from(user.starts_with("late-")));
    }
    reached.add("served", served.len() as u64);
    reached.add("lines", rooms.iter().map(|room| room.lines).sum());
    let mut of_addresses = BTreeMap::<u8, u64>::new();
    for (number, address) in addresses.iter().enumerate() {
        // A refused connection has a session but no `ConnId`.
        let sessions = world.actor(number).sessions.iter().filter(|session| !session.was_refused);
        for (conn, session) in world.connections(number).iter().zip(sessions) {
            if served.contains_key(conn) {
                assert!(session.user.is_some() && session.has_begun, "{conn} has not logged in: {session:?}");
            } else if session.user.is_none() {
                let heard = String::from_utf8_lossy(&session.heard);
                assert!(!heard.contains("welcome") && !heard.contains("you said"), "{conn} hears {heard:?}");
                reached.add("without a login", u64::from(session.has_begun));
            }
            let failures = records.failures.get(conn).map_or(&[][..], Vec::as_slice);
            let (limited, counted): (Vec<_>, Vec<_>) = failures.iter().partition(|why| why.starts_with(LIMITED));
            let tries = u64::from(limits.limits.tries.max(1));
            assert!(
                counted.len() as u64 <= tries && limited.len() <= 1,
                "{conn} fails too often: {failures:?}, {tries} are allowed"
            );
            assert!(session.refused <= session.proved && u64::from(session.refused) <= tries.max(1), "{session:?}");
            if !session.has_begun {
                let proofs = session.proved as usize;
                assert!(counted.len() <= proofs, "{conn} fails without a proof: {failures:?} of {session:?}");
            }
            // What is no proof counts as a try, and not for the address.
            let proofs = counted.iter().filter(|why| **why == app::UNKNOWN_KEY).count();
            *of_addresses.entry(*address).or_default() += proofs as u64;
            reached.add("failures", counted.len() as u64);
            reached.add("failures over the limit", limited.len() as u64);
        }
    }
    let most = limits.most(world.now().as_nanos());
    for (address, failures) in of_addresses {
        assert!(failures <= most, "address {address}: {failures} failures, at most {most} are allowed");
    }
    let ended = world.metrics().ended;
    reached.add("ended as unauthorized", ended.get(Reason::Unauthorized));
    reached.add("ended by the time limit", ended.get(Reason::AuthenticationTimeout));
}

#[test]
fn worlds_of_ssh_logins_serve_nobody_before_a_login() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seeds = match number("DRUPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DRUPE_LOGINS").unwrap_or(WORLDS),
    };
    let is_whole = seeds.end - seeds.start >= WORLDS;
    let (watchdog, mut reached) = (Watchdog::start(), Reached::default());
    for seed in seeds {
        watchdog.begin(seed);
        let run = AssertUnwindSafe(|| world(seed, is_whole, &mut reached));
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed}: DRUPE_SEED={seed} runs this world alone");
            std::panic::resume_unwind(panic)
        }
    }
    eprintln!("{reached:?}");
    if is_whole {
        reached.assert_all();
    }
}
