//! Prints the memory of idle connections, for each wire and shell.
//!
//! `cargo run --profile dist -p drupe-benches --bin idle -- [REPETITIONS]`; default: 5. Each measurement starts a new server
//! and counts what belongs to it alone (`RssAnon`). Cells have the median and the range of the middle 80 %, in bytes.

#![allow(clippy::expect_used, reason = "a report that cannot be made should fail at once")]

use drupe_benches::Samples;
use drupe_benches::idle::{self, Wire};
use drupe_benches::tls::Keys;
use std::io::{self, Write};

fn main() -> io::Result<()> {
    idle::serve_if_asked(std::env::args());
    let repetitions: usize = std::env::args().nth(1).map_or(5, |text| text.parse().expect("a number"));
    let keys = Keys::create()?;
    let mut out = io::stdout();
    writeln!(out, "| wire | {} |", idle::shells().collect::<Vec<_>>().join(" | "))?;
    writeln!(out, "|---|{}", "---|".repeat(idle::shells().count()))?;
    for wire in Wire::ALL {
        let mut cells = Vec::new();
        for shell in idle::shells() {
            let bytes = (0..repetitions).map(|_| idle::measure(shell, wire, &keys)).collect::<io::Result<Samples>>()?;
            cells.push(bytes.text(1.0, 0));
        }
        writeln!(out, "| {} | {} |", wire.title(), cells.join(" | "))?;
    }
    Ok(())
}
