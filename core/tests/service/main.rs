//! Typed messages and commands, in JSON for programs and as text for people.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

mod hooks;
mod messages;
mod rooms;
mod rooms_built_in;
mod rooms_elsewhere;
mod words;

use drupe_core::kit::{App, Cx, Guard, MessageError, RequireScope, RoomError, RoomRules, Router, Service, Unknown};
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Identity, Listen, NoNote, Reason};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

#[derive(Default)]
struct Hall {
    log: Vec<String>,
}

impl App for Hall {
    type Context = u32;
    type Note = NoNote;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    room: String,
    text: String,
}

#[derive(Deserialize)]
struct Enter {
    room: String,
}

#[derive(Deserialize)]
struct Kick {
    who: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "said")]
struct Said {
    text: String,
    count: u32,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}> {}", self.count, self.text)
    }
}

/// Keeps what it sees.
struct Watch(&'static str);

impl Guard<Hall> for Watch {
    fn opened(&mut self, app: &mut Hall, _: &mut Cx<'_, Hall>) {
        app.log.push(format!("{} opened", self.0));
    }

    fn before(&mut self, app: &mut Hall, _: &mut Cx<'_, Hall>, kind: &str) -> Result<(), MessageError> {
        app.log.push(format!("{} before {kind}", self.0));
        Ok(())
    }

    fn after(&mut self, app: &mut Hall, _: &mut Cx<'_, Hall>, kind: &str, result: &Result<(), MessageError>) {
        app.log.push(format!("{} after {kind}: {}", self.0, result.is_ok()));
    }

    fn closed(&mut self, app: &mut Hall, _: &mut Cx<'_, Hall>, reason: Reason) {
        app.log.push(format!("{} closed: {reason}", self.0));
    }
}

fn service() -> Service<Hall> {
    let admin = Router::new()
        .guard(Watch("inner"))
        .guard(RequireScope("admin"))
        .on("kick", |app: &mut Hall, _, Kick { who }| app.log.push(format!("kicked {who}")));
    let router = Router::new()
        .on("enter", |_, cx: &mut Cx<'_, Hall>, Enter { room }| cx.join(&room))
        .on("say", |_, cx: &mut Cx<'_, Hall>, Say { room, text }| {
            *cx.context() += 1;
            let count = *cx.context();
            cx.publish(&room, &Said { text, count })
        })
        .on("login", |_, cx: &mut Cx<'_, Hall>, scopes: Vec<String>| {
            let conn = cx.conn();
            cx.hub.identify(conn, Identity::user("ann").with_scopes(scopes.iter().map(String::as_str)));
        })
        .guard(Watch("outer"))
        .nest("admin", admin);
    Service::new(Hall::default()).router(router)
}

fn hub() -> TestHub<Service<Hall>> {
    TestHub::new(service())
}

fn said(hub: &mut TestHub<Service<Hall>>, conn: ConnId, line: &str) -> Vec<String> {
    hub.clear();
    hub.line(conn, line);
    hub.lines(conn)
}

