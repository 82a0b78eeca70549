//! Rooms that remember, as peers use them by ready-made messages.

use drupe_core::history::{Gap, Keep};
use drupe_core::kit::{App, Cx, RoomRules, Router, Service};
use drupe_core::outbound::{Marks, OutboundLimits};
use drupe_core::testing::TestHub;
use drupe_core::{
    Config, ConnId, HistoryRange, Identity, JoinOptions, Listen, NoNote, PublishOptions, Published, RoomAnswer,
    RoomMemory, RoomOptions,
};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Default)]
struct Hall {
    log: Vec<String>,
}

impl App for Hall {
    type Context = ();
    type Note = NoNote;
}

fn remembering(options: RoomOptions) -> Config {
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
    Config::listening([listen]).memory(RoomMemory::default().rooms(vec![options])).unlimited()
}

fn service() -> Service<Hall> {
    let router = Router::new()
        .on("login", |_, cx: &mut Cx<'_, Hall>, scopes: Vec<String>| {
            let conn = cx.conn();
            cx.hub.identify(conn, Identity::user("ann").with_scopes(scopes.iter().map(String::as_str)));
        })
        .on("binary", |_, cx: &mut Cx<'_, Hall>, room: String| cx.hub.publish(&room, &[0, 255][..]))
        .on("plain", |_, cx: &mut Cx<'_, Hall>, room: String| cx.hub.publish(&room, "\"plain\""));
    Service::new(Hall::default()).router(router).room_messages()
}

/// All rooms are open, and those that begin with `news` keep three messages for an hour.
fn hub() -> TestHub<Service<Hall>> {
    let keep = Keep::messages(3).age(Some(Duration::from_secs(3600)));
    let service = service().rooms(RoomRules::all_open());
    TestHub::with_config(remembering(RoomOptions::new("news*", keep)), service)
}

fn said(hub: &mut TestHub<Service<Hall>>, conn: ConnId, line: &str) -> Vec<Value> {
    lines(hub, conn, line).iter().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn lines(hub: &mut TestHub<Service<Hall>>, conn: ConnId, line: &str) -> Vec<String> {
    hub.clear();
    hub.line(conn, line);
    hub.lines(conn)
}

/// The position in the last message.
fn position(messages: &[Value]) -> String {
    messages.last().and_then(|message| message["position"].as_str()).expect("a position").to_owned()
}

fn publish(hub: &mut TestHub<Service<Hall>>, conn: ConnId, room: &str, data: &str) -> String {
    position(&said(hub, conn, &json!({ "type": "publish", "room": room, "data": data }).to_string()))
}

#[test]
fn members_get_what_others_publish_with_its_position() {
    let mut hub = hub();
    let (ann, bob, cid) = (hub.connect(), hub.connect(), hub.connect());
    let subscribed = said(&mut hub, ann, r#"{"type":"subscribe","room":"news","id":7}"#);
    let start = position(&subscribed);
    assert_eq!(subscribed, [json!({ "id": 7, "type": "subscribed", "room": "news", "position": start })]);
    assert!(start.ends_with(".0.0"), "{start}");
    hub.line(bob, "/subscribe news");
    assert_eq!(hub.lines(bob), [format!("notice: subscribed to news at {start}")]);

    let published =
        said(&mut hub, cid, "{\"type\":\"publish\",\"room\":\"news\",\"data\":{\"b\": 1.50,\t\"a\":\"x\"}}");
    let first = position(&published);
    assert_eq!(published, [json!({ "type": "published", "room": "news", "position": first, "repeated": false })]);
    let expected = format!(r#"{{"type":"message","room":"news","position":"{first}","data":{{"b":1.50,"a":"x"}}}}"#);
    assert_eq!(hub.lines(ann), [expected], "the data as they were, but for white space");
    assert_eq!(hub.lines(bob), [r#"{"b":1.50,"a":"x"}"#]);

    // The publisher is a member, and gets the message in the order of all.
    let to_bob = lines(&mut hub, bob, "/publish news hello   to \"all\"");
    let second = position(&[serde_json::from_str(&hub.lines(ann)[0]).expect("JSON")]);
    assert_eq!(to_bob, ["hello   to \"all\"", &format!("notice: published in news at {second}")]);

    assert_eq!(
        said(&mut hub, ann, r#"{"type":"unsubscribe","room":"news"}"#),
        [json!({ "type": "unsubscribed", "room": "news" })]
    );
    assert_eq!(lines(&mut hub, bob, "/unsubscribe news"), ["notice: unsubscribed from news"]);
    publish(&mut hub, cid, "news", "nobody");
    assert_eq!((hub.lines(ann).len(), hub.lines(bob).len()), (0, 0));
}

#[test]
fn returning_member_gets_what_it_missed_before_the_answer() {
    let mut hub = hub();
    let (ann, bob) = (hub.connect(), hub.connect());
    let positions: Vec<String> = ["0", "1", "2", "3"].map(|data| publish(&mut hub, bob, "news", data)).into();
    for (since, missed) in [(0, &["1", "2", "3"][..]), (2, &["3"]), (3, &[])] {
        let subscribe = json!({ "type": "subscribe", "room": "news", "since": positions[since] }).to_string();
        let mut answers = said(&mut hub, ann, &subscribe);
        let expected = json!({
            "type": "subscribed", "room": "news", "position": positions[3], "recovered": true, "missed": missed.len(),
        });
        assert_eq!(answers.pop(), Some(expected));
        let data: Vec<_> = answers.iter().map(|message| message["data"].as_str().expect("text")).collect();
        assert_eq!(data, missed);
        said(&mut hub, ann, r#"{"type":"unsubscribe","room":"news"}"#);
    }
    let text = lines(&mut hub, ann, &format!("/subscribe news {}", positions[2]));
    assert_eq!(text, ["3", &format!("notice: subscribed to news at {}; 1 missed message", positions[3])]);
}

#[test]
fn member_that_cannot_recover_is_told_why() {
    let mut hub = hub();
    let (ann, bob) = (hub.connect(), hub.connect());
    let first = publish(&mut hub, bob, "news", "0");
    let [epoch, offset, _] = first.split('.').collect::<Vec<_>>()[..] else { panic!("{first}") };
    let elsewhere = publish(&mut hub, bob, "news/2", "0");
    publish(&mut hub, bob, "news", "1");
    let why = |hub: &mut TestHub<_>, room: &str, since: &str| {
        let subscribe = json!({ "type": "subscribe", "room": room, "since": since }).to_string();
        let mut answers = said(hub, ann, &subscribe);
        said(hub, ann, &json!({ "type": "unsubscribe", "room": room }).to_string());
        let answer = answers.pop().expect("an answer");
        assert_eq!((&answer["type"], &answer["recovered"]), (&"subscribed".into(), &false.into()));
        assert_eq!(answers.pop().expect("a notice")["type"], "gap");
        assert!(answers.is_empty(), "no message, since some may be missing: {answers:?}");
        answer["why"].as_str().expect("a reason").to_owned()
    };
    assert_eq!(why(&mut hub, "news", &elsewhere), Gap::OtherEpoch.name());
    assert_eq!(why(&mut hub, "news", &format!("{epoch}.{offset}.1")), Gap::Rewritten.name());
    assert_eq!(why(&mut hub, "plain", &first), Gap::NoHistory.name());
    hub.advance(Duration::from_secs(3600));
    assert_eq!(why(&mut hub, "news", &first), Gap::TooOld.name());
    let plain = said(&mut hub, ann, r#"{"type":"subscribe","room":"plain"}"#);
    assert_eq!(plain, [json!({ "type": "subscribed", "room": "plain" })], "nothing to recover, so nothing is missing");
}

#[test]
fn mistakes_are_errors_with_names() {
    let mut hub = hub();
    let ann = hub.connect();
    publish(&mut hub, ann, "news", "0");
    said(&mut hub, ann, r#"{"type":"subscribe","room":"news"}"#);
    let long = "x".repeat(65);
    let nested = (0..101).fold(json!(1), |inner, _| json!([inner]));
    for (message, code, path, reason) in [
        (json!({ "type": "subscribe", "room": "news" }), "already_subscribed", None, "already in that room"),
        (json!({ "type": "subscribe", "room": "" }), "invalid", Some("room"), "minimum"),
        (json!({ "type": "subscribe", "room": "x".repeat(129) }), "refused", None, "1 to 128 bytes"),
        (
            json!({ "type": "subscribe", "room": "x", "since": "01.2.3" }),
            "invalid",
            Some("since"),
            "a position is text",
        ),
        (json!({ "type": "subscribe", "room": "x", "since": 7 }), "invalid", Some("since"), "expected"),
        (json!({ "type": "subscribe", "room": "x", "from": 7 }), "invalid", Some("from"), "unknown field"),
        (json!({ "type": "unsubscribe", "room": "x" }), "refused", None, "not in that room"),
        (json!({ "type": "publish", "room": "news" }), "invalid", None, "missing field `data`"),
        (json!({ "type": "publish", "room": "news", "data": nested }), "invalid", None, "nested more than 100 times"),
        (json!({ "type": "publish", "room": "plain", "data": 1 }), "refused", None, "keeps no history"),
        (json!({ "type": "publish", "room": "news", "data": 1, "key": long }), "invalid", Some("key"), "maximum"),
        (json!({ "type": "publish", "room": "news", "data": 1, "key": "é".repeat(33) }), "refused", None, "66 bytes"),
        (json!({ "type": "history", "room": "news", "max": 0 }), "invalid", Some("max"), "minimum"),
        (json!({ "type": "history", "room": "news", "max": 1001 }), "invalid", Some("max"), "maximum"),
        (json!({ "type": "history", "room": "news", "since": "1.2.3" }), "other_epoch", None, "may be missing"),
        (json!({ "type": "history", "room": "news", "since": "1.2.3", "latest": true }), "invalid", None, "exclude"),
        (json!({ "type": "history", "room": "plain" }), "no_history", None, "the room has no history"),
    ] {
        let answers = said(&mut hub, ann, &message.to_string());
        let [error] = &answers[..] else { panic!("{message}: {answers:?}") };
        assert_eq!((&error["type"], &error["of"]), (&"error".into(), &message["type"]), "{message}: {error}");
        assert_eq!((&error["code"], error["path"].as_str()), (&code.into(), path), "{message}: {error}");
        assert!(error["reason"].as_str().is_some_and(|text| text.contains(reason)), "{message}: {error}");
    }
    assert_eq!(lines(&mut hub, ann, "/subscribe den nonsense")[0], {
        "error: subscribe: since: a position is text that the server issued earlier, such as 1f3a.7.9c02"
    });
}

#[test]
fn each_message_needs_the_right_for_its_room() {
    let keep = RoomOptions::new("*", Keep::messages(3));
    let mut hub = TestHub::with_config(remembering(keep), service());
    let ann = hub.connect();
    let messages = [
        r#"{"type":"subscribe","room":"news"}"#,
        r#"{"type":"history","room":"news"}"#,
        r#"{"type":"unsubscribe","room":"news"}"#,
        r#"{"type":"publish","room":"news","data":1}"#,
    ];
    for (scopes, may) in [
        ("", [false; 4]),
        ("join:other publish:other", [false; 4]),
        ("join:news", [true, true, true, false]),
        ("publish:news", [false, false, false, true]),
        ("join:news publish:news", [true; 4]),
    ] {
        hub.line(ann, &format!("/login {scopes}"));
        for (message, may) in messages.iter().zip(may) {
            let answers = said(&mut hub, ann, message);
            let is_forbidden = answers[0]["code"] == "forbidden";
            assert_eq!(!is_forbidden, may, "{scopes}: {message}: {answers:?}");
        }
    }
}

#[test]
fn history_is_read_in_pages() {
    let mut hub = hub();
    let ann = hub.connect();
    let first = publish(&mut hub, ann, "news", "gone");
    let second = publish(&mut hub, ann, "news", "1");
    hub.line(ann, "/binary news");
    hub.line(ann, "/plain news");
    let page = |hub: &mut TestHub<_>, with: Value| {
        let mut message = json!({ "type": "history", "room": "news" });
        message.as_object_mut().expect("an object").extend(with.as_object().expect("an object").clone());
        let mut answers = said(hub, ann, &message.to_string());
        let Some(page) = answers.pop() else { panic!("no answer") };
        let contents = page["messages"].as_array().cloned().unwrap_or_default().into_iter();
        let contents = contents.map(|mut message| match message["binary"].take() {
            Value::Null => message["data"].take(),
            binary => json!({ "binary": binary }),
        });
        (contents.collect::<Vec<_>>(), page["more"].clone(), page["code"].clone())
    };
    let (one, two, three) = (json!("1"), json!({ "binary": "AP8=" }), json!("\"plain\""));
    let all = vec![one.clone(), two.clone(), three.clone()];
    assert_eq!(page(&mut hub, json!({})), (all, false.into(), Value::Null));
    assert_eq!(page(&mut hub, json!({ "max": 1 })), (vec![one.clone()], true.into(), Value::Null));
    assert_eq!(page(&mut hub, json!({ "max": 1, "latest": true })), (vec![three.clone()], false.into(), Value::Null));
    assert_eq!(page(&mut hub, json!({ "max": 1, "since": second })), (vec![two.clone()], true.into(), Value::Null));
    assert_eq!(page(&mut hub, json!({ "since": first })).0.len(), 3);
    hub.line(ann, "/plain news");
    assert_eq!(page(&mut hub, json!({ "since": first })), (vec![], Value::Null, "too_old".into()));

    let text = lines(&mut hub, ann, "/history news 2");
    let contents: Vec<_> = text.iter().map(|line| line.split_once(' ').expect("words").1).collect();
    assert_eq!(contents[..2], ["\"plain\"", "\"plain\""]);
    assert!(contents[2].starts_with("history of news up to "), "{text:?}");
}

#[test]
fn page_of_a_history_never_makes_its_reader_a_slow_consumer() {
    let config = remembering(RoomOptions::new("news", Keep::messages(100)));
    let marks = Marks::new(1_000, 4_000, 8_000).expect("in order");
    let config = config.outbound(OutboundLimits::default().marks(marks));
    let mut hub = TestHub::with_config(config, service().rooms(RoomRules::all_open()));
    let (ann, bob) = (hub.connect(), hub.connect());
    for number in 0..20 {
        publish(&mut hub, bob, "news", &format!("{number}{}", "x".repeat(1_000)));
    }
    hub.set_writable(ann, 0);
    hub.send(ann, "{\"type\":\"history\",\"room\":\"news\"}\n".repeat(20).as_bytes());
    assert!(!hub.is_closed(ann));
    hub.clear();
    hub.set_writable(ann, usize::MAX);
    let pages: Vec<Value> = hub.lines(ann).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let count = |page: &Value| page["messages"].as_array().map(Vec::len);
    assert!((1..=4).contains(&count(&pages[0]).expect("a page")), "{:?}", count(&pages[0]));
    assert!(pages.iter().all(|page| page["more"] == true));
    // The reader gets all messages, page for page.
    let (mut since, mut seen) = (Value::Null, 0);
    loop {
        let [page] =
            &said(&mut hub, ann, &json!({ "type": "history", "room": "news", "since": since }).to_string())[..]
        else {
            panic!("one page")
        };
        let messages = page["messages"].as_array().expect("messages");
        seen += messages.len();
        assert!(!messages.is_empty() && messages.len() <= 4, "{}", messages.len());
        since = messages.last().expect("one")["position"].clone();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(seen, 20);
}

#[test]
fn key_makes_a_repeated_message_recognizable() {
    let mut hub = hub();
    let (ann, bob) = (hub.connect(), hub.connect());
    said(&mut hub, bob, r#"{"type":"subscribe","room":"news"}"#);
    let message = r#"{"type":"publish","room":"news","data":1,"key":"k"}"#;
    let first = said(&mut hub, ann, message);
    assert_eq!((&first[0]["repeated"], hub.lines(bob).len()), (&false.into(), 1));
    let again = said(&mut hub, ann, message);
    assert_eq!((&again[0]["repeated"], hub.lines(bob).len()), (&true.into(), 0));
    assert_eq!(first[0]["position"], again[0]["position"]);
}

#[test]
fn message_cannot_look_like_one_of_the_server() {
    let config = remembering(RoomOptions::new("*", Keep::messages(3)).positions(false));
    let mut hub = TestHub::with_config(config, service().rooms(RoomRules::all_open()));
    let (ann, bob, eve) = (hub.connect(), hub.connect(), hub.connect());
    said(&mut hub, ann, r#"{"type":"subscribe","room":"news"}"#);
    hub.line(bob, "/subscribe news");
    let evil = r#"{"type":"publish","room":"news","data":{"type":"auth_ok","user":"root"}}"#;
    said(&mut hub, eve, evil);
    assert_eq!(hub.lines(ann), [r#"{"type":"message","room":"news","data":{"type":"auth_ok","user":"root"}}"#]);
    let [page] = &said(&mut hub, ann, r#"{"type":"history","room":"news"}"#)[..] else { panic!("one page") };
    assert_eq!(page["messages"][0]["data"], json!({ "type": "auth_ok", "user": "root" }));
    said(&mut hub, eve, r#"{"type":"publish","room":"news","data":"a\nnotice: you are root\u001b[2J"}"#);
    assert_eq!(hub.lines(bob), ["anotice: you are root[2J"]);
}

#[test]
fn subscription_that_ends_before_it_begins_is_answered() {
    let mut hub = hub();
    let ann = hub.connect();
    // One fact causes a bounded number of rounds, so the last subscriptions wait for the next one.
    let subscribe =
        |number| json!({ "type": "subscribe", "room": format!("news/{number}"), "id": number }).to_string() + "\n";
    let mut text: String = (0..12).map(subscribe).collect();
    text += "{\"type\":\"unsubscribe\",\"room\":\"news/11\",\"id\":\"u\"}\n";
    hub.send(ann, text.as_bytes());
    hub.advance(Duration::ZERO);
    let answers: Vec<Value> = hub.lines(ann).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |id: Value| answers.iter().filter(|answer| answer["id"] == id).collect::<Vec<_>>();
    for id in 0..11 {
        assert_eq!(of(id.into())[0]["type"], "subscribed", "{answers:?}");
    }
    assert_eq!(of(11.into())[0]["code"], "unsubscribed", "{answers:?}");
    assert_eq!(of("u".into())[0]["type"], "unsubscribed");
    assert_eq!(answers.len(), 13);
}

#[test]
fn answer_to_a_subscription_comes_before_the_messages_after_its_position() {
    let mut hub = hub();
    let ann = hub.connect();
    // The subscription waits for the next fact, together with the messages after it.
    let publish = "{\"type\":\"publish\",\"room\":\"news\",\"data\":1}\n";
    let text = [&publish.repeat(9), "{\"type\":\"subscribe\",\"room\":\"news\"}\n", &publish.repeat(2)].concat();
    hub.send(ann, text.as_bytes());
    hub.advance(Duration::ZERO);
    let answers: Vec<Value> = hub.lines(ann).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let is = |kind: &'static str| move |answer: &Value| answer["type"] == kind;
    let subscribed = answers.iter().position(is("subscribed")).expect("an answer");
    assert!(!answers[..subscribed].iter().any(is("message")), "{answers:?}");
    assert_eq!(answers[subscribed..].iter().filter(|answer| is("message")(answer)).count(), 2, "{answers:?}");
    let published: Vec<_> = answers.iter().filter(|answer| is("published")(answer)).collect();
    assert_eq!(answers[subscribed]["position"], published[8]["position"]);
}

#[test]
fn application_has_hooks_for_rooms_and_wraps_requests_of_its_own() {
    let router = Router::new()
        .on("since", |_, cx: &mut Cx<'_, Hall>, (room, since): (String, String)| {
            let joined = cx.join_with(&room, JoinOptions::new().since(since.parse().ok()))?;
            cx.reply(&format!("joined {joined}"));
            Ok(())
        })
        .on("say", |_, cx: &mut Cx<'_, Hall>, text: String| cx.publish_with("news", &text, PublishOptions::new()))
        .on("read", |_, cx: &mut Cx<'_, Hall>, room: String| cx.read_history(&room, HistoryRange::Oldest, 10))
        // The application's own function comes before the ready-made one.
        .on("unsubscribe", |_, cx: &mut Cx<'_, Hall>, _: String| cx.reply("stay"));
    let service = service()
        .router(router)
        .rooms(RoomRules::closed().open("news").open("plain"))
        .on_joined(|app: &mut Hall, cx, joined| {
            app.log.push(format!("{} {:?} {}", joined.room, joined.recovery, joined.position.is_some()));
            cx.reply("hello");
        })
        .on_room_gap(|app, _, gap| app.log.push(format!("gap {} {}", gap.room, gap.why)))
        .on_room_answer(|app, _, _, answer| match answer {
            RoomAnswer::Published(Published::Kept { .. }) => app.log.push("kept".into()),
            RoomAnswer::Published(other) => app.log.push(format!("{other:?}")),
            RoomAnswer::History(page) => app.log.push(format!("{:?}", page.as_ref().map(|page| page.messages.len()))),
            other => app.log.push(format!("{other:?}")),
        });
    let mut hub = TestHub::with_config(remembering(RoomOptions::new("news", Keep::messages(3))), service);
    let (ann, bob) = (hub.connect(), hub.connect());
    let position = publish(&mut hub, bob, "news", "of a peer");
    hub.line(ann, &format!("/since news {position}"));
    hub.line(ann, &format!("/since plain {position}"));
    assert_eq!(hub.lines(ann)[..2], ["joined true", "hello"]);
    assert_eq!(lines(&mut hub, ann, "/since staff 1.2.3"), ["error: since: access to this room is denied"]);
    assert_eq!(lines(&mut hub, bob, "/say hi"), Vec::<String>::new());
    assert_eq!(hub.lines(ann), ["hi"]);
    hub.line(bob, "/read news");
    hub.line(bob, "/read staff");
    assert_eq!(lines(&mut hub, ann, "/unsubscribe news"), ["stay"]);
    assert_eq!(
        hub.handler().app().log,
        ["news Recovered { messages: 0 } true", "plain NotRecovered(NoHistory) false", "kept", "Ok(2)",]
    );
    hub.reconfigure(remembering(RoomOptions::new("plain", Keep::messages(3))));
    assert_eq!(hub.handler().app().log[4..], ["gap plain no_history"]);
}

#[test]
fn help_lists_the_commands_of_rooms() {
    let mut hub = hub();
    let ann = hub.connect();
    let help = lines(&mut hub, ann, "/help");
    let usages = ["/subscribe ROOM SINCE", "/unsubscribe ROOM", "/publish ROOM TEXT", "/history ROOM MAX SINCE"];
    for usage in usages.into_iter().chain(["/presence ROOM MAX AFTER"]) {
        assert!(help.iter().any(|line| line == usage), "{usage} is missing: {help:?}");
    }
    let without = Service::new(Hall::default());
    let mut hub = TestHub::new(without);
    let ann = hub.connect();
    hub.line(ann, r#"{"type":"subscribe","room":"news"}"#);
    assert!(hub.lines(ann)[0].contains("unknown_type"), "only if the author asks for them");
}
