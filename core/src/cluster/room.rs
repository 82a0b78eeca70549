//! What a host knows of one shared room.

use super::broker::Message;
use super::people::People;
use crate::base::Time;
use crate::history::{Gap, Keep, Position};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

/// A room with members on this host, or one about which somebody here asks.
#[derive(Debug)]
pub(super) struct Room {
    /// Whether shards of this host have members.
    pub(super) is_held: bool,
    pub(super) keep: Keep,
    /// The position up to which the shards have all messages. `None`: they have not been told any.
    pub(super) top: Option<Position>,
    /// Earlier epochs. A broker that returns to one of them has lost data.
    pub(super) past: Past,
    /// What the broker has kept of this host's messages, and what no history has confirmed yet.
    pub(super) kept: Kept,
    /// The same when the read was sent that is under way.
    pub(super) kept_before: Kept,
    /// Whether the history must be compared with `kept`, although nobody here needs the room.
    pub(super) must_check: bool,
    pub(super) step: Step,
    /// Messages that came while the position was not that of the broker.
    pub(super) early: Early,
    /// Members that wait for what they have missed.
    pub(super) asks: Vec<Ask>,
    /// Members for which the history is being read, and the messages that came meanwhile. Members that ask later have
    /// positions that the answer may not have yet.
    pub(super) asked: Vec<Ask>,
    /// The number of that reading. An earlier one may be of a room that was dropped since.
    pub(super) reading: Option<u64>,
    pub(super) meanwhile: Early,
    /// Why the room must begin a new epoch: messages were published that the broker does not have, or not any more.
    pub(super) must_renew: Option<Gap>,
    /// Number of messages since the link was up.
    pub(super) messages: u32,
    /// When the position was last found to be that of the broker.
    pub(super) confirmed_at: Time,
    pub(super) people: People,
}

/// How far the position of a room is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The history must be read.
    Wanted,
    /// The history is being read, with this number. Answers to earlier readings may still come.
    Reading(u64),
    /// The position is that of the broker, and messages follow it.
    Live,
}

/// Maximum number of messages that wait for the history of their room, and of their bytes.
const EARLY_MAX: usize = 256;
const EARLY_BYTES_MAX: usize = 1 << 20;

