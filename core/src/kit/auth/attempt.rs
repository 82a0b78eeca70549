//! An attempt to authenticate: what it waits for, the proof that it checks, and the outcome.

use super::scram::{ClientFirst, Credentials, prepared_name};
use crate::base::Identity;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};

/// An attempt to authenticate, at most one per connection at a time.
///
/// Meanwhile, a connection that is not authenticated is not read.
pub(super) enum Attempt {
    /// Waits until another password of this address is hashed.
    Queued(Candidate),
    /// Waits for the first shard to permit the check.
    Asked(Candidate),
    /// Waits for the provider.
    Provider,
    /// Hashes a password of this user. These are the credentials from when hashing began.
    Hashing(String, Box<Credentials>),
    /// Waits for the first shard to accept or reject the outcome.
    Settling(Outcome),
}

/// A proof to check.
pub(super) enum Candidate {
    Token(String),
    /// The first message of an exchange, and the user that it names.
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
    /// The user that it names. `None` for a token.
    pub(super) fn user(&self) -> Option<&str> {
        match self {
            Self::Token(_) => None,
            Self::Scram(_, user) | Self::Password { user, .. } => Some(user),
        }
    }
}

/// Parses the first SCRAM message of a client, and the user name in it.
pub(super) fn scram_first(message: &str) -> Result<Candidate, Cow<'static, str>> {
    let first = ClientFirst::parse(message).map_err(|error| Cow::from(error.to_string()))?;
    let user = prepared_name(&first.user).map_err(|_| Cow::from("invalid user name"))?;
    Ok(Candidate::Scram(first, user))
}
