mod cluster;
mod debug;
mod histogram;
mod memory;
mod process;
mod prometheus;
mod recent;
mod series;

pub use cluster::ClusterMetrics;
pub use histogram::Histogram;
pub use memory::MemoryMetrics;
pub use process::ProcessMetrics;
pub use recent::{ConnectionSummary, ErrorSummary, Recent, WorkSummary};
pub(crate) use recent::{is_error, network_of};
pub use series::{Series, SeriesError, SeriesId, SeriesProblem};
pub(crate) use series::{increase, register, set};

use crate::base::Reason;
use crate::config::MetricLabels;
use crate::tunnel::{TunnelFailure, TunnelState};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// Metrics of a machine: counters, gauges, histograms, and lists of recent events.
///
/// Counters only rise; gauges hold the value at the time of the call.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Labels that the operator configured, which every series has.
    pub labels: MetricLabels,
    /// Time since the start of the server, in seconds (gauge).
    pub uptime_secs: u64,
    /// Connections accepted or dialled (counter), including those that ended before they opened.
    ///
    /// Handshakes in progress do not count yet. Connections that only ask for pages, health or
    /// metrics count in [`Metrics::http_ended`].
    pub opened: u64,
    /// Refused connections (counter), by [`Reason`] as in [`Metrics::ended`].
    pub refused: ByReason,
    /// Connections of [`Metrics::opened`] that ended (counter), by [`Reason`].
    pub ended: ByReason,
    /// Ended connections that received HTTP responses but did not upgrade (counter).
    pub http_ended: ByReason,
    /// Open connections (gauge).
    pub open: u64,
    /// Connections in a handshake or on HTTP keep-alive (gauge).
    pub undecided: u64,
    /// Connections on HTTP keep-alive (gauge). [`Metrics::undecided`] includes them.
    pub http_connections: u64,
    /// Connections that are flushing or lingering (gauge).
    pub closing: u64,
    /// Open connections whose queue is above the high mark (gauge).
    pub stalled: u64,
    /// Rooms with members (gauge), on all shards together. Only the first shard reports it.
    pub rooms: u64,
    /// Rooms that have a home.
    pub memory: MemoryMetrics,
    /// The link to the broker of shared rooms. Only the shard with the link reports it.
    pub cluster: ClusterMetrics,
    /// Resources of the process. The values are 0 unless they are [reported](crate::Command::ProcessUsage).
    pub process: ProcessMetrics,
    /// Unredeemed tickets (gauge); see [`Hub::ticket`](crate::Hub::ticket).
    pub tickets: u64,
    /// Addresses in quarantine (gauge).
    pub quarantined: u64,
    /// Listeners that are paused because accepting failed (gauge).
    pub accept_paused: u64,
    /// Failed accepts (counter).
    pub accept_errors: u64,
    /// Bytes read (counter).
    pub bytes_in: u64,
    /// Bytes written (counter).
    pub bytes_out: u64,
    /// Messages decoded and delivered to the handler (counter).
    pub messages_in: u64,
    /// Messages queued, once per recipient (counter).
    pub messages_out: u64,
    /// Messages that a wire could not carry, once per recipient (counter).
    pub messages_unsendable: u64,
    /// Bytes queued and not yet written (gauge).
    pub queued_bytes: u64,
    /// Highest value of [`Metrics::queued_bytes`] so far (gauge).
    pub queued_bytes_peak: u64,
    /// Memory of queued messages, in bytes (gauge).
    ///
    /// Less than [`Metrics::queued_bytes`] where connections share messages.
    pub queued_memory_bytes: u64,
    /// Messages compressed, once for all recipients (counter).
    ///
    /// Includes messages that are sent uncompressed because compression did not make them smaller.
    pub compressed: u64,
    /// Messages skipped for slow members by a room's policy (counter).
    pub skipped: u64,
    /// Messages and reads that exceeded a rate (counter).
    pub rate_exceeded: u64,
    /// Messages discarded because they exceeded a rate (counter).
    pub rate_dropped: u64,
    /// Failed outgoing connection attempts, including failed handshakes (counter).
    pub dial_errors: u64,
    /// Panics of the handler and of connection tasks (counter).
    pub handler_panics: u64,
    /// Successful authentications (counter).
    pub authenticated: u64,
    /// Failed authentications (counter).
    pub authentication_failures: u64,
    /// Users that registered (counter).
    pub registrations: u64,
    /// Completed TLS handshakes (counter).
    pub tls_handshakes: u64,
    /// TLS handshakes that resumed an earlier session (counter).
    pub tls_resumed: u64,
    /// HTTP requests served for health: `/healthz`, `/readyz` and `OPTIONS` (counter).
    pub requests_health: u64,
    /// HTTP requests served for `/metrics` (counter).
    pub requests_metrics: u64,
    /// HTTP requests served with pages, files, responses of the application, or 401 for a missing
    /// credential (counter).
    pub requests_page: u64,
    /// HTTP requests refused (counter), each with an [`Event::RequestRefused`](crate::Event).
    pub requests_refused: ByReason,
    /// Client addresses that trusted proxies reported in a header (counter).
    pub forwarded: u64,
    /// Applied reloads of the configuration (counter). Only the first shard counts them.
    pub reloads: u64,
    /// Reported [reload failures](crate::Command::ReloadFailed) (counter).
    pub reload_failures: u64,
    /// Fetches of a key set that succeeded, as [reported](crate::Command::KeySetFetched) (counter).
    pub key_set_fetches: u64,
    /// Fetches of a key set that failed, as [reported](crate::Command::KeySetFetched) (counter).
    pub key_set_fetch_failures: u64,
    /// Log lines dropped above the rate limit, as [reported](crate::Command::LogLoss) (counter).
    pub log_lines_left_out: u64,
    /// Log lines that could not be written, as [reported](crate::Command::LogLoss) (counter).
    pub log_lines_lost: u64,
    /// Shards that are draining, including the grace period (gauge).
    pub draining: u64,
    /// Connections that a drain ended at its deadline although work was in progress (counter).
    pub drain_unfinished: u64,
    /// Earliest expiry of the listeners' certificates, in seconds since 1970 (gauge).
    ///
    /// 0 if there is none.
    pub certificate_expiry_secs: u64,
    /// Connections accepted only because of [`Config::dry_run`](crate::Config::dry_run) (counter).
    pub would_refuse: ByReason,
    /// Metrics of each configured tunnel, in the order of the configuration.
    pub tunnels: Vec<TunnelMetrics>,
    /// Counters and gauges of the application, in the order of their registration.
    pub application: Vec<Series>,
    /// Histogram of the messages delivered per turn, without turns that had none.
    pub turn_messages: Histogram,
    /// Histogram of the round-trip times of pings, in microseconds.
    pub round_trip_us: Histogram,
    /// Histogram of the durations of ended connections, in milliseconds.
    pub durations_ms: Histogram,
    /// Histogram of the durations of work with a [ticket](crate::Hub::ticket), in milliseconds.
    ///
    /// From the issue of the ticket until it is redeemed or expires.
    pub work_ms: Histogram,
    /// Duration of the longest ended connection since the last reset, in milliseconds (gauge).
    pub connection_longest_ms: u64,
    /// Duration of the longest ended work since the last reset, in milliseconds (gauge).
    pub work_longest_ms: u64,
    /// Time of the last error for each [`Reason`], in seconds since 1970 (gauge). 0 if none.
    pub error_last_unix_secs: ByReason,
    /// Recent errors, recently ended connections, and the longest connections and work.
    pub recent: Recent,
}

