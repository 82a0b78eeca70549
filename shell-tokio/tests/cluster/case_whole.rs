//! What holds for all hosts: ends of a user's connections, and keys that one host gets.

use super::host::Broker;
use super::record::locked;
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;
use super::wire::Connection;
use serde_json::json;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// Sends a message of one kind on a connection of its own, which stays open.
fn say(port: u16, kind: &str, name: &str) -> Connection {
    let mut connection = Connection::open(port).expect("it listens");
    connection.send(&json!({ "type": kind, "name": name })).expect("it reads");
    connection
}

/// Waits until the host has closed a connection.
fn wait_until_closed(connection: &mut Connection) {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60) {
        match connection.receive() {
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}");
                return;
            }
        }
    }
    panic!("it stays open");
}

#[test]
fn a_user_is_kicked_and_a_key_is_claimed_once_on_all_hosts() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("whole", &["--save", ""]);
    let at = Broker::At(redis.address());
    let stage = Stage::empty("all hosts", [&at, &at, &at]);
    let ports = locked(&stage.ports).clone();
    // The first host that gets a key is the only one.
    let claims: Vec<_> = ports.iter().map(|port| say(*port, "claim", "one")).collect();
    let answers = |words: &str| stage.hosts.iter().map(|host| host.log().matches(words).count()).sum::<usize>();
    let since = Instant::now();
    while answers("claimed free") + answers("claimed taken") < ports.len() {
        assert!(since.elapsed() < Duration::from_secs(60), "a claim is not answered");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((answers("claimed free"), answers("claimed taken")), (1, 2));
    // Once a host knows all others, an answer counts them all.
    let since = Instant::now();
    let mut number = 0;
    while answers("0 connections ended; 3 of 3 hosts answered") == 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "the hosts do not know each other");
        number += 1;
        drop(say(ports[0], "kick", "nobody"));
        stage.hosts[0].wait_for_log("0 connections ended", number);
    }
    let mut users: Vec<_> = ports.iter().map(|port| say(*port, "login", "ann")).collect();
    // The answer to the request comes after the login.
    for user in &mut users {
        user.send(&json!({ "type": "presence", "room": "people" })).expect("it reads");
        let since = Instant::now();
        while user.receive().expect("an answer").is_none() {
            assert!(since.elapsed() < Duration::from_secs(60), "no answer");
        }
    }
    // The host that knows all others, which the others may not do yet.
    let operator = say(ports[0], "kick", "ann");
    users.iter_mut().for_each(wait_until_closed);
    stage.hosts[0].wait_for_log("3 connections ended; 3 of 3 hosts answered", 1);
    drop((claims, operator));
}
