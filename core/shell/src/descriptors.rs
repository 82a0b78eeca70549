//! Room in the process for the descriptors of connections.

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit};
use std::fs::File;

/// Maximum number of descriptors for which there is room from the start. Their table needs 512 KiB in the kernel.
const ROOM_MAX: u32 = 1 << 16;

/// Makes room for the descriptors of this many connections, as far as the process may have them.
///
/// If a process has several threads, Linux enlarges its table of descriptors only after all processors have gone through
/// a grace period (`expand_fdtable` in `fs/file.c` of the kernel). That takes about 10 ms, each time that the table
/// doubles, and nothing is accepted meanwhile. If 10,000 connections come at once, the queue of the listener overflows,
/// and clients try again after a second.
pub(crate) fn make_room(connections: u32) {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let last = u64::from(connections.min(ROOM_MAX)).min(limit).saturating_sub(1);
    // Without the room, the server is slower to accept, and does the same.
    if let (Ok(file), Ok(last)) = (File::open("/dev/null"), i32::try_from(last)) {
        drop(fcntl_dupfd_cloexec(file, last));
    }
}

#[cfg(test)]
mod tests {
    use super::make_room;

    #[test]
    fn there_is_room_for_connections_from_the_start() {
        make_room(1_000);
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).expect("it is there");
        let size: u32 = size.trim().parse().expect("a number");
        assert!(size >= 1_000, "room for {size}");
        make_room(0);
        make_room(u32::MAX);
    }
}
