#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

use super::*;
use crate::base::{ConnId, UnixTime};
use crate::config::{Address, Config, Listen, RoomMemory};
use crate::kit::auth::{Claims, TokenKey, Tokens};
use crate::testing::TestHub;
use crate::wire::Protocol;
use crate::wire::http::{Credential, Http};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::{Value, json};

pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const API_KEY: &str = "0123456789abcdef";

pub(super) fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

/// Returns a token of a user that is valid for a minute, with further claims.
pub(super) fn token(user: &str, others: Value) -> String {
    let Value::Object(others) = others else { panic!("claims") };
    key().sign(&Claims { others, exp: Some(NOW + 60), ..Claims::of(user) }).expect("it signs")
}

/// Everybody may do everything in `news`; nobody anything in `closed`; nothing is kept in `plain`.
pub(super) fn channels() -> Channels {
    let all = ChannelRules {
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_publish_for_subscriber: true,
        allow_publish_for_anonymous: true,
        ..ChannelRules::default()
    };
    let news = ChannelRules {
        presence: true,
        join_leave: true,
        history_size: 5,
        history_ttl: Duration::from_secs(60),
        allow_recovery: true,
        allow_history_for_subscriber: true,
        allow_history_for_anonymous: true,
        allow_presence_for_subscriber: true,
        allow_presence_for_anonymous: true,
        ..all.clone()
    };
    let mut channels = Channels::default();
    channels.namespaces.insert("news".into(), news);
    channels.namespaces.insert("plain".into(), all);
    channels.namespaces.insert("closed".into(), ChannelRules::default());
    channels.without_namespace.allow_user_limited_channels = true;
    channels
}

pub(super) fn hub_with(options: PubSubOptions) -> TestHub<PubSub> {
    let memory = RoomMemory::default().rooms(options.channels.rooms());
    let http = Http { api: Credential::new(API_KEY).ok(), body_max_bytes: 1 << 20, ..Http::default() };
    let api = Listen::new(Address::Tcp("127.0.0.1:2".parse().expect("an address")), Protocol::Http(http.into()));
    let lines = "tcp://127.0.0.1:1".parse().expect("an address");
    let config = Config::listening([lines, api]).memory(memory).unlimited();
    let mut hub = TestHub::with_config(config, PubSub::new(options, ()));
    hub.set_clock(UnixTime::from_secs(NOW));
    hub
}

pub(super) fn options() -> PubSubOptions {
    let tokens = Tokens::new(key()).optional_expiry().optional_subject();
    PubSubOptions::default().channels(channels()).tokens(Some(tokens)).allow_anonymous(true)
}

pub(super) fn hub() -> TestHub<PubSub> {
    hub_with(options())
}

/// Sends a command, and returns what came since the last one.
pub(super) fn ask(hub: &mut TestHub<PubSub>, conn: ConnId, command: &Value) -> Vec<Value> {
    hub.clear();
    hub.line(conn, &command.to_string());
    heard(hub, conn)
}

