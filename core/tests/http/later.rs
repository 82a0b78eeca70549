//! Responses of the application that come after the event of the request.

use crate::requests_world::{Answer, Site, codes, config, site, text};
use drupe_core::app::Apps;
use drupe_core::http::{Http, HttpResponse, RespondError};
use drupe_core::testing::TestHub;
use drupe_core::{
    Command, ConnId, Event, Failure, Handler, Hub, ListenerId, Machine, NoNote, Peer, Reason, RequestTicket, Time, Why,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LATER: &str = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
const ECHO: &str = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";

/// A client whose request waits, and its ticket.
fn waiting(stream: &str) -> (TestHub<Site>, ConnId, RequestTicket) {
    let mut hub = site();
    let conn = hub.connect();
    hub.send(conn, stream.as_bytes());
    let ticket = hub.handler().tickets[0];
    (hub, conn, ticket)
}

fn answer(hub: &mut TestHub<Site>, ticket: RequestTicket, words: &str) -> Result<(), RespondError> {
    hub.note(Answer(ticket, HttpResponse::text(words)));
    *hub.handler().outcomes.last().expect("it was tried")
}

fn reads(hub: &TestHub<Site>, conn: ConnId) -> bool {
    hub.machine().intent(conn).expect("it is there").read
}

#[test]
fn later_responses_keep_the_order_of_requests() {
    let post = "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    for piece in [1, 1_000] {
        let mut hub = site();
        let conn = hub.connect();
        let stream = [post, ECHO, LATER, ECHO].concat();
        stream.as_bytes().chunks(piece).for_each(|piece| hub.send(conn, piece));
        for (count, words) in [(1, "first"), (2, "second")] {
            hub.advance(Duration::from_secs(20));
            assert_eq!(hub.handler().tickets.len(), count, "what follows waits");
            let ticket = hub.handler().tickets[count - 1];
            assert_eq!(ticket.conn(), conn);
            assert_eq!(answer(&mut hub, ticket, words), Ok(()));
            assert_eq!(answer(&mut hub, ticket, "again"), Err(RespondError::NoTicket));
            hub.advance(Duration::from_millis(1));
        }
        let seen = &hub.handler().seen;
        assert_eq!(seen[..], ["POST /later abc", "GET /echo", "GET /later", "GET /echo"]);
        let received = text(&hub, conn);
        assert_eq!(codes(&received), ["200"; 4]);
        assert!(received.find("first") < received.find("second"), "{received}");
        assert!(!hub.is_closed(conn) && hub.machine().metrics().requests_page == 4);
    }
}

#[test]
fn response_to_a_head_request_has_no_body_and_1_0_closes() {
    let (mut hub, conn, ticket) = waiting("HEAD /later HTTP/1.0\r\n\r\n");
    assert_eq!(answer(&mut hub, ticket, "words"), Ok(()));
    let received = text(&hub, conn);
    assert!(received.contains("\r\nContent-Length: 5\r\n") && received.ends_with("\r\n\r\n"), "{received}");
    hub.end(conn);
    assert!(hub.is_closed(conn) && hub.ended(Reason::Answered) == 1);
}

#[test]
fn promise_can_be_kept_during_the_same_event() {
    let mut hub = site();
    let conn = hub.connect();
    hub.send(conn, [&ECHO.replace("echo", "both"), ECHO].concat().as_bytes());
    let none = Err(RespondError::NoRequest);
    assert_eq!(hub.handler().outcomes, [none, none, Ok(()), Ok(())]);
    assert_eq!(codes(&text(&hub, conn)), ["200", "200"]);
    assert!(text(&hub, conn).contains("at once"));
}

#[test]
fn response_that_cannot_be_sent_leaves_the_ticket_valid() {
    let (mut hub, conn, ticket) = waiting(LATER);
    hub.note(Answer(ticket, HttpResponse::text("x").status(304)));
    assert_eq!(hub.handler().outcomes, [Err(RespondError::Status(304))]);
    let text_of_ticket = ticket.to_string();
    assert_eq!(answer(&mut hub, text_of_ticket.parse().expect("a ticket"), "good"), Ok(()));
    assert_eq!(codes(&text(&hub, conn)), ["200"]);
    let unknown = text_of_ticket.replace("#1", "#2").parse().expect("a ticket");
    hub.send(conn, LATER.replace("later", "none").as_bytes());
    assert_eq!(answer(&mut hub, unknown, "x"), Err(RespondError::NoTicket));
}

