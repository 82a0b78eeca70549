//! The broker is killed, with all, a part or none of its data.

use super::host::Broker;
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;

const KEEPS_NOTHING: &[&str] = &["--save", "", "--appendonly", "no"];
const KEEPS_ALL: &[&str] = &["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

#[test]
fn killed_broker_that_loses_all_is_one_gap_in_each_room() {
    if !are_installed() {
        return;
    }
    let mut redis = RedisServer::start("all-lost", KEEPS_NOTHING);
    let at = Broker::At(redis.address());
    let stage = Stage::start("all lost", [&at, &at, &at]);
    redis.kill();
    redis.restart();
    stage.wait_for_more(100);
    let outcome = stage.finish();
    // Each member was in two rooms.
    assert_eq!(outcome.found.gaps, 48, "one gap for each member and room");
    assert!(outcome.whys.keys().all(|why| why == "other_epoch"), "{outcome:?}");
}

#[test]
fn killed_broker_that_loses_a_part_is_a_gap_in_each_room() {
    if !are_installed() {
        return;
    }
    let mut redis = RedisServer::start("part-lost", KEEPS_NOTHING);
    let at = Broker::At(redis.address());
    let stage = Stage::start("part lost", [&at, &at, &at]);
    redis.save();
    // These are lost.
    stage.wait_for_more(60);
    redis.kill();
    redis.restart();
    stage.wait_for_more(200);
    let outcome = stage.finish();
    assert!(outcome.found.gaps >= 48, "each member has a gap in each room: {outcome:?}");
}

#[test]
fn killed_broker_that_loses_nothing_is_no_gap() {
    if !are_installed() {
        return;
    }
    let mut redis = RedisServer::start("nothing-lost", KEEPS_ALL);
    let at = Broker::At(redis.address());
    let stage = Stage::start("nothing lost", [&at, &at, &at]);
    for _ in 0..2 {
        redis.kill();
        redis.restart();
        stage.wait_for_more(100);
    }
    let outcome = stage.finish();
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "{outcome:?}");
}
