//! Input: malformed data, message sizes, and fairness between connections.

use super::timing::Alarm;
use super::{Puppet, lines, listening, secs};
use drupe_core::app::Echo;
use drupe_core::limit::{Ladder, MessageSize, Rate};
use drupe_core::testing::TestHub;
use drupe_core::{Event, Handler, Hub, ListenerId, Machine, Reason, Time, Why};

#[test]
fn bad_input_closes_with_its_reason_and_a_notice() {
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
fn nul_bytes_are_served_as_data() {
    let mut hub = TestHub::with_config(lines(), Echo);
    let peer = hub.connect();
    hub.send(peer, b"\0a\0\n");
    assert_eq!(hub.received(peer), b"\0a\0\n");
}

#[test]
fn one_byte_per_second_does_not_extend_message_deadline() {
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
fn flood_of_empty_lines_does_not_starve_another_peer() {
    let mut machine = Machine::new(lines().unlimited(), Echo);
    let peer = |n: u16| std::net::SocketAddr::from(([127, 0, 0, 1], n)).into();
    let flood = machine.accepted(Time::START, ListenerId::new(0), peer(1)).expect("room for two");
    let other = machine.accepted(Time::START, ListenerId::new(0), peer(2)).expect("room for two");
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
fn unterminated_last_line_is_delivered_and_answered() {
    let mut hub = TestHub::with_config(lines(), Echo);
    let peer = hub.connect();
    hub.send(peer, b"one\ntwo");
    hub.end(peer);
    assert_eq!(hub.received(peer), b"one\ntwo\n");
    assert!(hub.is_closed(peer));
    assert_eq!(hub.ended(Reason::PeerClosed), 1);
}

#[test]
fn paused_connection_is_not_read_and_keeps_order() {
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
fn configured_message_size_limit_is_enforced() {
    let mut config = lines();
    config.peer.budget.message_max_bytes = MessageSize::new(5).expect("in range");
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    hub.line(peer, "12345");
    assert_eq!(hub.lines(peer), ["12345"]);
    hub.line(peer, "123456");
    assert_eq!(hub.ended(Reason::MessageTooLarge), 1);
}

#[test]
fn input_read_against_the_intent_is_bounded() {
    let mut machine = Machine::new(lines().unlimited(), Puppet::default());
    let id = machine.accepted(Time::START, ListenerId::new(0), drupe_core::Peer::Local).expect("room");
    machine.noted(Time::START, "pause".into());
    (0..20).for_each(|_| machine.received(Time::START, id, &mut vec![b'x'; 65_536]));
    assert_eq!(machine.metrics().ended.get(Reason::RateLimited), 1);
}

#[test]
fn ladder_drops_a_fragmented_message_as_a_whole() {
    let mut config = lines();
    config.peer.rates.bytes = Rate::new(1000, 1000).ok();
    config.peer.rates.ladder = Ladder::default().warn(None).pause(None).drop(Some(1));
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
fn backlog_of_one_large_read_is_bounded() {
    let mut config = lines().unlimited();
    config.peer.budget.messages_per_turn = 1;
    let mut machine = Machine::new(config, Echo);
    let id = machine.accepted(Time::START, ListenerId::new(0), drupe_core::Peer::Local).expect("room");
    machine.received(Time::START, id, &mut b"x\n".repeat(25_000_000));
    assert_eq!(machine.metrics().ended.get(Reason::RateLimited), 1);
}

#[test]
fn handler_reads_current_gauges() {
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