#[test]
fn request_without_a_response_expires_with_503() {
    let (mut hub, conn, ticket) = waiting(&[LATER, ECHO].concat());
    assert_eq!(RequestTicket::LIFETIME, Duration::from_secs(30));
    hub.advance(Duration::from_millis(29_999));
    assert_eq!(text(&hub, conn), "");
    hub.advance(Duration::from_millis(2));
    let why = "the application did not respond in time";
    let seen = &hub.handler().seen;
    assert_eq!(seen[..], ["GET /later", &format!("503 {why}"), &format!("expired {ticket}"), "GET /echo"]);
    let received = text(&hub, conn);
    assert!(codes(&received) == ["503", "200"] && received.contains(why), "{received}");
    assert_eq!(hub.machine().metrics().requests_refused.get(Reason::ResponseTimeout), 1);
    assert_eq!(answer(&mut hub, ticket, "late"), Err(RespondError::NoTicket));
    assert!(!hub.is_closed(conn));
}

#[test]
fn pause_of_the_server_does_not_count() {
    let mut machine = Machine::new(config(Http::default()), Site::default());
    machine.started(Time::START);
    let conn = machine.accepted(Time::START, ListenerId::new(0), Peer::Local).expect("let in");
    machine.received(Time::START, conn, &mut LATER.as_bytes().to_vec());
    machine.elapsed(machine.deadline().expect("the time limit of a request is over").at);
    let deadline = machine.deadline().expect("it expires");
    assert_eq!((deadline.at, deadline.why), (Time::from_secs(30), Why::Ticket));
    for (secs, seen) in [(100, 1), (102, 3)] {
        machine.elapsed(Time::from_secs(secs));
        assert_eq!(machine.handler().seen.len(), seen, "after {secs} s");
    }
}

#[test]
fn broken_connection_expires_its_ticket_at_once() {
    let (mut hub, conn, ticket) = waiting(LATER);
    assert!(reads(&hub, conn), "the end of the connection is noticed");
    hub.fail(conn, Failure::Reset);
    assert_eq!(hub.handler().seen, ["GET /later", &format!("expired {ticket}")]);
    assert_eq!(answer(&mut hub, ticket, "late"), Err(RespondError::NoTicket));
    assert!(hub.is_closed(conn));
    hub.advance(Duration::from_secs(60));
    assert_eq!(hub.handler().seen.len(), 2, "once");
    // The next connection in its place is another one.
    let next = hub.connect();
    hub.send(next, LATER.as_bytes());
    assert_eq!(answer(&mut hub, ticket, "late"), Err(RespondError::NoTicket));
    assert_eq!(text(&hub, next), "");
}

#[test]
fn client_that_ended_its_half_gets_the_response() {
    let (mut hub, conn, ticket) = waiting(LATER);
    hub.end(conn);
    assert!(!hub.is_closed(conn));
    assert_eq!(answer(&mut hub, ticket, "still"), Ok(()));
    hub.advance(Duration::from_millis(1));
    assert!(text(&hub, conn).ends_with("still") && hub.is_closed(conn));
    assert_eq!(hub.ended(Reason::PeerClosed), 1);
    let (mut hub, conn, _) = waiting(LATER);
    hub.end(conn);
    hub.advance(Duration::from_secs(31));
    assert!(codes(&text(&hub, conn)) == ["503"] && hub.is_closed(conn));
}

