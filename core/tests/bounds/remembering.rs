//! What peers can do to rooms that remember: forge positions, and send long names, keys and messages.

use crate::counting::Measure;
use drupe_core::history::{Gap, Keep, Position, PublishError, Recovery};
use drupe_core::limit::{Budget, MessageSize};
use drupe_core::testing::TestHub;
use drupe_core::{
    Config, Event, Handler, HistoryRange, Hub, JoinError, JoinOptions, NoNote, PublishOptions, PublishRefusal,
    Published, RoomAnswer, RoomMemory, RoomOptions,
};

/// A desk that trusts its peers with everything.
#[derive(Default)]
struct Desk {
    joins: Vec<Result<bool, JoinError>>,
    /// Texts of peers that are no positions.
    no_positions: u32,
    recovery: Option<Recovery>,
    position: Option<Position>,
    answer: Option<RoomAnswer>,
    answers: usize,
    /// Requests that were refused because too many wait.
    too_many: usize,
}

impl Handler for Desk {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => {
                let text = payload.as_str().expect("text").to_string();
                let mut words = text.splitn(3, ' ');
                let mut word = || words.next().unwrap_or_default();
                let (verb, room, rest) = (word(), word(), word());
                match verb {
                    "since" => match rest.parse() {
                        Ok(since) => self.joins.push(hub.join_with(conn, room, JoinOptions::new().since(Some(since)))),
                        Err(_) => self.no_positions += 1,
                    },
                    "leave" => drop(hub.leave(conn, room)),
                    "keep" => drop(hub.publish_with(room, rest, PublishOptions::new())),
                    "key" => drop(hub.publish_with(room, "hello", PublishOptions::new().key(rest))),
                    "read" => drop(hub.read_history(room, HistoryRange::Oldest, u32::MAX)),
                    "remove" => hub.remove_history(room),
                    "many" => (0..10_050).for_each(|_| {
                        let _ = hub.publish_with(room, "x", PublishOptions::new());
                    }),
                    _ => panic!("{verb}"),
                }
            }
            Event::Joined { recovery, .. } => self.recovery = Some(recovery),
            Event::RoomAnswered { answer, .. } => {
                if let RoomAnswer::Published(Published::Kept { position, .. }) = answer {
                    self.position = Some(*position);
                }
                let refused = RoomAnswer::Published(Published::Refused(PublishRefusal::TooManyRequests));
                self.too_many += usize::from(*answer == refused);
                self.answers += 1;
                self.answer = Some(answer.clone());
            }
            _ => {}
        }
    }
}

const LONG: usize = 1 << 20;
const BYTES_MAX: usize = 1 << 20;

fn hub(keep: Keep) -> TestHub<Desk> {
    let budget = Budget::default().message_max_bytes(MessageSize::new(2 * LONG as u64).expect("in range"));
    let memory = RoomMemory::default().rooms(vec![RoomOptions::new("*", keep)]).bytes_max(BYTES_MAX as u64);
    let config = Config::listening(["tcp://127.0.0.1:1".parse().expect("an address")]);
    TestHub::with_config(config.unlimited().budget(budget).memory(memory), Desk::default())
}

