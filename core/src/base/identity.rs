use crate::base::UnixTime;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Who is at the other end, as far as the application or [`auth`](crate::kit::auth) is convinced of it. See
/// [`Hub::identify`](crate::Hub::identify).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name: the same for all connections of one user.
    pub user: Arc<str>,
    /// What the user may do; see [`may`](Self::may). Without any, nothing that a scope is asked for.
    pub scopes: Vec<Arc<str>>,
    /// When this ends, and the connection with it as [`Reason::SessionExpired`](crate::Reason::SessionExpired), unless the
    /// user proved again who they are; `None` is never.
    pub expires_at: Option<UnixTime>,
}

impl Identity {
    /// A user without scopes, for as long as the connection lasts.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self { user: name.into(), scopes: Vec::new(), expires_at: None }
    }

    /// With these scopes as well.
    #[must_use]
    pub fn with_scopes<'s>(mut self, scopes: impl IntoIterator<Item = &'s str>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Arc::from));
        self
    }

    /// Whether a scope is among the user's: itself, or one that ends with `*` where what is before that begins it. So
    /// `publish:*` allows to publish to every room, and `*` everything.
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|has| covers(has, scope))
    }
}

/// Whether `name` is `pattern`, or `pattern` ends with `*` and what is before that begins `name`.
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
    fn scopes_are_exact_but_for_a_star_at_the_end() {
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
