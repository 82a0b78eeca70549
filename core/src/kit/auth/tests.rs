//! Tests of the cost of login attempts, measured in hashes: durations are not reliable.

use super::scram::{Credentials, effort};
use super::{Accounts, Authentication, AuthenticationLimits};
use crate::app::Echo;
use crate::base::{ConnId, ListenerId, Peer};
use crate::config::Rate;
use crate::kit::layer::{Layered, Within};
use crate::testing::TestHub;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

const SECRET: [u8; 32] = [3; 32];
const ITERATIONS: u32 = 5_000;

fn hub(per_address: Rate) -> TestHub<Layered<Authentication<Accounts>, Echo>> {
    let user = |name: &str| Credentials::of_user(&SECRET, name, "t0psecret", ITERATIONS).expect("a password");
    let accounts = Accounts::new().user("ann", user("ann"), ["*"]).expect("a name");
    let accounts = accounts.user("longer-name", user("longer-name"), []).expect("a name");
    let limits = AuthenticationLimits { per_address, per_user: many(), ..AuthenticationLimits::default() };
    TestHub::new(Echo.within(Authentication::new(accounts, SECRET).limits(limits).dialogue()))
}

fn many() -> Rate {
    Rate::new(1_000, 1_000).expect("not nothing")
}

#[test]
fn wrong_password_costs_the_same_for_unknown_users() {
    let mut hub = hub(many());
    let mut costs = Vec::new();
    for user in ["ann", "longer-name", "nobody", "a", "x"] {
        let conn = hub.connect();
        hub.line(conn, user);
        costs.push(effort::of(|| hub.line(conn, "wrong")));
        assert!(hub.lines(conn).concat().contains("wrong user name or password"), "{user}");
    }
    assert!(costs[0] > u64::from(ITERATIONS), "a password was hashed: {costs:?}");
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}

#[test]
fn scram_exchange_costs_and_looks_the_same_for_unknown_users() {
    let mut hub = hub(many());
    let mut seen = Vec::new();
    // The first exchange of a machine also creates the key of its nonces.
    let first = hub.connect();
    hub.line(first, "/auth scram n,,n=x,r=0123456789abcdef");
    for user in ["ann", "longer-name", "nobody", "somebody-else"] {
        let conn = hub.connect();
        let first = effort::of(|| hub.line(conn, &format!("/auth scram n,,n={user},r=0123456789abcdef")));
        let answer = hub.lines(conn).into_iter().find(|line| line.contains("scram r=")).expect("it is answered");
        let (nonce, rest) = answer.split_once(",s=").expect("a salt");
        let (salt, iterations) = rest.split_once(",i=").expect("iterations");
        let (_, nonce) = nonce.split_once("r=").expect("a nonce");
        hub.clear();
        let last = effort::of(|| hub.line(conn, &format!("/auth scram c=biws,r={nonce},p={}", "A".repeat(43) + "=")));
        assert!(hub.lines(conn).concat().contains("the proof is wrong"), "{user}");
        seen.push((first, last, salt.len(), nonce.len(), iterations.to_string()));
    }
    assert!(seen.iter().all(|shape| *shape == seen[0]), "{seen:?}");
    assert!(seen[0].1 < 20, "no password is hashed where a key is stored: {seen:?}");
    assert_eq!(seen[0].4, ITERATIONS.to_string(), "the same as for users that exist");
}

#[test]
fn salt_stays_the_same_when_the_user_is_created() {
    let salt = |accounts: Accounts| -> String {
        let mut hub = TestHub::new(Echo.within(Authentication::new(accounts, SECRET)));
        let conn = hub.connect();
        hub.line(conn, "/auth scram n,,n=ann,r=0123456789abcdef");
        let answer = hub.lines(conn).concat();
        answer.split(",s=").nth(1).and_then(|rest| rest.split(',').next()).expect("a salt").to_string()
    };
    let of = |password| Credentials::of_user(&SECRET, "ann", password, 4_096).expect("a password");
    let [one, other] = ["one", "other"].map(|word| Accounts::new().user("ann", of(word), []).expect("a name"));
    assert_eq!(salt(Accounts::new()), salt(one.clone()));
    assert_eq!(salt(one), salt(other));
}

#[test]
fn login_over_the_limit_is_refused_before_hashing() {
    let mut hub = hub(Rate::WRONG_PROOFS);
    let connect = |hub: &mut TestHub<_>, port: u16| -> ConnId {
        hub.try_connect(ListenerId(0), Peer::Address(([192, 0, 2, 1], port).into())).expect("let in")
    };
    for port in 0..8 {
        let conn = connect(&mut hub, port);
        hub.line(conn, "ann");
        let cost = effort::of(|| hub.line(conn, "guess"));
        assert_eq!(cost > u64::from(ITERATIONS), port < 5, "attempt {port}");
    }
}
