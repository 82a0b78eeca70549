//! Tokens that the server issues to authenticated peers.

use super::provider::Account;
use super::scram::{Credentials, hmac};
use super::token::TOKEN_MAX_BYTES;
use super::{Claims, TokenError, TokenKey, Tokens};
use crate::base::{ConnId, Identity, UnixTime, setters};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::time::Duration;
use serde_json::{Map, Value};

/// The rules for the tokens that [`Authentication`](super::Authentication::issue_tokens) issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuedTokens {
    /// Lifetime of a token, in whole seconds. At least 1 s. Default: 5 minutes.
    pub lifetime: Duration,
    /// Maximum age of the user's last proof that was no issued token. Default: 12 hours.
    ///
    /// A token authenticates a connection, which can request the next token. This time ends such a
    /// chain. A token that is based on a password also ends when the password is changed or its user
    /// is removed.
    pub chain: Duration,
}

setters!(IssuedTokens { lifetime: Duration, chain: Duration });

impl Default for IssuedTokens {
    /// Returns a lifetime of 5 minutes, for 12 hours after the last other proof.
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(300), chain: Duration::from_secs(12 * 3_600) }
    }
}

/// The claim with the time of the last proof that was no issued token (OpenID Connect Core
/// 1.0 section 2).
const AUTH_TIME: &str = "auth_time";
/// The claim with the time at which the session expires, if it does, in seconds since 1970.
const SESSION_EXPIRES: &str = "session_exp";
/// The claim with the fingerprint of the password's stored form, for a user who has one.
const ACCOUNT: &str = "account";
/// The claims that a new token does not take over from the identity.
const OWN_CLAIMS: [&str; 11] =
    ["sub", "iss", "aud", "exp", "nbf", "iat", "jti", "scope", AUTH_TIME, SESSION_EXPIRES, ACCOUNT];

/// The issuer of tokens, and the times of the proofs on which they are based.
pub(super) struct Issuer {
    rules: IssuedTokens,
    key: TokenKey,
    tokens: Tokens,
    /// The last proof that was no issued token, by authenticated connection.
    proofs: BTreeMap<ConnId, Basis>,
}

/// The last proof of a user that was no issued token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    pub(super) at: UnixTime,
    /// The fingerprint of the password's stored form. `None`: the proof was no password.
    pub(super) account: Option<String>,
}

/// An issued token, verified: the user, and the proof on which the token is based.
pub(super) struct Verified {
    pub(super) identity: Identity,
    pub(super) basis: Basis,
}

impl Verified {
    /// Returns the account for the token's session, if it is the account of the proof.
    ///
    /// It has its present scopes, and expires with the session.
    pub(super) fn of_account(&self, secret: &[u8; 32], account: Account) -> Option<Account> {
        let is_same = self.basis.account.as_ref() == Some(&fingerprint(secret, &account.credentials));
        let identity = Identity { expires_at: self.identity.expires_at, ..account.identity };
        is_same.then_some(Account { identity, ..account })
    }
}

/// Returns a fingerprint of a password's stored form, which reveals nothing of it.
pub(super) fn fingerprint(secret: &[u8; 32], credentials: &Credentials) -> String {
    let stored = credentials.to_stored();
    URL_SAFE_NO_PAD.encode(&hmac(secret, &[b"account ", stored.as_bytes()].concat())[..16])
}

impl Issuer {
    /// Creates an issuer whose key is derived from the secret of the layer. `None` without HS256.
    pub(super) fn new(rules: IssuedTokens, secret: &[u8; 32]) -> Option<Self> {
        let key = TokenKey::hs256(&hmac(secret, b"issued tokens")).ok()?;
        Some(Self { rules, tokens: Tokens::new(key.clone()), key, proofs: BTreeMap::new() })
    }

    /// Verifies a token. Returns `None` if this issuer has not issued it.
    pub(super) fn verify(&self, token: &str, now: Option<UnixTime>) -> Option<Result<Verified, TokenError>> {
        match self.tokens.identity(token, now) {
            Ok((identity, _)) => Some(verified(identity)),
            Err(error @ (TokenError::Expired | TokenError::NotYet | TokenError::NoClock)) => Some(Err(error)),
            // Another key has signed it.
            Err(_) => None,
        }
    }

    /// Creates a token for a user whose last other proof is `basis`. The error is for the peer.
    pub(super) fn issue(
        &self,
        identity: &Identity,
        basis: Option<Basis>,
        now: UnixTime,
    ) -> Result<String, &'static str> {
        let Basis { at, account } = basis.unwrap_or(Basis { at: now, account: None });
        if now.as_secs().saturating_sub(at.as_secs()) >= self.rules.chain.as_secs() {
            return Err("the login was too long ago; authenticate again first");
        }
        let mut others: Map<String, Value> = identity.claims().unwrap_or_default();
        OWN_CLAIMS.iter().for_each(|name| drop(others.remove(*name)));
        others.insert(AUTH_TIME.into(), at.as_secs().into());
        if let Some(account) = account {
            others.insert(ACCOUNT.into(), account.into());
        }
        if let Some(end) = identity.expires_at {
            others.insert(SESSION_EXPIRES.into(), end.as_secs().into());
        }
        let claims = Claims::of(&identity.user)
            .iat(Some(now.as_secs()))
            .exp(Some(now.as_secs().saturating_add(self.lifetime_secs())))
            .scope(identity.scopes.join(" "))
            .others(others);
        let token = self.key.sign(&claims).filter(|token| token.len() <= TOKEN_MAX_BYTES);
        token.ok_or("the claims of the user are too long for a token")
    }

    pub(super) fn lifetime_secs(&self) -> u64 {
        self.rules.lifetime.as_secs().max(1)
    }

    /// Records the proof on which the login or the renewal of a connection is based.
    pub(super) fn proved(&mut self, conn: ConnId, basis: Basis) {
        self.proofs.insert(conn, basis);
    }

    /// Returns the proof on which the login or the renewal of a connection is based.
    pub(super) fn basis_of(&self, conn: ConnId) -> Option<Basis> {
        self.proofs.get(&conn).cloned()
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.proofs.remove(&conn);
    }
}

/// Returns the identity that an issued token restores: with the scopes and the end of the session.
fn verified(identity: Identity) -> Result<Verified, TokenError> {
    let seconds = |name| identity.claim(name).and_then(|claim| claim.as_u64()).map(UnixTime::from_secs);
    let at = seconds(AUTH_TIME).ok_or(TokenError::Malformed)?;
    let account = identity.claim(ACCOUNT).and_then(|claim| Some(claim.as_str()?.to_owned()));
    let expires_at = seconds(SESSION_EXPIRES);
    Ok(Verified { identity: Identity { expires_at, ..identity }, basis: Basis { at, account } })
}
