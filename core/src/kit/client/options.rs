//! Options of a client, and its login.

use crate::base::{Backoff, OutgoingBuf};
use crate::config::{Config, Dial, TicketLimits};
use crate::kit::layer::{PING, PING_TEXT, PONG};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The options of a client: address, login, limits and automatic answers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The address, the protocol, and the backoff between attempts.
    pub dial: Dial,
    /// How the client logs in, or `None` for no login.
    pub login: Option<Login>,
    /// The configuration of the client's machine. [`new`](Self::new) sets no limits on rates.
    pub config: Config,
    /// Messages that the client answers automatically, each with its answer.
    pub answers: Vec<(String, OutgoingBuf)>,
}

/// How a client logs in to a server with [`Authentication`](crate::kit::auth::Authentication).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login {
    /// A signed token.
    Token(String),
    /// A user name, and a password that is not sent (SCRAM-SHA-256).
    Password {
        /// The user name.
        user: String,
        /// The password in plaintext, which the client does not send.
        password: String,
    },
}

impl ClientOptions {
    /// Creates options without a login, with the default [`Backoff`] unless `dial` has one.
    ///
    /// The client reconnects as long as the backoff allows, by default forever. The dial is
    /// [always read](Dial::always_read): received messages cause no output.
    #[must_use]
    pub fn new(dial: Dial) -> Self {
        let backoff = dial.backoff.or(Some(Backoff::default()));
        let dial = Dial { backoff, always_read: true, ..dial };
        // The caller decides how many calls are in flight.
        let config = Config { tickets: TicketLimits { per_connection: 16_384, total: 16_384 }, ..Config::default() };
        let answers = [PING, PING_TEXT].map(|ping| (ping.into(), PONG.into())).into();
        Self { dial, login: None, config: config.unlimited(), answers }
    }

    /// Answers each message that equals `message` with `answer`, without an event.
    ///
    /// For a server whose [`Heartbeat`](crate::kit::layer::Heartbeat) has its own message. The client
    /// always answers [`Heartbeat::ping`](crate::kit::layer::Heartbeat::ping).
    #[must_use]
    pub fn answering(mut self, message: impl Into<String>, answer: impl Into<OutgoingBuf>) -> Self {
        self.answers.push((message.into(), answer.into()));
        self
    }

    /// Creates options for a client that dials once, and neither retries nor reconnects.
    #[must_use]
    pub fn once(dial: Dial) -> Self {
        let mut options = Self::new(dial);
        options.dial.backoff = None;
        options
    }

    /// Sets how the client logs in.
    #[must_use]
    pub fn login(self, login: Login) -> Self {
        Self { login: Some(login), ..self }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::Password { user, .. } => write!(f, "Password of {user}"),
        }
    }
}
