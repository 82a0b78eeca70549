//! Export of the metrics in the Prometheus text format.

use super::histogram::{BUCKETS, Histogram};
use super::process::decimal;
use super::{ByReason, Metrics, Series, TunnelMetrics};
use crate::config::MetricLabels;
use alloc::string::String;
use core::fmt::{self, Write};

impl Metrics {
    /// Formats the metrics for Prometheus (text format 0.0.4). Counters have the suffix `_total`.
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        let mut put = |name: &str, help: &str, value: u64| {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = write!(text, "# HELP drupe_{name} {help}\n# TYPE drupe_{name} {kind}\ndrupe_{name} {value}\n");
        };
        put("uptime_seconds", "Time since the start of the server.", self.uptime_secs);
        put("connections_opened_total", "Connections accepted or dialled, except HTTP-only ones.", self.opened);
        put("connections_open", "Open connections.", self.open);
        put("connections_undecided", "Connections in a handshake or on HTTP keep-alive.", self.undecided);
        put("connections_http", "Connections on HTTP keep-alive.", self.http_connections);
        put("connections_closing", "Connections that are flushing or lingering.", self.closing);
        put("connections_stalled", "Open connections whose queue is above the high mark.", self.stalled);
        put("rooms", "Rooms with members.", self.rooms);
        put("tickets", "Unredeemed tickets.", self.tickets);
        put("addresses_quarantined", "Addresses in quarantine.", self.quarantined);
        put("listeners_paused", "Listeners that are paused because accepting failed.", self.accept_paused);
        put("accept_errors_total", "Failed accepts.", self.accept_errors);
        put("received_bytes_total", "Bytes read.", self.bytes_in);
        put("sent_bytes_total", "Bytes written.", self.bytes_out);
        put("messages_received_total", "Messages served.", self.messages_in);
        put("messages_sent_total", "Messages queued, once per recipient.", self.messages_out);
        put("messages_unsendable_total", "Messages that a wire could not carry.", self.messages_unsendable);
        put("messages_skipped_total", "Messages skipped for slow room members.", self.skipped);
        put("messages_compressed_total", "Messages compressed, once for all recipients.", self.compressed);
        put("rate_exceeded_total", "Messages and reads that exceeded a rate.", self.rate_exceeded);
        put("rate_dropped_total", "Messages discarded because they exceeded a rate.", self.rate_dropped);
        put("queued_bytes", "Bytes queued and not yet written.", self.queued_bytes);
        put("queued_bytes_peak", "Highest number of queued bytes so far.", self.queued_bytes_peak);
        put("queued_memory_bytes", "Memory of queued messages.", self.queued_memory_bytes);
        put("dial_errors_total", "Failed outgoing connection attempts.", self.dial_errors);
        put("handler_panics_total", "Panics of the handler.", self.handler_panics);
        put("authenticated_total", "Successful authentications.", self.authenticated);
        put("authentication_failures_total", "Failed authentications.", self.authentication_failures);
        put("registrations_total", "Users that registered.", self.registrations);
        put("tls_handshakes_total", "Completed TLS handshakes.", self.tls_handshakes);
        put("tls_resumed_total", "TLS handshakes that resumed an earlier session.", self.tls_resumed);
        put("forwarded_total", "Client addresses reported by trusted proxies.", self.forwarded);
        put("reloads_total", "New configurations.", self.reloads);
        put("reload_failures_total", "New configurations that could not be loaded.", self.reload_failures);
        put("key_set_fetches_total", "Fetches of a key set that succeeded.", self.key_set_fetches);
        put("key_set_fetch_failures_total", "Fetches of a key set that failed.", self.key_set_fetch_failures);
        put("log_lines_left_out_total", "Log lines dropped above the rate limit.", self.log_lines_left_out);
        put("log_lines_lost_total", "Log lines that could not be written.", self.log_lines_lost);
        put(
            "drain_unfinished_total",
            "Connections ended at the drain's deadline with work left.",
            self.drain_unfinished,
        );
        put("draining", "Shards that are shutting down.", self.draining);
        if self.certificate_expiry_secs > 0 {
            let help = "Earliest expiry of the certificates.";
            put("tls_certificate_expiry_timestamp_seconds", help, self.certificate_expiry_secs);
        }
        text.push_str(BUILD_INFO);
        self.would_refuse.expose("connections_would_refuse", "Accepted only because of dry_run, by reason.", &mut text);
        let requests =
            [("health", self.requests_health), ("metrics", self.requests_metrics), ("page", self.requests_page)];
        text.push_str("# HELP drupe_http_requests_total HTTP requests served, by endpoint.\n");
        text.push_str("# TYPE drupe_http_requests_total counter\n");
        for (endpoint, count) in requests {
            let _ = writeln!(text, "drupe_http_requests_total{{endpoint=\"{endpoint}\"}} {count}");
        }
        self.requests_refused.expose("http_requests_refused", "HTTP requests refused, by reason.", &mut text);
        let help = "Ended connections that only used HTTP, by reason.";
        self.http_ended.expose("http_connections", help, &mut text);
        self.ended.expose("connections_ended", "Ended connections, by reason.", &mut text);
        self.refused.expose("connections_refused", "Refused connections, by reason.", &mut text);
        self.memory.expose(&mut text);
        self.cluster.expose(&mut text);
        self.process.expose(&mut text);
        TunnelMetrics::expose(&self.tunnels, &mut text);
        self.turn_messages.expose("turn_messages", "Messages served per turn of the loop.", 1.0, &mut text);
        let help = "Round-trip times of pings.";
        self.round_trip_us.expose("ping_round_trip_seconds", help, 1e-6, &mut text);
        let help = "Durations of ended connections.";
        self.durations_ms.expose("connection_duration_seconds", help, 1e-3, &mut text);
        let help = "Durations of work for connections (tickets).";
        self.work_ms.expose("work_duration_seconds", help, 1e-3, &mut text);
        seconds("connection_longest_seconds", "Longest connection that ended.", self.connection_longest_ms, &mut text);
        seconds("work_longest_seconds", "Longest work for a connection.", self.work_longest_ms, &mut text);
        self.expose_last_errors(&mut text);
        Series::expose(&self.application, &mut text);
        if self.labels.is_empty() { text } else { labelled(&text, &self.labels) }
    }

    fn expose_last_errors(&self, text: &mut String) {
        const NAME: &str = "error_last_timestamp_seconds";
        let _ = write!(text, "# HELP drupe_{NAME} Time of the last error of each kind.\n# TYPE drupe_{NAME} gauge\n");
        for (reason, at) in self.error_last_unix_secs.iter().filter(|(_, at)| *at > 0) {
            let _ = writeln!(text, "drupe_{NAME}{{reason=\"{reason}\"}} {at}");
        }
    }
}

