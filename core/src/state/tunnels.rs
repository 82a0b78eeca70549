//! Events, connections and metrics of tunnels.

use super::{Ending, Listeners, Pending, State};
use crate::base::Failure;
use crate::base::Origin;
use crate::metrics::TunnelMetrics;
use crate::state::admission::Admission;
use crate::tunnel::{Forward, TunnelFailure, TunnelId, TunnelState, TunnelStatus};
use alloc::string::String;
use alloc::vec::Vec;

impl State {
    /// Applies the tunnels of the configuration.
    ///
    /// On a server of several shards, only the first shard has tunnels.
    pub(crate) fn configure_tunnels(&mut self) {
        if self.outbox.shard.number() > 0 {
            return;
        }
        let listeners: Vec<_> = self.listeners.open().collect();
        self.tunnels.configure(self.now, &self.config.tunnels, &listeners);
        self.note_tunnels();
    }

    /// Queues events for changed tunnels, and ends the connections of lost ones.
    pub(crate) fn note_tunnels(&mut self) {
        for lost in self.tunnels.take_lost() {
            let came_by = |origin| tunnel_of(&self.listeners, origin).is_some_and(|tunnel| *tunnel == lost);
            let ids = self.conns.ids().filter(|id| self.conns.get(*id).is_some_and(|conn| came_by(conn.origin)));
            for id in ids.collect::<Vec<_>>() {
                self.end(id.slot(), Failure::Tunnel.reason(), Ending::Drop);
                self.forget(id.slot());
            }
        }
        self.pending.extend(self.tunnels.take_changed().into_iter().map(Pending::Tunnel));
    }

    /// Ends unused tunnels that are removed or draining. Returns false if there were none.
    pub(crate) fn end_unused_tunnels(&mut self) -> bool {
        let Self { tunnels, listeners, admission, now, .. } = self;
        let some = tunnels.end_unused(*now, |name| channels(listeners, admission, name));
        if some {
            self.note_tunnels();
        }
        some
    }

    pub(crate) fn tunnel_status(&self, id: TunnelId) -> Option<TunnelStatus> {
        self.tunnels.status(id)
    }

    pub(crate) fn tunnel_statuses(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.tunnels.statuses()
    }

    /// Adds bytes that a connection received and wrote to the traffic of its tunnel.
    pub(crate) fn count_tunnel_traffic(&mut self, origin: Origin, received: u64, written: u64) {
        if self.tunnels.is_empty() {
            return;
        }
        let Some(name) = tunnel_of(&self.listeners, origin) else { return };
        if !self.tunnel_traffic.contains_key(name) {
            self.tunnel_traffic.insert(name.into(), (0, 0));
        }
        if let Some((bytes_in, bytes_out)) = self.tunnel_traffic.get_mut(name) {
            *bytes_in += received;
            *bytes_out += written;
        }
    }

    /// Returns the metrics of the configured tunnels, in the same order on all shards.
    pub(super) fn tunnel_metrics(&self) -> Vec<TunnelMetrics> {
        let statuses: Vec<_> = self.tunnel_statuses().collect();
        let metrics = self.config.tunnels.iter().map(|tunnel| {
            let (bytes_in, bytes_out) = self.tunnel_traffic.get(&tunnel.name).copied().unwrap_or_default();
            let mut metrics =
                TunnelMetrics { name: tunnel.name.clone(), bytes_in, bytes_out, ..TunnelMetrics::default() };
            let Some(status) = statuses.iter().find(|status| status.name == tunnel.name) else { return metrics };
            metrics.state = status.state.number() as u64;
            metrics.up = u64::from(status.state == TunnelState::Up);
            metrics.forwards = status.forwards.len() as u64;
            metrics.forwards_bound = status.forwards.iter().filter(|forward| forward.bound).count() as u64;
            metrics.connects = status.connects;
            metrics.connected = status.connected;
            metrics.channels = channels(&self.listeners, &self.admission, &tunnel.name);
            metrics.channels_refused = self.tunnels.channels_refused(&tunnel.name);
            let failure = status.last_error.as_ref().map(|(failure, _)| *failure);
            let place = failure.and_then(|failure| TunnelFailure::ALL.iter().position(|other| *other == failure));
            metrics.last_error = place.map_or(0, |place| place as u64 + 1);
            metrics
        });
        metrics.collect()
    }
}

/// Returns the name of a connection's tunnel, if any.
fn tunnel_of(listeners: &Listeners, origin: Origin) -> Option<&String> {
    listeners.of(origin)?.address.forward().map(|forward| &forward.tunnel)
}

/// Returns the number of a tunnel's connections on all shards.
fn channels(listeners: &Listeners, admission: &Admission, name: &str) -> u64 {
    let is_through = |forward: &Forward| forward.tunnel == name;
    let of_tunnel = listeners.all().filter(|(_, listen)| listen.address.forward().is_some_and(is_through));
    of_tunnel.map(|(id, _)| u64::from(admission.on(id))).sum()
}
