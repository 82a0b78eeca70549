//! Draws the rules and the configuration of a world, and the scripts of its clients.

use super::NOW;
use super::service::Options;
use super::view::{Known, View};
use crate::remembering::Draw;
use drupe_core::kit::auth::{Claims, TokenKey, Tokens};
use drupe_core::kit::pubsub::{ChannelRules, Channels, PubSubOptions};
use drupe_core::outbound::{Marks, OutboundLimits, SlowPolicy};
use drupe_core::sim::Do;
use drupe_core::{Config, Listen, Random, RoomMemory};
use serde_json::{Value, json};
use std::time::Duration;

/// Channels that clients choose, and one of a namespace that does not exist.
const CHANNELS: [&str; 6] = ["news:a", "news:b", "talk:a", "plain:a", "open", "other:a"];
/// The channels that are in the token of a connection.
const OF_TOKEN: [&str; 2] = ["news:a", "talk:b"];

/// The rules of a world, as a part of its configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    channels: Channels,
    has_personal: bool,
    ping: Duration,
}

fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

impl Options for Rules {
    fn options(&self) -> PubSubOptions {
        PubSubOptions::default()
            .channels(self.channels.clone())
            .tokens(Some(Tokens::new(key()).optional_subject()))
            .allow_anonymous(true)
            .personal_channels(self.has_personal)
            .ping_interval(self.ping)
            .channels_max(8)
    }
}

impl Draw {
    fn rules_of(&mut self, has_history: bool) -> ChannelRules {
        let mut rules = ChannelRules::default();
        (rules.allow_subscribe_for_client, rules.allow_subscribe_for_anonymous) = (true, true);
        (rules.allow_publish_for_client, rules.allow_publish_for_anonymous) = (true, true);
        (rules.presence, rules.join_leave) = (self.chance(2), self.chance(3));
        (rules.allow_presence_for_client, rules.allow_presence_for_anonymous) = (self.chance(2), true);
        rules.force_push_join_leave = rules.join_leave && self.chance(2);
        if has_history {
            rules.history_size = self.pick(&[1, 3, 20, 300, 300]);
            rules.history_ttl = Duration::from_secs(self.pick(&[2, 60, 600]));
            (rules.allow_recovery, rules.force_recovery) = (!self.chance(4), self.chance(3));
            (rules.allow_positioning, rules.force_positioning) = (self.chance(2), self.chance(3));
            (rules.allow_history_for_client, rules.allow_history_for_anonymous) = (self.chance(2), true);
        }
        rules
    }

    pub(crate) fn channel_rules(&mut self) -> Rules {
        let mut channels = Channels::default();
        for (namespace, has_history) in [("news", true), ("talk", !self.chance(3)), ("plain", false)] {
            let rules = self.rules_of(has_history);
            channels.namespaces.insert(namespace.into(), rules);
        }
        let has_history = self.chance(2);
        channels.without_namespace = self.rules_of(has_history);
        let ping = Duration::from_secs(self.pick(&[0, 1, 25]));
        Rules { channels, has_personal: self.chance(2), ping }
    }

    /// Returns a configuration with other rules.
    pub(crate) fn with_rules(&mut self, config: Config, rules: &Rules) -> Config {
        let memory = RoomMemory::default()
            .rooms(rules.channels.rooms())
            .bytes_max(self.pick(&[2_000, 64 << 20, 64 << 20]))
            .recover_max(self.pick(&[1, 5, 300, 300]));
        let mut config = config.memory(memory);
        config.sections.set(rules.clone());
        config
    }

    pub(crate) fn channel_config(&mut self, rules: &Rules) -> Config {
        let addresses = [
            "tcp://127.0.0.1:1",
            "ws://127.0.0.1:2",
            "tcp://127.0.0.1:3",
            "ws://127.0.0.1:4",
            "length://127.0.0.1:5?prefix=u32be",
            "delimited://127.0.0.1:6?delimiter=%00",
            "tcp://127.0.0.1:7",
            "telnet://127.0.0.1:8",
        ];
        let policies = [SlowPolicy::Close, SlowPolicy::Close, SlowPolicy::SkipOldest, SlowPolicy::KeepLatest];
        let marks = self.pick(&[(64 << 10, 256 << 10, 1 << 20), (1_000, 2_000, 8_000)]);
        let outbound = OutboundLimits::default()
            .marks(Marks::new(marks.0, marks.1, marks.2).expect("in order"))
            .write_deadline(Duration::from_secs(self.pick(&[5, 60])))
            .slow_policy(self.pick(&policies));
        let config = Config::listening(addresses.map(|text| text.parse::<Listen>().expect(text)));
        self.with_rules(config.unlimited().outbound(outbound), rules)
    }

