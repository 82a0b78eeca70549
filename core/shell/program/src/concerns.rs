//! Warnings about a valid configuration, and expired, expiring or not yet valid certificates.

use crate::logs::Logs;
use drupe_core::settings::{Resolved, SettingsError};
use drupe_core::tls::Validity;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::Level;

/// A warning or an error about the configuration, for the operator.
pub(crate) struct Concern {
    /// Whether the problem already stops peers from connecting.
    pub(crate) is_error: bool,
    pub(crate) what: SettingsError,
}

/// Time before the expiry of a certificate at which warnings begin, in seconds.
const SOON_SECS: u64 = 14 * DAY_SECS;
/// Length of a day, in seconds.
const DAY_SECS: u64 = 24 * 3600;

/// Returns all concerns about a configuration and its certificates.
pub(crate) fn all(resolved: &Resolved) -> Vec<Concern> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let warnings = resolved.warnings.iter().cloned().map(|what| Concern { is_error: false, what });
    let certificates = resolved.plan.tls().flat_map(|(key, files)| {
        // Loading the configuration has reported unreadable files.
        files.validity().unwrap_or_default().into_iter().map(move |validity| (key.clone(), validity))
    });
    let certificates = certificates.filter_map(|(key, validity)| of_certificate(resolved, &key, &validity, now));
    warnings.chain(certificates).collect()
}

fn of_certificate(resolved: &Resolved, key: &str, validity: &Validity, now: u64) -> Option<Concern> {
    let (from, until) = (validity.from.as_secs(), validity.until.as_secs());
    let (is_error, when) = if until <= now {
        (true, format!("expired {} ago", days(now - until)))
    } else if now < from {
        (true, format!("is not valid for another {}", days(from - now)))
    } else if until - now < SOON_SECS {
        (false, format!("expires in {}", days(until - now)))
    } else {
        return None;
    };
    let (key, what) = match validity.certificate {
        Some(number) => (format!("{key}.certificates[{number}]"), "the certificate"),
        None => (format!("{key}.authorities"), "every authority"),
    };
    let words = format!("{what} in {} {when}", validity.path.display());
    Some(Concern { is_error, what: resolved.blame(&key, words) })
}

fn days(secs: u64) -> String {
    match (secs / DAY_SECS, secs / 3600) {
        (0, 0) => "less than an hour".into(),
        (0, 1) => "an hour".into(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "a day".into(),
        (days, _) => format!("{days} days"),
    }
}

/// Logs all concerns about a configuration, at the start and at a reload.
pub(crate) fn log(resolved: &Resolved, logs: &Logs) {
    for Concern { is_error, what } in all(resolved) {
        logs.operation(if is_error { Level::ERROR } else { Level::WARN }, &what.to_string());
    }
}

impl Concern {
    /// Formats the concern as a line of `drupe check`.
    pub(crate) fn line(&self) -> String {
        format!("{}: {}", if self.is_error { "error" } else { "warning" }, self.what)
    }
}
