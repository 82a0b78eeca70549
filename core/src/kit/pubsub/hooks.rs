//! Functions with which an application decides instead of the rules.

use super::codes::Refusal;
use crate::kit::auth::KeySet;
use alloc::string::String;
use alloc::sync::Arc;

/// The functions of an application that admit clients, and decide on and answer their commands.
///
/// With the default of each function, the options and the rules of the channels decide. `()` has all
/// defaults.
pub trait Hooks {
    /// Admits a client that has no token. Returns the name of its user, which is empty for an anonymous client.
    ///
    /// `None`: the identity of the connection and the options decide.
    ///
    /// # Errors
    /// Why the client is refused.
    fn connect(&mut self, _request: &Connecting<'_>) -> Result<Option<String>, Refusal> {
        Ok(None)
    }

    /// Decides on a subscription without a token. `None`: the rules of the channel decide.
    ///
    /// Not called where the [backend](super::ChannelRules::subscribe_proxy_enabled) decides.
    ///
    /// # Errors
    /// Why it is refused.
    fn subscribe(&mut self, _caller: Caller<'_>, _channel: &str) -> Result<Option<bool>, Refusal> {
        Ok(None)
    }

    /// Decides on a message of a client. `None`: the rules of the channel, or the backend, decide.
    ///
    /// # Errors
    /// Why it is refused.
    fn publish(&mut self, _caller: Caller<'_>, _channel: &str, _data: &str) -> Result<Option<bool>, Refusal> {
        Ok(None)
    }

    /// Answers a call of a client with JSON. Not called if the [backend](super::PubSubBackend::rpc) answers
    /// calls.
    ///
    /// # Errors
    /// Why the call is refused. By default, no method exists (104).
    fn rpc(&mut self, _caller: Caller<'_>, _method: &str, _data: &str) -> Result<String, Refusal> {
        Err(Refusal::METHOD_NOT_FOUND)
    }

    /// Answers a call of a backend (`POST /api/rpc`) with JSON.
    ///
    /// # Errors
    /// Why the call is refused. By default, no method exists (104).
    fn api(&mut self, _method: &str, _params: &str) -> Result<String, Refusal> {
        Err(Refusal::METHOD_NOT_FOUND)
    }

    /// Handles a message for the application itself (`send`). Returns `false` to close the connection (3508).
    fn message(&mut self, _caller: Caller<'_>, _data: &str) -> bool {
        false
    }

    /// Returns the set of public keys that verifies tokens now. `None`: the set of the options.
    ///
    /// Called for each token, if the [tokens](super::PubSubOptions::tokens) have a set of keys.
    fn key_set(&mut self) -> Option<Arc<KeySet>> {
        None
    }

    /// Handles a token that is signed with a key that is not in the set. Returns `true` if the set may have the
    /// key soon.
    ///
    /// The client then gets the temporary error 100, and tries again. Otherwise the token is refused.
    fn key_is_unknown(&mut self) -> bool {
        false
    }

    /// Handles the end of the connection of a client that had connected.
    fn disconnected(&mut self, _caller: Caller<'_>) {}
}

impl Hooks for () {}

/// The `connect` request of a client without a token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Connecting<'a> {
    /// Data for the application, as JSON.
    pub data: Option<&'a str>,
    /// The name of the client's program.
    pub name: &'a str,
    /// The version of the client's program.
    pub version: &'a str,
}

/// The client whose request a function decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The identifier of the connection.
    pub client: &'a str,
    /// The name of the user. Empty: anonymous.
    pub user: &'a str,
}
