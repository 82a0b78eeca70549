//! The source of the set of public keys for tokens: a file or a URL.

use crate::settings::plan::problems::Problems;
use crate::settings::tree::TokenSettings;
use alloc::format;
use alloc::string::{String, ToString};
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
    /// Returns the configuration key that names the source.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::File(_) => FILE,
            Self::Url(_) => URL,
        }
    }
}

const FILE: &str = "authentication.tokens.jwks_file";
const URL: &str = "authentication.tokens.jwks_url";
/// Maximum of `jwks_timeout`. Nothing starts before the first fetch has ended.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

pub(super) fn source(settings: &TokenSettings) -> Option<KeySetSource> {
    if !settings.jwks_file.is_empty() {
        return Some(KeySetSource::File(settings.jwks_file.clone()));
    }
    (!settings.jwks_url.is_empty()).then(|| {
        KeySetSource::Url(KeySetUrl {
            url: settings.jwks_url.clone(),
            is_local: settings.jwks_url.starts_with("http://"),
            authorities: settings.jwks_authorities.clone(),
            refresh: settings.jwks_refresh.0,
            refresh_min: settings.jwks_refresh_min.0.min(settings.jwks_refresh.0),
            timeout: settings.jwks_timeout.0,
        })
    })
}

pub(super) fn check(settings: &TokenSettings, problems: &mut Problems<'_>) {
    if settings.scopes_claim.is_empty() {
        problems.add("authentication.tokens.scopes_claim", "it is empty; remove it for the claim `scope`");
    }
    if settings.jwks_timeout.0 > TIMEOUT_MAX {
        let words =
            format!("it must be at most 1m, not {}: the server starts after the first fetch", settings.jwks_timeout);
        problems.add("authentication.tokens.jwks_timeout", &words);
    }
    if settings.jwks_url.is_empty() {
        if !settings.jwks_authorities.is_empty() {
            problems.add("authentication.tokens.jwks_authorities", "there is no jwks_url whose authorities these are");
        }
    } else if let Some(words) = fault(&settings.jwks_url) {
        problems.add(URL, &words);
    }
}

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
