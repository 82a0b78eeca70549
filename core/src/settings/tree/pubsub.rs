//! Settings of the application `pubsub`.

use super::declare::settings;
use super::tokens::PubSubTokenSettings;
use super::values::{count, secs, timeout};
use crate::config::RoomOptions;
use crate::kit::auth::Tokens;
use crate::kit::pubsub::{ChannelRules, Channels, PubSubBackend, PubSubOptions};
use crate::settings::dials::DialSettings;
use crate::settings::formats::PATH;
use crate::settings::secret::Secret;
use crate::settings::section::{Section, SectionError};
use crate::settings::token_keys::{KeySetSource, ONE_KEY};
use crate::settings::units::{Size, Span, Timeout};
use crate::wire::http::Http;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::{NonZeroU16, NonZeroU32};

settings! {
    /// Settings of the application `pubsub`: channels for clients of the Centrifuge protocol.
    PubSubSettings {
        /// Tokens of clients (JSON Web Tokens, RFC 7519). Without a key, none is accepted.
        tokens: PubSubTokenSettings = PubSubTokenSettings::default();
        /// Whether clients may connect without a token, as anonymous ones.
        allow_anonymous: bool = false;
        /// Whether each user is subscribed to the channel `#USER` by the server.
        personal_channels: bool = false;
        /// Whether WebSocket listeners of the application serve the events of a channel at `/events`.
        events: bool = false;
        /// Interval at which each client is asked whether it is there. 0s: never.
        ping_interval: Span = secs(25);
        /// Time within which a client must answer. 0s: it need not.
        pong_timeout: Span = secs(8);
        /// Time within which a client must have connected.
        connect_timeout: Span = secs(10);
        /// Maximum number of channels of a connection. `rooms.per_connection_max` limits it as well.
        channels_max: NonZeroU32 = count(100);
        /// Maximum length of a channel's name. `rooms.name_max` limits it as well.
        name_max: Size = Size(128);
        /// Maximum number of messages that a client reads from a history at once, at most 1000.
        history_page_max: NonZeroU32 = count(300);
        /// A backend that decides about clients over HTTP.
        backend: PubSubBackendSettings = PubSubBackendSettings::default();
        /// The rules of channels whose names have no `:`.
        without_namespace: ChannelSettings = ChannelSettings::default();
        /// The rules of channels by their namespaces: the part of a name before its first `:`.
        /// Channels of other namespaces do not exist.
        namespaces: BTreeMap<String, ChannelSettings> = BTreeMap::new();
    }

    /// A backend: a server that answers `POST PREFIX/connect`, `/subscribe`, `/publish`, `/rpc` and `/disconnect`.
    PubSubBackendSettings {
        /// The address of the backend, such as `{ address: 'tcp://127.0.0.1:3000' }`; `tls://` for HTTPS.
        /// Without an address, there is no backend.
        connection: DialSettings = DialSettings::default();
        /// The prefix of the paths, such as `/hooks`.
        prefix: String = String::new();
        /// The value of the field `Authorization` in each request; if empty, there is no such field.
        authorization: Secret = Secret::default();
        /// A file whose first line is the value of `Authorization`.
        #[schemars(extend("format" = PATH))]
        authorization_file: String = String::new();
        /// Header fields that are copied from the request of a client's WebSocket, such as `Cookie`.
        http_headers: Vec<String> = Vec::new();
        /// Time limit for an answer. For `disconnect`, it applies to each attempt.
        timeout: Timeout = timeout(1);
        /// Maximum number of connections to the backend, for each worker.
        connections_max: NonZeroU16 = sixteen();
        /// Whether the backend is asked who a client without a token is.
        connect: bool = false;
        /// Whether the backend answers the calls of clients (`rpc`).
        rpc: bool = false;
        /// Whether the backend is notified of clients that have disconnected, in up to 5 attempts.
        disconnect: bool = false;
    }

    /// What clients may do in channels, and what the server keeps of them. Clients without a user name are anonymous.
    ChannelSettings {
        /// Whether the channels list their subscribers.
        presence: bool = false;
        /// Whether joins and leaves are sent to the subscribers that ask for them and may read the presence.
        join_leave: bool = false;
        /// Whether joins and leaves are sent to all subscribers. Needs `join_leave`.
        force_push_join_leave: bool = false;
        /// Number of messages that are kept. Needs `history_ttl`.
        history_size: u32 = 0;
        /// How long messages are kept. Needs `history_size`.
        history_ttl: Span = secs(0);
        /// Whether lost messages end all subscriptions of a channel, so that the clients subscribe again.
        force_positioning: bool = false;
        /// Whether clients may ask for that for their subscriptions.
        allow_positioning: bool = false;
        /// Whether all clients that return get the messages that they missed.
        force_recovery: bool = false;
        /// Whether clients may ask for the messages that they missed.
        allow_recovery: bool = false;
        /// Whether users may subscribe without a token of the channel.
        allow_subscribe_for_client: bool = false;
        /// Whether anonymous clients may subscribe where users may.
        allow_subscribe_for_anonymous: bool = false;
        /// Whether users may publish.
        allow_publish_for_client: bool = false;
        /// Whether subscribers may publish.
        allow_publish_for_subscriber: bool = false;
        /// Whether anonymous clients may publish where others may.
        allow_publish_for_anonymous: bool = false;
        /// Whether users may read the presence.
        allow_presence_for_client: bool = false;
        /// Whether subscribers may read the presence.
        allow_presence_for_subscriber: bool = false;
        /// Whether anonymous clients may read the presence where others may.
        allow_presence_for_anonymous: bool = false;
        /// Whether users may read the history.
        allow_history_for_client: bool = false;
        /// Whether subscribers may read the history.
        allow_history_for_subscriber: bool = false;
        /// Whether anonymous clients may read the history where others may.
        allow_history_for_anonymous: bool = false;
        /// Whether a channel whose name ends with `#` and names of users, separated by commas, is for these users only.
        allow_user_limited_channels: bool = false;
        /// Whether the backend decides on subscriptions, instead of channel tokens and these rules.
        subscribe_proxy_enabled: bool = false;
        /// Whether the backend decides on the messages of clients. It may change them.
        publish_proxy_enabled: bool = false;
    }
}

