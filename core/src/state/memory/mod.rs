//! Rooms that have a home: one shard numbers the messages of a room, keeps some and passes them on.
//!
//! A shard with members of a room has a [seat](seats) there. The home sends each message to all
//! seats. Messages from one shard to another keep their order. So what the home told a new member
//! ends exactly where the messages begin that the home sends afterwards: nothing is missed or
//! doubled between them.

mod envelope;
mod gaps;
mod home;
mod marks;
mod members;
mod presence;
mod requests;
mod seats;
#[cfg(feature = "sim")]
mod sim;

pub use requests::RoomRequest;
#[cfg(feature = "sim")]
pub use sim::Numbered;

use super::State;
use crate::base::AppIndex;
use crate::config::{Config, RoomOptions};
use crate::facts::{Addressee, RoomMessage, Shard, ShardMessage};
use crate::history::RoomHistories;
use crate::metrics::MemoryMetrics;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use marks::Marks;
use presence::{NamesHere, Present};
use requests::Requests;
use seats::Seats;

/// Maximum number of rounds of messages from this shard to itself that one fact causes.
///
/// An application that answers each answer with a request would otherwise never let the shell run.
const ROUNDS_MAX: u8 = 8;

/// The rooms with a home, as far as this shard takes part in them.
pub(crate) struct Memory {
    marks: Marks,
    /// The histories of the rooms whose home this shard is.
    pub(super) histories: RoomHistories,
    /// The shards with members, for each of these rooms.
    holders: BTreeMap<Box<str>, BTreeSet<u8>>,
    /// The rooms with members on this shard.
    seats: Seats,
    requests: Requests,
    /// The names of the members on this shard.
    names: NamesHere,
    /// The names in the rooms whose home this shard is.
    present: Present,
    /// Messages from this shard to itself.
    to_self: VecDeque<RoomMessage>,
    /// Number of rounds in which such messages were handled during this fact.
    rounds: u8,
    #[cfg(feature = "sim")]
    ledger: sim::Ledger,
}

impl Memory {
    pub(super) fn new(config: &Config, seed: u64, shard: Shard) -> Self {
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
            #[cfg(feature = "sim")]
            ledger: sim::Ledger::default(),
        }
    }

    /// Forgets a member that has left a room in which others remain.
    pub(super) fn forget_member(&mut self, room: &str, slot: u32) {
        if let Some(seat) = self.seats.by_room.get_mut(room) {
            seat.forget(slot);
        }
    }

    /// Sets the gauges of the rooms whose home this shard is.
    pub(super) fn set_gauges(&self, metrics: &mut MemoryMetrics) {
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
fn part_of(config: &Config, shard: Shard) -> usize {
    usize::try_from(config.memory.bytes_max / u64::from(shard.count())).unwrap_or(usize::MAX)
}

impl State {
    /// Returns the options of a room that has a home.
    pub(crate) fn room_options(&self, stored: &str) -> Option<&RoomOptions> {
        if self.config.memory.rooms.is_empty() {
            return None;
        }
        self.config.memory.options(AppIndex::of_room(stored).1)
    }

    /// Sends a message to the home of a room.
    fn post_to_home(&mut self, room: &str, message: RoomMessage) {
        let home = home_of(room, self.outbox.shard.count());
        self.post_to(home, message);
    }

    /// Sends a message about a room to a shard, which may be this one.
    fn post_to(&mut self, shard: u8, message: RoomMessage) {
        if shard == self.outbox.shard.number() {
            self.memory.to_self.push_back(message);
        } else {
            self.queue_for(Addressee::Shard(shard), ShardMessage::Room(message));
        }
    }

    /// Begins to handle a fact.
    pub(crate) const fn begin_rounds(&mut self) {
        self.memory.rounds = 0;
    }

    /// Handles the messages that this shard sent to itself. Returns `false` if there are none, or if
    /// they must wait for the next fact.
    pub(crate) fn handle_own_messages(&mut self) -> bool {
        if self.memory.to_self.is_empty() || self.memory.rounds >= ROUNDS_MAX {
            return false;
        }
        self.memory.rounds += 1;
        for _ in 0..self.memory.to_self.len() {
            let Some(message) = self.memory.to_self.pop_front() else { break };
            self.handle_room_message(&message);
        }
        true
    }

    /// Returns `true` if messages from this shard to itself wait for the next fact.
    pub(crate) fn has_own_messages(&self) -> bool {
        !self.memory.to_self.is_empty()
    }

    pub(super) fn handle_room_message(&mut self, message: &RoomMessage) {
        match message {
            RoomMessage::Submit { room, from, request, key, except, message } => {
                self.keep(room, (*from, *request), key.as_deref(), except, message);
            }
            RoomMessage::Ask { room, from, number, since, bytes_max } => {
                self.tell(room, *from, *number, *since, *bytes_max);
            }
            RoomMessage::Emptied { room, from } => self.release_seat(room, *from),
            RoomMessage::Read { room, from, request, range, max } => self.read(room, *from, *request, *range, *max),
            RoomMessage::Entered { room, from, name, info } => self.entered(room, *from, name, info.as_ref()),
            RoomMessage::Exited { room, from, name } => self.exited(room, *from, name),
            RoomMessage::PresenceChanged { room, name, is_present, info } => {
                self.presence_changed(room, name, *is_present, info.as_ref());
            }
            RoomMessage::Who { room, from, request, after, max } => {
                self.list_names(room, *from, *request, after.as_deref(), *max);
            }
            RoomMessage::Remove { room } => drop(self.memory.histories.remove(room)),
            RoomMessage::Kept { room, position, previous, except, message } => {
                self.pass_on(room, *position, *previous, except, message);
            }
            RoomMessage::Told { room, number, position, missed } => {
                self.told(room, *number, *position, missed);
            }
            RoomMessage::Answer { request, answer } => self.answer_came(*request, answer.clone()),
        }
    }

    /// Applies a new configuration to the rooms with a home.
    pub(crate) fn apply_memory(&mut self) {
        self.memory.histories.set_bytes_max(part_of(&self.config, self.outbox.shard));
        self.forget_homeless();
        self.change_seats();
        self.change_presence();
    }
}

/// Returns the number of the shard that is the home of a room.
fn home_of(room: &str, shards: u8) -> u8 {
    // FNV-1a, so that equal names have equal homes in every run.
    let hash = room
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    u8::try_from((hash >> 32) % u64::from(shards.max(1))).unwrap_or(0)
}

/// Creates the shared name of a room.
fn shared(room: &str) -> Arc<str> {
    room.into()
}
