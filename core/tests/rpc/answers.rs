//! The order of answers, late answers, and calls from the server.

use super::{Done, Office, answers, error, hub, listening, office, result};
use drupe_core::kit::layer::{RateBy, RateLimit, Within};
use drupe_core::kit::rpc::{CallError, Rpc, RpcError};
use drupe_core::kit::{Cx, Service};
use drupe_core::limit::Rate;
use drupe_core::testing::TestHub;
use drupe_core::{Config, Failure, Listen, Reason, TicketLimits};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn ten_thousand_requests_get_ten_thousand_responses_in_order() {
    for address in ["tcp://127.0.0.1:1", "length://127.0.0.1:1"] {
        let mut hub = listening(address);
        let conn = hub.connect();
        let request = |id: u32| json!({"jsonrpc": "2.0", "method": "sum", "params": [id, 1], "id": id}).to_string();
        let requests: Vec<u8> = (0..10_000)
            .flat_map(|id| match address {
                "tcp://127.0.0.1:1" => [request(id).into_bytes(), vec![b'\n']].concat(),
                _ => [u32::try_from(request(id).len()).expect("short").to_be_bytes().to_vec(), request(id).into()]
                    .concat(),
            })
            .collect();
        let mut sent = requests.chunks(16 << 10);
        // The default rate is 1,000 a second, so a client that keeps to it is served in eight.
        for _ in 0..200 {
            while hub.machine().intent(conn).is_some_and(|intent| intent.read)
                && let Some(chunk) = sent.next()
            {
                hub.send(conn, chunk);
            }
            hub.advance(Duration::from_millis(50));
        }
        let is_notice = |message: &Vec<u8>| !message.starts_with(b"{\"jsonrpc\"");
        let (notices, answers): (Vec<_>, Vec<_>) = hub.messages(conn).into_iter().partition(is_notice);
        // Who is slowed is told so, once, where the wire has notices.
        assert_eq!(notices.len(), usize::from(address.starts_with("tcp")), "{notices:?}");
        assert_eq!(answers.len(), 10_000, "{address}");
        for (answer, id) in answers.iter().zip(0_u32..) {
            let answer: Value = serde_json::from_slice(answer).expect("JSON");
            assert_eq!((&answer["id"], &answer["result"]), (&json!(id), &json!(id + 1)));
        }
    }
}

#[test]
fn deferred_call_responds_once_in_its_batch_or_times_out() {
    let mut hub = hub();
    let (conn, other) = (hub.connect(), hub.connect());
    let slow = |id: i64| json!({"jsonrpc": "2.0", "method": "slow", "id": id});
    hub.line(conn, &slow(1).to_string());
    let batch = json!([slow(2), {"jsonrpc": "2.0", "method": "sum", "params": [5], "id": 3}, slow(4)]);
    hub.line(conn, &batch.to_string());
    hub.line(other, &slow(1).to_string());
    assert_eq!(hub.lines(conn), Vec::<String>::new());
    let [one, two, four, others] = hub.handler().app().tickets[..] else { unreachable!("four tickets") };
    hub.note(Done(four, Ok(44)));
    hub.note(Done(one, Ok(11)));
    hub.note(Done(one, Ok(12)));
    assert_eq!(hub.lines(conn), [result(11, 1).to_string().as_str()].map(reorder));
    hub.advance(Duration::from_secs(10));
    let late = json!([error(-32001, "There was no result in time", 2), result(5, 3), result(44, 4)]);
    let came: Value = serde_json::from_str(&hub.lines(conn)[1]).expect("JSON");
    assert_eq!(came, late);
    hub.note(Done(two, Ok(22)));
    assert_eq!(hub.lines(conn).len(), 2, "too late");
    hub.end(other);
    hub.note(Done(others, Ok(1)));
}

/// As it stands on the wire.
fn reorder(text: &str) -> String {
    let value: Value = serde_json::from_str(text).expect("JSON");
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#, value["id"], value["result"])
}

