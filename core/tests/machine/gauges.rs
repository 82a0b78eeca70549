//! Gauges count only what exists: nothing that is over, closing or expired.

#![allow(clippy::expect_used, missing_docs, reason = "a test fails where its assumption does")]

use drupe_core::limit::QuarantineLimits;
use drupe_core::outbound::Marks;
use drupe_core::websocket::{Opcode, frame};
use drupe_core::{
    AcceptFailure, Command, Config, ConnId, Event, Failure, Handler, Hub, ListenerId, Machine, Time, Why,
};
use std::net::SocketAddr;
use std::time::Duration;

/// Joins everybody to the room `r`, and publishes there what comes as a note; who says `leave` leaves it.
struct Room;

impl Handler for Room {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Opened { conn, .. } => drop(hub.join(conn, "r")),
            Event::Message { conn, payload } if payload.as_str() == Some("leave") => drop(hub.leave(conn, "r")),
            Event::Note(text) => drop(hub.publish("r", &text)),
            _ => {}
        }
    }
}

fn machine(config: Config) -> Machine<Room> {
    let mut machine = Machine::new(config, Room);
    machine.started(Time::START);
    machine
}

fn listening(address: &str) -> Config {
    Config::listening([address.parse().expect("an address")])
}

fn accept(machine: &mut Machine<Room>) -> ConnId {
    let peer = SocketAddr::from(([192, 0, 2, 1], 1)).into();
    machine.accepted(machine.now(), ListenerId::new(0), peer).expect("let in")
}

fn take(machine: &mut Machine<Room>, conn: ConnId) {
    let bytes = machine.intent(conn).map_or(0, |intent| intent.transmit.len());
    machine.wrote(machine.now(), conn, bytes);
}

#[test]
fn only_open_connections_count_as_stalled() {
    let mut config = listening("tcp://127.0.0.1:1");
    config.outbound.marks = Marks::new(10, 20, 4000).expect("in order");
    let mut machine = machine(config);
    let conn = accept(&mut machine);
    machine.noted(Time::START, "x".repeat(30));
    machine.blocked(Time::START, conn);
    assert_eq!(machine.metrics().stalled, 1);
    machine.command(Time::START, &Command::Kick { conn });
    let metrics = machine.metrics();
    assert_eq!((metrics.open, metrics.closing, metrics.stalled), (0, 1, 0));
    assert_eq!(machine.recount(), Ok(()));
}

#[test]
fn blocked_http_request_does_not_count_as_stalled() {
    let mut config = listening("ws://127.0.0.1:1");
    config.outbound.marks = Marks::new(10, 20, 4000).expect("in order");
    let mut machine = machine(config);
    let conn = accept(&mut machine);
    machine.received(Time::START, conn, &mut b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(2));
    machine.blocked(Time::START, conn);
    let metrics = machine.metrics();
    assert_eq!((metrics.undecided, metrics.http_connections, metrics.stalled), (1, 1, 0));
}

#[test]
fn removed_listener_does_not_count_as_paused() {
    let mut machine = machine(listening("tcp://127.0.0.1:1"));
    machine.accept_failed(Time::START, ListenerId::new(0), AcceptFailure::Exhausted);
    assert_eq!(machine.metrics().accept_paused, 1);
    machine.reconfigured(Time::START, listening("tcp://127.0.0.1:2"));
    assert_eq!(machine.metrics().accept_paused, 0);
    // Nor when what was on its way comes late.
    machine.accept_failed(Time::START, ListenerId::new(0), AcceptFailure::Exhausted);
    assert_eq!(machine.metrics().accept_paused, 0);
    assert!(machine.deadline().is_none_or(|deadline| deadline.why != Why::Accept));
}

#[test]
fn bytes_of_a_closed_connection_are_not_counted() {
    let mut machine = machine(listening("tcp://127.0.0.1:1"));
    let conn = accept(&mut machine);
    machine.received(Time::START, conn, &mut b"hello\n".to_vec());
    machine.failed(Time::START, conn, Failure::Reset);
    machine.received(Time::START, conn, &mut b"hello\n".to_vec());
    machine.wrote(Time::START, conn, 9);
    assert_eq!((machine.metrics().bytes_in, machine.metrics().bytes_out), (6, 0));
}

#[test]
fn quarantined_gauge_falls_when_cool_down_ends() {
    let mut config = listening("tcp://127.0.0.1:1");
    config.quarantine = QuarantineLimits::default().cool_down(Duration::from_secs(10)).addresses_max(100);
    let mut machine = machine(config);
    for address in [[192, 0, 2, 1], [192, 0, 2, 2]] {
        machine.command(Time::START, &Command::Quarantine { address: address.into() });
    }
    assert_eq!(machine.metrics().quarantined, 2);
    machine.elapsed(Time::from_secs(9));
    assert_eq!(machine.metrics().quarantined, 2);
    // Whatever tells the time, even without a deadline for it.
    machine.noted(Time::from_secs(10), "a note".into());
    assert_eq!(machine.metrics().quarantined, 0);
    assert_eq!(machine.recount(), Ok(()));
}

#[test]
fn room_compresses_only_for_encodings_of_its_members() {
    let mut machine = machine(listening("ws://127.0.0.1:1"));
    let upgraded = |machine: &mut Machine<Room>, bits: u8| {
        let conn = accept(machine);
        let request = format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={bits}\r\n\r\n"
        );
        machine.received(Time::START, conn, &mut request.into_bytes());
        take(machine, conn);
        conn
    };
    let stays = upgraded(&mut machine, 15);
    let passers: Vec<_> = (12..15).map(|bits| upgraded(&mut machine, bits)).collect();
    let publish = |machine: &mut Machine<Room>| {
        let before = machine.metrics().compressed;
        machine.noted(Time::START, "word ".repeat(100));
        machine.metrics().compressed - before
    };
    assert_eq!(publish(&mut machine), 4, "each window is an encoding of its own");
    for &conn in &passers {
        let mut leave = Vec::new();
        frame(Opcode::Text, b"leave", Some([1, 2, 3, 4]), &mut leave);
        machine.received(Time::START, conn, &mut leave);
    }
    assert_eq!(publish(&mut machine), 1);
    assert!(machine.intent(stays).is_some_and(|intent| !intent.transmit.is_empty()));
    assert_eq!(machine.recount(), Ok(()));
}

/// Publishes what somebody says to all others in the room.
struct Others;

impl Handler for Others {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Opened { conn, .. } => drop(hub.join(conn, "r")),
            Event::Message { conn, payload } => drop(hub.publish_except("r", &[conn], payload)),
            _ => {}
        }
    }
}

#[test]
fn publish_without_recipients_compresses_nothing() {
    let mut machine = Machine::new(listening("ws://127.0.0.1:1"), Others);
    machine.started(Time::START);
    let peer = SocketAddr::from(([192, 0, 2, 1], 1)).into();
    let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
    let mut bytes = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        .to_vec();
    frame(Opcode::Text, "word ".repeat(100).as_bytes(), Some([1, 2, 3, 4]), &mut bytes);
    machine.received(Time::START, conn, &mut bytes);
    assert_eq!((machine.metrics().messages_in, machine.metrics().compressed), (1, 0));
}
