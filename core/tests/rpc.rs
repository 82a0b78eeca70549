//! JSON-RPC 2.0: what a caller sees, and what the other direction does.

#![allow(clippy::expect_used, clippy::unreachable, reason = "a test fails where its assumption does")]

use drupe_core::kit::layer::{RateBy, RateLimit, Within};
use drupe_core::kit::rpc::{CallError, Rpc, RpcError, RpcLimits};
use drupe_core::kit::{App, Cx, Service};
use drupe_core::limit::Rate;
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Identity, Listen, Reason, Ticket, TicketLimits};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Default)]
struct Office {
    tickets: Vec<Ticket>,
    notified: Vec<Value>,
    heard: Vec<String>,
}

/// An answer to a ticket.
struct Done(Ticket, Result<i64, RpcError>);

impl App for Office {
    type Context = ();
    type Note = Done;
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Subtraction {
    minuend: i64,
    subtrahend: i64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Greeting {
    #[serde(default)]
    name: Option<String>,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Greeted {
    words: String,
}

fn office() -> Service<Office> {
    let rpc = Rpc::new("office", "2.1.0")
        .limits(RpcLimits { batch_max: 5, deadline: Duration::from_secs(10) })
        .method("subtract", |_, _, Subtraction { minuend, subtrahend }| Ok(minuend - subtrahend))
        .about("One number less another.")
        .method("sum", |_, _, numbers: Vec<i64>| Ok(numbers.iter().sum::<i64>()))
        .method("get_data", |_, _, ()| Ok(json!(["hello", 5])))
        .method("greet", |_, _, Greeting { name }| {
            Ok(Greeted { words: format!("hello, {}", name.as_deref().unwrap_or("stranger")) })
        })
        .method("update", |app: &mut Office, _, numbers: Vec<i64>| {
            app.notified.push(json!(numbers));
            Ok(())
        })
        .method("fail", |_, _, ()| -> Result<(), RpcError> {
            "secret file /etc/shadow".parse::<i32>()?;
            Ok(())
        })
        .method("refuse", |_, _, ()| -> Result<(), _> {
            Err(RpcError::new(7, "not today").with_data(json!({"try": "tomorrow"})))
        })
        .method("restart", |_, _, ()| Ok("done"))
        .scope("admin")
        .deferred::<(), i64>("slow", |app: &mut Office, _, (), ticket| {
            app.tickets.push(ticket);
            Ok(())
        });
    Service::new(Office::default())
        .rpc(rpc)
        .on_note(|_, scope, Done(ticket, result)| {
            scope.answer(ticket, result);
        })
        .on_text(|_, cx, text: &str| match text {
            "admin" => {
                let conn = cx.conn();
                cx.hub.identify(conn, Identity::user("root").with_scopes(["admin"]));
            }
            method => {
                let method = method.to_owned();
                let name = method.clone();
                let called =
                    cx.call(&method, &[1, 2], Duration::from_secs(5), move |app, _, result: Result<i64, CallError>| {
                        app.heard.push(format!("{name}: {result:?}"));
                    });
                if let Err(error) = called {
                    cx.reply(&format!("not called: {error}"));
                }
            }
        })
}

fn listening(address: &str) -> TestHub<Service<Office>> {
    TestHub::with_config(Config::listening([address.parse::<Listen>().expect(address)]), office())
}

fn hub() -> TestHub<Service<Office>> {
    listening("tcp://127.0.0.1:1")
}

/// What comes back for each line that is sent.
fn answers(hub: &mut TestHub<Service<Office>>, conn: ConnId, line: &str) -> Vec<Value> {
    hub.clear();
    hub.line(conn, line);
    hub.lines(conn).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn error(code: i64, message: &str, id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id.into()})
}

fn result(result: impl Into<Value>, id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "result": result.into(), "id": id.into()})
}

/// Without the data of an error, which says more.
fn terse(mut answer: Value) -> Value {
    let strip = |answer: &mut Value| {
        if let Some(error) = answer.get_mut("error").and_then(Value::as_object_mut) {
            error.remove("data");
        }
    };
    match &mut answer {
        Value::Array(answers) => answers.iter_mut().for_each(strip),
        answer => strip(answer),
    }
    answer
}

