//! How many files the process may have open: each connection is one.

use crate::Failure;
use crate::logs::Logs;
use drupe_tokio::core::Config;
use rustix::io::Errno;
use std::{fs, io};
use tracing::Level;

/// Asks the system for as many as it allows: the usual limit is far below that.
pub(crate) fn raise_limit(logs: &Logs) {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        logs.operation(Level::WARN, &format!("the limit on open files stays as it is: {error}"));
    }
}

/// Checks that connections can be accepted, once the server has all that it needs for itself.
///
/// # Errors
/// If not a single one can be.
pub(crate) fn check(config: &Config, logs: &Logs) -> Result<(), Failure> {
    let Some(limit) = limit() else { return Ok(()) };
    let free = match used() {
        Ok(used) => limit.saturating_sub(used),
        Err(error) if is_exhausted(&error) => 0,
        // The system does not tell.
        Err(_) => return Ok(()),
    };
    let wanted = u64::from(config.connections.total);
    if free == 0 {
        let words =
            format!("no connection could be accepted: {}, and the server itself has opened as many", allowed(limit));
        return Err(words.into());
    }
    // Who lifts the limit on connections promises nobody a number.
    if wanted > free && config.connections.total != u32::MAX {
        let words = format!("{}, which is enough for {free} connections and not for {wanted}", allowed(limit));
        logs.operation(Level::WARN, &words);
    }
    Ok(())
}

/// Why nothing more can be opened, and what to do.
pub(crate) fn exhausted() -> String {
    // Where the process has all that it may have, not even this can be opened.
    let is_limit = fs::File::open("/dev/null").is_err_and(|error| is_exhausted(&error));
    match limit() {
        Some(limit) if is_limit => format!("{}, and all are open", allowed(limit)),
        _ => "the system has no descriptors or no memory left".into(),
    }
}

/// Whether the process has too many files open.
fn is_exhausted(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MFILE.raw_os_error())
}

fn allowed(limit: u64) -> String {
    format!("the process may have {limit} files open (ulimit -n, LimitNOFILE=)")
}

fn limit() -> Option<u64> {
    rlimit::getrlimit(rlimit::Resource::NOFILE).ok().map(|(soft, _)| soft)
}

/// How many are open.
fn used() -> io::Result<u64> {
    let listed = fs::read_dir("/dev/fd")?.count() as u64;
    // The directory itself was open while it was read.
    Ok(listed.saturating_sub(1))
}