/// The series whose label is the version, as is usual for programs with metrics for Prometheus.
const BUILD_INFO: &str = concat!(
    "# HELP drupe_build_info Version of drupe.\n# TYPE drupe_build_info gauge\ndrupe_build_info{version=\"",
    env!("CARGO_PKG_VERSION"),
    "\"} 1\n"
);

/// Writes a gauge in seconds from a number of milliseconds.
fn seconds(name: &str, help: &str, millis: u64, text: &mut String) {
    let value = decimal(millis, 3);
    let _ = write!(text, "# HELP drupe_{name} {help}\n# TYPE drupe_{name} gauge\ndrupe_{name} {value}\n");
}

/// Adds labels to each series of a text in Prometheus's format.
fn labelled(text: &str, labels: &MetricLabels) -> String {
    let mut common = String::new();
    for (name, value) in labels.iter() {
        let comma = if common.is_empty() { "" } else { "," };
        let _ = write!(common, "{comma}{name}=\"{}\"", Label(value));
    }
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        // A series is `name value` or `name{labels} value`, and no name has a brace.
        let _ = match line.split_once(['{', ' ']) {
            _ if line.starts_with('#') => writeln!(out, "{line}"),
            Some((name, rest)) if line[name.len()..].starts_with('{') => writeln!(out, "{name}{{{common},{rest}"),
            Some((name, rest)) => writeln!(out, "{name}{{{common}}} {rest}"),
            None => writeln!(out, "{line}"),
        };
    }
    out
}

