//! Rooms, their members, and their policy for slow members.

use crate::base::ConnId;
use crate::config::{JoinError, SlowPolicy};
use crate::handler::Hub;

/// # Rooms
impl<C> Hub<'_, C> {
    /// Adds a connection to a room. Returns `false` if it was already a member.
    ///
    /// A room exists from its first member until the last one leaves. A connection that ends leaves
    /// all its rooms.
    ///
    /// # Errors
    /// If the connection is over or a limit of [`RoomLimits`](crate::RoomLimits) is reached.
    pub fn join(&mut self, conn: ConnId, room: &str) -> Result<bool, JoinError> {
        self.state.join(conn, room)
    }

    /// Removes a connection from a room. Returns `false` if it was not a member.
    pub fn leave(&mut self, conn: ConnId, room: &str) -> bool {
        self.state.leave(conn, room)
    }

    /// Returns the members of a room on this [shard](crate::Shard).
    pub fn members(&self, room: &str) -> impl Iterator<Item = ConnId> + '_ {
        self.state.rooms.members(room).map(|index| self.state.conns.id(index))
    }

    /// Returns the number of members of a room on this shard.
    #[must_use]
    pub fn member_count(&self, room: &str) -> usize {
        self.state.rooms.number(room).map_or(0, |number| self.state.rooms.count(number))
    }

    /// Returns the rooms of this shard in alphabetical order, with their number of members here.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        self.state.rooms.list()
    }

    /// Returns the rooms of a connection, in the order of joining unless it has left some.
    pub fn rooms_of(&self, conn: ConnId) -> impl Iterator<Item = &str> {
        let rooms = self.state.conns.get(conn).map_or(&[][..], |conn| &conn.rooms);
        rooms.iter().map(|&room| self.state.rooms.name(room))
    }

    /// Sets the policy for a room's messages to slow members.
    ///
    /// The default is [`OutboundLimits::slow_policy`](crate::outbound::OutboundLimits). If the room
    /// has members, the policy ends when the last one leaves. If it has none, the policy stays with
    /// the name until [`clear_slow_policy`](Self::clear_slow_policy), however often the room fills
    /// and empties.
    ///
    /// # Errors
    /// If the name is invalid, or [`RoomLimits::total`](crate::RoomLimits) policies are stored.
    pub fn set_slow_policy(&mut self, room: &str, policy: SlowPolicy) -> Result<(), JoinError> {
        self.state.rooms.set_policy(room, policy, &self.state.config.rooms)
    }

    /// Removes a room's slow policy, so that the default applies. Returns `true` if it had one.
    pub fn clear_slow_policy(&mut self, room: &str) -> bool {
        self.state.rooms.clear_policy(room)
    }
}
