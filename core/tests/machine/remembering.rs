//! Rooms that have a home: positions, recovery, gaps, answers and histories.

use drupe_core::history::{Gap, Keep, Position, PublishError, Recovery};
use drupe_core::testing::TestHub;
use drupe_core::{
    Config, ConnId, Event, Handler, HistoryRange, Hub, JoinOptions, Listen, NoNote, PublishOptions, PublishRefusal,
    Published, RoomAnswer, RoomMemory, RoomOptions,
};

/// Does what lines say, and records events.
#[derive(Default)]
struct Desk {
    events: Vec<String>,
    positions: Vec<Position>,
    joined: Vec<(ConnId, Option<Position>, Recovery)>,
    answers: Vec<RoomAnswer>,
    /// Number of messages that are published when an answer comes.
    chain: u32,
}

impl Handler for Desk {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => {
                let text = payload.as_str().expect("text").to_string();
                let words: Vec<_> = text.splitn(3, ' ').collect();
                match words[..] {
                    ["join", room] => drop(hub.join(conn, room)),
                    ["since", room, position] => {
                        let since = position.parse().ok();
                        let _ = hub.join_with(conn, room, JoinOptions::new().since(since));
                    }
                    ["leave", room] => drop(hub.leave(conn, room)),
                    ["say", room, text] => drop(hub.publish(room, text)),
                    ["keep", room, text] => drop(hub.publish_with(room, text, PublishOptions::new())),
                    ["key", room, key] => drop(hub.publish_with(room, key, PublishOptions::new().key(key))),
                    ["history", room] => drop(hub.read_history(room, HistoryRange::Oldest, 10)),
                    ["remove", room] => hub.remove_history(room),
                    _ => panic!("{text}"),
                }
                hub.send(conn, "done");
            }
            Event::Joined { conn, room, position, recovery, .. } => {
                self.events.push(format!("joined {room} {recovery:?}"));
                self.joined.push((conn, position, recovery));
            }
            Event::RoomGap(gap) => self.events.push(format!("gap {} {} {}", gap.room, gap.why, gap.conn.is_some())),
            Event::RoomAnswered { answer, .. } => {
                if let RoomAnswer::Published(Published::Kept { position, .. }) = answer {
                    self.positions.push(*position);
                }
                self.answers.push(answer.clone());
                if self.chain > 0 {
                    self.chain -= 1;
                    hub.publish_with("news", "again", PublishOptions::new());
                }
            }
            _ => {}
        }
    }
}

fn remembering(keep: Keep) -> Config {
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
    let memory = RoomMemory::default().rooms(vec![RoomOptions::new("news*", keep)]);
    Config::listening([listen]).memory(memory).unlimited()
}

fn hub() -> TestHub<Desk> {
    TestHub::with_config(remembering(Keep::messages(3)), Desk::default())
}

#[test]
fn members_get_messages_once_the_home_has_numbered_them() {
    let mut hub = hub();
    let (ann, bob) = (hub.connect(), hub.connect());
    hub.line(ann, "join news");
    hub.line(bob, "join news");
    hub.clear();
    hub.line(ann, "say news one");
    assert_eq!(hub.lines(ann), ["done", "one"], "also the sender gets it in the order of the home");
    assert_eq!(hub.lines(bob), ["one"]);
    assert_eq!(hub.handler().events, ["joined news New", "joined news New"]);
}

#[test]
fn returning_member_gets_what_it_missed_before_anything_new() {
    let mut hub = hub();
    let (ann, bob) = (hub.connect(), hub.connect());
    hub.line(ann, "join news");
    for text in ["one", "two", "three", "four"] {
        hub.line(ann, &format!("keep news {text}"));
    }
    let [first, second, _, fourth] = hub.handler().positions[..] else { panic!("four answers") };
    for (since, expected) in [(fourth, &[][..]), (second, &["three", "four"]), (first, &["two", "three", "four"])] {
        hub.clear();
        hub.line(bob, &format!("since news {since}"));
        assert_eq!(hub.lines(bob)[1..], *expected, "after {since}");
        let joined = *hub.handler().joined.last().expect("an event");
        assert!(matches!(joined.2, Recovery::Recovered { messages, .. } if messages == expected.len()));
        assert_eq!(joined.1, Some(fourth));
        hub.line(bob, "leave news");
    }
    let start = Position::new(first.epoch, 0, 0);
    for (since, gap) in [
        (start, Gap::TooOld),
        (Position::new(first.epoch, 2, 7), Gap::Rewritten),
        (Position::new(first.epoch, 9, 7), Gap::Rewritten),
        (Position::new(first.epoch, u64::MAX, u64::MAX - 1), Gap::Rewritten),
        (Position::new(1, 2, 3), Gap::OtherEpoch),
    ] {
        hub.clear();
        hub.line(bob, &format!("since news {since}"));
        assert_eq!(hub.lines(bob), ["done", &format!("notice: messages in news may be missing ({gap})")]);
        assert_eq!(hub.handler().joined.last().expect("an event").2, Recovery::NotRecovered(gap));
        hub.line(bob, "leave news");
    }
}

#[test]
fn position_of_another_room_does_not_recover() {
    let mut hub = hub();
    let ann = hub.connect();
    hub.line(ann, "keep news one");
    hub.line(ann, "keep news2 one");
    let [of_news, _] = hub.handler().positions[..] else { panic!("two answers") };
    hub.line(ann, &format!("since news2 {of_news}"));
    assert_eq!(hub.handler().joined[0].2, Recovery::NotRecovered(Gap::OtherEpoch));
    hub.line(ann, &format!("since plain {of_news}"));
    assert_eq!(hub.handler().joined[1], (ann, None, Recovery::NotRecovered(Gap::NoHistory)));
}

