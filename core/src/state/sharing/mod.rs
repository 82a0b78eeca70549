//! Rooms that several hosts share: the link to the broker, on one shard of this host.
//!
//! The other shards send it the same messages that they send to homes in memory.

mod health;
mod link;
mod rooms;
mod tables;

pub(crate) use tables::Sharing;
