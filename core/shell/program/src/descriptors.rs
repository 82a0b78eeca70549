//! The limit on open files. Each connection needs one descriptor.

use crate::failure::Failure;
use crate::logs::Logs;
use drupe_core::Config;
use rustix::io::Errno;
use std::{fs, io};
use tracing::Level;

/// Raises the soft limit on open files (`RLIMIT_NOFILE`) to the hard limit, or logs a warning.
pub(crate) fn raise_limit(logs: &Logs) {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        logs.operation(Level::WARN, &format!("can't raise the limit on open files: {error}"));
    }
}

/// Checks how many descriptors are left for connections. Logs a warning if they are too few.
///
/// Call it after the server has opened its own files.
///
/// # Errors
/// If no descriptor is left for a connection.
pub(crate) fn check(config: &Config, logs: &Logs) -> Result<(), Failure> {
    let Some(limit) = limit() else { return Ok(()) };
    let free = match used() {
        Ok(used) => limit.saturating_sub(used),
        Err(error) if is_exhausted(&error) => 0,
        // The number of open files is unknown.
        Err(_) => return Ok(()),
    };
    let wanted = u64::from(config.connections.total).saturating_add(OF_RUNTIME);
    if free < OF_RUNTIME + 1 {
        let words =
            format!("can't accept connections: {}, and the server itself has opened all of them", allowed(limit));
        return Err(words.into());
    }
    // With `--unlimited`, no number of connections is promised.
    if wanted > free && config.connections.total != u32::MAX {
        let words = format!(
            "{}, which allows {} connections, not {}",
            allowed(limit),
            free - OF_RUNTIME,
            config.connections.total
        );
        logs.operation(Level::WARN, &words);
    }
    Ok(())
}

/// Maximum number of descriptors that a runtime, and the event queue of its sockets, open when they begin to serve.
const OF_RUNTIME: u64 = 7;

/// Describes why no more descriptors can be opened, and the remedy.
pub(crate) fn exhausted() -> String {
    // If the process is at its limit, this fails too.
    let is_limit = fs::File::open("/dev/null").is_err_and(|error| is_exhausted(&error));
    match limit() {
        Some(limit) if is_limit => format!("{}, and all are open", allowed(limit)),
        _ => "the system has no descriptors or no memory left".into(),
    }
}

/// Returns `true` if the error means that the process is at its limit on open files.
fn is_exhausted(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MFILE.raw_os_error())
}

fn allowed(limit: u64) -> String {
    format!("the process may have {limit} files open (ulimit -n, LimitNOFILE=)")
}

/// Returns the number of open files and their maximum. Returns 0 for what is unknown.
pub(crate) fn open_and_max() -> (u64, u64) {
    let max = limit().unwrap_or_default();
    match used() {
        Ok(used) => (used, max),
        // To count them needs a descriptor too.
        Err(error) if is_exhausted(&error) => (max, max),
        Err(_) => (0, max),
    }
}

fn limit() -> Option<u64> {
    rlimit::getrlimit(rlimit::Resource::NOFILE).ok().map(|(soft, _)| soft)
}

/// Returns the number of files that the process has open.
fn used() -> io::Result<u64> {
    let listed = fs::read_dir("/dev/fd")?.count() as u64;
    // The count includes the descriptor of the directory itself.
    Ok(listed.saturating_sub(1))
}
