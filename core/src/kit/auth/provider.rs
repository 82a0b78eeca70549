use super::key_set::KeySet;
use super::public_key::{PublicKey, PublicKeyError};
use super::refusal::TokenError;
use super::scram::{Credentials, ScramError, prepared_name};
use super::token::Tokens;
use super::used::SingleUse;
use crate::base::{ConnId, Identity, UnixTime};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A backend that checks tokens and stores credentials, such as a table or a database.
///
/// By default, tokens and public keys are refused, no user has a password, and no user can register.
///
/// A backend that cannot answer at once, such as a database, returns `Pending`, and sends the
/// answer to the server as a [note](Self::note). Until then, and at most until the authentication
/// deadline, nothing is read from a peer that is not authenticated.
pub trait Provider<N> {
    /// Checks a token that a peer has sent, and returns the verdict.
    fn token(&mut self, conn: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        let _ = (conn, token, now);
        Verdict::Refused("tokens are not accepted here".into())
    }

    /// Decides whether a user may log in with a public key, and returns the verdict.
    ///
    /// SSH listeners with [`takes_keys`](crate::wire::ssh::SshServer::takes_keys) ask. `user` is the name as the client sent
    /// it. `key` is as in a line of OpenSSH's `authorized_keys`, without options and comment, such as
    /// `ssh-ed25519 AAAAC3Nza...`. The [identity](Verdict::Accepted) of the connection may have another name than `user`.
    ///
    /// A key is asked about twice: when the client offers it, and when the client has proved to hold it. So the
    /// function must change nothing. A refused offer does not count as a failure, because clients offer all their
    /// keys. By default, each key is refused.
    fn public_key(&mut self, conn: ConnId, user: &str, key: &str) -> Verdict {
        let _ = (conn, user, key);
        Verdict::Refused("public keys are not accepted here".into())
    }

    /// Looks up the user that a peer wants to log in as with a password.
    ///
    /// The name is prepared with SASLprep (RFC 4013).
    fn account(&mut self, conn: ConnId, user: &str) -> Lookup {
        let _ = (conn, user);
        Lookup::Unknown
    }

    /// Returns the current account of a user whose password was right. `None` refuses the login.
    ///
    /// An exchange of messages has passed since [`account`](Self::account): the password may have
    /// changed meanwhile. By default, the account stays as it was.
    fn confirm(&mut self, account: Account) -> Option<Account> {
        Some(account)
    }

    /// Returns the iteration count of the fake credentials of unknown users. Default: 10,000.
    ///
    /// If all users have the same number, a user that does not exist costs as much work as one that
    /// does.
    fn iterations(&mut self) -> u32 {
        10_000
    }

    /// Registers a user. Called only if [registration](super::Authentication::registration) is open.
    ///
    /// `user` is a name as [`parse_user_name`](super::parse_user_name) returns it. Refuse a name
    /// whose [`confusable_key`](crate::kit::names::confusable_key) another user has. `password` is
    /// within the rules. Store only its [hash](super::scram::Credentials::new), which takes
    /// milliseconds: compute it on another thread.
    fn register(&mut self, conn: ConnId, user: &str, password: &str) -> Registration {
        let _ = (conn, user, password);
        Registration::Refused("nobody can register here".into())
    }

    /// Handles a note from outside. Returns its connection and the answer, if it carries an answer.
    ///
    /// Such an answer ends a step that is `Pending`. A [`Verdict`] may also authenticate a
    /// connection that sent no proof, or renew an authentication. The application receives any
    /// other note.
    ///
    /// # Errors
    /// The note, if it carries no answer.
    fn note(&mut self, note: N) -> Result<(ConnId, LateAnswer), N> {
        Err(note)
    }
}

/// The answer of a [`Provider`] that arrives as a [note](Provider::note).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LateAnswer {
    /// The verdict on a token.
    Verdict(Verdict),
    /// The account of a user.
    Account(Lookup),
    /// The outcome of a registration.
    Registration(Registration),
}

impl From<Verdict> for LateAnswer {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl From<Lookup> for LateAnswer {
    fn from(lookup: Lookup) -> Self {
        Self::Account(lookup)
    }
}

impl From<Registration> for LateAnswer {
    fn from(registration: Registration) -> Self {
        Self::Registration(registration)
    }
}

/// A user with a password: the stored credentials, and who the user is after the login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The stored form of the password.
    pub credentials: Credentials,
    /// The identity of the user's connections.
    pub identity: Identity,
}

impl Account {
    /// Creates the account of a user.
    #[must_use]
    pub const fn new(credentials: Credentials, identity: Identity) -> Self {
        Self { credentials, identity }
    }
}

/// The answer of a [`Provider`] about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// The user exists.
    Found(Box<Account>),
    /// There is no such user. To the peer, this looks like a wrong password.
    Unknown,
    /// The user cannot be looked up now, for this reason, which the peer receives.
    Unavailable(Cow<'static, str>),
    /// The answer follows as a [note](Provider::note).
    Pending,
}

impl From<Option<Account>> for Lookup {
    fn from(account: Option<Account>) -> Self {
        account.map_or(Self::Unknown, |account| Self::Found(Box::new(account)))
    }
}

