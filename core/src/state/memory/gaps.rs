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
        if self.room_options(room).is_none_or(|options| options.tells_gaps) {
            let (json, text) = notice(room, why, Some(position));
            self.publish(room, &[], Outgoing::Negotiated { json: &json, text: &text });
        }
        self.pending.push_back(Pending::RoomGap { conn: None, room: Arc::clone(room), position: Some(position), why });
    }

    /// Tells one member, if the members of the room are told of gaps.
    pub(super) fn tell_member(&mut self, slot: u32, room: &str, why: Gap, position: Option<Position>) {
        if self.room_options(room).is_some_and(|options| !options.tells_gaps) {
            return;
        }
        let Some(conn) = self.conns.at(slot).filter(|conn| conn.is_open() && !conn.finished) else { return };
        let representation = self.outbound.representation(conn.encoding);
        let (json, text) = notice(room, why, position);
        let payload = Outgoing::Negotiated { json: &json, text: &text }.as_payload(representation);
        // It is short and comes once for many messages, so it needs no place in the queue.
        let _ = self.outbound.send_last(slot, payload);
    }

    /// Notes that a member of a room with a home did not get a message.
    ///
    /// A slow member is told once it is slow no longer.
    pub(crate) fn missed(&mut self, slot: u32, number: RoomNumber, why: Gap) {
        let rooms = self.memory.seats.behind.entry(slot).or_default();
        if !rooms.contains(&(number, why)) {
            rooms.push((number, why));
        }
        if !self.outbound.is_stalled(slot) {
            self.tell_behind(slot);
        }
    }

    /// Tells a member that is slow no longer of the rooms in which it has missed messages.
    pub(crate) fn tell_behind(&mut self, slot: u32) {
        for (number, why) in self.memory.seats.behind.remove(&slot).unwrap_or_default() {
            let room: Arc<str> = self.rooms.name(number).into();
            let position = self.memory.seats.by_room.get(&room).and_then(|seat| seat.top);
            self.metrics.memory.gap(why);
            self.tell_member(slot, &room, why, position);
            let conn = Some(self.conns.id(slot));
            self.pending.push_back(Pending::RoomGap { conn, room, position, why });
        }
    }

    /// Forgets what a member has missed in a room that it has left.
    pub(crate) fn forget_missed(&mut self, slot: u32, number: RoomNumber) {
        let behind = &mut self.memory.seats.behind;
        if let Some(rooms) = behind.get_mut(&slot) {
            rooms.retain(|&(room, _)| room != number);
            if rooms.is_empty() {
                behind.remove(&slot);
            }
        }
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
