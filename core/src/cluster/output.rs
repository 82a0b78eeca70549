use super::fault::LinkFault;
use crate::base::HostId;
use crate::facts::{Claim, RoomMessage};
use alloc::string::String;
use alloc::sync::Arc;

/// What a cluster tells this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A message to one shard.
    ToShard(u8, RoomMessage),
    /// A message to all shards with members of its room.
    ToHolders(RoomMessage),
    /// A message from another host.
    FromHost { from: HostId, topic: Arc<str>, content: Arc<str> },
    /// Another host has no lease any more.
    HostGone(HostId),
    /// The answer to a claim, for this shard and with the number of its request.
    Claimed(u8, u64, Claim),
    /// The broker has refused a message, in these words. Told every 10 s at most.
    Refused(String),
    /// The link works now.
    Up,
    /// The link has ended, or could not be made.
    Down(Option<LinkFault>),
}
