//! Logins on several hosts: single-use tokens, and users who log in on two hosts.

use super::cluster::NOW;
use super::{Broker, Hosts, SECOND, config, on_each_broker};
use drupe_core::app::Echo;
use drupe_core::kit::auth::{Accounts, Authentication, Claims, DuplicateLogin, TokenKey, Tokens};
use drupe_core::kit::layer::{Layered, Within};
use drupe_core::{ConnId, Reason};
use std::time::Duration;

type Guarded = Layered<Authentication<Accounts>, Echo>;
type Logins = Hosts<Guarded>;

const MOMENT: Duration = Duration::from_millis(100);

fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

fn token(user: &str, number: u32) -> String {
    let jti = Some(number.to_string());
    key().sign(&Claims::of(user).jti(jti).exp(Some(NOW + 3_600))).expect("it signs")
}

fn handler(duplicates: DuplicateLogin, single_use: bool) -> impl Fn() -> Guarded {
    move || {
        let tokens = Tokens::new(key());
        let tokens = if single_use { tokens.single_use(100) } else { tokens };
        Echo.within(Authentication::new(Accounts::new().tokens(tokens), [3; 32]).duplicates(duplicates))
    }
}

fn start(broker: Broker, shards: &[u8], duplicates: DuplicateLogin, single_use: bool) -> Logins {
    Hosts::start(broker, shards, &config(), handler(duplicates, single_use))
}

/// Sends a token on a new connection, and returns what the peer is told within a second.
fn log_in(all: &mut Logins, host: usize, token: &str) -> (ConnId, String) {
    // Refusals count against an address.
    let address = u8::try_from(all.hosts[host].now.as_millis() / 1_000 % 250).expect("small");
    let conn = all.hosts[host].connect_from(address);
    let mut told = all.told(host, conn, &format!("/auth {token}"));
    all.pass(SECOND);
    told.extend(all.hosts[host].take_lines(conn));
    (conn, told.join("; "))
}

#[test]
fn a_single_use_token_is_accepted_by_one_host() {
    on_each_broker(|broker| {
        for shards in [[1, 1], [3, 2]] {
            let mut all = start(broker, &shards, DuplicateLogin::KeepBoth, true);
            for number in 0..4 {
                let (first, second) = if number % 2 == 0 { (0, 1) } else { (1, 0) };
                let token = token("ann", number);
                assert_eq!(log_in(&mut all, first, &token).1, "notice: you are ann");
                for host in [second, first] {
                    let (_, told) = log_in(&mut all, host, &token);
                    assert!(told.contains("the token was used before"), "{told}");
                }
            }
            // Without the broker, nobody knows what other hosts have accepted.
            all.cut[1] = true;
            all.deliver();
            let (_, told) = log_in(&mut all, 1, &token("ann", 9));
            assert!(told.contains("cannot be checked now"), "{told}");
            assert_eq!(log_in(&mut all, 0, &token("ann", 9)).1, "notice: you are ann");
            all.cut[1] = false;
            all.pass(10 * SECOND);
            assert!(log_in(&mut all, 1, &token("ann", 9)).1.contains("used before"));
            assert_eq!(log_in(&mut all, 1, &token("ann", 10)).1, "notice: you are ann");
        }
    });
}

#[test]
fn a_token_that_two_hosts_get_at_once_is_accepted_by_one() {
    on_each_broker(|broker| {
        let mut all = start(broker, &[2, 2], DuplicateLogin::KeepBoth, true);
        let line = format!("/auth {}", token("ann", 1));
        let conns = [0, 1].map(|host| all.hosts[host].connect_from(1));
        conns.iter().zip(&mut all.hosts).for_each(|(conn, host)| host.say(*conn, &line));
        all.pass(SECOND);
        let told: Vec<_> =
            conns.iter().zip(&mut all.hosts).map(|(conn, host)| host.take_lines(*conn).join("; ")).collect();
        let accepted = told.iter().filter(|told| *told == "notice: you are ann").count();
        assert_eq!(accepted, 1, "{told:?}");
    });
}

