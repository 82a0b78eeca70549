use crate::history::{Gap, Recovery};
use alloc::string::String;
use core::fmt::Write;

/// Metrics of the rooms that have a home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryMetrics {
    /// Rooms with a history (gauge).
    pub rooms: u64,
    /// Memory of the histories, in bytes, as far as it can be counted (gauge).
    pub bytes: u64,
    /// Names that are present, once for each room (gauge).
    pub present: u64,
    /// Messages kept for publishers that asked for an answer (counter).
    pub kept: u64,
    /// Messages that a room could not keep, and that were not sent (counter).
    pub refused: u64,
    /// Requests that got no answer in time (counter).
    pub unknown: u64,
    /// Members that joined without a position (counter).
    pub new: u64,
    /// Returning members that received everything they missed (counter).
    pub recovered: u64,
    /// Messages that returning members had missed and received (counter).
    pub recovered_messages: u64,
    /// Returning members that were not recovered (counter), by the [`Gap`](crate::history::Gap).
    pub not_recovered: [u64; Gap::ALL.len()],
    /// Gaps of members that stayed (counter), by the [`Gap`](crate::history::Gap).
    pub gaps: [u64; Gap::ALL.len()],
}

impl MemoryMetrics {
    /// Counts a new member.
    pub(crate) const fn joined(&mut self, recovery: Recovery) {
        match recovery {
            Recovery::New => self.new += 1,
            Recovery::Recovered { messages } => {
                self.recovered += 1;
                self.recovered_messages += messages as u64;
            }
            Recovery::NotRecovered(gap) => self.not_recovered[gap as usize] += 1,
        }
    }

    /// Counts a gap of a member that stayed, or of all members of a room on one shard.
    pub(crate) const fn gap(&mut self, gap: Gap) {
        self.gaps[gap as usize] += 1;
    }

    /// Returns all numbers, in an order that is the same on all shards.
    pub(crate) fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let Self {
            rooms,
            bytes,
            present,
            kept,
            refused,
            unknown,
            new,
            recovered,
            recovered_messages,
            not_recovered,
            gaps,
        } = self;
        let single = [rooms, bytes, present, kept, refused, unknown, new, recovered, recovered_messages];
        single.into_iter().chain(not_recovered).chain(gaps)
    }

    /// Returns the number of returning members that were not recovered.
    #[must_use]
    pub fn not_recovered_total(&self) -> u64 {
        self.not_recovered.iter().sum()
    }

    /// Returns the number of gaps of members that stayed.
    #[must_use]
    pub fn gaps_total(&self) -> u64 {
        self.gaps.iter().sum()
    }

    /// Writes the metrics in the Prometheus text format.
    pub(super) fn expose(&self, text: &mut String) {
        let mut put = |name: &str, help: &str, value: u64| {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = write!(text, "# HELP drupe_{name} {help}\n# TYPE drupe_{name} {kind}\ndrupe_{name} {value}\n");
        };
        put("room_histories", "Rooms with a history.", self.rooms);
        put("room_histories_bytes", "Memory of the histories of rooms.", self.bytes);
        put("room_names_present", "Names that are present in rooms.", self.present);
        put("room_requests_kept_total", "Messages kept for publishers that asked for an answer.", self.kept);
        put(
            "room_messages_refused_total",
            "Messages that a room could not keep, and that were not sent.",
            self.refused,
        );
        put("room_requests_unanswered_total", "Requests to rooms that got no answer in time.", self.unknown);
        let help = "Messages that returning members had missed and received.";
        put("room_recovered_messages_total", help, self.recovered_messages);
        let named = |counts: &[u64; Gap::ALL.len()]| Gap::ALL.map(Gap::name).into_iter().zip(*counts);
        let joins = [("new", self.new), ("recovered", self.recovered)].into_iter().chain(named(&self.not_recovered));
        text.push_str(
            "# HELP drupe_room_joins_total Members that joined a room with a home: new, recovered, or why not.\n",
        );
        text.push_str("# TYPE drupe_room_joins_total counter\n");
        for (result, count) in joins {
            let _ = writeln!(text, "drupe_room_joins_total{{result=\"{result}\"}} {count}");
        }
        text.push_str("# HELP drupe_room_gaps_total Times that members of a room missed messages, by reason.\n");
        text.push_str("# TYPE drupe_room_gaps_total counter\n");
        for (reason, count) in named(&self.gaps) {
            let _ = writeln!(text, "drupe_room_gaps_total{{reason=\"{reason}\"}} {count}");
        }
    }
}
