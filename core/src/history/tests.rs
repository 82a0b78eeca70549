//! Compares histories with a naive model, also after a home was restored from an old copy.

use super::*;
use crate::base::{OutgoingBuf, Time};
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;
use proptest::prelude::*;

/// A reader: its position, and the number of the last message that it has.
#[derive(Clone, Copy, Debug)]
struct Reader {
    position: Position,
    last: u64,
}

/// One room of a home, and the messages that the room must have published in its epoch.
struct World {
    home: RoomHistories,
    keep: Keep,
    now: Time,
    /// The published messages of the current epoch, by number.
    line: Vec<u64>,
    published: u64,
    /// An old copy of the home and of its line.
    copy: Option<(RoomHistories, Vec<u64>)>,
    readers: Vec<Reader>,
    random: u64,
    /// Number of readers who missed something although their epoch and offset match the history.
    deceived: u32,
}

#[derive(Clone, Debug)]
enum Act {
    Publish,
    /// A new reader has all messages up to now.
    Read,
    /// A reader comes back.
    Return(prop::sample::Index),
    /// The home is copied, or restored from the copy.
    Copy,
    Restore,
    /// Other rooms need memory.
    Crowd(u8),
    Forget,
    Wait,
}

const ROOM: &str = "room";

impl World {
    fn new(keep: Keep, bytes_max: usize) -> Self {
        Self {
            home: RoomHistories::new(bytes_max),
            keep,
            now: Time::START,
            line: Vec::new(),
            published: 0,
            copy: None,
            readers: Vec::new(),
            random: 0,
            deceived: 0,
        }
    }

    fn random(&mut self) -> u64 {
        self.random += 1;
        self.random
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Publish => {
                self.published += 1;
                let random = (self.random(), self.random());
                let message = OutgoingBuf::from(&*format!("{}", self.published));
                let before = self.home.top(ROOM);
                let position = self.home.publish(ROOM, self.now, &self.keep, random, None, message);
                let position = position.expect("it is short").position;
                if before.is_none() {
                    self.line.clear();
                }
                self.line.push(self.published);
                prop_assert_eq!(position.offset, self.line.len() as u64);
            }
            Act::Read => {
                if self.home.top(ROOM).is_none() {
                    self.line.clear();
                }
                let epoch = self.random();
                let position = self.home.open(ROOM, epoch);
                self.readers.push(Reader { position, last: self.line.last().copied().unwrap_or(0) });
            }
            Act::Return(index) if !self.readers.is_empty() => {
                let reader = *index.get(&self.readers);
                self.come_back(reader)?;
            }
            Act::Copy => self.copy = Some((self.home.clone(), self.line.clone())),
            Act::Restore => {
                if let Some((home, line)) = self.copy.clone() {
                    (self.home, self.line) = (home, line);
                }
            }
            Act::Crowd(number) => {
                let random = (self.random(), self.random());
                let message = OutgoingBuf::from("a message of another room");
                let _ = self.home.publish(&format!("other {number}"), self.now, &self.keep, random, None, message);
            }
            Act::Forget => drop(self.home.remove(ROOM)),
            Act::Wait => self.now = self.now + Duration::from_secs(1),
            Act::Return(_) => {}
        }
        Ok(())
    }

    fn come_back(&mut self, reader: Reader) -> Result<(), TestCaseError> {
        let top = self.home.top(ROOM);
        let place = usize::try_from(reader.position.offset).expect("short");
        let is_same_epoch = top.is_some_and(|top| top.epoch == reader.position.epoch);
        let has = |line: &[u64]| place == 0 || line.get(place - 1) == Some(&reader.last);
        let is_in_line = is_same_epoch && has(&self.line);
        let rest = self.line.get(place..).unwrap_or_default();
        let found = self.home.since(ROOM, self.now, &self.keep, reader.position, 4, 1_000);
        let found = found.map(|kept| kept.map(|kept| (kept.position.offset, kept.message.clone())).collect::<Vec<_>>());
        let missed = match &found {
            Err(Gap::TooMany) => Ok(rest.len()),
            found => found.as_ref().map(Vec::len).map_err(|gap| *gap),
        };
        prop_assert_eq!(self.home.missed_since(ROOM, self.now, &self.keep, reader.position), missed);
        let expected = rest.iter().zip(reader.position.offset + 1..);
        let expected: Vec<_> = expected.map(|(number, at)| (at, OutgoingBuf::from(&*format!("{number}")))).collect();
        match &found {
            Ok(messages) => {
                prop_assert!(is_in_line, "{reader:?} is recovered, but its last message is gone");
                prop_assert_eq!(messages, &expected);
            }
            Err(Gap::OtherEpoch) => prop_assert!(!is_same_epoch),
            Err(Gap::Rewritten) => prop_assert!(is_same_epoch && !has(&self.line)),
            Err(Gap::TooMany) => prop_assert!(is_in_line && rest.len() > 4),
            Err(Gap::TooOld) => prop_assert!(is_same_epoch && !rest.is_empty()),
            Err(other) => prop_assert!(false, "{other}"),
        }
        // The decision by epoch and offset alone.
        let first = self.home.after(ROOM, self.now, &self.keep, reader.position.offset, 1).next();
        let follows = first.is_some_and(|kept| kept.position.offset == reader.position.offset + 1);
        let is_top = top.is_some_and(|top| top.offset == reader.position.offset);
        self.deceived += u32::from(is_same_epoch && (follows || is_top) && !has(&self.line));
        Ok(())
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => Just(Act::Publish),
        3 => Just(Act::Read),
        6 => any::<prop::sample::Index>().prop_map(Act::Return),
        1 => Just(Act::Copy),
        1 => Just(Act::Restore),
        2 => (0..20_u8).prop_map(Act::Crowd),
        1 => Just(Act::Forget),
        1 => Just(Act::Wait),
    ];
    prop::collection::vec(act, 1..200)
}

