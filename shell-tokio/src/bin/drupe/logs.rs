//! What is logged: through tracing, for people or as JSON, to the standard error or to files.

use crate::Failure;
use drupe_tokio::core::Time;
use drupe_tokio::core::kit::monitor::LogTail;
use drupe_tokio::core::limit::{Gcra, Rate};
use drupe_tokio::core::settings::{FormatChoice, LevelChoice, LogSettings, RotationChoice};
use drupe_tokio::core::text::neutralize;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::{Level, debug, error, info, warn};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Writes lines, no more of a kind than is allowed, and shows them to the monitor.
#[derive(Clone)]
pub(crate) struct Logs {
    filter: Handle<Targets, Registry>,
    sampler: Arc<Mutex<Sampler>>,
    tail: LogTail,
}

struct Sampler {
    rate: Option<Rate>,
    started: Instant,
    /// By kind: its meter, and how many lines were left out.
    kinds: BTreeMap<String, (Gcra, u64)>,
}

/// So many kinds of lines are told apart; there are a few dozen.
const KINDS_MAX: usize = 256;

impl Logs {
    /// Begins to log, for the whole process. What is not yet written is written when the guard is dropped.
    pub(crate) fn begin(settings: &LogSettings) -> Result<(Self, WorkerGuard), Failure> {
        let (writer, guard) = writer(settings)?;
        let (filter, handle) = reload::Layer::new(targets(settings));
        let format = fmt::layer().with_writer(writer).with_ansi(false);
        let lines = match settings.format {
            FormatChoice::Human => format.boxed(),
            FormatChoice::Json => format.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry().with(filter).with(lines).try_init()?;
        let rate = settings.repeats.0.map(drupe_tokio::core::settings::units::RateText::get);
        let sampler = Sampler { rate, started: Instant::now(), kinds: BTreeMap::new() };
        let sampler = Arc::new(Mutex::new(sampler));
        Ok((Self { filter: handle, sampler, tail: LogTail::default() }, guard))
    }

    /// Other levels from now on.
    pub(crate) fn set_levels(&self, settings: &LogSettings) {
        if let Err(failure) = self.filter.reload(targets(settings)) {
            self.operation(Level::ERROR, &format!("the levels of the log stay as they were: {failure}"));
        }
    }

    /// The last lines, for the monitor.
    pub(crate) fn tail(&self) -> LogTail {
        self.tail.clone()
    }

    /// A line about connections, for the monitor; false if no more of its kind are written for now.
    pub(crate) fn admits_line(&self, kind: &str, line: impl FnOnce() -> String) -> bool {
        let admits = self.admits(kind);
        if admits {
            self.tail.push(&line());
        }
        admits
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

    /// Whether another line of this kind is written; if so, what was left out before is said first.
    pub(crate) fn admits(&self, kind: &str) -> bool {
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        let Sampler { rate, started, kinds } = &mut *sampler;
        let Some(rate) = *rate else { return true };
        let now = Time::START + started.elapsed();
        if kinds.len() >= KINDS_MAX && !kinds.contains_key(kind) {
            return true;
        }
        let (meter, left_out) = kinds.entry(kind.to_owned()).or_default();
        if meter.try_charge(now, 1, rate).is_err() {
            *left_out += 1;
            return false;
        }
        let count = std::mem::take(left_out);
        drop(sampler);
        if count > 0 {
            warn!(target: "operation", kind, count, "lines were left out");
        }
        true
    }
}

fn writer(settings: &LogSettings) -> Result<(NonBlocking, WorkerGuard), Failure> {
    let Some(file) = &settings.file else { return Ok(tracing_appender::non_blocking(io::stderr())) };
    let rotation = match file.rotation {
        RotationChoice::Never => Rotation::NEVER,
        RotationChoice::Hourly => Rotation::HOURLY,
        RotationChoice::Daily => Rotation::DAILY,
    };
    let appender = RollingFileAppender::builder()
        .rotation(rotation)
        .filename_prefix(&file.prefix)
        .filename_suffix("log")
        .max_log_files(usize::try_from(file.keep).unwrap_or(usize::MAX))
        .build(&file.directory)
        .map_err(|error| format!("can't write logs in {}: {error}", file.directory))?;
    Ok(tracing_appender::non_blocking(appender))
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
