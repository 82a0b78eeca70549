use alloc::borrow::Cow;
use alloc::format;

/// Character before and after the application's index in the stored name of a room.
const MARK: char = '\u{1f}';

/// The position of an application among the applications of a server, from 0.
///
/// A server of one application has the index 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppIndex(pub(crate) u8);

impl AppIndex {
    /// Returns the name under which the server stores a room of this application.
    ///
    /// Rooms of two applications never have the same stored name. It is for
    /// [commands](crate::Command::Publish) and traces; the hub and the handles of an application
    /// convert names themselves.
    #[must_use]
    pub fn stored_room(self, name: &str) -> Cow<'_, str> {
        match self.0 {
            0 if !name.starts_with(MARK) => Cow::Borrowed(name),
            index => Cow::Owned(format!("{MARK}{index}{MARK}{name}")),
        }
    }

    /// Returns the application and the name of a room, from its stored name.
    pub(crate) fn of_room(stored: &str) -> (Self, &str) {
        let parts = stored.strip_prefix(MARK).and_then(|rest| rest.split_once(MARK));
        let found = parts.and_then(|(index, name)| Some((Self(index.parse().ok()?), name)));
        found.unwrap_or((Self(0), stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rooms_of_applications_never_share_a_stored_name(
            one in 0..3_u8, other in 0..3_u8, name in "[\u{1f}01a]{0,6}", another in "[\u{1f}01a]{0,6}"
        ) {
            let (one, other) = (AppIndex(one), AppIndex(other));
            let (stored, stored_other) = (one.stored_room(&name), other.stored_room(&another));
            prop_assert_eq!(stored == stored_other, one == other && name == another);
            prop_assert_eq!(AppIndex::of_room(&stored), (one, &*name));
        }
    }
}
