//! Messages of rooms as the content of a page, and as they are published.

use super::answers::{Page, PageMessage};
use crate::base::text::{json_escape, neutralize};
use crate::base::{OutgoingBuf, PayloadBuf};
use crate::facts::HistoryPage;
use crate::history::Position;
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
    let json = without_whitespace(data.get())?;
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

/// Removes the white space between the tokens of JSON, such as line breaks, which end a line.
///
/// `None` if it is nested so deeply that the parsers of its receivers may refuse it.
fn without_whitespace(json: &str) -> Option<String> {
    let mut kept = String::with_capacity(json.len());
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0_usize);
    for c in json.chars() {
        match c {
            '"' if !is_escaped => is_quoted = !is_quoted,
            ' ' | '\t' | '\n' | '\r' if !is_quoted => continue,
            '[' | '{' if !is_quoted => depth += 1,
            ']' | '}' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return None;
        }
        is_escaped = c == '\\' && !is_escaped;
        kept.push(c);
    }
    Some(kept)
}

/// Maximum nesting of what peers publish. Parsers often allow 128, and a page adds three.
pub(super) const DEPTH_MAX: usize = 100;
/// Bytes of a message in a page besides its content: its position and the names of its members.
const MESSAGE_BYTES: usize = Position::TEXT_MAX_BYTES + 40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Any JSON, with white space where it may be.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            "[ \\PC\\n\\t\"\\\\]{0,6}".prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ a\"\\\\]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn deep_nesting_is_refused_before_parsers_overflow() {
        for (depth, is_kept) in [(0, true), (DEPTH_MAX, true), (DEPTH_MAX + 1, false), (1 << 20, false)] {
            let nested = "[".repeat(depth) + "1" + &"]".repeat(depth);
            assert_eq!(without_whitespace(&nested).is_some(), is_kept, "{depth}");
        }
        let text = alloc::format!("\"{}\"", "[".repeat(DEPTH_MAX + 1));
        assert_eq!(without_whitespace(&text), Some(text), "a string has no depth");
    }

    proptest! {
        #[test]
        fn only_white_space_between_tokens_is_removed(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).expect("JSON");
            prop_assert_eq!(without_whitespace(&pretty), Some(value.to_string()));
        }

        #[test]
        fn wrapped_message_is_unwrapped(value in json(), room in "\\PC{0,5}") {
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
