//! Channels: their names, and what their clients may do.

use super::codes::Refusal;
use crate::base::text::neutralize;
use crate::config::{FormPart, Home, MessageForm, Presence, RoomOptions, StreamForm};
use crate::history::Keep;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// What clients may do in the channels of a namespace, and what the server keeps of them.
///
/// The fields have the names and the meaning of Centrifugo's channel options. All are off by default.
/// Clients without a user name are *anonymous*.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelRules {
    /// Whether the channels list their subscribers.
    pub presence: bool,
    /// Whether joins and leaves are sent to the subscribers that ask for them and may read the presence.
    pub join_leave: bool,
    /// Whether joins and leaves are sent to all subscribers.
    pub force_push_join_leave: bool,
    /// Number of messages that are kept. 0: none.
    pub history_size: u32,
    /// How long messages are kept. Zero: none is kept.
    pub history_ttl: Duration,
    /// Whether lost messages end all subscriptions of a channel, so that the clients subscribe again.
    pub force_positioning: bool,
    /// Whether clients may ask for that for their subscriptions.
    pub allow_positioning: bool,
    /// Whether all clients that return get the messages that they missed.
    pub force_recovery: bool,
    /// Whether clients may ask for these.
    pub allow_recovery: bool,
    /// Whether users may subscribe without a token of the channel.
    pub allow_subscribe_for_client: bool,
    /// Whether anonymous clients may as well, where users may.
    pub allow_subscribe_for_anonymous: bool,
    /// Whether users may publish.
    pub allow_publish_for_client: bool,
    /// Whether subscribers may publish.
    pub allow_publish_for_subscriber: bool,
    /// Whether anonymous clients may as well, where others may.
    pub allow_publish_for_anonymous: bool,
    /// Whether users may read the presence.
    pub allow_presence_for_client: bool,
    /// Whether subscribers may read the presence.
    pub allow_presence_for_subscriber: bool,
    /// Whether anonymous clients may as well, where others may.
    pub allow_presence_for_anonymous: bool,
    /// Whether users may read the history.
    pub allow_history_for_client: bool,
    /// Whether subscribers may read the history.
    pub allow_history_for_subscriber: bool,
    /// Whether anonymous clients may as well, where others may.
    pub allow_history_for_anonymous: bool,
    /// Whether a channel whose name ends with `#` and names of users, separated by commas, is for these users.
    pub allow_user_limited_channels: bool,
    /// Whether the [backend](super::PubSubBackend) decides on subscriptions, instead of channel tokens and these
    /// rules.
    pub subscribe_proxy_enabled: bool,
    /// Whether the backend decides on the messages of clients, instead of these rules. It may change the messages.
    pub publish_proxy_enabled: bool,
}

/// Who a client is, as far as the rules ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who<'a> {
    /// The name of the user. Empty: anonymous.
    pub(super) user: &'a str,
    pub(super) is_subscribed: bool,
}

/// The three permissions of a kind of operation.
#[derive(Clone, Copy)]
struct Allow {
    client: bool,
    subscriber: bool,
    anonymous: bool,
}

impl Allow {
    const fn allows(self, who: Who<'_>) -> bool {
        let is_known = !who.user.is_empty() || self.anonymous;
        is_known && (self.client || self.subscriber && who.is_subscribed)
    }
}

impl ChannelRules {
    pub(super) const fn may_publish(&self, who: Who<'_>) -> bool {
        let (client, subscriber) = (self.allow_publish_for_client, self.allow_publish_for_subscriber);
        Allow { client, subscriber, anonymous: self.allow_publish_for_anonymous }.allows(who)
    }

    pub(super) const fn may_see_presence(&self, who: Who<'_>) -> bool {
        let (client, subscriber) = (self.allow_presence_for_client, self.allow_presence_for_subscriber);
        Allow { client, subscriber, anonymous: self.allow_presence_for_anonymous }.allows(who)
    }

    pub(super) const fn may_read_history(&self, who: Who<'_>) -> bool {
        let (client, subscriber) = (self.allow_history_for_client, self.allow_history_for_subscriber);
        Allow { client, subscriber, anonymous: self.allow_history_for_anonymous }.allows(who)
    }

    /// Returns `true` if a user may subscribe without a token.
    pub(super) fn may_subscribe(&self, user: &str, channel: &str) -> bool {
        if let Some((_, users)) = channel.rsplit_once('#').filter(|_| self.allow_user_limited_channels) {
            return !user.is_empty() && users.split(',').any(|name| name == user);
        }
        self.allow_subscribe_for_client && (!user.is_empty() || self.allow_subscribe_for_anonymous)
    }

