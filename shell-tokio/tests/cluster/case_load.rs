//! Many messages in one order, and many subscriptions at the same time.

use super::host::Broker;
use super::publisher::{Pace, Publisher};
use super::record::locked;
use super::redis::{RedisServer, are_installed};
use super::stage::{ROOMS, Stage};
use crate::cluster::member::Member;
use std::time::{Duration, Instant};

#[test]
fn two_publishers_on_two_hosts_have_one_order_everywhere() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("order", &["--save", ""]);
    let at = Broker::At(redis.address());
    let stage = Stage::empty("two publishers", [&at, &at, &at]).with_members();
    let pace = || Pace { batch: 50, pause: Duration::ZERO, count: 5_000, padding: 0 };
    let publishers = [0, 1].map(|number| Publisher::start(&stage.ports, number as usize, number, &["red"], pace()));
    let ledgers = publishers.map(Publisher::finish);
    assert!(ledgers.iter().all(|ledger| ledger.acknowledged.len() == 5_000), "all are acknowledged");
    let outcome = stage.finish_with(ledgers.into());
    assert_eq!((outcome.acknowledged, outcome.found.gaps, outcome.unseen), (10_003, 0, 0), "{outcome:?}");
}

#[test]
fn thousand_subscriptions_on_changing_hosts_miss_nothing() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("joins", &["--save", ""]);
    let at = Broker::At(redis.address());
    let mut stage = Stage::start("joins", [&at, &at, &at]);
    let before = stage.members.len();
    for number in 0..12 {
        let rooms = [ROOMS[number % 3], ROOMS[(number + 1) % 3]];
        stage.members.push(Member::start_hopping(&stage.ports, number % 3, &rooms, 4));
    }
    let since = Instant::now();
    let connections = |member: &Member| locked(&member.record).connections;
    // Each connection subscribes to two rooms.
    while stage.members[before..].iter().map(connections).sum::<usize>() < 500 {
        assert!(since.elapsed() < Duration::from_secs(90), "too few subscriptions");
        std::thread::sleep(Duration::from_millis(10));
    }
    stage.members.iter().for_each(Member::stay);
    let outcome = stage.finish();
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "{outcome:?}");
    assert!(outcome.refused.is_empty() && outcome.unknown == 0, "{outcome:?}");
}
