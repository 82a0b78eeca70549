//! The program `drupe` on this shell.

use drupe_smol::{Smol, drupe_program};
use std::process::ExitCode;

fn main() -> ExitCode {
    drupe_program::drupe::<Smol>(env!("CARGO_PKG_VERSION")).run()
}