#[test]
fn excess_pending_calls_are_refused_as_busy() {
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("valid")]);
    config.tickets = TicketLimits::default().per_connection(2);
    let mut hub = TestHub::with_config(config, office());
    let conn = hub.connect();
    hub.line(conn, r#"{"jsonrpc":"2.0","method":"slow"}"#);
    hub.line(conn, r#"{"jsonrpc":"2.0","method":"slow","id":1}"#);
    let [answer] = &answers(&mut hub, conn, r#"{"jsonrpc":"2.0","method":"slow","id":1}"#)[..] else {
        unreachable!("one answer");
    };
    let expected = json!({"code": -32000, "message": "Server busy", "data": "at most 2 requests of one connection may be in progress"});
    assert_eq!(answer["error"], expected);
    let tickets = hub.handler().app().tickets.clone();
    hub.note(Done(tickets[1], Err(RpcError::internal("a password"))));
    hub.note(Done(tickets[0], Ok(1)));
    assert_eq!(
        hub.lines(conn)[1..],
        [r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error"}}"#]
    );
}

#[test]
fn server_call_receives_one_result_or_an_error() {
    let mut hub = hub();
    let (conn, other) = (hub.connect(), hub.connect());
    for method in ["good", "bad", "odd", "late", "lost"] {
        hub.line(conn, method);
    }
    let asked: Vec<Value> = hub.lines(conn).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&asked[0]["method"], &asked[0]["params"]), (&json!("good"), &json!([1, 2])));
    let answer = |id: &Value, key: &str, value: Value| json!({"jsonrpc": "2.0", "id": id, key: value}).to_string();
    // Who was not asked can't answer.
    hub.line(other, &answer(&asked[0]["id"], "result", json!(666)));
    for (number, key, value) in [
        (0, "result", json!(3)),
        (0, "result", json!(4)),
        (1, "error", json!({"code": 5, "message": "no"})),
        (2, "result", json!("three")),
    ] {
        hub.line(conn, &answer(&asked[number]["id"], key, value));
    }
    hub.advance(Duration::from_secs(4));
    hub.line(conn, "lost too");
    hub.advance(Duration::from_secs(1));
    hub.end(conn);
    let heard = &hub.handler().app().heard;
    assert_eq!(heard[0], "good: Ok(3)");
    assert!(heard[1].starts_with("bad: Err(Remote(RpcError { code: 5, message: \"no\""), "{}", heard[1]);
    assert!(heard[2].starts_with("odd: Err(Unexpected(\"invalid type: string"), "{}", heard[2]);
    assert_eq!(heard[3..], ["late: Err(TimedOut)", "lost: Err(TimedOut)", "lost too: Err(Closed)"]);
    assert_eq!(hub.ended(Reason::PeerClosed), 1);
}

#[test]
fn close_hook_runs_though_a_call_callback_panics() {
    let (send, ends) = std::sync::mpsc::channel();
    let service = office()
        .on_text(|_, cx, _: &str| {
            let panics = |_: &mut Office, _: &mut Cx<'_, Office>, result: Result<i64, CallError>| {
                result.expect("an answer");
            };
            cx.call("never", &[1], Duration::from_secs(5), panics)
        })
        .on_close(move |_, _, reason| send.send(reason).expect("heard"));
    let mut hub = TestHub::new(service);
    hub.catch_panics();
    let conn = hub.connect();
    hub.line(conn, "go");
    hub.end(conn);
    assert_eq!(ends.try_iter().collect::<Vec<_>>(), [Reason::PeerClosed]);
    assert_eq!(hub.machine().metrics().handler_panics, 1);
}

#[test]
fn rate_limited_calls_each_get_an_error_response() {
    let rate = Rate::per(1, 10, 1).expect("not nothing");
    let mut hub = TestHub::new(office().within(RateLimit::new(RateBy::Connection, rate)));
    let conn = hub.connect();
    for id in 0..3 {
        hub.line(conn, &json!({"jsonrpc": "2.0", "method": "sum", "params": [id], "id": id}).to_string());
    }
    hub.line(conn, r#"{"type":"other"}"#);
    let came: Vec<Value> = hub.lines(conn).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(came[0]["result"], json!(0));
    for (id, answer) in [1, 2].iter().zip(&came[1..]) {
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32000)));
        assert_eq!(answer["error"]["data"]["retry_after_ms"], json!(10_000));
    }
    assert_eq!(came.len(), 3, "others are told once");
}

