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

    /// Returns `true` if a member has missed messages and was not told yet.
    pub(crate) fn is_behind(&self, slot: u32) -> bool {
        self.memory.seats.behind.contains_key(&slot)
    }

    /// Tells a member that is slow no longer of the rooms in which it has missed messages.
    pub(crate) fn tell_behind(&mut self, slot: u32) {
        let mut untold = self.memory.seats.behind.remove(&slot).unwrap_or_default();
        while let Some(&(number, why)) = untold.first() {
            let room: Arc<str> = self.rooms.name(number).into();
            let position = self.memory.seats.by_room.get(&room).and_then(|seat| seat.top);
            if !self.tell_member(slot, &room, why, position) {
                self.memory.seats.behind.insert(slot, untold);
                return;
            }
            untold.remove(0);
            self.metrics.memory.gap(why);
            let conn = Some(self.conns.id(slot));
            self.pending.push_back(Pending::RoomGap { conn, room, position, why });
        }
    }

    /// Tells one member, if the members of the room are told of gaps. Returns `false` if its queue
    /// has no place for that.
    pub(super) fn tell_member(&mut self, slot: u32, room: &str, why: Gap, position: Option<Position>) -> bool {
        if self.room_options(room).is_some_and(|options| !options.tells_gaps) {
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
