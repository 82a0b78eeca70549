//! What rooms answer to peers.

use crate::base::text::neutralize;
use crate::history::{Position, Recovery};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

/// The answer to a subscription.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Subscribed {
    pub(super) room: String,
    /// The position after which the messages follow. Absent if the room keeps no history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<String>,
    /// Whether all messages after the position `since` were sent. Absent without `since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovered: Option<bool>,
    /// Number of these messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missed: Option<usize>,
    /// Why messages may be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

impl Subscribed {
    pub(super) fn new(room: &str, position: Option<Position>, recovery: Recovery) -> Self {
        let position = position.map(|position| position.to_string());
        let (recovered, missed, why) = match recovery {
            Recovery::New => (None, None, None),
            Recovery::Recovered { messages } => (Some(true), Some(messages), None),
            Recovery::NotRecovered(gap) => (Some(false), None, Some(gap.name().into())),
        };
        Self { room: room.into(), position, recovered, missed, why }
    }
}

impl fmt::Display for Subscribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "notice: subscribed to {}", neutralize(&self.room))?;
        if let Some(position) = &self.position {
            write!(f, " at {position}")?;
        }
        match (self.missed, &self.why) {
            (Some(1), _) => f.write_str("; 1 missed message"),
            (Some(missed), _) => write!(f, "; {missed} missed messages"),
            (None, Some(why)) => write!(f, "; messages may be missing ({why})"),
            (None, None) => Ok(()),
        }
    }
}

/// The answer to the end of a subscription.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Unsubscribed {
    pub(super) room: String,
}

impl fmt::Display for Unsubscribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "notice: unsubscribed from {}", neutralize(&self.room))
    }
}

/// The answer to a message that the room keeps.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InRoom {
    pub(super) room: String,
    /// The position after the message.
    pub(super) position: String,
    /// Whether an earlier message had the same key, so that this one was not sent.
    pub(super) repeated: bool,
}

impl fmt::Display for InRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let was = if self.repeated { "was already published" } else { "published" };
        write!(f, "notice: {was} in {} at {}", neutralize(&self.room), self.position)
    }
}

/// A page of a room's history.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Page {
    pub(super) room: String,
    /// The messages, oldest first.
    pub(super) messages: Vec<PageMessage>,
    /// The position after the last message of the room.
    pub(super) position: String,
    /// Whether messages follow after the last one of this page.
    pub(super) more: bool,
}

/// A message in a page.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PageMessage {
    /// The position after the message.
    pub(super) position: String,
    /// The message. Absent if it is binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub(super) data: Option<Box<RawValue>>,
    /// A binary message, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) binary: Option<String>,
    /// The message for people.
    #[serde(skip)]
    pub(super) text: String,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for message in &self.messages {
            writeln!(f, "{} {}", message.position, message.text)?;
        }
        let more = if self.more { "; more messages follow" } else { "" };
        write!(f, "notice: history of {} up to {}{more}", neutralize(&self.room), self.position)
    }
}
