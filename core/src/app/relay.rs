use super::since::since_of;
use super::unsent::Unsent;
use crate::base::text::json_escape;
use crate::base::{ConnId, Payload};
use crate::config::JoinOptions;
use crate::handler::{Event, Handler, Hub, NoNote};
use alloc::string::String;
use core::fmt::Write;

const ROOM: &str = "relay";

/// Relay application: sends every message to all peers except its sender.
///
/// If its room, `relay`, [remembers](crate::RoomMemory), a peer that comes back gives the last position that
/// it knows in the query of its WebSocket (`?since=POSITION`), and gets what it missed. If the room is
/// [shared](crate::Home::Shared) and the broker does not take a message, its sender gets a notice.
#[derive(Clone, Debug, Default)]
pub struct Relay {
    envelope: Envelope,
    /// Buffer for the JSON envelope, reused for each message.
    json: String,
    unsent: Unsent,
}

/// The format of a relayed message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope {
    /// The message unchanged.
    #[default]
    None,
    /// A JSON object that contains the message and the address of its sender.
    ///
    /// It is `{"content":"<message>","remote_addr":"<ip:port>"}`, with the keys in this order and
    /// without spaces between the members. The address of a local peer is `local`. Carriage returns
    /// are removed from the content, and invalid UTF-8 becomes U+FFFD.
    Json,
}

impl Relay {
    /// Creates a relay that sends messages in the format of `envelope`.
    #[must_use]
    pub const fn new(envelope: Envelope) -> Self {
        Self { envelope, json: String::new(), unsent: Unsent::new() }
    }

    pub(super) fn on_event<C, N>(&mut self, hub: &mut Hub<'_, C>, event: &Event<'_, N>) {
        match *event {
            Event::Opened { conn, request, .. }
                // Outside the room the peer would receive nothing.
                if hub.join_with(conn, ROOM, JoinOptions::new().since(since_of(request))).is_err() => {
                    hub.close_with(conn, "the relay is full");
                }
            Event::Message { conn, payload } => match self.envelope {
                Envelope::None => self.unsent.publish(hub, conn, ROOM, &[conn], payload),
                Envelope::Json => {
                    self.wrap(hub, conn, payload);
                    self.unsent.publish(hub, conn, ROOM, &[conn], &self.json);
                }
            },
            Event::RoomAnswered { request, answer } => self.unsent.answered(hub, request, answer),
            _ => {}
        }
    }

    fn wrap<C>(&mut self, hub: &Hub<'_, C>, conn: ConnId, payload: Payload<'_>) {
        self.json.clear();
        self.json.push_str("{\"content\":\"");
        for chunk in payload.as_bytes().utf8_chunks() {
            for piece in chunk.valid().split('\r') {
                json_escape(piece, &mut self.json);
            }
            if !chunk.invalid().is_empty() {
                self.json.push('\u{fffd}');
            }
        }
        self.json.push_str("\",\"remote_addr\":\"");
        if let Some(peer) = hub.peer(conn) {
            // Writing to a string cannot fail.
            let _ = write!(self.json, "{peer}");
        }
        self.json.push_str("\"}");
    }
}

impl Handler for Relay {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        self.on_event(hub, &event);
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestHub;

    #[test]
    fn relay_sends_a_message_to_all_except_the_sender() {
        let mut hub = TestHub::new(Relay::default());
        let [ann, bob, cid] = [hub.connect(), hub.connect(), hub.connect()];
        hub.line(ann, "hello");
        assert_eq!(
            (hub.lines(ann), hub.lines(bob), hub.lines(cid)),
            (vec![], vec!["hello".into()], vec!["hello".into()])
        );
    }

    #[test]
    fn relay_writes_the_json_envelope_on_one_line() {
        let mut hub = TestHub::new(Relay::new(Envelope::Json));
        let (ann, bob) = (hub.connect(), hub.connect());
        let address = hub.peer(ann);
        hub.send(ann, b"say \"hi\" \\ \t\x01 \xc3\xbc\r\r\n\n");
        assert_eq!(
            hub.lines(bob),
            [
                format!("{{\"content\":\"say \\\"hi\\\" \\\\ \\t\\u0001 ü\",\"remote_addr\":\"{address}\"}}"),
                format!("{{\"content\":\"\",\"remote_addr\":\"{address}\"}}"),
            ]
        );
    }
}
