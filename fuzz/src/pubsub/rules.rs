//! Rules of channels in which each field is 0, 1, the maximum, or a value in between, and tokens.

use super::service::Options;
use crate::extremes::Draw;
use drupe_core::kit::auth::{Claims, TokenKey, Tokens};
use drupe_core::kit::pubsub::{ChannelRules, Channels, PubSubOptions};
use drupe_core::{Config, Listen, RoomMemory};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use std::time::Duration;

/// The wall clock at the start, in seconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000;

/// The options of the application, as a part of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    channels: Channels,
    allow_anonymous: bool,
    personal_channels: bool,
    ping_interval: Duration,
    pong_timeout: Duration,
    connect_timeout: Duration,
    channels_max: u32,
    history_page_max: u32,
    bytes_max: u64,
    recover_max: u32,
}

fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

/// Tokens: of connections with and without channels, of a channel, an expired one, and one of an anonymous user.
static TOKENS: LazyLock<[String; 5]> = LazyLock::new(|| {
    let claims = |user: &str, exp: u64, others: Value| {
        let Value::Object(others) = others else { return Claims::of(user) };
        Claims::of(user).others(others).exp(Some(exp))
    };
    let subs = json!({ "subs": { "news:a": { "data": [1], "info": null }, "talk:b": {}, "none:x": {} } });
    [
        claims("ann", NOW + 30, json!({ "channels": ["news:a", "talk:b", "plain:c"], "info": { "x": 1 } })),
        claims("bob", NOW + 1_000_000, subs),
        claims("ann", NOW + 5, json!({ "channel": "$news:a" })),
        claims("ann", NOW - 5, Value::Object(Map::new())),
        claims("", NOW + 60, json!({ "expire_at": 0 })),
    ]
    .map(|claims| key().sign(&claims).expect("it signs"))
});

/// Returns one of five tokens.
pub(super) fn token(number: usize) -> &'static str {
    TOKENS.get(number).map_or("", String::as_str)
}

/// Returns a listener of each wire: five for clients, and two for people.
pub(super) fn listeners() -> Vec<Listen> {
    let addresses = [
        "ws://127.0.0.1:1",
        "tcp://127.0.0.1:2",
        "length://127.0.0.1:3?prefix=u32be",
        "delimited://127.0.0.1:4?delimiter=%00",
        "tcp://127.0.0.1:5",
        "telnet://127.0.0.1:6",
    ];
    addresses.map(|text| text.parse().expect(text)).into()
}

impl Rules {
    pub(super) fn draw(draw: &mut Draw<'_>) -> Self {
        let mut channels = Channels::default();
        channels.without_namespace = rules(draw);
        for namespace in ["news", "talk", "plain"] {
            let rules = rules(draw);
            channels.namespaces.insert(namespace.into(), rules);
        }
        channels.name_max_bytes = draw.count(20);
        Self {
            channels,
            allow_anonymous: !draw.pick().is_multiple_of(4),
            personal_channels: draw.flag(),
            ping_interval: draw.duration(Duration::from_secs(5)).max(Duration::from_millis(50)),
            pong_timeout: draw.duration(Duration::from_secs(2)),
            connect_timeout: draw.duration(Duration::from_secs(10)),
            channels_max: draw.count(5),
            history_page_max: draw.count(3),
            bytes_max: [64 << 20, 0, 1, 1_000, u64::MAX][usize::from(draw.pick() % 5)],
            recover_max: draw.count(300),
        }
    }

    /// Returns a configuration with these rules.
    pub(super) fn config(&self, config: Config) -> Config {
        let memory =
            RoomMemory::default().rooms(self.channels.rooms()).bytes_max(self.bytes_max).recover_max(self.recover_max);
        let mut config = config.memory(memory);
        config.sections.set(self.clone());
        config
    }
}

impl Options for Rules {
    fn options(&self) -> PubSubOptions {
        let tokens = Tokens::new(key()).optional_expiry().optional_subject();
        PubSubOptions::default()
            .channels(self.channels.clone())
            .tokens(Some(tokens))
            .allow_anonymous(self.allow_anonymous)
            .personal_channels(self.personal_channels)
            .ping_interval(self.ping_interval)
            .pong_timeout(self.pong_timeout)
            .connect_timeout(self.connect_timeout)
            .channels_max(self.channels_max)
            .history_page_max(self.history_page_max)
    }
}

fn rules(draw: &mut Draw<'_>) -> ChannelRules {
    let mut rules = ChannelRules::default();
    rules.history_size = draw.count(10);
    rules.history_ttl = draw.duration(Duration::from_secs(60));
    let bits = [draw.pick(), draw.pick(), draw.pick()];
    let mut number = 0;
    let mut flag = || {
        number += 1;
        let (byte, bit) = ((number - 1) / 8, (number - 1) % 8);
        bits[byte] >> bit & 1 == 1
    };
    rules.presence = flag();
    rules.join_leave = flag();
    rules.force_push_join_leave = flag();
    rules.force_positioning = flag();
    rules.allow_positioning = flag();
    rules.force_recovery = flag();
    rules.allow_recovery = flag();
    rules.allow_subscribe_for_client = flag();
    rules.allow_subscribe_for_anonymous = flag();
    rules.allow_publish_for_client = flag();
    rules.allow_publish_for_subscriber = flag();
    rules.allow_publish_for_anonymous = flag();
    rules.allow_presence_for_client = flag();
    rules.allow_presence_for_subscriber = flag();
    rules.allow_presence_for_anonymous = flag();
    rules.allow_history_for_client = flag();
    rules.allow_history_for_subscriber = flag();
    rules.allow_history_for_anonymous = flag();
    rules.allow_user_limited_channels = flag();
    rules
}
