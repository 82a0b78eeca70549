//! The last of all tests, by its name: says in one line what the others left out.

#![allow(dead_code, reason = "the other tests use the rest of what they share")]

#[path = "support/skipped.rs"]
mod skipped;

use std::collections::BTreeSet;
use std::io::{self, Write};

fn main() -> io::Result<()> {
    if std::env::args().any(|argument| argument == "--list") {
        return Ok(());
    }
    let notes = std::fs::read_to_string(skipped::notes()).unwrap_or_default();
    let _ = std::fs::remove_file(skipped::notes());
    let parts: BTreeSet<_> = notes.lines().filter_map(|line| line.strip_prefix("skipped: ")).collect();
    let parts: Vec<_> = parts.into_iter().collect();
    if parts.is_empty() {
        return writeln!(io::stdout(), "\nno part of a test was skipped");
    }
    writeln!(io::stdout(), "\nparts of tests were skipped: {}", parts.join("; "))
}
