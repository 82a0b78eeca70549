//! The ready-made methods for rooms that remember.

use drupe_core::history::{Gap, Keep};
use drupe_core::kit::rpc::{Rpc, RpcError};
use drupe_core::kit::{RoomRules, Service};
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Listen, RoomMemory, RoomOptions};
use serde_json::{Value, json};

fn hub(service: Service<()>) -> TestHub<Service<()>> {
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
    let memory = RoomMemory::default().rooms(vec![RoomOptions::new("news", Keep::messages(2))]);
    TestHub::with_config(Config::listening([listen]).memory(memory).unlimited(), service)
}

fn open() -> Service<()> {
    Service::new(()).rooms(RoomRules::all_open()).room_messages()
}

/// The messages that follow a call: first those of rooms, then the response.
fn call(hub: &mut TestHub<Service<()>>, conn: ConnId, method: &str, params: &Value) -> (Vec<Value>, Value) {
    hub.clear();
    hub.line(conn, &json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string());
    let mut messages: Vec<Value> =
        hub.lines(conn).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let response = messages.pop().expect("a response");
    assert_eq!(response["id"], 1);
    (messages, response)
}

#[test]
fn methods_do_what_the_messages_do() {
    let mut hub = hub(open());
    let (ann, bob) = (hub.connect(), hub.connect());
    let publish = |hub: &mut TestHub<_>, data: &Value| {
        let (_, response) = call(hub, bob, "publish", &json!({ "room": "news", "data": data }));
        assert_eq!(response["result"]["repeated"], false, "{response}");
        response["result"]["position"].clone()
    };
    let (_, response) = call(&mut hub, ann, "subscribe", &json!({ "room": "news" }));
    let start = response["result"]["position"].clone();
    assert_eq!(response["result"], json!({ "room": "news", "position": start }));
    let first = publish(&mut hub, &json!([1]));
    let message = json!({ "type": "message", "room": "news", "position": first, "data": [1] });
    assert_eq!(hub.lines(ann), [message.to_string().replace(' ', "")].map(|text| reordered(&text)));
    let (_, response) = call(&mut hub, ann, "unsubscribe", &json!({ "room": "news" }));
    assert_eq!(response["result"], json!({ "room": "news" }));
    let second = publish(&mut hub, &json!("two"));
    let (missed, response) = call(&mut hub, ann, "subscribe", &json!(["news", first]));
    assert_eq!(missed, [json!({ "type": "message", "room": "news", "position": second, "data": "two" })]);
    let expected = json!({ "room": "news", "position": second, "recovered": true, "missed": 1 });
    assert_eq!(response["result"], expected);
    let (_, response) = call(&mut hub, bob, "history", &json!({ "room": "news", "since": first }));
    let messages = json!([{ "position": second, "data": "two" }]);
    assert_eq!(response["result"], json!({ "room": "news", "messages": messages, "position": second, "more": false }));
    publish(&mut hub, &json!(3));
    publish(&mut hub, &json!(4));
    call(&mut hub, ann, "unsubscribe", &json!({ "room": "news" }));
    let (notice, response) = call(&mut hub, ann, "subscribe", &json!({ "room": "news", "since": first }));
    assert_eq!((notice.len(), &notice[0]["type"]), (1, &"gap".into()));
    assert_eq!((&response["result"]["recovered"], &response["result"]["why"]), (&false.into(), &"too_old".into()));
}

