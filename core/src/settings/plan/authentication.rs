//! Validation of the authentication settings, and their conversion to accounts and limits.

use crate::config::PageLogin;
use crate::kit::auth::scram::{Credentials, ScramError};
use crate::kit::auth::{
    Accounts, AuthenticationLimits, DuplicateLogin, IssuedTokens, KeySet, PublicKey, PublicKeyError, RegistrationRules,
    Tokens, scram,
};
use crate::settings::passwords::HashedPasswords;
use crate::settings::plan::problems::Problems;
use crate::settings::secret::Secret;
use crate::settings::token_keys::{KeySetSource, ONE_KEY, TokenProblem};
use crate::settings::tree::{AuthenticationSettings, DuplicateChoice, Settings, UserSettings};
use crate::settings::units::Maybe;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

/// The checked settings for the authentication of peers.
#[derive(Clone, PartialEq)]
pub struct AuthenticationPlan {
    settings: AuthenticationSettings,
    /// Limits on the duration of authentication and on failed authentications.
    pub limits: AuthenticationLimits,
    /// Whether a token is also accepted in the query of a WebSocket's URL.
    pub token_in_query: bool,
    /// Whether telnet and line peers are prompted for name and password.
    pub dialogue: bool,
    /// Whether password prompts, and passwords in JSON, are allowed on networks without TLS.
    pub allow_plaintext: bool,
    /// What happens when a user who is already connected connects again.
    pub duplicates: DuplicateLogin,
    /// The rules for peers that register, if they can.
    pub registration: Option<RegistrationRules>,
    /// The rules for tokens that the server issues, if it issues any.
    pub issue_tokens: Option<IssuedTokens>,
    /// The path of the HTTP endpoint that exchanges tokens, if there is one.
    pub token_path: Option<String>,
    /// The file in which the program stores further users, if one is configured.
    ///
    /// [`accounts`](Self::accounts) has only the users of the configuration.
    pub store: Option<String>,
    /// Number of iterations of the password hash of new users.
    pub iterations: u32,
}

impl fmt::Debug for AuthenticationPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationPlan")
    }
}

impl AuthenticationPlan {
    /// Returns the file or the URL of the set of public keys for tokens, if one is configured.
    ///
    /// The caller reads or fetches the set, and passes it to [`accounts`](Self::accounts).
    #[must_use]
    pub fn key_set(&self) -> Option<KeySetSource> {
        self.settings.tokens.as_ref().and_then(|tokens| tokens.keys().source())
    }

