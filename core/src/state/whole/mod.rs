//! What holds for all hosts of a cluster, and not for one: ends of connections, claims, and the quarantine.
//!
//! The shard with the link to the broker speaks for its host. It keeps [`Hosts`](tables::Hosts), which no other shard has, and has the
//! other shards do their part. Its counterparts on other hosts get [`HostNews`](crate::facts::HostNews).

mod claims;
mod endings;
mod hosts;
mod news;
mod quarantine;
mod requests;
mod tables;

pub use tables::ClusterRequest;

pub(super) use news::OWN_TOPIC;
pub(super) use tables::{Asker, Whole};