    /// Returns what a client with this number does.
    pub(crate) fn script(&mut self, number: usize) -> impl FnMut(&mut View, &mut Random) -> Do + 'static {
        let token = self.token();
        let (pace, ends, is_eager) = (self.pick(&[1, 1, 2, 5]), self.pick(&[0, 30, 100]), self.chance(2));
        let mut said = 0;
        move |view, random| {
            let mut draw = Draw(Random::new(random.next_u64()));
            if !draw.chance(pace) {
                return Do::Wait;
            }
            if !view.has_asked {
                return Do::Say(Self::connect(view, token.as_ref(), is_eager));
            }
            if ends > 0 && draw.chance(ends) {
                return [Do::Close, Do::End, Do::Leave, Do::Leave][draw.number(4)].clone();
            }
            if !view.is_connected {
                return Do::Wait;
            }
            said += 1;
            draw.next_command(view, &format!("{number}-{said}"))
        }
    }

    /// Draws the token of a connection, or none for an anonymous client.
    fn token(&mut self) -> Option<String> {
        let user = self.pick(&["", "", "ann", "bob"]);
        if user.is_empty() {
            return None;
        }
        let claim = ("channels".to_string(), json!(OF_TOKEN));
        let others = if self.chance(3) { serde_json::Map::new() } else { [claim].into_iter().collect() };
        key().sign(&Claims::of(user).others(others).exp(Some(NOW + 1_000_000)))
    }

    /// Connects as clients do: with the positions of the server's subscriptions, and some of them with all others at once.
    fn connect(view: &mut View, token: Option<&String>, is_eager: bool) -> String {
        let mut connect = json!({ "name": "model" });
        if let Some(token) = token {
            let of_server = view.known.iter().filter(|(channel, _)| OF_TOKEN.contains(&&***channel));
            let subs = of_server.map(|(channel, Known { epoch, offset, .. })| {
                (channel.clone(), json!({ "recover": true, "epoch": epoch, "offset": offset }))
            });
            let subs: serde_json::Map<String, Value> = subs.collect();
            (connect["token"], connect["subs"]) = (json!(token), subs.into());
        }
        let mut commands = vec![view.command("connect", connect)];
        if is_eager {
            for channel in &CHANNELS[..2] {
                let request = view.subscribe(channel);
                commands.push(view.command("subscribe", request));
            }
        }
        // Lines carry one command each, and their client sends the others later.
        commands.truncate(if view.is_on_lines { 1 } else { commands.len() });
        commands.join("\n")
    }

    fn next_command(&mut self, view: &mut View, name: &str) -> Do {
        let channel = self.pick(&CHANNELS);
        let is_there = view.is_subscribed(channel);
        let (kind, request) = match self.number(24) {
            0..8 if !is_there => ("subscribe", view.subscribe(channel)),
            8 => ("subscribe", view.subscribe(channel)),
            9 | 10 => ("unsubscribe", json!({ "channel": channel })),
            11..18 => (
                "publish",
                json!({ "channel": channel, "data": { "name": name, "text": "-".repeat(self.number(60)) } }),
            ),
            18 => (
                "history",
                json!({ "channel": channel, "limit": self.pick(&[-1, 0, 1, 10]), "reverse": self.chance(2) }),
            ),
            19 => ("presence", json!({ "channel": channel })),
            20 => ("presence_stats", json!({ "channel": channel, "data": Value::Null })),
            21 => ("rpc", json!({ "method": "none" })),
            // A client whose user changes her mind.
            22 if !view.is_on_lines => {
                let (first, again) = (view.subscribe(channel), json!({ "channel": channel }));
                let commands =
                    [("subscribe", first), ("unsubscribe", json!({ "channel": channel })), ("subscribe", again)];
                return Do::Say(commands.map(|(kind, request)| view.command(kind, request)).join("\n"));
            }
            _ => return Do::Wait,
        };
        Do::Say(view.command(kind, request))
    }
}