    /// Creates the accounts: the users, the shared password, and the keys for tokens.
    ///
    /// `keys` is the set of [`key_set`](Self::key_set), if the configuration has one.
    ///
    /// Hashes new passwords, which takes milliseconds for each: call this method on a thread that
    /// serves no connections.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub fn accounts(
        &self,
        hashed: &mut HashedPasswords,
        keys: Option<Arc<KeySet>>,
    ) -> Result<Accounts, (String, String)> {
        let AuthenticationSettings { users, shared_password, shared_password_hash, iterations, .. } = &self.settings;
        let mut accounts = Accounts::new();
        if !shared_password_hash.is_empty() {
            let stored = Credentials::from_stored(shared_password_hash.reveal());
            let blame = |error: ScramError| ("authentication.shared_password_hash".into(), error.to_string());
            accounts = accounts.shared_password(stored.map_err(blame)?);
        } else if !shared_password.is_empty() {
            let credentials = hashed.get(None, shared_password.reveal(), *iterations);
            let blame = |error: ScramError| ("authentication.shared_password".into(), error.to_string());
            accounts = accounts.shared_password(credentials.map_err(blame)?);
        }
        for (name, user) in users {
            let key = || format!("authentication.users.{name}");
            let blame = |part: &'static str| move |error: ScramError| (key() + part, error.to_string());
            let scopes = user.scopes.iter().map(String::as_str);
            accounts = if !user.password_hash.is_empty() {
                let stored = Credentials::from_stored(user.password_hash.reveal()).map_err(blame(".password_hash"))?;
                accounts.user(name, stored, scopes).map_err(blame(""))?
            } else if !user.password.is_empty() {
                let new = hashed.get(Some(name), user.password.reveal(), *iterations).map_err(blame(".password"))?;
                accounts.user(name, new, scopes).map_err(blame(""))?
            } else {
                accounts.user_without_password(name, scopes).map_err(blame(""))?
            };
        }
        accounts = self.with_keys(accounts)?;
        let has_password = |user: &str| users.get(user).is_some_and(|user| !user.password.is_empty());
        hashed.retain(|user| user.map_or(!shared_password.is_empty(), has_password));
        match self.tokens(keys)? {
            Some(tokens) => Ok(accounts.tokens(tokens)),
            None => Ok(accounts),
        }
    }

    /// Returns `true` if a user of the configuration has public keys.
    #[must_use]
    pub fn has_public_keys(&self) -> bool {
        self.settings.users.values().any(|user| !user.keys.is_empty())
    }

    /// Adds the public keys of the users, who must be in the accounts.
    fn with_keys(&self, mut accounts: Accounts) -> Result<Accounts, (String, String)> {
        for (name, user) in &self.settings.users {
            for (key, number) in user.keys.iter().zip(1..) {
                let blame = |error: PublicKeyError| {
                    (format!("authentication.users.{name}.keys"), format!("key {number}: {error}"))
                };
                let key: PublicKey = key.parse().map_err(blame)?;
                accounts = accounts.public_key(name, key).map_err(blame)?;
            }
        }
        Ok(accounts)
    }

    /// Checks users, passwords and token keys without hashing the passwords.
    fn check(&self) -> Result<(), (String, String)> {
        let AuthenticationSettings { users, shared_password, shared_password_hash, iterations, .. } = &self.settings;
        let check_hash = |key: String, hash: &Secret| {
            Credentials::from_stored(hash.reveal()).map(drop).map_err(|error: ScramError| (key, error.to_string()))
        };
        let both = |key: String| (key, "a password is set as well; set only one of them".to_string());
        if !shared_password_hash.is_empty() {
            let key = "authentication.shared_password_hash";
            if !shared_password.is_empty() {
                return Err(both(key.into()));
            }
            check_hash(key.into(), shared_password_hash)?;
        }
        let check = |key: String, password: &str| {
            scram::check(password, *iterations).map_err(|error: ScramError| (key, error.to_string()))
        };
        if !shared_password.is_empty() {
            check("authentication.shared_password".into(), shared_password.reveal())?;
        }
        let (mut names, mut accounts) = (BTreeSet::new(), Accounts::new());
        for (name, user) in users {
            match (user.password.is_empty(), user.password_hash.is_empty()) {
                (true, true) if user.keys.is_empty() => {
                    let words = "a user needs a password or keys: set password, password_file, password_hash or keys";
                    return Err((format!("authentication.users.{name}"), words.into()));
                }
                (true, true) => {}
                (false, false) => return Err(both(format!("authentication.users.{name}.password_hash"))),
                (false, true) => check(format!("authentication.users.{name}.password"), user.password.reveal())?,
                (true, false) => check_hash(format!("authentication.users.{name}.password_hash"), &user.password_hash)?,
            }
            let words = match scram::prepared_name(name) {
                Ok(prepared) if names.insert(prepared.clone()) => {
                    let blame = |error: ScramError| (format!("authentication.users.{name}"), error.to_string());
                    accounts = accounts.user_without_password(name, []).map_err(blame)?;
                    continue;
                }
                Ok(prepared) => format!("another user has an equivalent name; both compare as {prepared}"),
                Err(error) => error.to_string(),
            };
            return Err((format!("authentication.users.{name}"), words));
        }
        self.with_keys(accounts)?;
        match self.key_set() {
            Some(_) => Ok(()),
            None => self.tokens(None).map(drop),
        }
    }

    fn tokens(&self, keys: Option<Arc<KeySet>>) -> Result<Option<Tokens>, (String, String)> {
        let Some(settings) = &self.settings.tokens else { return Ok(None) };
        let tokens = settings.keys().tokens(keys).map_err(blamed)?;
        let tokens = tokens.leeway(settings.leeway.0.as_secs()).scopes_claim(&settings.scopes_claim);
        Ok(Some(match settings.single_use_max {
            Maybe(Some(most)) => tokens.single_use(most.get()),
            Maybe(None) => tokens,
        }))
    }
}

/// The key of the settings for tokens.
pub(super) const TOKENS: &str = "authentication.tokens";

/// Returns the whole key of a problem with tokens, and the problem.
fn blamed((key, words): TokenProblem) -> (String, String) {
    (format!("{TOKENS}.{key}"), words)
}

/// Returns how the page with the WebSocket client logs its user in.
pub(super) fn page_login(settings: &AuthenticationSettings) -> PageLogin {
    let has_password = |user: &UserSettings| !user.password.is_empty() || !user.password_hash.is_empty();
    let has_passwords = settings.users.values().any(has_password)
        || !settings.store.is_empty()
        || !settings.shared_password.is_empty()
        || !settings.shared_password_hash.is_empty();
    match (settings.enabled, settings.registration, has_passwords) {
        (false, ..) => PageLogin::None,
        (true, true, _) => PageLogin::PasswordOrNewUser,
        (true, false, true) => PageLogin::Password,
        (true, false, false) => PageLogin::Token,
    }
}

