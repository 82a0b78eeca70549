#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

use super::tests::{API_KEY, NOW, hub_with, key, token};
use super::*;
use crate::base::{ConnId, ListenerId, Reason, UnixTime};
use crate::config::RoomMemory;
use crate::facts::Command;
use crate::kit::auth::Claims;
use crate::testing::TestHub;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use serde_json::{Value, json};

/// Everybody may do everything in `news` and `plain`, where nothing is kept; nobody anything in `closed`.
fn options() -> PubSubOptions {
    let all = ChannelRules {
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_publish_for_client: true,
        allow_publish_for_anonymous: true,
        allow_presence_for_client: true,
        ..ChannelRules::default()
    };
    let news = ChannelRules {
        presence: true,
        join_leave: true,
        history_size: 5,
        history_ttl: Duration::from_secs(600),
        allow_recovery: true,
        ..all.clone()
    };
    let mut channels = Channels { events: true, ..Channels::default() };
    channels.namespaces.insert("told".into(), ChannelRules { force_push_join_leave: true, ..news.clone() });
    channels.namespaces.insert("news".into(), news);
    channels.namespaces.insert("plain".into(), all);
    channels.namespaces.insert("closed".into(), ChannelRules::default());
    super::tests::options().channels(channels).personal_channels(true)
}

fn hub() -> TestHub<PubSub> {
    hub_with(options())
}

/// Requests something over HTTP.
fn request(hub: &mut TestHub<PubSub>, target: &str, fields: &str) -> ConnId {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let conn = hub.try_connect(ListenerId::new(1), peer.into()).expect("admitted");
    hub.send(conn, format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
    conn
}

/// What a stream carried since the last look.
#[derive(Debug, Default, PartialEq)]
struct Got {
    name: String,
    id: String,
    data: Value,
}

fn got(hub: &mut TestHub<PubSub>, conn: ConnId) -> Vec<Got> {
    let all = String::from_utf8(hub.received(conn).to_vec()).expect("text");
    hub.clear();
    let body = match all.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 OK\r\n") => body,
        Some(_) => panic!("refused: {all}"),
        None => &all,
    };
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(ToString::to_string))
    };
    let events = body.split_terminator("\n\n").map(|event| Got {
        name: field(event, "event").unwrap_or_default(),
        id: field(event, "id").unwrap_or_default(),
        data: serde_json::from_str(&field(event, "data").expect("data")).expect("JSON"),
    });
    events.collect()
}

/// Returns the status and the error of a refused request.
fn refusal(hub: &mut TestHub<PubSub>, target: &str, fields: &str) -> (u16, Value) {
    let conn = request(hub, target, fields);
    let all = String::from_utf8(hub.received(conn).to_vec()).expect("text");
    hub.end(conn);
    let status = all.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    let (head, body) = all.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("application/json"), "{all}");
    (status, serde_json::from_str::<Value>(body).expect("JSON")["error"]["code"].clone())
}

/// Connects a client of the protocol.
fn client(hub: &mut TestHub<PubSub>, user: &str) -> ConnId {
    let conn = hub.connect();
    hub.line(conn, &json!({ "id": 1, "connect": { "token": token(user, json!({})) } }).to_string());
    conn
}

fn publish(hub: &mut TestHub<PubSub>, conn: ConnId, channel: &str, data: Value) {
    hub.line(conn, &json!({ "id": 3, "publish": { "channel": channel, "data": data } }).to_string());
}

#[test]
fn stream_begins_with_its_position_and_carries_publications() {
    let mut hub = hub();
    let ann = client(&mut hub, "ann");
    let stream = request(&mut hub, "/events?channel=news%3A1", "");
    let begun = got(&mut hub, stream);
    assert_eq!((begun.len(), &*begun[0].name), (1, "subscribed"), "{begun:?}");
    let data = &begun[0].data;
    assert_eq!(
        (&data["channel"], &data["recovered"], &data["was_recovering"]),
        (&"news:1".into(), &false.into(), &false.into())
    );
    assert!(data["client"].is_string() && begun[0].id.split('.').count() == 3, "{begun:?}");
    publish(&mut hub, ann, "news:1", json!({ "text": "hi\n" }));
    let [news] = &got(&mut hub, stream)[..] else { panic!("one event") };
    assert_eq!((&*news.name, &news.data["data"]), ("", &json!({ "text": "hi\n" })));
    assert_eq!(news.data["info"]["user"], "ann");
    assert_ne!(news.id, begun[0].id);
    // Without a history there is a position too, and no other channel is in the stream.
    let plain = request(&mut hub, "/events?channel=plain:1", "");
    hub.clear();
    publish(&mut hub, ann, "plain:1", json!(1));
    assert_eq!(got(&mut hub, plain).iter().map(|event| &event.data["data"]).collect::<Vec<_>>(), [&json!(1)]);
    assert_eq!(got(&mut hub, stream), []);
}

