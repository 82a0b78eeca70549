//! The built-in applications, in rooms that remember.

use drupe_core::app::{Chat, Relay};
use drupe_core::history::Keep;
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Failure, Handler, Listen, RoomMemory, RoomOptions};
use serde_json::{Value, json};

fn hub<H: Handler>(handler: H) -> TestHub<H> {
    let listen: Listen = "ws://127.0.0.1:1".parse().expect("an address");
    let memory = RoomMemory::default().rooms(vec![RoomOptions::new("*", Keep::messages(9))]);
    TestHub::with_config(Config::listening([listen]).memory(memory).unlimited(), handler)
}

/// Connects a WebSocket. Returns what it receives as well.
fn connect<H: Handler>(hub: &mut TestHub<H>, path: &str) -> (ConnId, Vec<String>) {
    hub.clear();
    let conn = hub.open_websocket(path);
    (conn, texts(hub, conn))
}

/// Sends a text. Returns what the sender receives.
fn say<H: Handler>(hub: &mut TestHub<H>, conn: ConnId, text: &str) -> Vec<String> {
    hub.clear();
    hub.websocket(conn).send_text(text);
    texts(hub, conn)
}

fn texts<H: Handler>(hub: &mut TestHub<H>, conn: ConnId) -> Vec<String> {
    hub.websocket(conn).texts().into_iter().map(ToOwned::to_owned).collect()
}

/// Returns the data and the positions of messages of a room, and other texts with no position.
fn kept(texts: &[String]) -> Vec<(String, String)> {
    let kept = |text: &String| match serde_json::from_str::<Value>(text) {
        Ok(message) => {
            let member = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            let data = if message["type"] == "gap" { format!("gap {}", member("why")) } else { member("data") };
            (data, member("position"))
        }
        Err(_) => (text.clone(), String::new()),
    };
    texts.iter().map(kept).collect()
}

fn words(texts: &[String]) -> Vec<String> {
    kept(texts).into_iter().map(|(data, _)| data).collect()
}

#[test]
fn chat_tells_a_peer_that_comes_back_what_was_said_in_the_lobby() {
    let mut hub = hub(Chat::default());
    let (ann, texts) = connect(&mut hub, "/");
    assert_eq!(words(&texts), ["* welcome, guest1; type /help for the commands", "* guest1 came to lobby"]);
    let (bob, texts) = connect(&mut hub, "/");
    let (_, position) = kept(&texts).pop().expect("its own arrival");
    hub.fail(bob, Failure::Reset);
    say(&mut hub, ann, "hello");
    let (_, texts) = connect(&mut hub, &format!("/?since={position}"));
    assert_eq!(
        words(&texts),
        [
            "* welcome, guest3; type /help for the commands",
            "* guest2 left (reset)",
            "<guest1> hello",
            "* guest3 came to lobby",
        ]
    );
    for (query, gap) in [("?since=1.2.3", Some("gap other_epoch")), ("?since=x", None), ("?since", None)] {
        let (_, texts) = connect(&mut hub, &format!("/{query}"));
        let gaps = words(&texts).into_iter().find(|text| text.starts_with("gap "));
        assert_eq!(gaps.as_deref(), gap, "{query}: {texts:?}");
    }
}

#[test]
fn chat_tells_a_peer_that_comes_back_what_was_said_in_another_room() {
    let mut hub = hub(Chat::default());
    let (ann, _) = connect(&mut hub, "/");
    let texts = say(&mut hub, ann, "/join den");
    let (data, position) = kept(&texts).pop().expect("its own arrival");
    assert_eq!(data, "* guest1 came to den");
    say(&mut hub, ann, "/leave");
    let (bob, _) = connect(&mut hub, "/");
    say(&mut hub, bob, "/join den");
    say(&mut hub, bob, "hello");
    let texts = say(&mut hub, ann, &format!("/join den {position}"));
    let expected = ["* guest1 went to lobby", "* guest2 came to den", "<guest2> hello", "* guest1 came to den"];
    assert_eq!(words(&texts).into_iter().filter(|text| text != "* guest1 went to den").collect::<Vec<_>>(), expected);
    assert_eq!(words(&say(&mut hub, ann, "/join den x")), ["* a room has 1 to 24 letters, digits, - _ or ."]);
}

#[test]
fn relay_tells_a_peer_that_comes_back_what_it_missed() {
    let mut hub = hub(Relay::default());
    let ((ann, _), (bob, _)) = (connect(&mut hub, "/"), connect(&mut hub, "/"));
    assert_eq!(say(&mut hub, ann, "one"), Vec::<String>::new(), "not its sender");
    let (data, position) = kept(&texts(&mut hub, bob)).pop().expect("a message");
    assert_eq!(data, "one");
    hub.fail(bob, Failure::Reset);
    say(&mut hub, ann, &json!({ "type": "gap" }).to_string());
    let (_, texts) = connect(&mut hub, &format!("/?since={position}"));
    assert_eq!(words(&texts), [r#"{"type":"gap"}"#], "what a peer sends is data, whatever it looks like");
}
