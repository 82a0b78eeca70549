//! The log: through tracing, as text or JSON, to standard error or to files.

use crate::failure::Failure;
use crate::limiter::{Admitted, Limiter};
use crate::log_lines::LineFormat;
use crate::log_output::{self, Losses, Writers, last_words};
use drupe_core::app::AppNote;
use drupe_core::kit::monitor::LogTail;
use drupe_core::settings::{FormatChoice, LevelChoice, LogSettings, Resolved};
use drupe_core::text::neutralize;
use drupe_core::{Command, ConnId, Metrics, Time};
use drupe_shell::Remote;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};
use tracing::level_filters::LevelFilter;
use tracing::{Level, debug, error, info, warn};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;

/// The log of the process. It writes lines, limits them by kind, and shows them to the monitor.
#[derive(Clone)]
pub(crate) struct Logs {
    /// The name of the program.
    program: &'static str,
    filter: Handle<Targets, Registry>,
    format: LineFormat,
    limiter: Arc<Mutex<Limiter>>,
    started: Instant,
    losses: Losses,
    tail: LogTail,
}

/// Minimum time between two reports of lost lines.
const REPORTED_EVERY: Duration = Duration::from_secs(1);

impl Logs {
    /// Starts the log of the process. Dropping the writers writes the queued lines.
    pub(crate) fn begin(program: &'static str, settings: &LogSettings) -> Result<(Self, Writers), Failure> {
        let (outputs, losses, writers) = log_output::open(settings)?;
        let (filter, handle) = reload::Layer::new(targets(settings));
        let format = LineFormat::new(settings.format, &settings.omit_fields);
        let lines: Vec<_> = outputs.into_iter().map(|lines| format.layer(lines)).collect();
        tracing_subscriber::registry().with(filter).with(lines).try_init()?;
        let rate = settings.repeats.0.map(drupe_core::settings::units::RateText::get);
        let limiter = Arc::new(Mutex::new(Limiter::new(targets(settings), rate)));
        let (started, tail) = (Instant::now(), LogTail::default());
        Ok((Self { program, filter: handle, format, limiter, started, losses, tail }, writers))
    }

    /// Applies the log levels of the settings.
    pub(crate) fn set_levels(&self, settings: &LogSettings) {
        match self.filter.reload(targets(settings)) {
            Ok(()) => self.limiter().set_levels(targets(settings)),
            Err(failure) => {
                self.operation(Level::ERROR, &format!("can't change the levels of the log: {failure}"));
            }
        }
    }

    /// Returns a handle to the last lines of the log, for the monitor.
    pub(crate) fn tail(&self) -> LogTail {
        self.tail.clone()
    }

    /// Returns `true` if a line about a message is to be logged, and counts the line.
    pub(crate) fn admits_message(&self) -> bool {
        // Checks the level first: messages are the most frequent lines, and most servers do not log
        // them.
        self.limiter().is_logged("messages", Level::DEBUG) && self.admit("message", "messages", Level::DEBUG).is_some()
    }

    /// Shows a line to the monitor, unless its kind exceeds the rate. Returns whether to log it.
    pub(crate) fn admits_line(&self, kind: &str, level: Level, line: impl FnOnce() -> String) -> bool {
        let Some(verdict) = self.admit(kind, "connections", level) else { return false };
        self.tail.push(&line());
        verdict.is_logged
    }

    /// Logs a failed login. The line that opened its connection names the address.
    pub(crate) fn failed_login(&self, conn: ConnId, reason: &str) {
        if self.admits_line("login failed", Level::INFO, || format!("login failed: {conn} {reason}")) {
            info!(target: "connections", %conn, reason, "login failed");
        }
    }

    /// Logs a command that a watcher sent to the monitor.
    pub(crate) fn monitor(&self, line: &str) {
        self.tail.push(line);
        info!(target: "monitor", "{line}");
    }

    /// Logs the version and the configuration with which the server starts.
    pub(crate) fn starting(&self, version: &str, resolved: &Resolved) {
        let (profile, workers) = (resolved.settings.profile.name(), resolved.plan.workers);
        let sources = resolved.sources().join(", ");
        let configuration = neutralize(if sources.is_empty() { "the defaults" } else { &sources }).into_owned();
        let program = self.program;
        self.tail
            .push(&format!("starting: {program} {version}, profile {profile}, configuration from {configuration}"));
        info!(target: "operation", version, profile, workers, configuration, "{program} is starting");
    }