impl Metrics {
    /// Merges the metrics of another shard of the same server.
    ///
    /// The peak of queued bytes is the sum of both peaks, which is an upper bound.
    pub fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        if self.tunnels.is_empty() {
            let named =
                |tunnel: &TunnelMetrics| TunnelMetrics { name: tunnel.name.clone(), ..TunnelMetrics::default() };
            self.tunnels = other.tunnels.iter().map(named).collect();
        }
        if self.application.is_empty() {
            self.application = other.application.iter().map(Series::reset).collect();
        }
        let numbers: Vec<u64> = other.numbers_mut().map(|number| *number).collect();
        self.add_numbers(&numbers);
        if self.labels.is_empty() {
            self.labels = other.labels.clone();
        }
        self.recent.add(other.recent);
    }

    /// Merges values in the order of [`numbers`](Self::numbers): as a sum, or as a maximum.
    ///
    /// Surplus values are ignored, missing ones add nothing.
    pub(crate) fn add_numbers(&mut self, numbers: &[u64]) {
        let maxima = self.maxima_mut().count();
        for (place, (mine, &theirs)) in self.numbers_mut().zip(numbers).enumerate() {
            *mine = if place < maxima { (*mine).max(theirs) } else { mine.saturating_add(theirs) };
        }
    }

    /// Returns all numbers of the metrics, including histograms, in the same order on all shards.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.clone().numbers_mut().map(|number| *number).collect()
    }

    /// Returns the gauges that shards merge as their maximum instead of their sum.
    fn maxima_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let plain = [&mut self.uptime_secs, &mut self.connection_longest_ms, &mut self.work_longest_ms];
        plain.into_iter().chain(&mut self.error_last_unix_secs.0)
    }

    fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let maxima = [&mut self.uptime_secs, &mut self.connection_longest_ms, &mut self.work_longest_ms];
        let maxima = maxima.into_iter().chain(&mut self.error_last_unix_secs.0);
        let before = [&mut self.opened].into_iter().chain(&mut self.refused.0).chain(&mut self.ended.0);
        let of_http = self.http_ended.0.iter_mut().chain(&mut self.requests_refused.0);
        let plain = [
            &mut self.open,
            &mut self.undecided,
            &mut self.http_connections,
            &mut self.closing,
            &mut self.stalled,
            &mut self.rooms,
            &mut self.tickets,
            &mut self.quarantined,
            &mut self.accept_paused,
            &mut self.accept_errors,
            &mut self.bytes_in,
            &mut self.bytes_out,
            &mut self.messages_in,
            &mut self.messages_out,
            &mut self.messages_unsendable,
            &mut self.queued_bytes,
            &mut self.queued_bytes_peak,
            &mut self.queued_memory_bytes,
            &mut self.compressed,
            &mut self.skipped,
            &mut self.rate_exceeded,
            &mut self.rate_dropped,
            &mut self.dial_errors,
            &mut self.handler_panics,
            &mut self.authenticated,
            &mut self.authentication_failures,
            &mut self.registrations,
            &mut self.tls_handshakes,
            &mut self.tls_resumed,
            &mut self.requests_health,
            &mut self.requests_metrics,
            &mut self.requests_page,
            &mut self.forwarded,
            &mut self.reloads,
            &mut self.reload_failures,
            &mut self.key_set_fetches,
            &mut self.key_set_fetch_failures,
            &mut self.log_lines_left_out,
            &mut self.log_lines_lost,
            &mut self.draining,
            &mut self.drain_unfinished,
            &mut self.certificate_expiry_secs,
        ];
        let histograms = [&mut self.turn_messages, &mut self.round_trip_us, &mut self.durations_ms, &mut self.work_ms];
        maxima
            .chain(before)
            .chain(of_http)
            .chain(plain)
            .chain(&mut self.would_refuse.0)
            .chain(self.memory.numbers_mut())
            .chain(self.cluster.numbers_mut())
            .chain(self.process.numbers_mut())
            .chain(histograms.into_iter().flat_map(Histogram::numbers_mut))
            // The same on all shards, because they are registered at the start.
            .chain(self.application.iter_mut().map(|series| &mut series.value))
            // Last, because two shards may have different tunnels for a moment.
            .chain(self.tunnels.iter_mut().flat_map(TunnelMetrics::numbers_mut))
    }

    pub(crate) fn answered_ping(&mut self, took: Duration) {
        self.round_trip_us.record(took.as_micros().try_into().unwrap_or(u64::MAX));
    }
}

