//! Keys of recent messages, by which a repeated message is recognized.

use super::position::Position;
use crate::base::Time;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::time::Duration;

/// Memory of a key besides its text: its places in the map and in the queue, and its allocation.
const KEY_BYTES: usize = 160;
/// Maximum number of keys of a room.
const KEYS_MAX: usize = 10_000;

/// The keys of a room's recent messages.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    positions: BTreeMap<Arc<str>, Position>,
    by_time: VecDeque<(Time, Arc<str>)>,
    /// The length of all keys, in bytes.
    bytes: usize,
}

impl Keys {
    pub(super) const fn new() -> Self {
        Self { positions: BTreeMap::new(), by_time: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn cost(&self) -> usize {
        self.by_time.len() * KEY_BYTES + self.bytes
    }

    /// Recounts [`cost`](Self::cost). `usize::MAX` if map and queue have other keys.
    #[cfg(feature = "sim")]
    pub(super) fn recount(&self) -> usize {
        let is_same = self.positions.len() == self.by_time.len()
            && self.by_time.iter().all(|(_, key)| self.positions.contains_key(key));
        if !is_same {
            return usize::MAX;
        }
        self.positions.keys().map(|key| KEY_BYTES + key.len()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_time.len() >= KEYS_MAX
    }

    /// Returns the position of the message with this key.
    pub(super) fn get(&self, key: &str) -> Option<Position> {
        self.positions.get(key).copied()
    }

    /// Adds a key, which must be new.
    pub(super) fn add(&mut self, now: Time, key: &str, position: Position) {
        let key: Arc<str> = key.into();
        self.bytes += key.len();
        self.positions.insert(key.clone(), position);
        self.by_time.push_back((now, key));
    }

    /// Drops the keys that are as old as `window` or older.
    pub(super) fn expire(&mut self, now: Time, window: Duration) {
        while self.by_time.front().is_some_and(|(at, _)| now.since(*at) >= window) {
            self.drop_oldest();
        }
    }

    pub(super) fn drop_oldest(&mut self) {
        let Some((_, key)) = self.by_time.pop_front() else { return };
        self.bytes -= key.len();
        self.positions.remove(&key);
    }
}
