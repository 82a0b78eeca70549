//! The resources that the process uses, for the metrics.

use crate::descriptors;
use drupe_core::app::AppNote;
use drupe_core::{Command, ProcessMetrics};
use drupe_shell::{Remote, RemoteError};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io, thread};

const STATUS: &str = "/proc/self/status";
/// Interval at which the resources are measured. Scrapes are usually less frequent.
const MEASURED_EVERY: Duration = Duration::from_secs(5);

/// Reports the resources regularly, on a thread of its own until the server ends.
///
/// `started` is the start of the process.
pub(crate) fn report(started: SystemTime, remote: Remote<AppNote>) -> io::Result<()> {
    let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut process = ProcessMetrics::default();
    process.started_unix_ms = started.as_millis().try_into().unwrap_or_default();
    let mut has_server = move || {
        measure(&mut process);
        remote.command(Command::ProcessUsage(process)) != Err(RemoteError::Ended)
    };
    let run = move || {
        while has_server() {
            thread::sleep(MEASURED_EVERY);
        }
    };
    thread::Builder::new().name("process-usage".into()).spawn(run).map(drop)
}

/// Measures the resources of this process. What the system does not tell keeps its value.
fn measure(process: &mut ProcessMetrics) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = Duration::try_from(cpu).unwrap_or_default();
    process.cpu_us = cpu.as_micros().try_into().unwrap_or_default();
    // A process that is out of descriptors cannot read it.
    if let Ok(status) = fs::read_to_string(STATUS) {
        process.resident_bytes = bytes(&status, "VmRSS:");
        process.virtual_bytes = bytes(&status, "VmSize:");
    }
    (process.open_fds, process.max_fds) = descriptors::open_and_max();
}

/// Returns the memory of this process, if the system tells it.
pub(crate) fn resident_bytes() -> Option<u64> {
    fs::read_to_string(STATUS).ok().map(|status| bytes(&status, "VmRSS:"))
}

/// Returns a size from `/proc/self/status` (`proc_pid_status(5)`), or 0 if it is not there.
fn bytes(status: &str, name: &str) -> u64 {
    let size = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    size.unwrap_or_default().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_the_status_of_a_process() {
        let status = "Name:\tdrupe\nVmSize:\t    8196 kB\nVmRSS:\t     12 kB\nThreads:\t3\n";
        assert_eq!((bytes(status, "VmSize:"), bytes(status, "VmRSS:")), (8196 << 10, 12 << 10));
        assert_eq!((bytes(status, "VmSwap:"), bytes(status, "Threads:"), bytes("", "VmRSS:")), (0, 0, 0));
    }

    #[test]
    fn this_process_uses_processor_time_and_descriptors() {
        let mut process = ProcessMetrics::default();
        measure(&mut process);
        assert!(process.cpu_us > 0 && process.open_fds > 0 && process.max_fds >= process.open_fds, "{process:?}");
        assert!(!cfg!(target_os = "linux") || process.virtual_bytes > process.resident_bytes, "{process:?}");
    }
}
