//! Requests to all hosts of a cluster.

use crate::base::{HostId, Reason};
use crate::facts::{ClusterHost, EndTarget};
use crate::handler::Hub;
use crate::state::ClusterRequest;
use core::time::Duration;

/// # All hosts
impl<C> Hub<'_, C> {
    /// Returns `true` if the server is one of several hosts that have a broker.
    #[must_use]
    pub fn has_cluster(&self) -> bool {
        self.state.config.cluster.is_some()
    }

    /// Returns the identifier of this host. `None`: there is no cluster, or this shard has not learned it yet.
    #[must_use]
    pub fn host_id(&self) -> Option<HostId> {
        self.state.host_id()
    }

    /// Returns `true` if the link of this host to the broker works, as far as this shard knows it.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.state.is_linked()
    }

    /// Returns the other hosts of the cluster, in the order of their identifiers.
    ///
    /// A host is here from its first report on, until its lease expires. Other shards than the one with the link
    /// learn changes up to 1 s later.
    #[must_use]
    pub fn hosts(&self) -> &[ClusterHost] {
        self.state.hosts()
    }

    /// Ends connections on all shards, and on all hosts of the [cluster](crate::Cluster), after flushing their output.
    ///
    /// [`Event::ClusterAnswered`](crate::Event::ClusterAnswered) follows with
    /// [`ClusterAnswer::Ended`](crate::ClusterAnswer::Ended), or `TooMany`. Other hosts have 2 s to answer. If the link
    /// to the broker does not work, only connections on this host end.
    pub fn end_everywhere(&mut self, target: EndTarget, reason: Reason) -> ClusterRequest {
        self.state.end_everywhere(self.app, target, reason)
    }

    /// Claims a key for this host, if no host has claimed it within its time. The broker decides.
    ///
    /// [`Event::ClusterAnswered`](crate::Event::ClusterAnswered) follows with
    /// [`ClusterAnswer::Claimed`](crate::ClusterAnswer::Claimed), or `TooMany`. Without a cluster, or without a link to its
    /// broker, it is [`Claim::NoBroker`](crate::Claim::NoBroker), as for a time of zero and for a key of more than 256 bytes. A
    /// claim holds for at most a year, and ends early if the broker loses its data. NATS refuses claims for more than 30
    /// days, and keeps all others for 30 days. The key is visible at the broker, so use
    /// a hash of a secret.
    pub fn claim(&mut self, key: &str, time: Duration) -> ClusterRequest {
        self.state.claim(self.app, key, time)
    }
}
