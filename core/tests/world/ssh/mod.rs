//! Worlds whose clients log in over SSH, with keys that are good, unknown, or decided later.
//!
//! Beside them, others log in with tokens, over lines, telnet and WebSocket, with and without TLS. There are one to four
//! shards that stall, links that break, configurations that change, and a provider that answers late, twice, never,
//! about other connections, or otherwise to a proof than to an offer. `DRUPE_LOGINS=1000` runs that many
//! worlds; `DRUPE_SEED=7` runs one.
//!
//! - The application gets a connection only after a login. Its user is one whose proof the provider accepted on this
//!   connection. It is not enough that the provider accepted an offer.
//! - Each attempt over SSH has one answer, and nothing else comes before the session.
//! - A connection has no more failures than its limit, and an address no more than its rate. Offers are no failures.
//! - A replay of the facts has the same outcome.

mod app;
mod peer;

use crate::party::Party;
use crate::tls::{Authorities, Wallet};
use crate::watchdog::Watchdog;
use app::{App, Late, Room, Shared};
use drupe_core::kit::auth::AuthenticationLimits;
use drupe_core::kit::layer::Layered;
use drupe_core::limit::Rate;
use drupe_core::sim::{Client, Do, Faults, Link, World};
use drupe_core::telnet::InputMode;
use drupe_core::tls::TicketKeys;
use drupe_core::wire::Protocol;
use drupe_core::wire::ssh::SshServer;
use drupe_core::{Address, Config, ConnId, Listen, Peer as From, Random, Reason};
use peer::{Manners, Peer};
use rustls::crypto::ring;
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
/// The reason for a refusal of a right proof: the peer has logged in as another user. It does not count as a try.
const OTHER_USER: &str = "a renewal must be for the same user";

/// The peers of these worlds.
type Caller = Party<Peer>;