#[test]
fn lines_of_json_carry_the_same() {
    let mut hub = hub();
    let ann = client(&mut hub, "ann");
    publish(&mut hub, ann, "news:1", json!(0));
    let accepts = "Accept: text/html, application/x-ndjson;q=0.9\r\n";
    let one = request(&mut hub, "/events?channel=news:1&format=json", "");
    let two = request(&mut hub, "/events?channel=news:1", accepts);
    publish(&mut hub, ann, "news:1", json!("a\nb"));
    let lines = |hub: &TestHub<PubSub>, conn| {
        let all = String::from_utf8(hub.received(conn).to_vec()).expect("text");
        let (head, body) = all.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("application/x-ndjson"), "{head}");
        body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    let (first, second) = (lines(&hub, one), lines(&hub, two));
    assert_eq!((first.len(), second.len()), (2, 2), "{first:?} {second:?}");
    assert_eq!((&first[0]["event"], &first[0]["data"]["recovered"]), (&"subscribed".into(), &false.into()));
    assert_eq!(first[1], second[1]);
    assert_eq!((&first[1]["data"], &first[1]["info"]["user"]), (&"a\nb".into(), &"ann".into()));
    // What was missed is written as what comes.
    let since = first[0]["position"].as_str().expect("a position");
    let back = request(&mut hub, &format!("/events?channel=news:1&format=json&last_event_id={since}"), "");
    let third = lines(&hub, back);
    assert_eq!((&third[0]["data"]["recovered"], &third[1..]), (&true.into(), &first[1..]));
}

#[test]
fn returning_client_gets_all_that_it_missed_or_is_told() {
    let mut hub = hub();
    let ann = client(&mut hub, "ann");
    let stream = request(&mut hub, "/events?channel=news:1", "");
    publish(&mut hub, ann, "news:1", json!(1));
    let seen = got(&mut hub, stream);
    let (begin, first) = (seen[0].id.clone(), seen[1].id.clone());
    hub.end(stream);
    hub.fail(stream, crate::base::Failure::Reset);
    (2..=3).for_each(|number| publish(&mut hub, ann, "news:1", json!(number)));
    // The field goes before the query, which is from the beginning.
    let target = format!("/events?channel=news:1&last_event_id={begin}");
    let back = request(&mut hub, &target, &format!("Last-Event-ID: {first}\r\n"));
    let seen = got(&mut hub, back);
    let data: Vec<_> = seen.iter().skip(1).map(|event| event.data["data"].clone()).collect();
    assert_eq!((&seen[0].data["recovered"], &seen[0].id, &data[..]), (&true.into(), &first, &[json!(2), json!(3)][..]));
    // After all that was missed, its position is that of the others.
    publish(&mut hub, ann, "news:1", json!(4));
    let live = got(&mut hub, back);
    assert_eq!((live.len(), &live[0].data["data"]), (1, &json!(4)));
    let again = request(&mut hub, "/events?channel=news:1", &format!("Last-Event-ID: {}\r\n", live[0].id));
    let seen = got(&mut hub, again);
    assert_eq!((seen.len(), &seen[0].data["recovered"], &seen[0].id), (1, &true.into(), &live[0].id));
    // More was missed than is kept, or the position is forged or none.
    (5..=9).for_each(|number| publish(&mut hub, ann, "news:1", json!(number)));
    let forged = format!("{}.1", first.rsplit_once('.').expect("a mark").0);
    for id in [&*first, &forged, "gap", "1.1.1", "x", "18446744073709551616", &"9".repeat(5_000)] {
        let conn = request(&mut hub, "/events?channel=news:1", &format!("Last-Event-ID: {id}\r\n"));
        let seen = got(&mut hub, conn);
        let outcome = (&seen[0].data["recovered"], &seen[0].data["was_recovering"]);
        assert_eq!((seen.len(), outcome), (1, (&false.into(), &true.into())), "{id:.30}");
        assert_ne!(seen[0].id, id, "{id:.30}");
    }
    // Where nothing is kept, nothing is recovered.
    let plain = request(&mut hub, "/events?channel=plain:1", "");
    let id = got(&mut hub, plain)[0].id.clone();
    let plain = request(&mut hub, "/events?channel=plain:1", &format!("Last-Event-ID: {id}\r\n"));
    let begun = got(&mut hub, plain).remove(0).data;
    assert_eq!((&begun["recovered"], &begun["was_recovering"]), (&false.into(), &true.into()));
}

