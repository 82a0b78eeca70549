//! Sets of public keys: JSON Web Key Sets (RFC 7517).

use super::key::{Algorithm, TokenKey, TokenKeyError};
use super::refusal::TokenError;
use super::signature::SignatureVerifier;
use crate::base::text::neutralize;
use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Maximum size of a key set, in bytes: 1 MiB.
pub const KEY_SET_MAX_BYTES: usize = 1 << 20;
/// Maximum number of keys in a key set, of any kind.
const KEYS_MAX: usize = 256;
/// Maximum length of a `kid`, in bytes.
const KID_MAX_BYTES: usize = 256;

/// The public keys of an issuer of tokens, for RS256, ES256 and EdDSA.
///
/// A token names its key by its `kid`. A token without one is accepted only if the set has one key
/// of its algorithm. Keys that cannot be used are [skipped](Self::skipped) (RFC 7517 section 5).
/// Keys for other uses than signatures (`use`) are ignored. The default set is empty, and verifies no token.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<(Option<String>, TokenKey)>,
    skipped: Vec<SkippedKey>,
    for_encryption: usize,
}

/// An unusable key of a key set, and the reason why it is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedKey {
    /// The position of the key in the set, from 0.
    pub index: usize,
    /// The `kid` of the key, in printable form, truncated to 64 characters.
    pub kid: Option<String>,
    /// Why the key is not used.
    pub reason: SkipReason,
}

/// Why a key of a set is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// The key is not a JSON Web Key: a member is missing, malformed or too long.
    #[error("it is not a well-formed key")]
    Malformed,
    /// The type of the key (`kty`) is not supported.
    #[error("keys of the type {0} are not supported")]
    KeyType(String),
    /// The curve is not P-256 or Ed25519.
    #[error("the curve {0} is not supported; use P-256 or Ed25519")]
    Curve(String),
    /// The algorithm (`alg`) is not supported, or does not fit the type of the key.
    #[error("the algorithm {0} is not supported for it; use RS256, ES256 or EdDSA")]
    Algorithm(String),
    /// A secret key (`oct`), with which every reader of the set could sign tokens.
    #[error("it is a secret, which does not belong into a set of public keys; use hs256_secret_file")]
    Secret,
    /// A private key (`d`), with which every reader of the set could sign tokens.
    #[error("it contains the private key; publish the public part only")]
    Private,
    /// The `key_ops` of the key do not include `verify`.
    #[error("it is not for verifying signatures")]
    Operations,
    /// The numbers of the key are weak or invalid.
    #[error("{0}")]
    Key(TokenKeyError),
}

/// Why a key set is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The set is longer than [`KEY_SET_MAX_BYTES`].
    #[error("the key set is longer than {} KiB", KEY_SET_MAX_BYTES >> 10)]
    TooLong,
    /// The text is not a JSON object with an array `keys`.
    #[error("this is not a key set (JSON with an array `keys`): {0}")]
    Malformed(String),
    /// The set has more than 256 keys.
    #[error("the key set has {0} keys; the maximum is {KEYS_MAX}")]
    TooMany(usize),
    /// The set has no keys.
    #[error("the key set has no keys")]
    Empty,
    /// Two usable keys of one algorithm have the same `kid`, or both have none.
    #[error("two {algorithm} keys {}", duplicate_words(.kid.as_deref()))]
    Duplicate {
        /// The `kid` of the keys, in printable form, truncated to 64 characters.
        kid: Option<String>,
        /// The algorithm of the keys.
        algorithm: &'static str,
    },
    /// The set has keys, but none that verifies tokens.
    #[error("the key set has no key that verifies tokens{}", skipped_words(.0))]
    Unusable(Vec<SkippedKey>),
}

impl KeySet {
    /// Parses a key set.
    ///
    /// # Errors
    /// If it is not a set of at most 1 MiB and 256 keys, if it is ambiguous which key a `kid`
    /// names, or if no key of it verifies tokens.
    pub fn parse(text: &[u8], verifier: &Arc<dyn SignatureVerifier>) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Set<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        if text.len() > KEY_SET_MAX_BYTES {
            return Err(KeySetError::TooLong);
        }
        let set: Set<'_> =
            serde_json::from_slice(text).map_err(|error| KeySetError::Malformed(shown(&error.to_string())))?;
        match set.keys.len() {
            0 => return Err(KeySetError::Empty),
            count if count > KEYS_MAX => return Err(KeySetError::TooMany(count)),
            _ => {}
        }
        let mut parsed = Self { keys: Vec::new(), skipped: Vec::new(), for_encryption: 0 };
        let mut names = BTreeSet::new();
        for (index, key) in set.keys.iter().enumerate() {
            // A member of another type makes the key malformed, and not the set.
            let Ok(key) = serde_json::from_str::<Jwk<'_>>(key.get()) else {
                parsed.skipped.push(SkippedKey { index, kid: None, reason: SkipReason::Malformed });
                continue;
            };
            if key.usage.as_deref().is_some_and(|usage| usage != "sig") {
                parsed.for_encryption += 1;
                continue;
            }
            match key.key(verifier) {
                Ok(token_key) => {
                    let kid = key.kid.map(Cow::into_owned);
                    let algorithm = token_key.algorithm().name();
                    if !names.insert((kid.clone(), algorithm)) {
                        return Err(KeySetError::Duplicate { kid: kid.as_deref().map(shown), algorithm });
                    }
                    parsed.keys.push((kid, token_key));
                }
                Err(reason) => {
                    parsed.skipped.push(SkippedKey { index, kid: key.kid.as_deref().map(shown), reason });
                }
            }
        }
        if parsed.keys.is_empty() { Err(KeySetError::Unusable(parsed.skipped)) } else { Ok(parsed) }
    }

    /// Returns the number of keys that verify tokens. It is at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the `kid` of each usable key, and `None` for a key without a `kid`.
    pub fn kids(&self) -> impl Iterator<Item = Option<&str>> {
        self.keys.iter().map(|(kid, _)| kid.as_deref())
    }

    /// Returns the keys that cannot be used, except those for other uses than signatures (`use`).
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Returns a warning about the skipped keys, or `None` if there are none.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let count = self.skipped.len();
        let keys = if count == 1 { "1 key is" } else { &*format!("{count} keys are") };
        (count > 0).then(|| format!("{keys} not used{}", skipped_words(&self.skipped)))
    }

    /// Returns the key that verifies tokens with this algorithm and this `kid`.
    pub(super) fn key(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&TokenKey, TokenError> {
        let of_algorithm = || self.keys.iter().filter(|(_, key)| key.algorithm() == algorithm);
        let Some(kid) = kid else {
            let mut keys = of_algorithm();
            return match (keys.next(), keys.next()) {
                (Some((_, key)), None) => Ok(key),
                (None, _) => Err(TokenError::Signature),
                (Some(_), Some(_)) => Err(TokenError::AmbiguousKey),
            };
        };
        let named = of_algorithm().find(|(known, _)| known.as_deref() == Some(kid));
        match named.or_else(|| of_algorithm().find(|(known, _)| known.is_none())) {
            Some((_, key)) => Ok(key),
            // The key is known, and has another algorithm.
            None if self.kids().any(|known| known == Some(kid)) => Err(TokenError::Signature),
            None => Err(TokenError::UnknownKey),
        }
    }
}

