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

/// Maximum number of lines in the queue of the thread that writes them.
const QUEUE_MAX_LINES: usize = 128_000;

/// Counters of written and lost log lines. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    /// Number of lines, of those that did not fit in the queue, that are known here.
    dropped: AtomicU64,
    /// Whether the last line could not be written.
    is_failing: AtomicBool,
    /// Whether a line did not fit in the queue since the last line was written.
    is_stalled: AtomicBool,
    /// Whether the counters have changed since the last wait, with the signal for the waiting thread.
    news: (Mutex<bool>, Condvar),
}

impl Losses {
    /// Waits until a line is left out, is dropped or fails to be written, or until writing works
    /// again.
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

    /// Returns `true` if the last line could be written, and none was dropped since.
    pub(crate) fn can_write(&self) -> bool {
        !self.0.is_failing.load(Ordering::Acquire) && !self.0.is_stalled.load(Ordering::Acquire)
    }

    /// Returns the number of lines that were dropped or whose write has failed so far.
    pub(crate) fn lost(&self) -> u64 {
        self.0.failed.load(Ordering::Acquire) + self.0.dropped.load(Ordering::Acquire)
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
        let was_stalled = counts.is_stalled.swap(false, Ordering::AcqRel);
        if was_failing || was_stalled || result.is_err() {
            self.tell();
        }
    }

    /// Notes how many lines have not fit in the queue so far.
    fn note_dropped(&self, dropped: u64) {
        if self.0.dropped.fetch_max(dropped, Ordering::AcqRel) < dropped {
            self.0.is_stalled.store(true, Ordering::Release);
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
///
/// Lines that do not fit are dropped, which the [`Losses`] learn at once.
#[derive(Clone)]
pub(crate) struct Lines {
    queue: NonBlocking,
    dropped: ErrorCounter,
    losses: Losses,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.losses.0.begun.fetch_add(1, Ordering::AcqRel);
        self.clone()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.queue.write(bytes);
        self.losses.note_dropped(u64::try_from(self.dropped.dropped_lines()).unwrap_or(u64::MAX));
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.queue.flush()
    }
}

/// Opens the log file or the standard error, and starts the thread that writes to it.
///
/// Dropping the guard writes the queued lines.
pub(crate) fn open(settings: &LogSettings) -> Result<(Lines, Losses, WorkerGuard), Failure> {
    let losses = Losses::default();
    let (lines, guard) = match &settings.file {
        None => in_background(io::stderr(), &losses, QUEUE_MAX_LINES),
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
            in_background(appender, &losses, QUEUE_MAX_LINES)
        }
    };
    Ok((lines, losses, guard))
}

/// Starts a thread that writes lines, so that a slow reader of the log cannot block the server.
///
/// Lines that do not fit in the queue are dropped and counted.
fn in_background(writer: impl Write + Send + 'static, losses: &Losses, max_lines: usize) -> (Lines, WorkerGuard) {
    let writer = Counted { writer, losses: losses.clone() };
    let queue = NonBlockingBuilder::default().thread_name("drupe-log").buffered_lines_limit(max_lines);
    let (queue, guard) = queue.finish(writer);
    (Lines { dropped: queue.error_counter(), queue, losses: losses.clone() }, guard)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A writer that stalls: each write announces itself, and waits until it may go on.
    struct Stalled(Sender<()>, Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(()).map_err(io::Error::other)?;
            self.1.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn has_news(losses: &Losses) -> bool {
        core::mem::take(&mut *losses.0.news.0.lock().expect("unpoisoned"))
    }

    #[test]
    fn lines_that_a_stalled_queue_drops_are_reported_at_once() {
        let ((begun, begins), (go_on, goes_on)) = (channel(), channel());
        let losses = Losses::default();
        let (lines, guard) = in_background(Stalled(begun, goes_on), &losses, 1);
        let line = || lines.make_writer().write_all(b"a line").expect("written or dropped");
        line();
        begins.recv().expect("the first line is being written");
        line();
        assert!(!has_news(&losses), "the second line is in the queue");
        line();
        assert!(has_news(&losses) && !losses.can_write() && losses.lost() == 1);
        go_on.send(()).expect("the writer goes on");
        begins.recv().expect("the second line is being written");
        // Writing works again, and the loss can be logged.
        assert!(has_news(&losses) && losses.can_write() && losses.lost() == 1);
        drop(go_on);
        drop(guard);
    }
}
