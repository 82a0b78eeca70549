use super::claims::Claims;
use super::scram::hmac;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use subtle::ConstantTimeEq;

/// Minimum length of an HS256 secret, in bytes (RFC 7518 section 3.2).
const SECRET_MIN_BYTES: usize = 32;

/// A key that verifies tokens. A secret or private key also signs them.
#[derive(Clone)]
pub struct TokenKey(Kind);

#[derive(Clone)]
enum Kind {
    Hs256(Arc<[u8]>),
    Ed25519Public(VerifyingKey),
    Ed25519(SigningKey),
}

/// Why a token key is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenKeyError {
    /// An HS256 secret of fewer than 32 bytes, which an attacker could guess.
    #[error("an HS256 secret needs at least {SECRET_MIN_BYTES} bytes")]
    TooShort,
    /// An Ed25519 public key that is not a point on the curve, or is a weak point.
    #[error("these bytes are not a valid Ed25519 public key")]
    NoPublicKey,
}

impl TokenKey {
    /// Creates a key that signs and verifies tokens with HS256.
    ///
    /// # Errors
    /// If the secret has fewer than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, TokenKeyError> {
        if secret.len() < SECRET_MIN_BYTES {
            Err(TokenKeyError::TooShort)
        } else {
            Ok(Self(Kind::Hs256(secret.into())))
        }
    }

    /// Creates a key that verifies tokens with Ed25519.
    ///
    /// # Errors
    /// If the bytes are not a public key, or a weak one.
    pub fn ed25519_public(key: &[u8; 32]) -> Result<Self, TokenKeyError> {
        let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak());
        key.map(|key| Self(Kind::Ed25519Public(key))).ok_or(TokenKeyError::NoPublicKey)
    }

    /// Creates a key that signs and verifies tokens with Ed25519, from the seed of a private key.
    #[must_use]
    pub fn ed25519(seed: &[u8; 32]) -> Self {
        Self(Kind::Ed25519(SigningKey::from_bytes(seed)))
    }

    /// Returns the public half of an Ed25519 key, or `None` for HS256.
    #[must_use]
    pub fn public(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Kind::Hs256(_) => None,
            Kind::Ed25519Public(key) => Some(key.to_bytes()),
            Kind::Ed25519(key) => Some(key.verifying_key().to_bytes()),
        }
    }

    /// Signs a token with these claims. Returns `None` if the key is public.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, self.algorithm());
        let claims = serde_json::to_string(claims).ok()?;
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = match &self.0 {
            Kind::Hs256(secret) => hmac(secret, token.as_bytes()).to_vec(),
            Kind::Ed25519(key) => key.sign(token.as_bytes()).to_bytes().to_vec(),
            Kind::Ed25519Public(_) => return None,
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }

    /// Returns the `alg` of the tokens of this key (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub(super) fn algorithm(&self) -> &'static str {
        match self.0 {
            Kind::Hs256(_) => "HS256",
            Kind::Ed25519Public(_) | Kind::Ed25519(_) => "EdDSA",
        }
    }

    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let ed25519 = |key: &VerifyingKey| {
            let signature = Signature::from_slice(signature);
            signature.is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok())
        };
        match &self.0 {
            Kind::Hs256(secret) => bool::from(hmac(secret, signed).ct_eq(signature)),
            Kind::Ed25519Public(key) => ed25519(key),
            Kind::Ed25519(key) => ed25519(&key.verifying_key()),
        }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenKey").field(&self.algorithm()).finish()
    }
}
