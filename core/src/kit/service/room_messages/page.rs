//! Messages of rooms as the content of a page, and as they are published.

use super::answers::{Page, PageMessage};
use crate::base::text::{json_escape, neutralize};
use crate::base::{OutgoingBuf, PayloadBuf};
use crate::facts::HistoryPage;
use crate::history::Position;
use crate::kit::compact_json::compact;
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::{RawValue, to_raw_value};

/// Creates the page for a peer that has `pending` bytes queued, and may have `bytes_max`.
///
/// Further messages stay for the next page. A peer with an empty queue gets at least one message.
/// `has_positions`: members receive positions of messages.
pub(super) fn page(room: &str, kept: &HistoryPage, (pending, bytes_max): (usize, usize), has_positions: bool) -> Page {
    let (mut messages, mut bytes) = (Vec::new(), pending);
    for (position, message) in kept.messages.iter() {
        let message = PageMessage::new(room, *position, message, has_positions);
        bytes += message.bytes();
        if bytes > bytes_max && !(messages.is_empty() && pending == 0) {
            break;
        }
        messages.push(message);
    }
    let more = kept.has_more || messages.len() < kept.messages.len();
    Page { room: room.to_owned(), messages, position: kept.top.to_string(), more }
}

impl PageMessage {
    fn new(room: &str, position: Position, message: &OutgoingBuf, has_positions: bool) -> Self {
        let position = position.to_string();
        // A text is always JSON.
        let quoted = |text: &str| to_raw_value(text).ok();
        let (data, binary, text) = match message {
            OutgoingBuf::Same(PayloadBuf::Binary(bytes)) => {
                let words = alloc::format!("({} bytes)", bytes.len());
                (None, Some(STANDARD.encode(bytes)), words)
            }
            OutgoingBuf::Same(PayloadBuf::Text(text)) => (quoted(text), None, text.to_string()),
            OutgoingBuf::Negotiated { json, text } => {
                let json = if has_positions { json } else { unwrapped(room, json) };
                // The application may have given anything as JSON.
                let data = RawValue::from_string(json.to_owned()).ok();
                (data.or_else(|| quoted(text)), None, text.to_string())
            }
        };
        Self { position, data, binary, text }
    }

    /// Returns the most bytes that the message takes in a page.
    fn bytes(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| data.get().len()) + self.binary.as_ref().map_or(0, String::len);
        MESSAGE_BYTES + data.max(self.text.len())
    }
}

/// Returns the message that members receive as `data`: any JSON of a peer.
///
/// Without positions, the core does not mark it as a message of a room, and the peer could make
/// members believe that the server sent it. So it gets a type and its room here. `None` if the JSON
/// is nested too deeply.
pub(super) fn published(room: &str, data: &RawValue, has_positions: bool) -> Option<OutgoingBuf> {
    let json = compact(data.get())?;
    let text = serde_json::from_str::<String>(&json).unwrap_or_else(|_| json.clone());
    let text = neutralize(&text).as_ref().into();
    let json = if has_positions { json } else { beginning(room) + &json + "}" };
    Some(OutgoingBuf::Negotiated { json: json.into(), text })
}

/// Returns the beginning of a message that has no position.
fn beginning(room: &str) -> String {
    let mut json = String::from("{\"type\":\"message\",\"room\":\"");
    json_escape(room, &mut json);
    json.push_str("\",\"data\":");
    json
}

fn unwrapped<'j>(room: &str, json: &'j str) -> &'j str {
    json.strip_prefix(&*beginning(room)).and_then(|rest| rest.strip_suffix('}')).unwrap_or(json)
}

/// Bytes of a message in a page besides its content: its position and the names of its members.
const MESSAGE_BYTES: usize = Position::TEXT_MAX_BYTES + 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::compact_json::any_json;
    use proptest::prelude::*;
    use serde_json::Value;

    proptest! {
        #[test]
        fn wrapped_message_is_unwrapped(value in any_json(), room in "\\PC{0,5}") {
            let raw = to_raw_value(&value).expect("JSON");
            let Some(OutgoingBuf::Negotiated { json, text }) = published(&room, &raw, false) else {
                panic!("both forms")
            };
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
            prop_assert!(!text.contains('\n'), "{}", text);
            prop_assert_eq!(unwrapped(&room, &json), raw.get());
        }
    }
}
