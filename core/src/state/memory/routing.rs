//! Messages between the homes of rooms and the shards with members.

use super::tables::{home_of, part_of};
use crate::config::RoomOptions;
use crate::facts::{Addressee, RoomMessage, ShardMessage};
use crate::state::State;

/// Maximum number of rounds of messages from this shard to itself that one fact causes.
///
/// An application that answers each answer with a request would otherwise never let the shell run.
const ROUNDS_MAX: u8 = 8;

impl State {
    /// Returns the options of a room that has a home.
    pub(crate) fn room_options(&self, stored: &str) -> Option<&RoomOptions> {
        let current = || self.config.memory.options_of_stored(stored);
        match self.shared_from_start(stored) {
            Some(options) => current().or(Some(options)),
            None if self.config.memory.rooms.is_empty() => None,
            None => current(),
        }
    }

    /// Sends a message to the home of a room.
    pub(super) fn post_to_home(&mut self, room: &str, message: RoomMessage) {
        let home = self.home_shard(room);
        self.post_to(home, message);
    }

    /// Returns the number of the shard that is the home of a room, or has the link to it.
    pub(super) fn home_shard(&self, room: &str) -> u8 {
        let shard = self.outbox.shard;
        if self.is_shared(room) { Self::link_shard(shard) } else { home_of(room, shard.count()) }
    }

    /// Sends a message about a room to a shard, which may be this one.
    pub(super) fn post_to(&mut self, shard: u8, message: RoomMessage) {
        if shard == self.outbox.shard.number() {
            self.memory.to_self.push_back(message);
        } else {
            self.queue_for(Addressee::Shard(shard), ShardMessage::Room(message));
        }
    }

    /// Begins to handle a fact.
    pub(crate) const fn begin_rounds(&mut self) {
        (self.memory.rounds, self.memory.left_of_round) = (0, 0);
    }

    /// Handles the next message that this shard sent to itself. Returns `false` if there is none, or if
    /// it must wait for the next fact.
    ///
    /// One at a time, so that the application has the events of one before the next changes anything.
    pub(crate) fn handle_own_messages(&mut self) -> bool {
        let memory = &mut self.memory;
        if memory.left_of_round == 0 {
            if memory.to_self.is_empty() || memory.rounds >= ROUNDS_MAX {
                return false;
            }
            memory.rounds += 1;
            memory.left_of_round = memory.to_self.len();
        }
        let Some(message) = memory.to_self.pop_front() else { return false };
        memory.left_of_round -= 1;
        self.handle_room_message(&message);
        true
    }

    /// Returns `true` if messages from this shard to itself wait for the next fact.
    pub(crate) fn has_own_messages(&self) -> bool {
        !self.memory.to_self.is_empty()
    }

    pub(crate) fn handle_room_message(&mut self, message: &RoomMessage) {
        if self.handle_shared(message) {
            return;
        }
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
            RoomMessage::Kept { room, position, before, except, message } => {
                self.pass_on(room, *position, *before, except, message);
            }
            RoomMessage::Told { room, number, position, missed } => {
                self.told(room, *number, *position, missed);
            }
            RoomMessage::Moved { room, position, why } => self.moved(room, *position, *why),
            RoomMessage::Passed { room, position } => self.passed(room, *position),
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
