//! JSON-RPC 2.0: calls from peers to the server and from the server to peers.

#![allow(clippy::expect_used, clippy::unreachable, reason = "a test fails where its assumption does")]

mod answers;
mod client;
mod refused;
mod rooms;
mod specification;

use drupe_core::kit::rpc::{CallError, Rpc, RpcError, RpcLimits};
use drupe_core::kit::{App, Service};
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Identity, Listen, Ticket};
use serde_json::{Value, json};
use specification::terse;
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
        .limits(RpcLimits::default().batch_max(5).deadline(Duration::from_secs(10)))
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

#[test]
fn method_with_one_plain_parameter_takes_it_by_position() {
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