#[test]
fn rules_and_tokens_decide_before_the_stream_begins() {
    let mut hub = hub_with(options().allow_anonymous(false));
    let (ann, bob) = (token("ann", json!({})), token("bob", json!({})));
    let of_channel = token("ann", json!({ "channel": "$news:1" }));
    let server_side = token("ann", json!({ "channels": ["closed:1"] }));
    let expired = key().sign(&Claims { exp: Some(NOW - 1), ..Claims::of("ann") }).expect("it signs");
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for (query, fields, status, code) in [
        ("channel=news:1", String::new(), 401, 107),
        ("channel=news:1&token=nonsense", String::new(), 401, 3500),
        ("channel=news:1", bearer(&of_channel), 401, 3500),
        ("channel=news:1", bearer(&expired), 401, 109),
        ("channel=closed:1", bearer(&ann), 403, 103),
        ("channel=$news:1", bearer(&ann), 403, 103),
        (&*format!("channel=$news:1&channel_token={of_channel}"), bearer(&bob), 401, 3500),
        ("channel=%23ann", bearer(&bob), 403, 103),
        ("channel=sport:1", bearer(&ann), 404, 102),
        ("channel=n%20ws", bearer(&ann), 400, 107),
        ("channel=%ff", bearer(&ann), 400, 107),
        ("channel=", bearer(&ann), 400, 107),
        ("", bearer(&ann), 400, 107),
        ("channel=news:1&channel=news:2", bearer(&ann), 400, 107),
        ("channel=news:1&format=xml", bearer(&ann), 400, 107),
    ] {
        let found = refusal(&mut hub, &format!("/events?{query}"), &fields);
        assert_eq!(found, (status, code.into()), "{query}");
    }
    for (query, fields) in [
        ("channel=news:1", bearer(&ann)),
        (&*format!("channel=news:1&token={ann}"), String::new()),
        (&*format!("channel=$news:1&channel_token={of_channel}"), bearer(&ann)),
        ("channel=%23ann", bearer(&ann)),
        ("channel=closed:1", bearer(&server_side)),
    ] {
        let conn = request(&mut hub, &format!("/events?{query}"), &fields);
        assert_eq!(got(&mut hub, conn)[0].name, "subscribed", "{query}");
    }
    // The other path, and the option.
    let mut other = hub_with(without());
    for (hub, target) in [(&mut hub, "/event?channel=news:1"), (&mut other, "/events?channel=news:1")] {
        let conn = request(hub, target, "");
        assert!(hub.received(conn).starts_with(b"HTTP/1.1 404 "));
    }
}

fn without() -> PubSubOptions {
    let mut options = options();
    options.channels.events = false;
    options
}