/// A JSON Web Key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
#[derive(Deserialize)]
struct Jwk<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    #[serde(borrow, default)]
    kid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    alg: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "use")]
    usage: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    key_ops: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    crv: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    n: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    e: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    x: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    y: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    d: Option<Cow<'a, str>>,
}

impl Jwk<'_> {
    fn key(&self, verifier: &Arc<dyn SignatureVerifier>) -> Result<TokenKey, SkipReason> {
        if self.kty == "oct" {
            return Err(SkipReason::Secret);
        }
        if !["RSA", "EC", "OKP"].contains(&&*self.kty) {
            return Err(SkipReason::KeyType(shown(&self.kty)));
        }
        if self.d.is_some() {
            return Err(SkipReason::Private);
        }
        if self.kid.as_deref().is_some_and(|kid| kid.len() > KID_MAX_BYTES) {
            return Err(SkipReason::Malformed);
        }
        if self.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
            return Err(SkipReason::Operations);
        }
        let curve = |expected: &str| match self.crv.as_deref() {
            None => Err(SkipReason::Malformed),
            Some(curve) if curve == expected => Ok(()),
            Some(curve) => Err(SkipReason::Curve(shown(curve))),
        };
        let algorithm = match &*self.kty {
            "RSA" => Algorithm::Rs256,
            "EC" => Algorithm::Es256,
            _ => Algorithm::EdDsa,
        };
        if let Some(named) = self.alg.as_deref().filter(|named| Algorithm::named(named) != Some(algorithm)) {
            return Err(SkipReason::Algorithm(shown(named)));
        }
        match algorithm {
            Algorithm::Rs256 => {
                let (n, e) = (bytes(self.n.as_deref())?, bytes(self.e.as_deref())?);
                TokenKey::rs256(&n, &e, Arc::clone(verifier)).map_err(SkipReason::Key)
            }
            Algorithm::Es256 => {
                curve("P-256")?;
                let (x, y) = (coordinate(self.x.as_deref())?, coordinate(self.y.as_deref())?);
                Ok(TokenKey::es256(&x, &y, Arc::clone(verifier)))
            }
            _ => {
                curve("Ed25519")?;
                TokenKey::ed25519_public(&coordinate(self.x.as_deref())?).map_err(SkipReason::Key)
            }
        }
    }
}

fn bytes(text: Option<&str>) -> Result<Vec<u8>, SkipReason> {
    URL_SAFE_NO_PAD.decode(text.ok_or(SkipReason::Malformed)?).map_err(|_| SkipReason::Malformed)
}

/// Decodes a coordinate of exactly 32 bytes (RFC 7518 section 6.2.1.2).
fn coordinate(text: Option<&str>) -> Result<[u8; 32], SkipReason> {
    bytes(text)?.try_into().map_err(|_| SkipReason::Malformed)
}

/// Returns text of the set in printable form, truncated to 64 characters.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(64).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    neutralize(&short).into_owned()
}

fn duplicate_words(kid: Option<&str>) -> String {
    kid.map_or_else(|| "have no kid".to_owned(), |kid| format!("have the same kid {kid:?}"))
}

/// Formats the first four skipped keys with their reasons, and the number of the others.
fn skipped_words(skipped: &[SkippedKey]) -> String {
    let mut words = String::new();
    for (number, key) in skipped.iter().take(SHOWN_MAX).enumerate() {
        words.push_str(if number == 0 { ": " } else { "; " });
        words.push_str(&key.to_string());
    }
    match skipped.len().saturating_sub(SHOWN_MAX) {
        0 => words,
        more => words + &format!("; and {more} more"),
    }
}

const SHOWN_MAX: usize = 4;

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key {kid:?}: {}", self.reason),
            None => write!(f, "keys[{}]: {}", self.index, self.reason),
        }
    }
}
