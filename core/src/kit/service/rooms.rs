use crate::base::Identity;
use crate::base::covers;
use crate::config::JoinError;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Rules that open rooms to every connection, without a scope.
///
/// They apply to [`Cx::join`](super::Cx::join) and [`Cx::publish`](super::Cx::publish). Other rooms
/// require a scope. Adding a scope never removes a right. A connection without an identity can use
/// only open rooms.
///
/// ```
/// use drupe_core::Identity;
/// use drupe_core::kit::RoomRules;
///
/// let rules = RoomRules::closed().open("lobby").open("public/*");
/// let (nobody, member) = (None, Identity::user("ann").with_scopes(["join:staff"]));
/// assert!(rules.may_join(nobody, "lobby") && rules.may_publish(nobody, "public/1"));
/// assert!(!rules.may_join(nobody, "staff") && rules.may_join(Some(&member), "staff"));
/// assert!(!rules.may_publish(Some(&member), "staff"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomRules {
    open: Vec<Arc<str>>,
}

impl RoomRules {
    /// Creates rules under which no room is open. This is the default.
    #[must_use]
    pub fn closed() -> Self {
        Self::default()
    }

    /// Creates rules under which every room is open to all.
    #[must_use]
    pub fn all_open() -> Self {
        Self::closed().open("*")
    }

    /// Opens a room to all. With a trailing `*`, opens all rooms with that prefix.
    #[must_use]
    pub fn open(mut self, room: &str) -> Self {
        self.open.push(room.into());
        self
    }

    /// Returns `true` if an identity may join a room.
    ///
    /// The room is open, or the [scopes](Identity::may) have `join:` followed by its name.
    #[must_use]
    pub fn may_join(&self, identity: Option<&Identity>, room: &str) -> bool {
        self.may("join:", identity, room)
    }

    /// Returns `true` if an identity may publish to a room.
    ///
    /// The room is open, or the [scopes](Identity::may) have `publish:` followed by its name.
    #[must_use]
    pub fn may_publish(&self, identity: Option<&Identity>, room: &str) -> bool {
        self.may("publish:", identity, room)
    }

    fn may(&self, what: &str, identity: Option<&Identity>, room: &str) -> bool {
        let is_open = self.open.iter().any(|open| covers(open, room));
        is_open || identity.is_some_and(|identity| identity.may(&[what, room].concat()))
    }
}

/// Why a connection could not join a room, or a message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// The user lacks the [scope](Identity::may) for the room.
    #[error("access to this room is denied")]
    Forbidden,
    /// The sender is not a member of the room.
    #[error("you are not in that room")]
    NotMember,
    /// The connection cannot join the room.
    #[error(transparent)]
    Join(#[from] JoinError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Adding a scope never closes a room.
        #[test]
        fn additional_scope_never_closes_a_room(
            scopes in prop::collection::vec("(join|publish):[ab*]{0,2}|\\*|admin", 0..4),
            open in prop::collection::vec("[ab*]{0,2}", 0..3),
            room in "[ab]{0,2}",
        ) {
            let rules = open.iter().fold(RoomRules::closed(), |rules, room| rules.open(room));
            let user = |count: usize| Identity::user("ann").with_scopes(scopes[..count].iter().map(String::as_str));
            let may = |identity: Option<&Identity>| [rules.may_join(identity, &room), rules.may_publish(identity, &room)];
            let mut before = may(None);
            prop_assert_eq!(before, may(Some(&user(0))), "an identity alone adds no rights");
            for count in 1..=scopes.len() {
                let now = may(Some(&user(count)));
                prop_assert!(before.iter().zip(now).all(|(before, now)| now || !before), "scope {} closes a room", count);
                before = now;
            }
        }
    }

    #[test]
    fn identity_without_scope_may_not_join_or_publish() {
        for identity in [None, Some(&Identity::user("ann"))] {
            let closed = RoomRules::default();
            assert!(!closed.may_join(identity, "lobby") && !closed.may_publish(identity, "lobby"));
            let open = RoomRules::all_open();
            assert!(open.may_join(identity, "lobby") && open.may_publish(identity, "lobby"));
        }
    }
}