#[test]
fn a_second_login_is_refused_on_another_host() {
    on_each_broker(|broker| {
        let mut all = start(broker, &[2, 2], DuplicateLogin::RefuseNew, false);
        let (ann, told) = log_in(&mut all, 0, &token("ann", 1));
        assert_eq!(told, "notice: you are ann");
        for host in [1, 0] {
            let (conn, told) = log_in(&mut all, host, &token("ann", 1));
            assert!(told.contains("this user is already connected"), "{told}");
            assert!(all.hosts[host].is_over(conn));
        }
        assert_eq!(log_in(&mut all, 1, &token("bob", 1)).1, "notice: you are bob");
        assert!(!all.hosts[0].is_over(ann));
        all.hosts[0].reset(ann);
        all.deliver();
        assert_eq!(log_in(&mut all, 1, &token("ann", 1)).1, "notice: you are ann");
    });
}

fn one_of_two_logins_at_once_is_over(duplicates: DuplicateLogin) {
    on_each_broker(|broker| {
        let mut all = start(broker, &[2, 3], duplicates, false);
        let line = format!("/auth {}", token("ann", 1));
        let conns = [0, 1].map(|host| all.hosts[host].connect_from(1));
        conns.iter().zip(&mut all.hosts).for_each(|(conn, host)| host.say(*conn, &line));
        all.pass(2 * SECOND);
        let over: Vec<_> = conns.iter().zip(&all.hosts).map(|(conn, host)| host.is_over(*conn)).collect();
        assert_eq!(over.iter().filter(|is_over| **is_over).count(), 1, "{over:?}");
    });
}

#[test]
fn of_two_logins_at_once_one_is_refused() {
    one_of_two_logins_at_once_is_over(DuplicateLogin::RefuseNew);
}

#[test]
fn a_connection_that_ends_while_others_may_object_leaves_nothing() {
    on_each_broker(|broker| {
        let mut all = start(broker, &[2, 1], DuplicateLogin::RefuseNew, false);
        let conn = all.hosts[0].connect_from(1);
        all.told(0, conn, &format!("/auth {}", token("ann", 1)));
        all.hosts[0].reset(conn);
        all.pass(SECOND);
        assert_eq!(log_in(&mut all, 0, &token("ann", 1)).1, "notice: you are ann");
    });
}

#[test]
fn a_new_login_ends_the_old_one_on_another_host() {
    on_each_broker(|broker| {
        let mut all = start(broker, &[2, 2], DuplicateLogin::ReplaceOld, false);
        let mut before: Option<(usize, ConnId)> = None;
        for host in [0, 1, 0, 0, 1] {
            let (conn, told) = log_in(&mut all, host, &token("ann", 1));
            assert_eq!(told, "notice: you are ann");
            if let Some((host, conn)) = before.replace((host, conn)) {
                assert!(all.hosts[host].is_over(conn));
            }
            assert!(!all.hosts[host].is_over(conn));
            all.pass(2 * SECOND);
        }
        assert_eq!(all.hosts.iter().map(|host| host.total(Reason::Replaced)).sum::<u64>(), 4);
    });
}

#[test]
fn of_two_logins_at_once_one_replaces_the_other() {
    one_of_two_logins_at_once_is_over(DuplicateLogin::ReplaceOld);
}

#[test]
fn logins_of_hosts_without_a_link_are_compared_when_it_is_back() {
    on_each_broker(|broker| {
        for (duplicates, first_stays) in [(DuplicateLogin::RefuseNew, true), (DuplicateLogin::ReplaceOld, false)] {
            for away in [0, 1] {
                let mut all = start(broker, &[2, 2], duplicates, false);
                all.cut[away] = true;
                all.pass(MOMENT);
                let first = log_in(&mut all, 0, &token("ann", 1));
                all.pass(3 * SECOND);
                let second = log_in(&mut all, 1, &token("ann", 1));
                assert_eq!((&*first.1, &*second.1), ("notice: you are ann", "notice: you are ann"));
                let bob = log_in(&mut all, 1, &token("bob", 1)).0;
                all.pass(3 * SECOND);
                assert!(!all.hosts[0].is_over(first.0) && !all.hosts[1].is_over(second.0), "each decides for itself");
                all.cut[away] = false;
                all.pass(10 * SECOND);
                let over = (all.hosts[0].is_over(first.0), all.hosts[1].is_over(second.0));
                assert_eq!(over, (!first_stays, first_stays), "{duplicates:?} {away}");
                assert!(!all.hosts[1].is_over(bob));
            }
        }
    });
}
