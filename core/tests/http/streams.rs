//! Streams of events: responses that last, to clients that only receive.

use crate::requests_world::{codes, config, send, text};
use drupe_core::history::{Keep, Position, Recovery};
use drupe_core::http::{Forwarded, ForwardedField, Http, Origins, RespondError};
use drupe_core::limit::ConnectionLimits;
use drupe_core::outbound::Marks;
use drupe_core::testing::TestHub;
use drupe_core::wire::events::{EventFormat, Events, StreamEvent};
use drupe_core::{
    Command, Config, ConnId, Event, Handler, Hub, JoinOptions, NoNote, PeerLimits, Reason, RequestTicket, RoomMemory,
    RoomOptions,
};
use std::time::Duration;

/// Lets everybody see the room `news`, and publishes there what a client sends to `/publish`.
#[derive(Default)]
pub(crate) struct News {
    tickets: Vec<Option<RequestTicket>>,
    pub(crate) seen: Vec<String>,
    recovery: Vec<Recovery>,
}

impl Handler for News {
    type Context = u32;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, u32>, event: Event<'_, NoNote>) {
        match event {
            Event::Request { request, body, .. } => {
                let format = match request.path() {
                    "/events" => EventFormat::EventSource,
                    "/lines" => EventFormat::JsonLines,
                    "/publish" => {
                        hub.publish("news", std::str::from_utf8(body).expect("text"));
                        let response = drupe_core::http::HttpResponse::no_content();
                        return hub.respond(response).expect("a request");
                    }
                    "/finish" => {
                        let all: Vec<_> = hub.connections().collect();
                        return all.into_iter().for_each(|conn| hub.finish(conn));
                    }
                    "/binary" => {
                        hub.publish("news", &[0xff]);
                        return;
                    }
                    _ => return,
                };
                let events = Events::default().format(format).ping(Some(Duration::from_secs(20)));
                self.tickets.push(hub.respond_stream(events).expect("a request"));
                assert_eq!(hub.respond_stream(events), Err(RespondError::NoRequest));
            }
            Event::Opened { conn, request, peer, .. } => {
                let request = request.expect("a stream begins with a request");
                self.seen.push(format!("opened {} for {peer}", request.path()));
                assert_eq!(hub.wire_name(conn), Some("events"));
                let since = request.field("last-event-id").and_then(|id| id.parse::<Position>().ok());
                hub.join_with(conn, "news", JoinOptions::new().since(since)).expect("few");
            }
            Event::Joined { conn, position, recovery, .. } => {
                self.recovery.push(recovery);
                let position = position.map(|position| position.to_string());
                let event = StreamEvent::new("{}").name("joined").position(position.as_deref());
                assert!(hub.send_event(conn, &event));
            }
            Event::RequestExpired { ticket, .. } => {
                assert_eq!(self.tickets.last(), Some(&Some(ticket)));
                self.seen.push("expired".into());
            }
            Event::RequestRefused { status, why, .. } => self.seen.push(format!("{status} {why}")),
            Event::Message { .. } | Event::InputEnded { .. } => panic!("a stream has no input"),
            Event::Closed { reason, .. } => self.seen.push(format!("closed: {reason:?}")),
            _ => {}
        }
    }
}

pub(crate) fn with_rooms(config: Config) -> Config {
    let memory = RoomMemory::default().rooms(vec![RoomOptions::new("news", Keep::messages(5))]);
    config.memory(memory).unlimited()
}

fn hub_with(http: Http) -> TestHub<News> {
    TestHub::with_config(with_rooms(config(http.body_max_bytes(1_000))), News::default())
}

fn hub() -> TestHub<News> {
    hub_with(Http::default())
}

pub(crate) fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

fn open(hub: &mut TestHub<News>, path: &str, fields: &str) -> ConnId {
    let conn = hub.connect();
    hub.send(conn, get(path, fields).as_bytes());
    conn
}

fn publish(hub: &mut TestHub<News>, message: &str) {
    let conn = hub.connect();
    let request = format!("POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{message}", message.len());
    hub.send(conn, request.as_bytes());
    let answer = text(hub, conn);
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(!answer.contains("Content-Length") && !answer.contains("\r\nContent-Type"), "{answer}");
    hub.end(conn);
}

/// Returns what a client got since the last look, and without the head.
fn news(hub: &mut TestHub<News>, conn: ConnId) -> String {
    let all = text(hub, conn);
    hub.clear();
    all.split_once("\r\n\r\n").map_or(all.clone(), |(_, body)| body.into())
}

/// Returns the last position in a stream.
fn last_id(stream: &str) -> String {
    let id = stream.lines().rev().find_map(|line| line.strip_prefix("id: "));
    id.expect("an event with a position").to_owned()
}

