//! A server on several threads: one machine per thread, and messages between them.
//!
//! The first shard accepts connections, so that one place counts them, and hands most of them to
//! the others. A message that one shard publishes reaches all others in one hop, and messages of
//! one sender stay in order. What happens on a shard depends only on its own facts, which include
//! messages from other shards.

use super::{ClusterAnswer, ClusterHost, EndTarget, RoomMessage};
use crate::base::{ConnId, HostId, ListenerId, OutgoingBuf, Peer, Reason};
use alloc::sync::Arc;
use core::net::IpAddr;

/// A machine's position among the machines of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u8,
    count: u8,
}

/// The error for a shard number, or a number of shards, that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server has 1 to 255 shards, numbered from 0")]
#[non_exhaustive]
pub struct ShardError;

impl Shard {
    /// The only shard of a server.
    pub const ALONE: Self = Self { number: 0, count: 1 };

    /// Creates shard `number`, counted from 0, of `count` shards.
    ///
    /// # Errors
    /// Unless `number` is below `count`.
    pub const fn new(number: u8, count: u8) -> Result<Self, ShardError> {
        if number < count { Ok(Self { number, count }) } else { Err(ShardError) }
    }

    /// Returns the shard's number. Shard 0 accepts connections.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.number
    }

    /// Returns the number of shards of the server.
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

/// A message from one shard to one or all of the others. Cheap to clone.
///
/// The receiving shell passes it to
/// [`Machine::shard_message_received`](crate::Machine::shard_message_received).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShardMessage {
    /// A message for the members of a room.
    Publish {
        /// The room's name.
        room: Arc<str>,
        /// Connections that do not receive the message.
        except: Arc<[ConnId]>,
        /// The message to send.
        message: OutgoingBuf,
    },
    /// A dial of the sending shard connected.
    Dialed {
        /// The address of the peer.
        peer: Peer,
    },
    /// A connection of the sending shard ended.
    Left {
        /// The listener that accepted the connection. `None` if it was dialled.
        listener: Option<ListenerId>,
        /// The address of the peer.
        peer: Peer,
        /// Number of the shard that held the connection.
        shard: u8,
    },
    /// A request to the first shard to quarantine a peer's address.
    Quarantine {
        /// The peer whose address the first shard should quarantine.
        peer: Peer,
    },
    /// A connection that counted as unauthenticated has authenticated or ended.
    Authenticated,
    /// A request to the first shard to decide whether to accept the client of a proxy.
    Arrived {
        /// The connection that waits for the decision.
        conn: ConnId,
        /// The listener that accepted the connection.
        listener: ListenerId,
        /// Address of the client, as the proxy reported it.
        peer: Peer,
    },
    /// A connection ended while the first shard was admitting its client.
    Gone {
        /// Address of the client, as the proxy reported it.
        peer: Peer,
    },
    /// The first shard's decision about the client in [`Arrived`](Self::Arrived).
    Admission {
        /// The connection that waits for the decision.
        conn: ConnId,
        /// Address of the client, as the proxy reported it.
        peer: Peer,
        /// Why the first shard refuses the client. `None` if it accepts the client.
        refused: Option<Reason>,
    },
    /// A message between handlers: see [`Hub::send_to_shard`](crate::Hub::send_to_shard).
    Handler {
        /// Number of the sending shard.
        from: u8,
        /// The message's topic.
        topic: Arc<str>,
        /// The message's content.
        content: Arc<str>,
    },
    /// To the shard with the link to the broker: a message to the applications on all other hosts.
    ToHosts {
        /// The message's topic.
        topic: Arc<str>,
        /// The message's content.
        content: Arc<str>,
    },
    /// From the shard with the link: a message of the application on another host.
    FromHost {
        /// The host that sent it.
        from: HostId,
        /// The message's topic.
        topic: Arc<str>,
        /// The message's content.
        content: Arc<str>,
    },
    /// To the shard with the link to the broker: end connections on all shards and hosts.
    EndEverywhere {
        /// Number of the shard that asks.
        from: u8,
        /// The number of the request. `None`: nobody waits for the answer.
        request: Option<u64>,
        /// The connections to end.
        target: EndTarget,
        /// Why they end.
        reason: Reason,
    },
    /// From the shard with the link: end connections on this shard, and answer with `Ended`.
    End {
        /// The number that the answer repeats.
        number: u64,
        /// The connections to end.
        target: EndTarget,
        /// Why they end.
        reason: Reason,
    },
    /// To the shard with the link: the answer to `End`.
    Ended {
        /// The number of the order.
        number: u64,
        /// Number of connections that were ended.
        connections: u64,
    },
    /// To the shard with the link: claim a key at the broker.
    Claim {
        /// Number of the shard that asks.
        from: u8,
        /// The number of the request.
        request: u64,
        /// The key.
        key: Arc<str>,
        /// For how long it is taken then, in milliseconds.
        millis: u64,
    },
    /// From the shard with the link: the answer to `EndEverywhere` or `Claim`.
    ClusterAnswer {
        /// The number of the request.
        request: u64,
        /// The answer.
        answer: ClusterAnswer,
    },
    /// Addresses that are in quarantine, each for this number of milliseconds.
    ///
    /// From the shard with the link to the first one: other hosts have told them. In the other direction: tell them to
    /// the other hosts.
    Quarantined {
        /// The addresses.
        addresses: Arc<[(IpAddr, u64)]>,
        /// Whether the other hosts are to be told.
        to_hosts: bool,
    },
    /// An operator has released an address from quarantine.
    Released {
        /// The address.
        address: IpAddr,
        /// Whether the other hosts are to be told.
        to_hosts: bool,
    },
    /// From the shard with the link: the hosts of the cluster.
    Hosts {
        /// This host.
        own: HostId,
        /// Whether the link to the broker works.
        is_linked: bool,
        /// The other hosts.
        others: Arc<[ClusterHost]>,
    },
    /// From the shard with the link to the first one: send the addresses in quarantine to the other hosts.
    ListQuarantine,
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
    /// A message about a room that has a [home](crate::Home).
    Room(RoomMessage),
    /// The number of rooms on all shards together, from the first shard to the others.
    RoomsCounted {
        /// The number of rooms.
        rooms: u32,
    },
    /// The numeric values of a shard's metrics.
    Counted {
        /// Number of the shard that counted.
        shard: u8,
        /// The values, in an order that is the same on all shards.
        numbers: Arc<[u64]>,
    },
}

