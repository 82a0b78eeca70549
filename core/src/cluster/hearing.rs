//! What the broker publishes.

use super::broker::{Heard, Message, Previous};
use super::output::Output;
use super::purpose::Purpose;
use super::room::Step;
use super::{Cluster, envelope};
use crate::base::Time;
use crate::facts::RoomMessage;
use crate::history::{Gap, Position};
use alloc::sync::Arc;

impl Cluster {
    pub(super) fn hear(&mut self, now: Time, heard: Heard<Purpose>) {
        match heard {
            Heard::Message { room, message } => self.hear_message(now, &room, message),
            Heard::Renewed { room } => {
                let live = self.rooms.get_key_value(&*room).filter(|(_, room)| room.step == Step::Live);
                if let Some(name) = live.map(|(name, _)| Arc::clone(name)) {
                    self.want(&name);
                }
            }
            Heard::Names { room, host, news } => self.hear_names(now, &room, host, news),
            Heard::Told(data) => self.hear_host(&data),
            Heard::Up
            | Heard::Master(_)
            | Heard::Addresses(_)
            | Heard::BeginTls
            | Heard::Answered { .. }
            | Heard::Probed(_)
            | Heard::Fault(_) => {}
        }
    }

    /// Passes a message on if it follows the position of its room. Otherwise the history is read.
    fn hear_message(&mut self, now: Time, room: &str, message: Message) {
        let Some(name) = self.rooms.get_key_value(room).map(|(name, _)| Arc::clone(name)) else { return };
        let keeps_early = self.may_be_early();
        let Some(room) = self.rooms.get_mut(&name) else { return };
        let Some(top) = room.top.filter(|_| room.step == Step::Live) else {
            // The history that is being read or must be read has this message, or the message follows it.
            if keeps_early {
                room.early.add(&message);
            }
            return;
        };
        #[cfg(test)]
        if self.offsets_only {
            return self.hear_by_offset(&name, top, message);
        }
        if message.position == top {
            return;
        }
        let Position { epoch, offset, .. } = message.position;
        let follows = epoch == top.epoch
            && match message.previous {
                Previous::Mark(mark) => top.offset.checked_add(1) == Some(offset) && mark == top.mark,
                Previous::Offset(previous) => previous == top.offset && offset > top.offset,
                Previous::Unknown => false,
            };
        if !follows || room.kept.is_skipped(top, message.position) {
            return self.want(&name);
        }
        if let Some(room) = self.rooms.get_mut(&name) {
            (room.top, room.confirmed_at) = (Some(message.position), now);
            room.kept.heard(message.position);
            room.messages = room.messages.saturating_add(1);
            if keeps_early && room.reading.is_some() {
                room.meanwhile.add(&message);
            }
        }
        self.deliver(&name, top, message);
    }

    /// Handles the messages that came while the history of a room was read.
    pub(super) fn hear_early(&mut self, now: Time, name: &Arc<str>) {
        let early = self.rooms.get_mut(name).map(|room| core::mem::take(&mut room.early)).unwrap_or_default();
        for message in early.into_messages() {
            let Some(room) = self.rooms.get(name) else { return };
            let Some(top) = room.top.filter(|_| room.step == Step::Live) else { return };
            let Position { epoch, offset, mark } = message.position;
            // The history had it.
            let is_past = offset < top.offset || offset == top.offset && mark == top.mark;
            if !(is_past && epoch <= top.epoch) {
                self.hear_message(now, name, message);
            }
        }
    }

    /// Compares offsets only: the rule that the tests find out.
    #[cfg(test)]
    fn hear_by_offset(&mut self, name: &Arc<str>, top: Position, message: Message) {
        if message.position.epoch != top.epoch || message.position.offset > top.offset + 1 {
            return self.want(name);
        }
        if message.position.offset == top.offset + 1 {
            if let Some(room) = self.rooms.get_mut(name) {
                room.top = Some(message.position);
            }
            self.deliver(name, top, message);
        }
    }

    /// Passes a message on to the shards with members.
    pub(super) fn deliver(&mut self, name: &Arc<str>, top: Position, message: Message) {
        let before = message.before(top);
        let Message { position, data, .. } = message;
        let room = Arc::clone(name);
        let Some(data) = data else {
            return self.output.push_back(Output::ToHolders(RoomMessage::Passed { room, position }));
        };
        let message = if let Some(found) = envelope::decode(data) {
            let except = if found.host == self.host { found.except } else { Arc::default() };
            RoomMessage::Kept { room, position, before, except, message: found.message }
        } else {
            // A later version of Drupe may have sent it.
            self.metrics.unreadable += 1;
            RoomMessage::Moved { room, position, why: Gap::Unsendable }
        };
        self.output.push_back(Output::ToHolders(message));
    }
}
