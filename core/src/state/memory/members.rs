//! Members of rooms with a home: from joining, over what they missed, to the messages that follow.

use super::seats::Question;
use super::tables::shared;
use crate::base::{ConnId, OutgoingBuf};
use crate::facts::{HistoryRange, PublishRefusal, Published, RoomAnswer, RoomMessage};
use crate::history::{Gap, Position, Recovery};
use crate::state::room::{RoomNumber, WAITING};
use crate::state::{Pending, RoomRequest, State};
use alloc::sync::Arc;
use alloc::vec::Vec;

impl State {
    /// Asks the home of a room what a new member has missed. Until then, the member waits.
    pub(crate) fn ask_home(&mut self, name: &str, question: Question) {
        let Question::Of { slot, .. } = question else { return };
        let bytes_max = u32::try_from(self.outbound.marks(slot).high()).unwrap_or(u32::MAX);
        self.ask(&shared(name), question, bytes_max);
    }

    fn ask(&mut self, room: &Arc<str>, question: Question, bytes_max: u32) {
        let number = self.memory.seats.ask(room, question);
        let since = match question {
            Question::Of { since, .. } => since,
            Question::OfAll => None,
        };
        let (room, from) = (Arc::clone(room), self.outbox.shard.number());
        self.post_to_home(&Arc::clone(&room), RoomMessage::Ask { room, from, number, since, bytes_max });
    }

    /// Adds the members that a question was about to those who receive messages.
    ///
    /// They get what they missed, before any later message.
    pub(super) fn told(
        &mut self,
        room: &Arc<str>,
        number: u64,
        position: Position,
        missed: &Result<Arc<[(Position, OutgoingBuf)]>, Gap>,
    ) {
        let Some(seat) = self.memory.seats.by_room.get_mut(room) else { return };
        let Some(question) = seat.take_question(number) else { return };
        let before = seat.top.replace(position);
        let Some(room_number) = self.rooms.number(room) else { return };
        if before.is_some_and(|before| before != position) {
            // The home went back to an earlier state, and has lost messages.
            self.tell_gap(room, Gap::Rewritten, position);
        }
        let (slot, since, to_handler) = match question {
            Question::Of { slot, since, to_handler } => (slot, since, to_handler),
            Question::OfAll => return self.all_are_live(room, room_number, position),
        };
        let handed_over = missed.as_ref().ok().filter(|_| to_handler).cloned().unwrap_or_default();
        for (position, message) in missed.iter().filter(|_| !to_handler).flat_map(|missed| missed.iter()) {
            self.send_in_room(room, room_number, slot, *position, message);
        }
        self.is_live(room_number, slot);
        let recovery = match (since, missed) {
            (None, _) => Recovery::New,
            (Some(_), Ok(_)) if self.is_held_back(room_number, slot) => {
                // Some of what it missed was not queued, because it is slow already.
                self.forget_missed(slot, room_number);
                Recovery::NotRecovered(Gap::TooSlow)
            }
            (Some(_), Ok(missed)) => Recovery::Recovered { messages: missed.len() },
            (Some(_), Err(gap)) => Recovery::NotRecovered(*gap),
        };
        self.joined(slot, room, Some(position), recovery, handed_over);
    }

    /// Queues the event of a member that now receives messages.
    fn joined(
        &mut self,
        slot: u32,
        room: &Arc<str>,
        position: Option<Position>,
        recovery: Recovery,
        missed: Arc<[(Position, OutgoingBuf)]>,
    ) {
        self.metrics.memory.joined(recovery);
        if let Recovery::NotRecovered(gap) = recovery
            && !self.tell_member(slot, room, gap, position)
            && let Some(number) = self.rooms.number(room)
        {
            self.missed(slot, number, gap);
        }
        let conn = self.conns.id(slot);
        self.pending.push_back(Pending::Joined { conn, room: Arc::clone(room), position, recovery, missed });
    }

    /// Reports to a member of a room without a home that it has not recovered there.
    pub(crate) fn joined_without_home(&mut self, name: &str, slot: u32) {
        self.joined(slot, &shared(name), None, Recovery::NotRecovered(Gap::NoHistory), Arc::default());
    }

    fn is_live(&mut self, number: RoomNumber, slot: u32) {
        if let Some(encoding) = self.conns.at(slot).map(|conn| conn.encoding)
            && self.rooms.is_waiting(number, slot)
        {
            self.rooms.set_group(number, slot, encoding);
        }
    }

    /// Adds the members that were there before the room had a home.
    fn all_are_live(&mut self, room: &Arc<str>, number: RoomNumber, position: Position) {
        let asks_for = |slot: &u32| self.memory.seats.by_room.get(room).is_some_and(|seat| seat.asks_for(*slot));
        let waiting: Vec<u32> = self.rooms.waiting(number).filter(|slot| !asks_for(slot)).collect();
        for slot in waiting {
            self.is_live(number, slot);
        }
        // What other shards have published meanwhile did not reach them.
        self.tell_gap(room, Gap::NoHistory, position);
    }