/// What a listener serves. A reload does not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ssh,
    Lines,
    Telnet,
    Websocket,
}

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

    fn kinds(&mut self) -> Vec<(Kind, bool)> {
        let count = 1 + self.below(4);
        let kinds = [Kind::Ssh, Kind::Lines, Kind::Telnet, Kind::Websocket];
        let first = (Kind::Ssh, false);
        std::iter::once(first).chain((1..count).map(|_| (self.pick(&kinds), self.chance(3)))).collect()
    }

    fn protocol(&mut self, kind: Kind) -> Protocol {
        let scheme = match kind {
            Kind::Ssh => return self.ssh(),
            Kind::Lines => "tcp",
            Kind::Telnet => "telnet",
            Kind::Websocket => "ws",
        };
        format!("{scheme}://127.0.0.1:1").parse::<Listen>().expect("an address").protocol
    }

    fn ssh(&mut self) -> Protocol {
        let server = SshServer::default()
            .takes_keys(true)
            .mode(self.pick(&[InputMode::Character, InputMode::Keys]))
            .login_timeout(Duration::from_millis(self.pick(&[0, 500, 30_000, 30_000, 30_000])));
        Protocol::Ssh(Arc::new(server))
    }

    fn config(&mut self, kinds: &[(Kind, bool)], authorities: &Authorities, tickets: &TicketKeys) -> Config {
        let listeners = kinds.iter().zip(7_000..).map(|(&(kind, has_tls), port)| {
            let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
            let mut listen = Listen::new(address, self.protocol(kind));
            listen.half_open = self.chance(3);
            listen.connections_max = self.chance(6).then_some(2);
            if has_tls && kind != Kind::Ssh {
                authorities.serve(&mut listen, tickets);
            }
            listen
        });
        Config::listening(listeners.collect::<Vec<_>>())
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

    fn caller(&mut self, (kind, has_tls): (Kind, bool), wallet: &Wallet) -> Caller {
        let client = match kind {
            Kind::Ssh => return Party::Other(self.peer()),
            Kind::Lines => Client::lines(),
            Kind::Telnet => Client::telnet(),
            Kind::Websocket => Client::websocket(),
        };
        let client = client.begins_with(&self.login());
        let mut more: Vec<String> = (0..self.below(4)).map(|_| self.login()).collect();
        let client = client.does(move |random| match random.below(60) {
            0 => Do::Leave,
            1 => Do::End,
            2..6 => more.pop().map_or(Do::Wait, Do::Say),
            6..20 => Do::Say("hello".into()),
            _ => Do::Wait,
        });
        Party::Client(if has_tls { wallet.without_certificate(client) } else { client }.into())
    }

    /// Returns what a client says in order to log in.
    fn login(&mut self) -> String {
        let token = self.pick(&["good-ann", "good-bob", "late-x", "late-y", "unknown", "unknown"]);
        if self.chance(10) { "let me in".into() } else { format!("/auth {token}") }
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

    /// Sends some of the answers that the provider owes, and some answers without a question.
    fn answer(&mut self, world: &mut World<App, Caller>, shared: &Shared) {
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
            ("messages", 100),
            ("served on other wires", 50),
            ("served over TLS", 10),
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
fn world(seed: u64, authorities: &Authorities, quiet: bool, reached: &mut Reached) {
    let mut draw = Draw(Random::new(seed.wrapping_mul(0x9e37_79b9) ^ 0x0073_7368));
    let (kinds, tickets, wallet) = (draw.kinds(), TicketKeys::new(ring::Ticketer::new), authorities.wallet());
    let config = draw.config(&kinds, authorities, &tickets);
    let (limits, shared) = (draw.limits(), Shared::default());
    let shards = 1 + u8::try_from(draw.below(4)).expect("small");
    let mut world =
        World::of_shards(seed, &config, shards, |_| shared.app(limits.limits)).faults(draw.faults()).may_be_empty();
    if quiet {
        world = world.quiet();
    }
    let peers = 4 + draw.below(12);
    let mut callers = Vec::new();
    for _ in 0..peers {
        let listener = if draw.chance(2) { 0 } else { draw.below(kinds.len()) };
        let link = if draw.chance(3) { Link::Troubled } else { Link::Steady };
        let address = draw.pick(&[1, 1, 2, 3]);
        let from = From::Address(SocketAddr::from(([198, 51, 100, address], 1_000)));
        let (returns, caller) = (draw.chance(2), draw.caller(kinds[listener], &wallet));
        world.add_from(from, u32::try_from(listener).expect("small"), returns, link, caller);
        callers.push((address, kinds[listener]));
    }
    for part in 0..PARTS {
        world.run(STEPS);
        draw.answer(&mut world, &shared);
        if part % 20 == 19 && draw.chance(2) {
            let count = 1 + draw.below(kinds.len());
            world.reconfigure(&draw.config(&kinds[..count], authorities, &tickets));
        }
    }
    world.settle();
    check(&world, &shared, limits, &callers, reached);
    world.replay(|_| Shared::default().app(limits.limits));
}

/// Checks what the module promises.
fn check(
    world: &World<App, Caller>,
    shared: &Shared,
    limits: Limits,
    callers: &[(u8, (Kind, bool))],
    reached: &mut Reached,
) {
    let records = shared.lock();
    let rooms: Vec<&Room> = world.handlers().map(Layered::inner).collect();
    let served: BTreeMap<_, _> = rooms.iter().flat_map(|room| &room.served).collect();
    for (conn, user) in &served {
        let accepted = records.accepted.get(conn).is_some_and(|users| users.contains(*user));
        assert!(accepted, "{conn} is served as {user}, whom the provider has not accepted: {records:?}");
        reached.add("served late", u64::from(user.starts_with("late-")));
    }
    reached.add("served", served.len() as u64);
    reached.add("messages", rooms.iter().map(|room| room.messages).sum());
    let mut of_addresses = BTreeMap::<u8, u64>::new();
    let tries = u64::from(limits.limits.tries.max(1));
    for (number, (address, (_, has_tls))) in callers.iter().enumerate() {
        let sessions = sessions(world.actor(number));
        for (conn, session) in world.connections(number).iter().zip(sessions) {
            let (is_served, heard) = (served.contains_key(conn), session.heard());
            assert!(is_served || !heard.contains("welcome") && !heard.contains("you said"), "{conn} hears {heard:?}");
            let failures = records.failures.get(conn).map_or(&[][..], Vec::as_slice);
            let wrong = failures.iter().filter(|why| *why != OTHER_USER);
            let (limited, counted): (Vec<_>, Vec<_>) = wrong.partition(|why| why.starts_with(LIMITED));
            // A peer that has logged in has as many tries again to renew its login. An SSH connection ends when the server
            // refuses a proof without checking it.
            let (most, limited_most) = match session {
                Told::OverSsh(_) => (tries, 1),
                Told::Messages(_) => (2 * tries - 1, usize::MAX),
            };
            assert!(
                counted.len() as u64 <= most && limited.len() <= limited_most,
                "{conn} fails too often: {failures:?}, {most} are allowed"
            );
            match session {
                Told::OverSsh(session) => {
                    check_ssh(session, *conn, is_served, tries, counted.len());
                    reached.add("without a login", u64::from(session.user.is_none() && session.has_begun));
                }
                Told::Messages(_) => {
                    reached.add("served on other wires", u64::from(is_served));
                    reached.add("served over TLS", u64::from(is_served && *has_tls));
                }
            }
            // What is no proof counts as a try, and not for the address.
            let proofs = counted.iter().filter(|why| **why == app::UNKNOWN).count();
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

/// What the server told a connection that it let in.
enum Told<'w> {
    OverSsh(&'w peer::Session),
    Messages(&'w [String]),
}

impl Told<'_> {
    fn heard(&self) -> String {
        match self {
            // What comes before the session is answers to attempts.
            Self::OverSsh(session) => String::from_utf8_lossy(&session.heard).into(),
            Self::Messages(messages) => messages.join("\n"),
        }
    }
}

fn sessions(caller: &Caller) -> Vec<Told<'_>> {
    match caller {
        Party::Other(peer) => peer.sessions.iter().filter(|told| !told.was_refused).map(Told::OverSsh).collect(),
        Party::Client(client) => {
            client.sessions().iter().filter(|told| !told.was_refused).map(|told| Told::Messages(&told.heard)).collect()
        }
    }
}

fn check_ssh(session: &peer::Session, conn: ConnId, is_served: bool, tries: u64, failures: usize) {
    if is_served {
        assert!(session.user.is_some() && session.has_begun, "{conn} has not logged in: {session:?}");
    }
    assert!(session.refused <= session.proved && u64::from(session.refused) <= tries, "{session:?}");
    if !session.has_begun {
        assert!(failures <= session.proved as usize, "{conn} fails {failures} times without a proof: {session:?}");
    }
}

#[test]
fn worlds_of_ssh_logins_serve_nobody_before_a_login() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seeds = match number("DRUPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DRUPE_LOGINS").unwrap_or(WORLDS),
    };
    let is_whole = seeds.end - seeds.start >= WORLDS;
    let (watchdog, authorities, mut reached) = (Watchdog::start(), Authorities::new(), Reached::default());
    for seed in seeds {
        watchdog.begin(seed);
        let run = AssertUnwindSafe(|| world(seed, &authorities, is_whole, &mut reached));
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
