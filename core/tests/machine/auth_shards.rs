//! Logins on servers of several shards.
//!
//! One, two and four machines must give the same answers, in whatever order their messages arrive.

use crate::cluster::{Cluster, NOW};
use drupe_core::app::Echo;
use drupe_core::kit::auth::scram::{Credentials, ScramClient};
use drupe_core::kit::auth::{Accounts, Authentication, AuthenticationLimits, Claims, DuplicateLogin, TokenKey, Tokens};
use drupe_core::kit::layer::{Layered, Within};
use drupe_core::limit::Rate;
use drupe_core::tls::{Secured, Tls};
use drupe_core::{Config, ConnId, Event, Failure, Handler, Hub, Identity, Listen, NoNote, Reason, Time, UnixTime};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

const SECRET: [u8; 32] = [3; 32];

/// Hashed once: it is meant to take long.
static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| {
    let of = |user: &str| Credentials::of_user(&SECRET, user, &format!("{user}'s"), 4_096).expect("a password");
    let tokens = Tokens::new(key()).single_use(100);
    let accounts = Accounts::new().tokens(tokens).user("ann", of("ann"), []).expect("a name");
    accounts.user("bob", of("bob"), []).expect("a name")
});

fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

fn token(user: &str, number: u8) -> String {
    let jti = Some(number.to_string());
    key().sign(&Claims::of(user).jti(jti).exp(Some(NOW + 3_600))).expect("it signs")
}

/// An echo that makes a peer another user when it asks for it.
struct Inside;

impl Handler for Inside {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, payload } = &event
            && let Some(user) = payload.as_str().and_then(|text| text.strip_prefix("become "))
        {
            hub.identify(*conn, Identity::user(user));
        }
        Echo.on(hub, event);
    }
}

type Guarded = Layered<Authentication<Accounts>, Inside>;

type Server = Cluster<Guarded>;

impl Server {
    fn new(shards: u8, seed: u64, layer: impl Fn(Authentication<Accounts>) -> Authentication<Accounts>) -> Self {
        let config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]).unlimited();
        Self::with_config(&config, shards, seed, layer)
    }

    fn with_config(
        config: &Config,
        shards: u8,
        seed: u64,
        layer: impl Fn(Authentication<Accounts>) -> Authentication<Accounts>,
    ) -> Self {
        let handler = || Inside.within(layer(Authentication::new(ACCOUNTS.clone(), SECRET)));
        Self::start(config, shards, seed, handler)
    }

    fn scram(&mut self, conn: ConnId, user: &str, password: &str) -> Vec<String> {
        let client = ScramClient::new(user, password, "0123456789abcdef").expect("printable");
        let answer = self.told(conn, &format!("/auth scram {}", client.first()));
        let Some(first) = answer.iter().find_map(|line| Some(line.split_once("scram ")?.1)) else { return answer };
        let (last, _) = client.answer(first).expect("good");
        let answer = self.told(conn, &format!("/auth scram {last}"));
        // What the server proves in turn is of this exchange alone.
        answer.into_iter().filter(|line| !line.starts_with("scram v=")).collect()
    }
}

fn limits() -> AuthenticationLimits {
    let rate = |units| Rate::per(units, 300, units).expect("not nothing");
    AuthenticationLimits::default().per_address(rate(3)).per_user(rate(6)).tries(2)
}

