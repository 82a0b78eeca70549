use crate::base::UnixTime;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// The user of a connection and their scopes; see [`Hub::identify`](crate::Hub::identify).
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
}

impl Identity {
    /// Creates the identity of a user, without scopes and without expiry.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self { user: name.into(), scopes: Vec::new(), expires_at: None }
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

    /// Returns `true` if the user has this scope.
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
}
