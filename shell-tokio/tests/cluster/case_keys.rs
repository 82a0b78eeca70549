//! The broker forgets scripts and keys, and has no memory left.

use super::host::Broker;
use super::record::locked;
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;
use std::time::{Duration, Instant};

#[test]
fn flushed_scripts_are_sent_again() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("flushed", &["--save", ""]);
    let at = Broker::At(redis.address());
    let stage = Stage::start("flushed scripts", [&at, &at, &at]);
    for _ in 0..5 {
        redis.command(&["SCRIPT", "FLUSH"]);
        stage.wait_for_more(20);
    }
    let outcome = stage.finish();
    assert_eq!((outcome.found.gaps, outcome.unknown, outcome.unseen), (0, 0, 0), "{outcome:?}");
    assert!(outcome.refused.is_empty(), "{outcome:?}");
}

#[test]
fn evicted_position_of_a_room_is_a_gap_and_evicted_history_is_none() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("evicted", &["--save", ""]);
    let at = Broker::At(redis.address());
    let stage = Stage::start("evicted keys", [&at, &at, &at]);
    let members = stage.members.iter().filter(|member| member.rooms.iter().any(|room| room == "red")).count();
    assert_eq!(redis.command(&["DEL", "drupe:{red}:m"]), "1");
    stage.wait_for_more(50);
    assert_eq!(redis.command(&["DEL", "drupe:{green}:s"]), "1");
    stage.wait_for_more(50);
    let outcome = stage.finish();
    assert_eq!(outcome.found.gaps, members, "one gap for each member of the room: {outcome:?}");
    assert!(outcome.refused.is_empty(), "{outcome:?}");
}

#[test]
fn broker_without_memory_refuses_messages_by_name() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("memory", &["--save", "", "--maxmemory-policy", "noeviction"]);
    let at = Broker::At(redis.address());
    let stage = Stage::start("no memory", [&at, &at, &at]);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let since = Instant::now();
    let is_refused = |publisher: &super::publisher::Publisher| !locked(&publisher.ledger).refused.is_empty();
    while !stage.publishers.iter().all(is_refused) {
        assert!(since.elapsed() < Duration::from_secs(60), "nothing was refused");
        std::thread::sleep(Duration::from_millis(5));
    }
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    stage.wait_for_more(50);
    let outcome = stage.finish();
    let reasons: Vec<_> = outcome.refused.keys().collect();
    assert_eq!(reasons, ["the broker refused the message"]);
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "{outcome:?}");
}
