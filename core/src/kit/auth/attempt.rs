//! Login attempts: their state, the proof to check, and the outcome.

use super::scram::{ClientFirst, Credentials, prepared_name};
use crate::base::Identity;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};

/// The state of an authentication attempt. A connection has at most one attempt at a time.
///
/// During an attempt, the layer does not read from a connection that is not authenticated.
pub(super) enum Attempt {
    /// The attempt is queued behind another password check for the same address.
    Queued(Candidate),
    /// The attempt waits for the first shard to permit the check.
    Asked(Candidate),
    /// The attempt waits for the verdict of the provider.
    Provider,
    /// A password is being hashed. Holds the user name, and the credentials to check against.
    Hashing(String, Box<Credentials>),
    /// The attempt waits for the first shard to accept or reject its outcome.
    Settling(Outcome),
}

/// A proof that has not been checked yet.
pub(super) enum Candidate {
    Token(String),
    /// The client's first SCRAM message, and the prepared (SASLprep) user name in it.
    Scram(ClientFirst, String),
    Password {
        user: String,
        password: String,
    },
}

pub(super) enum Outcome {
    Right(Identity, Option<String>),
    Wrong(Cow<'static, str>),
}

impl Candidate {
    /// Returns the user that the proof names. `None` for a token.
    pub(super) fn user(&self) -> Option<&str> {
        match self {
            Self::Token(_) => None,
            Self::Scram(_, user) | Self::Password { user, .. } => Some(user),
        }
    }
}

/// Parses a client's first SCRAM message, and prepares the user name in it.
pub(super) fn scram_first(message: &str) -> Result<Candidate, Cow<'static, str>> {
    let first = ClientFirst::parse(message).map_err(|error| Cow::from(error.to_string()))?;
    let user = prepared_name(&first.user).map_err(|_| Cow::from("invalid user name"))?;
    Ok(Candidate::Scram(first, user))
}
