use super::head::Request;
use alloc::string::String;
use alloc::sync::Arc;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use core::fmt;
use sha1::{Digest, Sha1};

/// A secret that gives access to an endpoint.
///
/// Clients send it as the password of Basic authentication, with any user (RFC 7617), or as a
/// bearer token (RFC 6750).
#[derive(Clone)]
pub struct Credential(Arc<str>);

/// The error for a credential that is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a credential must have at least {} characters", Credential::MIN_CHARS)]
#[non_exhaustive]
pub struct CredentialError;

/// The access policy of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Every client has access.
    #[default]
    Open,
    /// Clients with this credential have access. It gives access to nothing else.
    Credential(Credential),
    /// The endpoint does not exist.
    Off,
}

impl Credential {
    /// Minimum length of a credential, in characters.
    pub const MIN_CHARS: usize = 16;

    /// Creates a credential from its secret.
    ///
    /// # Errors
    /// If it has fewer than 16 characters.
    pub fn new(secret: &str) -> Result<Self, CredentialError> {
        if secret.chars().count() < Self::MIN_CHARS { Err(CredentialError) } else { Ok(Self(secret.into())) }
    }

    /// Compares the `Authorization` field of a request with this credential.
    pub(crate) fn check(&self, request: &Request) -> Shown {
        let Some(value) = request.fields.value("authorization") else { return Shown::Nothing };
        let Some((scheme, rest)) = value.split_once(' ') else { return Shown::Wrong };
        let is_good = if scheme.eq_ignore_ascii_case("bearer") {
            self.is(rest.trim().as_bytes())
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = STANDARD.decode(rest.trim()).unwrap_or_default();
            let colon = pair.iter().position(|byte| *byte == b':');
            colon.is_some_and(|colon| self.is(&pair[colon + 1..]))
        } else {
            false
        };
        if is_good { Shown::Good } else { Shown::Wrong }
    }

    /// Compares the API key in a request with this credential.
    ///
    /// The key is in the field `X-API-Key`, or follows `apikey` or `bearer` in `Authorization`.
    pub(crate) fn check_key(&self, request: &Request) -> Shown {
        let is_good = |value: &str| {
            let found = value
                .split_once(' ')
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("apikey") || scheme.eq_ignore_ascii_case("bearer"));
            found.is_some_and(|(_, key)| self.is(key.trim().as_bytes()))
        };
        match (request.fields.value("x-api-key"), request.fields.value("authorization")) {
            (None, None) => Shown::Nothing,
            (Some(key), _) if self.is(key.as_bytes()) => Shown::Good,
            (None, Some(value)) if is_good(value) => Shown::Good,
            _ => Shown::Wrong,
        }
    }

    fn is(&self, secret: &[u8]) -> bool {
        is_same(self.0.as_bytes(), secret)
    }

    /// Returns `true` if a request has the monitor's cookie for this credential.
    pub(crate) fn is_in_cookie(&self, request: &Request, seed: u64) -> bool {
        request.fields.values("cookie").any(|cookies| self.is_among(cookies, seed))
    }

    fn is_among(&self, cookies: &str, seed: u64) -> bool {
        let named = |cookie: &str| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('=').map(String::from);
        let expected = self.cookie(seed);
        cookies.split(';').filter_map(named).any(|value| is_same(expected.as_bytes(), value.as_bytes()))
    }

    /// Returns the value of the cookie that a browser sends instead of the credential.
    ///
    /// It depends on the server's seed. Not every browser sends the credential itself when it opens
    /// a WebSocket.
    pub(crate) fn cookie(&self, seed: u64) -> String {
        let mut hash = Sha1::new();
        hash.update(seed.to_be_bytes());
        hash.update(self.0.as_bytes());
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }
}

/// The name of the monitor's cookie.
pub(crate) const COOKIE_NAME: &str = "drupe_monitor";

/// The result of comparing a request's credential with the required one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    Wrong,
    Good,
}

/// Compares two byte strings in a time that depends only on their lengths.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other));
    one.len() == other.len() && core::hint::black_box(differs) == 0
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        is_same(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Credential {}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}