/// Messages that came before the history of their room was read. If there are too many, the oldest are dropped, so that
/// the others do not follow and the history is read again.
#[derive(Debug, Default)]
pub(super) struct Early {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Early {
    pub(super) fn add(&mut self, message: &Message) {
        self.bytes += length(message);
        // A part of what arrived together would keep all of it in memory.
        let data = message.data.as_deref().map(Bytes::copy_from_slice);
        self.messages.push_back(Message { data, ..*message });
        while self.messages.len() > EARLY_MAX || self.bytes > EARLY_BYTES_MAX {
            let Some(oldest) = self.messages.pop_front() else { return };
            self.bytes -= length(&oldest);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    pub(super) fn into_messages(self) -> impl Iterator<Item = Message> {
        self.messages.into_iter()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn length(message: &Message) -> usize {
    message.data.as_ref().map_or(0, Bytes::len)
}

/// Maximum number of kept messages whose positions are remembered.
const KEPT_MAX: usize = 8;

/// The positions of the last messages that the broker has kept, for each link over which it said so.
///
/// One position is not enough: if the broker loses data between two links, the messages of the first one may be gone
/// while those of the second one are there. The same holds if it loses data while a link lasts. So each message that this
/// host has not heard yet is remembered on its own while there are few of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept(Vec<(u64, Position)>);

impl Kept {
    /// Notes that the broker has kept a message, over the link with this number. `heard`: the position up to which this
    /// host has heard all messages.
    pub(super) fn add(&mut self, link: u64, position: Position, heard: Option<Position>) {
        if heard == Some(position) {
            return;
        }
        let is_full = self.0.len() >= KEPT_MAX;
        let is_past =
            |known: &Position| heard.is_some_and(|heard| heard.epoch == known.epoch && known.offset <= heard.offset);
        let follows = |known: &Position| position.epoch != known.epoch || position.offset > known.offset;
        match self.0.last_mut() {
            Some((last, known)) if *last == link && follows(known) && (is_full || is_past(known)) => *known = position,
            _ => {
                if is_full {
                    self.0.remove(0);
                }
                self.0.push((link, position));
            }
        }
    }

    /// Removes the position of a message that this host has received.
    pub(super) fn heard(&mut self, position: Position) {
        self.0.retain(|(_, known)| *known != position);
    }

    /// Returns `true` if a message was kept after the first position, and a later or another one follows there.
    pub(super) fn is_skipped(&self, after: Position, next: Position) -> bool {
        let is_between = |known: Position| {
            known.offset > after.offset && (known.offset < next.offset || known.offset == next.offset && known != next)
        };
        self.iter().any(|known| known.epoch == next.epoch && is_between(known))
    }

    /// Forgets all positions, which the history has confirmed.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Forgets the positions that a history up to this one has confirmed.
    pub(super) fn clear_up_to(&mut self, confirmed: Position) {
        self.0.retain(|(_, position)| position.epoch == confirmed.epoch && position.offset > confirmed.offset);
    }

    /// Returns the position of the last message.
    pub(super) fn last(&self) -> Option<Position> {
        self.0.last().map(|(_, position)| *position)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Position> {
        self.0.iter().map(|(_, position)| *position)
    }
}

/// The latest epochs of a room before the present one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past([u64; 4]);

impl Past {
    /// Notes that another epoch has begun.
    pub(super) fn add(&mut self, epoch: u64) {
        self.0.rotate_right(1);
        if let Some(first) = self.0.first_mut() {
            *first = epoch;
        }
    }

    pub(super) fn has(&self, epoch: u64) -> bool {
        epoch > 0 && self.0.contains(&epoch)
    }
}

/// Stands for the position of a room until the broker has told it.
pub(super) const UNKNOWN: Position = Position::new(0, 0, 0);

/// A question what a new member has missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The shard that asks.
    pub(crate) from: u8,
    pub(crate) number: u64,
    pub(crate) since: Option<Position>,
    pub(crate) messages_max: u32,
    pub(crate) bytes_max: u32,
    pub(crate) asked_at: Time,
    /// How often the history was not that of the position.
    pub(crate) tries: u8,
}

impl Room {
    pub(super) fn new(now: Time, keep: Keep) -> Self {
        Self {
            is_held: false,
            keep,
            top: None,
            past: Past::default(),
            kept: Kept::default(),
            kept_before: Kept::default(),
            must_check: false,
            step: Step::Wanted,
            early: Early::default(),
            asks: Vec::new(),
            asked: Vec::new(),
            reading: None,
            meanwhile: Early::default(),
            must_renew: None,
            messages: 0,
            confirmed_at: now,
            people: People::new(now),
        }
    }

    /// Returns `true` if nobody here needs the room any more.
    pub(super) fn is_unused(&self) -> bool {
        !self.is_held
            && self.must_renew.is_none()
            && !self.must_check
            && self.asks.is_empty()
            && self.asked.is_empty()
            && self.people.is_unused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position::new(7, offset, 100 + offset)
    }

    fn offsets(kept: &Kept) -> Vec<u64> {
        kept.iter().map(|position| position.offset).collect()
    }

    #[test]
    fn kept_messages_are_remembered_one_by_one_until_they_are_heard() {
        let mut kept = Kept::default();
        for offset in [5, 6, 9] {
            kept.add(1, at(offset), Some(at(4)));
        }
        assert_eq!(offsets(&kept), [5, 6, 9]);
        kept.heard(at(5));
        kept.heard(Position::new(7, 6, 1));
        assert_eq!(offsets(&kept), [6, 9]);
        // The message arrives before its confirmation. Then a confirmation arrives late.
        kept.add(1, at(12), Some(at(12)));
        assert_eq!(offsets(&kept), [6, 9]);
        kept.add(1, at(11), Some(at(12)));
        assert_eq!(offsets(&kept), [6, 11], "one place for what may have been heard");
        kept.add(2, at(10), Some(at(12)));
        assert_eq!(offsets(&kept), [6, 11, 10], "another link");
        kept.clear_up_to(at(10));
        assert_eq!(offsets(&kept), [11]);
    }

    #[test]
    fn number_of_kept_messages_is_bounded() {
        let mut kept = Kept::default();
        for offset in 1..100 {
            kept.add(1, at(offset), None);
        }
        assert_eq!(offsets(&kept), [1, 2, 3, 4, 5, 6, 7, 99]);
        for link in 2..100 {
            kept.add(link, at(1), None);
        }
        assert_eq!(kept.iter().count(), KEPT_MAX);
    }

    #[test]
    fn kept_message_that_is_passed_over_is_noticed() {
        let mut kept = Kept::default();
        kept.add(1, at(6), Some(at(4)));
        for (after, next, expected) in [
            (4, at(5), false),
            (4, at(6), false),
            (4, at(7), true),
            (4, Position::new(7, 6, 1), true),
            (6, at(9), false),
            (4, Position::new(8, 7, 1), false),
        ] {
            assert_eq!(kept.is_skipped(at(after), next), expected, "{next} after {after}");
        }
    }
}
