use super::claims::Claims;
use super::der;
use super::scram::hmac;
use super::signature::SignatureVerifier;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use core::ops::RangeInclusive;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use subtle::ConstantTimeEq;

/// Minimum length of an HS256 secret, in bytes (RFC 7518 section 3.2).
const SECRET_MIN_BYTES: usize = 32;

/// Minimum and maximum size of the modulus of an RSA key, in bits.
///
/// The minimum is that of RFC 7518 section 3.3. The maximum bounds the work for a token.
const RSA_BITS: RangeInclusive<usize> = 2_048..=8_192;
/// Maximum size of the public exponent of an RSA key, in bits. It bounds the work for a token.
const RSA_EXPONENT_MAX_BITS: usize = 33;

/// A key that verifies tokens. A secret or private key also signs them.
///
/// A key has one algorithm, whatever the header of a token says. So no token can have a public key
/// used as an HS256 secret.
#[derive(Clone)]
pub struct TokenKey(Kind);

#[derive(Clone)]
enum Kind {
    Hs256(Arc<[u8]>),
    Ed25519Public(VerifyingKey),
    Ed25519(SigningKey),
    /// The `RSAPublicKey` in DER (RFC 8017 appendix A.1.1), and its signature verifier.
    Rs256(Arc<[u8]>, Arc<dyn SignatureVerifier>),
    /// The P-256 key as an uncompressed point (SEC 1 section 2.3.3), and its signature verifier.
    Es256(Arc<[u8; 65]>, Arc<dyn SignatureVerifier>),
}

/// The algorithm of a key. The header of a token names it (`alg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    EdDsa,
    Rs256,
    Es256,
}

impl Algorithm {
    /// Parses the `alg` of a token or a key. Returns `None` if it is unsupported, such as `none`.
    ///
    /// The names are those of RFC 7518 section 3.1, RFC 8037 section 3.1 and RFC 9864 section 2.2.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
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
    /// An RSA modulus of fewer than 2048 or more than 8192 bits.
    ///
    /// An attacker could factor a shorter one, and a longer one takes too much work.
    #[error("an RSA key needs {} to {} bits, not {bits}", RSA_BITS.start(), RSA_BITS.end())]
    RsaBits {
        /// The size of the modulus.
        bits: usize,
    },
    /// An RSA modulus or exponent that is even, or an exponent of 1 or of more than 33 bits.
    #[error("these numbers are not a valid RSA public key")]
    NoRsaKey,
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
    /// If the bytes are not a public key, or are a weak one.
    pub fn ed25519_public(key: &[u8; 32]) -> Result<Self, TokenKeyError> {
        let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak());
        key.map(|key| Self(Kind::Ed25519Public(key))).ok_or(TokenKeyError::NoPublicKey)
    }

    /// Creates a key that signs and verifies tokens with Ed25519, from the seed of a private key.
    #[must_use]
    pub fn ed25519(seed: &[u8; 32]) -> Self {
        Self(Kind::Ed25519(SigningKey::from_bytes(seed)))
    }

    /// Creates a key that verifies tokens with RS256, from its modulus and its public exponent.
    ///
    /// Both are big-endian, as in a JSON Web Key (RFC 7518 section 6.3.1).
    ///
    /// # Errors
    /// If the modulus does not have 2048 to 8192 bits, or the numbers are not an RSA key.
    pub fn rs256(modulus: &[u8], exponent: &[u8], verifier: Arc<dyn SignatureVerifier>) -> Result<Self, TokenKeyError> {
        let bits = bits_of(modulus);
        if !RSA_BITS.contains(&bits) {
            return Err(TokenKeyError::RsaBits { bits });
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !is_odd(modulus) || !is_odd(exponent) || !(2..=RSA_EXPONENT_MAX_BITS).contains(&bits_of(exponent)) {
            return Err(TokenKeyError::NoRsaKey);
        }
        let key = der::sequence(&[&der::unsigned(modulus), &der::unsigned(exponent)]);
        Ok(Self(Kind::Rs256(key.into(), verifier)))
    }

    /// Creates a key that verifies tokens with ES256, from the coordinates of its point on P-256.
    ///
    /// A key that is not on the curve verifies nothing.
    #[must_use]
    pub fn es256(x: &[u8; 32], y: &[u8; 32], verifier: Arc<dyn SignatureVerifier>) -> Self {
        let mut point = [4; 65];
        for (to, from) in point.iter_mut().skip(1).zip(x.iter().chain(y)) {
            *to = *from;
        }
        Self(Kind::Es256(Arc::new(point), verifier))
    }

    /// Returns the public half of an Ed25519 key, or `None` for other keys.
    #[must_use]
    pub fn public(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Kind::Hs256(_) | Kind::Rs256(..) | Kind::Es256(..) => None,
            Kind::Ed25519Public(key) => Some(key.to_bytes()),
            Kind::Ed25519(key) => Some(key.verifying_key().to_bytes()),
        }
    }

    /// Creates a signed token with these claims. Returns `None` if the key is public.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, self.algorithm().name());
        let claims = serde_json::to_string(claims).ok()?;
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = match &self.0 {
            Kind::Hs256(secret) => hmac(secret, token.as_bytes()).to_vec(),
            Kind::Ed25519(key) => key.sign(token.as_bytes()).to_bytes().to_vec(),
            Kind::Ed25519Public(_) | Kind::Rs256(..) | Kind::Es256(..) => return None,
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Hs256(_) => Algorithm::Hs256,
            Kind::Ed25519Public(_) | Kind::Ed25519(_) => Algorithm::EdDsa,
            Kind::Rs256(..) => Algorithm::Rs256,
            Kind::Es256(..) => Algorithm::Es256,
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
            Kind::Rs256(key, verifier) => verifier.rs256(key, signed, signature),
            Kind::Es256(key, verifier) => {
                <&[u8; 64]>::try_from(signature).is_ok_and(|signature| verifier.es256(key, signed, signature))
            }
        }
    }
}

/// Returns the number of bits of a big-endian number, without leading zeros.
fn bits_of(number: &[u8]) -> usize {
    let number = der::trimmed(number);
    let zeros = number.first().map_or(0, |first| first.leading_zeros());
    number.len().saturating_mul(8).saturating_sub(usize::try_from(zeros).unwrap_or_default())
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenKey").field(&self.algorithm().name()).finish()
    }
}
