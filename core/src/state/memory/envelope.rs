//! Messages that carry their position.

use crate::base::text::json_escape;
use crate::base::{AppIndex, OutgoingBuf, PayloadBuf, Representation};
use crate::history::Position;
use crate::state::State;
use crate::state::room::{RoomNumber, WAITING};
use alloc::string::String;
use core::fmt::Write;

impl State {
    /// Returns `true` if a member that receives the messages of a room receives them as JSON.
    pub(super) fn is_read_as_json(&self, room: &str) -> bool {
        let room = self.rooms.number(room).and_then(|number| self.rooms.get(number));
        let mut live = room.into_iter().flat_map(|room| &room.groups).filter(|group| group.encoding != WAITING);
        live.any(|group| self.outbound.representation(group.encoding) == Representation::Json)
    }

    /// Returns a message that carries its position for members that receive JSON.
    ///
    /// `None` if the room has none of that, or if the message is binary.
    pub(super) fn carrying_position(
        &self,
        room: &str,
        position: Position,
        message: &OutgoingBuf,
    ) -> Option<OutgoingBuf> {
        if !self.room_options(room)?.positions {
            return None;
        }
        let mut json = String::from("{\"type\":\"message\",\"room\":\"");
        json_escape(AppIndex::of_room(room).1, &mut json);
        // Writing to a string cannot fail.
        let _ = write!(json, "\",\"position\":\"{position}\",\"data\":");
        let text = match message {
            OutgoingBuf::Same(PayloadBuf::Binary(_)) => return None,
            OutgoingBuf::Same(PayloadBuf::Text(text)) => {
                json.push('"');
                json_escape(text, &mut json);
                json.push('"');
                text.clone()
            }
            OutgoingBuf::Negotiated { json: data, text } => {
                json.push_str(data);
                text.clone()
            }
        };
        json.push('}');
        Some(OutgoingBuf::Negotiated { json: json.into(), text })
    }

    /// Sends one member a message of a room that it missed.
    pub(super) fn send_in_room(
        &mut self,
        room: &str,
        number: RoomNumber,
        slot: u32,
        position: Position,
        message: &OutgoingBuf,
    ) {
        let carrying = self.carrying_position(room, position, message);
        let message = carrying.as_ref().unwrap_or(message);
        self.send_from_room(number, slot, message.as_outgoing());
    }
}
