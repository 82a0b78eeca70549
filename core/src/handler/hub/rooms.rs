//! Rooms, their members, and their policy for slow members.

use crate::base::ConnId;
use crate::config::{JoinError, SlowPolicy};
use crate::handler::Hub;

impl<C: Default> Hub<'_, C> {
    /// Makes a connection a member of a room; false if it was one. The room exists from its first member on
    /// until its last one leaves. A connection that ends leaves all its rooms.
    ///
    /// # Errors
    /// If the connection is over or a limit of [`RoomLimits`](crate::RoomLimits) is reached.
    pub fn join(&mut self, conn: ConnId, room: &str) -> Result<bool, JoinError> {
        self.state.join(conn, room)
    }

    /// Ends a membership; false if there was none.
    pub fn leave(&mut self, conn: ConnId, room: &str) -> bool {
        self.state.leave(conn, room)
    }

    /// The members of a room.
    pub fn members(&self, room: &str) -> impl Iterator<Item = ConnId> + '_ {
        self.state.rooms.members(room).map(|index| self.state.conns.id(index))
    }

    /// How many members a room has.
    #[must_use]
    pub fn member_count(&self, room: &str) -> usize {
        self.state.rooms.number(room).map_or(0, |number| self.state.rooms.count(number))
    }

    /// All rooms in alphabetical order, with the number of their members.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        self.state.rooms.list()
    }

    /// The rooms of one connection, in the order of joining unless it left some.
    pub fn rooms_of(&self, conn: ConnId) -> impl Iterator<Item = &str> {
        let rooms = self.state.conns.get(conn).map_or(&[][..], |conn| &conn.rooms);
        rooms.iter().map(|&room| self.state.rooms.name(room))
    }

    /// Sets what happens to messages of this room that a slow member can't take, from now on. Without it, that is
    /// [`OutboundLimits::slow_policy`](crate::outbound::OutboundLimits).
    ///
    /// Set while the room has members, it ends when the last one leaves. Set while it has none, it is kept for the name, however
    /// often the room fills and empties, until [`clear_slow_policy`](Self::clear_slow_policy).
    ///
    /// # Errors
    /// If the name is not one of a room, or [`RoomLimits::total`](crate::RoomLimits) policies are kept.
    pub fn set_slow_policy(&mut self, room: &str, policy: SlowPolicy) -> Result<(), JoinError> {
        self.state.rooms.set_policy(room, policy, &self.state.config.rooms)
    }

    /// Removes the policy of a room, so that the configuration's holds. Returns whether it had one.
    pub fn clear_slow_policy(&mut self, room: &str) -> bool {
        self.state.rooms.clear_policy(room)
    }
}