    /// Delivers a message of the home to the members of this shard.
    pub(super) fn pass_on(
        &mut self,
        room: &Arc<str>,
        position: Position,
        before: Position,
        except: &[ConnId],
        message: &OutgoingBuf,
    ) {
        let Some(seat) = self.memory.seats.by_room.get_mut(room) else { return };
        // If none is live, the home has not told yet, and what it tells contains this message.
        let Some(top) = seat.top else { return };
        if top == position {
            return;
        }
        seat.top = Some(position);
        // Not the position of this message, which a member may be cut off before.
        if top.epoch != before.epoch {
            self.tell_gap(room, Gap::OtherEpoch, before);
        } else if top != before {
            self.tell_gap(room, Gap::Rewritten, before);
        }
        let carrying = if self.is_read_as_json(room) { self.carrying_position(room, position, message) } else { None };
        let streamed = self.streamed_to_all(room, position, message);
        let message = carrying.as_ref().unwrap_or(message);
        self.publish_streamed(room, except, message.as_outgoing(), &streamed);
    }

    /// Notes that the position has moved on without a message.
    pub(super) fn passed(&mut self, room: &Arc<str>, position: Position) {
        if let Some(top) = self.memory.seats.by_room.get_mut(room).and_then(|seat| seat.top.as_mut()) {
            *top = position;
        }
    }

    /// Tells the live members of this shard that messages before a position may be missing.
    pub(super) fn moved(&mut self, room: &Arc<str>, position: Position, why: Gap) {
        let Some(top) = self.memory.seats.by_room.get_mut(room).and_then(|seat| seat.top.as_mut()) else { return };
        *top = position;
        self.tell_gap(room, why, position);
    }

    /// Publishes a message to a room with a home. Returns its number of members on this shard.
    pub(crate) fn submit(&mut self, room: &str, except: &[ConnId], message: OutgoingBuf) -> usize {
        let Some(shared) = self.name_in_history(room) else { return 0 };
        let from = self.outbox.shard.number();
        let submit =
            RoomMessage::Submit { room: shared, from, request: None, key: None, except: except.into(), message };
        self.post_to_home(room, submit);
        self.rooms.number(room).map_or(0, |number| self.rooms.count(number))
    }

    /// Publishes a message to a room with a home, which answers.
    pub(crate) fn publish_kept(
        &mut self,
        app: u8,
        room: &str,
        key: Option<&str>,
        except: &[ConnId],
        message: OutgoingBuf,
    ) -> RoomRequest {
        let refused = |refusal| RoomAnswer::Published(Published::Refused(refusal));
        let (request, number) = self.issue_request(app, refused(PublishRefusal::TooManyRequests));
        let Some(number) = number else { return request };
        if self.room_options(room).is_none() {
            self.answer_came(number, refused(PublishRefusal::NoHome));
        } else if let Some(shared) = self.name_in_history(room) {
            let (from, key) = (self.outbox.shard.number(), key.map(Into::into));
            let request = Some(number);
            let submit = RoomMessage::Submit { room: shared, from, request, key, except: except.into(), message };
            self.post_to_home(room, submit);
        } else {
            let max = self.config.rooms.name_max_bytes;
            self.answer_came(number, refused(PublishRefusal::Name { bytes: room.len(), max }));
        }
        request
    }

    /// Asks the home of a room for a part of its history.
    pub(crate) fn read_history(&mut self, app: u8, room: &str, range: HistoryRange, max: u32) -> RoomRequest {
        let (request, number) = self.issue_request(app, RoomAnswer::Unknown);
        let Some(number) = number else { return request };
        match self.name_in_history(room).filter(|_| self.room_options(room).is_some()) {
            Some(shared) => {
                let from = self.outbox.shard.number();
                self.post_to_home(room, RoomMessage::Read { room: shared, from, request: number, range, max });
            }
            None => self.answer_came(number, RoomAnswer::History(Err(Gap::NoHistory))),
        }
        request
    }

    /// Removes the history of a room at its home.
    pub(crate) fn remove_history(&mut self, room: &str) {
        if let Some(shared) = self.name_in_history(room).filter(|_| self.room_options(room).is_some()) {
            self.post_to_home(room, RoomMessage::Remove { room: shared });
        }
    }

    /// Returns the position up to which the live members of a room on this shard have all messages.
    pub(crate) fn room_position(&self, room: &str) -> Option<Position> {
        self.memory.seats.by_room.get(room)?.top
    }

    /// Gives up the seat in a room whose last member has left.
    pub(crate) fn left_home(&mut self, room: &str) {
        if let Some((room, _)) = self.memory.seats.by_room.remove_entry(room) {
            let from = self.outbox.shard.number();
            self.post_to_home(&Arc::clone(&room), RoomMessage::Emptied { room, from });
        }
    }

    /// Takes seats in the rooms that have a home now, and gives up those in rooms that have none.
    pub(super) fn change_seats(&mut self) {
        let names: Vec<Arc<str>> = self.rooms.list().map(|(name, _)| name.into()).collect();
        for room in names {
            let Some(number) = self.rooms.number(&room) else { continue };
            let has_home = self.room_options(&room).is_some();
            let had_home = self.memory.seats.by_room.contains_key(&room);
            if has_home == had_home {
                continue;
            }
            self.rooms.set_home(number, has_home);
            let members: Vec<u32> = self.rooms.members(&room).collect();
            if has_home {
                for slot in members {
                    self.rooms.set_group(number, slot, WAITING);
                }
                self.ask(&room, Question::OfAll, 0);
                continue;
            }
            let seat = self.memory.seats.by_room.remove(&room);
            for slot in members {
                self.is_live(number, slot);
            }
            for slot in seat.into_iter().flat_map(|mut seat| seat.take_members()) {
                self.joined(slot, &room, None, Recovery::NotRecovered(Gap::NoHistory), Arc::default());
            }
            let from = self.outbox.shard.number();
            self.post_to_home(&Arc::clone(&room), RoomMessage::Emptied { room, from });
        }
    }
}