impl Series {
    /// Writes all series, those of one name together.
    fn expose(all: &[Self], text: &mut String) {
        for (index, first) in all.iter().enumerate() {
            let name = first.name();
            if all.iter().take(index).any(|before| before.name() == name) {
                continue;
            }
            let kind = if first.is_counter() { "counter" } else { "gauge" };
            let help = first.help().replace('\\', "\\\\").replace('\n', "\\n");
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for series in all.iter().filter(|series| series.name() == name) {
                text.push_str(name);
                for (number, (label, value)) in series.labels().enumerate() {
                    let start = if number == 0 { '{' } else { ',' };
                    let _ = write!(text, "{start}{label}=\"{}\"", Label(value));
                }
                let end = if series.labels().next().is_some() { "}" } else { "" };
                let _ = writeln!(text, "{end} {}", series.value());
            }
        }
    }
}

impl TunnelMetrics {
    fn expose(all: &[Self], text: &mut String) {
        if all.is_empty() {
            return;
        }
        let mut put = |name: &str, help: &str, value: fn(&Self) -> u64| {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = write!(text, "# HELP drupe_tunnel_{name} {help}\n# TYPE drupe_tunnel_{name} {kind}\n");
            for tunnel in all {
                let _ = writeln!(text, "drupe_tunnel_{name}{{tunnel=\"{}\"}} {}", Label(&tunnel.name), value(tunnel));
            }
        };
        put("up", "1 if the SSH server listens on all addresses of the tunnel.", |tunnel| tunnel.up);
        put("forwards", "Remote addresses of the tunnel.", |tunnel| tunnel.forwards);
        put("forwards_bound", "Remote addresses on which the SSH server listens.", |tunnel| tunnel.forwards_bound);
        put("connects_total", "Attempts to connect.", |tunnel| tunnel.connects);
        put("connected_total", "Attempts to connect that succeeded.", |tunnel| tunnel.connected);
        put("channels_open", "Open connections through the tunnel.", |tunnel| tunnel.channels);
        put("channels_refused_total", "Refused channels.", |tunnel| tunnel.channels_refused);
        put("received_bytes_total", "Bytes received through the tunnel.", |tunnel| tunnel.bytes_in);
        put("sent_bytes_total", "Bytes written through the tunnel.", |tunnel| tunnel.bytes_out);
        text.push_str("# HELP drupe_tunnel_last_error Last failure.\n# TYPE drupe_tunnel_last_error gauge\n");
        for tunnel in all {
            if let Some(failure) = tunnel.last_failure() {
                let name = Label(&tunnel.name);
                let _ = writeln!(text, "drupe_tunnel_last_error{{tunnel=\"{name}\",error=\"{failure}\"}} 1");
            }
        }
    }
}

impl ByReason {
    fn expose(&self, name: &str, help: &str, text: &mut String) {
        let _ = write!(text, "# HELP drupe_{name}_total {help}\n# TYPE drupe_{name}_total counter\n");
        for (reason, count) in self.iter() {
            let _ = writeln!(text, "drupe_{name}_total{{reason=\"{reason}\"}} {count}");
        }
    }
}

impl Histogram {
    /// Writes the histogram with bounds and sum multiplied by `scale`.
    #[expect(clippy::cast_precision_loss, reason = "a bound is a power of two, and a sum need not be exact")]
    pub(super) fn expose(&self, name: &str, help: &str, scale: f64, text: &mut String) {
        let _ = write!(text, "# HELP drupe_{name} {help}\n# TYPE drupe_{name} histogram\n");
        let mut below = 0;
        for (bound, count) in self.buckets().take(BUCKETS - 1) {
            below += count;
            let _ = writeln!(text, "drupe_{name}_bucket{{le=\"{}\"}} {below}", bound as f64 * scale);
        }
        let (sum, count) = (self.sum() as f64 * scale, self.count());
        let _ = writeln!(text, "drupe_{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = write!(text, "drupe_{name}_sum {sum}\ndrupe_{name}_count {count}\n");
    }
}

/// A label value that is escaped when it is displayed.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '"' | '\\' => write!(f, "\\{c}")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
