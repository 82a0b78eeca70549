//! Messages that carry their position.

use crate::base::text::json_string;
use crate::base::{AppIndex, OutgoingBuf, PayloadBuf, Representation};
use crate::config::{FormPart, MessageForm};
use crate::history::Position;
use crate::state::State;
use crate::state::outbound::Streamed;
use crate::state::room::{RoomNumber, WAITING};
use crate::wire::events::EventFormat;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

/// Usual length of what surrounds a message, in bytes.
const ENVELOPE_BYTES: usize = 128;

impl State {
    /// Returns `true` if a member that receives the messages of a room receives them as JSON.
    pub(super) fn is_read_as_json(&self, room: &str) -> bool {
        let room = self.rooms.number(room).and_then(|number| self.rooms.get(number));
        let mut live = room.into_iter().flat_map(|room| &room.groups).filter(|group| group.encoding != WAITING);
        let is_json = |number| self.outbound.representation(number) == Representation::Json;
        live.any(|group| is_json(group.encoding) && self.outbound.format(group.encoding).is_none())
    }

    /// Encodes a message with its position in each format of streams that members of a room use.
    pub(super) fn streamed_to_all(&self, room: &str, position: Position, message: &OutgoingBuf) -> Streamed {
        let room_of_members = self.rooms.number(room).and_then(|number| self.rooms.get(number));
        let live = room_of_members.into_iter().flat_map(|room| &room.groups).filter(|group| group.encoding != WAITING);
        let mut streamed = Streamed::default();
        for format in live.filter_map(|group| self.outbound.format(group.encoding)) {
            if streamed.of(Some(format)).is_none() {
                streamed.set(format, self.streamed(room, position, message, format));
            }
        }
        streamed
    }

    /// Encodes a message with its position as an event of a stream.
    ///
    /// `None` if the messages of the room do not carry their position, or if the message is binary.
    fn streamed(&self, room: &str, position: Position, message: &OutgoingBuf, format: EventFormat) -> Option<Vec<u8>> {
        let options = self.room_options(room).filter(|options| options.positions)?;
        if matches!(message, OutgoingBuf::Same(PayloadBuf::Binary(_))) {
            return None;
        }
        let parts = match format {
            EventFormat::EventSource => options.stream.event,
            EventFormat::JsonLines => options.stream.line,
        };
        let mut json = String::with_capacity(message.as_outgoing().len() + room.len() + ENVELOPE_BYTES);
        write_parts(parts, AppIndex::of_room(room).1, position, message, &mut json);
        let mut bytes = Vec::with_capacity(json.len() + ENVELOPE_BYTES);
        let text = position.to_string();
        format.write_positioned(&text, &json, &mut bytes);
        Some(bytes)
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
            MessageForm::Parts(parts) => write_parts(parts, room, position, message, &mut json),
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
        let format = self.conns.at(slot).and_then(|conn| self.outbound.format(conn.encoding));
        let mut streamed = Streamed::default();
        if let Some(format) = format {
            streamed.set(format, self.streamed(room, position, message, format));
        }
        let carrying = if format.is_none() { self.carrying_position(room, position, message) } else { None };
        let message = carrying.as_ref().unwrap_or(message);
        self.send_from_room(number, slot, message.as_outgoing(), &streamed);
    }
}

/// Appends the parts of a message to `json`.
fn write_parts(parts: &[FormPart], room: &str, position: Position, message: &OutgoingBuf, json: &mut String) {
    for part in parts {
        match part {
            FormPart::Text(text) => json.push_str(text),
            FormPart::Room => json_string(room, json),
            // Writing to a string cannot fail.
            FormPart::Position => drop(write!(json, "\"{position}\"")),
            FormPart::Offset => drop(write!(json, "{}", position.offset)),
            FormPart::Data => write_data(message, json),
        }
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
