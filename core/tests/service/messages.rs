//! Ids of messages, the fallback of a router, constraints, and messages from other threads.

use super::{Hall, said};
use drupe_core::kit::{Cx, MessageError, RawMessage, RequireScope, Router, Service, negotiate};
use drupe_core::testing::TestHub;
use drupe_core::{Command, ConnId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Serialize)]
struct Sum {
    sum: i64,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sum {}", self.sum)
    }
}

#[derive(Serialize)]
struct OwnId {
    id: u8,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    #[schemars(range(min = 1, max = 10))]
    number: i64,
    #[schemars(length(max = 3))]
    note: Option<String>,
}

#[derive(Deserialize)]
struct Find {
    id: u32,
}

fn service() -> Service<Hall> {
    let nested = Router::new()
        .guard(RequireScope("admin"))
        .on("known", |_, cx: &mut Cx<'_, Hall>, (): ()| cx.reply("known"))
        .fallback(|_, cx: &mut Cx<'_, Hall>, message: RawMessage<'_>| {
            cx.reply(&format!("admin {} {:?}", message.kind(), message.words()))
        });
    let router = Router::new()
        .on_validated("add", |_, cx: &mut Cx<'_, Hall>, Add { number, note }| {
            cx.reply_as(&Sum { sum: number + 1 + note.map_or(0, |note| i64::from(!note.is_empty())) })
        })
        .on("find", |_, cx: &mut Cx<'_, Hall>, Find { id }| {
            let shown = format!("{:?}", cx.id());
            cx.reply(&format!("{id} {shown}"))
        })
        .on("own", |_, cx: &mut Cx<'_, Hall>, (): ()| cx.reply_json(&OwnId { id: 9 }))
        .on("list", |_, cx: &mut Cx<'_, Hall>, (): ()| cx.reply_json(&[1, 2]))
        .nest("admin", nested);
    Service::new(Hall::default()).router(router)
}

#[test]
fn id_of_a_message_comes_back_in_answers_and_errors() {
    let mut hub = TestHub::new(service());
    let conn = hub.connect();
    let long = "x".repeat(65);
    let long_id = format!(r#"{{"type":"add","number":1,"id":"{long}"}}"#);
    for (line, answer) in [
        (r#"{"type":"add","number":4,"id":7}"#, r#"{"id":7,"sum":5}"#),
        (r#"{"type":"add","number":4,"id":"a\"b"}"#, r#"{"id":"a\"b","sum":5}"#),
        (r#"{"type":"add","number":4}"#, r#"{"sum":5}"#),
        (r#"{"type":"add","number":4,"id":null}"#, r#"{"sum":5}"#),
        (r#"{"type":"own","id":"x"}"#, r#"{"id":9}"#),
        (r#"{"type":"list","id":"x"}"#, "[1,2]"),
        (r#"{"type":"find","id":3}"#, r#"3 Some("3")"#),
        (
            r#"{"type":"add","id":1.5}"#,
            r#"{"id":1.5,"type":"error","of":"add","code":"invalid","reason":"missing field `number`"}"#,
        ),
        (
            r#"{"type":"dance","id":"x"}"#,
            r#"{"id":"x","type":"error","of":"dance","code":"unknown_type","reason":"unknown type or command"}"#,
        ),
        (r#"{"id":"x"}"#, r#"{"id":"x","type":"error","code":"invalid","reason":"missing field `type`"}"#),
        (
            r#"{"type":"add","number":1,"id":[1]}"#,
            r#"{"type":"error","of":"add","code":"invalid","path":"id","reason":"expected a string or a number"}"#,
        ),
        (
            &long_id,
            r#"{"type":"error","of":"add","code":"invalid","path":"id","reason":"an id has at most 64 bytes, not 65"}"#,
        ),
        ("/add 4", "sum 5"),
    ] {
        assert_eq!(said(&mut hub, conn, line), [answer], "{line}");
    }
}

#[test]
fn constraints_hold_for_programs_and_people() {
    let mut hub = TestHub::new(service());
    let conn = hub.connect();
    for (line, answer) in [
        ("/add 10 abc", "sum 12"),
        ("/add 12", "error: add: number: 12 is above the maximum 10"),
        ("/add 0", "error: add: number: 0 is below the minimum 1"),
        ("/add 3 long", "error: add: note: \"long\" has 4 characters; the maximum is 3"),
        (
            r#"{"type":"add","number":11}"#,
            r#"{"type":"error","of":"add","code":"invalid","path":"number","reason":"11 is above the maximum 10"}"#,
        ),
        (
            r#"{"type":"add","number":1,"x":1}"#,
            r#"{"type":"error","of":"add","code":"invalid","path":"x","reason":"unknown field `x`, expected `number` or `note`"}"#,
        ),
    ] {
        assert_eq!(said(&mut hub, conn, line), [answer], "{line}");
    }
}

#[test]
fn fallback_serves_unknown_types_behind_its_guards() {
    let fallback = |_: &mut Hall, cx: &mut Cx<'_, Hall>, message: RawMessage<'_>| {
        cx.reply(&format!("{} {:?} {:?}", message.kind(), message.json(), message.words()));
        if message.kind() == "bad" { Err(MessageError::new("bad", "no")) } else { Ok(()) }
    };
    let mut hub = TestHub::new(service().router(Router::new().fallback(fallback)));
    let conn = hub.connect();
    for (line, answers) in [
        (r#"{"type":"dance","x":1}"#, &[r#"dance Some("{\"type\":\"dance\",\"x\":1}") None"#][..]),
        ("/dance  now and then", &[r#"dance None Some("  now and then")"#]),
        (
            r#"{"type":"bad","id":1}"#,
            &[
                r#"bad Some("{\"type\":\"bad\",\"id\":1}") None"#,
                r#"{"id":1,"type":"error","of":"bad","code":"bad","reason":"no"}"#,
            ],
        ),
        ("/admin dance now", &["error: admin.dance: this is not allowed"]),
        ("/admin known", &["error: admin.known: this is not allowed"]),
        (r#"{"type":"error","of":"x"}"#, &[]),
    ] {
        assert_eq!(said(&mut hub, conn, line), answers, "{line}");
    }
    assert!(said(&mut hub, conn, "/help").contains(&"/add NUMBER NOTE".to_string()));
}

#[test]
fn command_sends_to_one_connection_in_its_representation() {
    let mut hub = TestHub::new(service());
    let [program, person] = [hub.connect(), hub.connect()];
    hub.line(program, r#"{"type":"add","number":1}"#);
    hub.clear();
    for conn in [program, person, "9.9".parse::<ConnId>().expect("an id")] {
        hub.command(&Command::send(conn, &negotiate(&Sum { sum: 3 })));
    }
    assert_eq!(hub.lines(program), [r#"{"sum":3}"#]);
    assert_eq!(hub.lines(person), ["sum 3"]);
}