#[derive(Clone, Debug)]
enum Step {
    Connect { address: u8 },
    Scram { who: prop::sample::Index, user: u8, is_right: bool },
    Token { who: prop::sample::Index, user: u8, number: u8 },
    Nonsense { who: prop::sample::Index },
    Ask { who: prop::sample::Index, user: u8, is_right: bool },
    Leave { who: prop::sample::Index },
    Pass { secs: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<prop::sample::Index>;
    prop_oneof![
        4 => (0..4u8).prop_map(|address| Step::Connect { address }),
        4 => (who(), 0..3u8, any::<bool>()).prop_map(|(who, user, is_right)| Step::Scram { who, user, is_right }),
        3 => (who(), 0..2u8, 0..3u8).prop_map(|(who, user, number)| Step::Token { who, user, number }),
        1 => who().prop_map(|who| Step::Nonsense { who }),
        1 => (who(), 0..3u8, any::<bool>()).prop_map(|(who, user, is_right)| Step::Ask { who, user, is_right }),
        1 => who().prop_map(|who| Step::Leave { who }),
        1 => (0..200u64).prop_map(|secs| Step::Pass { secs }),
    ]
}

/// What everybody was told at each step, and who was in.
fn verdicts(shards: u8, seed: u64, duplicates: DuplicateLogin, steps: &[Step]) -> Vec<(Vec<String>, Vec<bool>)> {
    let layer =
        |layer: Authentication<Accounts>| layer.limits(limits()).duplicates(duplicates).dialogue().allow_plaintext();
    let mut server = Server::new(shards, seed, layer);
    let users = ["ann", "bob", "nobody"];
    let password =
        |user: u8, is_right: bool| format!("{}'{}", users[usize::from(user)], if is_right { "s" } else { "" });
    let mut conns = Vec::new();
    let mut seen = Vec::new();
    for step in steps {
        let pick = |who: &prop::sample::Index| (!conns.is_empty()).then(|| *who.get(&conns));
        let mut answer = Vec::new();
        match step {
            Step::Connect { address } => conns.push(server.connect_from(*address)),
            Step::Scram { who, user, is_right } => {
                if let Some(conn) = pick(who) {
                    answer = server.scram(conn, users[usize::from(*user)], &password(*user, *is_right));
                }
            }
            Step::Token { who, user, number } => {
                if let Some(conn) = pick(who) {
                    answer = server.told(conn, &format!("/auth {}\nhello", token(users[usize::from(*user)], *number)));
                    if server.is_over(conn) {
                        // Whether a renewal that fails ends the connection before or after the next message is chance.
                        answer.retain(|line| line != "hello");
                    }
                }
            }
            Step::Nonsense { who } => answer = pick(who).map(|conn| server.told(conn, "/auth x")).unwrap_or_default(),
            Step::Ask { who, user, is_right } => {
                if let Some(conn) = pick(who) {
                    let words = format!("{}\n{}", users[usize::from(*user)], password(*user, *is_right));
                    answer = server.told(conn, &words);
                }
            }
            Step::Leave { who } => {
                if let Some(conn) = pick(who).filter(|conn| !server.is_over(*conn)) {
                    server.reset(conn);
                }
            }
            // Never to the very moment at which a limit ends.
            Step::Pass { secs } => server.pass(Duration::from_millis(secs * 1_000 + 1)),
        }
        server.deliver_all();
        // A renewal goes on beside messages: which of them is answered first is chance.
        answer.sort();
        seen.push((answer, conns.iter().map(|conn| server.is_over(*conn)).collect()));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn login_verdicts_do_not_depend_on_the_number_of_shards(
        steps in prop::collection::vec(step(), 1..40),
        policy in 0..3usize,
        seed: u64,
    ) {
        let duplicates = [DuplicateLogin::KeepBoth, DuplicateLogin::RefuseNew, DuplicateLogin::ReplaceOld][policy];
        let alone = verdicts(1, seed, duplicates, &steps);
        for shards in [2, 4] {
            prop_assert_eq!(&verdicts(shards, seed, duplicates, &steps), &alone, "{} shards", shards);
        }
    }

    /// Everybody at once, and messages that come when they come: the limits are still those of the whole.
    #[test]
    fn concurrent_logins_on_four_shards_share_the_limits_of_one(seed: u64, policy in 1..3usize) {
        let duplicates = [DuplicateLogin::KeepBoth, DuplicateLogin::RefuseNew, DuplicateLogin::ReplaceOld][policy];
        let mut server = Server::new(4, seed, |layer| layer.limits(limits()).duplicates(duplicates));
        // Twelve wrong proofs of one address, of which three may be looked at.
        let guesses: Vec<_> = (0..12).map(|_| server.connect_from(1)).collect();
        guesses.iter().for_each(|conn| server.say(*conn, "/auth x"));
        // One token on eight connections, and eight tokens of one user, from addresses of their own.
        let copies: Vec<_> = (10..18).map(|address| server.connect_from(address)).collect();
        copies.iter().for_each(|conn| server.say(*conn, &format!("/auth {}", token("bob", 0))));
        let tabs: Vec<_> = (20..28).map(|address| server.connect_from(address)).collect();
        tabs.iter().zip(1..).for_each(|(conn, number)| server.say(*conn, &format!("/auth {}", token("ann", number))));
        server.deliver_all();
        let lines_with = |conns: &[ConnId], words: &str| {
            let lines: Vec<_> = conns.iter().flat_map(|conn| server.received.get(conn).cloned().unwrap_or_default()).collect();
            String::from_utf8(lines).expect("text").lines().filter(|line| line.contains(words)).count()
        };
        prop_assert_eq!(lines_with(&guesses, "not well formed"), 3);
        prop_assert_eq!(lines_with(&guesses, "too many failures"), 9);
        prop_assert_eq!(lines_with(&copies, "you are bob"), 1);
        let (let_in, left) = if duplicates == DuplicateLogin::RefuseNew { (1, 7) } else { (8, 7) };
        prop_assert_eq!(lines_with(&tabs, "you are ann"), let_in);
        prop_assert_eq!(tabs.iter().filter(|conn| server.is_over(**conn)).count(), left);
        // Who stays is who the others are told of: another login of the same user finds one.
        let reason = if duplicates == DuplicateLogin::RefuseNew { Reason::Forbidden } else { Reason::Replaced };
        // Bob's copies were refused as used before, or as connected already.
        let before = server.total(reason);
        let conn = server.connect_from(30);
        server.told(conn, &format!("/auth {}", token("ann", 99)));
        prop_assert_eq!(server.total(reason), before + 1);
    }
}

#[test]
fn machines_that_share_a_secret_never_repeat_a_nonce() {
    let mut nonces = BTreeSet::new();
    let mut asked = 0;
    let mut ask = |server: &mut Server, conn: ConnId| {
        asked += 1;
        let answer = server.told(conn, "/auth scram n,,n=ann,r=0123456789abcdef").concat();
        let nonce = answer.split("r=0123456789abcdef").nth(1).and_then(|rest| rest.split(',').next());
        assert!(nonces.insert(nonce.expect("a nonce").to_owned()), "a nonce was said before: {answer}");
    };
    // Four shards; another server of the same secret and seed that began later; and one of another seed.
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]).unlimited();
    for (seed, began) in [(1, 0), (1, 10), (2, 0)] {
        config.seed = Some(seed);
        let mut server = Server::with_config(&config, 4, 0, |layer| layer);
        for machine in &mut server.machines {
            machine.clock_set(Time::START, UnixTime::from_secs(NOW + began));
        }
        for _ in 0..4 {
            let conns: Vec<_> = (0..4).map(|address| server.connect_from(address)).collect();
            assert_eq!(conns.iter().map(|conn| conn.shard()).collect::<BTreeSet<_>>().len(), 4);
            conns.iter().for_each(|conn| ask(&mut server, *conn));
        }
    }
    assert_eq!(asked, 48);
}

