//! The methods for channels.

use super::call::Place;
use super::gathered::{CHANNELS_MAX, Channel, Gathered, too_many};
use super::pattern::matches;
use crate::handler::Hub;
use crate::kit::pubsub::answer::called;
use crate::kit::pubsub::codes::{Refusal, bad};
use crate::kit::pubsub::fields::{Fields, wrong};
use crate::kit::pubsub::hooks::Hooks;
use crate::kit::pubsub::json::Object;
use crate::kit::pubsub::publication::{Publication, keyed};
use crate::kit::pubsub::service::{Asked, Asker, PubSub};
use crate::kit::pubsub::session::Session;
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

impl<K: Hooks> PubSub<K> {
    /// Runs a method. `None`: the result follows later.
    pub(super) fn run_method(
        &mut self,
        hub: &mut Hub<'_, Session>,
        place: Place,
        (method, json): (&str, &str),
        fields: &Fields<'_>,
    ) -> Result<Option<String>, Refusal> {
        let asker = Asker::Api(place);
        let channel = fields.text("channel")?;
        match method {
            "publish" => self.publish_for(hub, place, &channel, fields),
            "presence" | "presence_stats" => {
                if !self.options.channels.rules(&channel)?.presence {
                    return Err(Refusal::NOT_AVAILABLE);
                }
                self.ask_presence(hub, asker, &channel, method == "presence_stats");
                Ok(None)
            }
            "history" => {
                let since = fields.position("since")?;
                let since = since.as_ref().map(|(epoch, offset)| (&**epoch, *offset));
                let limit = fields.integer("limit")?.unwrap_or(0);
                self.ask_history(hub, asker, &channel, (limit, since, fields.flag("reverse")?))?;
                Ok(None)
            }
            "history_remove" => {
                if !self.options.channels.rules(&channel)?.has_history() {
                    return Err(Refusal::NOT_AVAILABLE);
                }
                hub.remove_history(&channel);
                Ok(Some("{}".into()))
            }
            "rpc" => {
                let params = fields.raw("params").unwrap_or("null");
                let result = self.hooks.api(&fields.text("method")?, params)?;
                called(&result).map(Some)
            }
            _ => self.do_everywhere(hub, place, (method, json), fields).map(|()| None),
        }
    }

    /// Publishes a message of a backend. `None`: the result follows later.
    pub(super) fn publish_for(
        &mut self,
        hub: &mut Hub<'_, Session>,
        place: Place,
        channel: &str,
        fields: &Fields<'_>,
    ) -> Result<Option<String>, Refusal> {
        self.options.channels.rules(channel)?;
        let data = data_of(fields)?;
        let has_version = fields.number("version")?.is_some_and(|version| version > 0);
        if fields.flag("skip_history")? || has_version {
            return Err(not_available("skip_history and version"));
        }
        let tags = fields.named_texts("tags")?;
        let data: &RawValue = serde_json::from_str(&data).map_err(|_| bad("data must be JSON"))?;
        let publication = Publication::new(channel, data, None).ok_or_else(|| bad("data is nested too deeply"))?;
        let publication = publication.with_tags(&tags);
        let key = fields.text("idempotency_key")?;
        if hub.room_options(channel).is_none() {
            if !key.is_empty() {
                return Err(not_available("idempotency_key without history_size, presence or events"));
            }
            hub.publish(channel, &publication.into_push(channel));
            return Ok(Some("{}".into()));
        }
        let request = hub.publish_with(channel, &publication.into_message(), keyed(&key));
        self.asked.insert(request, (Asker::Api(place), Asked::Publish));
        Ok(None)
    }

    /// Returns the channels with subscribers on this worker whose names match a pattern.
    pub(super) fn channels_here(hub: &Hub<'_, Session>, pattern: &str) -> Gathered {
        let is_wanted = |name: &str| pattern.is_empty() || matches(pattern, name);
        let all = hub.rooms().filter(|(name, members)| *members > 0 && is_wanted(name));
        let offset = |name| hub.room_position(name).map(|position| position.offset);
        let found: BTreeMap<String, Channel> = all
            .map(|(name, members)| (name.to_string(), (members as u64, offset(name))))
            .take(CHANNELS_MAX + 1)
            .collect();
        if found.len() > CHANNELS_MAX { Gathered::Failed(too_many()) } else { Gathered::Channels(found) }
    }

    /// Returns this worker's entry for `info`.
    pub(super) fn node_here(&self, hub: &Hub<'_, Session>) -> Gathered {
        Gathered::Nodes(Vec::from([self.node_json(hub)]))
    }

    /// Returns this worker's entry for `info`, as JSON.
    pub(super) fn node_json(&self, hub: &Hub<'_, Session>) -> String {
        let number = hub.shard().number();
        let name = hub.config().cluster.as_ref().map_or("", |cluster| &*cluster.name);
        let name = if name.is_empty() { "drupe" } else { name };
        let (channels, subscriptions) =
            hub.rooms().fold((0_u64, 0_u64), |(rooms, all), (_, members)| (rooms + 1, all + members as u64));
        let users = self.clients.keys().filter(|user| !user.is_empty()).count();
        let clients: usize = self.clients.values().map(alloc::collections::BTreeSet::len).sum();
        let node = Object::new()
            .text("uid", &format!("{:016x}", self.uid))
            .text("name", &format!("{name}-{number}"))
            .text("version", env!("CARGO_PKG_VERSION"))
            .number("num_clients", clients as u64)
            .number("num_users", users as u64)
            .number("num_channels", channels)
            .number("num_subs", subscriptions)
            .number("uptime", hub.now().as_millis() / 1_000);
        node.end()
    }
}

/// Returns the data of a publication, as JSON.
fn data_of<'a>(fields: &Fields<'a>) -> Result<Cow<'a, str>, Refusal> {
    if let Some(json) = fields.raw("data") {
        return Ok(json.into());
    }
    let encoded = fields.text("b64data")?;
    if encoded.is_empty() {
        return Err(bad("data is missing"));
    }
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map(Cow::Owned).ok_or_else(|| wrong("b64data", "JSON in base64"))
}

/// Returns the error for a field that this server does not support, and that must not be ignored.
pub(super) fn not_available(what: &str) -> Refusal {
    Refusal { message: format!("not available: {what}").into(), ..Refusal::NOT_AVAILABLE }
}
