//! Slow members of rooms that remember are told what they missed before they receive anything later.

use drupe_core::history::{Gap, Keep, Position, Recovery};
use drupe_core::outbound::{Marks, SlowPolicy};
use drupe_core::{
    Config, ConnId, Event, Handler, Hub, JoinOptions, ListenerId, Machine, NoNote, RoomMemory, RoomOptions, Time,
};
use std::net::SocketAddr;

const NOTICE: &str = "notice: messages in news may be missing (too_slow)";

/// Joins everybody to a room, at once or after a position, and publishes there what is said.
#[derive(Default)]
struct Desk {
    recovery: Vec<Recovery>,
    gaps: usize,
    /// The position of the last membership that began.
    top: Option<Position>,
}

impl Handler for Desk {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                hub.join(conn, "news").expect("few");
            }
            Event::Message { conn, payload } => match payload.as_str().expect("text") {
                "policy close" => hub.set_slow_policy("news", SlowPolicy::Close).expect("few"),
                "policy oldest" => hub.set_slow_policy("news", SlowPolicy::SkipOldest).expect("few"),
                "direct" => drop(hub.send_each(&hub.connections().collect::<Vec<_>>(), "direct")),
                "leave" => assert!(hub.leave(conn, "news")),
                "back" => {
                    let options = JoinOptions::new().since(self.top);
                    assert_eq!(hub.join_with(conn, "news", options), Ok(true));
                }
                said => drop(hub.publish_except("news", &[conn], said)),
            },
            Event::Joined { position, recovery, .. } => {
                self.recovery.push(recovery);
                self.top = position;
            }
            Event::RoomGap(gap) => self.gaps += usize::from(gap.conn.is_some()),
            _ => {}
        }
    }
}

/// A server with a member whose socket accepts nothing, and a member that speaks.
struct Scene {
    machine: Machine<Desk>,
    slow: ConnId,
    speaker: ConnId,
}

impl Scene {
    /// The slow member has received the first bytes of the message `0`.
    fn begin(policy: SlowPolicy, marks: (u32, u32, u32)) -> Self {
        let memory = RoomMemory::default().rooms(vec![RoomOptions::new("news", Keep::messages(100))]);
        let mut config = Config::listening(["tcp://127.0.0.1:1".parse().expect("an address")]).memory(memory);
        config.outbound.marks = Marks::new(marks.0, marks.1, marks.2).expect("in order");
        config.outbound.slow_policy = policy;
        let mut scene = Self::of(Machine::new(config.unlimited(), Desk::default()));
        scene.say("0 ................");
        scene.machine.wrote(Time::START, scene.slow, 3);
        scene.machine.blocked(Time::START, scene.slow);
        scene
    }

    fn of(mut machine: Machine<Desk>) -> Self {
        machine.started(Time::START);
        let [slow, speaker] = [1, 2].map(|host| accept(&mut machine, host));
        Self { machine, slow, speaker }
    }

    fn say(&mut self, text: &str) {
        self.said(self.speaker, text);
    }

    fn said(&mut self, conn: ConnId, text: &str) {
        self.machine.received(Time::START, conn, &mut format!("{text}\n").into_bytes());
        assert_eq!(self.machine.recount(), Ok(()), "after {text}");
    }

    /// Says these numbers, each with enough text that few of them are queued at a time.
    fn count(&mut self, numbers: std::ops::RangeInclusive<u32>) {
        numbers.for_each(|number| self.say(&format!("{number} ................")));
    }

    /// Lets the socket accept everything that is queued now, and returns the first word of each whole line.
    fn read(&mut self) -> Vec<String> {
        let bytes = self
            .machine
            .intent(self.slow)
            .map(|intent| intent.transmit.slices().flatten().copied().collect::<Vec<u8>>())
            .unwrap_or_default();
        self.machine.wrote(Time::START, self.slow, bytes.len());
        assert_eq!(self.machine.recount(), Ok(()));
        let text = String::from_utf8(bytes).expect("text");
        let word = |line: &str| if line == NOTICE { "gap".into() } else { line.split(' ').next().unwrap_or("").into() };
        // The first line is the rest of the first message.
        text.lines().map(word).filter(|word: &String| !word.starts_with('.')).collect()
    }
}

fn accept(machine: &mut Machine<Desk>, host: u8) -> ConnId {
    let peer = SocketAddr::from(([192, 0, 2, host], 1));
    machine.accepted(Time::START, ListenerId::new(0), peer.into()).expect("let in")
}

/// Returns what a slow member reads while it is slow, and what it reads after it has caught up.
fn reads(policy: SlowPolicy) -> [Vec<String>; 3] {
    let mut scene = Scene::begin(policy, (50, 100, 300));
    scene.count(1..=20);
    let first = scene.read();
    let then = scene.read();
    scene.count(21..=22);
    [first, then, scene.read()]
}

#[test]
fn notice_takes_the_place_of_what_is_missing() {
    for (policy, expected) in [
        (SlowPolicy::SkipOldest, "gap 10 11 12 13 14 15 16 17 18 19 20; ; 21 22"),
        (SlowPolicy::SkipNewest, "1 2 3 4 5 6 7 8 9 10 11 12 13 14; gap; 21 22"),
        (SlowPolicy::KeepLatest, "gap 15 16 17 18 19 20; ; 21 22"),
    ] {
        let found = reads(policy).map(|words| words.join(" ")).join("; ");
        assert_eq!(found, expected, "{policy:?}");
    }
}

#[test]
fn messages_of_another_policy_do_not_come_between_the_notice_and_the_gap() {
    let mut scene = Scene::begin(SlowPolicy::SkipOldest, (50, 100, 300));
    scene.count(1..=12);
    scene.say("policy close");
    scene.count(13..=14);
    scene.say("policy oldest");
    scene.count(15..=20);
    assert_eq!(scene.read(), ["gap", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20"]);
    assert_eq!(scene.machine.handler().gaps, 1);
}

#[test]
fn member_that_returns_while_it_is_slow_has_recovered_only_if_all_fits() {
    for (direct, expected, is_recovered) in [(2, &["0", "1", "2"][..], true), (6, &["0", "1", "gap"], false)] {
        let mut scene = Scene::begin(SlowPolicy::SkipNewest, (50, 100, 100));
        // Now the position behind the message `0` is known, which it has received twice.
        for text in ["leave", "back", "leave"] {
            scene.said(scene.slow, text);
        }
        let since = scene.machine.handler().top;
        scene.count(1..=2);
        (0..direct).for_each(|_| scene.say("direct"));
        assert_eq!(scene.machine.handler().top, since);
        scene.said(scene.slow, "back");
        let (mut read, mut last) = (scene.read(), scene.read());
        read.append(&mut last);
        let of_room: Vec<_> = read.iter().filter(|word| *word != "direct").collect();
        assert_eq!(of_room, expected, "{direct} direct messages before: {read:?}");
        let recovery = *scene.machine.handler().recovery.last().expect("it came back");
        match recovery {
            Recovery::Recovered { messages, .. } => assert!(is_recovered && messages == 2, "{messages} messages"),
            other => assert!(!is_recovered && other == Recovery::NotRecovered(Gap::TooSlow), "{other:?}"),
        }
    }
}