/// Metrics of one tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelMetrics {
    /// Name of the tunnel.
    pub name: String,
    /// 1 if the SSH server listens on all addresses of the tunnel, otherwise 0 (gauge).
    pub up: u64,
    /// Number of the tunnel's state (gauge).
    pub(crate) state: u64,
    /// Remote addresses of the tunnel (gauge).
    pub forwards: u64,
    /// Remote addresses on which the SSH server listens (gauge).
    pub forwards_bound: u64,
    /// Attempts to connect (counter).
    pub connects: u64,
    /// Attempts to connect that succeeded (counter).
    pub connected: u64,
    /// Open connections through the tunnel (gauge).
    pub channels: u64,
    /// Refused channels: unrequested, or too many at a time (counter).
    pub channels_refused: u64,
    /// Index of the last failure in [`TunnelFailure::ALL`], from 1. 0 if there was none.
    pub(crate) last_error: u64,
    /// Bytes received through the tunnel (counter).
    pub bytes_in: u64,
    /// Bytes written through the tunnel (counter).
    pub bytes_out: u64,
}

impl TunnelMetrics {
    /// Returns the name of the tunnel's state, as in [`TunnelState::name`].
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        TunnelState::name_of(self.state)
    }

    /// Returns the tunnel's last failure, if any.
    #[must_use]
    pub fn last_failure(&self) -> Option<TunnelFailure> {
        let place = usize::try_from(self.last_error).ok()?.checked_sub(1)?;
        TunnelFailure::ALL.get(place).copied()
    }

    fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        [
            &mut self.up,
            &mut self.state,
            &mut self.forwards,
            &mut self.forwards_bound,
            &mut self.connects,
            &mut self.connected,
            &mut self.channels,
            &mut self.channels_refused,
            &mut self.last_error,
            &mut self.bytes_in,
            &mut self.bytes_out,
        ]
        .into_iter()
    }
}

