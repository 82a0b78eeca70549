//! The machine's decisions about reverse tunnels, fact by fact.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does")]

use drupe_core::app::Echo;
use drupe_core::tunnel::{
    ForwardIntent, LinkId, RemoteBind, Ssh, Tunnel, TunnelFailure, TunnelId, TunnelIntent, TunnelReport, TunnelState,
};
use drupe_core::{
    Backoff, Command, Config, Event, Handler, Hub, Input, ListenerId, Machine, NoNote, Peer, Reason, Time, trace,
};
use proptest::prelude::*;
use std::time::Duration;

const EDGE: TunnelId = TunnelId::new(0);
const DOOR: ListenerId = ListenerId::new(1);

/// An echo that remembers how connections ended and in which states its tunnels were.
#[derive(Default)]
struct Watching {
    ended: Vec<Reason>,
    states: Vec<&'static str>,
    refused: Vec<String>,
}

impl Handler for Watching {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match &event {
            Event::Closed { reason, .. } => self.ended.push(*reason),
            Event::Tunnel { status, .. } => self.states.push(status.state.name()),
            Event::ChannelRefused { tunnel, words, .. } => self.refused.push(format!("{tunnel}: {words}")),
            _ => {}
        }
        Echo.on(hub, event);
    }
}

fn tunnel() -> Tunnel {
    let mut tunnel = Tunnel::new("edge", Ssh::new("edge.example", "drupe", "known_hosts"));
    tunnel.reconnect.jitter_percent = 0;
    tunnel
}

fn config(tunnels: impl IntoIterator<Item = Tunnel>) -> Config {
    let mut config = Config::listening([
        "tcp://127.0.0.1:7000".parse().expect("good"),
        "tcp://127.0.0.1:7001?tunnel=edge".parse().expect("good"),
        "unix:///run/x.sock?tunnel=edge".parse().expect("good"),
    ]);
    config.tunnels = tunnels.into_iter().collect();
    config
}

struct World {
    machine: Machine<Watching>,
    now: Time,
}

impl World {
    fn new(config: Config) -> Self {
        let mut machine = Machine::new(config, Watching::default());
        machine.started(Time::START);
        Self { machine, now: Time::START }
    }

    fn intent(&self) -> TunnelIntent {
        self.machine.tunnels().next().expect("a link is wanted")
    }

    fn has_link(&self) -> bool {
        self.machine.tunnels().next().is_some()
    }

    fn report(&mut self, report: TunnelReport) {
        let link = self.intent().link;
        let _ = self.machine.apply(self.now, Input::TunnelReported { link, report });
    }

    fn fail(&mut self, failure: TunnelFailure) {
        self.report(TunnelReport::Failed { failure, words: "words".into() });
    }

    /// Connected, and listened for at every place.
    fn come_up(&mut self) {
        self.report(TunnelReport::Connected);
        for ForwardIntent { listener, .. } in self.intent().forwards {
            self.report(TunnelReport::Bound { listener, port: 7001 });
        }
        assert_eq!(self.state(), TunnelState::Up);
    }

    fn state(&self) -> TunnelState {
        self.machine.tunnel_statuses().next().expect("one").state
    }

    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(deadline) = self.machine.deadline().filter(|deadline| deadline.at <= until) {
            self.now = deadline.at;
            self.machine.elapsed(self.now);
            while self.machine.next_changed().is_some() {}
        }
        self.now = until;
        self.machine.elapsed(self.now);
    }
}

