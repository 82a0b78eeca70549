use crate::base::setters;
use crate::history::Position;

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

/// Options of [`Hub::join_with`](crate::Hub::join_with).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinOptions<'a> {
    /// The last position that the member knows. It then receives the messages after it, or learns
    /// that it cannot.
    pub since: Option<Position>,
    /// The name under which the member is [present](crate::Presence), of 1 to 128 bytes.
    pub name: Option<&'a str>,
    /// Information about the name, such as a JSON object, of at most 1 KiB.
    ///
    /// If several members have one name, the information that came last counts.
    pub info: Option<&'a str>,
    /// Whether the handler gets the missed messages, with [`Event::Joined`](crate::Event::Joined), in place of the
    /// member. Default: no.
    ///
    /// For protocols in which one answer confirms the join and contains what was missed.
    pub missed_to_handler: bool,
}

impl<'a> JoinOptions<'a> {
    /// Creates options of a member that knows no position and has no name.
    #[must_use]
    pub const fn new() -> Self {
        Self { since: None, name: None, info: None, missed_to_handler: false }
    }

    /// Sets [`since`](#structfield.since).
    #[must_use]
    pub const fn since(self, since: Option<Position>) -> Self {
        Self { since, ..self }
    }

    /// Sets [`name`](#structfield.name).
    #[must_use]
    pub const fn name(self, name: Option<&'a str>) -> Self {
        Self { name, ..self }
    }

    /// Sets [`info`](#structfield.info).
    #[must_use]
    pub const fn info(self, info: Option<&'a str>) -> Self {
        Self { info, ..self }
    }

    /// Sets [`missed_to_handler`](#structfield.missed_to_handler).
    #[must_use]
    pub const fn missed_to_handler(self, missed_to_handler: bool) -> Self {
        Self { missed_to_handler, ..self }
    }

    /// Checks the name and the information.
    pub(crate) fn check(&self) -> Result<(), JoinError> {
        match (self.name, self.info) {
            (Some(name), _) if !(1..=NAME_MAX_BYTES).contains(&name.len()) => {
                Err(JoinError::PresentName { bytes: name.len() })
            }
            (_, Some(info)) if info.len() > INFO_MAX_BYTES => Err(JoinError::PresentInfo { bytes: info.len() }),
            _ => Ok(()),
        }
    }
}

/// Maximum length of the name of a member, in bytes.
const NAME_MAX_BYTES: usize = 128;
/// Maximum length of the information about a name, in bytes.
const INFO_MAX_BYTES: usize = 1 << 10;

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
    /// The room has no [`Presence`](crate::Presence), so that no name can be present.
    #[error("the room does not keep the names of its members")]
    NoPresence,
    /// The name of the member is empty or too long.
    #[error("the name of a member has 1 to {NAME_MAX_BYTES} bytes, not {bytes}")]
    PresentName {
        /// The length of the name, in bytes.
        bytes: usize,
    },
    /// The information about the name is too long.
    #[error("the information about a name has at most {INFO_MAX_BYTES} bytes, not {bytes}")]
    PresentInfo {
        /// The length of the information, in bytes.
        bytes: usize,
    },
    /// [`RoomLimits::total`] is reached, by rooms or by policies of rooms without members.
    #[error("there are {0} rooms, which is the limit")]
    TooMany(u32),
    /// The connection is in [`RoomLimits::per_connection`] rooms, the maximum.
    #[error("the connection is in {0} rooms, which is the limit")]
    TooManyOfConnection(u32),
}