/// The answer of a [`Provider`] about a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Registration {
    /// The user is stored, with this account. The connection is authenticated with its identity.
    Registered(Box<Account>),
    /// Another user has this name or one that looks like it.
    NameTaken,
    /// The user cannot be stored, for this reason, which the peer receives.
    Refused(Cow<'static, str>),
    /// The answer follows as a [note](Provider::note).
    Pending,
}

/// The decision of a [`Provider`] about a token or a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The token or the key is valid for this user.
    Accepted(Identity),
    /// The token is valid for this user, unless it was used before.
    AcceptedOnce(Identity, SingleUse),
    /// The token is refused, for this reason, which the peer receives. For a key, only the log has the reason.
    Refused(Cow<'static, str>),
    /// The verdict follows as a [note](Provider::note). A renewal does not pause reading.
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

/// The built-in [`Provider`]: a table of users with passwords and public keys, a shared password, and a token verifier.
///
/// Each of them is optional.
///
/// Each shard may have a clone, because a running server does not change it.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    shared: Option<Credentials>,
    users: Arc<BTreeMap<String, User>>,
    /// The user of each public key, by the text of the key.
    keys: Arc<BTreeMap<PublicKey, String>>,
    /// The largest iteration count of all passwords, or 0 if there are none.
    iterations_max: u32,
    tokens: Option<Tokens>,
}

#[derive(Clone, Debug)]
struct User {
    /// `None`: the user logs in with public keys alone.
    credentials: Option<Credentials>,
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
        Arc::make_mut(&mut self.users).insert(name, User { credentials: Some(credentials), scopes });
        Ok(self)
    }

    /// Adds a user without a password, or replaces one. The user can log in only with [public keys](Self::public_key).
    ///
    /// The shared password is not valid for this user.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    pub fn user_without_password<'s>(
        mut self,
        name: &str,
        scopes: impl IntoIterator<Item = &'s str>,
    ) -> Result<Self, ScramError> {
        let scopes = scopes.into_iter().map(Arc::from).collect();
        Arc::make_mut(&mut self.users).insert(prepared_name(name)?, User { credentials: None, scopes });
        Ok(self)
    }

    /// Lets a user of the table log in with a public key, on SSH listeners that
    /// [ask for it](crate::wire::ssh::SshServer::takes_keys).
    ///
    /// # Errors
    /// If there is no such user, or if another user has the same key.
    pub fn public_key(mut self, user: &str, key: PublicKey) -> Result<Self, PublicKeyError> {
        let user = prepared_name(user).ok().filter(|user| self.users.contains_key(user));
        let user = user.ok_or(PublicKeyError::NoUser)?;
        match Arc::make_mut(&mut self.keys).entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(user);
            }
            Entry::Occupied(entry) if *entry.get() == user => {}
            Entry::Occupied(entry) => return Err(PublicKeyError::Taken { user: entry.get().clone() }),
        }
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

    /// Returns the names of the users in the table, in order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    /// Checks a token, and returns the verdict.
    #[must_use]
    pub fn verdict(&self, token: &str, now: Option<UnixTime>) -> Verdict {
        match &self.tokens {
            None => Verdict::Refused("tokens are not accepted here".into()),
            Some(tokens) => tokens.identity(token, now).into(),
        }
    }

    /// Decides whether a user may log in with a public key, as [`Provider::public_key`] receives it.
    #[must_use]
    pub fn key_verdict(&self, user: &str, key: &str) -> Verdict {
        let owner = key.parse().ok().and_then(|key: PublicKey| self.keys.get(&key));
        match owner.filter(|owner| prepared_name(user).is_ok_and(|user| user == **owner)) {
            Some(owner) => Verdict::Accepted(self.identity(owner)),
            None => Verdict::Refused("it is no key of this user".into()),
        }
    }

    /// Returns `true` if the table has this user, with or without a password.
    #[must_use]
    pub fn has_user(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// Returns the credentials of a user, or the shared ones. `None` if there are neither.
    #[must_use]
    pub fn credentials(&self, user: &str) -> Option<&Credentials> {
        match self.users.get(user) {
            Some(account) => account.credentials.as_ref(),
            None => self.shared.as_ref(),
        }
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

impl Accounts {
    /// Returns the account of a user, or one with the shared password. `None` if there is neither.
    #[must_use]
    pub fn account(&self, user: &str) -> Option<Account> {
        let credentials = self.credentials(user)?.clone();
        Some(Account::new(credentials, self.identity(user)))
    }

    /// Returns the current account of the same user, if the password is still the same.
    #[must_use]
    pub fn confirm(&self, account: &Account) -> Option<Account> {
        self.account(&account.identity.user).filter(|current| current.credentials == account.credentials)
    }
}

impl<N> Provider<N> for Accounts {
    fn token(&mut self, _: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        self.verdict(token, now)
    }

    fn public_key(&mut self, _: ConnId, user: &str, key: &str) -> Verdict {
        self.key_verdict(user, key)
    }

    fn account(&mut self, _: ConnId, user: &str) -> Lookup {
        Self::account(self, user).into()
    }

    fn confirm(&mut self, account: Account) -> Option<Account> {
        Self::confirm(self, &account)
    }

    fn iterations(&mut self) -> u32 {
        Self::iterations(self)
    }
}
