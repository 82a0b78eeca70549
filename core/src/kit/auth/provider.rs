use super::scram::{Credentials, ScramError};
use super::token::Tokens;
use crate::{ConnId, Identity, UnixTime};
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
pub enum Verdict {
    /// It is this user.
    Accepted(Identity),
    /// It is not good, for this reason, which the peer is told.
    Refused(Cow<'static, str>),
    /// That takes a while, and will be told by a [note](Provider::note). Before the peer is known, nothing else is heard of it
    /// meanwhile, until the deadline for authentication; a renewal goes on beside its messages.
    Pending,
}

/// Users with passwords, tokens, or both: the [`Provider`] for who has no other.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    shared: Option<Credentials>,
    users: BTreeMap<String, Account>,
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
        Self { shared: Some(credentials), ..self }
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
        self.users.insert(name, Account { credentials, scopes });
        Ok(self)
    }

    /// Whoever has a token.
    #[must_use]
    pub fn tokens(self, tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..self }
    }
}

/// A user's name as it is stored and compared.
pub(super) fn prepared(name: &str) -> Result<String, ScramError> {
    let name = stringprep::saslprep(name).map_err(|_| ScramError::Prohibited)?;
    if name.is_empty() || name.len() > 256 { Err(ScramError::Prohibited) } else { Ok(name.into_owned()) }
}

impl<N> Provider<N> for Accounts {
    fn token(&mut self, _: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        let Some(tokens) = &mut self.tokens else {
            return Verdict::Refused("tokens are not accepted here".into());
        };
        match tokens.identity(token, now) {
            Ok(identity) => Verdict::Accepted(identity),
            Err(error) => Verdict::Refused(error.to_string().into()),
        }
    }

    fn credentials(&mut self, user: &str) -> Option<Credentials> {
        self.users.get(user).map(|account| &account.credentials).or(self.shared.as_ref()).cloned()
    }

    fn identity(&mut self, user: &str) -> Identity {
        let scopes = self.users.get(user).map(|account| account.scopes.clone()).unwrap_or_default();
        Identity { scopes, ..Identity::user(user) }
    }
}
