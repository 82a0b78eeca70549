//! Rules of the JSON-RPC 2.0 specification: requests, parameters, errors, discovery.

use super::{Office, answers, error, hub, office, result};
use drupe_core::ConnId;
use drupe_core::kit::Service;
use drupe_core::kit::rpc::Rpc;
use drupe_core::testing::TestHub;
use serde_json::{Value, json};

/// Without the data of an error, which says more.
pub(super) fn terse(mut answer: Value) -> Value {
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
fn json_rpc_specification_examples_hold() {
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
fn invalid_params_name_path_and_internal_errors_hide_cause() {
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
fn on_error_receives_the_cause_of_an_internal_error() {
    let (send, logged) = std::sync::mpsc::channel();
    let service = office().on_error(move |method, cause| send.send(format!("{method}: {cause}")).expect("heard"));
    let mut hub = TestHub::new(service);
    let conn = hub.connect();
    hub.line(conn, r#"{"jsonrpc":"2.0","method":"fail"}"#);
    assert_eq!(logged.try_iter().collect::<Vec<_>>(), ["fail: invalid digit found in string"]);
}

#[test]
fn discover_lists_only_callable_methods() {
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
fn hostile_json_gets_a_short_error() {
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
fn malformed_calls_get_json_rpc_errors() {
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
fn discover_shows_a_fixed_number_of_parameters() {
    let rpc = Rpc::new("x", "1").method("add", |_: &mut Office, _, [a, b]: [i64; 2]| Ok(a + b));
    let mut hub = TestHub::new(Service::new(Office::default()).rpc(rpc));
    let conn = hub.connect();
    let document = answers(&mut hub, conn, r#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#).remove(0);
    assert_eq!(document["result"]["methods"][0]["params"].as_array().map(Vec::len), Some(2), "{document}");
}

#[test]
fn published_constraints_are_enforced_by_name_and_by_position() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Order {
        #[schemars(range(min = 1, max = 10))]
        number: i64,
        #[schemars(length(max = 3), regex(pattern = "^a"))]
        name: Option<String>,
    }
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Level(#[schemars(range(max = 5))] u8);
    let rpc = Rpc::<()>::new("shop", "1")
        .method("order", |(), _, Order { number, name }| Ok(number + i64::from(name.is_some())))
        .method("level", |(), _, Level(level)| Ok(level));
    let mut hub = TestHub::new(Service::new(()).rpc(rpc));
    let conn = hub.connect();
    for (method, params, expected) in [
        ("order", r#"{"number":10}"#, Ok(10)),
        ("order", r#"[10,"abc"]"#, Ok(11)),
        ("order", r#"{"number":11}"#, Err(json!({"path": "number", "reason": "11 is above the maximum 10"}))),
        ("order", r"[0]", Err(json!({"path": "[0]", "reason": "0 is below the minimum 1"}))),
        (
            "order",
            r#"[1,"long"]"#,
            Err(json!({"path": "[1]", "reason": "\"long\" has 4 characters; the maximum is 3"})),
        ),
        ("level", "[5]", Ok(5)),
        ("level", "[6]", Err(json!({"reason": "6 is above the maximum 5"}))),
    ] {
        let call = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":1}}"#);
        let answer = answers_of(&mut hub, conn, &call);
        let found = answer["result"].as_i64().ok_or_else(|| answer["error"]["data"].clone());
        assert_eq!(found, expected, "{call}");
    }
    let list = answers_of(&mut hub, conn, r#"{"jsonrpc":"2.0","method":"listall","id":1}"#);
    let properties = &list["result"]["methods"][1]["parameters"]["properties"];
    assert_eq!((&properties["number"]["minimum"], &properties["number"]["maximum"]), (&json!(1), &json!(10)));
    assert_eq!((&properties["name"]["maxLength"], &properties["name"]["pattern"]), (&json!(3), &Value::Null));
    let document = answers_of(&mut hub, conn, r#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#).to_string();
    assert!(document.contains(r#""maxLength":3"#) && !document.contains("pattern"), "{document}");
}

fn answers_of(hub: &mut TestHub<Service<()>>, conn: ConnId, call: &str) -> Value {
    hub.clear();
    hub.line(conn, call);
    serde_json::from_str(&hub.lines(conn).concat()).expect("one answer")
}