impl Section for PubSubSettings {
    const NAME: &'static str = "pubsub";
    const TOKENS: Option<&'static str> = Some("tokens");

    fn check(&self) -> Result<(), SectionError> {
        self.tokens()?;
        if self.history_page_max.get() > 1_000 {
            return Err(SectionError::new("history_page_max", "it is at most 1000"));
        }
        let named = self.namespaces.iter().map(|(name, rules)| (format!("namespaces.{name}"), rules));
        for (key, rules) in named.chain([("without_namespace".to_string(), &self.without_namespace)]) {
            rules.check(&key)?;
            self.backend.check_rules(&key, rules)?;
        }
        self.backend.check()?;
        let is_fine = |name: &str| {
            name.len() >= 2 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        match self.namespaces.keys().find(|name| !is_fine(name)) {
            None => Ok(()),
            Some(name) => {
                let words = "a namespace has at least two characters, and only letters, digits, - and _";
                Err(SectionError::new(format!("namespaces.{name}"), words))
            }
        }
    }

    fn dials(&mut self) -> Vec<(&'static str, &mut DialSettings)> {
        alloc::vec![("backend.connection", &mut self.backend.connection)]
    }

    fn check_unauthenticated(&self) -> Result<(), SectionError> {
        if self.allow_anonymous || self.backend.connect || self.tokens.keys().count() > 0 {
            return Ok(());
        }
        let words =
            "no client could connect: set a key in pubsub.tokens, allow_anonymous, backend.connect, or authentication";
        Err(SectionError::new("allow_anonymous", words))
    }

    fn key_set(&self) -> Option<KeySetSource> {
        self.tokens.keys().source()
    }

    fn http_paths(&self) -> Vec<(&'static str, &'static str)> {
        if self.events { [("events", "/events")].into() } else { Vec::new() }
    }

    fn rooms(&self) -> Vec<RoomOptions> {
        self.channels().rooms()
    }
}

impl PubSubSettings {
    /// Returns the options of the application.
    ///
    /// If the settings name a set of public keys, the set in the options is empty:
    /// [`Hooks::key_set`](crate::kit::pubsub::Hooks::key_set) must return the keys.
    ///
    /// # Errors
    /// If the key of tokens is invalid.
    pub fn options(&self) -> Result<PubSubOptions, SectionError> {
        let options = PubSubOptions::default()
            .channels(self.channels())
            .tokens(self.tokens()?)
            .allow_anonymous(self.allow_anonymous)
            .personal_channels(self.personal_channels)
            .ping_interval(self.ping_interval.0)
            .pong_timeout(self.pong_timeout.0)
            .connect_timeout(self.connect_timeout.0)
            .channels_max(self.channels_max.get());
        Ok(options.history_page_max(self.history_page_max.get()).backend(self.backend.options()))
    }

    fn channels(&self) -> Channels {
        Channels {
            without_namespace: (&self.without_namespace).into(),
            namespaces: self.namespaces.iter().map(|(name, rules)| (name.clone(), rules.into())).collect(),
            events: self.events,
            name_max_bytes: u32::try_from(self.name_max.0).unwrap_or(u32::MAX),
        }
    }