#[test]
fn stream_carries_messages_with_their_positions_in_both_formats() {
    let mut hub = hub();
    let (browser, program) = (open(&mut hub, "/events", ""), open(&mut hub, "/lines", ""));
    let head = text(&hub, browser);
    let (head, body) = head.split_once("\r\n\r\n").expect("a head");
    for line in [
        "HTTP/1.1 200 OK",
        "Content-Type: text/event-stream",
        "Cache-Control: no-store",
        "X-Accel-Buffering: no",
        "Connection: close",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    assert!(!head.contains("Content-Length") && !head.contains("Access-Control"), "{head}");
    assert!(body.starts_with("event: joined\nid: ") && body.ends_with("\ndata: {}\n\n"), "{body}");
    assert!(text(&hub, program).contains("application/x-ndjson"));
    hub.clear();
    publish(&mut hub, "two\r\nlines");
    let (event, line) = (text(&hub, browser), text(&hub, program));
    let id = last_id(&event);
    assert_eq!(event, format!("id: {id}\ndata: \"two\\r\\nlines\"\n\n"));
    assert_eq!(line, format!("{{\"position\":\"{id}\",\"data\":\"two\\r\\nlines\"}}\n"));
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.open, metrics.opened, metrics.requests_page), (2, 2, 1));
    // A message that is no text cannot be sent, and the members are told.
    hub.clear();
    open(&mut hub, "/binary", "");
    assert!(text(&hub, browser).contains("\"type\":\"gap\""), "{}", text(&hub, browser));
}

#[test]
fn returning_client_misses_nothing_or_is_told() {
    let mut hub = hub();
    let first = open(&mut hub, "/events", "");
    let begin = last_id(&news(&mut hub, first));
    publish(&mut hub, "1");
    let one = last_id(&news(&mut hub, first));
    hub.end(first);
    publish(&mut hub, "2");
    publish(&mut hub, "3");
    let back = open(&mut hub, "/events", &format!("Last-Event-ID: {one}\r\n"));
    let stream = news(&mut hub, back);
    let data: Vec<_> = stream.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data, ["\"2\"", "\"3\"", "{}"], "{stream}");
    assert!(matches!(hub.handler().recovery.last(), Some(Recovery::Recovered { messages: 2, .. })));
    let forged = [
        format!("{}0", &one),
        one.replace('.', ".0"),
        begin.split('.').take(2).chain(["1"]).collect::<Vec<_>>().join("."),
        "1.1.1".into(),
        "9".repeat(7_000),
        "\u{e4}".into(),
        String::new(),
    ];
    for id in forged {
        let conn = open(&mut hub, "/events", &format!("Last-Event-ID: {id}\r\n"));
        let stream = news(&mut hub, conn);
        assert!(stream.contains("event: joined") && !stream.contains("\"2\""), "{id:.20}: {stream}");
        let recovery = *hub.handler().recovery.last().expect("it has joined");
        assert!(matches!(recovery, Recovery::New | Recovery::NotRecovered(_)), "{id:.20}: {recovery:?}");
    }
    // A longer field does not fit in a head.
    let conn = open(&mut hub, "/events", &format!("Last-Event-ID: {}\r\n", "9".repeat(9_000)));
    assert_eq!(codes(&text(&hub, conn)), ["431"]);
}

#[test]
fn request_in_any_pieces_begins_the_same_stream() {
    for piece in [1, 7, 10_000] {
        let mut hub = hub();
        let conn = hub.connect();
        send(&mut hub, conn, [get("/none", ""), get("/events", "")].concat().as_bytes(), piece);
        assert_eq!(codes(&text(&hub, conn)), ["404", "200"]);
        assert!(text(&hub, conn).ends_with("\ndata: {}\n\n"), "{}", text(&hub, conn));
        assert_eq!(hub.handler().seen.len(), 2);
    }
}

