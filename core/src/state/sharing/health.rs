//! The metrics of the link to the broker, and whether the server is ready without it.

use crate::base::Time;
use crate::config::WithoutBroker;
use crate::metrics::{ClusterMetrics, Metrics};
use crate::state::State;
use crate::web::Health;
use core::time::Duration;

/// Time without a link after which the server is not ready. Most losses of a link are shorter.
const UNREADY_AFTER: Duration = Duration::from_secs(10);

impl State {
    /// Returns the metrics of the link, on the shard that has it.
    pub(crate) fn cluster_metrics(&self) -> ClusterMetrics {
        let own = &self.metrics.cluster;
        let Some(sharing) = &self.sharing else { return own.clone() };
        let (rooms, hosts) = sharing.cluster.sizes();
        let is_unready = self.is_unready_since(sharing.down_since, own.links > 0);
        ClusterMetrics {
            configured: 1,
            up: own.up,
            unready: is_unready.into(),
            links: own.links,
            losses: own.losses,
            rooms: rooms as u64,
            hosts: hosts as u64,
            ..sharing.cluster.metrics.clone()
        }
    }

    /// Returns what the health of the whole server depends on.
    pub(crate) fn health(&self) -> Health {
        let Metrics { tunnels, cluster: metrics, .. } = self.metrics_of_all();
        let cluster = self.config.cluster.as_ref().map(|options| {
            // Until the shard with the link has told its counts, nothing is known.
            let is_unknown = metrics.configured == 0 && options.without_broker == WithoutBroker::Refuse;
            ClusterMetrics { unready: metrics.unready.max(is_unknown.into()), ..metrics }
        });
        Health { tunnels, cluster }
    }

    /// Returns `true` if the server should get no more connections, because shared rooms refuse their messages.
    fn is_unready_since(&self, down_since: Option<Time>, was_up: bool) -> bool {
        let refuses =
            self.config.cluster.as_ref().is_some_and(|cluster| cluster.without_broker == WithoutBroker::Refuse);
        refuses && down_since.is_some_and(|since| !was_up || self.now.since(since) > UNREADY_AFTER)
    }
}