/// Estimated memory of a queued message besides its content, in bytes. 230 were measured.
///
/// It covers the place in the queue and the headers of the allocations.
const SHARD_MESSAGE_BYTES: usize = 256;

impl ShardMessage {
    /// Returns the memory that the message uses while it is queued, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let content = match self {
            Self::Publish { room, except, message } => {
                room.len() + size_of_val(&**except) + message.as_outgoing().len()
            }
            Self::Handler { topic, content, .. }
            | Self::ToHosts { topic, content }
            | Self::FromHost { topic, content, .. } => topic.len() + content.len(),
            Self::EndEverywhere { target, .. } | Self::End { target, .. } => match target {
                EndTarget::User(user) => user.len(),
                EndTarget::Address(_) => 0,
            },
            Self::Claim { key, .. } => key.len(),
            Self::Quarantined { addresses, .. } => size_of_val(&**addresses),
            Self::Hosts { others, .. } => size_of_val(&**others),
            Self::RoomOpened { room } | Self::RoomClosed { room } => room.len(),
            Self::Room(message) => message.content_bytes(),
            Self::Counted { numbers, .. } => size_of_val(&**numbers),
            Self::Dialed { .. }
            | Self::Left { .. }
            | Self::Quarantine { .. }
            | Self::Authenticated
            | Self::Arrived { .. }
            | Self::Gone { .. }
            | Self::RoomsCounted { .. }
            | Self::Ended { .. }
            | Self::ClusterAnswer { .. }
            | Self::Released { .. }
            | Self::ListQuarantine
            | Self::Admission { .. } => 0,
        };
        SHARD_MESSAGE_BYTES + content
    }
}
