//! What is logged: through tracing, for people or as JSON, to the standard error or to files.

use crate::Failure;
use crate::limiter::{Admitted, Limiter};
use crate::log_output::{self, Losses, formatted, last_words};
use drupe_tokio::Remote;
use drupe_tokio::core::kit::monitor::LogTail;
use drupe_tokio::core::settings::{FormatChoice, LevelChoice, LogSettings};
use drupe_tokio::core::text::neutralize;
use drupe_tokio::core::{Command, Metrics, NoNote, Time};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::level_filters::LevelFilter;
use tracing::{Level, debug, error, info, warn};
use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;

/// Writes lines, no more of a kind than is allowed, and shows them to the monitor.
#[derive(Clone)]
pub(crate) struct Logs {
    filter: Handle<Targets, Registry>,
    format: FormatChoice,
    limiter: Arc<Mutex<Limiter>>,
    started: Instant,
    losses: Losses,
    /// Lines that had no room among those that wait to be written.
    dropped: ErrorCounter,
    tail: LogTail,
}

/// Losses are reported no more often than this.
const REPORTED_EVERY: Duration = Duration::from_secs(1);

impl Logs {
    /// Begins to log, for the whole process. What is not yet written is written when the guard is dropped.
    pub(crate) fn begin(settings: &LogSettings) -> Result<(Self, WorkerGuard), Failure> {
        let (lines, losses, dropped, guard) = log_output::open(settings)?;
        let (filter, handle) = reload::Layer::new(targets(settings));
        tracing_subscriber::registry().with(filter).with(formatted(settings.format, lines)).try_init()?;
        let rate = settings.repeats.0.map(drupe_tokio::core::settings::units::RateText::get);
        let limiter = Arc::new(Mutex::new(Limiter::new(targets(settings), rate)));
        let (format, started, tail) = (settings.format, Instant::now(), LogTail::default());
        Ok((Self { filter: handle, format, limiter, started, losses, dropped, tail }, guard))
    }

    /// Other levels from now on.
    pub(crate) fn set_levels(&self, settings: &LogSettings) {
        match self.filter.reload(targets(settings)) {
            Ok(()) => self.limiter().set_levels(targets(settings)),
            Err(failure) => {
                self.operation(Level::ERROR, &format!("the levels of the log stay as they were: {failure}"));
            }
        }
    }

    /// The last lines, for the monitor.
    pub(crate) fn tail(&self) -> LogTail {
        self.tail.clone()
    }

    /// Whether the level of connections lets messages into the log, and another one may be written.
    pub(crate) fn admits_message(&self) -> bool {
        // Most servers log none, and these are the most frequent lines.
        self.limiter().is_logged("messages", Level::DEBUG) && self.admit("message", "messages", Level::DEBUG).is_some()
    }

    /// A line about connections, for the monitor; whether it is to be logged as well.
    pub(crate) fn admits_line(&self, kind: &str, level: Level, line: impl FnOnce() -> String) -> bool {
        let Some(verdict) = self.admit(kind, "connections", level) else { return false };
        self.tail.push(&line());
        verdict.is_logged
    }

    /// What somebody at the monitor does.
    pub(crate) fn monitor(&self, line: &str) {
        self.tail.push(line);
        info!(target: "monitor", "{line}");
    }

    /// What the operator should know of the server itself.
    pub(crate) fn operation(&self, level: Level, line: &str) {
        // One line, whatever stood in a file or came from a system call.
        let line = line.lines().map(neutralize).collect::<Vec<_>>().join("; ");
        self.tail.push(&line);
        match level {
            Level::ERROR => error!(target: "operation", "{line}"),
            Level::WARN => warn!(target: "operation", "{line}"),
            Level::DEBUG => debug!(target: "operation", "{line}"),
            _ => info!(target: "operation", "{line}"),
        }
    }

    /// As [`operation`](Self::operation), no more often than is allowed of a kind.
    pub(crate) fn frequent_operation(&self, kind: &str, level: Level, line: &str) {
        if self.admit(kind, "operation", level).is_some() {
            self.operation(level, line);
        }
    }

    /// Reports what was left out and lost, whenever there is more of it: to the counters of the server and, once lines can be
    /// written, to the log.
    pub(crate) async fn report_losses(self, remote: Remote<NoNote>) {
        let (mut left_out, mut lost, mut logged) = (0, 0, 0);
        loop {
            self.losses.news().await;
            let newer = (self.limiter().left_out(), self.lost());
            if newer != (left_out, lost) {
                let request = Command::LogLoss { left_out: newer.0 - left_out, lost: newer.1 - lost };
                if remote.command(request).is_ok() {
                    (left_out, lost) = newer;
                }
            }
            if self.losses.can_write() && newer.1 > logged {
                warn!(target: "operation", count = newer.1 - logged, "log lines were lost");
                logged = newer.1;
            }
            tokio::time::sleep(REPORTED_EVERY).await;
        }
    }

    /// Ends the log: what was left out is said, what waits is written, and the last words go to the standard error.
    pub(crate) fn end(self, guard: WorkerGuard, metrics: &Metrics) {
        for (kind, count) in self.limiter().take_left_out() {
            warn!(target: "operation", kind, count, "lines were left out");
        }
        drop(guard);
        let Metrics { opened, messages_in, messages_out, .. } = metrics;
        let (left_out, lost) = (self.limiter().left_out(), self.losses.missing());
        let mut words = format!("drupe: {opened} connections served, {messages_in} messages in, {messages_out} out");
        let missing = [(left_out, "left out"), (lost, "lost")].into_iter().filter(|(count, _)| *count > 0);
        words.extend(missing.map(|(count, what)| format!("; {count} log lines {what}")));
        last_words(self.format, &words, || {
            let (log_lines_left_out, log_lines_lost) = (left_out, lost);
            info!(target: "operation", opened, messages_in, messages_out, log_lines_left_out, log_lines_lost, "ended");
        });
    }

    /// Whether another line of this kind is written; if so, what was left out before is said first.
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

    fn lost(&self) -> u64 {
        self.losses.failed() + u64::try_from(self.dropped.dropped_lines()).unwrap_or(u64::MAX)
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says why the server did not start, in the format that its log would have.
pub(crate) fn refuse_to_start(format: FormatChoice, failure: &Failure) {
    last_words(format, &format!("drupe: {failure}"), || error!(target: "operation", "{failure}"));
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
