use crate::base::{AppIndex, ConnId};
use crate::history::{Gap, Position};

/// Members of a room may have missed messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomGap<'a> {
    /// The member. `None`: all members on this shard.
    pub conn: Option<ConnId>,
    /// The name of the room.
    pub room: &'a str,
    /// The position from which the messages follow without a gap, if it is known.
    pub position: Option<Position>,
    /// Why messages may be missing.
    pub why: Gap,
    pub(crate) app: AppIndex,
}

impl<'a> RoomGap<'a> {
    /// Creates the description of a gap in a room with this stored name.
    pub(crate) fn new(conn: Option<ConnId>, stored: &'a str, position: Option<Position>, why: Gap) -> Self {
        let (app, room) = AppIndex::of_room(stored);
        Self { conn, room, position, why, app }
    }
}