#[test]
fn forged_positions_are_not_recovered_and_cost_no_memory() {
    let mut hub = hub(Keep::messages(10));
    let ann = hub.connect();
    hub.line(ann, "keep other one");
    let other = hub.handler().position.expect("kept");
    for _ in 0..5 {
        hub.line(ann, "keep news one");
    }
    let last = hub.handler().position.expect("kept");
    hub.clear();
    let measure = Measure::begin();
    let (max, far) = (u64::MAX, last.offset + 1);
    for (forged, gap) in [
        (other, Gap::OtherEpoch),
        (Position::new(max, max, max - 1), Gap::OtherEpoch),
        (Position::new(0, 0, 0), Gap::OtherEpoch),
        (Position::new(last.epoch, far, last.mark), Gap::Rewritten),
        (Position::new(last.epoch, max, last.mark), Gap::Rewritten),
        (Position::new(last.epoch, last.offset, last.mark ^ 1), Gap::Rewritten),
        (Position::new(last.epoch, 2, last.mark), Gap::Rewritten),
        (Position::new(last.epoch, 0, last.mark), Gap::Rewritten),
    ] {
        hub.line(ann, &format!("since news {forged}"));
        assert_eq!(hub.handler().recovery, Some(Recovery::NotRecovered(gap)), "{forged}");
        assert_eq!(hub.lines(ann), [format!("notice: messages in news may be missing ({gap})")]);
        hub.line(ann, "leave news");
        hub.clear();
    }
    hub.with_handler(|desk| desk.joins = Vec::new());
    let digits = "f".repeat(LONG);
    let overflowing = format!("{}.10000000000000000.1", last.epoch);
    // A client that writes positions as text cannot leave out the mark.
    let any_mark = Position::new(last.epoch, 1, Position::ANY_MARK).to_string();
    let texts = [
        digits.clone(),
        format!("{digits}.1.1"),
        format!("1.{digits}.1"),
        format!("1.1.{digits}"),
        overflowing,
        any_mark,
    ];
    for text in &texts {
        hub.line(ann, &format!("since news {text}"));
    }
    hub.clear();
    assert_eq!((hub.handler().no_positions, hub.handler().joins.len()), (6, 0));
    drop((texts, digits));
    assert!(measure.held() < 64 << 10, "{} bytes are held", measure.held());
}

#[test]
fn long_names_keys_and_messages_are_refused_by_name_and_cost_no_memory() {
    let mut hub = hub(Keep::messages(10).bytes(1_000));
    let ann = hub.connect();
    let measure = Measure::begin();
    let long = "x".repeat(LONG);
    let refused = |refusal: PublishRefusal| Some(RoomAnswer::Published(Published::Refused(refusal)));
    let name = PublishRefusal::Name { bytes: LONG, max: 128 };
    let too_long = PublishError::TooLong { bytes: LONG, max: 1_000 };
    for (line, answer) in [
        (format!("keep {long} hello"), refused(name)),
        (format!("key {long} hello"), refused(name)),
        (format!("read {long}"), Some(RoomAnswer::History(Err(Gap::NoHistory)))),
        (format!("key news {long}"), refused(PublishError::KeyTooLong { bytes: LONG }.into())),
        (format!("keep news {long}"), refused(too_long.into())),
    ] {
        hub.line(ann, &line);
        assert_eq!(hub.handler().answer, answer, "{line:.20}");
    }
    hub.line(ann, &format!("remove {long}"));
    hub.line(ann, &format!("since {long} 1.2.3"));
    assert_eq!(hub.handler().joins, [Err(JoinError::Name { bytes: LONG, max: 128 })]);
    drop(long);
    assert!(measure.held() < 64 << 10, "{} bytes are held", measure.held());
    assert_eq!(hub.machine().metrics().memory.rooms, 0);
}

#[test]
fn histories_of_many_rooms_hold_no_more_memory_than_allowed() {
    let mut hub = hub(Keep::messages(1_000));
    let ann = hub.connect();
    let measure = Measure::begin();
    for number in 0..40_000_u32 {
        let room = number.wrapping_mul(2_654_435_761) % 5_000;
        match number % 4 {
            0 => hub.line(ann, &format!("key {}{room} {}{number}", "r".repeat(100), "k".repeat(50))),
            _ => hub.line(ann, &format!("keep room{room} {}", "m".repeat(number as usize % 200))),
        }
        hub.clear();
    }
    let held = usize::try_from(measure.held()).expect("something is held");
    let counted = usize::try_from(hub.machine().metrics().memory.bytes).expect("small");
    assert!(counted <= BYTES_MAX && counted > BYTES_MAX / 2, "{counted} bytes are counted");
    assert!(held <= BYTES_MAX * 3 / 2, "{held} bytes are held, {counted} are counted");
}

#[test]
fn too_many_requests_are_refused_and_each_is_answered_once() {
    let mut hub = hub(Keep::messages(10));
    let ann = hub.connect();
    let measure = Measure::begin();
    hub.line(ann, "many news");
    assert_eq!((hub.handler().answers, hub.handler().too_many), (10_050, 50));
    assert!(measure.held() < 4 << 20, "{} bytes are held", measure.held());
    hub.line(ann, "keep news again");
    assert_eq!((hub.handler().answers, hub.handler().too_many), (10_051, 50));
}
