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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::Level;

/// The end of the names of recordings.
const SUFFIX: &str = ".recording";

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
        Some(Self { recorder, settings, program, version, logs: logs.clone(), is_busy: Arc::default() })
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
        let written = write_new(&unfinished, &text).and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        self.remove_old();
        Ok(path)
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

/// Writes a file that only its owner may read: it has what peers sent.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