proptest! {
    #[test]
    fn readers_are_recovered_only_if_their_last_message_is_still_in_the_history(
        acts in acts(),
        messages in 0..8_u32,
        age in prop::option::of(0..4_u64),
        bytes_max in 500..8_000_usize,
    ) {
        let keep = Keep::messages(messages).age(age.map(Duration::from_secs));
        let mut world = World::new(keep, bytes_max);
        for act in &acts {
            world.act(act)?;
            prop_assert_eq!(world.home.recount(), Ok(()));
            prop_assert!(world.home.len() <= 1 || world.home.bytes() <= bytes_max, "{}", world.home.bytes());
        }
    }
}

#[test]
fn offsets_without_marks_do_not_notice_that_a_restored_home_lost_messages() {
    let mut world = World::new(Keep::messages(100), 1 << 20);
    for act in [Act::Publish, Act::Copy, Act::Publish, Act::Read, Act::Restore, Act::Publish] {
        world.act(&act).expect("it is right");
    }
    let reader = world.readers[0];
    assert_eq!(world.home.since(ROOM, world.now, &world.keep, reader.position, 10, 1_000).err(), Some(Gap::Rewritten));
    world.come_back(reader).expect("it is right");
    assert_eq!(world.deceived, 1, "epoch and offset match, but the message is another one");
}

#[test]
fn forged_positions_are_never_recovered() {
    let mut home = RoomHistories::new(1 << 20);
    let keep = Keep::messages(10);
    let mut last = None;
    for number in 0..20_u64 {
        let message = OutgoingBuf::from(&*format!("{number}"));
        last = home
            .publish(ROOM, Time::START, &keep, (5, 1_000 + number), None, message)
            .ok()
            .map(|published| published.position);
    }
    let last = last.expect("published");
    let good = Position::new(5, 15, 1_014);
    for (position, expected) in [
        (good, Ok(5)),
        (last, Ok(0)),
        (Position { mark: 0, ..good }, Err(Gap::Rewritten)),
        (Position { mark: 1_015, ..good }, Err(Gap::Rewritten)),
        (Position { mark: 7, ..last }, Err(Gap::Rewritten)),
        (Position { epoch: 6, ..good }, Err(Gap::OtherEpoch)),
        (Position { offset: 21, ..last }, Err(Gap::Rewritten)),
        (Position { offset: u64::MAX, ..last }, Err(Gap::Rewritten)),
        (Position { offset: 3, ..good }, Err(Gap::TooOld)),
        (Position { offset: 0, mark: 0, ..good }, Err(Gap::TooOld)),
    ] {
        let found = home.since(ROOM, Time::START, &keep, position, 10, 1_000).map(Iterator::count);
        assert_eq!(found, expected, "{position}");
        let elsewhere = home.since("another room", Time::START, &keep, position, 10, 1_000).map(Iterator::count);
        assert_eq!(elsewhere, Err(Gap::OtherEpoch));
    }
    assert_eq!(home.since(ROOM, Time::START, &keep, good, 4, 1_000).map(Iterator::count), Err(Gap::TooMany));
}

#[test]
fn message_that_is_too_long_is_refused_and_changes_nothing() {
    let mut home = RoomHistories::new(1 << 10);
    let keep = Keep::messages(10).bytes(5);
    let sent = home.publish(ROOM, Time::START, &keep, (1, 2), None, "123456".into());
    assert_eq!(sent, Err(PublishError::TooLong { bytes: 6, max: 5 }));
    assert!(home.is_empty() && home.bytes() == 0);
}
