//! Compares histories with a naive model, also after a home was restored from an old copy.

use super::*;
use crate::base::{OutgoingBuf, Time};
use alloc::format;
use alloc::string::ToString;
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
    bytes_max: usize,
    keep: Keep,
    now: Time,
    /// The published messages of the current epoch, by number.
    line: Vec<u64>,
    published: u64,
    /// An old copy of the home, of its line, and of whether the room is pinned.
    copy: Option<(RoomHistories, Vec<u64>, Option<u64>)>,
    /// The epoch of the room while it is pinned.
    pinned: Option<u64>,
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
    /// A reader comes back, and may receive so many bytes.
    Return(prop::sample::Index, usize),
    /// The home is copied, or restored from the copy.
    Copy,
    Restore,
    /// Other rooms need memory.
    Crowd(u8),
    Forget,
    Wait,
    Pin(bool),
    SetBytesMax(usize),
    /// Only this room stays, or only the others.
    Retain(bool),
}

const ROOM: &str = "room";

impl World {
    fn new(keep: Keep, bytes_max: usize) -> Self {
        Self {
            home: RoomHistories::new(bytes_max),
            bytes_max,
            keep,
            now: Time::START,
            line: Vec::new(),
            published: 0,
            copy: None,
            pinned: None,
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
                let position = match position {
                    Ok(publication) => publication.position,
                    Err(error) => {
                        let bytes = self.published.to_string().len();
                        prop_assert_eq!(error, PublishError::TooLong { bytes, max: self.bytes_max });
                        prop_assert!(bytes > self.bytes_max && self.home.top(ROOM) == before);
                        return Ok(());
                    }
                };
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
            Act::Return(index, bytes_max) if !self.readers.is_empty() => {
                let reader = *index.get(&self.readers);
                self.come_back(reader, *bytes_max)?;
            }
            Act::Copy => self.copy = Some((self.home.clone(), self.line.clone(), self.pinned)),
            Act::Restore => {
                if let Some((home, line, pinned)) = self.copy.clone() {
                    (self.home, self.line, self.pinned) = (home, line, pinned);
                    self.home.set_bytes_max(self.bytes_max);
                }
            }
            Act::Crowd(number) => {
                let random = (self.random(), self.random());
                let message = OutgoingBuf::from("a message of another room");
                let _ = self.home.publish(&format!("other {number}"), self.now, &self.keep, random, None, message);
            }
            Act::Forget => drop(self.home.remove(ROOM)),
            Act::Wait => self.now = self.now + Duration::from_secs(1),
            Act::Pin(is_pinned) => {
                if *is_pinned && self.home.top(ROOM).is_none() {
                    self.line.clear();
                }
                let epoch = self.random();
                self.home.pin(ROOM, *is_pinned, epoch);
                self.pinned = self.home.top(ROOM).map(|top| top.epoch).filter(|_| *is_pinned);
            }
            Act::SetBytesMax(bytes_max) => {
                self.bytes_max = *bytes_max;
                self.home.set_bytes_max(*bytes_max);
            }
            Act::Retain(this) => {
                self.home.retain(|name| (name == ROOM) == *this);
                prop_assert!(*this || self.home.len() <= 1 || self.pinned.is_none() || self.home.top(ROOM).is_some());
            }
            Act::Return(..) => {}
        }
        let epoch = self.home.top(ROOM).map(|top| top.epoch);
        prop_assert!(self.pinned.is_none() || epoch == self.pinned, "a pinned room keeps its epoch");
        Ok(())
    }