#[test]
fn the_specification_case_by_case() {
    let invalid = || error(-32600, "Invalid Request", ());
    let cases = [
        // Parameters by position and by name.
        (r#"{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}"#, Some(result(19, 1))),
        (r#"{"jsonrpc":"2.0","method":"subtract","params":[23,42],"id":2}"#, Some(result(-19, 2))),
        (
            r#"{"jsonrpc":"2.0","method":"subtract","params":{"subtrahend":23,"minuend":42},"id":3}"#,
            Some(result(19, 3)),
        ),
        (r#"{"id":"x","params":[1,2,4],"method":"sum","jsonrpc":"2.0"}"#, Some(result(7, "x"))),
        // Without parameters.
        (r#"{"jsonrpc":"2.0","method":"get_data","id":"9"}"#, Some(result(json!(["hello", 5]), "9"))),
        (r#"{"jsonrpc":"2.0","method":"get_data","params":{ },"id":0}"#, Some(result(json!(["hello", 5]), 0))),
        (r#"{"jsonrpc":"2.0","method":"get_data","params":[],"id":null}"#, Some(result(json!(["hello", 5]), ()))),
        (r#"{"jsonrpc":"2.0","method":"greet","id":1.5}"#, Some(result(json!({"words": "hello, stranger"}), 1.5))),
        (
            r#"{"jsonrpc":"2.0","method":"greet","params":{"name":"ann"},"id":-1}"#,
            Some(result(json!({"words": "hello, ann"}), -1)),
        ),
        // Notifications, good and bad.
        (r#"{"jsonrpc":"2.0","method":"update","params":[1,2,3]}"#, None),
        (r#"{"jsonrpc":"2.0","method":"foobar"}"#, None),
        (r#"{"jsonrpc":"2.0","method":"sum","params":"bar"}"#, Some(invalid())),
        // Errors.
        (r#"{"jsonrpc":"2.0","method":"foobar","id":"1"}"#, Some(error(-32601, "Method not found", "1"))),
        (r#"{"jsonrpc":"2.0","method":"sum","params":["a"],"id":1}"#, Some(error(-32602, "Invalid params", 1))),
        (r#"{"jsonrpc":"2.0","method":"subtract","id":1}"#, Some(error(-32602, "Invalid params", 1))),
        (r#"{"jsonrpc":"2.0","method":"greet","params":{"nam":"x"},"id":1}"#, Some(error(-32602, "Invalid params", 1))),
        (r#"{"jsonrpc":"2.0","method":"fail","id":1}"#, Some(error(-32603, "Internal error", 1))),
        (r#"{"jsonrpc":"2.0","method":"refuse","id":1}"#, Some(error(7, "not today", 1))),
        (r#"{"jsonrpc":"2.0","method":"restart","id":1}"#, Some(error(-32003, "This is not allowed", 1))),
        // Not requests.
        (r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#, Some(invalid())),
        (r#"{"jsonrpc":"1.0","method":"sum","id":4}"#, Some(error(-32600, "Invalid Request", 4))),
        (r#"{"jsonrpc":"2.0","id":4}"#, Some(error(-32600, "Invalid Request", 4))),
        (r#"{"jsonrpc":"2.0","method":"sum","id":[1]}"#, Some(invalid())),
        (r#"{"jsonrpc":"2.0","method":"sum","id":{}}"#, Some(invalid())),
        (r#"{"jsonrpc":"2.0","method":"sum","method":"sum","id":1}"#, Some(invalid())),
        (
            r#"{"jsonrpc":"2.0","result":1,"error":{"code":1,"message":""},"id":1}"#,
            Some(error(-32600, "Invalid Request", 1)),
        ),
        // An answer to nothing that was asked.
        (r#"{"jsonrpc":"2.0","result":1,"id":1}"#, None),
        // Batches.
        (r"[]", Some(invalid())),
        (r"[1]", Some(json!([invalid()]))),
        (r"[1,2]", Some(json!([invalid(), invalid()]))),
        (r"[1,2,3,4,5,6]", Some(invalid())),
        (
            r#"[{"jsonrpc":"2.0","method":"sum","params":[1],"id":"1"},{"jsonrpc":"2.0","method"]"#,
            Some(error(-32700, "Parse error", ())),
        ),
        (
            r#"[{"jsonrpc":"2.0","method":"update","params":[1]},{"jsonrpc":"2.0","method":"update","params":[7]}]"#,
            None,
        ),
        (
            r#"[{"jsonrpc":"2.0","method":"sum","params":[1,2,4],"id":"1"},{"jsonrpc":"2.0","method":"update","params":[7]},
                {"foo":"boo"},{"jsonrpc":"2.0","method":"foo.get","params":{"name":"myself"},"id":"5"},
                {"jsonrpc":"2.0","method":"get_data","id":"9"}]"#,
            Some(json!([
                result(7, "1"),
                invalid(),
                error(-32601, "Method not found", "5"),
                result(json!(["hello", 5]), "9")
            ])),
        ),
    ];
    let mut hub = hub();
    let conn = hub.connect();
    for (sent, expected) in cases {
        let came: Vec<_> = answers(&mut hub, conn, &sent.replace('\n', " ")).into_iter().map(terse).collect();
        assert_eq!(came, expected.into_iter().collect::<Vec<_>>(), "{sent}");
    }
    assert_eq!(hub.handler().app().notified, [json!([1, 2, 3]), json!([1]), json!([7]), json!([7])]);
}

#[test]
fn bad_parameters_are_told_with_path_and_reason_and_causes_are_not_told() {
    let mut hub = hub();
    let conn = hub.connect();
    let [answer] = &answers(&mut hub, conn, r#"{"jsonrpc":"2.0","method":"sum","params":[1,"b"],"id":1}"#)[..] else {
        unreachable!("one answer");
    };
    assert_eq!(answer["error"]["data"], json!({"path": "[1]", "reason": "invalid type: string \"b\", expected i64"}));
    let [answer] = &answers(&mut hub, conn, r#"{"jsonrpc":"2.0","method":"fail","id":1}"#)[..] else {
        unreachable!("one answer");
    };
    assert_eq!(answer["error"], json!({"code": -32603, "message": "Internal error"}));
}

#[test]
fn what_is_not_for_the_caller_is_for_the_log() {
    let (send, logged) = std::sync::mpsc::channel();
    let service = office().on_error(move |method, cause| send.send(format!("{method}: {cause}")).expect("heard"));
    let mut hub = TestHub::new(service);
    let conn = hub.connect();
    hub.line(conn, r#"{"jsonrpc":"2.0","method":"fail"}"#);
    assert_eq!(logged.try_iter().collect::<Vec<_>>(), ["fail: invalid digit found in string"]);
}

#[test]
fn what_can_be_called_is_told_to_who_may() {
    let mut hub = hub();
    let conn = hub.connect();
    let ask = |hub: &mut TestHub<_>, method: &str| {
        answers(hub, conn, &json!({"jsonrpc": "2.0", "method": method, "id": 1}).to_string()).remove(0)["result"].take()
    };
    let names = |listed: &Value| -> Vec<String> {
        let listed = listed["methods"].as_array().expect("methods");
        listed.iter().map(|method| method["name"].as_str().expect("a name").to_owned()).collect()
    };
    let document = ask(&mut hub, "rpc.discover");
    assert_eq!(
        (&document["openrpc"], &document["info"]),
        (&json!("1.3.2"), &json!({"title": "office", "version": "2.1.0"}))
    );
    let shown = ["fail", "get_data", "greet", "refuse", "slow", "subtract", "sum", "update"];
    assert_eq!(names(&document), shown);
    let subtract = &document["methods"][5];
    assert_eq!(subtract["description"], json!("One number less another."));
    assert_eq!(subtract["params"][0]["name"], json!("minuend"));
    assert_eq!(
        (&subtract["params"][1]["required"], &subtract["params"][1]["schema"]["type"]),
        (&json!(true), &json!("integer"))
    );
    assert_eq!(document["methods"][2]["params"][0]["required"], json!(false));
    let reference = document["methods"][2]["result"]["schema"]["$ref"].as_str().expect("a reference");
    let place = reference.strip_prefix('#').expect("in the document");
    assert_eq!(document.pointer(place).expect("it is there")["properties"]["words"]["type"], json!("string"));
    hub.line(conn, "admin");
    let list = ask(&mut hub, "listall");
    assert!(names(&list).contains(&"restart".into()) && list["count"] == json!(9));
    assert_eq!(ask(&mut hub, "restart"), json!("done"));
}

#[test]
fn ten_thousand_requests_at_once_have_ten_thousand_answers_in_order() {
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
fn what_answers_later_answers_once_in_its_batch_and_in_time() {
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
fn too_many_calls_in_progress_are_refused_by_name_and_notifications_hold_a_place_too() {
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("valid")]);
    config.tickets = TicketLimits { per_connection: 2, ..TicketLimits::default() };
    let mut hub = TestHub::with_config(config, office());
    let conn = hub.connect();
    hub.line(conn, r#"{"jsonrpc":"2.0","method":"slow"}"#);
    hub.line(conn, r#"{"jsonrpc":"2.0","method":"slow","id":1}"#);
    let [answer] = &answers(&mut hub, conn, r#"{"jsonrpc":"2.0","method":"slow","id":1}"#)[..] else {
        unreachable!("one answer");
    };
    let expected =
        json!({"code": -32000, "message": "Server busy", "data": "2 requests of this connection are in progress"});
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
fn the_server_calls_too_and_hears_once_what_came_of_it() {
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
fn hostile_json_is_an_error_and_nothing_more() {
    let mut hub = hub();
    let conn = hub.connect();
    // Who has spoken JSON is taken at its word.
    hub.line(conn, "{}");
    for hostile in [
        "[".repeat(60_000),
        format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000)),
        format!(r#"{{"jsonrpc":"2.0","method":"sum","id":1,"params":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000)),
        format!(r#"{{"jsonrpc":"2.0","method":"sum","id":1,"params":[{}]}}"#, "9".repeat(5_000)),
        r#"{"jsonrpc":"2.0","method":"sum","id":1,"params":[1e999]}"#.into(),
        r#"{"jsonrpc":"2.0","method":"sum","id":1,"params":[NaN]}"#.into(),
        format!(r#"{{"jsonrpc":"2.0","method":"sum","id":"{}"}}"#, "x".repeat(10_000)),
        format!(r#"{{"jsonrpc":"2.0","method":"{}","id":1}}"#, "x".repeat(10_000)),
        r#"{"jsonrpc":"2.0","method":"\ud800","id":1}"#.into(),
    ] {
        let came = answers(&mut hub, conn, &hostile);
        assert_eq!(came.len(), 1, "{hostile:.60}");
        let said = came[0].to_string();
        assert!(said.len() < 400 && said.contains("\"error\""), "{said:.400} for {hostile:.60}");
    }
    assert!(!hub.is_closed(conn));
}

#[test]
fn whoever_tries_to_call_is_answered_as_a_caller() {
    let mut hub = hub();
    let conn = hub.connect();
    for (sent, code, id) in [
        (r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#, -32700, Value::Null),
        (r#"{"jsonrpc":null,"method":"sum","id":1}"#, -32600, json!(1)),
        (r#"{"jsonrpc":"2.0","method":"nothing","id":2,"type":5}"#, -32601, json!(2)),
        (r#"{"jsonrpc":"2.0","method":"nothing","id":3,"type":"a","type":"b"}"#, -32601, json!(3)),
    ] {
        let came = answers(&mut hub, conn, sent);
        assert_eq!((&came[0]["error"]["code"], &came[0]["id"]), (&json!(code), &id), "{sent}");
    }
}

#[test]
fn the_end_of_a_connection_is_told_though_what_waits_for_an_answer_panics() {
    let (send, ends) = std::sync::mpsc::channel();
    let service = office()
        .on_text(|_, cx, _: &str| {
            let panics = |_: &mut Office, _: &mut Cx<'_, Office>, result: Result<i64, CallError>| {
                result.expect("an answer");
            };
            cx.call("never", &[1], Duration::from_secs(5), panics).map(drop)
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
fn a_fixed_number_of_parameters_is_told() {
    let rpc = Rpc::new("x", "1").method("add", |_: &mut Office, _, [a, b]: [i64; 2]| Ok(a + b));
    let mut hub = TestHub::new(Service::new(Office::default()).rpc(rpc));
    let conn = hub.connect();
    let document = answers(&mut hub, conn, r#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#).remove(0);
    assert_eq!(document["result"]["methods"][0]["params"].as_array().map(Vec::len), Some(2), "{document}");
}

#[test]
fn a_call_that_is_too_many_is_answered_and_an_error_of_a_later_one_too() {
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
fn a_method_with_one_plain_parameter_is_called_by_position_and_says_so() {
    let rpc = Rpc::new("squares", "1").method("square", |(), _, number: i64| Ok::<_, RpcError>(number * number));
    let mut hub = TestHub::new(Service::new(()).rpc(rpc));
    let conn = hub.connect();
    let mut ask = |method: &str, params: &str| {
        hub.clear();
        hub.line(conn, &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#));
        serde_json::from_str::<Value>(&hub.lines(conn)[0]).expect("JSON")
    };
    assert_eq!(ask("square", "[12]"), result(144, 1));
    for params in ["[]", "[1,2]", "[\"x\"]", "[[12]]", "{}", "{\"number\":12}"] {
        assert_eq!(terse(ask("square", params)), error(-32602, "Invalid params", 1), "{params}");
    }
    let described = ask("rpc.discover", "[]")["result"]["methods"][0].clone();
    assert_eq!(described["paramStructure"], "by-position");
    let [parameter] = &described["params"].as_array().expect("a list")[..] else {
        panic!("one parameter: {described}")
    };
    assert_eq!((&parameter["name"], &parameter["schema"]["type"]), (&json!("p1"), &json!("integer")));
}
