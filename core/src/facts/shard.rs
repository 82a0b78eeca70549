//! A server on several threads: one machine per thread, and messages between them.
//!
//! The first shard accepts connections, so that one place counts them, and hands most of them to
//! the others. A message that one shard publishes reaches all others in one hop, and messages of
//! one sender stay in order. What happens on a shard depends only on its own facts, which include
//! messages from other shards.

use crate::base::{ConnId, ListenerId, OutgoingBuf, Peer, Reason};
use alloc::sync::Arc;

/// A machine's position among the machines of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u8,
    count: u8,
}

/// The shard's number or the number of shards is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server has 1 to 255 shards, numbered from 0")]
#[non_exhaustive]
pub struct ShardError;

impl Shard {
    /// The only machine of a server.
    pub const ALONE: Self = Self { number: 0, count: 1 };

    /// Shard `number`, from 0, of `count`.
    ///
    /// # Errors
    /// Unless `number` is below `count`.
    pub const fn new(number: u8, count: u8) -> Result<Self, ShardError> {
        if number < count { Ok(Self { number, count }) } else { Err(ShardError) }
    }

    /// Its number. Shard 0 accepts connections.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.number
    }

    /// Number of shards of the server.
    #[must_use]
    pub const fn count(self) -> u8 {
        self.count
    }
}

/// The recipient of a message between shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must deliver to each")]
pub enum Addressee {
    /// All other shards.
    Others,
    /// The shard that accepts connections.
    First,
    /// The shard with this number.
    Shard(u8),
}

/// A message to other shards, for [`Machine::shard_message_received`](crate::Machine::shard_message_received).
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShardMessage {
    /// A message for the members of a room.
    Publish {
        /// The room's name.
        room: Arc<str>,
        /// Connections that do not get it.
        except: Arc<[ConnId]>,
        /// The message.
        message: OutgoingBuf,
    },
    /// A connection was dialled.
    Dialed {
        /// The address of the peer.
        peer: Peer,
    },
    /// A connection is over.
    Left {
        /// The listener that accepted it. `None` if it was dialled.
        listener: Option<ListenerId>,
        /// The address of the peer.
        peer: Peer,
        /// The shard that held it.
        shard: u8,
    },
    /// An address goes into quarantine.
    Quarantine {
        /// The address of the peer.
        peer: Peer,
    },
    /// An accepted connection has authenticated, or is over.
    Authenticated,
    /// A proxy has reported its client: asks the first shard whether to accept it.
    Arrived {
        /// The connection, which waits for the answer.
        conn: ConnId,
        /// The listener that accepted it.
        listener: ListenerId,
        /// The client that the proxy reports.
        peer: Peer,
    },
    /// A connection ended before the first shard accepted its client.
    Gone {
        /// The client that the proxy reported.
        peer: Peer,
    },
    /// The answer to [`Arrived`](Self::Arrived).
    Admission {
        /// The connection.
        conn: ConnId,
        /// The client that the proxy reports.
        peer: Peer,
        /// Why it is refused. `None` if it is accepted.
        refused: Option<Reason>,
    },
    /// A message between handlers: see [`Hub::send_to_shard`](crate::Hub::send_to_shard).
    Handler {
        /// The sending shard.
        from: u8,
        /// The topic.
        topic: Arc<str>,
        /// The content.
        content: Arc<str>,
    },
    /// A room got its first member on the sending shard.
    RoomOpened {
        /// The room's name.
        room: Arc<str>,
    },
    /// A room lost its last member on the sending shard.
    RoomClosed {
        /// The room's name.
        room: Arc<str>,
    },
    /// A shard's counters.
    Counted {
        /// The shard.
        shard: u8,
        /// The counters, in the order of their declaration.
        numbers: Arc<[u64]>,
    },
}

/// Memory of a queued message besides its content, in bytes. 230 were measured.
///
/// It covers the place in the queue and the headers of the allocations.
const SHARD_MESSAGE_BYTES: usize = 256;

impl ShardMessage {
    /// Memory that it uses while it is queued, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let content = match self {
            Self::Publish { room, except, message } => {
                room.len() + size_of_val(&**except) + message.as_outgoing().len()
            }
            Self::Handler { topic, content, .. } => topic.len() + content.len(),
            Self::RoomOpened { room } | Self::RoomClosed { room } => room.len(),
            Self::Counted { numbers, .. } => size_of_val(&**numbers),
            Self::Dialed { .. }
            | Self::Left { .. }
            | Self::Quarantine { .. }
            | Self::Authenticated
            | Self::Arrived { .. }
            | Self::Gone { .. }
            | Self::Admission { .. } => 0,
        };
        SHARD_MESSAGE_BYTES + content
    }
}