pub(super) fn heard(hub: &TestHub<PubSub>, conn: ConnId) -> Vec<Value> {
    hub.lines(conn).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Connects a client with this `connect` request.
pub(super) fn client(hub: &mut TestHub<PubSub>, connect: Value) -> ConnId {
    let conn = hub.connect();
    let replies = ask(hub, conn, &json!({ "id": 1, "connect": connect }));
    assert!(replies[0]["connect"]["client"].is_string(), "{replies:?}");
    conn
}

pub(super) fn subscribe(hub: &mut TestHub<PubSub>, conn: ConnId, subscribe: Value) -> Value {
    let reply = ask(hub, conn, &json!({ "id": 2, "subscribe": subscribe })).remove(0);
    assert_eq!(reply["id"], 2);
    reply
}

pub(super) fn publish(hub: &mut TestHub<PubSub>, conn: ConnId, channel: &str, data: &Value) -> Vec<Value> {
    ask(hub, conn, &json!({ "id": 3, "publish": { "channel": channel, "data": data } }))
}

#[test]
fn subscribers_get_publications_with_offset_and_author() {
    let mut hub = hub();
    let ann = client(&mut hub, json!({ "token": token("ann", json!({ "info": { "age": 7 } })) }));
    let bob = client(&mut hub, json!({}));
    for conn in [ann, bob] {
        let reply = subscribe(&mut hub, conn, json!({ "channel": "news:1", "recoverable": true }));
        let result = &reply["subscribe"];
        assert!(result["recoverable"] == true && result["offset"] == 0 && result["epoch"] != "", "{reply}");
        assert!(result.get("recovered").is_none() && result.get("publications").is_none(), "{reply}");
    }
    let data = json!({ "text": "hi\n\"you\"", "list": [1, null] });
    let replies = publish(&mut hub, ann, "news:1", &data);
    assert_eq!(replies.len(), 2, "the publication and the reply: {replies:?}");
    assert!(replies.contains(&json!({ "id": 3, "publish": {} })), "{replies:?}");
    let push = heard(&hub, bob).remove(0);
    let publication = &push["push"]["pub"];
    assert_eq!((&push["push"]["channel"], &publication["data"]), (&json!("news:1"), &data));
    assert_eq!((&publication["offset"], &publication["info"]["user"]), (&json!(1), &json!("ann")));
    assert_eq!(publication["info"]["conn_info"], json!({ "age": 7 }));
    // Without a history, there are no offsets.
    subscribe(&mut hub, bob, json!({ "channel": "plain:1", "recoverable": true }));
    publish(&mut hub, bob, "plain:1", &json!("x"));
    let pushed = heard(&hub, bob);
    assert_eq!(pushed[0]["push"]["pub"]["data"], "x", "{pushed:?}");
    assert!(pushed[0]["push"]["pub"].get("offset").is_none(), "{pushed:?}");
}

#[test]
fn returning_client_gets_all_that_it_missed_or_nothing() {
    let mut hub = hub();
    let ann = client(&mut hub, json!({}));
    subscribe(&mut hub, ann, json!({ "channel": "news:1" }));
    publish(&mut hub, ann, "news:1", &json!(1));
    let bob = client(&mut hub, json!({}));
    let reply = subscribe(&mut hub, bob, json!({ "channel": "news:1", "recoverable": true }));
    let epoch = reply["subscribe"]["epoch"].clone();
    assert_eq!(reply["subscribe"]["offset"], 1);
    hub.end(bob);
    (2..=4).for_each(|number| drop(publish(&mut hub, ann, "news:1", &json!(number))));
    let mut back = |offset: u64, epoch: &Value, flag: u32| {
        let bob = client(&mut hub, json!({}));
        let known = json!({ "channel": "news:1", "recoverable": true, "recover": true, "offset": offset,
            "epoch": epoch, "flag": flag });
        subscribe(&mut hub, bob, known)
    };
    let reply = back(1, &epoch, 1);
    let result = &reply["subscribe"];
    assert!(result["recovered"] == true && result["was_recovering"] == true && result["offset"] == 1, "{reply}");
    let missed = result["publications"].as_array().expect("publications");
    let numbers: Vec<_> = missed.iter().map(|one| (one["data"].clone(), one["offset"].clone())).collect();
    assert_eq!(numbers, [2, 3, 4].map(|number| (json!(number), json!(number))));
    let reply = back(4, &epoch, 1);
    assert!(reply["subscribe"]["recovered"] == true && reply["subscribe"].get("publications").is_none(), "{reply}");
    for (offset, epoch) in [(5, &epoch), (u64::MAX, &epoch), (1, &json!("")), (1, &json!("_")), (1, &json!("f"))] {
        let reply = back(offset, epoch, 1);
        let result = &reply["subscribe"];
        assert!(result.get("recovered").is_none() && result["was_recovering"] == true, "{reply}");
        assert!(result["offset"] == 4 && result.get("publications").is_none(), "{reply}");
        assert_eq!(back(offset, epoch, 3)["error"]["code"], 112, "whoever asks for it gets an error");
    }
}

#[test]
fn history_and_presence_answer_whom_the_rules_allow() {
    let mut hub = hub();
    let ann = client(&mut hub, json!({ "token": token("ann", json!({})) }));
    let bob = client(&mut hub, json!({}));
    let of = |kind: &str| json!({ "id": 4, kind: { "channel": "news:1", "limit": 10 } });
    for kind in ["history", "presence", "presence_stats"] {
        assert_eq!(ask(&mut hub, ann, &of(kind))[0]["error"]["code"], 103, "{kind} before subscribing");
        let plain = json!({ "id": 4, kind: { "channel": "plain:1" } });
        assert_eq!(ask(&mut hub, ann, &plain)[0]["error"]["code"], 108, "{kind}");
    }
    subscribe(&mut hub, ann, json!({ "channel": "news:1", "join_leave": true }));
    subscribe(&mut hub, bob, json!({ "channel": "news:1" }));
    let joined = heard(&hub, ann);
    assert_eq!(joined[0]["push"]["join"]["info"]["user"], "", "{joined:?}");
    (1..=3).for_each(|number| drop(publish(&mut hub, ann, "news:1", &json!(number))));
    let mut numbers = |history: Value| {
        let reply = ask(&mut hub, ann, &json!({ "id": 4, "history": history })).remove(0);
        let result = &reply["history"];
        assert!(result["offset"] == 3 && result["epoch"] != "", "{reply}");
        let found = result["publications"].as_array().expect("publications").iter();
        let epoch = result["epoch"].clone();
        (found.map(|one| one["data"].as_u64().expect("a number")).collect::<Vec<_>>(), epoch)
    };
    let (all, epoch) = numbers(json!({ "channel": "news:1", "limit": -1 }));
    assert_eq!(all, [1, 2, 3]);
    assert_eq!(numbers(json!({ "channel": "news:1" })).0, [0; 0]);
    assert_eq!(numbers(json!({ "channel": "news:1", "limit": 2 })).0, [1, 2]);
    assert_eq!(numbers(json!({ "channel": "news:1", "limit": 2, "reverse": true })).0, [3, 2]);
    let since = json!({ "channel": "news:1", "limit": 5, "since": { "offset": 1, "epoch": epoch } });
    assert_eq!(numbers(since).0, [2, 3]);
    let other =
        json!({ "id": 4, "history": { "channel": "news:1", "limit": 5, "since": { "offset": 1, "epoch": "f" } } });
    assert_eq!(ask(&mut hub, ann, &other)[0]["error"]["code"], 112);
    let present = ask(&mut hub, ann, &of("presence")).remove(0);
    let present = present["presence"]["presence"].as_object().expect("clients").clone();
    assert!(present.len() == 2 && present.iter().all(|(client, info)| info["client"] == **client), "{present:?}");
    let stats = ask(&mut hub, ann, &of("presence_stats")).remove(0);
    assert_eq!(stats["presence_stats"], json!({ "num_clients": 2, "num_users": 2 }));
    hub.clear();
    hub.end(bob);
    let left = heard(&hub, ann);
    assert_eq!(left[0]["push"]["leave"]["info"]["user"], "", "{left:?}");
}

#[test]
fn commands_out_of_order_or_out_of_shape_end_as_the_protocol_says() {
    let cases = [
        (r#"{"id":2,"connect":{}}"#, Err(3501)),
        ("", Err(3501)),
        ("[1]", Err(3501)),
        (r#"{"id":2,"subscribe":{"channel":7}}"#, Err(3501)),
        (r#"{"id":2,"id":2,"rpc":{}}"#, Err(3501)),
        (r#"{"subscribe":{"channel":"news:1"}}"#, Err(3501)),
        ("{}", Err(3501)),
        (r#"{"send":{"data":1}}"#, Err(3508)),
        (r#"{"id":2,"connect":null}"#, Ok(107)),
        (r#"{"id":2,"nothing":{}}"#, Ok(107)),
        (r#"{"id":2,"rpc":{},"refresh":{}}"#, Ok(107)),
        (r#"{"id":2,"ping":{}}"#, Ok(108)),
        (r#"{"id":2,"rpc":{"method":"x"}}"#, Ok(104)),
        (r#"{"id":2,"subscribe":{"channel":""}}"#, Ok(107)),
        (r#"{"id":2,"subscribe":{"channel":"none:1"}}"#, Ok(102)),
        (r#"{"id":2,"subscribe":{"channel":"closed:1"}}"#, Ok(103)),
        (r#"{"id":2,"subscribe":{"channel":"$news:1"}}"#, Ok(103)),
        (r#"{"id":2,"subscribe":{"channel":"news:1","type":1}}"#, Ok(108)),
        (r#"{"id":2,"subscribe":{"channel":"news:1","token":"x"}}"#, Ok(103)),
        (r#"{"id":2,"publish":{"channel":"plain:1","data":1}}"#, Ok(103)),
        (r#"{"id":2,"publish":{"channel":"plain:1"}}"#, Ok(107)),
        (r#"{"id":2,"sub_refresh":{"channel":"news:1"}}"#, Ok(107)),
        (r#"{"id":2,"refresh":{"token":""}}"#, Err(3501)),
        (r#"{"id":2,"refresh":{"token":"x"}}"#, Err(3500)),
    ];
    for (command, expected) in cases {
        let mut hub = hub();
        let ann = client(&mut hub, json!({}));
        hub.clear();
        hub.line(ann, command);
        let said = heard(&hub, ann).pop().unwrap_or_default();
        match expected {
            Ok(code) => assert_eq!((&said["id"], &said["error"]["code"]), (&json!(2), &json!(code)), "{command}"),
            Err(code) => {
                assert_eq!(said["push"]["disconnect"]["code"], code, "{command}: {said}");
                assert!(hub.is_closed(ann), "{command}");
            }
        }
    }
    let mut hub = hub();
    let ann = client(&mut hub, json!({}));
    assert_eq!(subscribe(&mut hub, ann, json!({ "channel": "news:1" }))["subscribe"], json!({}));
    assert_eq!(subscribe(&mut hub, ann, json!({ "channel": "news:1" }))["error"]["code"], 105);
    let deep = "[".repeat(200) + &"]".repeat(200);
    hub.clear();
    hub.line(ann, &format!(r#"{{"id":3,"publish":{{"channel":"news:1","data":{deep}}}}}"#));
    assert_eq!(heard(&hub, ann)[0]["error"]["code"], 107);
    for _ in 0..3 {
        let end = ask(&mut hub, ann, &json!({ "id": 5, "unsubscribe": { "channel": "news:1" } }));
        assert_eq!(end, [json!({ "id": 5, "unsubscribe": {} })]);
        assert_eq!(subscribe(&mut hub, ann, json!({ "channel": "news:1" }))["subscribe"], json!({}));
    }
}

#[test]
fn tokens_decide_who_connects_and_subscribes_and_until_when() {
    let mut hub = hub_with(options().allow_anonymous(false).personal_channels(true));
    let first = |hub: &mut TestHub<PubSub>, connect: Value| {
        let conn = hub.connect();
        ask(hub, conn, &json!({ "id": 1, "connect": connect })).remove(0)
    };
    assert_eq!(first(&mut hub, json!({}))["push"]["disconnect"]["code"], 3501);
    assert_eq!(first(&mut hub, json!({ "token": "x.y.z" }))["push"]["disconnect"]["code"], 3500);
    let of_channel = token("ann", json!({ "channel": "news:1" }));
    assert_eq!(first(&mut hub, json!({ "token": of_channel }))["push"]["disconnect"]["code"], 3500);
    let old = key().sign(&Claims { exp: Some(NOW), ..Claims::of("ann") }).expect("it signs");
    assert_eq!(first(&mut hub, json!({ "token": old }))["error"]["code"], 109);
    let early = key().sign(&Claims { nbf: Some(NOW + 9), ..Claims::of("ann") }).expect("it signs");
    assert_eq!(first(&mut hub, json!({ "token": early }))["push"]["disconnect"]["code"], 3500);
    // A refused client has no second try, and does not stay.
    let refused = hub.connect();
    let wrong = json!({ "id": 1, "connect": { "token": token("ann", json!({ "channels": ["news:1", "none:1"] })) } });
    assert_eq!(ask(&mut hub, refused, &wrong)[0]["error"]["code"], 102);
    assert!(hub.machine().metrics().rooms == 0, "it has no channel");
    assert_eq!(ask(&mut hub, refused, &wrong)[0]["push"]["disconnect"]["code"], 3501);

    let with_channel = token("ann", json!({ "channels": ["news:2"] }));
    let reply = first(&mut hub, json!({ "token": with_channel }));
    let result = &reply["connect"];
    assert!(result["expires"] == true && result["ttl"] == 60 && result["ping"] == 25, "{reply}");
    assert!(result["subs"]["news:2"]["recoverable"] == true && result["subs"]["#ann"].is_object(), "{reply}");

    let named = json!({ "token": token("J\u{f6}rg a:b", json!({ "subs": { "news:1": { "data": [7] } } })) });
    let reply = first(&mut hub, named);
    assert!(reply["connect"]["subs"]["#J\u{f6}rg a:b"].is_object(), "{reply}");
    assert_eq!(reply["connect"]["subs"]["news:1"]["data"], json!([7]));
    let ended = token("ann", json!({ "expire_at": NOW }));
    assert_eq!(first(&mut hub, json!({ "token": ended }))["error"]["code"], 110);

    let ann = client(&mut hub, json!({ "token": token("ann", json!({})) }));
    for kind in ["subscribe", "publish", "history", "presence"] {
        let foreign = json!({ "id": 2, kind: { "channel": "#bob", "data": 1 } });
        let code = ask(&mut hub, ann, &foreign)[0]["error"]["code"].clone();
        assert!(code == 103 || code == 108, "{kind}: {code}");
    }
    let of = |user, channel| token(user, json!({ "channel": channel }));
    let asked = |token: &str| json!({ "channel": "$news:3", "token": token });
    let reply = subscribe(&mut hub, ann, asked(&of("ann", "$news:3")));
    assert!(reply["subscribe"]["expires"] == true && reply["subscribe"]["ttl"] == 60, "{reply}");
    for (user, channel) in [("bob", "$news:3"), ("ann", "$news:4")] {
        let conn = client(&mut hub, json!({ "token": token("ann", json!({})) }));
        let replies = ask(&mut hub, conn, &json!({ "id": 2, "subscribe": asked(&of(user, channel)) }));
        assert_eq!(replies[0]["push"]["disconnect"]["code"], 3500);
    }
    // It refreshes both in time, once without naming the channel.
    hub.advance(Duration::from_secs(20));
    hub.set_clock(UnixTime::from_secs(NOW + 50));
    let later = |user: &str, others: Value| {
        let Value::Object(others) = others else { panic!("claims") };
        key().sign(&Claims { others, exp: Some(NOW + 200), ..Claims::of(user) }).expect("it signs")
    };
    let refresh = json!({ "id": 6, "sub_refresh": { "token": later("ann", json!({ "channel": "$news:3" })) } });
    assert_eq!(ask(&mut hub, ann, &refresh)[0]["sub_refresh"], json!({ "expires": true, "ttl": 150 }));
    let refresh = json!({ "id": 7, "refresh": { "token": later("ann", json!({})) } });
    assert_eq!(ask(&mut hub, ann, &refresh)[0]["refresh"]["ttl"], 150);
    let refresh = json!({ "id": 8, "refresh": { "token": later("bob", json!({})) } });
    assert_eq!(ask(&mut hub, ann, &refresh)[0]["push"]["disconnect"]["code"], 3500);
}

#[test]
fn rights_end_when_they_are_not_refreshed() {
    let mut hub = hub_with(options().ping_interval(Duration::ZERO));
    let ann = client(&mut hub, json!({}));
    let asked = json!({ "channel": "$news:3", "token": token("", json!({ "channel": "$news:3" })) });
    assert_eq!(subscribe(&mut hub, ann, asked)["subscribe"]["ttl"], 60);
    let bob = client(&mut hub, json!({ "token": token("bob", json!({})) }));
    hub.clear();
    hub.advance(Duration::from_secs(84));
    assert!(heard(&hub, ann).is_empty() && !hub.is_closed(bob), "there is time to refresh");
    hub.advance(Duration::from_secs(2));
    assert_eq!(heard(&hub, ann)[0]["push"]["unsubscribe"]["code"], 2501);
    assert_eq!(heard(&hub, bob)[0]["push"]["disconnect"]["code"], 3005);
    assert!(hub.is_closed(bob) && !hub.is_closed(ann));
}

#[test]
fn client_that_answers_no_ping_is_disconnected() {
    // The first ping comes after half of the interval, or later.
    let mut hub = hub_with(options().ping_interval(Duration::from_secs(10)));
    let (ann, bob) = (client(&mut hub, json!({})), client(&mut hub, json!({})));
    hub.clear();
    hub.advance(Duration::from_secs(10));
    assert_eq!((heard(&hub, ann), heard(&hub, bob)), ([json!({})].into(), [json!({})].into()));
    hub.line(ann, "{}");
    hub.advance(Duration::from_secs(8));
    assert!(!hub.is_closed(ann) && hub.is_closed(bob));
    assert_eq!(heard(&hub, bob).pop().expect("a push")["push"]["disconnect"]["code"], 3012);
}

#[test]
fn client_has_as_many_channels_as_are_allowed() {
    let mut hub = hub_with(options().channels_max(3));
    let ann = client(&mut hub, json!({}));
    for (channel, code) in [("news:1", 0), ("news:2", 0), ("news:3", 0), ("news:4", 106)] {
        let reply = subscribe(&mut hub, ann, json!({ "channel": channel }));
        assert_eq!(reply["error"]["code"].as_u64().unwrap_or(0), code, "{channel}");
    }
}

#[test]
fn person_gives_a_token_before_entering_a_channel() {
    let mut hub = hub();
    let ann = hub.connect();
    for line in ["/connect x", &format!("/connect {}", token("ann", json!({}))), "/connect x", "/sub news:1"] {
        hub.line(ann, line);
    }
    hub.line(ann, "/pub news:1 hello");
    let expected = ["* disconnected: invalid token"];
    assert_eq!(hub.lines(ann), expected);
    let ann = hub.connect();
    for line in [&*format!("/connect {}", token("ann", json!({}))), "/connect x", "/sub news:1", "/pub news:1 hello"] {
        hub.line(ann, line);
    }
    let expected = [
        "* connect: done",
        "* bad request",
        "* you see news:1",
        "[news:1] * ann has come",
        "[news:1] ann: hello",
        "* publish: done",
    ];
    assert_eq!(hub.lines(ann), expected);
}

#[test]
fn people_on_lines_share_the_channels() {
    let mut hub = hub();
    let (ann, bob) = (client(&mut hub, json!({ "token": token("ann", json!({})) })), hub.connect());
    subscribe(&mut hub, ann, json!({ "channel": "news:1" }));
    hub.clear();
    hub.line(bob, "/sub news:1");
    hub.line(bob, "/pub news:1 good \"morning\"");
    assert_eq!(heard(&hub, ann)[0]["push"]["pub"]["data"], "good \"morning\"");
    publish(&mut hub, ann, "news:1", &json!({ "a": 1 }));
    assert_eq!(hub.lines(bob), ["[news:1] ann: {\"a\":1}"]);
    hub.clear();
    for line in ["/history news:1", "/who news:1", "/unsub news:1", "/sub closed:1", "/x", "/quit"] {
        hub.line(bob, line);
    }
    let said = hub.lines(bob);
    let expected = [
        "[news:1] good \"morning\"",
        "[news:1] ann: {\"a\":1}",
        "* 2 there: (anonymous), ann",
        "* unsubscribe: done",
        "* permission denied",
    ];
    assert_eq!(said[..5], expected, "{said:?}");
    assert!(said[5].starts_with("* /sub CHANNEL") && hub.is_closed(bob));
}

#[test]
fn reload_without_a_history_ends_subscriptions_that_have_a_position() {
    let mut hub = hub();
    let clients = [
        client(&mut hub, json!({})),
        client(&mut hub, json!({})),
        client(&mut hub, json!({ "token": token("ann", json!({ "channels": ["news:1"] })) })),
    ];
    for (conn, recoverable) in [(clients[0], true), (clients[1], false)] {
        subscribe(&mut hub, conn, json!({ "channel": "news:1", "recoverable": recoverable }));
    }
    hub.clear();
    let mut channels = channels();
    channels.namespaces.insert("news".into(), ChannelRules::default());
    let config = hub.machine().config().clone();
    hub.reconfigure(config.memory(RoomMemory::default().rooms(channels.rooms())));
    let ended = json!({ "channel": "news:1", "unsubscribe": { "code": 2500, "reason": "insufficient state" } });
    assert_eq!(heard(&hub, clients[0]), [json!({ "push": ended })]);
    // Neither a position is wrong there, nor does the client understand a notice of a gap.
    assert_eq!(heard(&hub, clients[1]), [json!(null); 0]);
    let ended = heard(&hub, clients[2]).remove(0);
    assert_eq!(ended["push"]["disconnect"]["code"], 3010, "the server's subscription begins with the next connection");
}
