use super::key_set::KeySet;
use super::refusal::TokenError;
use super::scram::{Credentials, ScramError, prepared_name};
use super::token::Tokens;
use super::used::SingleUse;
use crate::base::{ConnId, Identity, UnixTime};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A backend that checks tokens and stores credentials, such as a table or a database.
///
/// By default, tokens are refused, and no user has a password.
pub trait Provider<N> {
    /// Checks a token that a peer has sent, and returns the verdict.
    fn token(&mut self, conn: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        let _ = (conn, token, now);
        Verdict::Refused("tokens are not accepted here".into())
    }

    /// Returns the stored credentials of a user. `None` if there is no such user.
    fn credentials(&mut self, user: &str) -> Option<Credentials> {
        let _ = user;
        None
    }

    /// Returns the iteration count of the fake credentials of unknown users. Default: 10,000.
    ///
    /// If all users have the same number, a user that does not exist costs as much work as one that
    /// does.
    fn iterations(&mut self) -> u32 {
        10_000
    }

    /// Returns the identity of a user after a successful password login.
    fn identity(&mut self, user: &str) -> Identity {
        Identity::user(user)
    }

    /// Handles a note from outside. Returns its connection and its verdict, if it has a verdict.
    ///
    /// Such a verdict ends a check that is [`Pending`](Verdict::Pending). It may also authenticate
    /// a connection that sent no proof, or renew an authentication. The application receives any
    /// other note.
    ///
    /// # Errors
    /// The note, if it carries no verdict.
    fn note(&mut self, note: N) -> Result<(ConnId, Verdict), N> {
        Err(note)
    }
}

/// The decision of a [`Provider`] about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The token is valid for this user.
    Accepted(Identity),
    /// The token is valid for this user, unless it was used before.
    AcceptedOnce(Identity, SingleUse),
    /// The token is refused, for this reason, which the peer receives.
    Refused(Cow<'static, str>),
    /// The verdict follows as a [note](Provider::note).
    ///
    /// Until then, and at most until the authentication deadline, nothing is read from a peer that
    /// is not authenticated. A renewal does not pause reading.
    Pending,
}

impl From<Result<(Identity, Option<SingleUse>), TokenError>> for Verdict {
    /// Converts the result of [`Tokens::identity`].
    fn from(result: Result<(Identity, Option<SingleUse>), TokenError>) -> Self {
        match result {
            Ok((identity, None)) => Self::Accepted(identity),
            Ok((identity, Some(single_use))) => Self::AcceptedOnce(identity, single_use),
            Err(error) => Self::Refused(error.to_string().into()),
        }
    }
}

/// The built-in [`Provider`]: a table of users, a shared password, and a token verifier.
///
/// Each of the three is optional.
///
/// Each shard may have a clone, because a running server does not change it.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    shared: Option<Credentials>,
    users: Arc<BTreeMap<String, Account>>,
    /// The largest iteration count of all passwords, or 0 if there are none.
    iterations_max: u32,
    tokens: Option<Tokens>,
}

#[derive(Clone, Debug)]
struct Account {
    credentials: Credentials,
    scopes: Vec<Arc<str>>,
}

impl Accounts {
    /// Creates accounts with no users, no shared password and no token verifier.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts a shared password for every user name that is not in the table.
    ///
    /// Such a login has no scopes. A user in the table must use its own password.
    #[must_use]
    pub fn shared_password(self, credentials: Credentials) -> Self {
        let iterations_max = self.iterations_max.max(credentials.iterations());
        Self { shared: Some(credentials), iterations_max, ..self }
    }

    /// Adds or replaces a user, with a password and scopes.
    ///
    /// The name is prepared as the password is (SASLprep, RFC 4013).
    ///
    /// # Errors
    /// If the name is empty, longer than 256 bytes, or has prohibited characters.
    pub fn user<'s>(
        mut self,
        name: &str,
        credentials: Credentials,
        scopes: impl IntoIterator<Item = &'s str>,
    ) -> Result<Self, ScramError> {
        let name = prepared_name(name)?;
        let scopes = scopes.into_iter().map(Arc::from).collect();
        self.iterations_max = self.iterations_max.max(credentials.iterations());
        Arc::make_mut(&mut self.users).insert(name, Account { credentials, scopes });
        Ok(self)
    }

    /// Enables token logins with this verifier.
    #[must_use]
    pub fn tokens(self, tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..self }
    }
}

impl Accounts {
    /// Returns these accounts with another [key set](Tokens::key_set) for tokens.
    ///
    /// Without tokens, they stay the same. The users are shared and not copied.
    #[must_use]
    pub fn with_key_set(&self, keys: Arc<KeySet>) -> Self {
        Self { tokens: self.tokens.clone().map(|tokens| tokens.key_set(keys)), ..self.clone() }
    }

    /// Returns the verifier of tokens, if tokens are accepted.
    #[must_use]
    pub const fn token_verifier(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// Checks a token, and returns the verdict.
    #[must_use]
    pub fn verdict(&self, token: &str, now: Option<UnixTime>) -> Verdict {
        match &self.tokens {
            None => Verdict::Refused("tokens are not accepted here".into()),
            Some(tokens) => tokens.identity(token, now).into(),
        }
    }

    /// Returns the credentials of a user, or the shared ones. `None` if there are neither.
    #[must_use]
    pub fn credentials(&self, user: &str) -> Option<&Credentials> {
        self.users.get(user).map(|account| &account.credentials).or(self.shared.as_ref())
    }

    /// Returns the identity of a user after a successful password login.
    ///
    /// A user without an account has no scopes.
    #[must_use]
    pub fn identity(&self, user: &str) -> Identity {
        let scopes = self.users.get(user).map(|account| account.scopes.clone()).unwrap_or_default();
        Identity { scopes, ..Identity::user(user) }
    }

    /// Returns the largest iteration count of all passwords, or 10,000 if there are none.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        if self.iterations_max == 0 { 10_000 } else { self.iterations_max }
    }
}

impl<N> Provider<N> for Accounts {
    fn token(&mut self, _: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        self.verdict(token, now)
    }

    fn credentials(&mut self, user: &str) -> Option<Credentials> {
        Self::credentials(self, user).cloned()
    }

    fn iterations(&mut self) -> u32 {
        Self::iterations(self)
    }

    fn identity(&mut self, user: &str) -> Identity {
        Self::identity(self, user)
    }
}
