//! Tests that test nothing must fail.
//!
//! A handler's own assertions fail the test, and a server to which no peer can connect is an error.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does, and these do")]

use drupe_core::app::Echo;
use drupe_core::sim::{Act, Actor, Link, World};
use drupe_core::testing::TestHub;
use drupe_core::{Config, Event, Handler, Hub, Listen, ListenerId, NoNote, Random, Reason};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

fn lines() -> Config {
    Config::listening([Listen::lines(([127, 0, 0, 1], 1).into())])
}

/// What a call panics with.
fn panics(call: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(call)).expect_err("it should panic");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string)).expect("text")
}

/// Asserts that nobody says "wrong".
struct Asserting;

impl Handler for Asserting {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => {
                assert_ne!(payload.as_str(), Some("wrong"), "it was said");
                hub.send(conn, payload);
            }
            Event::Timer(_) => panic!("a timer was due"),
            _ => {}
        }
    }
}

#[test]
fn handler_assertion_fails_the_test() {
    let mut hub = TestHub::new(Asserting);
    let peer = hub.connect();
    hub.line(peer, "right");
    let words = panics(|| hub.line(peer, "wrong"));
    assert!(words.contains("it was said"), "{words}");
    // The test may go on with it.
    assert_eq!(hub.ended(Reason::HandlerPanicked), 1);
    hub.advance(Duration::from_secs(1));
}

#[test]
fn catch_panics_handles_panics_as_a_server_does() {
    let mut hub = TestHub::new(Asserting);
    hub.catch_panics();
    let peer = hub.connect();
    hub.line(peer, "wrong");
    assert_eq!((hub.ended(Reason::HandlerPanicked), hub.machine().metrics().handler_panics), (1, 1));
}

#[test]
fn test_hub_panics_for_a_missing_listener() {
    for config in [Config::default(), Config::default().idle(Some(Duration::from_secs(1)))] {
        let words = panics(|| {
            TestHub::with_config(config, Echo).connect();
        });
        assert!(words.contains("there is no listener 0") && words.contains("Config::listening"), "{words}");
    }
    let mut hub = TestHub::with_config(lines(), Echo);
    let words = panics(|| drop(hub.try_connect(ListenerId::new(1), drupe_core::Peer::Local)));
    assert!(words.contains("there is no listener 1: the configuration has 1"), "{words}");
    // One that was taken away refuses, and that can be tested.
    hub.reconfigure(Config::default());
    let refusal = hub.try_connect(ListenerId::new(0), drupe_core::Peer::Local).expect_err("nobody is let in");
    assert_eq!(refusal.reason, Reason::Shutdown);
}

/// Says one line.
struct Saying(&'static [u8]);

impl Actor for Saying {
    fn act(&mut self, _: &mut Random) -> Act {
        Act::Say(std::mem::take(&mut self.0).to_vec())
    }

    fn hear(&mut self, _: &[u8]) {}
}

#[test]
fn world_without_admitted_peers_fails() {
    let mut full = lines();
    full.connections.total = 0;
    for (config, promise) in [(Config::default(), "there is no such listener"), (full, "at least one peer connected")] {
        let mut world = World::new(1, config, Echo);
        world.add(Link::Steady, Saying(b"x\n"));
        world.run(100);
        let words = panics(|| world.settle());
        assert!(words.contains(promise), "{words}");
    }
}

#[test]
fn handler_assertion_fails_the_world() {
    let mut world = World::new(1, lines(), Asserting);
    world.add(Link::Steady, Saying(b"wrong\n"));
    let words = panics(|| {
        world.run(100);
        world.settle();
    });
    assert!(words.contains("it was said"), "{words}");
}

/// Not a test by itself: it is run by the one below, and fails.
#[test]
#[ignore = "it fails, as the test below expects"]
fn failing_test_beside_a_world() {
    let mut world = World::new(77, lines(), Echo);
    world.add(Link::Steady, Saying(b"words that stand in the trace\n"));
    world.run(100);
    world.settle();
    assert_eq!(world.metrics().messages_in, 1_000, "as it was told");
}

#[test]
fn failing_test_prints_the_trace_of_its_world() {
    let test = std::env::current_exe().expect("it runs");
    let output = Command::new(test).args(["--ignored", "failing_test_beside_a_world", "--nocapture"]).output();
    let output = output.expect("it runs again");
    let printed = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    for words in ["as it was told", "the world of seed 77", r#"received 0.1 "words that stand in the trace\n""#] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}
