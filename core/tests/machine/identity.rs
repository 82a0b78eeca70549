//! Identities, tickets, offloaded work and handler panics, in virtual time.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does, and one of them panics")]

use drupe_core::testing::TestHub;
use drupe_core::{
    Config, ConnId, Event, Handler, Hub, Identity, Listen, Reason, Ticket, TicketLimits, Timer, UnixTime,
};
use std::time::Duration;

/// Does what the first word of a line says.
#[derive(Default)]
struct Obedient {
    log: Vec<String>,
    tickets: Vec<Ticket>,
}

impl Handler for Obedient {
    type Context = ();
    type Note = Ticket;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Ticket>) {
        match event {
            Event::Message { conn, payload } => self.obey(hub, conn, payload.as_str().expect("text")),
            Event::Authenticated { conn, .. } => {
                let user = hub.identity(conn).map(|identity| identity.user.to_string());
                self.log.push(format!("is {}", user.expect("identified")));
            }
            Event::TicketExpired(ticket) => {
                assert!(!hub.redeem(ticket));
                self.log.push(format!("expired {}", ticket.conn()));
            }
            Event::Note(ticket) => self.log.push(format!("redeemed {}", hub.redeem(ticket))),
            Event::Timer(Timer { name: "boom", .. }) => panic!("a timer panics"),
            Event::Closed { conn, reason, .. } => {
                let user = hub.identity(conn).map_or("nobody".into(), |identity| identity.user.clone());
                let left = hub.connections_of(&user).len();
                self.log.push(format!("{user} ended: {reason}, {left} left"));
            }
            Event::Draining => self.log.push("draining".into()),
            _ => {}
        }
    }
}

impl Obedient {
    fn obey(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "panic" => panic!("{rest}"),
            "later" => hub.wake(Timer::of(conn, "boom"), Duration::from_secs(1)),
            "user" => drop(hub.identify(conn, Identity::user(rest))),
            "until" => {
                let expires_at = Some(UnixTime::from_secs(rest.parse().expect("a number")));
                let identity = Identity::user("ann").expires_at(expires_at);
                hub.identify(conn, identity);
            }
            "ticket" => match hub.ticket(conn, Duration::from_secs(5)) {
                Ok(ticket) => self.tickets.push(ticket),
                Err(error) => drop(hub.send(conn, &error.to_string())),
            },
            "drain" => hub.drain(),
            "end" => hub.end(conn, Reason::Forbidden),
            _ => drop(hub.send(conn, rest)),
        }
    }
}

const START: u64 = 1_800_000_000;

#[test]
fn handler_panic_closes_only_its_events_connection() {
    let mut hub = TestHub::new(Obedient::default());
    hub.catch_panics();
    let (bad, good) = (hub.connect(), hub.connect());
    hub.send(bad, b"panic now\nsay never\n");
    assert_eq!(hub.lines(bad), ["closing (handler_panicked): the application failed"]);
    assert!(hub.is_closed(bad) && !hub.is_closed(good));
    hub.line(good, "later");
    hub.advance(Duration::from_secs(2));
    assert!(hub.is_closed(good));
    let next = hub.connect();
    hub.line(next, "say hello");
    assert_eq!(hub.lines(next), ["hello"]);
    assert_eq!((hub.machine().metrics().handler_panics, hub.ended(Reason::HandlerPanicked)), (2, 2));
}

#[test]
fn authenticated_event_comes_once_per_user_change() {
    let mut hub = TestHub::new(Obedient::default());
    let (one, two) = (hub.connect(), hub.connect());
    for (conn, line) in [(one, "user ann"), (two, "user ann"), (one, "user ann"), (one, "user bob")] {
        hub.line(conn, line);
    }
    assert_eq!(hub.handler().log, ["is ann", "is ann", "is bob"]);
    hub.end(one);
    hub.end(two);
    assert_eq!(hub.handler().log[3..], ["bob ended: peer_closed, 0 left", "ann ended: peer_closed, 0 left"]);
    assert_eq!(hub.machine().metrics().authenticated, 3);
}

#[test]
fn session_expires_unless_it_is_renewed() {
    let mut hub = TestHub::new(Obedient::default());
    let (renewed, forgotten, late) = (hub.connect(), hub.connect(), hub.connect());
    hub.line(renewed, &format!("until {}", START + 10));
    hub.line(forgotten, &format!("until {}", START + 10));
    hub.line(late, &format!("until {START}"));
    assert!(hub.is_closed(late), "what has expired is not let in");
    hub.advance(Duration::from_secs(9));
    hub.line(renewed, &format!("until {}", START + 20));
    hub.advance(Duration::from_millis(1_001));
    assert_eq!((hub.is_closed(renewed), hub.is_closed(forgotten)), (false, true));
    assert_eq!(hub.ended(Reason::SessionExpired), 2);
    assert_eq!(hub.lines(forgotten), ["closing (session_expired): the session has expired"]);
    // The clock on the wall is believed, forwards and back.
    hub.set_clock(UnixTime::from_secs(START));
    hub.advance(Duration::from_secs(19));
    assert!(!hub.is_closed(renewed));
    hub.set_clock(UnixTime::from_secs(START + 20));
    hub.advance(Duration::from_nanos(1));
    assert!(hub.is_closed(renewed));
}

#[test]
fn tickets_are_limited_expire_once_and_end_with_the_close() {
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("valid")]);
    config.tickets = TicketLimits::default().per_connection(2).total(3);
    let mut hub = TestHub::with_config(config, Obedient::default());
    let (one, two) = (hub.connect(), hub.connect());
    for conn in [one, one, one, two, two] {
        hub.line(conn, "ticket");
    }
    assert_eq!(hub.lines(one), ["at most 2 requests of one connection may be in progress"]);
    assert_eq!(hub.lines(two), ["at most 3 requests of all connections may be in progress"]);
    assert_eq!(hub.machine().metrics().tickets, 3);
    let tickets = hub.handler().tickets.clone();
    hub.note(tickets[0]);
    hub.note(tickets[0]);
    hub.advance(Duration::from_secs(5));
    hub.note(tickets[1]);
    assert_eq!(
        hub.handler().log,
        [
            "redeemed true".into(),
            "redeemed false".into(),
            format!("expired {one}"),
            format!("expired {two}"),
            "redeemed false".into()
        ]
    );
    hub.line(two, "ticket");
    hub.end(two);
    assert_eq!(hub.machine().metrics().tickets, 0);
}

#[test]
fn handler_may_drain_and_choose_close_reasons() {
    let mut hub = TestHub::new(Obedient::default());
    let (one, two) = (hub.connect(), hub.connect());
    hub.line(one, "end");
    assert_eq!(hub.lines(one), ["closing (forbidden): this is not allowed"]);
    hub.line(two, "drain");
    hub.advance(Duration::from_secs(10));
    assert!(hub.is_closed(two) && hub.machine().is_drained());
    assert_eq!(hub.handler().log[1..], ["draining", "nobody ended: shutdown, 0 left"]);
}
