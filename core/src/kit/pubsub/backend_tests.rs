#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

use super::tests::{API_KEY, ask, channels, heard, hub_with, options};
use super::{Channels, PubSub, PubSubBackend};
use crate::base::{ConnId, Failure, ListenerId};
use crate::kit::backend::Backend;
use crate::testing::TestHub;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::{Value, json};

type Server = TestHub<PubSub>;

/// The backend decides on everything in `news`.
fn asking(backend: PubSubBackend) -> Server {
    let mut channels: Channels = channels();
    let news = channels.namespaces.get_mut("news").expect("it is there");
    (news.subscribe_proxy_enabled, news.publish_proxy_enabled) = (true, true);
    hub_with(options().channels(channels).allow_anonymous(false).backend(Some(backend)))
}

fn backend() -> PubSubBackend {
    PubSubBackend::new("tcp://127.0.0.1:3000".parse().expect("an address")).connect(true).rpc(true)
}

/// Lets the oldest attempt to connect to the backend succeed.
fn accept(hub: &mut Server) -> ConnId {
    let dial = hub.handler().backend.as_ref().and_then(Backend::first_dial).expect("it dials");
    hub.dialed(dial, "127.0.0.1:3000".parse().expect("an address")).expect("it connects")
}

fn refuse(hub: &mut Server) {
    let dial = hub.handler().backend.as_ref().and_then(Backend::first_dial).expect("it dials");
    hub.dial_failed(dial, Failure::Refused);
}

/// Returns the path and the body of the question that came last.
fn question(hub: &Server, link: ConnId) -> (String, Value) {
    let text = String::from_utf8_lossy(hub.received(link)).into_owned();
    let last = text.rfind("POST ").expect("a request");
    let (head, body) = text[last..].split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).expect("a path").into(), serde_json::from_str(body).expect("JSON"))
}

