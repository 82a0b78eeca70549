use super::scram::{Credentials, ScramError};
use super::token::Tokens;
use super::used::SingleUse;
use crate::base::{ConnId, Identity, UnixTime};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Who decides who a peer is: a table, a database, another service.
///
/// What is not implemented is not offered to peers.
pub trait Provider<N> {
    /// Looks at a token.
    fn token(&mut self, conn: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        let _ = (conn, token, now);
        Verdict::Refused("tokens are not accepted here".into())
    }

    /// What is stored of a user's password; `None` if there is no such user.
    fn credentials(&mut self, user: &str) -> Option<Credentials> {
        let _ = user;
        None
    }

    /// How often the passwords of users are hashed. As much work is done for a user who does not exist as for one who does, if
    /// this is the same for all of them. The default is 10,000.
    fn iterations(&mut self) -> u32 {
        10_000
    }

    /// Who a user is that has proven to know their password.
    fn identity(&mut self, user: &str) -> Identity {
        Identity::user(user)
    }

    /// A note came from outside. If it is the answer to what was [`Pending`](Verdict::Pending), what it is; else the note, which
    /// then goes to the application.
    ///
    /// # Errors
    /// The note, if it is not about this.
    fn note(&mut self, note: N) -> Result<(ConnId, Verdict), N> {
        Err(note)
    }
}

/// What a [`Provider`] makes of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is this user.
    Accepted(Identity),
    /// It is this user, unless the token was used before.
    AcceptedOnce(Identity, SingleUse),
    /// It is not good, for this reason, which the peer is told.
    Refused(Cow<'static, str>),
    /// That takes a while, and will be told by a [note](Provider::note). Before the peer is known, nothing else is read of it
    /// meanwhile, until the deadline for authentication; a renewal goes on beside its messages.
    Pending,
}

/// Users with passwords, tokens, or both: the [`Provider`] for who has no other. Each shard may have a clone: nothing in it
/// changes.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    shared: Option<Credentials>,
    users: BTreeMap<String, Account>,
    /// The most that a password is hashed.
    iterations_max: u32,
    tokens: Option<Tokens>,
}

#[derive(Clone, Debug)]
struct Account {
    credentials: Credentials,
    scopes: Vec<Arc<str>>,
}

impl Accounts {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everybody who knows one password, under whatever name they give, without scopes. A name that has a password of its own
    /// needs that.
    #[must_use]
    pub fn shared_password(self, credentials: Credentials) -> Self {
        let iterations_max = self.iterations_max.max(credentials.iterations());
        Self { shared: Some(credentials), iterations_max, ..self }
    }

    /// A user with a password and scopes. The name is prepared as the password is (SASLprep, RFC 4013).
    ///
    /// # Errors
    /// If the name is empty, longer than 256 bytes, or has characters that none may have.
    pub fn user<'s>(
        mut self,
        name: &str,
        credentials: Credentials,
        scopes: impl IntoIterator<Item = &'s str>,
    ) -> Result<Self, ScramError> {
        let name = prepared(name)?;
        let scopes = scopes.into_iter().map(Arc::from).collect();
        self.iterations_max = self.iterations_max.max(credentials.iterations());
        self.users.insert(name, Account { credentials, scopes });
        Ok(self)
    }

    /// Whoever has a token.
    #[must_use]
    pub fn tokens(self, tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..self }
    }
}

impl Accounts {
    /// What a token says, if all is well with it.
    #[must_use]
    pub fn verdict(&self, token: &str, now: Option<UnixTime>) -> Verdict {
        let Some(tokens) = &self.tokens else {
            return Verdict::Refused("tokens are not accepted here".into());
        };
        match tokens.identity(token, now) {
            Ok((identity, None)) => Verdict::Accepted(identity),
            Ok((identity, Some(single_use))) => Verdict::AcceptedOnce(identity, single_use),
            Err(error) => Verdict::Refused(error.to_string().into()),
        }
    }

    /// What is stored of a user's password; `None` if there is no such user.
    #[must_use]
    pub fn credentials(&self, user: &str) -> Option<&Credentials> {
        self.users.get(user).map(|account| &account.credentials).or(self.shared.as_ref())
    }

    /// Who a user is that has proven to know their password. Without an account of their own they have no scopes.
    #[must_use]
    pub fn identity(&self, user: &str) -> Identity {
        let scopes = self.users.get(user).map(|account| account.scopes.clone()).unwrap_or_default();
        Identity { scopes, ..Identity::user(user) }
    }

    /// The most that a password is hashed, or 10,000 if there is none.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        if self.iterations_max == 0 { 10_000 } else { self.iterations_max }
    }
}

/// A user's name as it is stored and compared.
pub(super) fn prepared(name: &str) -> Result<String, ScramError> {
    let name = stringprep::saslprep(name).map_err(|_| ScramError::Prohibited)?;
    if name.is_empty() || name.len() > 256 { Err(ScramError::Prohibited) } else { Ok(name.into_owned()) }
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
