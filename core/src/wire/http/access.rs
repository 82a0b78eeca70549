use super::head::Request;
use alloc::string::String;
use alloc::sync::Arc;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use core::fmt;
use sha1::{Digest, Sha1};

/// A secret that opens an endpoint: as the password of HTTP's Basic authentication, with any user (RFC 7617), or as a bearer
/// token (RFC 6750).
#[derive(Clone)]
pub struct Credential(Arc<str>);

/// A credential that is too easily guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a credential has at least {} characters", Credential::MIN_CHARS)]
#[non_exhaustive]
pub struct CredentialError;

/// Who may look at an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Whoever can connect.
    #[default]
    Open,
    /// Whoever has this. It opens nothing else.
    Credential(Credential),
    /// Nobody: there is no such endpoint.
    Off,
}

impl Credential {
    /// Shorter ones are refused.
    pub const MIN_CHARS: usize = 16;

    /// A credential.
    ///
    /// # Errors
    /// If it has fewer than 16 characters.
    pub fn new(secret: &str) -> Result<Self, CredentialError> {
        if secret.chars().count() < Self::MIN_CHARS { Err(CredentialError) } else { Ok(Self(secret.into())) }
    }

    /// What a request shows, its cookies aside.
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

    fn is(&self, secret: &[u8]) -> bool {
        is_same(self.0.as_bytes(), secret)
    }

    /// Whether a request shows the cookie of the monitor.
    pub(crate) fn is_in_cookie(&self, request: &Request, seed: u64) -> bool {
        request.fields.values("cookie").any(|cookies| self.is_among(cookies, seed))
    }

    fn is_among(&self, cookies: &str, seed: u64) -> bool {
        let named = |cookie: &str| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('=').map(String::from);
        let expected = self.cookie(seed);
        cookies.split(';').filter_map(named).any(|value| is_same(expected.as_bytes(), value.as_bytes()))
    }

    /// What a browser that has shown the credential shows in its place, until the server starts anew: not every browser shows
    /// the credential itself when it opens a WebSocket.
    pub(crate) fn cookie(&self, seed: u64) -> String {
        let mut hash = Sha1::new();
        hash.update(seed.to_be_bytes());
        hash.update(self.0.as_bytes());
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }
}

/// The name of the cookie.
pub(crate) const COOKIE_NAME: &str = "drupe_monitor";

/// What a request shows of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    Wrong,
    Good,
}

/// Compares in a time that depends on the lengths alone.
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
