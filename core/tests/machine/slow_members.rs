//! Slow members of rooms: the events for them, and when the machine closes them.

#![allow(clippy::expect_used, missing_docs, reason = "a test fails where its assumption does")]

use drupe_core::outbound::{Marks, SlowPolicy};
use drupe_core::{Config, ConnId, Event, Handler, Hub, ListenerId, Machine, Reason, Time, Why};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// Answers, joins everybody to the room `r`, publishes notes there, and remembers what it is told.
#[derive(Default)]
struct Echo {
    told: Vec<&'static str>,
    sent: Vec<usize>,
    ended: Vec<Reason>,
}

impl Handler for Echo {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Opened { conn, .. } => drop(hub.join(conn, "r")),
            Event::Message { conn, payload } => {
                let said = payload.as_str().unwrap_or("?");
                match said {
                    "watch me" => hub.watch(conn, true),
                    "finish" => {
                        hub.finish(conn);
                        assert_eq!(hub.send_each(&[conn], "never"), 0);
                        assert!(!hub.send(conn, "never") && !hub.write(conn, "never"));
                    }
                    _ => drop(hub.send(conn, &format!("echo {said}"))),
                }
            }
            Event::Note(text) => drop(hub.publish("r", &text)),
            Event::Stalled { .. } => self.told.push("stalled"),
            Event::Drained { .. } => self.told.push("drained"),
            Event::Sent { bytes, .. } => self.sent.push(bytes),
            Event::Closed { reason, .. } => self.ended.push(reason),
            _ => {}
        }
    }
}

fn config(address: &str, policy: SlowPolicy, (low, high, max): (u32, u32, u32)) -> Config {
    let mut config = Config::listening([address.parse().expect("an address")]);
    config.outbound.marks = Marks::new(low, high, max).expect("in order");
    config.outbound.slow_policy = policy;
    config
}

fn begin(config: Config) -> (Machine<Echo>, ConnId) {
    let mut machine = Machine::new(config, Echo::default());
    machine.started(Time::START);
    let conn = machine.accepted(Time::START, ListenerId::new(0), SocketAddr::from(([192, 0, 2, 1], 1)).into());
    (machine, conn.expect("let in"))
}

fn take(machine: &mut Machine<Echo>, conn: ConnId) -> usize {
    let bytes = machine.intent(conn).map_or(0, |intent| intent.transmit.len());
    machine.wrote(machine.now(), conn, bytes);
    bytes
}

#[test]
fn drained_event_precedes_a_later_stall() {
    let (mut machine, conn) = begin(config("tcp://127.0.0.1:1", SlowPolicy::KeepLatest, (10, 20, 400)));
    machine.received(Time::START, conn, &mut b"aaaaa\n".to_vec()); // Answered by 11 bytes.
    machine.wrote(Time::START, conn, 8);
    machine.blocked(Time::START, conn);
    machine.noted(Time::START, "b".repeat(300)); // It stalls.
    machine.noted(Time::START, "c".repeat(300)); // In the place of the other.
    assert_eq!(machine.metrics().stalled, 1);
    assert_eq!(machine.handler().told, ["stalled", "drained", "stalled"]);
    assert_eq!(machine.recount(), Ok(()));
}

#[test]
fn keep_latest_with_a_shorter_message_clears_the_stall() {
    let (mut machine, conn) = begin(config("tcp://127.0.0.1:1", SlowPolicy::KeepLatest, (10, 20, 400)));
    machine.noted(Time::START, "b".repeat(399));
    machine.blocked(Time::START, conn);
    machine.noted(Time::START, "c".into());
    assert_eq!((machine.metrics().stalled, machine.metrics().skipped), (0, 1));
    assert_eq!(machine.handler().told, ["stalled", "drained"]);
    assert_eq!(machine.recount(), Ok(()));
}

#[test]
fn skip_without_enough_room_still_reports_the_connection() {
    let (mut machine, conn) = begin(config("tcp://127.0.0.1:1", SlowPolicy::SkipOldest, (10, 20, 100)));
    machine.received(Time::START, conn, &mut [&[b'a'; 60][..], b"\n"].concat()); // Answered by 66 bytes.
    machine.blocked(Time::START, conn);
    machine.noted(Time::START, "b".repeat(19));
    while machine.next_changed().is_some() {}
    machine.noted(Time::START, "c".repeat(49)); // The other message of the room goes, and that is not enough.
    assert_eq!(machine.intent(conn).map(|intent| intent.transmit.len()), Some(66));
    assert_eq!((machine.metrics().skipped, machine.next_changed()), (2, Some(conn)));
}

