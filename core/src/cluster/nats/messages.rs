//! What streams publish again: messages of rooms, and news of names.

use super::codec::ServerMessage;
use super::headers::Headers;
use super::link::NatsLink;
use crate::base::Time;
use crate::cluster::broker::{Heard, Message, Previous};
use crate::cluster::news;
use crate::history::Position;
use alloc::string::ToString;
use alloc::sync::Arc;

impl<P> NatsLink<P> {
    /// Hears a message of a room.
    pub(super) fn hear_room(&mut self, now: Time, room: &Arc<str>, message: ServerMessage) {
        let headers = Headers::new(&message.headers);
        let numbers = (headers.number("Nats-Sequence"), headers.number("Nats-Last-Sequence"));
        // Something else has published it.
        let (Some(ours), (Some(number), Some(last))) = (headers.ours(), numbers) else { return };
        let epoch = self.note_epoch(now, room, ours.epoch);
        if ours.epoch < epoch {
            self.repair_epoch(now, room, number);
        }
        let message = Message {
            position: Position::new(epoch, number, ours.mark),
            previous: Previous::Offset(last),
            at: 0,
            data: ours.has_content.then_some(message.payload),
        };
        self.heard.push_back(Heard::Message { room: room.to_string(), message });
    }

    /// Hears news of the names in a room.
    pub(super) fn hear_names(&mut self, room: &Arc<str>, message: &ServerMessage) {
        let payload = &message.payload;
        let end = memchr::memchr(b'\n', payload).unwrap_or(payload.len());
        let (words, content) = payload.split_at(end);
        let found =
            core::str::from_utf8(words).ok().and_then(|words| news::read(words, content.get(1..).unwrap_or(b"")));
        if let Some((host, news)) = found {
            self.heard.push_back(Heard::Names { room: room.to_string(), host, news });
        }
    }
}
