//! The output of the log, with counts of the lines that could not be written.

use crate::failure::Failure;
use crate::log_files::SizedLog;
use crate::log_lines::LineFormat;
use drupe_core::settings::{FormatChoice, LogFileSettings, LogSettings, RotationChoice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// Maximum time that the last line waits for a standard error that accepts nothing.
const LAST_WORDS_WAIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Maximum number of lines in the queue of the thread that writes them.
const QUEUE_MAX_LINES: usize = 128_000;

/// Counters of written and lost log lines of all outputs. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses(Arc<Counts>);

/// An output of the log.
#[derive(Clone, Copy, Debug)]
enum Output {
    Console,
    File,
}

impl Output {
    /// Returns the bit of the output in [`Counts`].
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    /// Number of lines, of those that did not fit in the queue of each output, that are known here.
    dropped: [AtomicU64; 2],
    /// The outputs to which the last line could not be written.
    failing: AtomicU8,
    /// The outputs where a line did not fit in the queue since the last line was written.
    stalled: AtomicU8,
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

    /// Returns `true` if the last line could be written to each output, and none was dropped since.
    pub(crate) fn can_write(&self) -> bool {
        self.0.failing.load(Ordering::Acquire) == 0 && self.0.stalled.load(Ordering::Acquire) == 0
    }

    /// Returns the number of lines that were dropped or whose write has failed so far.
    pub(crate) fn lost(&self) -> u64 {
        let dropped: u64 = self.0.dropped.iter().map(|dropped| dropped.load(Ordering::Acquire)).sum();
        self.0.failed.load(Ordering::Acquire) + dropped
    }

    /// Returns the number of lines that were not written. Call it after the last line.
    pub(crate) fn missing(&self) -> u64 {
        self.0.begun.load(Ordering::Acquire).saturating_sub(self.0.written.load(Ordering::Acquire))
    }

    fn note(&self, output: Output, result: &io::Result<()>) {
        let (counts, bit) = (&*self.0, output.bit());
        let before = if result.is_ok() {
            counts.written.fetch_add(1, Ordering::AcqRel);
            counts.failing.fetch_and(!bit, Ordering::AcqRel)
        } else {
            counts.failed.fetch_add(1, Ordering::AcqRel);
            counts.failing.fetch_or(bit, Ordering::AcqRel)
        };
        let stalled = counts.stalled.fetch_and(!bit, Ordering::AcqRel);
        if (before | stalled) & bit != 0 || result.is_err() {
            self.tell();
        }
    }

    /// Notes how many lines have not fit in the queue of an output so far.
    fn note_dropped(&self, output: Output, dropped: u64) {
        let known = self.0.dropped.get(output as usize);
        if known.is_some_and(|known| known.fetch_max(dropped, Ordering::AcqRel) < dropped) {
            self.0.stalled.fetch_or(output.bit(), Ordering::AcqRel);
            self.tell();
        }
    }
}

/// A writer that counts lines. Each call writes one line.
struct Counted<W> {
    writer: W,
    output: Output,
    losses: Losses,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.writer.write_all(bytes);
        self.losses.note(self.output, &result);
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
    output: Output,
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
        self.losses.note_dropped(self.output, u64::try_from(self.dropped.dropped_lines()).unwrap_or(u64::MAX));
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.queue.flush()
    }
}

/// The threads that write the log. Dropping it writes the queued lines.
pub(crate) struct Writers(#[expect(dead_code, reason = "only its drop has an effect")] Vec<WorkerGuard>);

/// Opens the log file, the standard error or both, and starts the threads that write to them.
pub(crate) fn open(settings: &LogSettings) -> Result<(Vec<Lines>, Losses, Writers), Failure> {
    let losses = Losses::default();
    let (mut queues, mut guards) = (Vec::new(), Vec::new());
    let mut add = |(lines, guard)| {
        queues.push(lines);
        guards.push(guard);
    };
    if settings.console || settings.file.is_none() {
        add(in_background(io::stderr(), Output::Console, &losses, QUEUE_MAX_LINES));
    }
    if let Some(file) = &settings.file {
        let blame = |error: &dyn Display| format!("can't write logs in {}: {error}", file.directory);
        add(if file.rotation == RotationChoice::Size {
            let log = SizedLog::open(&file.directory, &file.prefix, file.keep, file.size_max.0);
            in_background(log.map_err(|error| blame(&error))?, Output::File, &losses, QUEUE_MAX_LINES)
        } else {
            let log = dated(file).map_err(|error| blame(&error))?;
            in_background(log, Output::File, &losses, QUEUE_MAX_LINES)
        });
    }
    Ok((queues, losses, Writers(guards)))
}

/// Opens a log file that is replaced by a new one after a time, or never.
fn dated(file: &LogFileSettings) -> Result<RollingFileAppender, InitError> {
    let rotation = match file.rotation {
        RotationChoice::Never | RotationChoice::Size => Rotation::NEVER,
        RotationChoice::Hourly => Rotation::HOURLY,
        RotationChoice::Daily => Rotation::DAILY,
    };
    RollingFileAppender::builder()
        .rotation(rotation)
        .filename_prefix(&file.prefix)
        .filename_suffix("log")
        .max_log_files(usize::try_from(file.keep).unwrap_or(usize::MAX))
        .build(&file.directory)
}

/// Starts a thread that writes lines, so that a slow reader of the log cannot block the server.
///
/// Lines that do not fit in the queue are dropped and counted.
fn in_background(
    writer: impl Write + Send + 'static,
    output: Output,
    losses: &Losses,
    max_lines: usize,
) -> (Lines, WorkerGuard) {
    let writer = Counted { writer, output, losses: losses.clone() };
    let queue = NonBlockingBuilder::default().thread_name("drupe-log").buffered_lines_limit(max_lines);
    let (queue, guard) = queue.finish(writer);
    (Lines { dropped: queue.error_counter(), queue, output, losses: losses.clone() }, guard)
}

/// Writes one line to the standard error in the format of the log, even if the log is a file.
///
/// Waits at most one second for a reader.
pub(crate) fn last_words(format: &LineFormat, human: &str, event: impl FnOnce()) {
    let mut output = io::stderr();
    let mut ready = [PollFd::new(&output, PollFlags::OUT)];
    let is_ready = poll(&mut ready, Some(&LAST_WORDS_WAIT)).is_ok_and(|count| count > 0);
    if !is_ready {
        return;
    }
    match format.choice() {
        FormatChoice::Human => drop(writeln!(output, "{human}")),
        FormatChoice::Json => {
            let lines = Registry::default().with(format.layer(io::stderr));
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
        let (lines, guard) = in_background(Stalled(begun, goes_on), Output::Console, &losses, 1);
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
