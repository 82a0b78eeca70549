//! Listeners and dials: failures, retries, exhausted descriptors.

use super::{Log, lines, secs};
use drupe_core::app::Echo;
use drupe_core::testing::TestHub;
use drupe_core::{
    AcceptFailure, Accepting, Backoff, Dial, DialId, Event, Failure, Handler, Hub, ListenerId, Machine, Origin, Peer,
    Reason, Time, Why,
};
use std::time::Duration;

#[test]
fn listener_pauses_when_descriptors_run_out() {
    let mut machine = Machine::new(lines(), Echo);
    machine.accept_failed(Time::START, ListenerId::new(0), AcceptFailure::Transient);
    assert_eq!(machine.accepting(ListenerId::new(0)), Accepting::Now);
    machine.accept_failed(Time::START, ListenerId::new(0), AcceptFailure::Exhausted);
    assert_eq!((machine.accepting(ListenerId::new(0)), machine.metrics().accept_paused), (Accepting::Later, 1));
    let deadline = machine.deadline().expect("it must be looked at again");
    assert_eq!(deadline.why, Why::Accept);
    machine.elapsed(deadline.at);
    assert_eq!((machine.accepting(ListenerId::new(0)), machine.metrics().accept_paused), (Accepting::Now, 0));
}

#[test]
fn listener_pauses_after_repeated_failures() {
    let mut machine = Machine::new(lines(), Echo);
    let fail =
        |machine: &mut Machine<Echo>| machine.accept_failed(Time::START, ListenerId::new(0), AcceptFailure::Transient);
    (0..15).for_each(|_| fail(&mut machine));
    assert_eq!(machine.accepting(ListenerId::new(0)), Accepting::Now);
    fail(&mut machine);
    assert_eq!(machine.accepting(ListenerId::new(0)), Accepting::Later);
    assert!(machine.accepted(Time::START, ListenerId::new(0), drupe_core::Peer::Local).is_ok());
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
                    let backoff = Some(Backoff::default().jitter_percent(0));
                    self.dial = Some(hub.dial(Dial::lines(address.clone()).backoff(backoff)));
                }
                Some(dial) => hub.cancel_dial(dial),
            }
        }
        self.log.on(hub, event);
    }
}

#[test]
fn dial_retries_until_it_is_cancelled() {
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

/// Hangs up as soon as somebody answers, and dials again, with no time at all, when nobody does.
struct Fickle;

impl Handler for Fickle {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Opened { origin: Origin::Dial(dial), .. } => hub.cancel_dial(dial),
            Event::Started | Event::DialFailed { .. } => {
                hub.dial(Dial::lines("192.0.2.1:1").timeout(Duration::ZERO));
            }
            _ => {}
        }
    }
}

#[test]
fn dial_can_be_cancelled_while_it_opens() {
    let mut hub = TestHub::with_config(lines(), Fickle);
    let (dial, _) = hub.machine().dials().next().expect("wanted");
    let conn = hub.dialed(dial, drupe_core::Peer::Local).expect("wanted");
    assert!(hub.is_closed(conn));
    assert_eq!(hub.ended(Reason::Application), 1);
}

#[test]
fn dial_without_time_fails_and_does_not_hang_the_machine() {
    let mut hub = TestHub::with_config(lines(), Fickle);
    hub.advance(Duration::from_nanos(100));
    assert_eq!(hub.machine().metrics().dial_errors, 100);
}

#[test]
fn handler_receives_started_and_may_dial() {
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

#[test]
fn dial_tries_all_addresses_before_it_waits() {
    let backoff = Backoff::default().jitter_percent(0);
    let others = vec!["b:1".to_owned(), "c:1".to_owned()];
    let dial = Dial::lines("a:1").others(others).backoff(Some(backoff));
    let mut hub = TestHub::new(Redialler { dial: Some(dial), id: None, failed: 0 });
    let id = DialId::new(0);
    let wanted = |hub: &TestHub<Redialler>| hub.machine().dials().map(|(_, address)| address.to_owned()).next();
    let mut tried = Vec::new();
    for _ in 0..2 {
        for _ in 0..3 {
            tried.extend(wanted(&hub));
            hub.dial_failed(id, Failure::Refused);
            hub.advance(Duration::from_nanos(1));
        }
        assert_eq!(wanted(&hub), None, "the backoff waits after a round");
        hub.advance(Duration::from_secs(5));
    }
    assert_eq!(tried, ["a:1", "b:1", "c:1", "a:1", "b:1", "c:1"]);
    // The connection stays with the address that worked. Then the first one is tried again.
    hub.dial_failed(id, Failure::Refused);
    hub.advance(Duration::from_nanos(1));
    let conn = hub.dialed(id, Peer::Local).expect("the second address");
    hub.end(conn);
    hub.advance(Duration::from_secs(30));
    assert_eq!(wanted(&hub).as_deref(), Some("a:1"));
    // A server announces others.
    hub.with_handler(|handler| handler.dial = None);
    assert_eq!(hub.handler().failed, 7);
    hub.note(vec!["x:1".into(), "y:1".into()]);
    hub.dial_failed(id, Failure::Refused);
    // After the wait of the backoff, and before the attempt times out.
    hub.advance(Duration::from_secs(20));
    assert_eq!(wanted(&hub).as_deref(), Some("x:1"));
}

/// Dials once, counts failures, and takes new addresses as notes.
struct Redialler {
    dial: Option<Dial>,
    id: Option<DialId>,
    failed: u32,
}

impl Handler for Redialler {
    type Context = ();
    type Note = Vec<String>;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Vec<String>>) {
        match event {
            Event::Started => self.id = self.dial.clone().map(|dial| hub.dial(dial)),
            Event::DialFailed { .. } => self.failed += 1,
            Event::Note(addresses) => {
                let id = self.id.expect("it dials");
                assert!(!hub.set_dial_addresses(id, Vec::new()) && hub.set_dial_addresses(id, addresses));
            }
            _ => {}
        }
    }
}
