//! The histories of all rooms, within one limit on memory.

use super::keep::Keep;
use super::position::Position;
use super::room_log::{Gap, KeptMessage, RoomLog};
#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure, same};
use crate::base::{OutgoingBuf, Time, work};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
#[cfg(feature = "sim")]
use alloc::format;
#[cfg(feature = "sim")]
use alloc::vec::Vec;

/// Memory of a room besides its name and its messages: its places in two maps, and its queue.
const ROOM_BYTES: usize = size_of::<Room>() + 192;
/// The maximum length of a key, in bytes.
const KEY_MAX_BYTES: usize = 64;

/// The histories of rooms, within one limit on memory.
///
/// Above the limit, the least recently used rooms lose their oldest messages, and then their
/// history. A room that lost its history begins a new epoch with its next message. A
/// [pinned](Self::pin) room loses its messages, but never its position.
#[derive(Clone, Debug)]
pub struct RoomHistories {
    rooms: BTreeMap<Box<str>, Room>,
    /// The rooms of which something can be dropped, in the order of their last use.
    by_use: BTreeMap<u64, Box<str>>,
    /// Number of uses so far.
    uses: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Clone, Debug)]
struct Room {
    log: RoomLog,
    /// The number of the last use, by which the room is in `by_use`.
    used: u64,
    is_pinned: bool,
}

impl Room {
    fn can_drop(&self) -> bool {
        !self.is_pinned || !self.log.is_empty()
    }
}

/// The result of publishing a message to a room with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publication {
    /// The position after the message.
    pub position: Position,
    /// The mark of the message before it. 0: it is the first.
    pub previous: u64,
    /// Whether an earlier message had the same key. Then this one was not kept, and `position` is
    /// that of the earlier one.
    pub is_repeated: bool,
}

/// The error returned when a message cannot be published to a room with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message is longer than the room or all histories may keep in total.
    #[error("the message has {bytes} bytes, and the room keeps at most {max}")]
    TooLong {
        /// The length of the message, in bytes.
        bytes: usize,
        /// The maximum, in bytes.
        max: usize,
    },
    /// The key is longer than 64 bytes.
    #[error("the key has {bytes} bytes; at most {KEY_MAX_BYTES} are allowed")]
    KeyTooLong {
        /// The length of the key, in bytes.
        bytes: usize,
    },
    /// The room remembers 10,000 keys, the maximum.
    #[error("the room remembers as many keys as it can")]
    TooManyKeys,
}

