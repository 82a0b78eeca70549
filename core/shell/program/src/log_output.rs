//! The output of the log, with counts of the lines that could not be written.

use crate::failure::Failure;
use drupe_core::settings::{FormatChoice, LogSettings, RotationChoice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Maximum time that the last line waits for a standard error that accepts nothing.
const LAST_WORDS_WAIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Counters of written and lost log lines. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    /// Whether the last line could not be written.
    is_failing: AtomicBool,
    /// Whether the counters have changed since the last wait, with the signal for the waiting thread.
    news: (Mutex<bool>, Condvar),
}

impl Losses {
    /// Waits until a line is left out or fails to be written, or until writing works again.
    pub(crate) fn news(&self) {
        let (news, signal) = &self.0.news;
        let waiting = news.lock().unwrap_or_else(PoisonError::into_inner);
        let mut there = signal.wait_while(waiting, |there| !*there).unwrap_or_else(PoisonError::into_inner);
        *there = false;
    }

    /// Wakes the thread that waits in [`news`](Self::news).
    pub(crate) fn tell(&self) {
        let (news, signal) = &self.0.news;
        *news.lock().unwrap_or_else(PoisonError::into_inner) = true;
        signal.notify_one();
    }

    /// Returns `true` if the last line could be written.
    pub(crate) fn can_write(&self) -> bool {
        !self.0.is_failing.load(Ordering::Acquire)
    }

    /// Returns the number of lines whose write has failed so far.
    pub(crate) fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Acquire)
    }

    /// Returns the number of lines that were not written. Call it after the last line.
    pub(crate) fn missing(&self) -> u64 {
        self.0.begun.load(Ordering::Acquire).saturating_sub(self.0.written.load(Ordering::Acquire))
    }

    fn note(&self, result: &io::Result<()>) {
        let counts = &*self.0;
        if result.is_ok() {
            counts.written.fetch_add(1, Ordering::AcqRel);
        } else {
            counts.failed.fetch_add(1, Ordering::AcqRel);
        }
        let was_failing = counts.is_failing.swap(result.is_err(), Ordering::AcqRel);
        if was_failing || result.is_err() {
            self.tell();
        }
    }
}

/// A writer that counts lines. Each call writes one line.
struct Counted<W> {
    writer: W,
    losses: Losses,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.writer.write_all(bytes);
        self.losses.note(&result);
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A queue of lines for the thread that writes them, with a count of all lines.
pub(crate) struct Lines {
    queue: NonBlocking,
    losses: Losses,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = NonBlocking;

    fn make_writer(&'a self) -> NonBlocking {
        self.losses.0.begun.fetch_add(1, Ordering::AcqRel);
        self.queue.clone()
    }
}

/// Opens the log file or the standard error, and starts the thread that writes to it.
///
/// Dropping the guard writes the queued lines.
pub(crate) fn open(settings: &LogSettings) -> Result<(Lines, Losses, ErrorCounter, WorkerGuard), Failure> {
    let losses = Losses::default();
    let (queue, guard) = match &settings.file {
        None => in_background(io::stderr(), &losses),
        Some(file) => {
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
            in_background(appender, &losses)
        }
    };
    let dropped = queue.error_counter();
    Ok((Lines { queue, losses: losses.clone() }, losses, dropped, guard))
}

/// Starts a thread that writes lines, so that a slow reader of the log cannot block the server.
///
/// Lines that do not fit in the queue are dropped and counted.
fn in_background(writer: impl Write + Send + 'static, losses: &Losses) -> (NonBlocking, WorkerGuard) {
    let writer = Counted { writer, losses: losses.clone() };
    NonBlockingBuilder::default().thread_name("drupe-log").finish(writer)
}

/// Returns a layer that formats events as lines.
pub(crate) fn formatted<S, W>(format: FormatChoice, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    match format {
        FormatChoice::Human => layer.boxed(),
        FormatChoice::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// Writes one line to the standard error in the format of the log, even if the log is a file.
///
/// Waits at most one second for a reader.
pub(crate) fn last_words(format: FormatChoice, human: &str, event: impl FnOnce()) {
    let mut output = io::stderr();
    let mut ready = [PollFd::new(&output, PollFlags::OUT)];
    let is_ready = poll(&mut ready, Some(&LAST_WORDS_WAIT)).is_ok_and(|count| count > 0);
    if !is_ready {
        return;
    }
    match format {
        FormatChoice::Human => drop(writeln!(output, "{human}")),
        FormatChoice::Json => {
            let lines = Registry::default().with(formatted(format, io::stderr));
            tracing::subscriber::with_default(lines, event);
        }
    }
}
