//! Failed accepts, and the addresses of accepted peers.

use drupe_core::app::Echo;
use drupe_core::testing::TestHub;
use drupe_core::{
    AcceptFailure, Accepting, Addressee, Command, Config, ConnId, Event, Failure, Handler, Hub, Listen, ListenerId,
    Machine, MetricLabels, MetricsOptions, NoNote, Peer, Reason, Shard, Time, UnixTime,
};
use std::time::Duration;

const FIRST: ListenerId = ListenerId::new(0);

/// An echo that remembers what it was told about accepting, and who came.
#[derive(Default)]
struct Watching(Vec<String>);

impl Handler for Watching {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match &event {
            Event::AcceptPaused { listener, failure, .. } => {
                self.0.push(format!("{} paused: {failure}", listener.index()));
            }
            Event::AcceptResumed { listener, .. } => self.0.push(format!("{} resumed", listener.index())),
            Event::Opened { peer, .. } => self.0.push(format!("opened: {peer}")),
            _ => {}
        }
        Echo.on(hub, event);
    }
}

fn config() -> Config {
    Config::listening(["tcp://127.0.0.1:1".parse().expect("good")])
}

fn accept(machine: &mut Machine<Watching>, now: Time) -> ConnId {
    machine.accepted(now, FIRST, Peer::Local).expect("let in")
}

#[test]
fn accept_pause_and_resume_are_each_reported_once() {
    let mut machine = Machine::new(config(), Watching::default());
    let mut now = Time::START;
    for _ in 0..3 {
        machine.accept_failed(now, FIRST, AcceptFailure::Exhausted);
        now = machine.deadline().expect("it is tried again").at;
        machine.elapsed(now);
        assert_eq!(machine.accepting(FIRST), Accepting::Now);
    }
    assert_eq!(machine.handler().0, ["0 paused: exhausted"]);
    accept(&mut machine, now);
    accept(&mut machine, now);
    assert_eq!(machine.handler().0[1..], ["0 resumed", "opened: local", "opened: local"]);
    machine.accept_failed(now, FIRST, AcceptFailure::Exhausted);
    assert_eq!(machine.handler().0.last().map(String::as_str), Some("0 paused: exhausted"));
    assert_eq!(machine.metrics().accept_errors, 4);
}

#[test]
fn only_repeated_accept_failures_are_reported() {
    let mut machine = Machine::new(config(), Watching::default());
    for _ in 0..15 {
        machine.accept_failed(Time::START, FIRST, AcceptFailure::Transient);
    }
    assert!(machine.handler().0.is_empty());
    machine.accept_failed(Time::START, FIRST, AcceptFailure::Transient);
    assert_eq!(machine.handler().0, ["0 paused: transient"]);
}

#[test]
fn accepting_resumes_when_a_connection_closes() {
    let mut machine = Machine::new(config(), Watching::default());
    let conn = accept(&mut machine, Time::START);
    machine.accept_failed(Time::START, FIRST, AcceptFailure::Exhausted);
    assert_eq!(machine.accepting(FIRST), Accepting::Later);
    machine.failed(Time::START, conn, Failure::Reset);
    assert_eq!(machine.accepting(FIRST), Accepting::Now);
    // What fails for another reason does not depend on who goes.
    let conn = accept(&mut machine, Time::START);
    for _ in 0..16 {
        machine.accept_failed(Time::START, FIRST, AcceptFailure::Transient);
    }
    machine.failed(Time::START, conn, Failure::Reset);
    assert_eq!(machine.accepting(FIRST), Accepting::Later);
}

#[test]
fn accepting_resumes_when_another_shard_closes_a_connection() {
    let shard = |number| Machine::shard(config(), Watching::default(), Shard::new(number, 2).expect("of two"));
    let (mut first, mut second) = (shard(0), shard(1));
    let peer = Peer::Local;
    // Both are placed; the second has one.
    let places = [(); 2].map(|()| first.dispatched(Time::START, FIRST, peer).expect("let in"));
    assert_eq!(places, [0, 1]);
    let conn = second.adopted(Time::START, FIRST, peer);
    first.accept_failed(Time::START, FIRST, AcceptFailure::Exhausted);
    assert_eq!(first.accepting(FIRST), Accepting::Later);
    second.failed(Time::START, conn, Failure::Reset);
    while let Some((to, message)) = second.next_shard_message() {
        assert!(!matches!(to, Addressee::Shard(_)));
        first.shard_message_received(Time::START, &message);
    }
    assert_eq!(first.accepting(FIRST), Accepting::Now);
    assert_eq!(first.dispatched(Time::START, FIRST, peer), Ok(1));
    assert_eq!(first.handler().0, ["0 paused: exhausted", "0 resumed"]);
}

