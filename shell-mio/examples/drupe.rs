//! The program `drupe` on this shell.

use drupe_mio::{Mio, drupe_program};
use std::process::ExitCode;

fn main() -> ExitCode {
    drupe_program::drupe::<Mio>(env!("CARGO_PKG_VERSION")).run()
}