    pub(super) const fn has_history(&self) -> bool {
        self.history_size > 0 && !self.history_ttl.is_zero()
    }

    /// Returns `true` if lost messages end the subscription of a client, which asks for that or not.
    pub(super) const fn positions(&self, asked: bool, who: Who<'_>) -> bool {
        let may = self.allow_positioning || self.may_read_history(who);
        self.has_history() && (self.force_positioning || asked && may)
    }

    /// Returns `true` if a client that returns gets the messages that it missed, which it asks for or not.
    pub(super) const fn recovers(&self, asked: bool, who: Who<'_>) -> bool {
        let may = self.allow_recovery || self.may_read_history(who);
        self.has_history() && (self.force_recovery || asked && may)
    }

    /// Returns `true` if a subscriber gets joins and leaves, which it asks for or not.
    pub(super) const fn tells_joins(&self, asked: bool, who: Who<'_>) -> bool {
        self.join_leave && (self.force_push_join_leave || asked && self.may_see_presence(who))
    }

    /// Returns `true` if the members of a channel have names.
    pub(super) const fn has_names(&self) -> bool {
        self.presence || self.join_leave
    }

    /// Returns the options of the rooms that these channels are.
    fn room(&self, rooms: &str, has_streams: bool) -> Option<RoomOptions> {
        let has_history = self.has_history();
        if !has_history && !self.has_names() && !has_streams {
            return None;
        }
        let (size, ttl) = if has_history { (self.history_size, Some(self.history_ttl)) } else { (0, None) };
        let options = RoomOptions::new(rooms, Keep::messages(size).age(ttl)).tells_gaps(false);
        let presence = if self.has_names() { Presence::Names } else { Presence::Off };
        let options = options.stream(StreamForm::default().event(EVENT));
        Some(options.presence(presence).form(MessageForm::Parts(if has_history { NUMBERED } else { PLAIN })))
    }
}

/// A publication in a channel with a history.
const NUMBERED: &[FormPart] = &[
    FormPart::Text("{\"push\":{\"channel\":"),
    FormPart::Room,
    FormPart::Text(",\"pub\":{\"data\":"),
    FormPart::Data,
    FormPart::Text(",\"offset\":"),
    FormPart::Offset,
    FormPart::Text("}}}"),
];

/// A publication in a channel without a history.
const PLAIN: &[FormPart] = &[
    FormPart::Text("{\"push\":{\"channel\":"),
    FormPart::Room,
    FormPart::Text(",\"pub\":{\"data\":"),
    FormPart::Data,
    FormPart::Text("}}}"),
];

/// A publication as the data of an event of a stream.
const EVENT: &[FormPart] = &[FormPart::Text("{\"data\":"), FormPart::Data, FormPart::Text("}")];

/// The rules of all channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channels {
    /// The rules of channels whose names have no `:`.
    pub without_namespace: ChannelRules,
    /// The rules of channels by their namespaces: the part of a name before its first `:`.
    ///
    /// A namespace has at least two letters, digits, `-` or `_`. Channels of other namespaces do not exist.
    pub namespaces: BTreeMap<String, ChannelRules>,
    /// Maximum length of the name of a channel, in bytes. Default: 0, which means 128.
    pub name_max_bytes: u32,
    /// Whether HTTP listeners serve streams of events of a channel at `/events`. Default: no.
    ///
    /// Each channel then has a [home](crate::Home), which numbers its messages, even if it keeps none.
    pub events: bool,
}

impl Channels {
    /// Returns the rules of a channel.
    ///
    /// # Errors
    /// If no channel can have that name.
    pub(super) fn rules(&self, channel: &str) -> Result<&ChannelRules, Refusal> {
        // The name of a user may be any text, and has no namespace.
        let is_personal = channel.starts_with('#');
        let is_name = channel.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        let max = if self.name_max_bytes == 0 { 128 } else { self.name_max_bytes };
        if channel.is_empty() || channel.len() > max as usize || !(is_name || is_personal && is_plain(channel)) {
            return Err(Refusal::BAD_REQUEST);
        }
        if is_personal {
            return Ok(&self.without_namespace);
        }
        match channel.strip_prefix('$').unwrap_or(channel).split_once(':') {
            None => Ok(&self.without_namespace),
            Some((namespace, _)) => self.namespaces.get(namespace).ok_or(Refusal::UNKNOWN_CHANNEL),
        }
    }