#[test]
fn deferred_call_failing_at_once_responds_once_in_its_batch() {
    let rpc = Rpc::new("office", "1")
        .method("sum", |_, _, numbers: Vec<i64>| Ok(numbers.iter().sum::<i64>()))
        .deferred::<(), i64>("refuse", |_, _, (), _| Err(RpcError::new(7, "not today")))
        .deferred::<(), i64>("answer", |_, cx: &mut Cx<'_, Office>, (), ticket| {
            cx.scope().answer(ticket, Ok(5));
            Err(RpcError::new(7, "too late"))
        });
    let mut hub = TestHub::new(Service::new(Office::default()).rpc(rpc));
    let conn = hub.connect();
    let call = |method: &str, id: i64| json!({"jsonrpc": "2.0", "method": method, "id": id});
    assert_eq!(answers(&mut hub, conn, &call("refuse", 1).to_string()), [error(7, "not today", 1)]);
    assert_eq!(answers(&mut hub, conn, &call("answer", 2).to_string()), [result(5, 2)]);
    let sum = json!({"jsonrpc": "2.0", "method": "sum", "params": [1, 2], "id": 5});
    let batch = json!([call("refuse", 3), call("answer", 4), sum]);
    let expected = json!([error(7, "not today", 3), result(5, 4), result(3, 5)]);
    assert_eq!(answers(&mut hub, conn, &batch.to_string()), [expected]);
    // What failed is not answered again when its time is over.
    hub.clear();
    hub.advance(Duration::from_secs(60));
    assert_eq!(hub.lines(conn), Vec::<String>::new());
}

#[test]
fn batch_of_deferred_notifications_gets_no_response() {
    let mut hub = hub();
    let conn = hub.connect();
    let notification = json!({"jsonrpc": "2.0", "method": "slow"});
    hub.line(conn, &json!([notification, notification]).to_string());
    for ticket in hub.handler().app().tickets.clone() {
        hub.note(Done(ticket, Ok(1)));
    }
    assert_eq!(hub.lines(conn), Vec::<String>::new());
}

#[test]
fn deferred_result_for_a_closed_caller_is_dropped() {
    let mut hub = hub();
    let (broken, other) = (hub.connect(), hub.connect());
    let slow = |id: i64| json!({"jsonrpc": "2.0", "method": "slow", "id": id});
    hub.line(broken, &slow(1).to_string());
    hub.line(broken, &json!([slow(2), slow(3)]).to_string());
    hub.line(other, &slow(4).to_string());
    hub.fail(broken, Failure::Reset);
    let tickets = hub.handler().app().tickets.clone();
    assert_eq!(tickets.len(), 4);
    for ticket in tickets {
        hub.note(Done(ticket, Ok(1)));
    }
    assert_eq!(hub.lines(broken), Vec::<String>::new());
    assert_eq!(hub.lines(other), [reorder(&result(1, 4).to_string())]);
}

#[test]
fn call_that_joins_a_closed_room_returns_forbidden() {
    let rpc = Rpc::new("office", "1").method("enter", |_, cx: &mut Cx<'_, Office>, room: String| {
        cx.join(&room)?;
        Ok(())
    });
    let mut hub = TestHub::new(Service::new(Office::default()).rpc(rpc));
    let conn = hub.connect();
    let call = json!({"jsonrpc": "2.0", "method": "enter", "params": ["board"], "id": 1});
    assert_eq!(answers(&mut hub, conn, &call.to_string()), [error(-32003, "This is not allowed", 1)]);
}

#[test]
fn drain_waits_for_deferred_calls_and_then_fails_them() {
    let drained = |answers_in_time: bool| {
        let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
        config.drain.window = Duration::ZERO;
        config.drain.deadline = Duration::from_secs(5);
        let mut hub = TestHub::with_config(config, office());
        let conn = hub.connect();
        hub.line(conn, r#"{"jsonrpc":"2.0","method":"slow","id":1}"#);
        hub.command(&drupe_core::Command::Drain);
        hub.advance(Duration::from_secs(4));
        assert!(!hub.is_closed(conn), "a call is in progress");
        if answers_in_time {
            let ticket = hub.handler().app().tickets[0];
            hub.note(Done(ticket, Ok(7)));
        }
        hub.advance(Duration::from_secs(1));
        assert_eq!((hub.is_closed(conn), hub.ended(Reason::Shutdown)), (true, 1));
        let lines = hub.lines(conn);
        let answer = lines.iter().find(|line| line.contains("jsonrpc")).cloned().expect("an answer");
        (serde_json::from_str::<Value>(&answer).expect("JSON"), hub.machine().metrics().drain_unfinished)
    };
    assert_eq!(drained(true), (result(7, 1), 0));
    assert_eq!(drained(false), (error(-32002, "The server is shutting down", 1), 1));
}

#[test]
fn drain_fails_calls_of_the_peer_as_shutting_down() {
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
    config.drain.window = Duration::ZERO;
    config.drain.deadline = Duration::from_secs(3);
    let mut hub = TestHub::with_config(config, office());
    let conn = hub.connect();
    hub.line(conn, "question");
    hub.command(&drupe_core::Command::Drain);
    hub.advance(Duration::from_secs(3));
    assert_eq!(hub.handler().app().heard, ["question: Err(ShuttingDown)"]);
    assert!(hub.is_closed(conn));
}
