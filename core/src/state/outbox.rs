//! Messages from this shard to others, until the shell takes them.

use crate::base::Time;
use crate::facts::{Addressee, Shard, ShardMessage};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// Interval at which shards send each other their counts, if these may have changed.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Outbox {
    pub(crate) shard: Shard,
    pub(super) messages: VecDeque<(Addressee, ShardMessage)>,
    /// Whether other shards are behind, so that this one reads from no connection.
    pub(super) held_back: bool,
    /// Number of accepted connections of each shard. Used only on the first shard.
    pub(super) placed: Vec<u32>,
    /// Number of shards on which each room has members. Used only on the first shard.
    rooms: BTreeMap<Arc<str>, u8>,
    /// Whether to send the number of rooms to the other shards. Used only on the first shard.
    rooms_changed: bool,
    /// Number of rooms of the whole server that the first shard sent last.
    rooms_known: u32,
    /// Rooms that this shard has opened since. Not used on the first shard.
    rooms_opened: u32,
    /// The last counts that each other shard sent.
    pub(super) counted: BTreeMap<u8, Arc<[u64]>>,
    /// When to send this shard's counts to the others.
    pub(crate) counts_at: Option<Time>,
}

impl Outbox {
    pub(super) fn new(shard: Shard) -> Self {
        let (messages, rooms, counted) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        let placed = vec![0; shard.count().into()];
        Self {
            shard,
            messages,
            held_back: false,
            placed,
            rooms,
            rooms_changed: false,
            rooms_known: 0,
            rooms_opened: 0,
            counted,
            counts_at: None,
        }
    }

    pub(super) fn is_alone(&self) -> bool {
        self.shard.count() == 1
    }

    pub(crate) fn next_shard_message(&mut self) -> Option<(Addressee, ShardMessage)> {
        self.messages.pop_front()
    }

    /// Returns the shard with the fewest accepted connections, and counts a new connection there.
    pub(crate) fn place(&mut self) -> u8 {
        let fewest = self.placed.iter().enumerate().min_by_key(|(_, count)| **count).map_or(0, |(shard, _)| shard);
        self.placed[fewest] = self.placed[fewest].saturating_add(1);
        u8::try_from(fewest).unwrap_or(0)
    }

    #[cfg(feature = "sim")]
    pub(super) fn placed(&self) -> &Vec<u32> {
        &self.placed
    }

    /// Returns the rooms, each with the number of shards on which it has members.
    pub(super) const fn rooms(&self) -> &BTreeMap<Arc<str>, u8> {
        &self.rooms
    }

    pub(super) fn room_opened(&mut self, room: Arc<str>) {
        let shards = self.rooms.entry(room).or_default();
        *shards = shards.saturating_add(1);
        // Also if the room existed: the shard that opened it counts it until it hears the number.
        self.rooms_changed = true;
    }

    pub(super) fn room_closed(&mut self, room: &str) {
        let Some(shards) = self.rooms.get_mut(room) else { return };
        *shards = shards.saturating_sub(1);
        if *shards == 0 {
            self.rooms.remove(room);
            self.rooms_changed = true;
        }
    }

    /// Returns `true` if the server has as many rooms as it may have, without this one.
    ///
    /// Only the first shard knows which rooms the others have. There, a room of another shard is
    /// no new one.
    pub(super) fn is_full_without(&self, room: &str, rooms_max: u32) -> bool {
        match self.shard {
            Shard::ALONE => false,
            shard if shard.number() == 0 => !self.rooms.contains_key(room) && self.rooms.len() >= rooms_max as usize,
            _ => self.rooms_known.saturating_add(self.rooms_opened) >= rooms_max,
        }
    }

    /// Counts a room that this shard has opened, until the first shard sends the next number.
    pub(super) const fn count_opened_room(&mut self) {
        self.rooms_opened = self.rooms_opened.saturating_add(1);
    }

    /// Sets the number of rooms of the whole server.
    pub(super) const fn set_rooms(&mut self, rooms: u32) {
        (self.rooms_known, self.rooms_opened) = (rooms, 0);
    }

    /// Sends the number of rooms to the other shards if it may have changed. On the first shard.
    pub(crate) fn post_rooms(&mut self) {
        if core::mem::take(&mut self.rooms_changed) {
            let rooms = u32::try_from(self.rooms.len()).unwrap_or(u32::MAX);
            self.messages.push_back((Addressee::Others, ShardMessage::RoomsCounted { rooms }));
        }
    }

    /// Returns the number of rooms of the whole server, as far as this shard knows it.
    #[cfg(feature = "sim")]
    pub(super) fn rooms_of_all(&self) -> usize {
        if self.shard.number() == 0 {
            self.rooms.len()
        } else {
            self.rooms_known.saturating_add(self.rooms_opened) as usize
        }
    }

    /// Schedules sending this shard's counts, because they may have changed.
    pub(crate) fn mark_dirty(&mut self, now: Time) {
        if !self.is_alone() {
            self.counts_at.get_or_insert(now + COUNTED_EVERY);
        }
    }
}
