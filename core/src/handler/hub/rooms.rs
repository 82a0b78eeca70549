//! Rooms, their members, and their policy for slow members.

use crate::base::{AppIndex, ConnId};
use crate::config::{JoinError, JoinOptions, SlowPolicy};
use crate::handler::Hub;
use alloc::borrow::Cow;

/// # Rooms
impl<C> Hub<'_, C> {
    /// Adds a connection to a room. Returns `false` if it was already a member.
    ///
    /// A room exists from its first member until the last one leaves. A connection that ends leaves
    /// all its rooms. [`join_with`](Self::join_with) has options.
    ///
    /// # Errors
    /// If the connection is over or a limit of [`RoomLimits`](crate::RoomLimits) is reached.
    pub fn join(&mut self, conn: ConnId, room: &str) -> Result<bool, JoinError> {
        let room = self.stored(room);
        self.state.join(conn, &room, JoinOptions::new())
    }

    /// Removes a connection from a room. Returns `false` if it was not a member.
    pub fn leave(&mut self, conn: ConnId, room: &str) -> bool {
        let room = self.stored(room);
        self.state.leave(conn, &room)
    }

    /// Returns the members of a room on this [shard](crate::Shard).
    pub fn members<'h>(&'h self, room: &str) -> impl Iterator<Item = ConnId> + use<'h, C> {
        let room = self.stored(room);
        self.state.rooms.members(&room).map(|index| self.state.conns.id(index))
    }

    /// Returns the number of members of a room on this shard.
    #[must_use]
    pub fn member_count(&self, room: &str) -> usize {
        self.state.rooms.number(&self.stored(room)).map_or(0, |number| self.state.rooms.count(number))
    }

    /// Returns the rooms of this shard in alphabetical order, with their number of members here.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        let app = AppIndex(self.app);
        let own = move |(room, count)| {
            let (of, name) = AppIndex::of_room(room);
            (of == app).then_some((name, count))
        };
        self.state.rooms.list().filter_map(own)
    }

    /// Returns the rooms of a connection, in the order of joining unless it has left some.
    pub fn rooms_of(&self, conn: ConnId) -> impl Iterator<Item = &str> {
        let rooms = self.state.conns.get(conn).map_or(&[][..], |conn| &conn.rooms);
        rooms.iter().map(|&room| AppIndex::of_room(self.state.rooms.name(room)).1)
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
        let room = self.stored(room);
        self.state.rooms.set_policy(&room, policy, &self.state.config.rooms)
    }

    /// Removes a room's slow policy, so that the default applies. Returns `true` if it had one.
    pub fn clear_slow_policy(&mut self, room: &str) -> bool {
        let room = self.stored(room);
        self.state.rooms.clear_policy(&room)
    }

    /// Returns the name under which a room of this application is stored.
    pub(super) fn stored<'r>(&self, room: &'r str) -> Cow<'r, str> {
        AppIndex(self.app).stored_room(room)
    }
}