impl RoomHistories {
    /// Creates a home that uses at most about `bytes_max` bytes of memory.
    ///
    /// With 0, each history is lost as soon as another room is used.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { rooms: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0, bytes_max }
    }

    /// Publishes a message to a room.
    ///
    /// `random` holds two random numbers: the epoch, for a room without a history, and the mark of
    /// the message. Within [`Keep::key_window`], a second message with the same key changes nothing.
    ///
    /// # Errors
    /// If the message or its key is too long, or there are too many keys.
    pub fn publish(
        &mut self,
        name: &str,
        now: Time,
        keep: &Keep,
        random: (u64, u64),
        key: Option<&str>,
        message: OutgoingBuf,
    ) -> Result<Publication, PublishError> {
        let (bytes, max) = (message.as_outgoing().len(), self.bytes_max.min(keep.bytes as usize));
        if bytes > max {
            return Err(PublishError::TooLong { bytes, max });
        }
        if let Some(key) = key.filter(|key| key.len() > KEY_MAX_BYTES) {
            return Err(PublishError::KeyTooLong { bytes: key.len() });
        }
        let (epoch, mark) = random;
        self.begin(name, epoch);
        let publication = self.change(name, |log| {
            log.trim(now, keep);
            if let Some(position) = key.and_then(|key| log.keys.get(key)) {
                return Ok(Publication { position, previous: 0, is_repeated: true });
            }
            if key.is_some() && log.keys.is_full() {
                return Err(PublishError::TooManyKeys);
            }
            let previous = log.top().mark;
            let position = log.append(now, keep, mark, message);
            if let Some(key) = key.filter(|_| !keep.key_window.is_zero()) {
                log.keys.add(now, key, position);
            }
            Ok(Publication { position, previous, is_repeated: false })
        });
        self.make_room();
        let nothing = Publication { position: Position::new(epoch, 0, 0), previous: 0, is_repeated: false };
        publication.unwrap_or(Ok(nothing))
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

    /// Returns the messages of a room after a position, oldest first.
    ///
    /// # Errors
    /// If some of them may be missing, or if there are more than `messages_max`, or more bytes than
    /// `bytes_max`.
    pub fn since(
        &mut self,
        name: &str,
        now: Time,
        keep: &Keep,
        since: Position,
        messages_max: usize,
        bytes_max: usize,
    ) -> Result<impl Iterator<Item = &KeptMessage>, Gap> {
        self.touch(name, now, keep);
        let room = self.rooms.get(name).ok_or(Gap::OtherEpoch)?;
        Ok(room.log.since(since, messages_max, bytes_max)?.inspect(|_| work::step(1)))
    }

    /// Returns the number of messages of a room after a position, all of which are kept.
    ///
    /// # Errors
    /// If some of them may be missing.
    pub fn missed_since(&mut self, name: &str, now: Time, keep: &Keep, since: Position) -> Result<usize, Gap> {
        self.touch(name, now, keep);
        self.rooms.get(name).ok_or(Gap::OtherEpoch)?.log.missed_since(since)
    }

    /// Returns at most `max` kept messages of a room after an offset, oldest first.
    pub fn after(
        &mut self,
        name: &str,
        now: Time,
        keep: &Keep,
        offset: u64,
        max: usize,
    ) -> impl Iterator<Item = &KeptMessage> {
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
    ///
    /// A pinned room loses its messages, but keeps its position.
    pub fn remove(&mut self, name: &str) -> bool {
        work::step(1);
        let Some(room) = self.rooms.get(name) else { return false };
        if room.is_pinned {
            return self.change(name, RoomLog::clear).is_some();
        }
        self.bytes -= room_cost(name) + room.log.cost();
        self.by_use.remove(&room.used);
        self.rooms.remove(name);
        true
    }

    /// Pins a room, so that it keeps its position as long as there is one, or unpins it.
    ///
    /// A room without a history begins one in `epoch`, which must be random, when it is pinned.
    pub fn pin(&mut self, name: &str, is_pinned: bool, epoch: u64) {
        if is_pinned {
            self.begin(name, epoch);
        }
        if let Some(room) = self.rooms.get_mut(name) {
            room.is_pinned = is_pinned;
            self.change(name, |_| ());
        }
        self.make_room();
    }

    /// Sets the limit on memory, in bytes, and drops what exceeds it.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.make_room();
    }

    /// Removes the histories of the rooms for which `stays` returns `false`.
    pub fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        let gone: alloc::vec::Vec<_> = self.rooms.keys().filter(|name| !stays(name)).cloned().collect();
        for name in gone {
            self.remove(&name);
        }
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
            self.rooms.insert(name.into(), Room { log: RoomLog::new(epoch), used: self.uses, is_pinned: false });
        }
    }

    /// Changes the history of a room, if it has one, and marks the room as the last used.
    fn change<T>(&mut self, name: &str, change: impl FnOnce(&mut RoomLog) -> T) -> Option<T> {
        work::step(1);
        let room = self.rooms.get_mut(name)?;
        self.bytes -= room.log.cost();
        let result = change(&mut room.log);
        self.bytes += room.log.cost();
        if room.used == self.uses && room.can_drop() && self.by_use.contains_key(&room.used) {
            return Some(result);
        }
        let listed = self.by_use.remove(&room.used);
        self.uses += 1;
        room.used = self.uses;
        if room.can_drop() {
            self.by_use.insert(self.uses, listed.unwrap_or_else(|| name.into()));
        }
        Some(result)
    }

    /// Drops messages and then histories of the least recently used rooms, until the rest fits. The
    /// last used room keeps its history, but may lose its messages.
    fn make_room(&mut self) {
        while self.bytes > self.bytes_max {
            work::step(1);
            let Some((&used, name)) = self.by_use.first_key_value() else { return };
            let Some(room) = self.rooms.get_mut(name) else { return };
            if !room.log.is_empty() {
                let before = room.log.cost();
                room.log.drop_oldest();
                self.bytes -= before - room.log.cost();
                if !room.can_drop() {
                    self.by_use.remove(&used);
                }
            } else if self.rooms.len() > 1 {
                let name = name.clone();
                self.remove(&name);
            } else {
                return;
            }
        }
    }
}

#[cfg(feature = "sim")]
impl RoomHistories {
    /// Recounts the memory from the rooms, and checks the order of use.
    pub(crate) fn recount(&self) -> Recounted {
        let bytes = self.rooms.iter().map(|(name, room)| room_cost(name) + room.log.recount()).sum();
        same("memory of histories", self.bytes, bytes)?;
        let used = |name: &str| self.rooms.get(name).map(|room| room.used);
        let is_right = self.by_use.iter().all(|(number, name)| used(name) == Some(*number));
        ensure(is_right, || format!("the order of use: {:?}", self.by_use))?;
        let droppable = self.rooms.values().filter(|room| room.can_drop()).count();
        same("rooms of which something can be dropped", self.by_use.len(), droppable)?;
        ensure(self.bytes <= self.bytes_max || droppable == 0 || self.rooms.len() == 1, || {
            format!("{} bytes of histories, and at most {} are allowed", self.bytes, self.bytes_max)
        })
    }

    /// Returns the names of the pinned rooms, in order.
    pub(crate) fn pinned(&self) -> impl Iterator<Item = &str> {
        self.rooms.iter().filter(|(_, room)| room.is_pinned).map(|(name, _)| &**name)
    }

    /// Unpins all rooms.
    pub(crate) fn unpin_all(&mut self) {
        let pinned: Vec<Box<str>> = self.pinned().map(Into::into).collect();
        pinned.iter().for_each(|room| self.pin(room, false, 0));
    }
}

/// Returns the memory that a room uses besides its messages.
const fn room_cost(name: &str) -> usize {
    ROOM_BYTES + 2 * name.len()
}
