//! Telling members and the application that messages may be missing.

use crate::base::text::{json_escape, neutralize};
use crate::base::{AppIndex, Outgoing};
use crate::history::{Gap, Position};
use crate::state::room::RoomNumber;
use crate::state::{Pending, State};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write;

impl State {
    /// Tells the application and all live members of a room on this shard.
    pub(super) fn tell_gap(&mut self, room: &Arc<str>, why: Gap, position: Position) {
        self.metrics.memory.gap(why);
        if self.config.memory.tells_gaps(room) {
            let (json, text) = notice(room, why, Some(position));
            self.publish(room, &[], Outgoing::Negotiated { json: &json, text: &text });
        }
        self.pending.push_back(Pending::RoomGap { conn: None, room: Arc::clone(room), position: Some(position), why });
    }

    /// Notes that a member of a room with a home did not get a message.
    ///
    /// It gets no later message of the room before it is told, which is once it is slow no longer.
    pub(crate) fn missed(&mut self, slot: u32, number: RoomNumber, why: Gap) {
        self.memory.seats.behind.add(slot, number, why);
        if !self.outbound.is_stalled(slot) {
            self.tell_behind(slot);
        }
    }

    /// Tells a slow member that queued messages of a room with this tag were skipped.
    ///
    /// The notice takes their place, so the member reads it before any later message.
    pub(crate) fn skipped(&mut self, slot: u32, tag: u32) {
        let rooms = self.conns.at(slot).map_or(&[][..], |conn| &conn.rooms);
        let of_tag = |number: &&RoomNumber| self.rooms.get(**number).is_some_and(|room| room.tag == tag);
        let Some(&number) = rooms.iter().find(of_tag) else { return };
        if !self.tells_gaps(number) {
            return self.missed(slot, number, Gap::TooSlow);
        }
        if self.outbound.has_notice(slot, tag) {
            return;
        }
        let room: Arc<str> = self.rooms.name(number).into();
        let Some(encoding) = self.conns.at(slot).map(|conn| conn.encoding) else { return };
        let representation = self.outbound.representation(encoding);
        // Without a position: the next message has another one than the last that is queued.
        let (json, text) = notice(&room, Gap::TooSlow, None);
        let payload = Outgoing::Negotiated { json: &json, text: &text }.as_payload(representation);
        self.outbound.notice_skipped(slot, tag, payload);
        self.told_gap(slot, room, None, Gap::TooSlow);
    }

    /// Returns `true` if a member has missed messages and was not told yet.
    pub(crate) fn is_behind(&self, slot: u32) -> bool {
        self.memory.seats.behind.has(slot)
    }

    /// Returns the members of a room that get no message of it before they are told what they missed.
    pub(crate) fn held_back(&self, number: RoomNumber) -> impl Iterator<Item = u32> {
        let behind = &self.memory.seats.behind;
        let holds = !behind.is_empty() && self.tells_gaps(number);
        behind.of_room(number).filter(move |_| holds)
    }

    /// Returns `true` if a member gets no message of a room before it is told what it missed.
    pub(crate) fn is_held_back(&self, number: RoomNumber, slot: u32) -> bool {
        self.memory.seats.behind.is_in(number, slot) && self.tells_gaps(number)
    }

    fn tells_gaps(&self, number: RoomNumber) -> bool {
        self.config.memory.tells_gaps(self.rooms.name(number))
    }

    /// Tells a member that is slow no longer of the rooms in which it has missed messages.
    pub(crate) fn tell_behind(&mut self, slot: u32) {
        while let Some((number, why)) = self.memory.seats.behind.first(slot) {
            let room: Arc<str> = self.rooms.name(number).into();
            let position = self.memory.seats.by_room.get(&room).and_then(|seat| seat.top);
            if !self.tell_member(slot, &room, why, position) {
                return;
            }
            self.memory.seats.behind.told(slot, (number, why));
            self.told_gap(slot, room, position, why);
        }
    }

    /// Counts a gap of which one member was told, and queues its event.
    fn told_gap(&mut self, slot: u32, room: Arc<str>, position: Option<Position>, why: Gap) {
        self.metrics.memory.gap(why);
        self.pending.push_back(Pending::RoomGap { conn: Some(self.conns.id(slot)), room, position, why });
    }

    /// Tells one member, if the members of the room are told of gaps. Returns `false` if its queue
    /// has no place for that.
    pub(super) fn tell_member(&mut self, slot: u32, room: &str, why: Gap, position: Option<Position>) -> bool {
        if !self.config.memory.tells_gaps(room) {
            return true;
        }
        let Some(conn) = self.conns.at(slot).filter(|conn| conn.is_open() && !conn.finished) else { return true };
        let representation = self.outbound.representation(conn.encoding);
        let (json, text) = notice(room, why, position);
        let payload = Outgoing::Negotiated { json: &json, text: &text }.as_payload(representation);
        self.outbound.send_if_it_fits(slot, payload)
    }

    /// Forgets what a member has missed in a room that it has left.
    pub(crate) fn forget_missed(&mut self, slot: u32, number: RoomNumber) {
        self.memory.seats.behind.remove(slot, number);
    }
}

/// Returns the notice of a gap as JSON and as text.
fn notice(stored: &str, why: Gap, position: Option<Position>) -> (String, String) {
    let room = AppIndex::of_room(stored).1;
    let mut json = String::from("{\"type\":\"gap\",\"room\":\"");
    json_escape(room, &mut json);
    json.push_str("\",\"why\":\"");
    json.push_str(why.name());
    if let Some(position) = position {
        // Writing to a string cannot fail.
        let _ = write!(json, "\",\"position\":\"{position}");
    }
    json.push_str("\"}");
    (json, format!("notice: messages in {} may be missing ({why})", neutralize(room)))
}
