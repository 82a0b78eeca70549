//! What peers ask of rooms, as programs and as people write it.

use crate::history::Position;
use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::string::String;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// A subscription: its sender joins a room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    #[schemars(length(min = 1))]
    pub(super) room: String,
    /// The last position that the sender knows.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) since: Option<Since>,
    /// Information about the sender for the room's presence: any JSON of at most 1 KiB.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    pub(super) info: Option<Box<RawValue>>,
}

/// A subscription, as people write it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct SubscribeWords {
    #[schemars(length(min = 1))]
    room: String,
    #[schemars(with = "Option<String>")]
    since: Option<Since>,
}

/// The end of a subscription: its sender leaves a room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unsubscribe {
    #[schemars(length(min = 1))]
    pub(super) room: String,
}

/// A message for the members of a room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    #[schemars(length(min = 1))]
    pub(super) room: String,
    /// Any JSON.
    #[schemars(with = "serde_json::Value")]
    pub(super) data: Box<RawValue>,
    /// Within the room's key window, a second message with the same key is not sent.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub(super) key: Option<String>,
}

/// A message for the members of a room, as people write it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct PublishWords {
    #[schemars(length(min = 1))]
    room: String,
    text: String,
}

/// A request for a page of a room's history.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    #[schemars(length(min = 1))]
    pub(super) room: String,
    /// The position after which the page begins. Without it, the page begins with the oldest message.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) since: Option<Since>,
    /// Whether the page has the latest messages.
    #[serde(default)]
    pub(super) latest: bool,
    /// Maximum number of messages.
    #[serde(default = "most")]
    #[schemars(range(min = 1, max = 1000))]
    pub(super) max: u32,
}

/// A request for a page of a room's history, as people write it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct HistoryWords {
    #[schemars(length(min = 1))]
    room: String,
    #[schemars(range(min = 1, max = 1000))]
    max: Option<u32>,
    #[schemars(with = "Option<String>")]
    since: Option<Since>,
}

/// A position in its text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since(pub(super) Position);

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl From<SubscribeWords> for Subscribe {
    fn from(SubscribeWords { room, since }: SubscribeWords) -> Self {
        Self { room, since, info: None }
    }
}

impl From<PublishWords> for Publish {
    fn from(PublishWords { room, text }: PublishWords) -> Self {
        // Text is always JSON.
        let data = serde_json::value::to_raw_value(&text).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { room, data, key: None }
    }
}

impl From<HistoryWords> for History {
    fn from(HistoryWords { room, max, since }: HistoryWords) -> Self {
        Self { room, since, latest: since.is_none(), max: max.unwrap_or(MAX_FOR_PEOPLE) }
    }
}

const fn most() -> u32 {
    MAX_FOR_PROGRAMS
}

/// Number of messages in a page if a program does not say how many.
const MAX_FOR_PROGRAMS: u32 = 100;
/// Number of messages in a page if a person does not say how many.
const MAX_FOR_PEOPLE: u32 = 20;
