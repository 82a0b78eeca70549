//! Draws what `cargo bench -p drupe-benches --bench pictures` has measured, and writes `benches/pictures.md`.
//!
//! `cargo run --release -p drupe-benches --bin pictures`. It reads criterion's results in `target/criterion`, or in the
//! folder that `CRITERION_HOME` names.

#![allow(clippy::expect_used, reason = "a picture that cannot be drawn should fail at once")]

mod draw;
mod page;
mod results;
mod theme;

use results::Results;
use std::error::Error;
use std::path::{Path, PathBuf};
use theme::Theme;

fn main() -> Result<(), Box<dyn Error>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let criterion = std::env::var_os("CRITERION_HOME").map(PathBuf::from);
    let criterion = criterion.unwrap_or_else(|| package.join("../target/criterion"));
    let [cost, delay, memory] = ["cost", "delay", "memory"].map(|group| Results::read(&criterion.join(group)));
    let (cost, delay, memory) = (cost?, delay?, memory?);
    let folder = package.join("pictures");
    std::fs::create_dir_all(&folder)?;
    for theme in Theme::ALL {
        let file = |name: &str| folder.join(format!("{name}-{}.svg", theme.name));
        draw::lines(&file("cost"), theme, &cost)?;
        draw::bars(&file("delay"), theme, &delay, "time until all members have a message, µs", 1e3)?;
        draw::bars(&file("memory"), theme, &memory, "memory for each connection, bytes", 1.0)?;
    }
    std::fs::write(package.join("pictures.md"), page::text(&cost, &delay, &memory))?;
    Ok(())
}
