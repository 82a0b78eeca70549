//! Resources of the process, as its shell reports them.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;

/// Resources that the process of a server uses, as
/// [reported](crate::Command::ProcessUsage). A value that the system does not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessMetrics {
    /// Time at which the process started, in milliseconds since 1970 (gauge).
    pub started_unix_ms: u64,
    /// Processor time of all threads, in microseconds (counter).
    pub cpu_us: u64,
    /// Memory in RAM, in bytes (gauge).
    pub resident_bytes: u64,
    /// Size of the address space, in bytes (gauge).
    pub virtual_bytes: u64,
    /// Open file descriptors (gauge).
    pub open_fds: u64,
    /// Maximum number of open file descriptors (gauge).
    pub max_fds: u64,
}

impl ProcessMetrics {
    /// Returns all numbers, in the order of the fields.
    pub(crate) const fn numbers(self) -> [u64; 6] {
        let Self { started_unix_ms, cpu_us, resident_bytes, virtual_bytes, open_fds, max_fds } = self;
        [started_unix_ms, cpu_us, resident_bytes, virtual_bytes, open_fds, max_fds]
    }

    /// Returns the numbers, in the order of [`numbers`](Self::numbers).
    pub(super) fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let Self { started_unix_ms, cpu_us, resident_bytes, virtual_bytes, open_fds, max_fds } = self;
        [started_unix_ms, cpu_us, resident_bytes, virtual_bytes, open_fds, max_fds].into_iter()
    }

    /// Creates the metrics from [`numbers`](Self::numbers).
    pub(crate) const fn from_numbers(numbers: [u64; 6]) -> Self {
        let [started_unix_ms, cpu_us, resident_bytes, virtual_bytes, open_fds, max_fds] = numbers;
        Self { started_unix_ms, cpu_us, resident_bytes, virtual_bytes, open_fds, max_fds }
    }

    /// Writes the known values, with the names that all client libraries of Prometheus use.
    pub(super) fn expose(&self, text: &mut String) {
        for (name, help, value, digits) in [
            ("cpu_seconds_total", "Processor time of the process.", self.cpu_us, 6),
            ("start_time_seconds", "Start of the process, since 1970.", self.started_unix_ms, 3),
            ("resident_memory_bytes", "Memory of the process in RAM.", self.resident_bytes, 0),
            ("virtual_memory_bytes", "Address space of the process.", self.virtual_bytes, 0),
            ("open_fds", "Open file descriptors.", self.open_fds, 0),
            ("max_fds", "Maximum number of open file descriptors.", self.max_fds, 0),
        ] {
            if value > 0 {
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                let value = decimal(value, digits);
                let _ = write!(
                    text,
                    "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}\n"
                );
            }
        }
    }
}

/// Formats a number of which the last `digits` digits are a fraction.
pub(super) fn decimal(value: u64, digits: usize) -> String {
    let scale = 10_u64.saturating_pow(u32::try_from(digits).unwrap_or_default());
    match digits {
        0 => value.to_string(),
        _ => format!("{}.{:0digits$}", value / scale, value % scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn process_metrics_have_the_names_and_units_of_prometheus() {
        let process = ProcessMetrics::from_numbers([1_700_000_000_123, 2_000_045, 4096, 8192, 12, 1024]);
        let mut metrics = Metrics { process, ..Metrics::default() };
        // Only one shard reports them.
        metrics.add(&Metrics::default());
        let text = metrics.exposition();
        for line in [
            "process_cpu_seconds_total 2.000045",
            "process_start_time_seconds 1700000000.123",
            "process_resident_memory_bytes 4096",
            "process_virtual_memory_bytes 8192",
            "process_open_fds 12",
            "process_max_fds 1024",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(text.contains("# TYPE process_cpu_seconds_total counter\n"), "{text}");
        assert!(!Metrics::default().exposition().contains("process_"), "unknown values are left out");
    }
}
