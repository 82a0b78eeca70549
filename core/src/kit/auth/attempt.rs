//! Login attempts: their state, the proof to check, and the outcome.

use super::issue::Verified;
use super::provider::Account;
use super::scram::{ClientFirst, Credentials, prepared_name};
use crate::base::{Identity, UnixTime};
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
    /// The attempt waits for the provider's verdict on a token, or on a public key that an SSH client holds.
    Provider,
    /// The attempt waits for the provider's verdict on a public key that an SSH client offers, without a proof.
    Offer,
    /// The attempt waits for the provider to look up the user of a password.
    LookingUp(Candidate),
    /// The attempt waits for the provider to register this user.
    Registering(String),
    /// A password is being hashed, to be compared with that of the target.
    Hashing(Box<Target>),
    /// The attempt waits for the first shard to accept or reject its outcome.
    Settling(Outcome),
}

/// A proof that has not been checked yet.
pub(super) enum Candidate {
    Token(String),
    /// A public key, which the client of an SSH listener offers or has proved to hold.
    Key {
        user: String,
        key: String,
        is_offer: bool,
    },
    /// The client's first SCRAM message, and the prepared (SASLprep) user name in it.
    Scram(ClientFirst, String),
    Password {
        user: String,
        password: String,
    },
    /// A token that this server has issued to a user with a password.
    Issued(Box<Verified>),
    /// A new user, with a valid name and a valid password.
    Registration {
        user: String,
        password: String,
    },
}

/// The user that a password or a SCRAM exchange is checked against. The user may not exist.
pub(super) struct Target {
    /// The name that the peer entered, prepared with SASLprep.
    pub(super) user: String,
    /// The credentials of the user, or fake ones if there is no such user.
    pub(super) credentials: Credentials,
    /// The identity of the user. `None`: there is no such user, and no password is right.
    pub(super) identity: Option<Identity>,
}

impl Target {
    /// Returns the account of the user, or `None` if there is no such user.
    pub(super) fn into_account(self) -> Option<Account> {
        self.identity.map(|identity| Account::new(self.credentials, identity))
    }
}

pub(super) enum Outcome {
    Right(Accepted),
    Wrong(Cow<'static, str>),
}

/// A right proof.
pub(super) struct Accepted {
    pub(super) identity: Identity,
    /// The last SCRAM message, which proves that the server knows the password.
    pub(super) scram: Option<String>,
    /// The time of the proof on which an issued token is based. `None`: this proof is no such token.
    pub(super) proof: Option<UnixTime>,
    /// The stored form of the password, if the proof is based on one.
    pub(super) credentials: Option<Credentials>,
}

impl Accepted {
    pub(super) const fn of(identity: Identity) -> Self {
        Self { identity, scram: None, proof: None, credentials: None }
    }

    pub(super) fn of_account(Account { credentials, identity }: Account) -> Self {
        Self { credentials: Some(credentials), ..Self::of(identity) }
    }
}

impl Candidate {
    /// Returns the user that the proof names, for the limit on wrong passwords. `None` for a token or a key.
    pub(super) fn user(&self) -> Option<&str> {
        match self {
            Self::Token(_) | Self::Issued(_) | Self::Key { .. } => None,
            Self::Scram(_, user) | Self::Password { user, .. } | Self::Registration { user, .. } => Some(user),
        }
    }

    /// Returns `true` if a password is hashed for this proof, which takes milliseconds.
    pub(super) const fn is_hashed(&self) -> bool {
        matches!(self, Self::Password { .. } | Self::Registration { .. })
    }
}

/// Parses a client's first SCRAM message, and prepares the user name in it.
pub(super) fn scram_first(message: &str) -> Result<Candidate, Cow<'static, str>> {
    let first = ClientFirst::parse(message).map_err(|error| Cow::from(error.to_string()))?;
    let user = prepared_name(&first.user).map_err(|_| Cow::from("invalid user name"))?;
    Ok(Candidate::Scram(first, user))
}
