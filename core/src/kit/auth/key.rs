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

/// A shorter key could be guessed (RFC 7518 section 3.2).
const SECRET_MIN_BYTES: usize = 32;

/// A key that checks tokens, and signs them if it can.
#[derive(Clone)]
pub struct TokenKey(Kind);

#[derive(Clone)]
enum Kind {
    Hs256(Arc<[u8]>),
    Ed25519Public(VerifyingKey),
    Ed25519(SigningKey),
}

/// Not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenKeyError {
    /// A secret for HS256 that could be guessed.
    #[error("a secret for HS256 has at least {SECRET_MIN_BYTES} bytes")]
    TooShort,
    /// Bytes that are no point on the curve, or a weak one.
    #[error("these bytes are no public key of Ed25519")]
    NoPublicKey,
}

impl TokenKey {
    /// A secret that signs and checks with HS256.
    ///
    /// # Errors
    /// If it has less than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, TokenKeyError> {
        if secret.len() < SECRET_MIN_BYTES {
            Err(TokenKeyError::TooShort)
        } else {
            Ok(Self(Kind::Hs256(secret.into())))
        }
    }

    /// A public key that checks with EdDSA over Ed25519.
    ///
    /// # Errors
    /// If the bytes are no public key.
    pub fn ed25519_public(key: &[u8; 32]) -> Result<Self, TokenKeyError> {
        let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak());
        key.map(|key| Self(Kind::Ed25519Public(key))).ok_or(TokenKeyError::NoPublicKey)
    }

    /// A private key, its seed, that signs and checks with EdDSA over Ed25519.
    #[must_use]
    pub fn ed25519(seed: &[u8; 32]) -> Self {
        Self(Kind::Ed25519(SigningKey::from_bytes(seed)))
    }

    /// The public half of a key of Ed25519.
    #[must_use]
    pub fn public(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Kind::Hs256(_) => None,
            Kind::Ed25519Public(key) => Some(key.to_bytes()),
            Kind::Ed25519(key) => Some(key.verifying_key().to_bytes()),
        }
    }

    /// A token that says this; `None` if the key is public and can't sign.
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

    /// As it stands in a token's header (RFC 7518 section 3.1, RFC 8037 section 3.1).
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