#[test]
fn head_request_begins_no_stream_and_other_methods_are_refused() {
    let mut hub = hub();
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    for (method, status) in [("HEAD", "200"), ("POST", "405"), ("DELETE", "405")] {
        let conn = hub.try_connect(ListenerId::new(1), peer.into()).expect("admitted");
        hub.send(conn, format!("{method} /events?channel=news:1 HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let head = format!("HTTP/1.1 {status} ");
        assert!(hub.received(conn).starts_with(head.as_bytes()), "{method}");
    }
    assert_eq!(hub.machine().metrics().opened, 0);
}

#[test]
fn streams_are_members_and_get_joins_where_all_do() {
    let mut hub = hub();
    let ann = client(&mut hub, "ann");
    let quiet = request(&mut hub, "/events?channel=news:1", "");
    let told = request(&mut hub, "/events?channel=told:1", "");
    hub.clear();
    let bob = token("bob", json!({ "info": { "age": 7 } }));
    let streams = ["news", "told"].map(|name| request(&mut hub, &format!("/events?channel={name}:1&token={bob}"), ""));
    assert_eq!(hub.received(quiet), b"");
    let [join] = &got(&mut hub, told)[..] else { panic!("one event") };
    assert_eq!((&*join.name, &*join.id), ("join", ""));
    assert_eq!((&join.data["info"]["user"], &join.data["info"]["conn_info"]), (&"bob".into(), &json!({ "age": 7 })));
    hub.line(ann, &json!({ "id": 4, "presence": { "channel": "told:1" } }).to_string());
    let present = hub.lines(ann).last().cloned().expect("a reply");
    assert!(present.contains("\"bob\""), "{present}");
    hub.clear();
    hub.fail(streams[1], crate::base::Failure::Reset);
    let [leave] = &got(&mut hub, told)[..] else { panic!("one event") };
    assert_eq!((&*leave.name, &leave.data["info"]["user"]), ("leave", &"bob".into()));
}

#[test]
fn expiry_of_a_token_ends_the_stream() {
    let mut hub = hub();
    let connection = token("ann", json!({}));
    let of_channel = token("", json!({ "channel": "$news:1" }));
    let streams = [format!("channel=news:1&token={connection}"), format!("channel=$news:1&channel_token={of_channel}")];
    for (query, code) in streams.iter().zip([3005, 3006]) {
        let stream = request(&mut hub, &format!("/events?{query}"), "");
        hub.clear();
        hub.advance(Duration::from_secs(25));
        assert_eq!(hub.received(stream), b":\n", "a keep-alive");
        hub.clear();
        hub.advance(Duration::from_secs(34));
        assert!(!hub.is_closed(stream));
        hub.clear();
        hub.advance(Duration::from_secs(2));
        let [end] = &got(&mut hub, stream)[..] else { panic!("one event") };
        assert_eq!((&*end.name, &end.data["code"]), ("disconnect", &code.into()));
        assert!(hub.is_closed(stream));
        hub.set_clock(UnixTime::from_secs(NOW));
    }
}

#[test]
fn shutdown_tells_clients_to_come_back_at_different_times() {
    let mut hub = hub();
    let streams: Vec<_> = (0..8).map(|_| request(&mut hub, "/events?channel=news:1", "")).collect();
    hub.clear();
    hub.command(&Command::Drain);
    let mut waits = Vec::new();
    for stream in streams {
        let text = String::from_utf8(hub.received(stream).to_vec()).expect("text");
        let (retry, event) = text.split_once('\n').expect("lines");
        waits.push(retry.strip_prefix("retry: ").and_then(|wait| wait.parse::<u64>().ok()).expect("a time"));
        assert_eq!(event, "event: disconnect\ndata: {\"code\":3001,\"reason\":\"shutdown\"}\n\n");
        assert!(hub.is_closed(stream));
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 4 && waits[0] >= 1_000, "{waits:?}");
    assert_eq!(hub.ended(Reason::Application), 8);
}

#[test]
fn lost_messages_end_the_stream_and_its_client_is_told() {
    let mut hub = hub();
    let stream = request(&mut hub, "/events?channel=plain:1", "");
    hub.clear();
    // The channel loses its home, and gets another one that knows nothing.
    let config = hub.machine().config().clone();
    hub.reconfigure(config.clone().memory(RoomMemory::default()));
    hub.reconfigure(config);
    let [end] = &got(&mut hub, stream)[..] else { panic!("one event") };
    assert_eq!((&*end.name, &*end.id, &end.data["code"]), ("disconnect", "gap", &3010.into()));
    assert!(hub.is_closed(stream));
    let back = request(&mut hub, "/events?channel=plain:1", "Last-Event-ID: gap\r\n");
    assert_eq!(got(&mut hub, back)[0].data["recovered"], false);
}

#[test]
fn api_ends_streams_of_a_user() {
    let mut hub = hub();
    for (method, is_ended) in [("unsubscribe", true), ("disconnect", true), ("subscribe", false)] {
        let ann = token("ann", json!({}));
        let stream = request(&mut hub, &format!("/events?channel=news:1&token={ann}"), "");
        hub.clear();
        let body = json!({ "user": "ann", "channel": "news:1" }).to_string();
        let head = format!("Host: x\r\nX-API-Key: {API_KEY}\r\nContent-Length: {}\r\n", body.len());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let backend = hub.try_connect(ListenerId::new(1), peer.into()).expect("admitted");
        hub.send(backend, format!("POST /api/{method} HTTP/1.1\r\n{head}\r\n{body}").as_bytes());
        let result: &[u8] = match method {
            "disconnect" => br#"{"result":{"connections":1,"hosts":1,"hosts_known":1}}"#,
            _ => br#"{"result":{}}"#,
        };
        assert!(hub.received(backend).ends_with(result), "{}", hub.received(backend).escape_ascii());
        let codes: Vec<_> = got(&mut hub, stream).iter().map(|event| event.data["code"].clone()).collect();
        assert_eq!((codes, hub.is_closed(stream)), if is_ended { (vec![json!(3503)], true) } else { (vec![], false) });
    }
}

#[test]
fn what_the_backend_decides_has_no_stream() {
    let mut options = options();
    let asked = ChannelRules { subscribe_proxy_enabled: true, ..options.channels.namespaces["news"].clone() };
    options.channels.namespaces.insert("asked".into(), asked);
    let mut backend = PubSubBackend::new("tcp://127.0.0.1:3".parse().expect("an address"));
    backend.connect = true;
    let mut hub = hub_with(options.backend(Some(backend)));
    let ann = token("ann", json!({}));
    let of_channel = token("ann", json!({ "channel": "asked:1" }));
    for (query, status, code) in [
        ("channel=news:1", 401, 107),
        (&*format!("channel=asked:1&token={ann}"), 404, 108),
        (&*format!("channel=asked:1&token={ann}&channel_token={of_channel}"), 404, 108),
    ] {
        assert_eq!(refusal(&mut hub, &format!("/events?{query}"), ""), (status, code.into()), "{query}");
    }
    let conn = request(&mut hub, &format!("/events?channel=news:1&token={ann}"), "");
    assert_eq!(got(&mut hub, conn)[0].name, "subscribed");
}
