//! Rooms that remember, with each of their options at 0, 1 and the maximum.

use crate::extremes::{Extreme, of_memory};
use drupe_core::history::{Position, Recovery};
use drupe_core::testing::TestHub;
use drupe_core::{
    Config, Event, Handler, HistoryRange, Hub, JoinOptions, NoNote, PublishOptions, Published, RoomAnswer,
};
use std::time::Duration;

#[derive(Default)]
struct Desk {
    position: Option<Position>,
    joined: Vec<Recovery>,
    requests: usize,
    answers: Vec<RoomAnswer>,
}

impl Handler for Desk {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => {
                let text = payload.as_str().expect("text").to_string();
                let (verb, room) = text.split_once(' ').expect("a verb and a room");
                match verb {
                    "back" => drop(hub.join_with(conn, room, JoinOptions::new().since(self.position))),
                    "leave" => drop(hub.leave(conn, room)),
                    "say" => drop(hub.publish(room, "hello")),
                    _ => self.requests += 1,
                }
                match verb {
                    "keep" => drop(hub.publish_with(room, "hello", PublishOptions::new())),
                    "key" => drop(hub.publish_with(room, "hello", PublishOptions::new().key("a key"))),
                    "read" => drop(hub.read_history(room, HistoryRange::Oldest, u32::MAX)),
                    _ => {}
                }
            }
            Event::Joined { recovery, .. } => self.joined.push(recovery),
            Event::RoomAnswered { answer, .. } => {
                if let RoomAnswer::Published(Published::Kept { position, .. }) = answer {
                    self.position = Some(*position);
                }
                self.answers.push(answer.clone());
            }
            _ => {}
        }
    }
}

#[test]
fn extreme_options_of_rooms_that_remember_answer_once_and_recover_or_say_why() {
    for (field, change) in of_memory() {
        for extreme in [Extreme::Zero, Extreme::One, Extreme::Max] {
            let about = format!("{field} at {extreme:?}");
            let mut config = Config::listening(["tcp://127.0.0.1:1".parse().expect("an address")]).unlimited();
            change(&mut config, extreme);
            let mut hub = TestHub::with_config(config, Desk::default());
            let (ann, bob) = (hub.connect(), hub.connect());
            for round in 0..3 {
                for line in ["back news", "keep news", "key news", "key news", "say news", "read news", "leave news"] {
                    hub.line(ann, line);
                    hub.line(bob, line);
                }
                hub.advance(Duration::from_secs(round * 100));
            }
            let desk = hub.handler();
            assert_eq!(desk.joined.len(), 6, "{about}: each join is answered once");
            assert_eq!(desk.answers.len(), desk.requests, "{about}: each request is answered once");
            let unknown = desk.answers.contains(&RoomAnswer::Unknown);
            assert!(!unknown, "{about}: the home is here, and answers");
            let refuses =
                matches!((field, extreme), ("memory.bytes_max" | "memory.keep.bytes", Extreme::Zero | Extreme::One));
            assert_eq!(desk.position.is_none(), refuses, "{about}: messages of 5 bytes are kept");
        }
    }
}
