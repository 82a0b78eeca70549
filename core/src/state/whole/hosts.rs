//! The hosts of the cluster, as far as they have told of themselves.

use crate::base::{HostId, Time};
use crate::facts::{Addressee, ClusterHost, HostNews, HostReport, ShardMessage};
use crate::state::State;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Interval at which a host tells the others of itself.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Time between two reports if a new host appears, and between two messages about hosts to the other shards.
const REPORT_SOONEST: Duration = Duration::from_secs(1);
/// Maximum number of other hosts.
const HOSTS_MAX: usize = 1_000;

impl State {
    /// Returns the identifier of this host, as far as this shard knows it.
    pub(crate) const fn host_id(&self) -> Option<HostId> {
        self.whole.hosts.own
    }

    /// Returns the other hosts, as far as this shard knows them.
    pub(crate) fn hosts(&self) -> &[ClusterHost] {
        &self.whole.hosts.known
    }

    /// Returns `true` if the link to the broker works, as far as this shard knows it.
    pub(crate) const fn is_linked(&self) -> bool {
        self.whole.hosts.is_linked
    }

    /// Begins to tell the other hosts of this one, because the link works.
    pub(super) fn begin_reports(&mut self) {
        let own = self.sharing.as_ref().map(|sharing| sharing.cluster.host());
        (self.whole.hosts.own, self.whole.hosts.is_linked) = (own, true);
        self.whole.hosts.report_at = Some(self.now);
        self.tell_shards();
    }

    pub(super) fn end_reports(&mut self) {
        (self.whole.hosts.is_linked, self.whole.hosts.report_at) = (false, None);
        self.tell_shards();
    }

    /// Tells the other hosts and shards what they should know, if that is due. Returns `true` if it was.
    pub(super) fn report(&mut self) -> bool {
        let is_due = |at: &mut Time| *at <= self.now;
        let (hosts, shards) = (self.whole.hosts.report_at, self.whole.hosts.tell_shards_at.take_if(is_due));
        if shards.is_some() {
            self.tell_shards();
        }
        if hosts.is_none_or(|at| at > self.now) {
            return shards.is_some();
        }
        let report = self.own_report();
        self.tell_hosts(&HostNews::Report(report));
        (self.whole.hosts.report_at, self.whole.hosts.reported_at) = (Some(self.now + REPORT_EVERY), Some(self.now));
        true
    }

    /// Returns what this host tells of itself.
    pub(crate) fn own_report(&self) -> HostReport {
        let metrics = self.metrics_of_all();
        HostReport {
            name: self.config.cluster.as_ref().map_or_else(|| "".into(), |cluster| Arc::clone(&cluster.name)),
            version: env!("CARGO_PKG_VERSION").into(),
            workers: self.outbox.shard.count().into(),
            uptime_secs: self.now.as_millis() / 1_000,
            connections: metrics.open,
            rooms: metrics.rooms,
            messages_in: metrics.messages_in,
            messages_out: metrics.messages_out,
            link_losses: metrics.cluster.losses,
        }
    }

    /// Handles what another host tells of itself.
    pub(super) fn host_reported(&mut self, from: HostId, report: HostReport) {
        let now = self.now;
        let hosts = &mut self.whole.hosts;
        let host = ClusterHost::new(from, report, now);
        let mut known: Vec<_> = hosts.known.to_vec();
        match known.binary_search_by_key(&from, |host| host.id) {
            Ok(at) => known.splice(at..=at, [host]).for_each(drop),
            Err(_) if known.len() >= HOSTS_MAX => return,
            Err(at) => {
                known.insert(at, host);
                if let Some(report_at) = &mut hosts.report_at {
                    // It does not know this host yet.
                    let soonest = hosts.reported_at.map_or(now, |reported_at| reported_at + REPORT_SOONEST);
                    *report_at = soonest.min(*report_at);
                }
            }
        }
        hosts.known = known.into();
        self.tell_shards_soon();
        if let Some(sharing) = self.sharing.as_mut() {
            sharing.cluster.watch_host(from);
        }
    }

    /// Forgets a host without a lease.
    pub(in crate::state) fn host_is_gone(&mut self, host: HostId) {
        let hosts = &mut self.whole.hosts;
        hosts.known = hosts.known.iter().filter(|known| known.id != host).cloned().collect();
        self.tell_shards_soon();
        self.order_misses(host);
    }

    /// Handles a message about the hosts from the shard with the link.
    pub(in crate::state) fn hosts_told(&mut self, own: HostId, is_linked: bool, others: &Arc<[ClusterHost]>) {
        let hosts = &mut self.whole.hosts;
        (hosts.own, hosts.is_linked, hosts.known) = (Some(own), is_linked, Arc::clone(others));
    }

    /// Tells the other shards of the hosts.
    fn tell_shards(&mut self) {
        if let Some(own) = self.whole.hosts.own.filter(|_| self.outbox.shard.count() > 1) {
            let (is_linked, others) = (self.whole.hosts.is_linked, Arc::clone(&self.whole.hosts.known));
            self.queue_for(Addressee::Others, ShardMessage::Hosts { own, is_linked, others });
        }
    }

    fn tell_shards_soon(&mut self) {
        if self.outbox.shard.count() > 1 {
            self.whole.hosts.tell_shards_at.get_or_insert(self.now + REPORT_SOONEST);
        }
    }
}
