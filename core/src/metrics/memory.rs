use crate::history::{Gap, Recovery};

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
    pub not_recovered: [u64; 7],
    /// Gaps of members that stayed (counter), by the [`Gap`](crate::history::Gap).
    pub gaps: [u64; 7],
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
}