    /// Logs an event of the server itself.
    pub(crate) fn operation(&self, level: Level, line: &str) {
        // The text may contain line breaks from files or system calls.
        let line = line.lines().map(neutralize).collect::<Vec<_>>().join("; ");
        self.tail.push(&line);
        match level {
            Level::ERROR => error!(target: "operation", "{line}"),
            Level::WARN => warn!(target: "operation", "{line}"),
            Level::DEBUG => debug!(target: "operation", "{line}"),
            _ => info!(target: "operation", "{line}"),
        }
    }

    /// Logs an event of the server itself, with a rate limit by kind.
    pub(crate) fn frequent_operation(&self, kind: &str, level: Level, line: &str) {
        if self.admit(kind, "operation", level).is_some() {
            self.operation(level, line);
        }
    }

    /// Counts left-out and lost lines in the metrics, and logs lost ones once writing works again.
    ///
    /// Runs on a thread of its own until the process ends.
    pub(crate) fn report_losses(self, remote: Remote<AppNote>) -> io::Result<()> {
        thread::Builder::new().name("log-losses".into()).spawn(move || self.report(&remote)).map(drop)
    }

    fn report(&self, remote: &Remote<AppNote>) {
        let (mut left_out, mut lost, mut logged) = (0, 0, 0);
        loop {
            self.losses.news();
            let newer = (self.limiter().left_out(), self.losses.lost());
            if newer != (left_out, lost) {
                let request = Command::LogLoss { left_out: newer.0 - left_out, lost: newer.1 - lost };
                if remote.command(request).is_ok() {
                    (left_out, lost) = newer;
                }
            }
            if self.losses.can_write() && newer.1 > logged {
                warn!(target: "operation", count = newer.1 - logged, "log lines were lost");
                // The line itself may have been dropped.
                if self.losses.can_write() {
                    logged = newer.1;
                }
            }
            thread::sleep(REPORTED_EVERY);
        }
    }

    /// Ends the log: reports left-out lines, flushes the queue, and prints a summary on stderr.
    pub(crate) fn end(self, writers: Writers, metrics: &Metrics) {
        for (kind, count) in self.limiter().take_left_out() {
            warn!(target: "operation", kind, count, "lines were left out");
        }
        drop(writers);
        let Metrics { opened, messages_in, messages_out, .. } = metrics;
        let (left_out, lost) = (self.limiter().left_out(), self.losses.missing());
        let mut words =
            format!("{}: {opened} connections served, {messages_in} messages in, {messages_out} out", self.program);
        let missing = [(left_out, "left out"), (lost, "lost")].into_iter().filter(|(count, _)| *count > 0);
        words.extend(missing.map(|(count, what)| format!("; {count} log lines {what}")));
        last_words(&self.format, &words, || {
            let (log_lines_left_out, log_lines_lost) = (left_out, lost);
            info!(target: "operation", opened, messages_in, messages_out, log_lines_left_out, log_lines_lost, "ended");
        });
    }

    /// Admits a line, unless its kind exceeds the rate. Logs how many lines were left out before.
    fn admit(&self, kind: &str, target: &str, level: Level) -> Option<Admitted> {
        let now = Time::START + self.started.elapsed();
        let verdict = self.limiter().admit(now, kind, target, level);
        match verdict {
            None => self.losses.tell(),
            Some(Admitted { left_out: count, .. }) if count > 0 => {
                warn!(target: "operation", kind, count, "lines were left out");
            }
            Some(_) => {}
        }
        verdict
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prints the error that prevented the start or ended the server, in the format of its log.
pub(crate) fn refuse_to_start(program: &str, format: FormatChoice, failure: &Failure) {
    last_words(
        &LineFormat::new(format, &[]),
        &format!("{program}: {failure}"),
        || error!(target: "operation", "{failure}"),
    );
}

fn targets(settings: &LogSettings) -> Targets {
    let single = settings.targets.iter().map(|(target, level)| (target.clone(), filter(*level)));
    Targets::new().with_default(filter(settings.level)).with_targets(single)
}

const fn filter(level: LevelChoice) -> LevelFilter {
    match level {
        LevelChoice::Off => LevelFilter::OFF,
        LevelChoice::Error => LevelFilter::ERROR,
        LevelChoice::Warn => LevelFilter::WARN,
        LevelChoice::Info => LevelFilter::INFO,
        LevelChoice::Debug => LevelFilter::DEBUG,
        LevelChoice::Trace => LevelFilter::TRACE,
    }
}
