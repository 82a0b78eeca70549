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
    /// The last counts that each other shard sent.
    pub(super) counted: BTreeMap<u8, Arc<[u64]>>,
    /// When to send this shard's counts to the others.
    pub(crate) counts_at: Option<Time>,
}

impl Outbox {
    pub(super) fn new(shard: Shard) -> Self {
        let (messages, rooms, counted) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        let placed = vec![0; shard.count().into()];
        Self { shard, messages, held_back: false, placed, rooms, counted, counts_at: None }
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
    }

    pub(super) fn room_closed(&mut self, room: &str) {
        let Some(shards) = self.rooms.get_mut(room) else { return };
        *shards = shards.saturating_sub(1);
        if *shards == 0 {
            self.rooms.remove(room);
        }
    }

    /// Schedules sending this shard's counts, because they may have changed.
    pub(crate) fn mark_dirty(&mut self, now: Time) {
        if !self.is_alone() {
            self.counts_at.get_or_insert(now + COUNTED_EVERY);
        }
    }
}
