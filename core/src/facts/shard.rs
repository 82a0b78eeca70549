//! A server on several threads: one machine each, and letters between them.
//!
//! The first shard accepts, since one place must count who is in; it hands most connections to the others. What one shard
//! publishes goes to all others as a letter, so it is there after one hop, and what one sender says stays in order. What
//! happens on a shard follows from its own facts, letters included, as for a machine alone.

use crate::base::{ConnId, ListenerId, OutgoingBuf, Peer, Reason};
use alloc::sync::Arc;

/// Which of how many machines that are one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u8,
    count: u8,
}

/// No server has so many shards, or the number is not one of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server has 1 to 255 shards, numbered from 0")]
pub struct ShardError;

impl Shard {
    /// A machine that is a server by itself.
    pub const ALONE: Self = Self { number: 0, count: 1 };

    /// The shard of this number, from 0, of so many.
    ///
    /// # Errors
    /// Unless `number` is below `count`.
    pub const fn new(number: u8, count: u8) -> Result<Self, ShardError> {
        if number < count { Ok(Self { number, count }) } else { Err(ShardError) }
    }

    /// Its number: 0 is the one that accepts.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.number
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u8 {
        self.count
    }
}

/// To whom a letter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// All other shards.
    Others,
    /// The shard that accepts.
    First,
    /// The shard of this number.
    Shard(u8),
}

/// What one shard tells others: for [`Machine::delivered`](crate::Machine::delivered). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Letter {
    /// A message for the members of a room.
    Publish {
        /// The room's name.
        room: Arc<str>,
        /// Who is left out.
        except: Arc<[ConnId]>,
        /// The message.
        message: OutgoingBuf,
    },
    /// A connection was dialled.
    Dialed {
        /// Who is at the other end.
        peer: Peer,
    },
    /// A connection is over.
    Left {
        /// Where it was accepted; `None` if it was dialled.
        listener: Option<ListenerId>,
        /// Who it was.
        peer: Peer,
        /// Which shard had it.
        shard: u8,
    },
    /// A peer's address is to be refused for a while.
    Quarantine {
        /// Who.
        peer: Peer,
    },
    /// A connection that was accepted has shown whose it is, or is over.
    Known,
    /// A proxy has told whom it speaks for: may they come in?
    Arrived {
        /// The connection, which waits for the answer.
        conn: ConnId,
        /// Where it was accepted.
        listener: ListenerId,
        /// Whom the proxy speaks for.
        peer: Peer,
    },
    /// A connection was over before it heard that it may come in under this address.
    Gone {
        /// Whom the proxy spoke for.
        peer: Peer,
    },
    /// The answer to [`Arrived`](Self::Arrived).
    Admission {
        /// Which connection.
        conn: ConnId,
        /// Whom the proxy speaks for.
        peer: Peer,
        /// Why it may not come in; `None` if it may.
        refused: Option<Reason>,
    },
    /// From the handler of one shard to that of another: see [`Hub::send_to_shard`](crate::Hub::send_to_shard).
    Handler {
        /// Which shard sends it.
        from: u8,
        /// What it is about.
        topic: Arc<str>,
        /// What it says.
        content: Arc<str>,
    },
    /// A room has its first member on the shard that tells it.
    RoomOpened {
        /// The room's name.
        room: Arc<str>,
    },
    /// A room has lost its last member on the shard that tells it.
    RoomClosed {
        /// The room's name.
        room: Arc<str>,
    },
    /// What a shard has counted so far.
    Counted {
        /// Which.
        shard: u8,
        /// The counters, in the order of their declaration.
        numbers: Arc<[u64]>,
    },
}

/// What a letter occupies beside its content, in bytes: its place in the queue that waits, and the heads of its allocations.
/// 230 were measured.
const LETTER_BYTES: usize = 256;

impl Letter {
    /// The memory that it occupies while it waits, in bytes.
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
            | Self::Known
            | Self::Arrived { .. }
            | Self::Gone { .. }
            | Self::Admission { .. } => 0,
        };
        LETTER_BYTES + content
    }
}
