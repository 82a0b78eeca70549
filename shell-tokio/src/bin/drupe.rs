//! The program `drupe`.

use drupe_tokio::{Tokio, drupe_program};
use std::process::ExitCode;

fn main() -> ExitCode {
    drupe_program::drupe::<Tokio>(env!("CARGO_PKG_VERSION")).run()
}
