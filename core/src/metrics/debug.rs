//! The `Debug` output of metrics, without zeros and empty lists.

use super::{ByReason, ClusterMetrics, Histogram, MemoryMetrics, Metrics, ProcessMetrics, Series};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Shows only what is not zero or empty: `Metrics { opened: 3, ended: {reset: 1}, bytes_in: 12 }`.
#[expect(clippy::missing_fields_in_debug, reason = "single numbers are shown by `plain`, and zeros are left out")]
impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Metrics");
        if !self.labels.is_empty() {
            out.field("labels", &self.labels);
        }
        for (name, value) in self.plain() {
            if value > 0 {
                out.field(name, &value);
            }
        }
        for (name, counts) in [
            ("refused", &self.refused),
            ("ended", &self.ended),
            ("http_ended", &self.http_ended),
            ("requests_refused", &self.requests_refused),
            ("would_refuse", &self.would_refuse),
            ("error_last_unix_secs", &self.error_last_unix_secs),
        ] {
            if counts.total() > 0 {
                out.field(name, counts);
            }
        }
        for (name, histogram) in [
            ("turn_messages", &self.turn_messages),
            ("round_trip_us", &self.round_trip_us),
            ("durations_ms", &self.durations_ms),
            ("work_ms", &self.work_ms),
        ] {
            if histogram.count() > 0 {
                out.field(name, histogram);
            }
        }
        if self.memory != MemoryMetrics::default() {
            out.field("memory", &self.memory);
        }
        if self.cluster != ClusterMetrics::default() {
            out.field("cluster", &self.cluster);
        }
        if self.process != ProcessMetrics::default() {
            out.field("process", &self.process);
        }
        if !self.tunnels.is_empty() {
            out.field("tunnels", &self.tunnels);
        }
        for series in &self.application {
            if series.value > 0 {
                out.field(&shown(series), &series.value);
            }
        }
        for (name, length) in [
            ("recent.errors", self.recent.errors.len()),
            ("recent.connections", self.recent.connections.len()),
            ("recent.connections_longest", self.recent.connections_longest.len()),
            ("recent.work_longest", self.recent.work_longest.len()),
        ] {
            if length > 0 {
                out.field(name, &format_args!("[{length} kept]"));
            }
        }
        out.finish()
    }
}

impl Metrics {
    /// Returns the counters and gauges that are single numbers, with their names.
    pub(super) fn plain(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("uptime_secs", self.uptime_secs),
            ("opened", self.opened),
            ("open", self.open),
            ("undecided", self.undecided),
            ("http_connections", self.http_connections),
            ("closing", self.closing),
            ("stalled", self.stalled),
            ("rooms", self.rooms),
            ("tickets", self.tickets),
            ("quarantined", self.quarantined),
            ("accept_paused", self.accept_paused),
            ("accept_errors", self.accept_errors),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
            ("messages_in", self.messages_in),
            ("messages_out", self.messages_out),
            ("messages_unsendable", self.messages_unsendable),
            ("queued_bytes", self.queued_bytes),
            ("queued_bytes_peak", self.queued_bytes_peak),
            ("queued_memory_bytes", self.queued_memory_bytes),
            ("compressed", self.compressed),
            ("skipped", self.skipped),
            ("rate_exceeded", self.rate_exceeded),
            ("rate_dropped", self.rate_dropped),
            ("dial_errors", self.dial_errors),
            ("handler_panics", self.handler_panics),
            ("authenticated", self.authenticated),
            ("authentication_failures", self.authentication_failures),
            ("registrations", self.registrations),
            ("tls_handshakes", self.tls_handshakes),
            ("tls_resumed", self.tls_resumed),
            ("requests_health", self.requests_health),
            ("requests_metrics", self.requests_metrics),
            ("requests_page", self.requests_page),
            ("forwarded", self.forwarded),
            ("reloads", self.reloads),
            ("reload_failures", self.reload_failures),
            ("key_set_fetches", self.key_set_fetches),
            ("key_set_fetch_failures", self.key_set_fetch_failures),
            ("log_lines_left_out", self.log_lines_left_out),
            ("log_lines_lost", self.log_lines_lost),
            ("draining", self.draining),
            ("drain_unfinished", self.drain_unfinished),
            ("certificate_expiry_secs", self.certificate_expiry_secs),
            ("connection_longest_ms", self.connection_longest_ms),
            ("work_longest_ms", self.work_longest_ms),
        ]
        .into_iter()
    }
}

/// Returns the name and the labels of a series: `quiz_answers_total{right="yes"}`.
fn shown(series: &Series) -> String {
    let labels: Vec<_> = series.labels().map(|(name, value)| format!("{name}={value:?}")).collect();
    if labels.is_empty() { series.name().into() } else { format!("{}{{{}}}", series.name(), labels.join(",")) }
}

impl fmt::Debug for ByReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.iter().filter(|(_, count)| *count > 0);
        f.debug_map().entries(counted.map(|(reason, count)| (Plain(reason.name()), count))).finish()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Histogram");
        out.field("count", &self.count()).field("sum", &self.sum());
        let filled = self.buckets().filter(|(_, count)| *count > 0);
        out.field("at_most", &Buckets(filled.collect())).finish()
    }
}

/// A text whose `Debug` output has no quotes.
struct Plain(&'static str);

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

struct Buckets(Vec<(u64, u64)>);

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().copied()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Reason;

    #[test]
    fn debug_shows_only_what_is_not_zero() {
        let mut metrics = Metrics::default();
        assert_eq!(format!("{metrics:?}"), "Metrics");
        metrics.bytes_in = 12;
        metrics.ended.add(Reason::Reset);
        metrics.turn_messages.record(3);
        let answers = |right| Series::counter("answers_total", "Answers.").label("right", right);
        for (series, by) in [(Series::gauge("players", "Players."), 2), (answers("yes"), 5), (answers("no"), 0)] {
            let id = crate::metrics::register(&mut metrics.application, series, false).expect("a good name");
            crate::metrics::increase(&mut metrics.application, id, by);
        }
        assert_eq!(
            format!("{metrics:?}"),
            "Metrics { bytes_in: 12, ended: {reset: 1}, turn_messages: Histogram { count: 1, sum: 3, at_most: {4: 1} }, \
             players: 2, answers_total{right=\"yes\"}: 5 }"
        );
    }
}