/// Returns a message with its members in the order in which the server writes them.
fn reordered(text: &str) -> String {
    let message: Value = serde_json::from_str(text).expect("JSON");
    let [room, position, data] = ["room", "position", "data"].map(|name| message[name].to_string());
    format!(r#"{{"type":"message","room":{room},"position":{position},"data":{data}}}"#)
}

#[test]
fn refusals_have_codes_and_reasons() {
    let mut open = hub(open());
    let mut closed = hub(Service::new(()).room_messages());
    let (ann, eve) = (open.connect(), closed.connect());
    call(&mut open, ann, "publish", &json!({ "room": "news", "data": 1 }));
    for (method, params, code, data) in [
        ("publish", json!({ "room": "plain", "data": 1 }), RpcError::REFUSED, Some("refused")),
        ("unsubscribe", json!({ "room": "news" }), RpcError::REFUSED, Some("refused")),
        ("history", json!({ "room": "news", "since": "1.2.3" }), RpcError::REFUSED, Some(Gap::OtherEpoch.name())),
        ("history", json!({ "room": "plain" }), RpcError::REFUSED, Some(Gap::NoHistory.name())),
        ("history", json!({ "room": "news", "max": 1001 }), RpcError::INVALID_PARAMS, None),
        ("subscribe", json!({ "room": "news", "since": "x" }), RpcError::INVALID_PARAMS, None),
        ("publish", json!({ "room": "news" }), RpcError::INVALID_PARAMS, None),
    ] {
        let error = &call(&mut open, ann, method, &params).1["error"];
        assert_eq!(
            (&error["code"], error["data"]["code"].as_str()),
            (&code.into(), data),
            "{method} {params}: {error}"
        );
        assert!(error["data"]["reason"].is_string(), "{method} {params}: {error}");
    }
    for (method, params) in [
        ("subscribe", json!({ "room": "news" })),
        ("unsubscribe", json!({ "room": "news" })),
        ("publish", json!({ "room": "news", "data": 1 })),
        ("history", json!({ "room": "news" })),
    ] {
        let error = &call(&mut closed, eve, method, &params).1["error"];
        assert_eq!(error["code"], RpcError::FORBIDDEN, "{method}: {error}");
    }
}

#[test]
fn batch_is_answered_once_the_rooms_have_answered() {
    let mut hub = hub(open());
    let ann = hub.connect();
    let request = |id, method, params| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let batch = json!([
        request(1, "publish", json!({ "room": "news", "data": 1 })),
        request(2, "publish", json!({ "room": "plain", "data": 1 })),
        request(3, "history", json!({ "room": "news" })),
    ]);
    hub.line(ann, &batch.to_string());
    let responses: Vec<Value> = serde_json::from_str(&hub.lines(ann)[0]).expect("a batch");
    assert_eq!(responses[0]["result"]["repeated"], false);
    assert_eq!(responses[1]["error"]["code"], RpcError::REFUSED);
    assert_eq!(responses[2]["result"]["messages"][0]["data"], 1);
}

#[test]
fn descriptions_list_the_methods_with_what_is_enforced() {
    let own = || {
        let own = Rpc::new("own", "2").method("add", |(), _, (a, b): (i64, i64)| Ok::<_, RpcError>(a + b));
        own.method("history", |(), _, ()| Ok::<_, RpcError>("of our own"))
    };
    for service in [open().rpc(own()), Service::new(()).rpc(own()).room_messages()] {
        let mut hub = hub(service);
        let ann = hub.connect();
        let (_, response) = call(&mut hub, ann, "rpc.discover", &json!({}));
        assert_eq!(response["result"]["info"]["title"], "own");
        let methods = response["result"]["methods"].as_array().expect("a list");
        let names: Vec<_> = methods.iter().map(|method| method["name"].as_str().expect("a name")).collect();
        assert_eq!(names, ["add", "history", "presence", "publish", "subscribe", "unsubscribe"]);
        let key = methods[3]["params"].as_array().expect("a list").iter().find(|param| param["name"] == "key");
        assert_eq!(key.expect("a parameter")["schema"]["maxLength"], 64);
        assert_eq!(key.expect("a parameter")["required"], false);
        let (_, response) = call(&mut hub, ann, "history", &json!([]));
        assert_eq!(response["result"], "of our own", "a method of the application comes before a ready-made one");
    }
    let mut hub = hub(open());
    let ann = hub.connect();
    let (_, response) = call(&mut hub, ann, "listall", &json!({}));
    let history = &response["result"]["methods"][0];
    assert_eq!(
        (&history["name"], &history["parameters"]["properties"]["max"]["maximum"]),
        (&"history".into(), &1000.into())
    );
}
