//! What tests leave out on a machine, for want of somebody else's program.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Says that a part of a test is left out: at once, though the test passes, and in one line at the end of all tests.
pub(crate) fn skip(why: &str) {
    let line = format!("skipped: {why}\n");
    // The harness does not capture this, as it would a macro's output.
    let _ = io::stderr().write_all(line.as_bytes());
    let file = File::options().create(true).append(true).open(notes());
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// Where the tests of one run of cargo note it.
pub(crate) fn notes() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("skipped.{}", std::os::unix::process::parent_id()))
}
