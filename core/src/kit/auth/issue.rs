//! Tokens that the server issues to authenticated peers.

use super::scram::hmac;
use super::token::TOKEN_MAX_BYTES;
use super::{Claims, TokenError, TokenKey, Tokens};
use crate::base::{ConnId, Identity, UnixTime, setters};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;
use serde_json::{Map, Value};

/// The rules for the tokens that [`Authentication`](super::Authentication::issue_tokens) issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuedTokens {
    /// Lifetime of a token, in whole seconds. At least 1 s. Default: 5 minutes.
    pub lifetime: Duration,
    /// Time after the last other proof of the user in which tokens are issued. Default: 12 hours.
    ///
    /// A token authenticates a connection, which can request the next token. This time ends such a
    /// chain: a password that was changed, and a user that was removed, lose their effect after it.
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
/// The claims that a new token does not take over from the identity.
const OWN_CLAIMS: [&str; 10] = ["sub", "iss", "aud", "exp", "nbf", "iat", "jti", "scope", AUTH_TIME, SESSION_EXPIRES];

/// The issuer of tokens, and the times of the proofs on which they are based.
pub(super) struct Issuer {
    rules: IssuedTokens,
    key: TokenKey,
    tokens: Tokens,
    /// The time of the last proof that was no issued token, by authenticated connection.
    proofs: BTreeMap<ConnId, UnixTime>,
}

/// An issued token, verified: the user, and the time of the last other proof.
pub(super) struct Verified {
    pub(super) identity: Identity,
    pub(super) proof: UnixTime,
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

    /// Creates a token for a user whose last other proof was at `proof`. The error is for the peer.
    pub(super) fn issue(
        &self,
        identity: &Identity,
        proof: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<String, &'static str> {
        let proof = proof.unwrap_or(now);
        if now.as_secs().saturating_sub(proof.as_secs()) >= self.rules.chain.as_secs() {
            return Err("the login was too long ago; authenticate again first");
        }
        let mut others: Map<String, Value> = identity.claims().unwrap_or_default();
        OWN_CLAIMS.iter().for_each(|name| drop(others.remove(*name)));
        others.insert(AUTH_TIME.into(), proof.as_secs().into());
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

    /// Records the time of the proof that a connection's login or renewal is based on.
    pub(super) fn proved(&mut self, conn: ConnId, at: UnixTime) {
        self.proofs.insert(conn, at);
    }

    /// Returns the time of the proof that a connection's login or renewal is based on.
    pub(super) fn proof_of(&self, conn: ConnId) -> Option<UnixTime> {
        self.proofs.get(&conn).copied()
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.proofs.remove(&conn);
    }
}

/// Returns the identity that an issued token restores: with the scopes and the end of the session.
fn verified(identity: Identity) -> Result<Verified, TokenError> {
    let seconds = |name| identity.claim(name).and_then(|claim| claim.as_u64()).map(UnixTime::from_secs);
    let proof = seconds(AUTH_TIME).ok_or(TokenError::Malformed)?;
    let expires_at = seconds(SESSION_EXPIRES);
    Ok(Verified { identity: Identity { expires_at, ..identity }, proof })
}