#[test]
fn write_deadline_of_the_rest_may_be_earlier() {
    let mut config = config("tcp://127.0.0.1:1", SlowPolicy::Close, (5_000, 6_000, 9_000));
    config.outbound.write_deadline = Duration::from_secs(1);
    config.outbound.drain_min_bytes_per_second = NonZeroU32::new(100).expect("not 0");
    let (mut machine, conn) = begin(config);
    machine.noted(Time::START, "a".repeat(4_999)); // 50 seconds for 5,000 bytes.
    machine.blocked(Time::START, conn);
    machine.noted(Time::START, "b".repeat(99));
    let now = Time::START + Duration::from_secs(10);
    machine.wrote(now, conn, 5_000); // The first is met; 1 second is left for 100 bytes.
    let due = machine.deadline().map(|deadline| (deadline.why, deadline.at.since(now)));
    assert_eq!(due, Some((Why::Write, Duration::from_secs(2))));
    machine.elapsed(now + Duration::from_secs(2));
    assert_eq!(machine.handler().ended, [Reason::SlowConsumer]);
}

/// Publishes once a second to a member that never takes a byte, for an hour.
fn never_taken(policy: SlowPolicy, message: usize, marks: (u32, u32, u32)) -> Machine<Echo> {
    // The write deadline is the default, 30 s, and a little for the length.
    let (mut machine, _) = begin(config("tcp://127.0.0.1:1", policy, marks));
    let mut now = Time::START;
    for _ in 0..3600 {
        machine.noted(now, "b".repeat(message));
        while let Some(named) = machine.next_changed() {
            if machine.intent(named).is_some_and(|intent| !intent.transmit.is_empty()) {
                machine.blocked(now, named);
            }
        }
        machine.turn_ended(now);
        now = now + Duration::from_secs(1);
        machine.elapsed(now);
        assert_eq!(machine.recount(), Ok(()));
    }
    machine
}

#[test]
fn member_that_never_reads_is_closed_under_any_policy() {
    for policy in [SlowPolicy::KeepLatest, SlowPolicy::SkipOldest, SlowPolicy::SkipNewest] {
        // One message at a time fits, several do, or none that is above the high mark.
        for (message, marks) in [(300, (10, 20, 400)), (30, (10, 20, 400)), (300, (500, 600, 700))] {
            let machine = never_taken(policy, message, marks);
            assert_eq!(machine.metrics().open, 0, "{policy:?} {message}");
            assert_eq!(machine.handler().ended, [Reason::SlowConsumer], "{policy:?} {message}");
            let is_short = u32::try_from(message).is_ok_and(|bytes| bytes < marks.0);
            let drained = machine.handler().told.contains(&"drained");
            assert!(is_short || !drained, "{policy:?} {message}: no message is below the low mark");
        }
    }
}

#[test]
fn reload_changes_the_slow_policy_of_existing_rooms() {
    let before = config("tcp://127.0.0.1:1", SlowPolicy::SkipNewest, (10, 20, 40));
    let (mut machine, conn) = begin(before.clone());
    let mut after = before;
    after.outbound.slow_policy = SlowPolicy::Close;
    machine.reconfigured(Time::START, after);
    machine.noted(Time::START, "x".repeat(30));
    machine.blocked(Time::START, conn);
    machine.noted(Time::START, "y".repeat(30));
    assert_eq!((machine.metrics().skipped, machine.metrics().open), (0, 0));
}

#[test]
fn unsendable_message_emits_no_sent() {
    let (mut machine, conn) = begin(config("length://127.0.0.1:1?prefix=u8", SlowPolicy::Close, (10, 20, 4000)));
    machine.received(Time::START, conn, &mut b"\x08watch me".to_vec());
    machine.received(Time::START, conn, &mut [&[254][..], &[b'x'; 254]].concat());
    machine.noted(Time::START, "y".repeat(300));
    assert_eq!((machine.handler().sent.as_slice(), machine.metrics().messages_unsendable), (&[][..], 2));
    machine.noted(Time::START, "y".repeat(100));
    assert_eq!(machine.handler().sent, [100]);
}

#[test]
fn message_to_a_finished_connection_emits_no_sent() {
    let (mut machine, conn) = begin(config("tcp://127.0.0.1:1", SlowPolicy::Close, (10, 20, 4000)));
    machine.received(Time::START, conn, &mut b"watch me\nhello\nfinish\n".to_vec());
    assert_eq!(machine.handler().sent, ["echo hello".len()]);
}

#[test]
fn skipped_message_emits_no_sent() {
    for address in ["tcp://127.0.0.1:1", "telnet://127.0.0.1:1?mode=character"] {
        let (mut machine, conn) = begin(config(address, SlowPolicy::SkipNewest, (10, 20, 400)));
        if address.starts_with("telnet") {
            // The terminal agrees to character mode: IAC DO ECHO, IAC DO SGA.
            machine.received(Time::START, conn, &mut b"\xff\xfd\x01\xff\xfd\x03".to_vec());
        }
        machine.received(Time::START, conn, &mut b"watch me\r\n".to_vec());
        take(&mut machine, conn);
        machine.noted(Time::START, "y".repeat(300));
        machine.blocked(Time::START, conn);
        machine.noted(Time::START, "z".repeat(200));
        assert_eq!(machine.metrics().skipped, 1, "{address}");
        assert_eq!(machine.handler().sent, [300], "{address}");
    }
}
