//! Why a command failed, and how it says so.

use drupe_tokio::core::text::neutralize;
use std::fmt;
use std::io::{self, Write};

/// Why a command failed, in words.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Prints lines on the standard error. Ignores write errors: the standard error may be closed.
pub(crate) fn say(words: fmt::Arguments<'_>) {
    let mut errors = io::stderr().lock();
    // File names and arguments may contain control characters.
    for line in words.to_string().lines() {
        let _ = writeln!(errors, "{}", neutralize(line));
    }
}