#[test]
fn replayed_login_is_refused_on_every_shard() {
    let mut server = Server::new(4, 0, |layer| layer);
    let victim = server.connect_from(1);
    let client = ScramClient::new("ann", "ann's", "0123456789abcdef").expect("printable");
    let first = format!("/auth scram {}", client.first());
    let answer = server.told(victim, &first).concat();
    let (last, _) = client.answer(answer.strip_prefix("scram ").expect("an answer")).expect("good");
    let last = format!("/auth scram {last}");
    assert!(server.told(victim, &last).concat().contains("you are ann"));
    // On each shard, again and again, each from an address of its own.
    for address in 2..42 {
        let conn = server.connect_from(address);
        server.told(conn, &first);
        let answer = server.told(conn, &last).concat();
        assert!(answer.contains("the proof is wrong") || answer.contains("too many failures"), "{answer}");
    }
}

#[test]
fn certificate_logins_follow_duplicate_policy_across_shards() {
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("good");
    let config = Config::listening([listen.tls(Some(Tls::external()))]).unlimited();
    let known = Secured::default().user(Some("ann".into()));
    for (duplicates, over) in [
        (DuplicateLogin::KeepBoth, [false, false]),
        (DuplicateLogin::RefuseNew, [false, true]),
        (DuplicateLogin::ReplaceOld, [true, false]),
    ] {
        let mut server = Server::with_config(&config, 2, 0, |layer| layer.duplicates(duplicates));
        let conns = [1, 2].map(|address| server.connect_from(address));
        assert_eq!(conns.map(ConnId::shard), [0, 1]);
        for conn in conns {
            server.machines[usize::from(conn.shard())].secured(Time::START, conn, &known);
            server.say(conn, "hello");
            server.deliver_all();
        }
        assert_eq!(conns.map(|conn| server.is_over(conn)), over, "{duplicates:?}");
        let heard = conns.map(|conn| server.take_lines(conn).contains(&"hello".to_owned()));
        assert_eq!(heard, [true, duplicates != DuplicateLogin::RefuseNew], "{duplicates:?}");
    }
}

