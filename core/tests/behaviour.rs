//! What a peer, an application and an operator see, case by case, in virtual time.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

use drupe_core::app::{Echo, Relay};
use drupe_core::limit::{Ladder, MessageSize, Rate};
use drupe_core::outbound::{Marks, SlowPolicy};
use drupe_core::testing::TestHub;
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::{
    AcceptFailure, Accepting, Backoff, Config, Dial, DialId, Event, Failure, Handler, Hub, Listen, ListenerId, Machine,
    Origin, Reason, Request, Time, Timer, Why,
};
use std::time::Duration;

fn listening(address: &str) -> Config {
    Config::listening([address.parse::<Listen>().expect(address)])
}

fn lines() -> Config {
    listening("tcp://127.0.0.1:7000")
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Keeps every event as a line.
#[derive(Default)]
struct Log {
    events: Vec<String>,
}

impl Handler for Log {
    type Context = ();
    type Note = String;

    fn on(&mut self, _: &mut Hub<'_, ()>, event: Event<'_, String>) {
        self.events.push(match event {
            Event::Message { payload, .. } => format!("message {:?}", payload.as_str().unwrap_or("binary")),
            Event::Closed { reason, .. } => format!("closed {reason}"),
            Event::Opened { origin: Origin::Dial(_), .. } => "dialed".into(),
            Event::Opened { .. } => "opened".into(),
            Event::Note(note) => format!("note {note}"),
            Event::Started => return,
            Event::DialFailed { retry_at, failure, .. } => format!("dial {failure}, retry {}", retry_at.is_some()),
            Event::InputEnded { .. } => "input ended".into(),
            Event::Draining => "draining".into(),
            other => format!("{other:?}"),
        });
    }
}

#[test]
fn bad_input_ends_in_its_named_reason_and_says_so() {
    for (address, bytes, reason) in [
        ("tcp://127.0.0.1:1", vec![b'x'; 70_000], Reason::MessageTooLarge),
        ("tcp://127.0.0.1:1", b"\xff\xfe\n".to_vec(), Reason::InvalidUtf8),
        ("tcp://127.0.0.1:1", b"\xed\xa0\x80\n".to_vec(), Reason::InvalidUtf8),
        (
            "length://127.0.0.1:1?prefix=u64be&notices=yes",
            (1_u64 << 63).to_be_bytes().to_vec(),
            Reason::MessageTooLarge,
        ),
        ("length://127.0.0.1:1?notices=yes", vec![0xff; 4], Reason::MessageTooLarge),
        ("length://127.0.0.1:1?prefix=varint&notices=yes", vec![0xff; 11], Reason::MalformedFrame),
    ] {
        let mut hub = TestHub::with_config(listening(address), Echo);
        let (bad, good) = (hub.connect(), hub.connect());
        hub.send(bad, &bytes);
        assert_eq!(hub.ended(reason), 1, "{address}");
        let told = hub.messages(bad).concat();
        let told = String::from_utf8_lossy(&told);
        assert!(told.starts_with(&format!("closing ({reason}): ")), "{told}");
        assert!(hub.is_closed(bad) && !hub.is_closed(good));
    }
}

#[test]
fn nuls_are_data_and_served() {
    let mut hub = TestHub::with_config(lines(), Echo);
    let peer = hub.connect();
    hub.send(peer, b"\0a\0\n");
    assert_eq!(hub.received(peer), b"\0a\0\n");
}

#[test]
fn a_byte_a_second_is_no_progress() {
    let mut hub = TestHub::with_config(lines(), Echo);
    let (slow, chatty) = (hub.connect(), hub.connect());
    for second in 0..60 {
        assert!(!hub.is_closed(slow), "after {second} s");
        hub.send(slow, b"x");
        hub.line(chatty, "whole lines");
        hub.advance(secs(1));
    }
    assert_eq!(hub.ended(Reason::MessageTimeout), 1);
    assert!(hub.is_closed(slow) && !hub.is_closed(chatty));
}

#[test]
fn a_million_empty_lines_do_not_starve_a_neighbour() {
    let mut machine = Machine::new(lines().unlimited(), Echo);
    let peer = |n: u16| std::net::SocketAddr::from(([127, 0, 0, 1], n)).into();
    let flood = machine.accepted(Time::START, ListenerId(0), peer(1)).expect("room for two");
    let other = machine.accepted(Time::START, ListenerId(0), peer(2)).expect("room for two");
    let (mut left, mut turns, mut now) = (1_000_000, 0, Time::START);
    while left > 0 || machine.intent(flood).is_some_and(|intent| !intent.read) {
        if left > 0 && machine.intent(flood).expect("alive").read {
            machine.received(now, flood, &mut vec![b'\n'; 62_500]);
            left -= 62_500;
        }
        let before = machine.metrics().messages_in;
        machine.received(now, other, &mut b"me too\n".to_vec());
        assert_eq!(machine.metrics().messages_in, before + 1, "the neighbour is served in every turn");
        while let Some(id) = machine.next_changed() {
            let bytes = machine.intent(id).map_or(0, |intent| intent.transmit.len());
            machine.wrote(now, id, bytes);
        }
        machine.turn_ended(now);
        assert!(machine.metrics().messages_in - before <= 1 + 1024);
        turns += 1;
        if let Some(deadline) = machine.deadline() {
            assert_eq!(deadline.why, Why::Backlog);
            now = deadline.at;
            machine.elapsed(now);
        }
    }
    assert_eq!(machine.metrics().messages_in, 1_000_000 + turns);
    assert!(turns > 900);
}

#[test]
fn who_is_too_fast_is_told_and_slowed_and_loses_nothing() {
    let mut config = lines();
    config.rates.messages = Rate::new(10, 5).ok();
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    let burst: String = (0..100).map(|n| format!("{n}\n")).collect();
    hub.send(peer, burst.as_bytes());
    assert_eq!(hub.lines(peer).len(), 7, "a burst, one over it, and a warning");
    assert_eq!(hub.lines(peer)[5], "warning: too many messages or bytes; your input is slowed down");
    hub.advance(secs(20));
    let echoed: Vec<String> = hub.lines(peer).into_iter().filter(|line| !line.starts_with("warning")).collect();
    assert_eq!(echoed, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(hub.lines(peer).len(), 101, "told once");
}

#[test]
fn bytes_count_as_messages_do() {
    let mut config = lines();
    config.rates.bytes = Rate::new(1000, 1000).ok();
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    // One long line, in pieces, is as fast as many short ones.
    for _ in 0..10 {
        hub.send(peer, &[b'x'; 500]);
    }
    assert!(hub.machine().metrics().rate_exceeded > 0);
    assert!(!hub.machine().intent(peer).expect("alive").read);
    hub.send(peer, b"\n");
    hub.advance(secs(10));
    assert_eq!(hub.messages(peer).iter().filter(|line| line.len() == 5_000).count(), 1);
}

#[test]
fn every_step_of_the_ladder_does_what_it_says() {
    let at = |ladder: Ladder| {
        let mut config = lines();
        config.rates.messages = Rate::new(1, 1).ok();
        config.rates.ladder = ladder;
        let mut hub = TestHub::with_config(config, Echo);
        let peer = hub.connect();
        (0..4).for_each(|n| hub.line(peer, &n.to_string()));
        let address = hub.peer(peer);
        let again = hub.try_connect(ListenerId(0), address).map(drop).map_err(|refusal| refusal.reason);
        (hub.lines(peer).join("|"), again)
    };
    let off = Ladder { warn: None, pause: None, ..Ladder::default() };
    let warning = "warning: too many messages or bytes; ";
    assert_eq!(at(off), ("0|1|2|3".into(), Ok(())));
    assert_eq!(at(Ladder { warn: Some(2), ..off }), (format!("0|1|{warning}please slow down|2|3"), Ok(())));
    assert_eq!(at(Ladder { pause: Some(2), ..off }), ("0|1|2".into(), Ok(())));
    assert_eq!(at(Ladder { drop: Some(2), ..off }), (format!("0|1|{warning}excess messages are discarded"), Ok(())));
    let closing = |reason: Reason| format!("closing ({reason}): {}", reason.sentence());
    assert_eq!(at(Ladder { close: Some(2), ..off }), (format!("0|1|{}", closing(Reason::RateLimited)), Ok(())));
    assert_eq!(
        at(Ladder { quarantine: Some(1), ..off }),
        (format!("0|{}", closing(Reason::Quarantined)), Err(Reason::Quarantined))
    );
}

#[test]
fn who_is_refused_is_told_why_and_a_place_becomes_free_again() {
    let mut config = listening("tcp://127.0.0.1:1?max=2");
    config.connections.per_address = 1;
    let mut hub = TestHub::with_config(config, Echo);
    let from = |text: &str| text.parse().expect(text);
    let first = hub.try_connect(ListenerId(0), from("192.0.2.1:1")).expect("room");
    let refused = hub.try_connect(ListenerId(0), from("192.0.2.1:2")).expect_err("one from an address");
    assert_eq!(refused.reason, Reason::AddressFull);
    assert_eq!(refused.farewell, b"closing (address_full): this address has too many connections\n");
    hub.try_connect(ListenerId(0), from("192.0.2.2:1")).expect("room");
    assert_eq!(
        hub.try_connect(ListenerId(0), from("192.0.2.3:1")).expect_err("two in all").reason,
        Reason::ListenerFull
    );
    hub.end(first);
    assert!(hub.try_connect(ListenerId(0), from("192.0.2.1:3")).is_ok());
    assert_eq!(hub.machine().metrics().refused.total(), 2);
}

#[test]
fn idle_is_not_dead_and_listening_is_not_idle_by_default() {
    let mut hub = TestHub::with_config(lines(), Log::default());
    let listener = hub.connect();
    hub.advance(secs(1_000_000));
    assert!(!hub.is_closed(listener));

    let mut config = lines();
    (config.idle, config.silence) = (Some(secs(100)), Some(secs(30)));
    config.budget.message_deadline = secs(10_000);
    let mut hub = TestHub::with_config(config, Log::default());
    let (silent, typing, talking) = (hub.connect(), hub.connect(), hub.connect());
    for _ in 0..11 {
        hub.advance(secs(10));
        hub.send(typing, b"x");
        hub.line(talking, "hello");
    }
    assert!(hub.is_closed(silent) && hub.is_closed(typing) && !hub.is_closed(talking));
    assert_eq!((hub.ended(Reason::Silent), hub.ended(Reason::Idle)), (1, 1));
}

#[test]
fn a_slow_peer_is_told_of_read_no_more_and_closed_at_last() {
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
fn who_is_stuck_past_the_write_deadline_is_closed() {
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

#[test]
fn an_unterminated_last_line_is_delivered_and_answered() {
    let mut hub = TestHub::with_config(lines(), Echo);
    let peer = hub.connect();
    hub.send(peer, b"one\ntwo");
    hub.end(peer);
    assert_eq!(hub.received(peer), b"one\ntwo\n");
    assert!(hub.is_closed(peer));
    assert_eq!(hub.ended(Reason::PeerClosed), 1);
}

#[test]
fn a_half_open_listener_goes_on_sending() {
    let mut hub = TestHub::with_config(listening("tcp://127.0.0.1:1?half_open=yes"), Relay::default());
    let (deaf, other) = (hub.connect(), hub.connect());
    hub.end(deaf);
    hub.line(other, "still there?");
    assert_eq!(hub.lines(deaf), ["still there?"]);
    assert!(!hub.is_closed(deaf));
}

#[test]
fn closed_is_told_once_and_last() {
    let mut hub = TestHub::with_config(lines(), Log::default());
    let peer = hub.connect();
    hub.send(peer, b"one\n\xff\nthree\n");
    hub.fail(peer, Failure::Reset);
    hub.line(peer, "four");
    hub.end(peer);
    hub.advance(secs(100));
    assert_eq!(hub.handler().events, ["opened", "message \"one\"", "closed invalid_utf8"]);
}

#[test]
fn a_drain_tells_spreads_and_ends() {
    let mut hub = TestHub::with_config(lines(), Log::default());
    let peers: Vec<_> = (0..100).map(|_| hub.connect()).collect();
    hub.request(&Request::Drain);
    assert_eq!(hub.machine().accepting(ListenerId(0)), Accepting::Never);
    let refusal = hub.try_connect(ListenerId(0), "127.0.0.1:9".parse().expect("an address")).expect_err("draining");
    assert_eq!(refusal.reason, Reason::Shutdown);
    assert!(peers.iter().all(|&peer| hub.lines(peer) == ["notice: the server is shutting down"]));
    // 100 closes at 500 a second take 200 ms, and not all go at once.
    hub.advance(Duration::from_millis(100));
    let closed = peers.iter().filter(|&&peer| hub.is_closed(peer)).count();
    assert!((20..80).contains(&closed), "{closed} of 100 after half the window");
    assert!(!hub.machine().is_drained());
    hub.advance(Duration::from_millis(100));
    assert!(hub.machine().is_drained());
    assert_eq!(hub.ended(Reason::Shutdown), 100);
    let farewell = "closing (shutdown): the server is shutting down";
    assert!(peers.iter().all(|&peer| hub.lines(peer)[1..] == [farewell]));
}

#[test]
fn a_drain_ends_at_its_hard_deadline_and_a_second_one_hurries() {
    let mut hub = TestHub::with_config(lines(), Echo);
    let stuck = hub.connect();
    hub.set_writable(stuck, 0);
    hub.request(&Request::Drain);
    hub.advance(secs(4));
    assert!(!hub.machine().is_drained());
    hub.advance(secs(6));
    assert!(hub.machine().is_drained());

    let mut config = lines();
    config.drain.closes_per_second = 1;
    let mut hub = TestHub::with_config(config, Echo);
    let _ten: Vec<_> = (0..10).map(|_| hub.connect()).collect();
    hub.request(&Request::Drain);
    hub.request(&Request::Drain);
    hub.advance(Duration::from_nanos(1));
    assert!(hub.machine().is_drained());
}

#[test]
fn out_of_descriptors_the_listener_rests() {
    let mut machine = Machine::new(lines(), Echo);
    machine.accept_failed(Time::START, ListenerId(0), AcceptFailure::Transient);
    assert_eq!(machine.accepting(ListenerId(0)), Accepting::Now);
    machine.accept_failed(Time::START, ListenerId(0), AcceptFailure::Exhausted);
    assert_eq!((machine.accepting(ListenerId(0)), machine.metrics().accept_paused), (Accepting::Later, 1));
    let deadline = machine.deadline().expect("it must be looked at again");
    assert_eq!(deadline.why, Why::Accept);
    machine.elapsed(deadline.at);
    assert_eq!((machine.accepting(ListenerId(0)), machine.metrics().accept_paused), (Accepting::Now, 0));
}

/// Dials at the first note, and hangs up at the second.
#[derive(Default)]
struct Caller {
    log: Log,
    dial: Option<DialId>,
}

impl Handler for Caller {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        if let Event::Note(address) = &event {
            match self.dial.take() {
                None => {
                    let backoff = Some(Backoff { jitter_percent: 0, ..Backoff::default() });
                    self.dial = Some(hub.dial(Dial { backoff, ..Dial::lines(address.clone()) }));
                }
                Some(dial) => hub.hang_up(dial),
            }
        }
        self.log.on(hub, event);
    }
}

#[test]
fn a_dial_is_tried_again_until_it_is_hung_up() {
    let mut hub = TestHub::with_config(lines(), Caller::default());
    hub.note("192.0.2.7:7".into());
    let (id, address) = hub.machine().dials().next().map(|(id, address)| (id, address.to_owned())).expect("wanted");
    assert_eq!(address, "192.0.2.7:7");
    hub.dial_failed(id, Failure::Refused);
    assert_eq!(hub.machine().dials().count(), 0);
    hub.advance(secs(1));
    let conn = hub.dialed(id, "192.0.2.7:7".parse().expect("an address")).expect("wanted");
    hub.line(conn, "hello");
    hub.end(conn);
    hub.advance(secs(2));
    let conn = hub.dialed(id, "192.0.2.7:7".parse().expect("an address")).expect("wanted again");
    hub.note(String::new());
    assert!(hub.is_closed(conn));
    hub.advance(secs(100));
    assert_eq!(hub.machine().dials().count(), 0);
    let events =
        ["note 192.0.2.7:7", "dial refused, retry true", "dialed", "message \"hello\"", "closed peer_closed", "dialed"];
    let rest = ["note ", "closed application"];
    assert_eq!(hub.handler().log.events, [&events[..], &rest].concat());
}

/// Sets a timer for each line, and says when it comes.
struct Alarm;

impl Handler for Alarm {
    type Context = u32;
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, u32>, event: Event<'_, String>) {
        match event {
            Event::Message { conn, payload } => match payload.as_str() {
                Some("cancel") => drop(hub.cancel(Timer::of(conn, "alarm"))),
                Some("pause") => {
                    hub.pause(conn);
                    hub.wake(Timer::of(conn, "alarm"), secs(5));
                }
                _ => hub.wake(Timer::of(conn, "alarm"), secs(5)),
            },
            Event::Timer(Timer { conn: Some(conn), name, .. }) => {
                hub.resume(conn);
                *hub.context(conn).expect("open") += 1;
                let count = *hub.context(conn).expect("open");
                hub.send(conn, &format!("{name} {count}"));
            }
            _ => {}
        }
    }
}

#[test]
fn timers_are_named_moved_cancelled_and_end_with_their_connection() {
    let mut hub = TestHub::with_config(lines(), Alarm);
    let (one, two, gone) = (hub.connect(), hub.connect(), hub.connect());
    hub.line(one, "set");
    hub.line(two, "set");
    hub.line(gone, "set");
    hub.fail(gone, Failure::Reset);
    hub.advance(secs(3));
    hub.line(one, "set");
    hub.line(two, "cancel");
    hub.advance(secs(4));
    assert_eq!((hub.lines(one).len(), hub.lines(two).len()), (0, 0));
    hub.advance(secs(1));
    assert_eq!((hub.lines(one), hub.lines(two)), (vec!["alarm 1".into()], vec![]));
    hub.advance(secs(100));
    assert_eq!(hub.lines(one).len(), 1);
}

#[test]
fn a_paused_connection_is_not_read_and_keeps_its_order() {
    let mut hub = TestHub::with_config(lines(), Alarm);
    let peer = hub.connect();
    hub.send(peer, b"pause\npause\npause\n");
    assert!(!hub.machine().intent(peer).expect("alive").read);
    hub.advance(secs(4));
    assert!(hub.lines(peer).is_empty());
    hub.advance(secs(12));
    assert_eq!(hub.lines(peer), ["alarm 1", "alarm 2", "alarm 3"]);
}

#[test]
fn what_a_machine_records_replays_to_the_same_bytes() {
    let trace = SharedTrace::new();
    let mut machine = Machine::new(lines(), Relay::default());
    machine.record(trace.recorder());
    let peers: Vec<_> = (1..4_u16)
        .map(|port| {
            machine
                .accepted(
                    Time::from_nanos(u64::from(port)),
                    ListenerId(0),
                    std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
                )
                .expect("room")
        })
        .collect();
    let mut written = std::collections::BTreeMap::<_, Vec<u8>>::new();
    for (n, peer) in (0..20).zip(peers.iter().cycle()) {
        let now = Time::from_millis(n);
        machine.received(now, *peer, &mut format!("line {n}\r\npart").into_bytes());
        while let Some(id) = machine.next_changed() {
            let bytes: Vec<u8> =
                machine.intent(id).expect("alive").transmit.slices().flatten().copied().take(5).collect();
            machine.wrote(now, id, bytes.len());
            written.entry(id).or_default().extend(bytes);
        }
        machine.turn_ended(now);
    }
    let transcript = replay(&trace.text(), &mut Machine::new(lines(), Relay::default())).expect("well formed");
    assert_eq!(transcript.written, written);
    assert!(trace.text().contains("received 0.1 \"line 0\\r\\npart\"\n"));
}

#[test]
fn a_message_size_limit_may_be_set() {
    let mut config = lines();
    config.budget.message_max_bytes = MessageSize::new(5).expect("in range");
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    hub.line(peer, "12345");
    assert_eq!(hub.lines(peer), ["12345"]);
    hub.line(peer, "123456");
    assert_eq!(hub.ended(Reason::MessageTooLarge), 1);
}

/// Does what a note says to everybody: `send N`, `policy`, `publish N`, `pause`, `dial`, `wake`.
#[derive(Default)]
struct Puppet {
    log: Log,
    greets: bool,
}

impl Handler for Puppet {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        let all: Vec<_> = hub.connections().collect();
        match &event {
            Event::Opened { conn, .. } if self.greets => drop(hub.send(*conn, "welcome")),
            Event::Draining => {
                hub.dial(Dial::lines("192.0.2.1:1"));
            }
            Event::Timer(timer) => hub.wake(*timer, Duration::ZERO),
            Event::Note(note) => {
                let (verb, number) = note.split_once(' ').unwrap_or((note, "0"));
                let text = "x".repeat(number.parse().expect("a number"));
                match verb {
                    "send" => drop(hub.send_each(&all, &text)),
                    "keep" => {
                        hub.set_slow_policy("room", SlowPolicy::KeepLatest).expect("a good name");
                        all.iter().for_each(|&conn| assert!(hub.join(conn, "room").is_ok()));
                    }
                    "publish" => drop(hub.publish("room", &text)),
                    "pause" => all.iter().for_each(|&conn| hub.pause(conn)),
                    "resume" => all.iter().for_each(|&conn| hub.resume(conn)),
                    _ => hub.wake(Timer::named("again"), Duration::ZERO),
                }
            }
            _ => {}
        }
        if !matches!(event, Event::Note(_) | Event::Timer(_)) {
            self.log.on(hub, event);
        }
    }
}

fn small_marks() -> Config {
    let mut config = lines().unlimited();
    config.outbound.marks = Marks::new(10, 50, 100).expect("in order");
    config
}

#[test]
fn a_farewell_to_a_slow_peer_is_no_reason_to_close_the_next_one() {
    let mut hub = TestHub::with_config(small_marks(), Puppet { greets: true, ..Puppet::default() });
    let slow = hub.connect();
    hub.set_writable(slow, 0);
    hub.note("send 79".into());
    hub.request(&Request::Kick { conn: slow });
    hub.fail(slow, Failure::Reset);
    let next = hub.connect();
    assert_eq!((next.index(), hub.lines(next)), (slow.index(), vec!["welcome".into()]));
    let events = hub.handler().log.events.iter().filter(|event| !event.starts_with("Stalled"));
    assert_eq!(events.collect::<Vec<_>>(), ["opened", "closed kicked", "opened"]);
}

#[test]
fn a_slow_peer_reads_its_farewell_behind_everything_else() {
    let mut hub = TestHub::with_config(small_marks(), Puppet::default());
    let slow = hub.connect();
    hub.set_writable(slow, 0);
    hub.note("send 98".into());
    hub.request(&Request::Kick { conn: slow });
    hub.set_writable(slow, usize::MAX);
    assert_eq!(hub.lines(slow)[1], "closing (kicked): an operator closed the connection");
}

#[test]
fn who_has_nothing_queued_any_more_is_not_slow_any_more() {
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
struct Verbose;

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
fn short_questions_with_long_answers_do_not_fill_the_memory() {
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
fn time_has_an_end_and_nothing_hangs_there() {
    let mut machine = Machine::new(lines(), Puppet::default());
    machine.noted(Time::START, "wake".into());
    machine.elapsed(Time::from_nanos(u64::MAX));
    machine.elapsed(Time::from_nanos(u64::MAX));
    assert_eq!(machine.deadline(), None, "what can't be reached is no deadline");
}

#[test]
fn what_was_said_before_the_end_waits_as_everything_else_does() {
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
fn half_open_peers_are_idle_too() {
    let mut config = listening("tcp://127.0.0.1:1?half_open=yes");
    config.idle = Some(secs(5));
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    hub.end(peer);
    hub.advance(secs(6));
    assert_eq!(hub.ended(Reason::Idle), 1);
}

#[test]
fn what_a_shell_reads_against_the_intent_is_bounded() {
    let mut machine = Machine::new(lines().unlimited(), Puppet::default());
    let id = machine.accepted(Time::START, ListenerId(0), drupe_core::Peer::Local).expect("room");
    machine.noted(Time::START, "pause".into());
    (0..20).for_each(|_| machine.received(Time::START, id, &mut vec![b'x'; 65_536]));
    assert_eq!(machine.metrics().ended.get(Reason::RateLimited), 1);
}

#[test]
fn nothing_is_dialled_while_draining() {
    let mut hub = TestHub::with_config(lines(), Puppet::default());
    hub.request(&Request::Drain);
    assert!(hub.machine().dials().next().is_none());
    assert_eq!(hub.dialed(DialId(0), drupe_core::Peer::Local), None);
    assert!(hub.machine().is_drained());
}

#[test]
fn a_handler_sees_the_gauges() {
    struct Looking(Vec<u64>);
    impl Handler for Looking {
        type Context = ();
        type Note = String;
        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
            if event != Event::Started {
                self.0.push(hub.metrics().open);
            }
        }
    }
    let mut hub = TestHub::with_config(lines(), Looking(Vec::new()));
    let first = hub.connect();
    hub.connect();
    hub.end(first);
    assert_eq!(hub.handler().0, [1, 2, 1]);
}

#[test]
fn a_replay_follows_a_run_whose_turns_were_full() {
    let trace = SharedTrace::new();
    let config = Config { seed: Some(7), ..lines().unlimited() };
    let mut machine = Machine::new(config.clone(), Verbose);
    machine.record(trace.recorder());
    let id = machine.accepted(Time::START, ListenerId(0), drupe_core::Peer::Local).expect("room");
    let mut written = 0;
    for n in 0..20 {
        let now = Time::from_millis(n);
        if machine.intent(id).is_some_and(|intent| intent.read) {
            machine.received(now, id, &mut b"?\n?\n?\n?\n?\n".repeat(4));
        }
        machine.elapsed(now);
        while let Some(id) = machine.next_changed() {
            let bytes = machine.intent(id).map_or(0, |intent| intent.transmit.len());
            machine.wrote(now, id, bytes);
            written += bytes;
        }
        machine.turn_ended(now);
    }
    assert!(written > 10 * (256 << 10), "{written} bytes do not fill turns");
    assert_eq!(drupe_core::trace::seed(&trace.text()), Some(7));
    let transcript = replay(&trace.text(), &mut Machine::new(config, Verbose)).expect("well formed");
    assert_eq!(transcript.written[&id].len(), written);
}

#[test]
fn a_short_write_is_not_slow_until_the_socket_is_full() {
    let mut machine = Machine::new(small_marks(), Puppet::default());
    let id = machine.accepted(Time::START, ListenerId(0), drupe_core::Peer::Local).expect("room");
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
fn a_listener_that_fails_again_and_again_rests() {
    let mut machine = Machine::new(lines(), Echo);
    let fail =
        |machine: &mut Machine<Echo>| machine.accept_failed(Time::START, ListenerId(0), AcceptFailure::Transient);
    (0..15).for_each(|_| fail(&mut machine));
    assert_eq!(machine.accepting(ListenerId(0)), Accepting::Now);
    fail(&mut machine);
    assert_eq!(machine.accepting(ListenerId(0)), Accepting::Later);
    assert!(machine.accepted(Time::START, ListenerId(0), drupe_core::Peer::Local).is_ok());
}

#[test]
fn a_long_message_in_pieces_is_dropped_as_a_whole() {
    let mut config = lines();
    config.rates.bytes = Rate::new(1000, 1000).ok();
    config.rates.ladder = Ladder { warn: None, pause: None, drop: Some(1), ..Ladder::default() };
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    (0..20).for_each(|_| hub.send(peer, &[b'x'; 500]));
    hub.send(peer, b"\nshort\n");
    let told = "warning: too many messages or bytes; excess messages are discarded";
    assert_eq!((hub.lines(peer), hub.machine().metrics().rate_dropped), (vec![told.into()], 2));
    hub.advance(secs(10));
    hub.line(peer, "later");
    assert_eq!(hub.lines(peer), [told, "later"]);
}

#[test]
fn one_large_read_is_bounded_too() {
    let mut config = lines().unlimited();
    config.budget.messages_per_turn = 1;
    let mut machine = Machine::new(config, Echo);
    let id = machine.accepted(Time::START, ListenerId(0), drupe_core::Peer::Local).expect("room");
    machine.received(Time::START, id, &mut b"x\n".repeat(25_000_000));
    assert_eq!(machine.metrics().ended.get(Reason::RateLimited), 1);
}

#[test]
fn only_recipients_are_counted_whose_wire_is_too_narrow() {
    let config = listening("length://127.0.0.1:1?prefix=u8");
    let mut hub = TestHub::with_config(config, Relay::new(drupe_core::app::Envelope::Json));
    let (ann, _bob) = (hub.connect(), hub.connect());
    hub.send(ann, &[&[250][..], &[b'x'; 250]].concat());
    assert_eq!(hub.machine().metrics().messages_unsendable, 1);
}

#[test]
fn the_server_says_that_it_has_begun() {
    struct Eager;
    impl Handler for Eager {
        type Context = ();
        type Note = String;
        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
            if event == Event::Started {
                hub.dial(Dial::lines("192.0.2.1:1"));
            }
        }
    }
    assert_eq!(TestHub::with_config(lines(), Eager).machine().dials().count(), 1);
}

/// Hangs up as soon as somebody answers, and dials again, with no time at all, when nobody does.
struct Fickle;

impl Handler for Fickle {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Opened { origin: Origin::Dial(dial), .. } => hub.hang_up(dial),
            Event::Started | Event::DialFailed { .. } => {
                hub.dial(Dial { timeout: Duration::ZERO, ..Dial::lines("192.0.2.1:1") });
            }
            _ => {}
        }
    }
}

#[test]
fn a_dial_can_be_hung_up_while_it_opens() {
    let mut hub = TestHub::with_config(lines(), Fickle);
    let (dial, _) = hub.machine().dials().next().expect("wanted");
    let conn = hub.dialed(dial, drupe_core::Peer::Local).expect("wanted");
    assert!(hub.is_closed(conn));
    assert_eq!(hub.ended(Reason::Application), 1);
}

#[test]
fn a_dial_without_time_fails_and_time_goes_on() {
    let mut hub = TestHub::with_config(lines(), Fickle);
    hub.advance(Duration::from_nanos(100));
    assert_eq!(hub.machine().metrics().dial_errors, 100);
}