    /// Returns the options of the rooms that these channels are, for [`RoomMemory`](crate::RoomMemory).
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomOptions> {
        let patterns = self
            .namespaces
            .iter()
            .flat_map(|(namespace, rules)| ["", "$"].map(|prefix| (alloc::format!("{prefix}{namespace}:*"), rules)));
        let all = patterns.chain([("*".into(), &self.without_namespace)]);
        // A channel may have had a home before a reload. Clients do not understand the notice of a gap.
        let none = |pattern: &str| RoomOptions::new(pattern, Keep::messages(0)).home(Home::None).tells_gaps(false);
        all.map(|(pattern, rules)| rules.room(&pattern, self.events).unwrap_or_else(|| none(&pattern))).collect()
    }
}

/// Returns `true` if text has no control characters and none that cannot be seen.
fn is_plain(text: &str) -> bool {
    neutralize(text) == text
}

/// Returns `true` if a channel needs a token of its own.
pub(super) fn needs_token(channel: &str) -> bool {
    channel.starts_with('$')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const ANN: Who<'_> = Who { user: "ann", is_subscribed: false };
    const NOBODY: Who<'_> = Who { user: "", is_subscribed: false };

    #[test]
    fn rules_follow_the_namespace() {
        let news = ChannelRules { allow_subscribe_for_client: true, ..ChannelRules::default() };
        let channels = Channels { namespaces: [("news".into(), news.clone())].into(), ..Channels::default() };
        let found = |name: &str| channels.rules(name).map_err(|refusal| refusal.code);
        for (name, expected) in [
            ("news:1", Ok(&news)),
            ("$news:1", Ok(&news)),
            ("news:", Ok(&news)),
            ("news", Ok(&channels.without_namespace)),
            ("sport:1", Err(102)),
            (":1", Err(102)),
            ("", Err(107)),
            ("n ws", Err(107)),
            ("n\u{e4}ws", Err(107)),
            ("a\nb", Err(107)),
            ("#J\u{f6}rg a:b", Ok(&channels.without_namespace)),
            ("#a\nb", Err(107)),
        ] {
            assert_eq!(found(name), expected, "{name:?}");
        }
        assert_eq!(found(&"a".repeat(128)), Ok(&channels.without_namespace));
        assert_eq!(found(&"a".repeat(129)), Err(107));
    }

    #[test]
    fn anonymous_clients_need_both_permissions() {
        let mut rules = ChannelRules::default();
        for (client, subscriber, anonymous) in (0..8).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0)) {
            (rules.allow_publish_for_client, rules.allow_publish_for_subscriber) = (client, subscriber);
            rules.allow_publish_for_anonymous = anonymous;
            for who in [ANN, NOBODY].into_iter().flat_map(|who| [who, Who { is_subscribed: true, ..who }]) {
                let expected = (anonymous || who.user == "ann") && (client || subscriber && who.is_subscribed);
                assert_eq!(rules.may_publish(who), expected, "{rules:?} {who:?}");
            }
        }
    }

    #[test]
    fn users_of_limited_channels_are_in_their_names() {
        let rules = ChannelRules { allow_user_limited_channels: true, ..ChannelRules::default() };
        for (user, channel, expected) in [
            ("ann", "chat#ann,bob", true),
            ("bob", "chat#ann,bob", true),
            ("an", "chat#ann,bob", false),
            ("", "chat#", false),
            ("", "chat#,", false),
            ("ann", "chat", false),
            ("ann", "#ann", true),
            ("x", "a#x#ann", false),
        ] {
            assert_eq!(rules.may_subscribe(user, channel), expected, "{user:?} in {channel}");
        }
        let rules = ChannelRules { allow_subscribe_for_client: true, ..ChannelRules::default() };
        assert!(rules.may_subscribe("ann", "chat#bob") && !rules.may_subscribe("", "chat"));
    }

    #[test]
    fn rooms_have_a_home_only_where_something_is_kept() {
        let history =
            ChannelRules { history_size: 10, history_ttl: Duration::from_secs(60), ..ChannelRules::default() };
        let channels = Channels {
            without_namespace: history,
            namespaces: vec![("plain".into(), ChannelRules::default())].into_iter().collect(),
            ..Channels::default()
        };
        let memory = crate::config::RoomMemory::default().rooms(channels.rooms());
        let size = |room| memory.options(room).map(|options| options.keep.messages);
        assert_eq!((size("a"), size("plain:a"), size("$plain:a")), (Some(10), None, None));
    }
}
