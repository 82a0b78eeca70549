//! Publications: what a room keeps of them, and how they are written.

use super::json::Object;
use super::session::Session;
use crate::base::text::{json_string, neutralize};
use crate::base::{OutgoingBuf, PayloadBuf};
use crate::handler::PublishOptions;
use crate::history::Position;
use crate::kit::compact_json::compact;
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use serde_json::value::RawValue;

/// A message for the subscribers of a channel.
#[derive(Debug)]
pub(super) struct Publication {
    /// The data, and what follows them in a publication.
    json: String,
    text: String,
}

impl Publication {
    /// Creates a publication of a client, or of the server. `None`: the data are nested too deeply.
    pub(super) fn new(channel: &str, data: &RawValue, author: Option<&Session>) -> Option<Self> {
        let mut json = compact(data.get())?;
        let said = serde_json::from_str::<String>(&json);
        let said = said.as_ref().map_or(&*json, String::as_str);
        let user = author.map(|author| &*author.user).filter(|user| !user.is_empty());
        let text = match user {
            Some(user) => format!("[{}] {}: {}", neutralize(channel), neutralize(user), neutralize(said)),
            None => format!("[{}] {}", neutralize(channel), neutralize(said)),
        };
        if let Some(author) = author {
            json.push_str(",\"info\":");
            json.push_str(&author.client_info(channel));
        }
        Some(Self { json, text })
    }

    /// Adds the tags, which clients get with the data.
    pub(super) fn with_tags(mut self, tags: &BTreeMap<String, String>) -> Self {
        if !tags.is_empty() {
            let tags = tags.iter().fold(Object::new(), |all, (name, text)| all.text(name, text));
            self.json.push_str(",\"tags\":");
            self.json.push_str(&tags.end());
        }
        self
    }

    /// Returns the message of a room with a home, which adds the rest when it passes the message on.
    pub(super) fn into_message(self) -> OutgoingBuf {
        OutgoingBuf::Negotiated { json: self.json.into(), text: self.text.into() }
    }

    /// Returns the message of a room without a home.
    pub(super) fn into_push(self, channel: &str) -> OutgoingBuf {
        let publication = format!("{{\"data\":{}}}", self.json);
        OutgoingBuf::Negotiated { json: push(channel, "pub", &publication).into(), text: self.text.into() }
    }
}

impl Session {
    /// Returns what others see of a client in a channel, as JSON.
    pub(super) fn client_info(&self, channel: &str) -> String {
        let of_channel = self.subscriptions.get(channel).and_then(|found| found.info.as_deref());
        Object::new()
            .text("user", &self.user)
            .text("client", &self.client)
            .optional("conn_info", self.info.as_deref())
            .optional("chan_info", of_channel)
            .end()
    }
}

/// Returns the options of a message with a key. Empty: it has none.
pub(super) const fn keyed(key: &str) -> PublishOptions<'_> {
    if key.is_empty() { PublishOptions::new() } else { PublishOptions::new().key(key) }
}

/// Returns a kept message as a publication.
pub(super) fn kept(position: Position, message: &OutgoingBuf) -> String {
    format!("{{\"data\":{},\"offset\":{}}}", data_of(message), position.offset)
}

/// Returns the data of a kept message, with the fields that follow in a publication (`info`, `tags`).
pub(super) fn data_of(message: &OutgoingBuf) -> Cow<'_, str> {
    match message {
        OutgoingBuf::Negotiated { json, .. } => json.as_ref().into(),
        OutgoingBuf::Same(PayloadBuf::Text(text)) => {
            let mut json = String::new();
            json_string(text, &mut json);
            json.into()
        }
        OutgoingBuf::Same(PayloadBuf::Binary(_)) => "null".into(),
    }
}

/// Returns a push: what the server sends without having been asked.
pub(super) fn push(channel: &str, kind: &str, json: &str) -> String {
    Object::new().raw("push", &Object::new().text("channel", channel).raw(kind, json).end()).end()
}
