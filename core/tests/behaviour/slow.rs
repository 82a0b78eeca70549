//! Slow peers: marks, write deadlines, farewells.

use super::{Puppet, lines, listening, secs};
use drupe_core::app::Relay;
use drupe_core::outbound::Marks;
use drupe_core::testing::TestHub;
use drupe_core::{Command, Config, Event, Failure, Handler, Hub, ListenerId, Machine, Reason, Time, Why};

#[test]
fn slow_peer_stalls_then_is_closed_at_the_hard_mark() {
    let mut config = lines().unlimited();
    config.outbound.marks = Marks::new(10, 100, 1000).expect("in order");
    let mut hub = TestHub::with_config(config, Relay::default());
    let (slow, other) = (hub.connect(), hub.connect());
    hub.set_writable(slow, 0);
    hub.line(other, &"x".repeat(99));
    hub.line(other, &"x".repeat(99));
    assert_eq!(hub.machine().metrics().stalled, 1);
    assert!(!hub.machine().intent(slow).expect("alive").read);
    hub.set_writable(slow, 195);
    assert_eq!(hub.machine().metrics().stalled, 0);
    assert!(hub.machine().intent(slow).expect("alive").read);
    for _ in 0..11 {
        hub.line(other, &"x".repeat(99));
    }
    assert_eq!(hub.ended(Reason::SlowConsumer), 1);
    // Nothing but the rest of what was begun, and the reason, waits for it.
    hub.set_writable(slow, usize::MAX);
    let farewell = "closing (slow_consumer): the peer reads too slowly";
    assert_eq!(hub.lines(slow), ["x".repeat(99).as_str(), &"x".repeat(99), farewell]);
}

#[test]
fn peer_stuck_past_the_write_deadline_is_closed() {
    let mut hub = TestHub::with_config(lines(), Relay::default());
    let (stuck, other) = (hub.connect(), hub.connect());
    hub.set_writable(stuck, 3);
    hub.line(other, "hello");
    hub.advance(secs(29));
    assert_eq!(hub.ended(Reason::SlowConsumer), 0);
    hub.advance(secs(2));
    assert_eq!(hub.ended(Reason::SlowConsumer), 1);
    hub.advance(secs(10));
    assert!(hub.is_closed(stuck));
}

fn small_marks() -> Config {
    let mut config = lines().unlimited();
    config.outbound.marks = Marks::new(10, 50, 100).expect("in order");
    config
}

#[test]
fn farewell_to_a_slow_peer_does_not_close_the_next_one() {
    let mut hub = TestHub::with_config(small_marks(), Puppet { greets: true, ..Puppet::default() });
    let slow = hub.connect();
    hub.set_writable(slow, 0);
    hub.note("send 79".into());
    hub.command(&Command::Kick { conn: slow });
    hub.fail(slow, Failure::Reset);
    let next = hub.connect();
    assert_eq!((next.index(), hub.lines(next)), (slow.index(), vec!["welcome".into()]));
    let events = hub.handler().log.events.iter().filter(|event| !event.starts_with("Stalled"));
    assert_eq!(events.collect::<Vec<_>>(), ["opened", "closed kicked", "opened"]);
}

#[test]
fn slow_peer_reads_its_farewell_after_all_messages() {
    let mut hub = TestHub::with_config(small_marks(), Puppet::default());
    let slow = hub.connect();
    hub.set_writable(slow, 0);
    hub.note("send 98".into());
    hub.command(&Command::Kick { conn: slow });
    hub.set_writable(slow, usize::MAX);
    assert_eq!(hub.lines(slow)[1], "closing (kicked): an operator closed the connection");
}

#[test]
fn keep_latest_clears_the_stall_of_an_empty_queue() {
    let mut hub = TestHub::with_config(small_marks(), Puppet::default());
    let peer = hub.connect();
    hub.note("keep".into());
    hub.set_writable(peer, 0);
    hub.note("publish 79".into());
    assert!(!hub.machine().intent(peer).expect("alive").read);
    // The latest is kept, as soon as it can be: this one never can.
    hub.note("publish 150".into());
    assert_eq!(hub.machine().metrics().queued_bytes, 80);
    hub.note("publish 30".into());
    assert!(hub.machine().intent(peer).expect("alive").read, "nothing old is queued");
    assert_eq!(hub.machine().metrics().skipped, 2);
    hub.set_writable(peer, usize::MAX);
    hub.advance(secs(1000));
    assert_eq!((hub.lines(peer), hub.is_closed(peer)), (vec!["x".repeat(30)], false));
}

/// Answers every line with 25,000 bytes.
pub(super) struct Verbose;

impl Handler for Verbose {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        if let Event::Message { conn, .. } = event {
            hub.send(conn, &"n".repeat(25_000));
        }
    }
}

#[test]
fn unread_long_replies_pause_input_and_bound_memory() {
    let mut hub = TestHub::with_config(lines(), Verbose);
    let peers: Vec<_> = (0..100).map(|_| hub.connect()).collect();
    for &peer in &peers {
        hub.set_writable(peer, 0);
        hub.send(peer, "?\n".repeat(1024).as_bytes());
    }
    hub.advance(secs(1));
    let each = hub.machine().metrics().queued_bytes / 100;
    assert!(each < (256 << 10) + 3 * 25_001, "{each} bytes are queued for each");
    // Who reads gets all the answers.
    hub.set_writable(peers[0], usize::MAX);
    hub.advance(secs(5));
    assert_eq!(hub.messages(peers[0]).len(), 1024);
}

#[test]
fn pause_holds_the_last_line_and_the_end_of_input() {
    let mut hub = TestHub::with_config(lines(), Puppet::default());
    let peer = hub.connect();
    hub.send(peer, b"last words");
    hub.note("pause".into());
    hub.end(peer);
    hub.advance(secs(100));
    assert_eq!(hub.handler().log.events, ["opened"]);
    hub.note("resume".into());
    hub.advance(secs(1));
    assert_eq!(hub.handler().log.events, ["opened", "message \"last words\"", "closed peer_closed"]);
}

#[test]
fn short_write_is_not_a_stall_until_the_socket_blocks() {
    let mut machine = Machine::new(small_marks(), Puppet::default());
    let id = machine.accepted(Time::START, ListenerId::new(0), drupe_core::Peer::Local).expect("room");
    machine.noted(Time::START, "send 500".into());
    machine.wrote(Time::START, id, 100);
    assert!(machine.intent(id).expect("alive").read);
    assert_eq!((machine.metrics().stalled, machine.deadline()), (0, None));
    machine.blocked(Time::START, id);
    assert!(!machine.intent(id).expect("alive").read);
    assert_eq!(machine.deadline().map(|deadline| deadline.why), Some(Why::Write));
    machine.wrote(Time::START, id, 401);
    assert!(machine.intent(id).expect("alive").read);
}

#[test]
fn unsendable_messages_count_only_their_recipients() {
    let config = listening("length://127.0.0.1:1?prefix=u8");
    let mut hub = TestHub::with_config(config, Relay::new(drupe_core::app::Envelope::Json));
    let (ann, _bob) = (hub.connect(), hub.connect());
    hub.send(ann, &[&[250][..], &[b'x'; 250]].concat());
    assert_eq!(hub.machine().metrics().messages_unsendable, 1);
}
