//! Another server takes over.

use super::host::Broker;
use super::proxy::Proxy;
use super::publisher::Pace;
use super::redis::{RedisServer, are_installed, sentinel};
use super::stage::Stage;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn wait(what: &str, is_true: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_true() {
        assert!(since.elapsed() < Duration::from_secs(90), "{what} never happened");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a replica of the server at a port, and waits until it has all data.
fn replica(name: &str, port: u16) -> RedisServer {
    let options = ["--save", "", "--replicaof", &format!("127.0.0.1 {port}"), "--repl-diskless-sync-delay", "0"];
    let replica = RedisServer::start(name, &options);
    wait("a synchronized replica", || replica.command(&["INFO", "replication"]).contains("master_link_status:up"));
    replica
}

/// Returns a number of bytes in a server's stream of replication.
fn offset(server: &RedisServer, which: &str) -> u64 {
    let facts = server.command(&["INFO", "replication"]);
    let line = facts.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("{which} in {facts}"))
}

#[test]
fn replica_that_is_behind_takes_over_with_a_gap() {
    if !are_installed() {
        return;
    }
    let mut master = RedisServer::start("master", &["--save", "", "--repl-diskless-sync-delay", "0"]);
    let proxy = Proxy::start(master.port);
    let replica = replica("replica", proxy.port);
    let sentinel = sentinel("sentinel", master.port);
    let port = replica.port.to_string();
    wait("a known replica", || sentinel.command(&["SENTINEL", "REPLICAS", "main"]).contains(&port));
    let at = Broker::Sentinel(sentinel.address());
    let stage = Stage::start("failover", [&at, &at, &at]);
    // The replica is the host of this proxy.
    proxy.ways.to_host.swallows.store(true, Ordering::Relaxed);
    stage.wait_for_more(60);
    master.kill();
    stage.wait_for_more(200);
    assert!(replica.command(&["ROLE"]).starts_with("master"));
    let outcome = stage.finish();
    assert!(outcome.found.gaps >= 48, "each member has a gap in each room: {outcome:?}");
    assert!(outcome.unseen == 0 || outcome.found.not_received > 0, "{outcome:?}");
}

#[test]
fn link_to_a_server_that_became_a_replica_is_given_up_in_a_quiet_cluster() {
    if !are_installed() {
        return;
    }
    let old = RedisServer::start("demoted", &["--save", "", "--repl-diskless-sync-delay", "0"]);
    let new = replica("promoted", old.port);
    let proxy = Proxy::start(old.port);
    let at = Broker::At(proxy.address());
    let stage = Stage::empty("zombies", [&at, &at, &at]).with_members();
    // `WAIT` would only wait for what its own connection has written.
    let written = offset(&old, "master_repl_offset");
    wait("a replica with all rooms", || offset(&new, "slave_repl_offset") >= written);
    new.command(&["REPLICAOF", "NO", "ONE"]);
    proxy.aim(new.port);
    let since = Instant::now();
    // The links to it stay.
    old.command(&["REPLICAOF", "127.0.0.1", &new.port.to_string()]);
    stage.hosts.iter().for_each(|host| host.wait_for_log("broker up", 2));
    println!("zombies: all hosts have left the old server after {:?}", since.elapsed());
    let outcome = stage.with_publishers(&Pace::default()).finish();
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "{outcome:?}");
}
