//! Rates, the penalty ladder, and connection limits.

use super::{Puppet, lines, listening, secs};
use drupe_core::app::Echo;
use drupe_core::limit::{Ladder, Rate};
use drupe_core::outbound::Marks;
use drupe_core::testing::TestHub;
use drupe_core::{ListenerId, Reason};

#[test]
fn fast_peer_is_warned_once_and_slowed_without_loss() {
    let mut config = lines();
    config.peer.rates.messages = Rate::new(10, 5).ok();
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
fn byte_rate_limit_applies_to_partial_messages() {
    let mut config = lines();
    config.peer.rates.bytes = Rate::new(1000, 1000).ok();
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
fn each_ladder_step_applies_its_penalty() {
    let at = |ladder: Ladder| {
        let mut config = lines();
        config.peer.rates.messages = Rate::new(1, 1).ok();
        config.peer.rates.ladder = ladder;
        let mut hub = TestHub::with_config(config, Echo);
        let peer = hub.connect();
        (0..4).for_each(|n| hub.line(peer, &n.to_string()));
        let address = hub.peer(peer);
        let again = hub.try_connect(ListenerId::new(0), address).map(drop).map_err(|refusal| refusal.reason);
        (hub.lines(peer).join("|"), again)
    };
    let off = Ladder::default().warn(None).pause(None);
    let warning = "warning: too many messages or bytes; ";
    assert_eq!(at(off), ("0|1|2|3".into(), Ok(())));
    assert_eq!(at(off.warn(Some(2))), (format!("0|1|{warning}please slow down|2|3"), Ok(())));
    assert_eq!(at(off.pause(Some(2))), ("0|1|2".into(), Ok(())));
    assert_eq!(at(off.drop(Some(2))), (format!("0|1|{warning}excess messages are discarded"), Ok(())));
    let closing = |reason: Reason| format!("closing ({reason}): {}", reason.sentence());
    assert_eq!(at(off.close(Some(2))), (format!("0|1|{}", closing(Reason::RateLimited)), Ok(())));
    assert_eq!(at(off.quarantine(Some(1))), (format!("0|{}", closing(Reason::Quarantined)), Err(Reason::Quarantined)));
}

#[test]
fn refused_peer_gets_a_reason_and_a_close_frees_its_place() {
    let mut config = listening("tcp://127.0.0.1:1?max=2");
    config.connections.per_address = 1;
    let mut hub = TestHub::with_config(config, Echo);
    let from = |text: &str| text.parse().expect(text);
    let first = hub.try_connect(ListenerId::new(0), from("192.0.2.1:1")).expect("room");
    let refused = hub.try_connect(ListenerId::new(0), from("192.0.2.1:2")).expect_err("one from an address");
    assert_eq!(refused.reason, Reason::AddressFull);
    assert_eq!(refused.farewell, b"closing (address_full): this address has too many connections\n");
    hub.try_connect(ListenerId::new(0), from("192.0.2.2:1")).expect("room");
    assert_eq!(
        hub.try_connect(ListenerId::new(0), from("192.0.2.3:1")).expect_err("two in all").reason,
        Reason::ListenerFull
    );
    hub.end(first);
    assert!(hub.try_connect(ListenerId::new(0), from("192.0.2.1:3")).is_ok());
    assert_eq!(hub.machine().metrics().refused.total(), 2);
}

#[test]
fn message_whose_warning_closes_a_slow_peer_is_not_served() {
    let mut config = lines();
    config.peer.rates.messages = Rate::new(1, 1).ok();
    config.outbound.marks = Marks::new(1, 40, 40).expect("in order");
    let mut hub = TestHub::with_config(config, Puppet::default());
    let (slow, other) = (hub.connect(), hub.connect());
    hub.set_writable(slow, 0);
    hub.note("send 1".into());
    hub.send(slow, b"one\ntwo\nthree\n");
    assert_eq!(hub.ended(Reason::SlowConsumer), 1);
    let events = &hub.handler().log.events;
    let messages: Vec<_> = events.iter().filter(|event| event.starts_with("message")).collect();
    assert_eq!(messages, ["message \"one\""]);
    assert!(!hub.is_closed(other));
}
