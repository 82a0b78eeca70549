//! Options of a pubsub application.

use super::backend::PubSubBackend;
use super::rules::Channels;
use crate::base::setters;
use crate::kit::auth::Tokens;
use core::time::Duration;

/// Options of [`PubSub`](super::PubSub).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PubSubOptions {
    /// The channels, and what clients may do there.
    pub channels: Channels,
    /// The verifier of tokens. `None`: no token is accepted.
    pub tokens: Option<Tokens>,
    /// Whether clients may connect without a token, as anonymous ones. Default: no.
    pub allow_anonymous: bool,
    /// Whether each user is subscribed to the channel `#USER`. Default: no.
    pub personal_channels: bool,
    /// Interval at which each client is asked whether it is there. Default: 25 s. Zero: never.
    pub ping_interval: Duration,
    /// Time within which a client must answer. Default: 8 s. Zero: it need not.
    pub pong_timeout: Duration,
    /// Time within which a client must have connected. Default: 10 s.
    pub connect_timeout: Duration,
    /// Maximum number of channels of a connection. Default: 100. Also limited by
    /// [`RoomLimits::per_connection`](crate::RoomLimits).
    pub channels_max: u32,
    /// Maximum number of messages that a client reads from a history at once, 1 to 1,000. Default: 300.
    pub history_page_max: u32,
    /// The backend that decides about clients over HTTP. Default: none.
    pub backend: Option<PubSubBackend>,
}

setters!(PubSubOptions {
    channels: Channels,
    tokens: Option<Tokens>,
    allow_anonymous: bool,
    personal_channels: bool,
    ping_interval: Duration,
    pong_timeout: Duration,
    connect_timeout: Duration,
    channels_max: u32,
    history_page_max: u32,
    backend: Option<PubSubBackend>,
});

impl Default for PubSubOptions {
    fn default() -> Self {
        Self {
            channels: Channels::default(),
            tokens: None,
            allow_anonymous: false,
            personal_channels: false,
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            connect_timeout: Duration::from_secs(10),
            channels_max: 100,
            history_page_max: 300,
            backend: None,
        }
    }
}

/// Number of commands in a message besides one for each channel.
const COMMANDS: usize = 64;

impl PubSubOptions {
    /// Returns the maximum number of commands in a message, and of commands that wait for the backend.
    pub(super) const fn commands_max(&self) -> usize {
        self.channels_max as usize + COMMANDS
    }

    /// Returns `true` if a channel is the personal channel of another user.
    pub(super) fn is_of_another(&self, channel: &str, user: &str) -> bool {
        let of = channel.strip_prefix('#').filter(|_| self.personal_channels);
        of.is_some_and(|of| user.is_empty() || of != user)
    }
}
