//! What the server knows of one client.

use super::codes::Refusal;
use super::json::Object;
use super::rules::Who;
use super::tokens::TokenChannel;
use crate::history::Position;
use crate::wire::events::EventFormat;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// The state of one connection, as its [context](crate::Handler::Context).
#[derive(Debug, Default)]
pub struct Session {
    pub(super) phase: Phase,
    /// The name of its wire.
    pub(super) transport: &'static str,
    /// The identifier of the connection, unique over all servers. Empty before it connects.
    pub(super) client: String,
    /// The name of the user. Empty: anonymous.
    pub(super) user: String,
    /// What the token says of the user, as JSON.
    pub(super) info: Option<String>,
    /// When the connection ends unless its token is refreshed, in seconds since 1970.
    pub(super) expires_at: Option<u64>,
    /// Whether the client has not answered the last ping yet.
    pub(super) owes_pong: bool,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    /// The command that waits for the backend, if any.
    pub(super) asking: Option<Asking>,
    /// The header fields of the client's request that the backend gets.
    pub(super) passed: Vec<(String, String)>,
    /// The identifier that the connection gets when it is admitted.
    pub(super) next_client: Option<String>,
    /// Number of subscriptions so far.
    pub(super) numbered: u64,
}

/// How far a connection is.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// It has sent nothing yet.
    #[default]
    New,
    /// Its `connect` was refused, and it should end the connection.
    Refused,
    /// It has sent a valid `connect`, whose reply waits for the subscriptions of the server.
    Connecting(Connecting),
    /// It is a client of the protocol.
    Connected,
    /// It writes commands as a person does.
    Lines,
    /// It receives a stream of events of one channel.
    Stream(Stream),
    /// It is about to be closed, and nothing that it sends counts.
    Over,
}

/// A command that waits for the backend.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// The number of the question.
    pub(super) number: u64,
    /// The command.
    pub(super) line: Option<String>,
    /// The commands that came after it.
    pub(super) later: Vec<String>,
    /// The answer, while the command is run again.
    pub(super) answer: Option<String>,
}

/// The options of a stream of events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) format: EventFormat,
    /// The last position of a client that comes back.
    pub(super) since: Option<Position>,
}

/// A reply to `connect` that waits.
#[derive(Debug)]
pub(super) struct Connecting {
    pub(super) id: u32,
    /// Data for the client, as JSON.
    pub(super) data: Option<String>,
    /// Number of channels whose homes have not told what the client missed.
    pub(super) waiting: usize,
    /// The results of the others.
    pub(super) subs: BTreeMap<String, String>,
    /// The positions from which these get messages.
    pub(super) positions: BTreeMap<String, Position>,
    /// The channels without a home, each with its options and whether the client wants to recover. They begin last,
    /// so that none of their messages comes before the reply.
    pub(super) later: Vec<(String, TokenChannel, bool)>,
    /// Commands that came meanwhile.
    pub(super) commands: Vec<String>,
}

/// A subscription of a client.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Its number among those of the connection.
    pub(super) number: u64,
    pub(super) state: State,
    /// Whether the server made it.
    pub(super) is_of_server: bool,
    pub(super) grant: Grant,
    /// What the channel's token says of the user, as JSON.
    pub(super) info: Option<String>,
    /// Data for the client from the token of its connection, as JSON.
    pub(super) data: Option<String>,
    /// When it ends unless its token is refreshed, in seconds since 1970.
    pub(super) expires_at: Option<u64>,
}

/// Whether a subscription has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The home of the channel has not told yet what the client missed.
    Waiting {
        /// The number of the command. 0: a subscription of the server.
        id: u32,
        /// The offset from which the client wants to recover.
        recover: Option<u64>,
        /// Whether the client wants an error if it cannot recover.
        wants_error: bool,
    },
    Live,
}

/// What a subscription includes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grant {
    /// Lost messages end the subscription, so that its client subscribes again.
    pub(super) positioned: bool,
    /// If its client returns, it gets the messages that it missed.
    pub(super) recoverable: bool,
    /// Its client gets joins and leaves.
    pub(super) join_leave: bool,
}

impl Session {
    /// Returns the options of the stream of events, if the session is one.
    pub(super) const fn stream(&self) -> Option<Stream> {
        match self.phase {
            Phase::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// Returns who the client is, as far as the rules of a channel ask for it.
    pub(super) fn who(&self, channel: &str) -> Who<'_> {
        // Also while it waits for its reply, because clients send the next command at once.
        Who { user: &self.user, is_subscribed: self.subscriptions.contains_key(channel) }
    }

    /// Returns the fields about the client in each request to the backend.
    pub(super) fn about(&self) -> Object {
        let client = self.next_client.as_ref().unwrap_or(&self.client);
        let about = Object::new().text("client", client).text("transport", self.transport);
        let about = about.text("protocol", "json").text("encoding", "json");
        if self.client.is_empty() { about } else { about.text("user", &self.user) }
    }

    /// Returns `true` while a command waits for the backend.
    pub(super) const fn is_asking(&self) -> bool {
        matches!(&self.asking, Some(Asking { answer: None, .. }))
    }

    /// Checks that another subscription may begin.
    pub(super) fn may_add(&self, channel: &str, max: u32) -> Result<(), Refusal> {
        if self.subscriptions.contains_key(channel) {
            return Err(Refusal::ALREADY_SUBSCRIBED);
        }
        if self.subscriptions.len() >= max as usize {
            return Err(Refusal::LIMIT_EXCEEDED);
        }
        Ok(())
    }

    /// Returns the number of a new subscription.
    pub(super) const fn next_number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }
}
