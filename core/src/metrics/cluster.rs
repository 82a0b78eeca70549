use super::histogram::Histogram;
use alloc::string::String;
use core::fmt::Write;
use core::time::Duration;

/// Metrics of the link to the broker of [shared](crate::Home::Shared) rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterMetrics {
    /// Whether there is a cluster: 1 or 0 (gauge).
    pub configured: u64,
    /// Whether the link works: 1 or 0 (gauge).
    pub up: u64,
    /// Whether the server is not ready because of the link: 1 or 0 (gauge).
    ///
    /// It is not ready if messages are [refused](crate::broker::WithoutBroker::Refuse) without the broker, and the
    /// link has never worked, or not for more than 10 s.
    pub unready: u64,
    /// Links that worked (counter).
    pub links: u64,
    /// Links that ended, and attempts that failed (counter).
    pub losses: u64,
    /// Rooms that this host hears (gauge).
    pub rooms: u64,
    /// Other hosts with names in these rooms (gauge).
    pub hosts: u64,
    /// Messages that the broker kept (counter).
    pub kept: u64,
    /// Messages that were refused, here or by the broker, and not sent (counter).
    pub refused: u64,
    /// Messages whose link was lost before the answer, so that the broker may have kept them or not (counter).
    pub unknown: u64,
    /// Histories of rooms that were read because messages may have been missed (counter).
    pub fills: u64,
    /// Messages that these histories contained (counter).
    pub filled: u64,
    /// Times that the members of a room on this host were told of a gap (counter).
    pub gaps: u64,
    /// Quiet rooms in which a message was missed (counter).
    pub missed: u64,
    /// Messages that this version cannot read (counter).
    pub unreadable: u64,
    /// Times from sending a message to the answer of the broker, in microseconds (histogram).
    pub round_trip_us: Histogram,
}

impl ClusterMetrics {
    pub(crate) fn answered(&mut self, took: Duration) {
        self.round_trip_us.record(took.as_micros().try_into().unwrap_or(u64::MAX));
    }

    pub(super) fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let Self {
            configured,
            up,
            unready,
            links,
            losses,
            rooms,
            hosts,
            kept,
            refused,
            unknown,
            fills,
            filled,
            gaps,
            missed,
            unreadable,
            round_trip_us,
        } = self;
        let single = [
            configured, up, unready, links, losses, rooms, hosts, kept, refused, unknown, fills, filled, gaps, missed,
            unreadable,
        ];
        single.into_iter().chain(round_trip_us.numbers_mut())
    }

    /// Writes the metrics in the Prometheus text format, if there is a cluster.
    pub(super) fn expose(&self, text: &mut String) {
        if self.configured == 0 {
            return;
        }
        let mut put = |name: &str, help: &str, value: u64| {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "# HELP drupe_cluster_{name} {help}\n# TYPE drupe_cluster_{name} {kind}\ndrupe_cluster_{name} {value}\n"
            );
        };
        put("link_up", "Whether the link to the broker works.", self.up);
        put("unready", "Whether the server is not ready because of the link.", self.unready);
        put("links_total", "Links to the broker that worked.", self.links);
        put("link_losses_total", "Links to the broker that ended, and attempts that failed.", self.losses);
        put("rooms", "Shared rooms that this host hears.", self.rooms);
        put("hosts_seen", "Other hosts with names in these rooms.", self.hosts);
        put("fills_total", "Histories that were read because messages may have been missed.", self.fills);
        put("filled_messages_total", "Messages that these histories contained.", self.filled);
        put("gaps_total", "Times that the members of a room here were told of a gap.", self.gaps);
        put("quiet_misses_total", "Quiet rooms in which a message was missed.", self.missed);
        put("unreadable_total", "Messages that this version cannot read.", self.unreadable);
        text.push_str("# HELP drupe_cluster_messages_total Messages to shared rooms, by what became of them.\n");
        text.push_str("# TYPE drupe_cluster_messages_total counter\n");
        for (outcome, count) in [("kept", self.kept), ("refused", self.refused), ("unknown", self.unknown)] {
            let _ = writeln!(text, "drupe_cluster_messages_total{{outcome=\"{outcome}\"}} {count}");
        }
        let help = "Times from sending a message to the answer of the broker.";
        self.round_trip_us.expose("cluster_round_trip_seconds", help, 1e-6, text);
    }
}
