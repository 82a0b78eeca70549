//! The histories of all rooms, within one limit on memory.

use super::position::Position;
use super::room_log::{Keep, Kept, Lost, RoomLog};
use crate::base::{OutgoingBuf, Time, work};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::mem::size_of;

/// Memory of a room besides its name and its messages: its places in two maps, and its queue.
const ROOM_BYTES: usize = size_of::<Room>() + 192;

/// The histories of rooms, within one limit on memory.
///
/// Above the limit, the least recently used rooms lose their oldest messages, and then their
/// history. A room that lost its history begins a new epoch with its next message.
#[derive(Clone, Debug)]
pub struct Home {
    rooms: BTreeMap<Box<str>, Room>,
    /// The rooms in the order of their last use.
    by_use: BTreeMap<u64, Box<str>>,
    /// Number of uses so far.
    uses: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Clone, Debug)]
struct Room {
    log: RoomLog,
    used: u64,
}

/// The error returned when a message cannot be published to a room with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message is longer than the room or the home may keep in total.
    #[error("the message has {bytes} bytes, and the room keeps at most {max}")]
    TooLong {
        /// The length of the message, in bytes.
        bytes: usize,
        /// The maximum, in bytes.
        max: usize,
    },
}

impl Home {
    /// Creates a home that uses at most about `bytes_max` bytes of memory.
    ///
    /// With 0, each history is lost as soon as another room is used.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { rooms: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0, bytes_max }
    }

    /// Publishes a message to a room, and returns the position after it.
    ///
    /// `random` holds two random numbers: the epoch, for a room without a history, and the mark of
    /// the message.
    ///
    /// # Errors
    /// If the message is too long to be kept.
    pub fn publish(
        &mut self,
        name: &str,
        now: Time,
        keep: &Keep,
        random: (u64, u64),
        message: OutgoingBuf,
    ) -> Result<Position, PublishError> {
        let (bytes, max) = (message.as_outgoing().len(), self.bytes_max.min(keep.bytes as usize));
        if bytes > max {
            return Err(PublishError::TooLong { bytes, max });
        }
        let (epoch, mark) = random;
        self.begin(name, epoch);
        let position = self.change(name, |log| log.append(now, keep, mark, message));
        self.make_room();
        Ok(position.unwrap_or(Position::new(epoch, 0, 0)))
    }

    /// Returns the position after the last message of a room.
    ///
    /// A room without a history begins one in `epoch`, which must be random.
    pub fn open(&mut self, name: &str, epoch: u64) -> Position {
        self.begin(name, epoch);
        let position = self.change(name, |log| log.top());
        self.make_room();
        position.unwrap_or(Position::new(epoch, 0, 0))
    }

    /// Returns the messages of a room after a position, at most `max`, oldest first.
    ///
    /// # Errors
    /// If some of them may be missing, or if there are more than `max`.
    pub fn since(
        &mut self,
        name: &str,
        now: Time,
        keep: &Keep,
        since: Position,
        max: usize,
    ) -> Result<impl Iterator<Item = &Kept>, Lost> {
        self.touch(name, now, keep);
        let room = self.rooms.get(name).ok_or(Lost::OtherEpoch)?;
        Ok(room.log.since(since, max)?.inspect(|_| work::step(1)))
    }

    /// Returns at most `max` kept messages of a room after an offset, oldest first.
    pub fn after(
        &mut self,
        name: &str,
        now: Time,
        keep: &Keep,
        offset: u64,
        max: usize,
    ) -> impl Iterator<Item = &Kept> {
        self.touch(name, now, keep);
        let room = self.rooms.get(name);
        room.into_iter().flat_map(move |room| room.log.after(offset, max)).inspect(|_| work::step(1))
    }

    /// Returns the position after the last message of a room, if the room has a history.
    ///
    /// This does not count as a use of the room.
    #[must_use]
    pub fn top(&self, name: &str) -> Option<Position> {
        self.rooms.get(name).map(|room| room.log.top())
    }

    /// Removes the history of a room. Returns `true` if it had one.
    pub fn remove(&mut self, name: &str) -> bool {
        work::step(1);
        let Some(room) = self.rooms.remove(name) else { return false };
        self.by_use.remove(&room.used);
        self.bytes -= room_cost(name) + room.log.cost();
        true
    }

    /// Returns the number of rooms with a history.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Returns `true` if no room has a history.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Returns the memory that the histories use, in bytes, as far as it can be counted.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Marks a room as used, and drops messages beyond the limits of `keep`.
    fn touch(&mut self, name: &str, now: Time, keep: &Keep) {
        self.change(name, |log| log.trim(now, keep));
    }

    /// Begins a history in this epoch, if the room has none.
    fn begin(&mut self, name: &str, epoch: u64) {
        if !self.rooms.contains_key(name) {
            self.bytes += room_cost(name);
            self.uses += 1;
            self.by_use.insert(self.uses, name.into());
            self.rooms.insert(name.into(), Room { log: RoomLog::new(epoch), used: self.uses });
        }
    }

    /// Changes the history of a room, if it has one, and marks the room as the last used.
    fn change<T>(&mut self, name: &str, change: impl FnOnce(&mut RoomLog) -> T) -> Option<T> {
        work::step(1);
        let room = self.rooms.get_mut(name)?;
        self.bytes -= room.log.cost();
        let result = change(&mut room.log);
        self.bytes += room.log.cost();
        if room.used != self.uses
            && let Some(name) = self.by_use.remove(&room.used)
        {
            self.uses += 1;
            room.used = self.uses;
            self.by_use.insert(self.uses, name);
        }
        Some(result)
    }

    /// Drops messages and then histories of the least recently used rooms, until the rest fits. The
    /// last used room keeps its history, but may lose its messages.
    fn make_room(&mut self) {
        while self.bytes > self.bytes_max {
            work::step(1);
            let Some((_, name)) = self.by_use.first_key_value() else { return };
            let Some(room) = self.rooms.get_mut(name) else { return };
            let before = room.log.cost();
            if room.log.drop_oldest() {
                self.bytes -= before - room.log.cost();
            } else if self.rooms.len() > 1 {
                let name = name.clone();
                self.remove(&name);
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
impl Home {
    /// Recounts the memory from the rooms, and checks the order of use.
    pub(super) fn recount(&self) -> usize {
        assert!(self.by_use.iter().all(|(used, name)| self.rooms[name].used == *used), "the order of use");
        assert_eq!(self.by_use.len(), self.rooms.len());
        self.rooms.iter().map(|(name, room)| room_cost(name) + room.log.cost()).sum()
    }
}

/// Returns the memory that a room uses besides its messages.
const fn room_cost(name: &str) -> usize {
    ROOM_BYTES + 2 * name.len()
}