#[test]
fn close_on_another_shard_frees_the_login() {
    let mut server = Server::new(2, 0, |layer| layer.duplicates(DuplicateLogin::RefuseNew));
    let [first, second, third] = [1, 2, 3].map(|address| server.connect_from(address));
    assert_eq!([first, second, third].map(ConnId::shard), [0, 1, 0]);
    assert_eq!(server.told(second, &format!("/auth {}", token("ann", 1))), ["notice: you are ann"]);
    assert!(server.told(first, &format!("/auth {}", token("ann", 2))).concat().contains("already connected"));
    assert!(server.is_over(first) && !server.is_over(second));
    server.machines[1].failed(Time::START, second, Failure::Reset);
    server.turn();
    server.deliver_all();
    // The token that was refused for another reason was not used.
    assert_eq!(server.told(third, &format!("/auth {}", token("ann", 2))), ["notice: you are ann"]);
}

#[test]
fn input_before_the_login_verdict_is_served_after_it() {
    let mut server = Server::new(2, 0, |layer| layer);
    let (_, conn) = (server.connect_from(1), server.connect_from(2));
    assert_eq!(conn.shard(), 1);
    server.say(conn, &format!("/auth {}\nhello", token("ann", 1)));
    assert_eq!(server.take_lines(conn), Vec::<String>::new());
    assert!(!server.machines[1].intent(conn).expect("open").read);
    server.deliver_all();
    assert_eq!(server.take_lines(conn), ["notice: you are ann", "hello"]);
    // Whose verdict never comes is not waited for.
    let other = server.connect_from(3);
    assert_eq!(other.shard(), 0);
    let late = server.connect_from(4);
    server.say(late, &format!("/auth {}", token("bob", 2)));
    server.now = Time::from_secs(31);
    let late_machine = &mut server.machines[1];
    while let Some(deadline) = late_machine.deadline().filter(|deadline| deadline.at <= server.now) {
        late_machine.elapsed(deadline.at);
    }
    assert_eq!(late_machine.metrics().ended.get(Reason::AuthenticationTimeout), 1);
    server.deliver_all();
    assert_eq!(server.machines[1].metrics().authenticated, 1);
}

#[test]
fn late_renewal_verdict_does_not_restore_the_old_user() {
    let mut server = Server::new(2, 0, |layer| layer);
    let (_, conn) = (server.connect_from(1), server.connect_from(2));
    assert_eq!(server.told(conn, &format!("/auth {}", token("ann", 1))), ["notice: you are ann"]);
    server.say(conn, &format!("/auth {}", token("ann", 2)));
    // The token may be looked at, and is good: whether it counts is still on its way.
    assert!(server.deliver() && server.deliver());
    server.say(conn, "become bob");
    server.deliver_all();
    assert_eq!(server.take_lines(conn), ["become bob", "error: auth: a renewal must be for the same user"]);
    // It is bob who may renew from now on.
    assert_eq!(
        server.told(conn, &format!("/auth {}", token("ann", 3))),
        ["error: auth: a renewal must be for the same user"]
    );
    assert_eq!(server.told(conn, &format!("/auth {}", token("bob", 4))), ["notice: you are bob"]);
}