pub(super) fn authentication(settings: &Settings, problems: &mut Problems<'_>) -> Option<AuthenticationPlan> {
    let auth = &settings.authentication;
    let has_shared = !auth.shared_password.is_empty() || !auth.shared_password_hash.is_empty();
    let has_store = !auth.store.is_empty();
    let proves = !auth.users.is_empty() || has_shared || has_store || auth.tokens.is_some();
    if !auth.enabled {
        if proves {
            let words = "there are users, a store, a password or tokens, but authentication is off; set it to true";
            problems.add("authentication.enabled", words);
        }
        return None;
    }
    if !proves {
        let words = "no peer could authenticate: set users, store, shared_password or tokens";
        problems.add("authentication.enabled", words);
    }
    if has_shared && has_store {
        let words = "with a shared password, anyone could log in under a name that nobody has registered yet: set \
            shared_password or store, not both";
        problems.add("authentication.store", words);
    }
    if auth.registration && !has_store {
        problems.add("authentication.registration", "there is no place for new users: set authentication.store");
    }
    if auth.issue_tokens.0.is_some_and(|lifetime| lifetime.0 > ISSUED_MAX) {
        problems.add("authentication.issue_tokens", "it must be at most 1d: whoever finds a token can use it");
    }
    if let Some(tokens) = &auth.tokens {
        if tokens.keys().count() != 1 {
            problems.add(TOKENS, ONE_KEY);
        }
        if tokens.scopes_claim.is_empty() {
            problems.add("authentication.tokens.scopes_claim", "it is empty; remove it for the claim `scope`");
        }
        for (key, words) in tokens.keys().problems().into_iter().map(blamed) {
            problems.add(&key, words);
        }
    }
    if let Some(tokens) = auth.tokens.as_ref().filter(|tokens| tokens.leeway.0 > LEEWAY_MAX) {
        let words = format!("it must be at most 5m, not {}: clocks differ by less", tokens.leeway);
        problems.add("authentication.tokens.leeway", words);
    }
    let has_tokens = auth.tokens.is_some() || auth.issue_tokens.0.is_some();
    if auth.token_in_query && !has_tokens {
        let words = "there are no tokens: set authentication.tokens or authentication.issue_tokens";
        problems.add("authentication.token_in_query", words);
    }
    if !auth.token_path.is_empty() {
        if !auth.token_path.starts_with('/') || auth.token_path.contains(|c: char| !c.is_ascii_graphic() || c == '?') {
            problems.add(
                "authentication.token_path",
                "it must begin with /, and contain printable ASCII without spaces and question marks",
            );
        }
        if auth.issue_tokens.0.is_none() {
            problems.add("authentication.token_path", "no tokens are issued: set authentication.issue_tokens");
        }
    }
    if auth.iterations < 4_096 {
        problems.add("authentication.iterations", "it must be at least 4096 (RFC 7677)");
    }
    let plan = AuthenticationPlan {
        settings: auth.clone(),
        limits: AuthenticationLimits {
            deadline: auth.deadline.0,
            tries: auth.tries.get(),
            per_address: auth.failures_per_address.get(),
            per_user: auth.failures_per_user.get(),
        },
        token_in_query: auth.token_in_query,
        dialogue: auth.dialogue,
        allow_plaintext: auth.allow_plaintext,
        duplicates: match auth.duplicates {
            DuplicateChoice::KeepBoth => DuplicateLogin::KeepBoth,
            DuplicateChoice::RefuseNew => DuplicateLogin::RefuseNew,
            DuplicateChoice::ReplaceOld => DuplicateLogin::ReplaceOld,
        },
        registration: auth.registration.then(|| {
            let rules = RegistrationRules::default();
            rules.per_address(auth.registrations_per_address.get()).password_chars_min(auth.password_chars_min.get())
        }),
        issue_tokens: auth.issue_tokens.0.map(|lifetime| IssuedTokens::default().lifetime(lifetime.0)),
        token_path: Some(auth.token_path.clone()).filter(|path| !path.is_empty()),
        store: Some(auth.store.clone()).filter(|_| has_store),
        iterations: auth.iterations,
    };
    if auth.iterations >= 4_096
        && let Err((key, words)) = plan.check()
    {
        problems.add(&key, words);
    }
    Some(plan)
}

/// The largest value that [`Tokens::leeway`] accepts.
const LEEWAY_MAX: Duration = Duration::from_secs(300);
/// The longest lifetime of a token that the server issues.
const ISSUED_MAX: Duration = Duration::from_secs(24 * 3_600);