#[test]
fn tunnel_loss_closes_its_connections_then_it_reconnects() {
    let mut world = World::new(config([tunnel()]));
    let TunnelIntent { link, forwards, .. } = world.intent();
    assert_eq!(link, LinkId::new(EDGE, 1));
    let places: Vec<_> = forwards.iter().map(|forward| (forward.listener, forward.bind.to_string())).collect();
    assert_eq!(places, [(DOOR, "127.0.0.1:7001".into()), (ListenerId::new(2), "/run/x.sock".into())]);
    world.come_up();
    let peer: Peer = "203.0.113.9:40000".parse().expect("an address");
    let conn = world.machine.accepted(world.now, DOOR, peer).expect("let in");
    world.machine.received(world.now, conn, &mut b"hello\n".to_vec());
    let said: Vec<u8> = world.machine.intent(conn).expect("open").transmit.slices().flatten().copied().collect();
    assert_eq!(said, b"hello\n");
    world.machine.wrote(world.now, conn, 6);
    let beside = world.machine.accepted(world.now, ListenerId::new(0), peer).expect("let in");
    world.fail(TunnelFailure::Disconnected);
    assert_eq!(world.machine.handler().ended, [Reason::TunnelLost]);
    assert!(world.machine.intent(conn).is_none() && world.machine.intent(beside).is_some());
    assert!(!world.has_link());
    // What is told of the old link later is about nobody.
    world.machine.tunnel_reported(world.now, link, &TunnelReport::Connected);
    assert!(!world.has_link());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.intent().link.attempt(), 2);
    world.machine.tunnel_reported(world.now, link, &TunnelReport::Connected);
    assert_eq!(world.state(), TunnelState::Connecting);
    world.come_up();
    let metrics = &world.machine.metrics().tunnels[0];
    assert_eq!((metrics.connects, metrics.connected, metrics.bytes_in, metrics.bytes_out), (2, 2, 6, 6));
    assert_eq!((metrics.up, metrics.forwards_bound, metrics.last_failure()), (1, 2, Some(TunnelFailure::Disconnected)));
    let states = &world.machine.handler().states;
    assert_eq!(states[..], ["connecting", "up", "waiting", "connecting", "up"]);
}

#[test]
fn refused_channel_is_counted_and_reported_sanitized() {
    let mut world = World::new(config([tunnel()]));
    world.come_up();
    let words = "a channel of the type \u{1b}[2Jshell".to_string();
    world.report(TunnelReport::ChannelRefused { words: words.clone() });
    assert_eq!(world.machine.handler().refused, ["edge: a channel of the type [2Jshell"]);
    assert_eq!(world.machine.metrics().tunnels[0].channels_refused, 1);
    let link = world.intent().link;
    world.fail(TunnelFailure::Disconnected);
    world.machine.tunnel_reported(world.now, link, &TunnelReport::ChannelRefused { words });
    assert_eq!(world.machine.handler().refused.len(), 1, "of a link that is no more nothing is told");
}

#[test]
fn renewed_tunnel_redials_at_once_without_a_failure() {
    let mut config = config([tunnel()]);
    config.tunnels[0].reconnect.attempts_max = Some(1);
    let mut world = World::new(config);
    for attempt in 2..5 {
        world.come_up();
        world.fail(TunnelFailure::Renewed);
        assert!(!world.has_link(), "the old link is to be dropped");
        world.pass(Duration::from_nanos(1));
        assert_eq!(world.intent().link.attempt(), attempt);
    }
    world.fail(TunnelFailure::Network);
    assert_eq!(world.state(), TunnelState::GivenUp, "that is the first failure");
}

#[test]
fn tunnel_error_text_is_truncated_and_sanitized() {
    let mut world = World::new(config([tunnel()]));
    let words = "\u{1b}]0;mine\u{7} \r\n\u{202e}".to_string() + &"\u{20ac}".repeat(100_000);
    world.report(TunnelReport::Failed { failure: TunnelFailure::Disconnected, words });
    let status = world.machine.tunnel_statuses().next().expect("one");
    let (_, kept) = status.last_error.expect("it failed");
    assert!(kept.starts_with("]0;mine \u{20ac}") && kept.ends_with('\u{20ac}') && kept.len() <= 1024, "{kept:?}");
}

#[test]
fn rejected_tunnel_retries_at_the_refused_wait() {
    for failure in [TunnelFailure::Authentication, TunnelFailure::HostKey, TunnelFailure::PrivateKey] {
        let mut tunnel = tunnel();
        tunnel.reconnect.jitter_percent = 100;
        let mut world = World::new(config([tunnel]));
        let mut tried = Vec::new();
        for _ in 0..5 {
            tried.push(world.now.as_nanos() / 1_000_000_000);
            world.fail(failure);
            assert!(!world.has_link());
            world.pass(Duration::from_secs(299));
            assert!(!world.has_link(), "{failure} is not tried again early");
            world.pass(Duration::from_secs(1));
        }
        assert_eq!(tried, [0, 300, 600, 900, 1200]);
    }
}

