//! The keys that verify tokens: a secret, a public key, or a set of public keys from a file or a URL.

use crate::base::bytes_32;
use crate::kit::auth::{KeySet, TokenKey, Tokens};
use crate::settings::units::Timeout;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// The source of the set of public keys for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySetSource {
    /// The path of a JWKS file (RFC 7517).
    File(String),
    /// A URL, and how to fetch it.
    Url(KeySetUrl),
}

/// The URL of a set of public keys, and how it is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySetUrl {
    /// The URL: `https`, or `http` to a loopback address.
    pub url: String,
    /// Whether the URL is `http` to a loopback address. Otherwise, TLS is required.
    pub is_local: bool,
    /// The path of a PEM file with CA certificates. Empty: the CA certificates of the system.
    pub authorities: String,
    /// Interval between fetches.
    pub refresh: Duration,
    /// Minimum time between fetches. At most [`refresh`](Self::refresh).
    pub refresh_min: Duration,
    /// Time limit for a fetch.
    pub timeout: Duration,
}

impl KeySetSource {
    /// Returns the key of the source within the settings for tokens: `jwks_file` or `jwks_url`.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::File(_) => FILE,
            Self::Url(_) => URL,
        }
    }
}

const FILE: &str = "jwks_file";
const URL: &str = "jwks_url";
/// Maximum of `jwks_timeout`. Nothing starts before the first fetch has ended.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// A key within the settings for tokens, and what is wrong with its value.
pub(super) type TokenProblem = (&'static str, String);

/// The settings for tokens that authentication and applications share.
#[derive(Clone, Copy)]
pub(super) struct TokenKeys<'a> {
    pub(super) hs256_secret: &'a str,
    pub(super) ed25519_public: &'a str,
    pub(super) jwks_file: &'a str,
    pub(super) jwks_url: &'a str,
    pub(super) jwks_authorities: &'a str,
    pub(super) jwks_refresh: Duration,
    pub(super) jwks_refresh_min: Duration,
    pub(super) jwks_timeout: Timeout,
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
}

impl TokenKeys<'_> {
    /// Returns the number of keys that are set. More than one is an error.
    pub(super) fn count(&self) -> usize {
        let texts = [self.hs256_secret, self.ed25519_public, self.jwks_file, self.jwks_url];
        texts.iter().filter(|text| !text.is_empty()).count()
    }

    /// Returns the file or the URL of the set of public keys, if one is configured.
    pub(super) fn source(&self) -> Option<KeySetSource> {
        if !self.jwks_file.is_empty() {
            return Some(KeySetSource::File(self.jwks_file.to_owned()));
        }
        (!self.jwks_url.is_empty()).then(|| {
            KeySetSource::Url(KeySetUrl {
                url: self.jwks_url.to_owned(),
                is_local: self.jwks_url.starts_with("http://"),
                authorities: self.jwks_authorities.to_owned(),
                refresh: self.jwks_refresh,
                refresh_min: self.jwks_refresh_min.min(self.jwks_refresh),
                timeout: self.jwks_timeout.0,
            })
        })
    }

    /// Returns the problems of the settings for a set of public keys.
    pub(super) fn problems(&self) -> Vec<TokenProblem> {
        let mut problems = Vec::new();
        if self.jwks_timeout.0 > TIMEOUT_MAX {
            let words =
                format!("it must be at most 1m, not {}: the server starts after the first fetch", self.jwks_timeout);
            problems.push(("jwks_timeout", words));
        }
        if self.jwks_url.is_empty() {
            if !self.jwks_authorities.is_empty() {
                problems.push(("jwks_authorities", "there is no jwks_url, so it has no effect".into()));
            }
        } else if let Some(words) = fault(self.jwks_url) {
            problems.push((URL, words));
        }
        problems
    }

    /// Creates the verifier of tokens. `keys` is the set of [`source`](Self::source), if there is one.
    ///
    /// # Errors
    /// If there is no valid key.
    pub(super) fn tokens(&self, keys: Option<Arc<KeySet>>) -> Result<Tokens, TokenProblem> {
        let mut tokens = if let Some(source) = self.source() {
            Tokens::of_key_set(keys.ok_or_else(|| (source.key(), "this program does not read sets of keys".into()))?)
        } else if self.hs256_secret.is_empty() {
            let blame = |words: String| ("ed25519_public", words);
            let bytes = bytes_32(self.ed25519_public.as_bytes());
            let bytes = bytes.ok_or_else(|| blame("it takes 64 hexadecimal digits".into()))?;
            Tokens::new(TokenKey::ed25519_public(&bytes).map_err(|error| blame(error.to_string()))?)
        } else {
            let key = TokenKey::hs256(self.hs256_secret.as_bytes());
            Tokens::new(key.map_err(|error| ("hs256_secret", error.to_string()))?)
        };
        if !self.issuer.is_empty() {
            tokens = tokens.issuer(self.issuer);
        }
        if !self.audience.is_empty() {
            tokens = tokens.audience(self.audience);
        }
        Ok(tokens)
    }
}

/// What is wrong if not exactly one key is set.
pub(super) const ONE_KEY: &str = "it takes exactly one of hs256_secret, ed25519_public, jwks_file and jwks_url";

/// Returns what is wrong with the URL of a key set, if anything.
fn fault(url: &str) -> Option<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Some("it must begin with https://".to_string());
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("it must not contain a user name or a password: keys are public".to_string());
    }
    if authority.is_empty() || !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains('#') {
        return Some("it is not a URL such as https://id.example.org/jwks".to_string());
    }
    match scheme {
        "https" => None,
        "http" if is_loopback(authority) => None,
        "http" => {
            let words = "keys in the clear could be replaced on their way; use https, or a loopback address";
            Some(words.to_string())
        }
        _ => Some("it must begin with https://".to_string()),
    }
}

/// Returns `true` if the host of an authority is a loopback IP address. Names are not resolved.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_set_url_is_https_or_loopback() {
        for (url, is_good) in [
            ("https://id.example.org/jwks", true),
            ("https://id.example.org:8443/realms/a/protocol/openid-connect/certs?x=1", true),
            ("http://127.0.0.1:8080/jwks", true),
            ("http://127.9.9.9/jwks", true),
            ("http://[::1]:8080/jwks", true),
            ("http://[::ffff:127.0.0.1]/", true),
            // A name may be resolved to anything.
            ("http://localhost/jwks", false),
            ("http://127.0.0.1.example.org/jwks", false),
            ("http://127.0.0.1@example.org/jwks", false),
            ("https://ann:secret@example.org/jwks", false),
            ("http://10.0.0.1/jwks", false),
            ("HTTP://127.0.0.1/jwks", false),
            ("file:///etc/jwks", false),
            ("ftp://example.org/jwks", false),
            ("https://", false),
            ("https:///jwks", false),
            ("https://example.org/a b", false),
            ("https://example.org/\r\nHost: x", false),
            ("example.org/jwks", false),
            ("jwks.json", false),
        ] {
            assert_eq!(fault(url).is_none(), is_good, "{url}");
        }
    }
}
