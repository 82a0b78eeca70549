//! What networks and stopped processes do to links.

use super::host::Broker;
use super::member::Member;
use super::proxy::{Proxy, Way, Ways};
use super::publisher::{Pace, Publisher};
use super::record::Random;
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What a host logs if the broker does not answer.
const UNANSWERED: &str = "the broker did not answer within 5 s";

fn partition(name: &'static str, way: impl Fn(&Ways) -> &Way) {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start(name, &["--save", ""]);
    let proxy = Proxy::start(redis.port);
    let (at, through) = (Broker::At(redis.address()), Broker::At(proxy.address()));
    let stage = Stage::start(name, [&through, &at, &at]);
    way(&proxy.ways).swallows.store(true, Ordering::Relaxed);
    stage.hosts[0].wait_for_log(UNANSWERED, 1);
    // The other hosts go on.
    stage.publishers[1].wait_for_more(50);
    stage.publishers[2].wait_for_more(50);
    way(&proxy.ways).swallows.store(false, Ordering::Relaxed);
    stage.hosts[0].wait_for_log("broker up", 2);
    stage.wait_for_more(50);
    let outcome = stage.finish();
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "the host repairs it: {outcome:?}");
    assert!(outcome.unknown > 0, "what was sent without an answer is unknown: {outcome:?}");
}

#[test]
fn partition_on_the_way_to_the_broker_is_repaired() {
    partition("to-broker", |ways| &ways.to_broker);
}

#[test]
fn partition_on_the_way_from_the_broker_is_repaired() {
    partition("from-broker", |ways| &ways.to_host);
}

#[test]
fn links_that_end_within_replies_are_repaired() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("cuts", &["--save", ""]);
    let proxies = [0; 3].map(|_| Proxy::start(redis.port));
    let [first, second, third] = proxies.each_ref().map(|proxy| Broker::At(proxy.address()));
    let stage = Stage::start("cuts", [&first, &second, &third]);
    let mut random = Random(22);
    for round in 0..8 {
        for (number, proxy) in proxies.iter().enumerate() {
            proxy.ways.to_host.delay.store(random.below(20), Ordering::Relaxed);
            proxy.ways.to_broker.delay.store(random.below(5), Ordering::Relaxed);
            let way = if random.below(3) == 0 { &proxy.ways.to_broker } else { &proxy.ways.to_host };
            let after = i64::try_from(random.below(4_000)).expect("small");
            way.cut_after.store(after, Ordering::Relaxed);
            let since = Instant::now();
            while proxy.ways.cuts.load(Ordering::Relaxed) <= round {
                assert!(since.elapsed() < Duration::from_secs(60), "proxy {number} cuts nothing");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        stage.wait_for_more(10);
    }
    for proxy in &proxies {
        proxy.ways.to_host.delay.store(0, Ordering::Relaxed);
        proxy.ways.to_broker.delay.store(0, Ordering::Relaxed);
    }
    let outcome = stage.finish();
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "{outcome:?}");
}

#[test]
fn stopped_broker_is_given_up_and_nothing_comes_twice() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("stopped", &["--save", ""]);
    let at = Broker::At(redis.address());
    let stage = Stage::start("stopped broker", [&at, &at, &at]);
    redis.signal("-STOP");
    // The second time, it is the greeting that has no answer.
    stage.hosts.iter().for_each(|host| host.wait_for_log(UNANSWERED, 2));
    redis.signal("-CONT");
    stage.hosts.iter().for_each(|host| host.wait_for_log("broker up", 2));
    stage.wait_for_more(50);
    let outcome = stage.finish();
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "{outcome:?}");
}

#[test]
fn slow_host_that_the_broker_cuts_is_alone_with_it() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("slow", &["--save", ""]);
    redis.command(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 4mb 2mb 5"]);
    let at = Broker::At(redis.address());
    let mut stage = Stage::start("slow host", [&at, &at, &at]);
    for host in 0..3 {
        stage.members.push(Member::start(&stage.ports, host, &["big"], None));
    }
    stage.wait_for_subscriptions();
    stage.hosts[2].signal("-STOP");
    let pace = Pace { padding: 200_000, pause: Duration::from_millis(10), ..Pace::default() };
    let big = Publisher::start(&stage.ports, 0, 50, &["big"], pace);
    let since = Instant::now();
    while !redis.log().contains("overcoming of output buffer limits") {
        assert!(since.elapsed() < Duration::from_secs(60), "the broker does not cut it: {}", redis.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    stage.publishers.push(big);
    stage.hosts[2].signal("-CONT");
    stage.hosts[2].wait_for_log("broker up", 2);
    stage.wait_for_more(20);
    let cuts = redis.log().matches("overcoming of output buffer limits").count();
    let outcome = stage.finish();
    println!("slow host: {cuts} cuts by the broker");
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "the host reads what it missed: {outcome:?}");
}
