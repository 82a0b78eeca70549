/// How many rooms there may be, and how long a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// Rooms in all, on each [shard](crate::Shard). A room exists while it has a member there. With 0 nobody can join any.
    pub total: u32,
    /// Rooms that one connection may be in. With 0 nobody can join any.
    pub per_connection: u32,
    /// The longest name, in bytes. A name has at least one, so with 0 nobody can join any room.
    pub name_max_bytes: u32,
}

impl Default for RoomLimits {
    /// 10,000 rooms, 100 for each connection, names of 128 bytes.
    fn default() -> Self {
        Self { total: 10_000, per_connection: 100, name_max_bytes: 128 }
    }
}

/// A connection could not join a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection is over or closing.
    #[error("the connection is over")]
    NotOpen,
    /// The name is empty or longer than [`RoomLimits::name_max_bytes`].
    #[error("a room's name has 1 to {max} bytes, not {bytes}")]
    Name {
        /// The length of the name.
        bytes: usize,
        /// The limit.
        max: u32,
    },
    /// There are [`RoomLimits::total`] rooms, or policies that were set for rooms without members.
    #[error("there are {0} rooms, which is the limit")]
    TooMany(u32),
    /// The connection is in [`RoomLimits::per_connection`] rooms.
    #[error("the connection is in {0} rooms, which is the limit")]
    TooManyOfConnection(u32),
}
