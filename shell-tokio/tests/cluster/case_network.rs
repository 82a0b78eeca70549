//! What networks and stopped processes do to links.

use super::host::{Broker, Host};
use super::member::Member;
use super::proxy::{Proxy, Way, Ways};
use super::publisher::{Pace, Publisher};
use super::record::Random;
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What a host logs if the broker does not answer.
pub(super) const UNANSWERED: &str = "the broker did not answer within 5 s";

/// Swallows what one host sends or receives, until it notices. `broker`: the broker at an address.
pub(super) fn partition(name: &'static str, port: u16, broker: fn(String) -> Broker, way: impl Fn(&Ways) -> &Way) {
    let proxy = Proxy::start(port);
    let (at, through) = (broker(format!("127.0.0.1:{port}")), broker(proxy.address()));
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
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("to-broker", &["--save", ""]);
    partition("to-broker", redis.port, Broker::At, |ways| &ways.to_broker);
}

#[test]
fn partition_on_the_way_from_the_broker_is_repaired() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("from-broker", &["--save", ""]);
    partition("from-broker", redis.port, Broker::At, |ways| &ways.to_host);
}

#[test]
fn links_that_end_within_replies_are_repaired() {
    if !are_installed() {
        return;
    }
    let redis = RedisServer::start("cuts", &["--save", ""]);
    cuts("cuts", redis.port, Broker::At);
}

/// Cuts the links of all hosts at random bytes.
pub(super) fn cuts(name: &'static str, port: u16, broker: fn(String) -> Broker) {
    let proxies = [0; 3].map(|_| Proxy::start(port));
    let [first, second, third] = proxies.each_ref().map(|proxy| broker(proxy.address()));
    let stage = Stage::start(name, [&first, &second, &third]);
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
    stop(stage, |name| redis.signal(name), |host| host.wait_for_log(UNANSWERED, 2));
}

/// Stops the broker, until all hosts have noticed it twice. The second time, it is the greeting that has no answer.
pub(super) fn stop(stage: Stage, signal: impl Fn(&str), wait: impl Fn(&Host)) {
    signal("-STOP");
    stage.hosts.iter().for_each(wait);
    signal("-CONT");
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
    let stage = Stage::start("slow host", [&at, &at, &at]);
    be_slow(stage, || redis.log().matches("overcoming of output buffer limits").count());
}

/// Stops a host until the broker cuts its link, as `cuts` tells.
pub(super) fn be_slow(mut stage: Stage, cuts: impl Fn() -> usize) {
    for host in 0..3 {
        stage.members.push(Member::start(&stage.ports, host, &["big"], None));
    }
    stage.wait_for_subscriptions();
    stage.hosts[2].signal("-STOP");
    let pace = Pace { padding: 200_000, pause: Duration::from_millis(10), ..Pace::default() };
    let big = Publisher::start(&stage.ports, 0, 50, &["big"], pace);
    let since = Instant::now();
    while cuts() == 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "the broker does not cut it");
        std::thread::sleep(Duration::from_millis(20));
    }
    stage.publishers.push(big);
    stage.hosts[2].signal("-CONT");
    stage.hosts[2].wait_for_log("broker up", 2);
    stage.wait_for_more(20);
    let outcome = stage.finish();
    println!("slow host: {} cuts by the broker", cuts());
    assert_eq!((outcome.found.gaps, outcome.unseen), (0, 0), "the host reads what it missed: {outcome:?}");
}
