//! What holds for all hosts of a cluster, and not for one: ends of connections, claims, and the quarantine.
//!
//! The shard with the link to the broker speaks for its host. It keeps [`Hosts`], which no other shard has, and has the
//! other shards do their part. Its counterparts on other hosts get [`HostNews`](crate::facts::HostNews).

mod claims;
mod endings;
mod hosts;
mod news;
mod quarantine;
mod requests;

pub use requests::ClusterRequest;

pub(super) use endings::Asker;
pub(super) use news::OWN_TOPIC;

use endings::Endings;
use hosts::Hosts;
use quarantine::Told;
use requests::Requests;

/// The requests of this shard to the whole cluster, and on the shard with the link also what it knows of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    requests: Requests,
    endings: Endings,
    hosts: Hosts,
    told: Told,
}
