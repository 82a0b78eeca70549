use crate::base::setters;

/// Limits on the number of rooms and the length of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomLimits {
    /// Maximum number of rooms, on all [shards](crate::Shard) together. With 0, no connection can
    /// join.
    ///
    /// The first shard counts the rooms and tells the others the number. At the limit, a connection
    /// can join a room that has members on its own shard; on the first shard, also one of any other
    /// shard. While rooms open on several shards at once, they may exceed the limit by those whose
    /// messages to the first shard are on their way. No shard ever has more rooms than the limit.
    ///
    /// The same number limits the slow policies that each shard stores for rooms without members.
    pub total: u32,
    /// Maximum number of rooms per connection. With 0, no connection can join a room.
    pub per_connection: u32,
    /// Maximum length of a room's name, in bytes. With 0, no connection can join a room.
    ///
    /// A name has at least one byte.
    pub name_max_bytes: u32,
}

setters!(RoomLimits { total: u32, per_connection: u32, name_max_bytes: u32 });

impl Default for RoomLimits {
    /// Returns limits of 10,000 rooms, 100 rooms per connection, and names of 128 bytes.
    fn default() -> Self {
        Self { total: 10_000, per_connection: 100, name_max_bytes: 128 }
    }
}

/// The error returned when a connection cannot join a room, or a slow policy cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection is over or closing.
    #[error("the connection is over")]
    NotOpen,
    /// The name is empty or longer than [`RoomLimits::name_max_bytes`].
    #[error("a room's name has 1 to {max} bytes, not {bytes}")]
    Name {
        /// The length of the name, in bytes.
        bytes: usize,
        /// The maximum length of a name, in bytes.
        max: u32,
    },
    /// [`RoomLimits::total`] is reached, by rooms or by policies of rooms without members.
    #[error("there are {0} rooms, which is the limit")]
    TooMany(u32),
    /// The connection is in [`RoomLimits::per_connection`] rooms, the maximum.
    #[error("the connection is in {0} rooms, which is the limit")]
    TooManyOfConnection(u32),
}