#[test]
fn keep_alive_detects_a_dead_link_in_time() {
    for (interval, count_max) in [(15, 3), (1, 1), (60, 10)] {
        let mut tunnel = tunnel();
        tunnel.keep_alive.interval = Duration::from_secs(interval);
        tunnel.keep_alive.count_max = count_max;
        let mut world = World::new(config([tunnel]));
        world.come_up();
        for _ in 0..50 {
            world.pass(Duration::from_secs(interval));
            let asked = world.intent().asked;
            world.report(TunnelReport::Answered(asked));
        }
        let since = world.now;
        while world.state() == TunnelState::Up {
            world.pass(Duration::from_millis(100));
        }
        let took = world.now.since(since);
        let stated = Duration::from_secs(interval) * (count_max + 1);
        assert!(took <= stated && took + Duration::from_secs(interval) * 2 > stated, "{took:?} of {stated:?}");
        assert_eq!(world.machine.metrics().tunnels[0].last_failure(), Some(TunnelFailure::Silent));
        // An answer to an older question is none.
        world.pass(Duration::from_secs(1));
        world.come_up();
        world.pass(Duration::from_secs(interval));
        world.report(TunnelReport::Answered(0));
        world.pass(stated);
        assert_ne!(world.state(), TunnelState::Up);
    }
}