    /// Returns the verifier of tokens. Its set of public keys is empty, because the application provides the keys.
    fn tokens(&self) -> Result<Option<Tokens>, SectionError> {
        let keys = self.tokens.keys();
        let blame = |key: &str, words: String| SectionError::new(format!("tokens.{key}"), words);
        if let Some((key, words)) = keys.problems().into_iter().next() {
            return Err(blame(key, words));
        }
        match keys.count() {
            0 => Ok(None),
            1 => {
                let tokens = keys.tokens(Some(Arc::default())).map_err(|(key, words)| blame(key, words))?;
                Ok(Some(tokens.optional_expiry().optional_subject()))
            }
            _ => Err(SectionError::new("tokens", ONE_KEY)),
        }
    }
}

impl PubSubBackendSettings {
    fn options(&self) -> Option<PubSubBackend> {
        let mut backend = PubSubBackend::new(self.connection.dial()?)
            .prefix(self.prefix.clone())
            .passed_fields(self.http_headers.clone())
            .timeout(self.timeout.0)
            .connections_max(self.connections_max.get())
            .connect(self.connect)
            .rpc(self.rpc)
            .disconnect(self.disconnect);
        if !self.authorization.is_empty() {
            backend.fields.push(("Authorization".into(), self.authorization.reveal().into()));
        }
        Some(backend)
    }

    /// Checks that each key that is set has an effect.
    fn check(&self) -> Result<(), SectionError> {
        let used = Self { connection: DialSettings::default(), ..self.clone() };
        if self.connection.address.is_empty() && used != Self::default() {
            return Err(SectionError::new("backend.connection.address", "the backend needs an address"));
        }
        if let Err(problem) = Http::check_path(&self.prefix)
            && !self.prefix.is_empty()
        {
            return Err(SectionError::new("backend.prefix", problem));
        }
        let (set, default) = (&self.connection, DialSettings::default());
        let waits = |of: &DialSettings| (of.timeout, of.reconnect, of.wait, of.wait_max, of.rounds_max);
        if waits(set) != waits(&default) {
            let words = "timeout, reconnect, wait, wait_max and rounds_max have no effect here; set backend.timeout";
            return Err(SectionError::new("backend.connection", words));
        }
        Ok(())
    }

    /// Checks that there is a backend if the rules of a channel need one.
    fn check_rules(&self, key: &str, rules: &ChannelSettings) -> Result<(), SectionError> {
        let asked = [
            ("subscribe_proxy_enabled", rules.subscribe_proxy_enabled),
            ("publish_proxy_enabled", rules.publish_proxy_enabled),
        ];
        match asked.iter().find(|(_, is_set)| *is_set && self.connection.address.is_empty()) {
            Some((part, _)) => Err(SectionError::new(format!("{key}.{part}"), "it needs backend.connection.address")),
            None => Ok(()),
        }
    }
}

const fn sixteen() -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(15)
}

impl ChannelSettings {
    /// Checks that each key has an effect.
    fn check(&self, key: &str) -> Result<(), SectionError> {
        let has_history = self.history_size > 0 && !self.history_ttl.0.is_zero();
        let needs_history = "it needs history_size and history_ttl";
        let problem = match self {
            _ if (self.history_size > 0) == self.history_ttl.0.is_zero() => {
                Some(("history_size", "history_size and history_ttl need each other"))
            }
            Self { force_positioning: true, .. } if !has_history => Some(("force_positioning", needs_history)),
            Self { force_recovery: true, .. } if !has_history => Some(("force_recovery", needs_history)),
            Self { allow_positioning: true, .. } if !has_history => Some(("allow_positioning", needs_history)),
            Self { allow_recovery: true, .. } if !has_history => Some(("allow_recovery", needs_history)),
            Self { force_push_join_leave: true, join_leave: false, .. } => {
                Some(("force_push_join_leave", "it needs join_leave"))
            }
            _ => None,
        };
        problem.map_or(Ok(()), |(part, words)| Err(SectionError::new(format!("{key}.{part}"), words)))
    }
}

macro_rules! rules_of {
    ($settings:ident, [$($field:ident),* $(,)?]) => {
        ChannelRules { history_ttl: $settings.history_ttl.0, $($field: $settings.$field,)* }
    };
}

impl From<&ChannelSettings> for ChannelRules {
    fn from(settings: &ChannelSettings) -> Self {
        rules_of!(
            settings,
            [
                presence,
                join_leave,
                force_push_join_leave,
                history_size,
                force_positioning,
                allow_positioning,
                force_recovery,
                allow_recovery,
                allow_subscribe_for_client,
                allow_subscribe_for_anonymous,
                allow_publish_for_client,
                allow_publish_for_subscriber,
                allow_publish_for_anonymous,
                allow_presence_for_client,
                allow_presence_for_subscriber,
                allow_presence_for_anonymous,
                allow_history_for_client,
                allow_history_for_subscriber,
                allow_history_for_anonymous,
                allow_user_limited_channels,
                subscribe_proxy_enabled,
                publish_proxy_enabled,
            ]
        )
    }
}