#[test]
fn reading_pauses_while_a_response_is_awaited() {
    let (mut hub, conn, ticket) = waiting(LATER);
    hub.send(conn, &ECHO.as_bytes()[..10]);
    assert!(!reads(&hub, conn), "something is held");
    assert_eq!(answer(&mut hub, ticket, "x"), Ok(()));
    hub.advance(Duration::from_millis(1));
    assert!(reads(&hub, conn));
    hub.send(conn, &ECHO.as_bytes()[10..]);
    assert_eq!(codes(&text(&hub, conn)), ["200", "200"]);
    // A shell that reads although it should not holds a bounded number of bytes.
    let (mut hub, conn, ticket) = waiting(LATER);
    (0..20).for_each(|_| hub.send(conn, &vec![b'x'; 100_000]));
    assert!(hub.ended(Reason::RateLimited) == 1 && hub.handler().seen.contains(&format!("expired {ticket}")));
}

#[test]
fn drain_waits_for_the_response_and_closes_the_connection() {
    let (mut hub, conn, ticket) = waiting(&[LATER, ECHO].concat());
    hub.command(&Command::Drain);
    hub.advance(Duration::from_secs(5));
    assert_eq!(text(&hub, conn), "");
    assert_eq!(answer(&mut hub, ticket, "last"), Ok(()));
    let received = text(&hub, conn);
    assert!(received.contains("\r\nConnection: close\r\n") && received.ends_with("last"), "{received}");
    hub.end(conn);
    assert!(hub.machine().is_drained() && hub.ended(Reason::Answered) == 1);
    assert_eq!(hub.machine().metrics().drain_unfinished, 0);
}

#[test]
fn drain_expires_requests_before_its_deadline() {
    let (mut hub, conn, ticket) = waiting(LATER);
    let mut config = hub.machine().config().clone();
    config.drain.deadline = Duration::from_secs(8);
    hub.reconfigure(config);
    hub.command(&Command::Drain);
    hub.advance(Duration::from_secs(8));
    let received = text(&hub, conn);
    assert!(codes(&received) == ["503"] && received.contains("\r\nConnection: close\r\n"), "{received}");
    assert!(hub.handler().seen.contains(&format!("expired {ticket}")));
    assert_eq!(hub.machine().metrics().drain_unfinished, 1);
    hub.advance(Duration::from_secs(8));
    assert!(hub.machine().is_drained());
}

#[test]
fn drain_lets_a_body_arrive() {
    let mut hub = site();
    let conn = hub.connect();
    hub.send(conn, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
    hub.command(&Command::Drain);
    hub.advance(Duration::from_secs(3));
    hub.send(conn, b"cd");
    let received = text(&hub, conn);
    assert!(received.contains("\r\nConnection: close\r\n") && received.ends_with("abcd"), "{received}");
}

#[test]
fn slow_reader_gets_later_responses_in_order() {
    let (mut hub, conn, ticket) = waiting(&[LATER, ECHO, ECHO].concat());
    hub.set_writable(conn, 10);
    assert_eq!(answer(&mut hub, ticket, &"x".repeat(1_000)), Ok(()));
    hub.advance(Duration::from_millis(1));
    hub.set_writable(conn, usize::MAX);
    hub.advance(Duration::from_millis(1));
    assert_eq!(codes(&text(&hub, conn)), ["200", "200", "200"]);
}

/// Promises responses, and shares what it is told.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<String>>>);

impl Handler for Shared {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        let told = match event {
            Event::Request { .. } => hub.respond_later().expect("a request").to_string(),
            Event::RequestExpired { ticket, .. } => format!("expired {ticket}"),
            _ => return,
        };
        self.0.lock().expect("no panic").push(told);
    }
}

#[test]
fn expired_request_is_told_to_the_application_of_its_listener() {
    let mut config = config(Http::default());
    config.listeners[0].app = "second".into();
    let (first, second) = (Shared::default(), Shared::default());
    let apps = Apps::new().with("first", first.clone()).with("second", second.clone());
    let mut hub = TestHub::with_config(config, apps);
    let conn = hub.connect();
    hub.send(conn, LATER.as_bytes());
    hub.fail(conn, Failure::Reset);
    let told = second.0.lock().expect("no panic").clone();
    assert_eq!(told[1..], [format!("expired {}", told[0])]);
    assert!(first.0.lock().expect("no panic").is_empty());
}
