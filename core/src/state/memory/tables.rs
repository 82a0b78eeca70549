//! The tables of the rooms with a home.

#[cfg(feature = "sim")]
use super::ledger::Ledger;
use super::names::{NamesHere, Present};
use super::request::Requests;
use super::seats::Seats;
use crate::config::Config;
use crate::facts::{RoomMessage, Shard};
use crate::history::{Marks, RoomHistories};
use crate::metrics::MemoryMetrics;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;

/// The rooms with a home, as far as this shard takes part in them.
pub(crate) struct Memory {
    pub(super) marks: Marks,
    /// The histories of the rooms whose home this shard is.
    pub(super) histories: RoomHistories,
    /// The shards with members, for each of these rooms.
    pub(super) holders: BTreeMap<Box<str>, BTreeSet<u8>>,
    /// The rooms with members on this shard.
    pub(super) seats: Seats,
    pub(super) requests: Requests,
    /// The names of the members on this shard.
    pub(super) names: NamesHere,
    /// The names in the rooms whose home this shard is.
    pub(super) present: Present,
    /// Messages from this shard to itself.
    pub(super) to_self: VecDeque<RoomMessage>,
    /// Number of rounds in which such messages were handled during this fact.
    pub(super) rounds: u8,
    /// Number of messages that are left of the current round.
    pub(super) left_of_round: usize,
    #[cfg(feature = "sim")]
    pub(super) ledger: Ledger,
}

impl Memory {
    pub(crate) fn new(config: &Config, seed: u64, shard: Shard) -> Self {
        Self {
            marks: Marks::new(seed),
            histories: RoomHistories::new(part_of(config, shard)),
            holders: BTreeMap::new(),
            seats: Seats::default(),
            requests: Requests::default(),
            names: NamesHere::default(),
            present: Present::default(),
            to_self: VecDeque::new(),
            rounds: 0,
            left_of_round: 0,
            #[cfg(feature = "sim")]
            ledger: Ledger::default(),
        }
    }

    /// Forgets a member that has left a room in which others remain.
    pub(crate) fn forget_member(&mut self, room: &str, slot: u32) {
        if let Some(seat) = self.seats.by_room.get_mut(room) {
            seat.forget(slot);
        }
    }

    /// Forgets the history of a room.
    pub(crate) fn forget_history(&mut self, room: &str) {
        self.histories.remove(room);
    }

    /// Sets the gauges of the rooms whose home this shard is.
    pub(crate) fn set_gauges(&self, metrics: &mut MemoryMetrics) {
        metrics.rooms = self.histories.len() as u64;
        metrics.bytes = self.histories.bytes() as u64;
        metrics.present = self.present.count();
    }

    /// Returns `true` if no request waits for its answer, and no message to this shard itself waits.
    pub(crate) fn is_quiet(&self) -> bool {
        self.to_self.is_empty() && self.requests.is_empty()
    }
}

/// Returns the part of the memory of all histories that one shard may use.
pub(super) fn part_of(config: &Config, shard: Shard) -> usize {
    usize::try_from(config.memory.bytes_max / u64::from(shard.count())).unwrap_or(usize::MAX)
}

/// Returns the number of the shard that is the home of a room.
pub(super) fn home_of(room: &str, shards: u8) -> u8 {
    // FNV-1a, so that equal names have equal homes in every run.
    let hash = room
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    u8::try_from((hash >> 32) % u64::from(shards.max(1))).unwrap_or(0)
}

/// Creates the shared name of a room.
pub(super) fn shared(room: &str) -> Arc<str> {
    room.into()
}
