use crate::base::AppIndex;

/// A name that is present in a room now, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceChange<'a> {
    /// The name of the room.
    pub room: &'a str,
    /// The name of the member.
    pub name: &'a str,
    /// Whether the name is present. It may have been before, if its information has changed.
    pub is_present: bool,
    /// Information about the name, if there is any.
    pub info: Option<&'a str>,
    pub(crate) app: AppIndex,
}

impl<'a> PresenceChange<'a> {
    /// Creates the description of a change in a room with this stored name.
    pub(crate) fn new(stored: &'a str, name: &'a str, is_present: bool, info: Option<&'a str>) -> Self {
        let (app, room) = AppIndex::of_room(stored);
        Self { room, name, is_present, info, app }
    }
}