#[test]
fn each_request_is_answered_once() {
    let mut hub = TestHub::with_config(remembering(Keep::messages(10).bytes(5)), Desk::default());
    let ann = hub.connect();
    for line in ["key news k", "key news k", "keep news 123456", "keep plain x", "history news", "history plain"] {
        hub.line(ann, line);
    }
    let handler = hub.handler();
    let [first, again] = handler.positions[..] else { panic!("{:?}", handler.positions) };
    assert_eq!(first, again, "the second message with a key is the first one");
    let refused = |refusal: PublishRefusal| RoomAnswer::Published(Published::Refused(refusal));
    assert_eq!(handler.answers[2], refused(PublishError::TooLong { bytes: 6, max: 5 }.into()));
    assert_eq!(handler.answers[3], refused(PublishRefusal::NoHome));
    let RoomAnswer::History(Ok(page)) = &handler.answers[4] else { panic!("{:?}", handler.answers[4]) };
    assert_eq!((page.messages.len(), page.top, page.has_more), (1, first, false));
    assert_eq!(handler.answers[5], RoomAnswer::History(Err(Gap::NoHistory)));
    assert_eq!(handler.answers.len(), 6);
}

#[test]
fn application_that_answers_each_answer_with_a_request_does_not_block_the_server() {
    let mut hub = hub();
    hub.with_handler(|desk| desk.chain = 1_000);
    let ann = hub.connect();
    hub.line(ann, "keep news one");
    let begun = hub.handler().answers.len();
    assert!((1..100).contains(&begun), "{begun} answers during one fact");
    hub.advance(std::time::Duration::from_millis(1));
    assert_eq!(hub.handler().answers.len(), 1_001);
}

#[test]
fn room_that_gets_a_home_or_loses_it_tells_a_gap_and_goes_on() {
    let mut hub = hub();
    let (ann, bob) = (hub.connect(), hub.connect());
    hub.line(ann, "join plain");
    let more = |rooms: &[&str]| {
        let options = rooms.iter().map(|rooms| RoomOptions::new(rooms, Keep::messages(3))).collect();
        remembering(Keep::messages(3)).memory(RoomMemory::default().rooms(options))
    };
    hub.clear();
    hub.reconfigure(more(&["news*", "plain"]));
    hub.line(bob, "say plain one");
    assert_eq!(hub.lines(ann), ["notice: messages in plain may be missing (no_history)", "one"]);
    hub.line(bob, "join news");
    hub.line(bob, "keep news kept");
    let position = hub.handler().positions[0];
    hub.clear();
    hub.reconfigure(more(&[]));
    hub.line(bob, "say plain two");
    hub.line(bob, "say news three");
    assert!(hub.lines(ann).contains(&"two".to_string()), "{:?}", hub.lines(ann));
    assert!(hub.lines(bob).contains(&"three".to_string()), "{:?}", hub.lines(bob));
    let memory = hub.machine().metrics().memory;
    assert_eq!((memory.rooms, memory.bytes), (0, 0), "without a home, nothing is kept");
    hub.reconfigure(more(&["news*"]));
    hub.line(ann, &format!("since news {position}"));
    assert_eq!(hub.handler().joined.last().expect("an event").2, Recovery::NotRecovered(Gap::OtherEpoch));
}

#[test]
fn metrics_of_rooms_add_up_over_shards_and_name_the_reasons() {
    let mut hub = hub();
    let (ann, bob) = (hub.connect(), hub.connect());
    hub.line(ann, "join news");
    for text in ["one", "two", "three", "four", "five"] {
        hub.line(ann, &format!("keep news {text}"));
    }
    let [first, .., fourth, _] = hub.handler().positions[..] else { panic!("answers") };
    for since in [fourth, first] {
        hub.line(bob, &format!("since news {since}"));
        hub.line(bob, "leave news");
    }
    hub.line(bob, "join plain");
    let options = |rooms| RoomOptions::new(rooms, Keep::messages(3));
    let rooms = vec![options("news*"), options("plain")];
    hub.reconfigure(remembering(Keep::messages(3)).memory(RoomMemory::default().rooms(rooms)));
    let of_one = hub.machine().metrics();
    let mut of_two = of_one.clone();
    of_two.add(&of_one);
    for (metrics, shards) in [(of_one, 1), (of_two, 2)] {
        let (text, bytes) = (metrics.exposition(), metrics.memory.bytes);
        for (series, value) in [
            ("drupe_room_histories", 2),
            ("drupe_room_requests_kept_total", 5),
            ("drupe_room_recovered_messages_total", 1),
            ("drupe_room_joins_total{result=\"new\"}", 1),
            ("drupe_room_joins_total{result=\"recovered\"}", 1),
            ("drupe_room_joins_total{result=\"too_old\"}", 1),
            ("drupe_room_joins_total{result=\"rewritten\"}", 0),
            ("drupe_room_gaps_total{reason=\"no_history\"}", 1),
            ("drupe_room_gaps_total{reason=\"too_slow\"}", 0),
        ] {
            assert!(text.contains(&format!("\n{series} {}\n", value * shards)), "{series} {value} * {shards}\n{text}");
        }
        assert!(bytes > 0 && text.contains(&format!("\ndrupe_room_histories_bytes {bytes}\n")), "{bytes}\n{text}");
    }
}
