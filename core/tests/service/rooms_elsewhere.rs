//! Rooms whose home is a shard that does not answer.

use drupe_core::history::Keep;
use drupe_core::kit::{RoomRules, Service};
use drupe_core::{
    Config, ConnId, Listen, ListenerId, Machine, Peer, RoomMemory, RoomOptions, Shard, ShardMessage, Time,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The first of two shards, and the messages that it sends to the other.
struct First {
    machine: Machine<Service<()>>,
    now: Time,
    posted: Vec<ShardMessage>,
}

impl First {
    fn new() -> (Self, ConnId) {
        let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
        let memory = RoomMemory::default().rooms(vec![RoomOptions::new("*", Keep::messages(2))]);
        let config = Config::listening([listen]).memory(memory).unlimited();
        let service = Service::new(()).rooms(RoomRules::all_open()).room_messages();
        let mut machine = Machine::shard(config, service, Shard::new(0, 2).expect("in range"));
        let (listener, peer): (_, Peer) = (ListenerId::new(0), "192.0.2.1:7".parse().expect("an address"));
        let conn = machine.adopted(Time::START, listener, peer);
        (Self { machine, now: Time::START, posted: Vec::new() }, conn)
    }

    fn say(&mut self, conn: ConnId, message: &Value) -> Vec<Value> {
        self.machine.received(self.now, conn, &mut format!("{message}\n").into_bytes());
        self.turn()
    }

    /// Advances the clock, stopping at every deadline on the way. Returns what the peers receive.
    fn advance(&mut self, span: Duration) -> Vec<Value> {
        let until = self.now + span;
        let mut received = Vec::new();
        while let Some(deadline) = self.machine.deadline().filter(|deadline| deadline.at <= until) {
            self.now = self.now.max(deadline.at);
            self.machine.elapsed(self.now);
            received.extend(self.turn());
        }
        self.now = until;
        received
    }

    /// Returns what the peers receive.
    fn turn(&mut self) -> Vec<Value> {
        let mut text = Vec::new();
        while let Some(id) = self.machine.next_changed() {
            let Some(intent) = self.machine.intent(id) else { continue };
            let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
            self.machine.wrote(self.now, id, bytes.len());
            text.extend(bytes);
        }
        self.machine.turn_ended(self.now);
        while let Some((_, message)) = self.machine.next_shard_message() {
            if matches!(message, ShardMessage::Room(_)) {
                self.posted.push(message);
            }
        }
        let text = String::from_utf8(text).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Returns the name of a room whose home is the other shard.
    fn room_elsewhere(&mut self, conn: ConnId) -> String {
        let mut names = (0..100).map(|number| format!("room {number}"));
        let elsewhere = names.find(|name| {
            let answers = self.say(conn, &json!({ "type": "history", "room": name }));
            answers.is_empty()
        });
        self.posted.clear();
        elsewhere.expect("half of the rooms are there")
    }
}

#[test]
fn requests_without_an_answer_end_with_a_name() {
    let (mut first, conn) = First::new();
    let room = first.room_elsewhere(conn);
    for message in [
        json!({ "type": "publish", "room": room, "data": 1, "id": "p" }),
        json!({ "jsonrpc": "2.0", "id": "r", "method": "publish", "params": { "room": room, "data": 1 } }),
        json!({ "type": "subscribe", "room": room, "id": "s" }),
    ] {
        assert_eq!(first.say(conn, &message), Vec::<Value>::new(), "{message}");
    }
    assert_eq!(first.say(conn, &json!({ "type": "subscribe", "room": room }))[0]["code"], "already_subscribed");
    let answers = first.advance(Duration::from_secs(10));
    let of = |id: &str| answers.iter().find(|answer| answer["id"] == id).expect("an answer");
    assert_eq!((&of("p")["code"], &of("p")["of"]), (&"unknown".into(), &"publish".into()), "{answers:?}");
    assert_eq!(of("r")["error"]["data"]["code"], "unknown");
    assert_eq!(answers.len(), 3, "one of them for the search of the room: {answers:?}");
    let answers = first.advance(Duration::from_secs(5));
    assert_eq!((&answers[0]["id"], &answers[0]["code"]), (&"s".into(), &"timed_out".into()), "{answers:?}");
    // It has left the room, and may subscribe again.
    assert_eq!(first.say(conn, &json!({ "type": "subscribe", "room": room })), Vec::<Value>::new());
}

#[test]
fn one_peer_cannot_have_more_requests_than_tickets() {
    let (mut first, conn) = First::new();
    let room = first.room_elsewhere(conn);
    let publish = json!({ "type": "publish", "room": room, "data": 1 });
    // The search of the room waits for an answer as well.
    for _ in 0..63 {
        assert_eq!(first.say(conn, &publish), Vec::<Value>::new());
    }
    let refused = first.say(conn, &publish);
    assert_eq!(refused[0]["code"], "refused", "{refused:?}");
    assert!(refused[0]["reason"].as_str().is_some_and(|reason| reason.contains("at most 64 requests")), "{refused:?}");
    assert_eq!(first.posted.len(), 63);
}

#[test]
fn closed_connection_leaves_nothing_that_waits() {
    let (mut first, conn) = First::new();
    let room = first.room_elsewhere(conn);
    first.say(conn, &json!({ "type": "subscribe", "room": room }));
    first.say(conn, &json!({ "type": "publish", "room": room, "data": 1 }));
    first.machine.failed(first.now, conn, drupe_core::Failure::Reset);
    first.turn();
    let peer: Peer = "192.0.2.1:8".parse().expect("an address");
    let next = first.machine.adopted(first.now, ListenerId::new(0), peer);
    assert_eq!(next.index(), conn.index(), "the same slot");
    assert_eq!(first.advance(Duration::from_secs(20)), Vec::<Value>::new(), "the answers are nobody's");
}
