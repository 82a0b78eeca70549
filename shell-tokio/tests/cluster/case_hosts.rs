//! A host is killed: the names of its members leave, and its members come back.

use super::host::{Broker, Host, SHELLS};
use super::member::{Member, Record};
use super::record::locked;
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;
use super::wire::Connection;
use serde_json::{Value, json};
use std::time::Instant;

const ROOM: &str = "people at home";

/// Returns what a member was told about a name: whether it came, in order.
fn news(record: &Record, name: &str) -> Vec<bool> {
    let about = record.presence.iter().filter(|(_, room, who, _)| room == ROOM && who == name);
    about.map(|(_, _, _, is_present)| *is_present).collect()
}

/// Asks a host for the names in the room.
fn names(port: u16) -> Vec<Value> {
    let mut connection = Connection::open(port).expect("it listens");
    connection.send(&json!({ "type": "presence", "room": ROOM })).expect("it reads");
    let since = Instant::now();
    while since.elapsed().as_secs() < 60 {
        if let Some(answer) = connection.receive().expect("an answer") {
            let names = answer["names"].as_array().unwrap_or_else(|| panic!("{answer}"));
            return names.iter().map(|person| person["name"].clone()).collect();
        }
    }
    panic!("no answer");
}

#[test]
fn names_of_a_killed_host_leave_once_and_come_back_with_it() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("people", &["--save", ""]);
    kill_a_host("killed host", &Broker::At(redis.address()));
}

/// Kills a host, and starts it again. The names of its members leave everywhere, and come back.
pub(super) fn kill_a_host(name: &'static str, at: &Broker) {
    let mut stage = Stage::start(name, [at, at, at]);
    let watchers = [0, 1].map(|host| Member::start(&stage.ports, host, &[ROOM], Some(&format!("watcher{host}"))));
    for watcher in &watchers {
        watcher.wait("a subscription", |record| record.subscribed.len() == 1);
    }
    // Two connections of one name, so that it comes and goes once.
    let guests = ["ann", "ann", "bob"].map(|name| Member::start(&stage.ports, 2, &[ROOM], Some(name)));
    for watcher in &watchers {
        watcher.wait("two names", |record| ["ann", "bob"].iter().all(|name| news(record, name) == [true]));
    }
    stage.hosts[2].kill();
    let since = Instant::now();
    for watcher in &watchers {
        watcher.wait("two leaves", |record| ["ann", "bob"].iter().all(|name| news(record, name) == [true, false]));
    }
    println!("{name}: its names were gone everywhere after {:?}", since.elapsed());
    let ports = locked(&stage.ports).clone();
    for port in &ports[..2] {
        assert_eq!(names(*port), ["watcher0", "watcher1"]);
    }
    stage.hosts[2] = Host::start(SHELLS[2], at);
    // A member that comes back before that is told of a gap.
    stage.hosts[2].wait_for_log("broker up", 1);
    locked(&stage.ports)[2] = stage.hosts[2].port;
    for watcher in &watchers {
        watcher.wait("two names", |record| ["ann", "bob"].iter().all(|name| news(record, name) == [true, false, true]));
    }
    for member in watchers.into_iter().chain(guests) {
        member.end();
    }
    stage.wait_for_more(20);
    let outcome = stage.finish();
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "all come back with their positions: {outcome:?}");
}

#[test]
fn names_are_written_anew_after_the_broker_has_lost_all() {
    if !are_installed() {
        return;
    }
    let mut redis = RedisServer::start("people-lost", &["--save", ""]);
    let at = Broker::At(redis.address());
    let stage = Stage::empty("names and a lost broker", [&at, &at, &at]);
    let members = [0, 1, 2].map(|host| Member::start(&stage.ports, host, &[ROOM], Some(&format!("member{host}"))));
    let all = ["member0", "member1", "member2"];
    for member in &members {
        member.wait("a subscription", |record| record.subscribed.len() == 1);
    }
    redis.kill();
    redis.restart();
    stage.hosts.iter().for_each(|host| host.wait_for_log("broker up", 2));
    let ports = locked(&stage.ports).clone();
    for port in ports {
        let since = Instant::now();
        while names(port) != all {
            assert!(since.elapsed().as_secs() < 60, "{:?} at {port}", names(port));
        }
    }
    for member in &members {
        // Whoever is told that a name has left is told that it has come again.
        member.wait("all names", |record| {
            let ends_present = |name: &&str| news(record, name).last().is_none_or(|is_present| *is_present);
            all.iter().all(ends_present)
        });
    }
    for member in members {
        member.end();
    }
}
