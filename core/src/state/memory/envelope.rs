//! Messages that carry their position.

use crate::base::text::json_string;
use crate::base::{AppIndex, OutgoingBuf, PayloadBuf, Representation};
use crate::config::{FormPart, MessageForm};
use crate::history::Position;
use crate::state::State;
use crate::state::room::{RoomNumber, WAITING};
use alloc::string::String;
use core::fmt::Write;

/// Usual length of what surrounds a message, in bytes.
const ENVELOPE_BYTES: usize = 128;

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
        let options = self.room_options(room).filter(|options| options.positions)?;
        let text = match message {
            OutgoingBuf::Same(PayloadBuf::Binary(_)) => return None,
            OutgoingBuf::Same(PayloadBuf::Text(text)) | OutgoingBuf::Negotiated { text, .. } => text.clone(),
        };
        let room = AppIndex::of_room(room).1;
        let mut json = String::with_capacity(message.as_outgoing().len() + room.len() + ENVELOPE_BYTES);
        match options.form {
            MessageForm::Positioned => {
                json.push_str("{\"type\":\"message\",\"room\":");
                json_string(room, &mut json);
                // Writing to a string cannot fail.
                let _ = write!(json, ",\"position\":\"{position}\",\"data\":");
                write_data(message, &mut json);
                json.push('}');
            }
            MessageForm::Parts(parts) => parts.iter().for_each(|part| match part {
                FormPart::Text(text) => json.push_str(text),
                FormPart::Room => json_string(room, &mut json),
                FormPart::Offset => drop(write!(json, "{}", position.offset)),
                FormPart::Data => write_data(message, &mut json),
            }),
        }
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

/// Writes a message as JSON.
fn write_data(message: &OutgoingBuf, json: &mut String) {
    match message {
        OutgoingBuf::Same(PayloadBuf::Text(text)) => json_string(text, json),
        OutgoingBuf::Negotiated { json: data, .. } => json.push_str(data),
        OutgoingBuf::Same(PayloadBuf::Binary(_)) => {}
    }
}