fn answer(hub: &mut Server, link: ConnId, answer: Value) {
    hub.clear();
    let body = answer.to_string();
    hub.send(link, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    // What came meanwhile is read again.
    hub.advance(Duration::from_millis(1));
}

/// Connects a client that the backend calls `ann`.
fn ann(hub: &mut Server) -> (ConnId, ConnId) {
    let conn = hub.connect();
    assert!(ask(hub, conn, &json!({ "id": 1, "connect": {} })).is_empty());
    let link = accept(hub);
    answer(hub, link, json!({ "result": { "user": "ann" } }));
    assert!(heard(hub, conn)[0]["connect"]["client"].is_string());
    (conn, link)
}

#[test]
fn backend_says_who_a_client_is_and_where_it_is_subscribed() {
    let mut hub = asking(backend().prefix("/hooks".into()).fields(Vec::from([("Authorization".into(), "x".into())])));
    let conn = hub.connect();
    hub.line(conn, r#"{"id":1,"connect":{"data":{"a":1},"name":"js","version":"2"}}"#);
    hub.line(conn, r#"{"id":2,"presence":{"channel":"news:1"}}"#);
    let link = accept(&mut hub);
    let (path, asked) = question(&hub, link);
    assert!(String::from_utf8_lossy(hub.received(link)).contains("\r\nAuthorization: x\r\n"));
    assert_eq!((&*path, &asked["data"], &asked["name"]), ("/hooks/connect", &json!({ "a": 1 }), &json!("js")));
    assert!(asked.get("user").is_none() && asked["transport"] == "lines", "{asked}");
    assert!(hub.lines(conn).is_empty(), "both wait");
    let given = json!({ "user": "ann", "channels": ["news:1"], "data": [1], "info": { "b": 2 }, "meta": null });
    answer(&mut hub, link, json!({ "result": given }));
    let heard = heard(&hub, conn);
    let connected = heard.iter().find(|reply| reply["id"] == 1).expect("a reply")["connect"].clone();
    assert_eq!((&connected["client"], &connected["data"]), (&asked["client"], &json!([1])));
    assert_eq!(connected["subs"]["news:1"]["recoverable"], true);
    let presence = heard.iter().find(|reply| reply["id"] == 2).expect("a reply")["presence"]["presence"].clone();
    assert_eq!(presence[connected["client"].as_str().expect("text")]["conn_info"], json!({ "b": 2 }));
}

#[test]
fn client_without_a_name_is_refused_as_without_a_backend() {
    for (given, code) in [
        (json!({ "result": null }), 3501),
        (json!({}), 3501),
        (json!({ "disconnect": { "code": 4501, "reason": "go away" } }), 4501),
    ] {
        let mut hub = asking(backend());
        let conn = hub.connect();
        hub.line(conn, r#"{"id":1,"connect":{}}"#);
        let link = accept(&mut hub);
        answer(&mut hub, link, given.clone());
        let heard = heard(&hub, conn);
        assert!(hub.is_closed(conn) && heard[0]["push"]["disconnect"]["code"] == code, "{given}: {heard:?}");
    }
    let mut hub = asking(backend());
    let conn = hub.connect();
    hub.line(conn, r#"{"id":1,"connect":{}}"#);
    let link = accept(&mut hub);
    answer(&mut hub, link, json!({ "error": { "code": 1000, "message": "no" } }));
    assert_eq!(heard(&hub, conn)[0]["error"], json!({ "code": 1000, "message": "no" }));
}

#[test]
fn backend_decides_on_subscriptions_publications_and_calls_in_their_order() {
    let mut hub = asking(backend());
    let (conn, link) = ann(&mut hub);
    hub.clear();
    // In one message: each is asked after the one before it was answered.
    let commands = [
        r#"{"id":2,"subscribe":{"channel":"news:1","data":"x","recoverable":true}}"#,
        r#"{"id":3,"publish":{"channel":"news:1","data":1}}"#,
        r#"{"id":4,"rpc":{"method":"m","data":{"c":3}}}"#,
        r#"{"id":5,"history":{"channel":"news:1","limit":5}}"#,
    ];
    hub.line(conn, commands[0]);
    commands[1..].iter().for_each(|command| hub.line(conn, command));
    let (path, asked) = question(&hub, link);
    assert_eq!((&*path, &asked["channel"], &asked["data"]), ("/subscribe", &json!("news:1"), &json!("x")));
    assert_eq!((&asked["user"], hub.lines(conn).len()), (&json!("ann"), 0));
    answer(&mut hub, link, json!({ "result": { "data": { "d": 4 } } }));
    assert_eq!(heard(&hub, conn)[0]["subscribe"]["data"], json!({ "d": 4 }));
    let (path, asked) = question(&hub, link);
    assert_eq!((&*path, &asked["data"]), ("/publish", &json!(1)));
    answer(&mut hub, link, json!({ "result": { "data": 2, "tags": { "t": "u" } } }));
    let (path, asked) = question(&hub, link);
    assert_eq!((&*path, &asked["method"], &asked["data"]), ("/rpc", &json!("m"), &json!({ "c": 3 })));
    let published = heard(&hub, conn);
    assert!(published.contains(&json!({ "id": 3, "publish": {} })), "{published:?}");
    answer(&mut hub, link, json!({ "result": { "data": "called" } }));
    let rest = heard(&hub, conn);
    assert_eq!(rest[0], json!({ "id": 4, "rpc": { "data": "called" } }));
    let kept = &rest[1]["history"]["publications"][0];
    assert_eq!((&kept["data"], &kept["tags"]), (&json!(2), &json!({ "t": "u" })));
    // What it refuses.
    hub.clear();
    hub.line(conn, r#"{"id":6,"publish":{"channel":"news:1","data":1}}"#);
    answer(&mut hub, link, json!({ "error": { "code": 1001, "message": "rude", "temporary": true } }));
    assert_eq!(heard(&hub, conn)[0]["error"], json!({ "code": 1001, "message": "rude", "temporary": true }));
    for (command, given, code) in [
        (r#"{"id":7,"subscribe":{"channel":"news:2"}}"#, json!({}), 103),
        (r#"{"id":7,"publish":{"channel":"news:1","data":1}}"#, json!({ "result": null }), 103),
        (r#"{"id":7,"publish":{"channel":"news:1","data":1}}"#, json!({ "result": { "skip_history": true } }), 100),
        (r#"{"id":7,"publish":{"channel":"news:1","data":1}}"#, json!({ "result": { "tags": 7 } }), 100),
        (r#"{"id":7,"subscribe":{"channel":"news:2"}}"#, json!({ "result": { "override": {} } }), 100),
        (r#"{"id":7,"rpc":{"method":"m"}}"#, json!([]), 100),
    ] {
        hub.line(conn, command);
        answer(&mut hub, link, given.clone());
        assert_eq!(heard(&hub, conn)[0]["error"]["code"], code, "{command} {given}");
    }
    hub.line(conn, r#"{"id":8,"rpc":{"method":"m"}}"#);
    answer(&mut hub, link, json!({ "disconnect": { "code": 4000, "reason": "again" } }));
    assert!(hub.is_closed(conn));
}

#[test]
fn backend_that_does_not_answer_costs_a_second_and_then_nothing() {
    let mut hub = asking(backend().connect(false).timeout(Duration::from_secs(1)));
    hub.with_handler(|app| app.options.allow_anonymous = true);
    let conn = hub.connect();
    ask(&mut hub, conn, &json!({ "id": 1, "connect": {} }));
    let call = json!({ "id": 2, "rpc": { "method": "m" } });
    let internal = json!({ "code": 100, "message": "internal server error", "temporary": true });
    assert!(ask(&mut hub, conn, &call).is_empty());
    let link = accept(&mut hub);
    hub.clear();
    hub.advance(Duration::from_secs(1));
    assert!(heard(&hub, conn)[0]["error"] == internal && hub.is_closed(link));
    // One that is not there.
    for _ in 0..7 {
        assert!(ask(&mut hub, conn, &call).is_empty());
        refuse(&mut hub);
        assert_eq!(heard(&hub, conn)[0]["error"], internal);
    }
    assert_eq!(ask(&mut hub, conn, &call)[0]["error"], internal, "it is left alone");
    hub.advance(Duration::from_secs(1));
    assert!(ask(&mut hub, conn, &call).is_empty(), "one on trial");
    let link = accept(&mut hub);
    answer(&mut hub, link, json!({ "result": {} }));
    assert_eq!(heard(&hub, conn)[0], json!({ "id": 2, "rpc": { "data": null } }));
    // Status codes other than 200, and what is no HTTP.
    for (text, is_open) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false),
    ] {
        ask(&mut hub, conn, &call);
        let link = if hub.is_closed(link) { accept(&mut hub) } else { link };
        hub.clear();
        hub.send(link, text.as_bytes());
        assert_eq!((&heard(&hub, conn)[0]["error"], hub.is_closed(link)), (&internal, !is_open), "{text}");
    }
    ask(&mut hub, conn, &call);
    let link = accept(&mut hub);
    hub.clear();
    hub.send(link, b"SSH-2.0-x\r\n\r\n");
    assert!(heard(&hub, conn)[0]["error"] == internal && hub.is_closed(link));
}

#[test]
fn client_that_leaves_while_the_backend_is_asked_harms_nobody() {
    let mut hub = asking(backend());
    let gone = hub.connect();
    hub.line(gone, r#"{"id":1,"connect":{}}"#);
    let link = accept(&mut hub);
    hub.fail(gone, Failure::Reset);
    answer(&mut hub, link, json!({ "result": { "user": "ann" } }));
    assert!(hub.is_closed(gone) && hub.handler().questions.is_empty());
    let conn = hub.connect();
    hub.line(conn, r#"{"id":1,"connect":{}}"#);
    answer(&mut hub, link, json!({ "result": { "user": "bob" } }));
    assert!(heard(&hub, conn)[0]["connect"]["client"].is_string(), "over the same connection");
    hub.advance(Duration::from_secs(2));
    assert!(hub.is_closed(link), "an unused connection is closed");
}

#[test]
fn backend_is_told_of_clients_that_have_gone_until_it_hears_it() {
    let mut hub = asking(backend().disconnect(true));
    let (conn, link) = ann(&mut hub);
    hub.clear();
    hub.end(conn);
    let (path, told) = question(&hub, link);
    assert_eq!((&*path, &told["user"]), ("/disconnect", &json!("ann")));
    hub.clear();
    hub.send(link, b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
    assert!(hub.received(link).is_empty());
    hub.advance(Duration::from_secs(1));
    assert_eq!(question(&hub, link).0, "/disconnect");
    answer(&mut hub, link, json!({}));
    hub.advance(Duration::from_secs(60));
    assert!(hub.is_closed(link) && hub.handler().backend.as_ref().is_some_and(Backend::is_idle));
    // After five failures, it is counted.
    let (conn, link) = ann(&mut hub);
    hub.end(conn);
    hub.fail(link, Failure::Reset);
    for wait in [1, 2, 4, 8] {
        hub.advance(Duration::from_secs(wait));
        refuse(&mut hub);
    }
    assert!(hub.handler().backend.as_ref().is_some_and(Backend::is_idle));
    let web = hub.try_connect(ListenerId(1), "127.0.0.1:9".parse().expect("an address")).expect("let in");
    hub.send(web, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let metrics = String::from_utf8_lossy(hub.received(web)).into_owned();
    assert!(metrics.contains("\npubsub_backend_lost_total 1\n"), "{metrics}");
}

#[test]
fn people_are_asked_for_and_answered_as_well() {
    let mut hub = asking(backend());
    let conn = hub.connect();
    hub.line(conn, "hello");
    let link = accept(&mut hub);
    answer(&mut hub, link, json!({ "result": { "user": "ann" } }));
    hub.clear();
    hub.line(conn, "/sub news:1");
    hub.line(conn, "/pub news:1 hi");
    answer(&mut hub, link, json!({ "result": {} }));
    assert_eq!(hub.lines(conn), ["* you see news:1", "[news:1] * ann has come"]);
    answer(&mut hub, link, json!({ "result": {} }));
    assert_eq!(hub.lines(conn), ["[news:1] ann: hi", "* publish: done"]);
}

#[test]
fn header_fields_are_passed_to_the_backend() {
    let mut hub = asking(backend().passed_fields(Vec::from(["Cookie".into(), "X-None".into()])));
    let web = hub.try_connect(ListenerId(1), "127.0.0.1:9".parse().expect("an address")).expect("let in");
    hub.send(
        web,
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: session=7\r\nX-Other: no\r\n\r\n",
    );
    // A masked text frame, whose mask is zero.
    let text = br#"{"id":1,"connect":{}}"#;
    let length = u8::try_from(text.len()).expect("it is short");
    hub.send(web, &[&[0x81, 0x80 | length, 0, 0, 0, 0][..], text].concat());
    let link = accept(&mut hub);
    let request = String::from_utf8_lossy(hub.received(link)).into_owned();
    assert!(request.contains("\r\nCookie: session=7\r\n") && !request.contains("X-Other"), "{request}");
    assert!(!request.contains(API_KEY));
}