#[test]
fn refused_forward_retries_with_capped_backoff() {
    let mut world = World::new(config([tunnel()]));
    world.report(TunnelReport::Connected);
    world.report(TunnelReport::Bound { listener: ListenerId::new(2), port: 0 });
    let mut waits = Vec::new();
    for tries in 1..=9 {
        let wanted: Vec<_> = world.intent().forwards.iter().map(|place| (place.listener, place.tries)).collect();
        assert_eq!(wanted, [(DOOR, tries), (ListenerId::new(2), 1)]);
        world.report(TunnelReport::Refused { listener: DOOR });
        assert_eq!(world.state(), TunnelState::Degraded);
        let since = world.now;
        while world.intent().forwards.len() == 1 {
            world.pass(Duration::from_millis(100));
            let asked = world.intent().asked;
            world.report(TunnelReport::Answered(asked));
        }
        waits.push(world.now.since(since).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    let metrics = &world.machine.metrics().tunnels[0];
    assert_eq!((metrics.up, metrics.state_name(), metrics.forwards_bound), (0, "degraded", 1));
    world.report(TunnelReport::Bound { listener: DOOR, port: 7001 });
    assert_eq!(world.state(), TunnelState::Up);
}

#[test]
fn tunnel_reports_the_port_chosen_by_the_server() {
    let mut config = config([tunnel()]);
    config.listeners[1] = "tcp://127.0.0.1:0?tunnel=edge".parse().expect("good");
    let mut world = World::new(config);
    world.come_up();
    let status = world.machine.tunnel_statuses().next().expect("one");
    assert_eq!(status.forwards[0].bind, RemoteBind::Tcp { host: "127.0.0.1".into(), port: 7001 });
    assert_eq!(status.to_string(), "tunnel edge: up");
}

#[test]
fn given_up_tunnel_waits_for_a_reload() {
    let mut few = tunnel();
    few.reconnect.attempts_max = Some(3);
    let mut world = World::new(config([few.clone()]));
    for _ in 0..2 {
        world.fail(TunnelFailure::Network);
        world.pass(Duration::from_secs(2));
    }
    world.fail(TunnelFailure::Network);
    assert_eq!(world.state(), TunnelState::GivenUp);
    world.pass(Duration::from_secs(10_000));
    assert!(!world.has_link());
    world.machine.reconfigured(world.now, config([few]));
    assert_eq!(world.state(), TunnelState::Connecting);
    // It was healthy for long enough: the count begins anew.
    world.come_up();
    let asks = |world: &mut World| {
        for _ in 0..30 {
            world.pass(Duration::from_secs(1));
            let asked = world.intent().asked;
            world.report(TunnelReport::Answered(asked));
        }
    };
    asks(&mut world);
    world.fail(TunnelFailure::Disconnected);
    assert!(matches!(world.state(), TunnelState::Waiting(at) if at == world.now + Duration::from_secs(1)));
}

#[test]
fn unanswered_forward_request_fails_the_tunnel() {
    let mut world = World::new(config([tunnel()]));
    world.report(TunnelReport::Connected);
    world.report(TunnelReport::Bound { listener: DOOR, port: 7001 });
    for seconds in [15, 14] {
        world.pass(Duration::from_secs(seconds));
        let asked = world.intent().asked;
        world.report(TunnelReport::Answered(asked));
        assert_eq!(world.state(), TunnelState::Connecting);
    }
    world.pass(Duration::from_secs(1));
    let status = world.machine.tunnel_statuses().next().expect("one");
    let (failure, words) = status.last_error.expect("it failed");
    assert_eq!(failure, TunnelFailure::Protocol);
    assert_eq!(words, "edge.example does not say whether it listens at /run/x.sock");
    assert!(!world.has_link());
}

#[test]
fn tunnel_attempt_times_out() {
    let mut world = World::new(config([tunnel()]));
    world.pass(Duration::from_secs(29));
    assert_eq!(world.intent().link.attempt(), 1);
    world.pass(Duration::from_secs(1));
    assert!(!world.has_link());
    let status = world.machine.tunnel_statuses().next().expect("one");
    assert_eq!(status.last_error.expect("it failed").0, TunnelFailure::TimedOut);
}

#[test]
fn drain_closes_a_tunnel_after_its_last_connection() {
    for says_goodbye in [true, false] {
        let mut world = World::new(config([tunnel()]));
        world.come_up();
        let peer: Peer = "203.0.113.9:40000".parse().expect("an address");
        let conn = world.machine.accepted(world.now, DOOR, peer).expect("let in");
        world.machine.command(world.now, &Command::Drain);
        assert_eq!((world.intent().forwards.len(), world.intent().closing), (0, false), "nobody else comes in");
        assert!(world.machine.accepted(world.now, DOOR, peer).is_err());
        world.machine.failed(world.now, conn, drupe_core::Failure::Reset);
        assert!(world.intent().closing && !world.machine.is_drained());
        if says_goodbye {
            world.report(TunnelReport::Closed);
        } else {
            world.pass(Duration::from_secs(4));
            assert!(!world.machine.is_drained());
            world.pass(Duration::from_secs(1));
        }
        assert!(world.machine.is_drained() && !world.has_link());
        assert_eq!(world.machine.handler().states.last(), Some(&"closed"));
    }
    // One that was not up needs no goodbye.
    let mut world = World::new(config([tunnel()]));
    world.machine.command(world.now, &Command::Drain);
    assert!(world.machine.is_drained() && !world.has_link());
}

#[test]
fn reload_changes_only_affected_tunnels() {
    let peer: Peer = "203.0.113.9:40000".parse().expect("an address");
    // Another wait: nothing happens.
    let mut world = World::new(config([tunnel()]));
    world.come_up();
    let conn = world.machine.accepted(world.now, DOOR, peer).expect("let in");
    world.machine.reconfigured(world.now, config([tunnel().refused_wait(Duration::from_secs(7))]));
    assert_eq!((world.state(), world.intent().link.attempt()), (TunnelState::Up, 1));
    // One place less: it is not listened at any more, and its connection stays.
    let mut fewer = config([tunnel()]);
    fewer.listeners.remove(1);
    world.machine.reconfigured(world.now, fewer);
    assert_eq!(world.intent().forwards.len(), 1);
    assert!(world.machine.intent(conn).is_some() && world.machine.accepted(world.now, DOOR, peer).is_err());
    // No tunnel: it ends with its last connection.
    let mut none = config([]);
    none.listeners.truncate(1);
    world.machine.reconfigured(world.now, none);
    assert_eq!((world.intent().forwards.len(), world.intent().closing), (0, false));
    world.machine.failed(world.now, conn, drupe_core::Failure::Reset);
    assert!(world.intent().closing);
    world.report(TunnelReport::Closed);
    assert_eq!(world.machine.tunnel_statuses().count(), 0);
    // Another server: everything is new.
    let mut world = World::new(config([tunnel()]));
    world.come_up();
    world.machine.accepted(world.now, DOOR, peer).expect("let in");
    let ssh = Ssh::new("other.example", "drupe", "known_hosts");
    world.machine.reconfigured(world.now, config([tunnel().ssh(ssh)]));
    assert_eq!(world.machine.handler().ended, [Reason::TunnelLost]);
    let TunnelIntent { link, tunnel, .. } = world.intent();
    assert_eq!((link.attempt(), tunnel.ssh.host.as_str()), (2, "other.example"));
}

proptest! {
    /// Attempts against a model that knows when each begins: no storm, whatever fails and however.
    #[test]
    fn tunnel_attempts_agree_with_a_backoff_model(
        fates in prop::collection::vec((0..5u8, 0..100u64), 1..60), initial in 1..20u64, cap in 20..100u64
    ) {
        let mut tunnel = tunnel();
        let (initial, cap) = (Duration::from_secs(initial), Duration::from_secs(cap));
        tunnel.reconnect = Backoff::default().initial(initial).cap(cap).jitter_percent(0);
        tunnel.keep_alive.interval = Duration::from_secs(100_000);
        let mut world = World::new(config([tunnel]));
        let (mut failures, mut attempt) = (0u32, 1);
        for (fate, up_for) in fates {
            prop_assert_eq!(world.intent().link.attempt(), attempt);
            let mut wait = None;
            match fate {
                0 => world.fail(TunnelFailure::Network),
                1 => {
                    world.fail(TunnelFailure::Authentication);
                    wait = Some(Duration::from_secs(300));
                }
                2 => world.pass(Duration::from_secs(30)),
                _ => {
                    world.come_up();
                    world.pass(Duration::from_secs(up_for));
                    failures = if up_for >= 30 { 0 } else { failures };
                    world.fail(TunnelFailure::Disconnected);
                }
            }
            failures += 1;
            let backed_off = (1..failures).fold(initial, |wait, _| (wait * 2).min(cap)).min(cap);
            let wait = wait.unwrap_or(backed_off);
            prop_assert_eq!(world.state(), TunnelState::Waiting(world.now + wait));
            world.pass(wait.saturating_sub(Duration::from_nanos(1)));
            prop_assert!(!world.has_link());
            world.pass(Duration::from_nanos(1));
            attempt += 1;
        }
    }

    /// Whatever a shell tells, in whatever order and about whatever link, and back from its trace.
    #[test]
    fn tunnel_reports_in_any_order_break_no_invariant(reports in prop::collection::vec((0..4u32, 0..5u32, 0..8u8, 0..4u32, 0..200u64), 0..200)) {
        let mut world = World::new(config([tunnel(), tunnel().name("other".into())]));
        for (tunnel, attempt, kind, number, seconds) in reports {
            let listener = ListenerId::new(number);
            let report = match kind {
                0 | 1 => TunnelReport::Connected,
                2 => TunnelReport::Failed { failure: TunnelFailure::ALL[number as usize], words: "a \"b\"\n\u{e9}".into() },
                3 => TunnelReport::Bound { listener, port: 7 },
                4 => TunnelReport::Refused { listener },
                5 => TunnelReport::Answered(number),
                6 => TunnelReport::ChannelRefused { words: "a shell".into() },
                _ => TunnelReport::Closed,
            };
            let input = Input::TunnelReported { link: LinkId::new(TunnelId::new(tunnel), attempt), report };
            let line = trace::line(world.now, &input);
            prop_assert_eq!(trace::parse::<NoNote>(&line), Ok(vec![(world.now, input.clone())]));
            let _ = world.machine.apply(world.now, input);
            world.pass(Duration::from_secs(seconds));
            let links: Vec<_> = world.machine.tunnels().map(|intent| intent.link.tunnel()).collect();
            prop_assert!(links.len() <= 2 && links.windows(2).all(|pair| pair[0] < pair[1]));
        }
        world.machine.command(world.now, &Command::Drain);
        world.pass(Duration::from_secs(60));
        prop_assert!(world.machine.is_drained());
    }
}
