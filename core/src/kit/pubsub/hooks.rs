//! What an application decides itself.

use super::codes::Refusal;
use crate::kit::auth::KeySet;
use alloc::string::String;
use alloc::sync::Arc;

/// The application around the channels: it decides, changes and answers.
///
/// Each method has a default: the rules of the channels decide alone. `()` has all defaults.
pub trait Hooks {
    /// Admits a client that has no token. `None`: as the options say.
    ///
    /// The result is the name of the user; empty for an anonymous one.
    ///
    /// # Errors
    /// Why the client is refused.
    fn connect(&mut self, _request: &Connecting<'_>) -> Result<Option<String>, Refusal> {
        Ok(None)
    }

    /// Decides on a subscription without a token. `None`: the rules of the channel decide.
    ///
    /// # Errors
    /// Why it is refused.
    fn subscribe(&mut self, _caller: Caller<'_>, _channel: &str) -> Result<Option<bool>, Refusal> {
        Ok(None)
    }

    /// Decides on a message of a client. `None`: the rules of the channel decide.
    ///
    /// # Errors
    /// Why it is refused.
    fn publish(&mut self, _caller: Caller<'_>, _channel: &str, _data: &str) -> Result<Option<bool>, Refusal> {
        Ok(None)
    }

    /// Answers a call with JSON.
    ///
    /// # Errors
    /// By default, no method exists.
    fn rpc(&mut self, _caller: Caller<'_>, _method: &str, _data: &str) -> Result<String, Refusal> {
        Err(Refusal::METHOD_NOT_FOUND)
    }

    /// Answers a call of a backend (`POST /api/rpc`) with JSON.
    ///
    /// # Errors
    /// By default, no method exists.
    fn api(&mut self, _method: &str, _params: &str) -> Result<String, Refusal> {
        Err(Refusal::METHOD_NOT_FOUND)
    }

    /// Handles a message for the application itself. Returns `false` if it takes none, which closes the connection.
    fn message(&mut self, _caller: Caller<'_>, _data: &str) -> bool {
        false
    }

    /// Returns the set of public keys that verifies tokens now. `None`: that of the options.
    ///
    /// It is asked for each token, if the [tokens](super::PubSubOptions::tokens) have a set of keys.
    fn key_set(&mut self) -> Option<Arc<KeySet>> {
        None
    }

    /// A token is signed with a key that is not in the set. Returns `true` if the key may be in it soon.
    ///
    /// Then the client is told to try again later. Otherwise, the token is refused.
    fn key_is_unknown(&mut self) -> bool {
        false
    }

    /// A client that was connected has gone.
    fn disconnected(&mut self, _caller: Caller<'_>) {}
}

impl Hooks for () {}

/// What a client without a token says of itself.
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

/// The client that asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The identifier of the connection.
    pub client: &'a str,
    /// The name of the user. Empty: anonymous.
    pub user: &'a str,
}
