//! What shards know of the whole cluster.

use crate::base::{HostId, Time};
use crate::facts::ClusterHost;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

/// The requests of this shard to the whole cluster, and on the shard with the link also what it knows of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(super) requests: Requests,
    pub(super) endings: Endings,
    pub(super) hosts: Hosts,
    pub(super) told: Told,
}

/// A request to the whole cluster, which [`Event::ClusterAnswered`](crate::Event::ClusterAnswered) answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterRequest {
    pub(super) number: u64,
    pub(crate) app: u8,
}

impl fmt::Display for ClusterRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

/// The application of each request that waits, and the number of requests so far.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) waiting: BTreeMap<u64, u8>,
    pub(super) issued: u64,
}

/// The orders to end connections whose answers are awaited, on the shard with the link.
#[derive(Debug, Default)]
pub(super) struct Endings {
    pub(super) orders: BTreeMap<u64, Order>,
    pub(super) given: u64,
    /// The time limit of each order. Later orders have later limits.
    pub(super) due: BTreeMap<u64, Time>,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) asker: Asker,
    pub(super) connections: u64,
    /// Number of shards of this host that have not answered.
    pub(super) shards_left: u8,
    /// The hosts that have not answered.
    pub(super) hosts_left: BTreeSet<HostId>,
    pub(super) hosts: u32,
    pub(super) hosts_known: u32,
}

/// Who waits for the answer to an order.
#[derive(Debug)]
pub(in crate::state) enum Asker {
    /// A shard of this host, with the number of its request.
    Shard(u8, u64),
    /// Another host, with the number of its order.
    Host(HostId, u64),
    Nobody,
}

impl Endings {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.due.first_key_value().map(|(_, at)| *at)
    }
}

/// The other hosts. The shard with the link tells the other shards.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) own: Option<HostId>,
    pub(super) is_linked: bool,
    /// In the order of their identifiers.
    pub(super) known: Arc<[ClusterHost]>,
    /// When this host tells the others of itself next. `None`: there is no link.
    pub(super) report_at: Option<Time>,
    pub(super) reported_at: Option<Time>,
    /// When the other shards are told of changes.
    pub(super) tell_shards_at: Option<Time>,
}

impl Hosts {
    /// Returns the other hosts.
    pub(super) fn known(&self) -> impl Iterator<Item = HostId> + '_ {
        self.known.iter().map(|host| host.id)
    }

    /// Returns the host that has run for the longest time.
    pub(super) fn oldest(&self) -> Option<HostId> {
        self.known.iter().max_by_key(|host| (host.report.uptime_secs, host.id)).map(|host| host.id)
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        [self.report_at, self.tell_shards_at].into_iter().flatten().min()
    }
}

/// What the other hosts are told of the quarantine, on the shard with the link.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The addresses of which they have not been told, and until when each is refused.
    pub(super) waiting: BTreeMap<IpAddr, Time>,
    pub(super) tell_at: Option<Time>,
    /// When this host asks for the quarantine next. `None`: it knows it, or has no link.
    pub(super) ask_at: Option<Time>,
    /// When this host last answered.
    pub(super) answered_at: Option<Time>,
}

impl Told {
    pub(super) fn deadline(&self) -> Option<Time> {
        [self.tell_at, self.ask_at].into_iter().flatten().min()
    }
}
