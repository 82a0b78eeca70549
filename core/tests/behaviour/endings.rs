//! Half-open connections, the last event of a connection, and drains.

use super::{Log, Puppet, lines, listening, secs};
use drupe_core::app::{Echo, Relay};
use drupe_core::testing::TestHub;
use drupe_core::{Accepting, Command, DialId, Failure, ListenerId, Reason};
use std::time::Duration;

#[test]
fn half_open_connection_keeps_receiving_messages() {
    let mut hub = TestHub::with_config(listening("tcp://127.0.0.1:1?half_open=yes"), Relay::default());
    let (deaf, other) = (hub.connect(), hub.connect());
    hub.end(deaf);
    hub.line(other, "still there?");
    assert_eq!(hub.lines(deaf), ["still there?"]);
    assert!(!hub.is_closed(deaf));
}

#[test]
fn handler_receives_closed_once_and_last() {
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
fn drain_notifies_peers_and_spreads_their_closes() {
    let mut hub = TestHub::with_config(lines(), Log::default());
    let peers: Vec<_> = (0..100).map(|_| hub.connect()).collect();
    hub.command(&Command::Drain);
    assert_eq!(hub.machine().accepting(ListenerId::new(0)), Accepting::Never);
    let refusal =
        hub.try_connect(ListenerId::new(0), "127.0.0.1:9".parse().expect("an address")).expect_err("draining");
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
fn drain_ends_at_its_deadline_or_at_a_second_drain() {
    let mut hub = TestHub::with_config(lines(), Echo);
    let stuck = hub.connect();
    hub.set_writable(stuck, 0);
    hub.command(&Command::Drain);
    hub.advance(secs(4));
    assert!(!hub.machine().is_drained());
    hub.advance(secs(6));
    assert!(hub.machine().is_drained());

    let mut config = lines();
    config.drain.closes_per_second = 1;
    let mut hub = TestHub::with_config(config, Echo);
    let _ten: Vec<_> = (0..10).map(|_| hub.connect()).collect();
    hub.command(&Command::Drain);
    hub.command(&Command::Drain);
    hub.advance(Duration::from_nanos(1));
    assert!(hub.machine().is_drained());
}

#[test]
fn machine_does_not_dial_while_draining() {
    let mut hub = TestHub::with_config(lines(), Puppet::default());
    hub.command(&Command::Drain);
    assert!(hub.machine().dials().next().is_none());
    assert_eq!(hub.dialed(DialId::new(0), drupe_core::Peer::Local), None);
    assert!(hub.machine().is_drained());
}
