//! Prints what TLS costs Drupe and two others: processor time for each operation, and its ratio to a bare epoll loop.
//!
//! `cargo run --release -p drupe-benches --bin tls -- [REPETITIONS]`; default: 11. Each repetition measures all servers, and
//! the first server changes with each repetition. Each measurement starts a new server. A server is compared with the
//! bare loop of the same repetition. Cells have the median time, and the median ratio with the range of the middle 80 %.

#![allow(clippy::expect_used, reason = "a report that cannot be made should fail at once")]

use drupe_benches::Samples;
use drupe_benches::tls::{Case, Keys, Server};
use std::io::{self, Write};

fn main() -> io::Result<()> {
    Server::serve_if_asked(std::env::args());
    let repetitions = std::env::args().nth(1).map_or(11, |text| text.parse().expect("a number"));
    let all: Vec<Server> = Server::ALL.into_iter().filter(|server| server.is_there()).collect();
    let keys = Keys::create()?;
    let mut out = io::stdout();
    writeln!(out, "| for | {} |", all.iter().map(|server| server.title()).collect::<Vec<_>>().join(" | "))?;
    writeln!(out, "|---|{}", "---|".repeat(all.len()))?;
    for case in Case::ALL {
        // The first columns: nginx, which has no case without TLS, is the last one.
        let servers: Vec<Server> = all.iter().copied().filter(|server| case.is_for(*server)).collect();
        let mut times = vec![Samples::default(); servers.len()];
        let mut ratios = times.clone();
        for repetition in 0..repetitions {
            let mut each = vec![0.0; servers.len()];
            for place in 0..servers.len() {
                let place = (place + repetition) % servers.len();
                each[place] = case.measure(servers[place], &keys)?;
            }
            for place in 0..servers.len() {
                times[place].add(each[place]);
                ratios[place].add(each[place] / each[0]);
            }
        }
        let cells = times
            .iter()
            .zip(&ratios)
            .map(|(times, ratios)| format!("{:.1} µs ({})", times.median() / 1e3, ratios.ratio()))
            .chain(all[servers.len()..].iter().map(|_| "–".to_string()));
        writeln!(out, "| {} | {} |", case.title(), cells.collect::<Vec<_>>().join(" | "))?;
    }
    Ok(())
}
