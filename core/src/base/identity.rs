use crate::base::UnixTime;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// The user of a connection, with scopes, expiry and claims.
///
/// See [`Hub::identify`](crate::Hub::identify).
///
/// The application or [`auth`](crate::kit::auth) has authenticated the user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user's name: the same for all connections of one user.
    pub user: Arc<str>,
    /// The user's scopes, which [`may`](Self::may) checks. With none, every check fails.
    pub scopes: Vec<Arc<str>>,
    /// Time at which the identity expires. `None`: never.
    ///
    /// The connection then ends as [`Reason::SessionExpired`](crate::Reason::SessionExpired),
    /// unless the user has authenticated again.
    pub expires_at: Option<UnixTime>,
    pub(crate) claims: Option<ClaimsText>,
}

/// Maximum length of the claims of an identity as JSON, in bytes: 4 KiB.
#[cfg(feature = "json")]
pub(crate) const CLAIMS_MAX_BYTES: usize = 4_096;

/// The claims of a user: a JSON object of at most 4 KiB.
///
/// `Debug` hides them, because they may be personal.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClaimsText(Arc<str>);

impl Identity {
    /// Creates the identity of a user, without scopes and without expiry.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self { user: name.into(), scopes: Vec::new(), expires_at: None, claims: None }
    }

    /// Adds scopes to the identity.
    #[must_use]
    pub fn with_scopes<'s>(mut self, scopes: impl IntoIterator<Item = &'s str>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Arc::from));
        self
    }

    /// Sets [`expires_at`](#structfield.expires_at).
    #[must_use]
    pub fn expires_at(mut self, expires_at: Option<UnixTime>) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// Sets the claims about the user, as a JSON object, for [`claim`](Self::claim).
    ///
    /// A verified [token](crate::kit::auth::Tokens) sets all of its claims.
    ///
    /// # Errors
    /// If the text is not a JSON object, or is longer than 4 KiB.
    #[cfg(feature = "json")]
    pub fn with_claims(mut self, json: &str) -> Result<Self, ClaimsError> {
        if json.len() > CLAIMS_MAX_BYTES {
            return Err(ClaimsError::TooLong);
        }
        let is_object =
            json.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok();
        if !is_object {
            return Err(ClaimsError::NoObject);
        }
        self.claims = Some(ClaimsText(json.into()));
        Ok(self)
    }

    /// Returns the claim called `name`, such as `tenant`, or `None` if there is no such claim.
    ///
    /// Parses all claims, at most 4 KiB. Read what is needed often once, at the login.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<serde_json::Value> {
        self.claims::<serde_json::Map<_, _>>()?.remove(name)
    }

    /// Deserializes the claims about the user into a type of the application.
    ///
    /// `None` if there are no claims, or if they do not fit the type. Grant nothing then.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn claims<'s, T: serde::Deserialize<'s>>(&'s self) -> Option<T> {
        serde_json::from_str(&self.claims.as_ref()?.0).ok()
    }

    /// Returns `true` if one of the user's scopes equals or covers `scope`.
    ///
    /// A scope that ends with `*` covers all that begin with the part before it: `publish:*` allows
    /// publishing to every room, and `*` allows everything.
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|has| covers(has, scope))
    }
}

/// Returns `true` if `pattern` equals `name`, or is a prefix of `name` followed by `*`.
pub(crate) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

/// The error for claims that an identity cannot hold.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// The claims are longer than 4 KiB.
    #[error("the claims are longer than {CLAIMS_MAX_BYTES} bytes")]
    TooLong,
    /// The text is not a JSON object.
    #[error("the claims are not a JSON object")]
    NoObject,
}

impl fmt::Debug for ClaimsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_matches_exactly_or_by_trailing_star() {
        let user = Identity::user("ann").with_scopes(["join:lobby", "publish:games/*", "a*b"]);
        for (scope, may) in [
            ("join:lobby", true),
            ("join:lobby2", false),
            ("join:lobb", false),
            ("publish:games/", true),
            ("publish:games/chess", true),
            ("publish:game", false),
            ("publish:*", false),
            ("a*b", true),
            ("axb", false),
            ("", false),
        ] {
            assert_eq!(user.may(scope), may, "{scope}");
        }
        assert!(Identity::user("root").with_scopes(["*"]).may("anything"));
    }

    #[test]
    #[cfg(feature = "json")]
    fn claims_are_bounded_typed_and_absent_unless_set() {
        #[derive(serde::Deserialize, Debug, PartialEq)]
        struct Tenant<'a> {
            tenant: &'a str,
        }
        let ann = Identity::user("ann");
        assert_eq!((ann.claim("tenant"), ann.claims::<Tenant<'_>>()), (None, None));
        let known = ann.clone().with_claims(r#"{"tenant":"acme","level":3}"#).expect("an object");
        assert_eq!(known.claims::<Tenant<'_>>(), Some(Tenant { tenant: "acme" }));
        assert_eq!((known.claim("level"), known.claim("other")), (Some(3.into()), None));
        assert!(!alloc::format!("{known:?}").contains("acme"));
        let other = ann.clone().with_claims(r#"{"tenant":7}"#).expect("an object");
        assert_eq!(other.claims::<Tenant<'_>>(), None);
        for text in ["", "[]", "7", r#"{"a":1"#, "{} {}", r#"{"a":}"#] {
            assert_eq!(ann.clone().with_claims(text), Err(ClaimsError::NoObject), "{text}");
        }
        let long = alloc::format!(r#"{{"a":"{}"}}"#, "a".repeat(CLAIMS_MAX_BYTES));
        assert_eq!(ann.with_claims(&long), Err(ClaimsError::TooLong));
    }
}