#[test]
fn ipv4_mapped_peer_is_reported_as_ipv4() {
    let mut machine = Machine::new(config(), Watching::default());
    let peer = "[::ffff:192.0.2.1]:7".parse().expect("an address");
    machine.accepted(Time::START, FIRST, peer).expect("let in");
    assert_eq!(machine.handler().0, ["opened: 192.0.2.1:7"]);
}

#[test]
fn metrics_count_missing_log_lines() {
    let mut machine = Machine::new(config(), Watching::default());
    for (left_out, lost) in [(3, 0), (0, 2), (u64::MAX, 1)] {
        machine.command(Time::START + Duration::from_secs(1), &Command::LogLoss { left_out, lost });
    }
    let metrics = machine.metrics();
    assert_eq!((metrics.log_lines_left_out, metrics.log_lines_lost), (u64::MAX, 3));
    let text = metrics.exposition();
    assert!(text.contains("\ndrupe_log_lines_lost_total 3\n"), "{text}");
    assert!(text.contains("\ndrupe_log_lines_left_out_total 18446744073709551615\n"), "{text}");
}

#[test]
fn metrics_count_fetches_of_key_sets() {
    let mut machine = Machine::new(config(), Watching::default());
    for succeeded in [true, false, true] {
        machine.command(Time::START, &Command::KeySetFetched { succeeded });
    }
    let text = machine.metrics().exposition();
    assert!(text.contains("\ndrupe_key_set_fetches_total 2\n"), "{text}");
    assert!(text.contains("\ndrupe_key_set_fetch_failures_total 1\n"), "{text}");
}

#[test]
fn every_series_has_the_configured_labels_and_the_text_is_well_formed() {
    let labels = MetricLabels::new([("env", "prod"), ("site", "a \"b\"\n")]).expect("good");
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
    config.metrics = MetricsOptions::default().labels(labels);
    let mut hub = TestHub::with_config(config, Echo);
    hub.set_clock(UnixTime::from_secs(1_000));
    let conn = hub.connect();
    hub.advance(Duration::from_millis(2_500));
    hub.fail(conn, Failure::Reset);
    let metrics = hub.machine().metrics();
    let text = metrics.exposition();
    let common = r#"{env="prod",site="a \"b\"\n""#;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("drupe_") && line.contains(common), "{line}");
    }
    for line in [
        format!("drupe_uptime_seconds{common}}} 2"),
        format!("drupe_connections_ended_total{common},reason=\"reset\"}} 1"),
        format!("drupe_connection_longest_seconds{common}}} 2.500"),
        format!("drupe_error_last_timestamp_seconds{common},reason=\"reset\"}} 1002"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    let error = metrics.recent.errors.back().expect("one error");
    assert_eq!((error.reason, &*error.peer), (Reason::Reset, "127.0.0.0/24"));
    hub.command(&Command::ResetMetrics);
    let metrics = hub.machine().metrics();
    assert_eq!(
        (metrics.recent.errors.len(), metrics.recent.connections_longest.len(), metrics.connection_longest_ms),
        (0, 0, 0)
    );
    assert_eq!(metrics.durations_ms.count(), 1, "histograms stay");
}

#[test]
fn metrics_keep_as_many_errors_as_configured() {
    for (kept, expected) in [(0, 0), (1, 1), (3, 3), (u32::MAX, 5)] {
        let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
        config.metrics.errors_kept = kept;
        let mut hub = TestHub::with_config(config, Echo);
        for _ in 0..5 {
            let conn = hub.connect();
            hub.fail(conn, Failure::Reset);
        }
        // A regular end is no error.
        let conn = hub.connect();
        hub.end(conn);
        assert_eq!(hub.machine().metrics().recent.errors.len(), expected, "{kept}");
    }
}