#[test]
fn head_request_gets_the_head_and_no_stream() {
    let mut hub = hub();
    let conn = hub.connect();
    hub.send(conn, get("/events", "").replace("GET", "HEAD").as_bytes());
    let head = text(&hub, conn);
    assert!(head.contains("text/event-stream") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(hub.is_closed(conn) && hub.handler().seen.is_empty());
    assert_eq!((&hub.handler().tickets[..], hub.ended(Reason::Answered)), (&[None][..], 1));
}

#[test]
fn input_behind_the_request_is_discarded_within_bounds() {
    let mut hub = hub();
    let conn = hub.connect();
    hub.send(conn, [get("/events", ""), get("/events", ""), "\0junk".into()].concat().as_bytes());
    assert_eq!(codes(&text(&hub, conn)), ["200"]);
    (0..15).for_each(|_| hub.send(conn, &[b'x'; 1 << 10]));
    publish(&mut hub, "1");
    assert!(text(&hub, conn).ends_with("\ndata: \"1\"\n\n") && !hub.is_closed(conn));
    (0..2).for_each(|_| hub.send(conn, &[b'x'; 1 << 10]));
    assert!(hub.is_closed(conn) && hub.ended(Reason::MessageTooLarge) == 1);
}

#[test]
fn half_closed_client_still_gets_the_stream() {
    let mut hub = hub();
    let conn = open(&mut hub, "/events", "");
    hub.clear();
    hub.end(conn);
    // A host whose client is gone answers that with a reset, and the next one fails.
    assert_eq!(text(&hub, conn), ":\n");
    hub.advance(Duration::from_secs(1));
    assert_eq!(text(&hub, conn), ":\n:\n");
    publish(&mut hub, "1");
    assert!(text(&hub, conn).ends_with("\ndata: \"1\"\n\n"));
    hub.advance(Duration::from_secs(20));
    assert!(text(&hub, conn).ends_with("\n\n:\n"), "{}", text(&hub, conn));
    hub.fail(conn, drupe_core::Failure::Reset);
    assert_eq!(hub.ended(Reason::Reset), 1);
}

#[test]
fn keep_alives_follow_and_no_idle_timeout_applies() {
    let limits = PeerLimits::default().idle(Some(Duration::from_secs(30))).silence(Some(Duration::from_secs(30)));
    let config = with_rooms(config(Http::default())).peer(limits);
    let mut hub = TestHub::with_config(config, News::default());
    let (browser, program) = (open(&mut hub, "/events", ""), open(&mut hub, "/lines", ""));
    hub.clear();
    hub.advance(Duration::from_secs(61));
    assert_eq!((text(&hub, browser), text(&hub, program)), (":\n:\n:\n".into(), "{}\n{}\n{}\n".into()));
    assert!(!hub.is_closed(browser));
}

#[test]
fn client_that_does_not_read_is_closed_and_costs_others_nothing() {
    let mut base = with_rooms(config(Http::default().body_max_bytes(1_000)));
    base.outbound.marks = Marks::new(100, 1_000, 2_000).expect("ordered");
    let mut hub = TestHub::with_config(base, News::default());
    let (slow, other) = (open(&mut hub, "/events", ""), open(&mut hub, "/events", ""));
    hub.set_writable(slow, 0);
    for number in 0..30 {
        publish(&mut hub, &format!("{number:0200}"));
    }
    assert_eq!(hub.ended(Reason::SlowConsumer), 1);
    assert_eq!(text(&hub, other).matches("\ndata: \"").count(), 30);
    assert!(!text(&hub, slow).contains("data: \"") && !hub.is_closed(other));
}

#[test]
fn drain_ends_streams_and_lets_their_events_go_first() {
    let mut hub = hub();
    let conn = open(&mut hub, "/events", "");
    publish(&mut hub, "1");
    hub.command(&Command::Drain);
    hub.advance(Duration::from_secs(60));
    assert!(hub.is_closed(conn) && hub.ended(Reason::Shutdown) == 1);
    // No notice of the server is among the events.
    assert!(text(&hub, conn).ends_with("\ndata: \"1\"\n\n"), "{}", text(&hub, conn));
}

#[test]
fn stream_that_the_handler_finishes_ends_at_once() {
    let mut hub = hub();
    let conn = open(&mut hub, "/events", "");
    open(&mut hub, "/finish", "");
    assert!(hub.is_closed(conn) && hub.ended(Reason::Application) == 1);
    assert!(text(&hub, conn).ends_with("\ndata: {}\n\n"));
}

#[test]
fn page_of_another_origin_needs_permission() {
    let mut strict = hub();
    let conn = open(&mut strict, "/events", "Origin: http://evil.example\r\n");
    assert_eq!(codes(&text(&strict, conn)), ["403"]);
    assert!(strict.is_closed(conn));
    assert_eq!(strict.handler().seen, ["403 pages of this origin may not connect (websocket.origins)", "expired"]);
    for (http, origin) in [
        (Http::default(), "http://x"),
        (Http::default().origins(Origins::Any), "null"),
        (Http::default().origins(Origins::List(vec!["http://a.example".parse().expect("one")])), "http://a.example"),
    ] {
        let mut hub = hub_with(http);
        let conn = open(&mut hub, "/events", &format!("Origin: {origin}\r\n"));
        assert!(text(&hub, conn).contains(&format!("\r\nAccess-Control-Allow-Origin: {origin}\r\n")), "{origin}");
    }
}

#[test]
fn client_that_a_proxy_reports_is_admitted_as_for_an_upgrade() {
    let proxies = Forwarded::new(ForwardedField::XForwardedFor, vec!["127.0.0.0/8".parse().expect("a network")]);
    let limits = ConnectionLimits::default().per_address(1);
    let mut config = with_rooms(config(Http::default().forwarded(Some(proxies))));
    config.connections = limits;
    let mut hub = TestHub::with_config(config, News::default());
    let ann = open(&mut hub, "/events", "X-Forwarded-For: 192.0.2.1\r\n");
    assert!(hub.handler().seen[0].starts_with("opened /events for 192.0.2.1"), "{:?}", hub.handler().seen);
    let again = open(&mut hub, "/events", "X-Forwarded-For: 192.0.2.1\r\n");
    assert_eq!(codes(&text(&hub, again)), ["429"]);
    assert_eq!(hub.handler().seen.last().map(String::as_str), Some("expired"));
    let bob = open(&mut hub, "/events", "X-Forwarded-For: 192.0.2.2\r\n");
    assert!(!hub.is_closed(bob) && hub.is_closed(again));
    hub.fail(ann, drupe_core::Failure::Reset);
    let ann = open(&mut hub, "/events", "X-Forwarded-For: 192.0.2.1\r\n");
    assert!(!hub.is_closed(ann));
}
