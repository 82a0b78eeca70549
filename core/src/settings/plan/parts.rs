//! Checks of the monitor, the metrics and the log, and the parts that the machine does not apply.

use crate::config::{MetricLabels, MetricsOptions, Part, Unapplied};
use crate::settings::catalog::Catalog;
use crate::settings::document::built_in;
use crate::settings::plan::problems::Problems;
use crate::settings::secret::Secret;
use crate::settings::tree::{
    LogFileSettings, LogSettings, MetricsSettings, MonitorSettings, RecorderSettings, RotationChoice, Settings,
};
use crate::settings::words::quoted;
use crate::wire::http::Credential;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

/// The settings of the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a program must apply each part")]
pub struct MonitorPlan {
    /// The maximum number of simultaneous watchers.
    pub watchers_max: u32,
    /// The interval at which the table of connections is sent to watchers.
    pub interval: Duration,
    /// Whether watchers may close connections, refuse addresses and drain the server.
    pub may_act: bool,
    /// Whether watchers may see the messages of connections.
    pub may_watch: bool,
}

pub(super) fn credential(key: &str, secret: &Secret, problems: &mut Problems<'_>) -> Option<Credential> {
    if secret.is_empty() {
        return None;
    }
    match Credential::new(secret.reveal()) {
        Ok(credential) => Some(credential),
        Err(error) => {
            problems.add(key, error.to_string());
            None
        }
    }
}

pub(super) fn metrics_credential(monitor: &MonitorSettings, problems: &mut Problems<'_>) -> Option<Credential> {
    const KEY: &str = "monitor.metrics_credential";
    let MonitorSettings { credential: of_monitor, metrics_credential, .. } = monitor;
    if !metrics_credential.is_empty() && metrics_credential == of_monitor {
        problems.add(KEY, "it equals monitor.credential, which opens the monitor; choose another, or remove it");
    }
    if metrics_credential.is_empty() {
        // The check of `monitor.credential` reports its errors.
        return Credential::new(of_monitor.reveal()).ok();
    }
    credential(KEY, metrics_credential, problems)
}

pub(super) fn metrics(settings: &MetricsSettings, problems: &mut Problems<'_>) -> MetricsOptions {
    for (key, kept) in [("errors_kept", settings.errors_kept), ("durations_kept", settings.durations_kept)] {
        if kept > 1_000 {
            problems.add(&format!("metrics.{key}"), "it may be at most 1000");
        }
    }
    let labels = settings.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = MetricLabels::new(labels).unwrap_or_else(|error| {
        problems.add("metrics.labels", error.to_string());
        MetricLabels::default()
    });
    MetricsOptions::default().labels(labels).errors_kept(settings.errors_kept).durations_kept(settings.durations_kept)
}

/// The log targets of the server itself; a catalog can add others.
const TARGETS: [&str; 4] = ["connections", "messages", "operation", "monitor"];

/// The fields of the server's log lines. An application with log targets of its own may have others.
const FIELDS: [&str; 31] = [
    "timestamp",
    "level",
    "target",
    "bytes",
    "bytes_in",
    "bytes_out",
    "configuration",
    "conn",
    "count",
    "error",
    "host",
    "kind",
    "listener",
    "log_lines_left_out",
    "log_lines_lost",
    "messages_in",
    "messages_out",
    "method",
    "opened",
    "origin",
    "path",
    "peer",
    "profile",
    "queued",
    "reason",
    "seconds",
    "status",
    "user",
    "version",
    "wire",
    "workers",
];

/// The minimum of `log.file.size_max`, in bytes: with less, most of the work would be rotation.
const LOG_SIZE_MIN: u64 = 64 << 10;

pub(super) fn log(log: &LogSettings, catalog: &Catalog, problems: &mut Problems<'_>) {
    let known: Vec<_> = TARGETS.into_iter().chain(catalog.log_targets()).collect();
    for target in log.targets.keys().filter(|target| !known.contains(&target.as_str())) {
        let words = format!("unknown target; the targets are {}", known.join(", "));
        problems.add(&format!("log.targets.{target}"), words);
    }
    let is_known = |field: &String| FIELDS.contains(&field.as_str()) || catalog.log_targets().next().is_some();
    if let Some(field) = log.omit_fields.iter().find(|field| !is_known(field)) {
        let words = format!("no line has the field {}; the fields are {}", quoted(field), FIELDS.join(", "));
        problems.add("log.omit_fields", words);
    }
    if let Some(file) = &log.file {
        let is_by_size = file.rotation == RotationChoice::Size;
        if file.size_max.0 < LOG_SIZE_MIN {
            problems.add("log.file.size_max", "it must be at least 64KiB");
        }
        if !is_by_size && file.size_max != LogFileSettings::default().size_max {
            problems.add("log.file.size_max", "it has an effect only with rotation: size");
        }
        if is_by_size && file.keep < 2 {
            problems.add("log.file.keep", "it must be at least 2 with rotation: size, so that no rotation loses lines");
        }
        if file.directory.is_empty() {
            problems.add("log.file.directory", "it needs a directory, such as /var/log/drupe");
        }
        if file.prefix.contains('/') {
            problems.add("log.file.prefix", "it is the prefix of file names and can't contain /");
        }
        if file.keep == 0 && !is_by_size {
            problems.add("log.file.keep", "it must be at least 1");
        }
    }
}

pub(super) fn recorder(recorder: Option<&RecorderSettings>, problems: &mut Problems<'_>) {
    let Some(RecorderSettings { directory, memory, keep, above, stuck_after, .. }) = recorder else { return };
    if directory.is_empty() {
        problems.add("recorder.directory", "it needs a directory, such as /var/lib/drupe");
    }
    if !(64 << 10..=1 << 30).contains(&memory.0) {
        problems.add("recorder.memory", "it must be from 64KiB to 1GiB");
    }
    if !(1..=1_000).contains(keep) {
        problems.add("recorder.keep", "it must be from 1 to 1000");
    }
    if above.0.is_some_and(|above| above.0 == 0) {
        problems.add("recorder.above", "it must not be 0");
    }
    if stuck_after.0.is_some_and(|after| after.0.is_zero()) {
        problems.add("recorder.stuck_after", "it must not be 0");
    }
}

/// Adds to `unapplied` each configured part that the machine does not apply, except sections.
///
/// [`Sources::resolve`](crate::settings::Sources::resolve) adds those.
pub(super) fn unapplied(settings: &Settings, catalog: &Catalog, unapplied: &mut Unapplied) {
    let listeners = || settings.listeners.iter();
    let of_profile = built_in(settings.profile.layer())
        .ok()
        .and_then(|layer| serde_json::from_value::<LogSettings>(layer.to_value()["log"].clone()).ok());
    for (part, is_there) in [
        (Part::Authentication, settings.authentication.enabled),
        (Part::Monitor, listeners().any(|(_, listener)| listener.websocket.as_ref().is_some_and(|web| web.monitor))),
        (Part::Workers, settings.workers.get() > 1),
        (Part::Greeting, listeners().any(|(_, listen)| !listen.welcome.is_empty() || !listen.prompt.is_empty())),
        (Part::Apps, listeners().any(|(_, listener)| listener.app != catalog.default_app())),
        (Part::Recorder, settings.recorder.is_some()),
        (Part::Log, of_profile.is_none_or(|of_profile| of_profile != settings.log)),
    ] {
        if is_there {
            unapplied.add(part);
        }
    }
}