/// One number per [`Reason`]: a count or a timestamp.
#[derive(Clone, PartialEq, Eq)]
pub struct ByReason([u64; Reason::ALL.len()]);

impl Default for ByReason {
    fn default() -> Self {
        Self([0; Reason::ALL.len()])
    }
}

impl ByReason {
    pub(crate) fn add(&mut self, reason: Reason) {
        self.0[reason.place()] += 1;
    }

    /// Raises the number of a reason to `value`, if that is greater.
    pub(crate) fn raise(&mut self, reason: Reason, value: u64) {
        let number = &mut self.0[reason.place()];
        *number = (*number).max(value);
    }

    /// Returns the number for one reason.
    #[must_use]
    pub fn get(&self, reason: Reason) -> u64 {
        self.0[reason.place()]
    }

    /// Returns the sum over all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns each reason with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().copied().zip(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_of_shards_adds_counters_and_takes_the_maximum_of_maxima() {
        let mut numbered = Metrics::default();
        for (number, value) in numbered.numbers_mut().zip(1..) {
            *number = value;
        }
        let mut sum = numbered.clone();
        sum.add_numbers(&numbered.numbers());
        assert_eq!((sum.uptime_secs, sum.opened), (numbered.uptime_secs, 2 * numbered.opened));
        assert_eq!(sum.work_longest_ms, numbered.work_longest_ms);
        assert_eq!(sum.error_last_unix_secs, numbered.error_last_unix_secs);
        assert_eq!(sum.durations_ms.count(), 2 * numbered.durations_ms.count());
        // Each single number is shown by its name.
        assert!(numbered.plain().all(|(_, value)| value > 0));
    }
}