#[test]
fn service_serves_json_and_words_from_one_definition() {
    let mut hub = TestHub::new(service().rooms(RoomRules::all_open()));
    let [program, person, speaker] = [hub.connect(), hub.connect(), hub.connect()];
    hub.line(program, r#"{"type":"enter","room":"den"}"#);
    hub.line(person, "/enter den");
    hub.line(speaker, "/enter den");
    hub.line(speaker, "/say den hello \"all\"");
    hub.line(speaker, r#"{"type":"say","room":"den","text":"two\nlines"}"#);
    let expected =
        [r#"{"type":"said","text":"hello \"all\"","count":1}"#, r#"{"type":"said","text":"two\nlines","count":2}"#];
    assert_eq!(hub.lines(program), expected);
    assert_eq!(hub.lines(person)[0], "<1> hello \"all\"");
    assert_eq!(hub.lines(speaker), Vec::<String>::new());
}

#[test]
fn service_errors_name_path_and_reason() {
    let mut hub = TestHub::new(service().rooms(RoomRules::all_open()));
    let conn = hub.connect();
    for (line, answer) in [
        (
            r#"{"type":"say","room":"den"}"#,
            r#"{"type":"error","of":"say","code":"invalid","reason":"missing field `text`"}"#,
        ),
        (
            r#"{"type":"say","room":7,"text":""}"#,
            r#"{"type":"error","of":"say","code":"invalid","path":"room","reason":"invalid type: integer `7`, expected a string"}"#,
        ),
        (
            r#"{"type":"say","room":"den","text":"","x":1}"#,
            r#"{"type":"error","of":"say","code":"invalid","path":"x","reason":"unknown field `x`, expected `room` or `text`"}"#,
        ),
        (
            r#"{"type":"dance"}"#,
            r#"{"type":"error","of":"dance","code":"unknown_type","reason":"unknown type or command"}"#,
        ),
        (r#"{"room":"den"}"#, r#"{"type":"error","code":"invalid","reason":"missing field `type`"}"#),
        (
            r#"{"type":7}"#,
            r#"{"type":"error","code":"invalid","path":"type","reason":"invalid type: integer `7`, expected a string"}"#,
        ),
        (r"{", r#"{"type":"error","code":"not_json","reason":"EOF while parsing an object at line 1 column 1"}"#),
        (
            r#"{"jsonrpc":"2.0","method":"x","id":1}"#,
            r#"{"type":"error","code":"unsupported","reason":"calls are not supported here"}"#,
        ),
        (
            r#"{"type":"say","room":"den","text":"x"}"#,
            r#"{"type":"error","of":"say","code":"refused","reason":"you are not in that room"}"#,
        ),
        ("/say den", "error: say: missing field `text`"),
        ("/enter", "error: enter: missing field `room`"),
        ("/dance \u{1b}[2J", "error: dance: unknown type or command"),
        ("/\u{1b}[2J", "error: [2J: unknown type or command"),
        ("hello", "error: expected a JSON object with a `type`, or a command; /help lists the commands"),
        ("/admin kick bob", "error: admin.kick: this is not allowed"),
        ("/admin", "error: admin: unknown type or command"),
        ("/admin kick", "error: admin.kick: this is not allowed"),
    ] {
        assert_eq!(said(&mut hub, conn, line), [answer], "{line}");
    }
    assert_eq!(said(&mut hub, conn, "/help"), ["/enter ROOM", "/login", "/say ROOM TEXT"]);
    hub.line(conn, "/login admin");
    assert_eq!(said(&mut hub, conn, "/help")[0], "/admin kick WHO", "who may not does not see it");
    assert_eq!(said(&mut hub, conn, r#"{"type":"error","of":"x","code":"y","reason":"z"}"#), Vec::<String>::new());
    assert!(!hub.is_closed(conn));
}

#[test]
fn guards_run_in_order_before_and_in_reverse_after() {
    let mut hub = hub();
    let conn = hub.connect();
    hub.line(conn, "/admin kick bob");
    hub.line(conn, "/login admin");
    hub.line(conn, r#"{"type":"admin.kick","who":"bob"}"#);
    hub.end(conn);
    assert_eq!(
        hub.handler().app().log,
        [
            "outer opened",
            "inner opened",
            "outer before admin.kick",
            "inner before admin.kick",
            "inner after admin.kick: false",
            "outer after admin.kick: false",
            "outer before login",
            "outer after login: true",
            "outer before admin.kick",
            "inner before admin.kick",
            "kicked bob",
            "inner after admin.kick: true",
            "outer after admin.kick: true",
            "outer closed: peer_closed",
            "inner closed: peer_closed",
        ]
    );
}

#[test]
fn room_requires_a_scope_unless_it_is_open() {
    let mut hub = hub();
    let conn = hub.connect();
    let forbidden = || [format!("error: enter: {}", RoomError::Forbidden)];
    assert_eq!(said(&mut hub, conn, "/enter den"), forbidden(), "without a user");
    hub.line(conn, "/login");
    assert_eq!(said(&mut hub, conn, "/enter den"), forbidden(), "without scopes");
    hub.line(conn, "/login admin");
    assert_eq!(said(&mut hub, conn, "/enter den"), forbidden(), "with another scope");
    assert_eq!(said(&mut hub, conn, "/say den hi"), [format!("error: say: {}", RoomError::Forbidden)]);
    let mut hub = TestHub::new(service().rooms(RoomRules::closed().open("den")));
    let (one, other) = (hub.connect(), hub.connect());
    for conn in [one, other] {
        assert_eq!(said(&mut hub, conn, "/enter den"), Vec::<String>::new());
    }
    assert_eq!(said(&mut hub, one, "/enter hall"), forbidden());
    // Nor does a scope for another room close what is open.
    hub.line(one, "/login join:hall publish:hall");
    hub.clear();
    hub.line(one, "/say den hi");
    assert_eq!(hub.lines(other).len(), 1);
}

#[test]
fn scopes_limit_joining_and_publishing_in_rooms() {
    let mut hub = hub();
    let conn = hub.connect();
    hub.line(conn, "/login join:den publish:hall*");
    assert_eq!(said(&mut hub, conn, "/enter hall"), [format!("error: enter: {}", RoomError::Forbidden)]);
    assert_eq!(said(&mut hub, conn, "/enter den"), Vec::<String>::new());
    assert_eq!(said(&mut hub, conn, "/say den hi"), [format!("error: say: {}", RoomError::Forbidden)]);
    assert_eq!(said(&mut hub, conn, "/say hall2 hi"), [format!("error: say: {}", RoomError::NotMember)]);
}

#[test]
fn service_replies_in_the_format_of_the_request() {
    let config =
        Config::listening(["tcp://127.0.0.1:1", "length://127.0.0.1:2"].map(|a| a.parse::<Listen>().expect(a)));
    let mut hub = TestHub::with_config(config, service());
    let peer = |port: u16| drupe_core::Peer::Address(([127, 0, 0, 1], port).into());
    let frames = hub.try_connect(drupe_core::ListenerId::new(1), peer(1)).expect("let in");
    hub.send(frames, b"\0\0\0\x06/dance");
    assert!(String::from_utf8_lossy(hub.received(frames)).ends_with("error: dance: unknown type or command"));
    hub.clear();
    hub.send(frames, b"\0\0\0\x10{\"type\":\"dance\"}");
    assert!(String::from_utf8_lossy(hub.received(frames)).ends_with("\"unknown type or command\"}"));
    hub.clear();
    hub.send(frames, b"\0\0\0\x02\xff\xfe");
    assert!(String::from_utf8_lossy(hub.received(frames)).contains("unsupported"));
}

#[test]
fn room_without_scope_returns_forbidden_code() {
    let mut hub = hub();
    let conn = hub.connect();
    hub.line(conn, r#"{"type":"login","scopes":[]}"#);
    hub.line(conn, "/login join:den");
    let forbidden =
        |of: &str| format!(r#"{{"type":"error","of":"{of}","code":"forbidden","reason":"{}"}}"#, RoomError::Forbidden);
    assert_eq!(said(&mut hub, conn, r#"{"type":"enter","room":"hall"}"#), [forbidden("enter")]);
    hub.line(conn, r#"{"type":"enter","room":"den"}"#);
    assert_eq!(said(&mut hub, conn, r#"{"type":"say","room":"den","text":"hi"}"#), [forbidden("say")]);
}

#[test]
fn unserved_text_does_not_switch_a_json_peer_to_words() {
    let config = Config::listening(["length://127.0.0.1:2".parse::<Listen>().expect("well formed")]);
    let mut hub = TestHub::with_config(config, service());
    let program = hub.connect();
    let frame = |text: &str| [&u32::try_from(text.len()).expect("short").to_be_bytes()[..], text.as_bytes()].concat();
    let text_of = |messages: Vec<Vec<u8>>| String::from_utf8(messages.concat()).expect("text");
    hub.send(program, &frame("hello"));
    assert!(text_of(hub.messages(program)).starts_with(r#"{"type":"error","code":"unsupported""#));
    hub.clear();
    hub.send(program, &frame(r#"{"type":"enter","room":"den"}"#));
    hub.clear();
    hub.send(program, &frame("and again"));
    assert!(text_of(hub.messages(program)).starts_with(r#"{"type":"error","code":"unsupported""#));
}

#[test]
fn json_peers_on_lines_get_notices_as_json() {
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("well formed")]);
    config.peer.rates.messages = drupe_core::limit::Rate::new(1, 1).ok();
    config.peer.idle = Some(Duration::from_secs(60));
    let mut hub = TestHub::with_config(config, service().rooms(RoomRules::all_open()));
    let [program, person] = [hub.connect(), hub.connect()];
    hub.line(program, r#"{"type":"enter","room":"den"}"#);
    hub.line(person, "/enter den");
    hub.clear();
    hub.line(program, r#"{"type":"enter","room":"den"}"#);
    hub.line(person, "/enter den");
    let words = "too many messages or bytes; your input is slowed down";
    assert_eq!(hub.lines(program), [format!(r#"{{"type":"warning","reason":"{words}"}}"#)]);
    assert_eq!(hub.lines(person), [format!("warning: {words}")]);
    hub.clear();
    hub.advance(Duration::from_secs(120));
    let words = Reason::Idle.sentence();
    assert_eq!(hub.lines(program), [format!(r#"{{"type":"closing","code":"idle","reason":"{words}"}}"#)]);
    assert_eq!(hub.lines(person), [format!("closing (idle): {words}")]);
}

#[test]
fn unknown_message_types_follow_the_policy() {
    for (policy, answers, closed) in
        [(Unknown::Refuse, 1, false), (Unknown::Ignore, 0, false), (Unknown::Close, 2, true)]
    {
        let mut hub = TestHub::new(service().unknown(policy));
        let conn = hub.connect();
        hub.line(conn, r#"{"type":"dance"}"#);
        assert_eq!((hub.lines(conn).len(), hub.is_closed(conn)), (answers, closed), "{policy:?}");
        assert_eq!(hub.ended(Reason::BadRequest), u64::from(closed));
    }
}

#[test]
fn service_hooks_follow_server_and_connection_lifecycle() {
    let service = service()
        .on_start(|app, _| app.log.push("start".into()))
        .on_open(|app, cx| app.log.push(format!("open {}", cx.conn())))
        .on_authenticated(|app, cx| app.log.push(format!("is {}", cx.user().expect("known"))))
        .on_text(|app: &mut Hall, cx, text: &str| {
            app.log.push(format!("text {text}"));
            cx.reply(text);
            if text.is_empty() { Err(MessageError::new("empty", "say something")) } else { Ok(()) }
        })
        .on_drain(|app, _| app.log.push("drain".into()))
        .on_close(|app, cx, reason| app.log.push(format!("close {}: {reason}", cx.conn())))
        .every(Duration::from_secs(3), |app, scope| app.log.push(format!("at {}", scope.hub.now().as_millis())))
        .every(Duration::from_secs(5), |app, _| app.log.push("five".into()));
    let mut hub = TestHub::new(service);
    let conn = hub.connect();
    assert_eq!(said(&mut hub, conn, "{ hello"), ["{ hello"]);
    assert_eq!(said(&mut hub, conn, "[afk] brb"), ["[afk] brb"]);
    assert_eq!(said(&mut hub, conn, ""), ["", "error: say something"]);
    hub.line(conn, "/login");
    hub.advance(Duration::from_secs(7));
    hub.command(&drupe_core::Command::Drain);
    hub.advance(Duration::from_secs(5));
    let log: Vec<_> = hub
        .handler()
        .app()
        .log
        .iter()
        .filter(|line| !line.starts_with("outer ") && !line.starts_with("inner "))
        .collect();
    assert_eq!(
        log,
        [
            "start",
            "open 0.1",
            "text { hello",
            "text [afk] brb",
            "text ",
            "is ann",
            "at 3000",
            "five",
            "at 6000",
            "drain",
            "close 0.1: shutdown",
            "at 9000",
            "five",
            "at 12000"
        ]
    );
}
