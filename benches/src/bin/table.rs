//! The README's table of fan-out, from the last run of `cargo bench -p drupe-benches --bench shells`.

#![allow(clippy::expect_used, reason = "a report that can't be made should say so at once")]

use drupe_benches::Hub;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "| messages at once |{} |", Hub::ALL.map(|hub| format!(" {}", hub.title())).join(" |"))?;
    writeln!(out, "|---|{}", "---|".repeat(Hub::ALL.len()))?;
    for messages in drupe_benches::MESSAGES {
        let times = Hub::ALL.map(|hub| millis(messages, hub));
        let of_bare = times.map(|time| format!(" {time:.2} ms ({:.2})", time / times[0]));
        writeln!(out, "| {messages} |{} |", of_bare.join(" |"))?;
    }
    Ok(())
}

/// The median, in milliseconds.
fn millis(messages: usize, hub: Hub) -> f64 {
    let place = format!("loopback_fan_out/{messages}_messages/{}/new/estimates.json", hub.name());
    let path = target().join("criterion").join(place);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "{}: {error}; run the benchmark first", path.display());
        std::process::exit(1)
    });
    let estimates: Value = serde_json::from_str(&text).expect("what criterion writes is JSON");
    estimates["median"]["point_estimate"].as_f64().expect("criterion estimates a median") / 1e6
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}
