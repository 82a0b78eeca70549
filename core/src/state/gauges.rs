//! Snapshots of the metrics, with the gauges that are counted when they are needed.

use super::State;
use crate::base::{Time, UnixTime};
use crate::metrics::Metrics;
use crate::state::conn::Conn;

impl State {
    /// Returns the number of open connections.
    pub(crate) fn open_connections(&self) -> u64 {
        self.metrics.opened - self.metrics.ended.total()
    }

    /// Returns a snapshot of the metrics, including the lists of [`Recent`].
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics { recent: self.recent.clone(), ..self.counters() }
    }

    /// Returns a snapshot of the metrics, without the lists of [`Recent`].
    pub(crate) fn counters(&self) -> Metrics {
        let mut metrics = self.metrics.clone();
        metrics.labels = self.config.metrics.labels.clone();
        metrics.uptime_secs = self.now.since(Time::START).as_secs();
        metrics.undecided = self.undecided;
        metrics.http_connections = self.http_kept;
        metrics.open = self.open_connections();
        metrics.closing = self.conns.len() as u64 - metrics.open - metrics.undecided;
        let is_open = |index: &&u32| self.conns.at(**index).is_some_and(Conn::is_open);
        metrics.stalled = self.outbound.stalled().iter().filter(is_open).count() as u64;
        metrics.draining = self.is_draining().into();
        if self.outbox.shard.number() == 0 {
            // Only one shard reports these, because all shards' values are added up.
            let expires = self.config.listeners.iter().filter_map(|listen| listen.tls.as_ref()?.expires_at);
            metrics.certificate_expiry_secs = expires.min().map_or(0, UnixTime::as_secs);
            metrics.rooms = if self.outbox.is_alone() { self.rooms.len() } else { self.outbox.rooms().len() } as u64;
        }
        metrics.tunnels = self.tunnel_metrics();
        self.memory.set_gauges(&mut metrics.memory);
        metrics.cluster = self.cluster_metrics();
        metrics.tickets = self.tickets.len() as u64;
        metrics.quarantined = self.admission.quarantine.len(self.now) as u64;
        metrics.accept_paused = self.listeners.resting() as u64;
        metrics.queued_bytes = self.outbound.queued;
        metrics.queued_bytes_peak = self.outbound.queued_peak;
        metrics.queued_memory_bytes = self.outbound.held() as u64;
        metrics.skipped = self.outbound.skipped;
        metrics.compressed = self.outbound.encoder.compressed();
        metrics
    }
}