    fn come_back(&mut self, reader: Reader, bytes_max: usize) -> Result<(), TestCaseError> {
        let top = self.home.top(ROOM);
        let place = usize::try_from(reader.position.offset).expect("short");
        let is_same_epoch = top.is_some_and(|top| top.epoch == reader.position.epoch);
        let has = |line: &[u64]| place == 0 || line.get(place - 1) == Some(&reader.last);
        let is_in_line = is_same_epoch && has(&self.line);
        let rest = self.line.get(place..).unwrap_or_default();
        let found = self.home.since(ROOM, self.now, &self.keep, reader.position, 4, bytes_max);
        let found = found.map(|kept| kept.map(|kept| (kept.position.offset, kept.message.clone())).collect::<Vec<_>>());
        let missed = match &found {
            Err(Gap::TooMany) => Ok(rest.len()),
            found => found.as_ref().map(Vec::len).map_err(|gap| *gap),
        };
        prop_assert_eq!(self.home.missed_since(ROOM, self.now, &self.keep, reader.position), missed);
        let expected = rest.iter().zip(reader.position.offset + 1..);
        let expected: Vec<_> = expected.map(|(number, at)| (at, OutgoingBuf::from(&*format!("{number}")))).collect();
        let bytes: usize = expected.iter().map(|(_, message)| message.as_outgoing().len()).sum();
        match &found {
            Ok(messages) => {
                prop_assert!(bytes <= bytes_max, "{bytes} bytes, and at most {bytes_max} are allowed");
                prop_assert!(is_in_line, "{reader:?} is recovered, but its last message is gone");
                prop_assert_eq!(messages, &expected);
            }
            Err(Gap::OtherEpoch) => prop_assert!(!is_same_epoch),
            Err(Gap::Rewritten) => prop_assert!(is_same_epoch && !has(&self.line)),
            Err(Gap::TooMany) => prop_assert!(is_in_line && (rest.len() > 4 || bytes > bytes_max)),
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
        6 => (any::<prop::sample::Index>(), prop_oneof![Just(1_000), 0..12_usize])
            .prop_map(|(reader, bytes_max)| Act::Return(reader, bytes_max)),
        1 => Just(Act::Copy),
        1 => Just(Act::Restore),
        2 => (0..20_u8).prop_map(Act::Crowd),
        1 => Just(Act::Forget),
        1 => Just(Act::Wait),
        1 => any::<bool>().prop_map(Act::Pin),
        1 => prop_oneof![Just(0), Just(usize::MAX), 500..8_000_usize].prop_map(Act::SetBytesMax),
        1 => any::<bool>().prop_map(Act::Retain),
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
        }
    }
}

proptest! {
    #[test]
    fn second_message_with_key_within_window_is_the_first(
        // A key or none, seconds to wait, and whether the history is removed before.
        acts in prop::collection::vec((prop::option::of(0..3_u8), 0..4_u64, prop::bool::weighted(0.05)), 1..100),
        window in 0..6_u64,
        messages in 0..4_u32,
        is_pinned: bool,
    ) {
        let keep = Keep::messages(messages).key_window(Duration::from_secs(window));
        let mut home = RoomHistories::new(1 << 20);
        let (mut now, mut known, mut mark) = (Time::START, std::collections::BTreeMap::new(), 0);
        home.pin(ROOM, is_pinned, 9);
        for (key, wait, forgets) in acts {
            now = now + Duration::from_secs(wait);
            // A pinned room keeps its keys, as its position.
            if forgets && home.remove(ROOM) && !is_pinned {
                known.clear();
            }
            mark += 1;
            let text = key.map(|key| format!("key {key}"));
            let before = home.top(ROOM);
            let published = home.publish(ROOM, now, &keep, (mark, mark), text.as_deref(), "message".into());
            let published = published.expect("it is short");
            let first = known.get(&key).filter(|(at, _)| now.since(*at) < keep.key_window).map(|&(_, first)| first);
            prop_assert_eq!(published.is_repeated, key.is_some() && first.is_some());
            if let (Some(first), true) = (first, key.is_some()) {
                prop_assert_eq!((published.position, home.top(ROOM)), (first, before), "it changes nothing");
            } else {
                known.insert(key, (now, published.position));
            }
            prop_assert_eq!(home.recount(), Ok(()));
        }
    }
}

#[test]
fn room_that_knows_10_000_keys_refuses_more_until_they_expire() {
    let mut home = RoomHistories::new(1 << 24);
    let keep = Keep::messages(1).key_window(Duration::from_secs(60));
    let mut publish =
        |seconds, key: &str| home.publish(ROOM, Time::from_secs(seconds), &keep, (1, 2), Some(key), "m".into());
    for number in 0..10_000 {
        let published = publish(number / 5_000, &format!("key {number}"));
        assert!(published.is_ok_and(|published| !published.is_repeated), "{number}");
    }
    assert_eq!(publish(2, "one more"), Err(PublishError::TooManyKeys));
    assert!(publish(2, "key 7").is_ok_and(|published| published.is_repeated && published.position.offset == 8));
    assert!(publish(60, "key 7").is_ok_and(|published| !published.is_repeated), "the first half has expired");
    assert!(publish(60, "key 9999").is_ok_and(|published| published.is_repeated));
    assert_eq!(publish(60, &"k".repeat(65)), Err(PublishError::KeyTooLong { bytes: 65 }));
    assert_eq!(home.recount(), Ok(()));
}

#[test]
fn offsets_without_marks_do_not_notice_that_a_restored_home_lost_messages() {
    let mut world = World::new(Keep::messages(100), 1 << 20);
    for act in [Act::Publish, Act::Copy, Act::Publish, Act::Read, Act::Restore, Act::Publish] {
        world.act(&act).expect("it is right");
    }
    let reader = world.readers[0];
    assert_eq!(world.home.since(ROOM, world.now, &world.keep, reader.position, 10, 1_000).err(), Some(Gap::Rewritten));
    world.come_back(reader, 1_000).expect("it is right");
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
