//! A log file that is replaced by a new one before it grows above a size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use tracing::warn;

/// The log files of a directory: `PREFIX.log` is written, `PREFIX.1.log` is the one before it, and so on.
///
/// A new file begins before a line that would make the current one larger than `size_max`. If that fails, for example
/// because the disk is full, the current file goes on, so that no line is lost. Each call of [`Write::write`] writes one
/// line, or removes the part of it that was written.
pub(crate) struct SizedLog {
    directory: PathBuf,
    prefix: String,
    /// Number of files, at least 2.
    keep: u32,
    size_max: u64,
    file: File,
    /// Number of bytes in the current file.
    length: u64,
    /// Length above which a new file begins. Greater than `size_max` after that has failed.
    rotate_above: u64,
}

impl SizedLog {
    /// Opens the current file, creates it if necessary, and removes files beyond `keep`.
    pub(crate) fn open(directory: &str, prefix: &str, keep: u32, size_max: u64) -> io::Result<Self> {
        let directory = PathBuf::from(directory);
        let file = append(&directory.join(format!("{prefix}.log")))?;
        let length = file.metadata()?.len();
        let log = Self { directory, prefix: prefix.into(), keep, size_max, file, length, rotate_above: size_max };
        let mut surplus = (keep..=u32::MAX).map(|number| log.older(number));
        // An operator may have kept more of them before.
        while surplus.next().is_some_and(|path| fs::remove_file(path).is_ok()) {}
        Ok(log)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}{name}.log", self.prefix))
    }

    /// Returns the path of an older file. The newest of them is number 1.
    fn older(&self, number: u32) -> PathBuf {
        self.path(&format!(".{number}"))
    }

    /// Begins a new file, and removes the oldest one if there are too many.
    ///
    /// # Errors
    /// If the new file cannot be created or a file cannot be renamed. The current file then keeps its name, and no older
    /// file is lost, however often this fails.
    fn rotate(&mut self) -> io::Result<()> {
        let (current, next) = (self.path(""), self.path(".next"));
        // First what needs space on the disk.
        let file = append(&next)?;
        file.set_len(0)?;
        let oldest = self.keep.saturating_sub(1).max(1);
        // A gap in the numbers, which a failure leaves, is filled before a file is given up.
        let free = (1..oldest).find(|number| !self.older(*number).exists()).unwrap_or(oldest);
        for number in (1..free).rev() {
            fs::rename(self.older(number), self.older(number + 1))?;
        }
        match fs::rename(&current, self.older(1)) {
            // An operator may have removed it.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Err(error) = fs::rename(&next, &current) {
            let _ = fs::rename(self.older(1), &current);
            return Err(error);
        }
        (self.file, self.length) = (file, 0);
        Ok(())
    }

    fn rotate_before(&mut self, bytes: u64) {
        if self.length == 0 || self.length.saturating_add(bytes) <= self.rotate_above {
            return;
        }
        match self.rotate() {
            Ok(()) => self.rotate_above = self.size_max,
            Err(error) => {
                // Trying again for each line would cost more than the lines themselves.
                self.rotate_above = self.length.saturating_add(self.size_max / 8);
                // The line goes to the queue of this thread, which never blocks.
                warn!(target: "operation", "can't begin a new log file: {error}; the current one grows");
            }
        }
    }
}

impl Write for SizedLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.rotate_before(line.len() as u64);
        let mut rest = line;
        let result = loop {
            match self.file.write(rest) {
                Ok(0) if !rest.is_empty() => break Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if rest.is_empty() {
                break Ok(line.len());
            }
        };
        let written = (line.len() - rest.len()) as u64;
        if result.is_ok() {
            self.length = self.length.saturating_add(written);
        } else if written > 0 {
            // The next line would otherwise continue this one. Another program may have truncated the file.
            let length = self.file.metadata().map(|metadata| metadata.len());
            let _ = length.and_then(|length| self.file.set_len(length.saturating_sub(written)));
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Opens a file to append to it.
fn append(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
#[path = "log_files_tests.rs"]
mod tests;
