#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

use crate::base::{ConnId, ListenerId};
use crate::kit::pubsub::PubSub;
use crate::kit::pubsub::tests::{API_KEY, NOW, client, heard, hub, hub_with, options, subscribe, token};
use crate::testing::{TestHub, TestRequest};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::{Value, json};

type Server = TestHub<PubSub>;

fn backend(hub: &mut Server) -> ConnId {
    hub.try_connect(ListenerId(1), "192.0.2.1:9".parse().expect("an address")).expect("let in")
}

/// Sends a request, and returns the status and the body of the response.
fn request(hub: &mut Server, conn: ConnId, path: &str, key: &str, body: &str) -> (u16, String) {
    // What peers heard before is of no interest then.
    hub.clear();
    let fields = key.lines().filter_map(|line| line.split_once(": "));
    let request = fields.fold(TestRequest::new("POST", path).body(body), |all, (name, value)| all.field(name, value));
    let response = hub.request(conn, &request);
    (response.status, response.text())
}

fn call(hub: &mut Server, method: &str, body: Value) -> Value {
    let conn = backend(hub);
    let key = format!("X-API-Key: {API_KEY}\r\n");
    let (status, body) = request(hub, conn, &format!("/api/{method}"), &key, &body.to_string());
    assert_eq!(status, 200, "{body}");
    hub.end(conn);
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn only_the_key_opens_the_api() {
    let mut hub = hub();
    for (key, status) in [
        ("", 401),
        ("X-API-Key: 0123456789abcdeg\r\n", 401),
        ("X-API-Key: 0123456789abcdef0\r\n", 401),
        ("X-API-Key: 0123456789abcdef\r\nX-API-Key: 0123456789abcdef\r\n", 401),
        ("Authorization: Basic 0123456789abcdef\r\n", 401),
        ("X-API-Key: 0123456789abcdef\r\n", 200),
        ("Authorization: apikey 0123456789abcdef\r\n", 200),
        ("Authorization: Bearer 0123456789abcdef\r\n", 200),
    ] {
        let conn = backend(&mut hub);
        assert_eq!(request(&mut hub, conn, "/api/info", key, "{}").0, status, "{key}");
        assert_eq!(hub.is_closed(conn), status == 401, "{key}");
    }
    let conn = backend(&mut hub);
    let key = format!("X-API-Key: {API_KEY}\r\n");
    for (path, body, status) in [
        ("/api/nothing", "{}", 404),
        ("/api/", "{}", 404),
        ("/api/publish/", "{}", 404),
        ("/api/publish", "[]", 400),
        ("/api/publish", "{", 400),
        ("/api/publish", "null", 400),
        ("/api/info", "", 200),
    ] {
        assert_eq!(request(&mut hub, conn, path, &key, body).0, status, "{path} {body}");
    }
    // Guessing is throttled, also for the right key.
    for _ in 0..30 {
        let conn = backend(&mut hub);
        request(&mut hub, conn, "/api/info", "X-API-Key: 0\r\n", "{}");
    }
    let conn = backend(&mut hub);
    assert_eq!(request(&mut hub, conn, "/api/info", &key, "{}").0, 429);
}

#[test]
fn published_messages_reach_subscribers_and_histories() {
    let mut hub = hub();
    let ann = client(&mut hub, json!({}));
    subscribe(&mut hub, ann, json!({ "channel": "news:1" }));
    subscribe(&mut hub, ann, json!({ "channel": "plain:1" }));
    let published = call(&mut hub, "publish", json!({ "channel": "news:1", "data": { "a": 1 }, "tags": { "t": "u" } }));
    assert!(published["result"]["offset"] == 1 && published["result"]["epoch"] != "", "{published}");
    let push = heard(&hub, ann).remove(0);
    assert_eq!(push["push"]["pub"], json!({ "data": { "a": 1 }, "tags": { "t": "u" }, "offset": 1 }));
    assert_eq!(call(&mut hub, "publish", json!({ "channel": "plain:1", "b64data": "WzFd" })), json!({ "result": {} }));
    assert_eq!(heard(&hub, ann)[0]["push"]["pub"], json!({ "data": [1] }));
    // The second of two with a key is not sent, and has the place of the first.
    let keyed = json!({ "channel": "news:1", "data": 2, "idempotency_key": "k" });
    let first = call(&mut hub, "publish", keyed.clone());
    assert_eq!((heard(&hub, ann).len(), call(&mut hub, "publish", keyed)), (1, first));
    assert!(heard(&hub, ann).is_empty());
    let answer = call(&mut hub, "broadcast", json!({ "channels": ["news:1", "other:1", "news:2"], "data": 3 }));
    let responses = answer["result"]["responses"].as_array().expect("an array").clone();
    assert_eq!((responses.len(), &responses[0]["result"]["offset"]), (3, &json!(3)));
    assert_eq!((&responses[1]["error"]["code"], &responses[2]["result"]["offset"]), (&json!(102), &json!(1)));
    let history = call(&mut hub, "history", json!({ "channel": "news:1", "limit": 1, "reverse": true }));
    assert_eq!((&history["result"]["publications"][0]["data"], &history["result"]["offset"]), (&json!(3), &json!(3)));
    let since = json!({ "offset": 1, "epoch": history["result"]["epoch"] });
    let later = call(&mut hub, "history", json!({ "channel": "news:1", "limit": -1, "since": since }));
    assert_eq!(later["result"]["publications"].as_array().map(Vec::len), Some(2));
    assert_eq!(call(&mut hub, "history_remove", json!({ "channel": "news:1" })), json!({ "result": {} }));
    let none = call(&mut hub, "history", json!({ "channel": "news:1", "limit": -1 }));
    assert_eq!((&none["result"]["publications"], &none["result"]["offset"]), (&json!([]), &json!(3)));
}

#[test]
fn errors_name_what_is_wrong() {
    let mut hub = hub();
    for (method, body, code, words) in [
        ("publish", json!({ "channel": "news:1" }), 107, "data is missing"),
        ("publish", json!({ "channel": 7, "data": 1 }), 107, "channel must be a string"),
        ("publish", json!({ "channel": "no:1", "data": 1 }), 102, "unknown channel"),
        ("publish", json!({ "channel": "", "data": 1 }), 107, "bad request"),
        ("publish", json!({ "channel": "news:1", "b64data": "eA==" }), 107, "data must be JSON"),
        ("publish", json!({ "channel": "news:1", "b64data": "!" }), 107, "b64data must be"),
        ("publish", json!({ "channel": "news:1", "data": 1, "skip_history": true }), 108, "skip_history"),
        ("publish", json!({ "channel": "news:1", "data": 1, "tags": { "a": 1 } }), 107, "tags must be"),
        ("publish", json!({ "channel": "plain:1", "data": 1, "idempotency_key": "k" }), 108, "idempotency_key"),
        ("publish", json!({ "channel": "news:1", "data": 1, "idempotency_key": "k".repeat(65) }), 107, "65 bytes"),
        ("broadcast", json!({ "channels": [], "data": 1 }), 107, "channels must not be empty"),
        ("presence", json!({ "channel": "plain:1" }), 108, "not available"),
        ("history", json!({ "channel": "plain:1" }), 108, "not available"),
        ("history", json!({ "channel": "news:1", "reverse": true, "since": {} }), 107, "bad request"),
        ("history", json!({ "channel": "news:1", "limit": 0.5 }), 107, "limit must be"),
        ("disconnect", json!({}), 107, "user must not be empty"),
        ("disconnect", json!({ "user": "ann", "disconnect": { "code": 1000, "reason": "x" } }), 107, "3000 to 4999"),
        ("disconnect", json!({ "user": "ann", "disconnect": { "code": 4000, "reason": "1" } }), 107, "no JSON"),
        ("disconnect", json!({ "user": "ann", "disconnect": { "code": 4000 } }), 107, "no JSON"),
        ("unsubscribe", json!({ "user": "ann", "channel": "" }), 107, "bad request"),
        ("subscribe", json!({ "user": "ann", "channel": "news:1", "override": {} }), 108, "override"),
        ("rpc", json!({ "method": "x" }), 104, "method not found"),
        ("batch", json!({ "commands": [{}] }), 107, "one method"),
        ("batch", json!({ "commands": [{ "batch": {} }] }), 104, "method not found"),
        ("batch", json!({ "commands": [{ "publish": null }] }), 107, "an object"),
        ("batch", json!({ "commands": 7 }), 107, "commands must be"),
    ] {
        let answer = call(&mut hub, method, body.clone());
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(answer["error"]["code"] == code && message.contains(words), "{method} {body}: {answer}");
    }
}

#[test]
fn batch_runs_in_order_and_is_all_or_nothing_where_it_is_too_much() {
    let mut hub = hub();
    let commands = json!([
        { "publish": { "channel": "news:1", "data": 1 } },
        { "history": { "channel": "news:1", "limit": 10 } },
        { "publish": { "channel": "no:1", "data": 1 } },
        { "broadcast": { "channels": ["news:2"], "data": 1 } },
    ]);
    let answer = call(&mut hub, "batch", json!({ "commands": commands }));
    let replies = answer["replies"].as_array().expect("an array").clone();
    assert_eq!((replies.len(), &replies[0]["publish"]["offset"]), (4, &json!(1)));
    assert_eq!(replies[1]["history"]["publications"][0]["data"], 1);
    assert_eq!(replies[2]["error"]["code"], 102);
    assert_eq!(replies[3]["broadcast"]["responses"][0]["result"]["offset"], 1);
    assert_eq!(call(&mut hub, "batch", json!({ "commands": [] })), json!({ "replies": [] }));
    let channels: Vec<String> = (0..1_000).map(|number| format!("news:{number}")).collect();
    let broadcast = json!({ "channels": channels, "data": 1 });
    assert_eq!(
        call(&mut hub, "broadcast", broadcast.clone())["result"]["responses"].as_array().map(Vec::len),
        Some(1_000)
    );
    let two = json!({ "commands": [{ "publish": { "channel": "news:1", "data": 2 } }, { "broadcast": broadcast }] });
    assert_eq!(call(&mut hub, "batch", two)["error"]["code"], 106);
    let top = call(&mut hub, "history", json!({ "channel": "news:1" }));
    assert_eq!(top["result"]["offset"], 2, "nothing of it was done: {top}");
    let long = json!({ "channels": channels, "data": "x".repeat(20_000) });
    assert_eq!(call(&mut hub, "broadcast", long)["error"]["code"], 106);
}

#[test]
fn backend_subscribes_and_unsubscribes_the_connections_of_a_user() {
    let mut hub = hub();
    let ann = client(&mut hub, json!({ "token": token("ann", json!({})) }));
    let bob = client(&mut hub, json!({ "token": token("bob", json!({})) }));
    call(&mut hub, "publish", json!({ "channel": "news:1", "data": 0 }));
    let done = json!({ "result": {} });
    let of_ann = json!({ "user": "ann", "channel": "news:1", "data": { "a": 1 }, "info": "i" });
    assert_eq!(call(&mut hub, "subscribe", of_ann.clone()), done);
    let push = heard(&hub, ann).remove(0);
    let told = &push["push"]["subscribe"];
    assert!(push["push"]["channel"] == "news:1" && told["data"] == json!({ "a": 1 }), "{push}");
    assert!(told["recoverable"] == true && told["offset"] == 1 && told["positioned"] == true, "{push}");
    assert_eq!(call(&mut hub, "subscribe", of_ann), done, "again");
    assert!(heard(&hub, ann).is_empty() && heard(&hub, bob).is_empty());
    let presence = call(&mut hub, "presence", json!({ "channel": "news:1" }));
    let there: Vec<&Value> = presence["result"]["presence"].as_object().expect("an object").values().collect();
    assert!(there.len() == 1 && there[0]["user"] == "ann" && there[0]["chan_info"] == "i", "{presence}");
    let stats = call(&mut hub, "presence_stats", json!({ "channel": "news:1" }));
    assert_eq!(stats["result"], json!({ "num_clients": 1, "num_users": 1 }));
    let found = call(&mut hub, "channels", json!({ "pattern": "new?:*" }));
    assert_eq!(found["result"]["channels"], json!({ "news:1": { "num_clients": 1, "offset": 1 } }));
    assert_eq!(call(&mut hub, "channels", json!({ "pattern": "x*" }))["result"]["channels"], json!({}));
    let node = call(&mut hub, "info", json!({}))["result"]["nodes"][0].clone();
    assert_eq!((&node["num_clients"], &node["num_users"], &node["num_subs"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(call(&mut hub, "unsubscribe", json!({ "user": "ann", "channel": "news:1" })), done);
    let push = heard(&hub, ann).remove(0);
    assert_eq!(push["push"]["unsubscribe"], json!({ "code": 2000, "reason": "server unsubscribe" }));
    // A person, with what the user has missed.
    let person = hub.connect();
    hub.line(person, &format!("/connect {}", token("cat", json!({}))));
    hub.clear();
    let missed =
        json!({ "user": "cat", "channel": "news:1", "recover_since": { "offset": 0, "epoch": told["epoch"] } });
    assert_eq!(call(&mut hub, "subscribe", missed), done);
    assert_eq!(hub.lines(person), ["* you see news:1", "[news:1] 0", "[news:1] * cat has come"]);
}

#[test]
fn backend_ends_and_refreshes_connections() {
    let mut hub = hub_with(options().ping_interval(Duration::ZERO));
    let ann = client(&mut hub, json!({ "token": token("ann", json!({})) }));
    let other = client(&mut hub, json!({ "token": token("ann", json!({})) }));
    let bob = client(&mut hub, json!({ "token": token("bob", json!({})) }));
    let refreshed = json!({ "user": "ann", "expire_at": NOW + 600 });
    assert_eq!(call(&mut hub, "refresh", refreshed), json!({ "result": {} }));
    assert_eq!(heard(&hub, ann)[0]["push"]["refresh"], json!({ "expires": true, "ttl": 600 }));
    hub.advance(Duration::from_secs(100));
    for conn in [ann, other] {
        assert!(!hub.is_closed(conn), "its time was extended");
    }
    assert!(hub.is_closed(bob), "its token has expired");
    let id = call(&mut hub, "presence", json!({ "channel": "news:1" }));
    assert_eq!(id["result"]["presence"], json!({}));
    subscribe(&mut hub, other, json!({ "channel": "news:1" }));
    let presence = call(&mut hub, "presence", json!({ "channel": "news:1" }));
    let spared = presence["result"]["presence"].as_object().and_then(|all| all.keys().next()).cloned();
    let why = json!({ "code": 4100, "reason": "moved \"away\"" });
    let but = json!({ "user": "ann", "whitelist": [spared], "disconnect": why });
    let ended = json!({ "result": { "connections": 1, "hosts": 1, "hosts_known": 1 } });
    assert_eq!(call(&mut hub, "disconnect", but), ended);
    assert_eq!((hub.is_closed(ann), hub.is_closed(other)), (true, false));
    let last = heard(&hub, ann).pop().unwrap_or_default();
    assert_eq!(last["push"]["disconnect"], json!({ "code": 4100, "reason": "moved \"away\"" }));
    call(&mut hub, "disconnect", json!({ "user": "ann", "session": "s" }));
    call(&mut hub, "disconnect", json!({ "user": "ann", "client": "c" }));
    assert!(!hub.is_closed(other));
    call(&mut hub, "disconnect", json!({ "client": spared, "user": "ann" }));
    assert!(hub.is_closed(other));
    assert_eq!(call(&mut hub, "info", json!({}))["result"]["nodes"][0]["num_clients"], 0);
}
