//! Three nats-servers that keep all streams together: one of them leaves, is killed, or leads no more.

use super::host::{Broker, SHELLS};
use super::nats::{Kept, NatsServer, is_there};
use super::proxy::Proxy;
use super::stage::Stage;
use std::time::{Duration, Instant};

/// Returns the broker, with the server that each host tries first.
fn brokers(servers: &[NatsServer; 3]) -> [Broker; 3] {
    let addresses = servers.each_ref().map(NatsServer::address);
    [0, 1, 2].map(|first| {
        let mut addresses = addresses.clone();
        addresses.rotate_left(first);
        Broker::Nats(addresses.join(","), 3)
    })
}

/// Returns the place of the server that leads the rooms, as another server knows it, and the name of their stream.
fn leader(servers: &[NatsServer; 3]) -> (usize, String) {
    let stream = servers[0].stream("drupe_ROOMS");
    let since = Instant::now();
    loop {
        let name = servers.iter().find_map(|server| server.leader(&stream));
        if let Some(place) = name.and_then(|name| name.rsplit('-').next()?.parse().ok()) {
            return (place, stream);
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{stream} has no leader");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn leader_that_steps_down_leaves_no_silent_gap() {
    if !is_there() {
        return;
    }
    let servers = NatsServer::start_three("stepdown", "");
    let at = brokers(&servers);
    let stage = Stage::start("nats: stepdown", at.each_ref());
    for _ in 0..3 {
        let (place, stream) = leader(&servers);
        let answer = servers[place].request(&format!("STREAM.LEADER.STEPDOWN.{stream}"), "").expect("an answer");
        assert_eq!(answer["success"], true, "{answer}");
        stage.wait_for_more(50);
    }
    let outcome = stage.finish();
    assert_eq!(outcome.unseen, 0, "nothing is lost: {outcome:?}");
}

#[test]
fn killed_leader_of_a_cluster_leaves_no_silent_gap() {
    if !is_there() {
        return;
    }
    let mut servers = NatsServer::start_three("leader", "");
    let at = brokers(&servers);
    let stage = Stage::start("nats: killed leader", at.each_ref());
    let (place, _) = leader(&servers);
    servers[place].kill();
    stage.wait_for_more(50);
    servers[place].restart(Kept::All);
    stage.wait_for_more(50);
    let outcome = stage.finish();
    assert_eq!(outcome.unseen, 0, "nothing is lost: {outcome:?}");
}

#[test]
fn hosts_leave_a_server_that_is_about_to_end() {
    if !is_there() {
        return;
    }
    let servers = NatsServer::start_three("lame-duck", "lame_duck_duration: '30s'\nlame_duck_grace_period: '1s'\n");
    // A host knows only this way at first, so it has its link to this server.
    let at = servers.each_ref().map(|server| Broker::Nats(Proxy::start(server.port).address(), 3));
    let stage = Stage::start("nats: lame duck", at.each_ref());
    servers[1].signal("-USR2");
    stage.hosts[1].wait_for_log("the server is about to end (lame duck mode)", 1);
    stage.hosts[1].wait_for_log("broker up", 2);
    stage.wait_for_more(100);
    for (host, shell) in stage.hosts.iter().zip(SHELLS).filter(|(_, shell)| *shell != SHELLS[1]) {
        assert!(!host.log().contains("lame duck"), "the host on {shell} has no link to it");
    }
    let outcome = stage.finish();
    assert_eq!(outcome.unseen, 0, "nothing is lost: {outcome:?}");
}
