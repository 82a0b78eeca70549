//! The error type of the commands, and how errors are printed.

use drupe_core::text::neutralize;
use std::fmt;
use std::io::{self, Write};

/// The error of a failed command.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Prints lines on the standard error. Ignores write errors, because the stream may be closed.
pub(crate) fn say(words: fmt::Arguments<'_>) {
    let mut errors = io::stderr().lock();
    // File names and arguments may contain control characters.
    for line in words.to_string().lines() {
        let _ = writeln!(errors, "{}", neutralize(line));
    }
}
