//! The flight recorder: the last facts of all workers, written to a file on SIGUSR1, after a panic, and when the
//! monitor asks for it.

use crate::logs::Logs;
use drupe_core::settings::{RecorderSettings, Resolved};
use drupe_core::trace::FlightRecorder;
use drupe_core::{Handler, Machine};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::Level;

/// The end of the names of recordings.
const SUFFIX: &str = ".recording";
/// Maximum time that the end of the program waits for recordings.
const END_MAX: Duration = Duration::from_secs(10);

/// The flight recorder of a program, if the configuration has one.
#[derive(Clone)]
pub(crate) struct Flight {
    pub(crate) recorder: FlightRecorder,
    pub(crate) settings: RecorderSettings,
    program: &'static str,
    version: &'static str,
    logs: Logs,
    /// Whether a recording is being written that the monitor asked for.
    is_busy: Arc<AtomicBool>,
    unfinished: Arc<Unfinished>,
}

impl Flight {
    /// Creates the recorder that the configuration asks for.
    pub(crate) fn of(
        resolved: &Resolved,
        (program, version): (&'static str, &'static str),
        logs: &Logs,
    ) -> Option<Self> {
        let settings = resolved.plan.recorder.clone()?;
        let recorder = FlightRecorder::new(usize::try_from(settings.memory.0).unwrap_or(usize::MAX));
        recorder.configured(resolved.explain());
        Some(Self {
            recorder,
            settings,
            program,
            version,
            logs: logs.clone(),
            is_busy: Arc::default(),
            unfinished: Arc::default(),
        })
    }

    /// Records the facts of a worker's machine.
    pub(crate) fn record<H: Handler>(&self, machine: &mut Machine<H>) {
        let recorder = self.recorder.recorder(machine.which_shard().number());
        machine.record(if self.settings.verbatim { recorder.verbatim() } else { recorder });
    }

    /// Writes a recording now, and logs its name or why it could not be written.
    pub(crate) fn save(&self, why: &str) {
        match self.write(why) {
            Ok(path) => self.logs.operation(Level::WARN, &format!("recording written to {} ({why})", path.display())),
            Err(error) => {
                let directory = &self.settings.directory;
                self.logs.operation(Level::ERROR, &format!("can't write a recording to {directory} ({why}): {error}"));
            }
        }
    }

    /// Begins to write a recording that a watcher of the monitor asks for.
    pub(crate) fn save_for_monitor(&self) -> Result<(), String> {
        if self.is_busy.swap(true, Ordering::AcqRel) {
            return Err("a recording is being written".into());
        }
        let flight = self.clone();
        let run = move || {
            flight.save("the monitor");
            flight.is_busy.store(false, Ordering::Release);
        };
        thread::Builder::new().name("recorder".into()).spawn(run).map(drop).map_err(|error| {
            self.is_busy.store(false, Ordering::Release);
            error.to_string()
        })
    }

    /// Writes a recording after the first panic of the process, besides what else happens then.
    pub(crate) fn save_after_panics(&self) {
        let (flight, before, was_saved) = (self.clone(), std::panic::take_hook(), AtomicBool::new(false));
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            // Further panics often have the same cause, and would take the place of older recordings.
            if !was_saved.swap(true, Ordering::Relaxed) {
                let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
                flight.save(&format!("panic{}", place.unwrap_or_default()));
            }
        }));
    }

    fn write(&self, why: &str) -> io::Result<PathBuf> {
        let text = self.recorder.recording(self.version, why).text();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Later names are later in the alphabet.
        let name = format!("{}-{:013}{SUFFIX}", self.program, since.as_millis());
        let (path, unfinished) = (self.directory().join(&name), self.directory().join(format!(".{name}.part")));
        if !self.unfinished.begin(&unfinished) {
            return Err(io::Error::other("the program ends"));
        }
        let written = write_new(&unfinished, &text).and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        self.unfinished.end(&unfinished);
        written?;
        self.remove_old();
        Ok(path)
    }

    /// Waits for recordings that are being written, so that the end of the process cuts none. Begins no others.
    ///
    /// If a disk needs more than 10 seconds, it removes what has been written.
    pub(crate) fn finish(&self) {
        for path in self.unfinished.wait(END_MAX) {
            let _ = fs::remove_file(&path);
            let directory = &self.settings.directory;
            self.logs.operation(Level::ERROR, &format!("can't write a recording to {directory}: the program ends"));
        }
    }

    /// Removes the oldest recordings above the number that is kept.
    fn remove_old(&self) {
        let (Ok(entries), begin) = (fs::read_dir(self.directory()), format!("{}-", self.program)) else { return };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(&begin) && name.ends_with(SUFFIX)).collect();
        names.sort();
        for name in names.iter().rev().skip(self.settings.keep as usize) {
            let _ = fs::remove_file(self.directory().join(name));
        }
    }

    fn directory(&self) -> &Path {
        Path::new(&self.settings.directory)
    }
}

/// The recordings that are being written.
#[derive(Default)]
struct Unfinished {
    files: Mutex<Files>,
    ended: Condvar,
}

#[derive(Default)]
struct Files {
    paths: Vec<PathBuf>,
    /// Whether the program ends, so that no other may begin.
    is_last: bool,
}

impl Unfinished {
    /// Notes that a file is being written. Returns `false` if none may begin any more.
    fn begin(&self, path: &Path) -> bool {
        let mut files = self.locked();
        if !files.is_last {
            files.paths.push(path.into());
        }
        !files.is_last
    }

    fn end(&self, path: &Path) {
        let mut files = self.locked();
        if let Some(place) = files.paths.iter().position(|found| found == path) {
            files.paths.swap_remove(place);
        }
        self.ended.notify_all();
    }

    /// Waits until all files have ended, and lets none begin. Returns those that have not ended in time.
    fn wait(&self, max: Duration) -> Vec<PathBuf> {
        let mut files = self.locked();
        files.is_last = true;
        let waited = self.ended.wait_timeout_while(files, max, |files| !files.paths.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.paths.clone()
    }

    fn locked(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a file that only its owner may read: it has what peers sent.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_waits_for_the_file_that_is_being_written_and_no_other_begins() {
        let unfinished = Arc::new(Unfinished::default());
        let (slow, stuck) = (Path::new("slow"), Path::new("stuck"));
        assert!(unfinished.begin(slow) && unfinished.begin(stuck));
        unfinished.end(stuck);
        let writer = thread::spawn({
            let unfinished = Arc::clone(&unfinished);
            move || {
                // The other thread has begun to wait once no file may begin.
                while unfinished.begin(Path::new("probe")) {
                    unfinished.end(Path::new("probe"));
                    thread::yield_now();
                }
                unfinished.end(slow);
            }
        });
        assert!(unfinished.wait(Duration::from_secs(60)).is_empty());
        assert!(writer.join().is_ok() && !unfinished.begin(slow));
    }

    #[test]
    fn file_that_does_not_end_in_time_is_named() {
        let unfinished = Unfinished::default();
        assert!(unfinished.begin(Path::new("stuck")));
        assert_eq!(unfinished.wait(Duration::ZERO), [PathBuf::from("stuck")]);
    }
}
