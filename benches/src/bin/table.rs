//! Prints the README's table of fan-out.
//!
//! `cargo run --profile dist -p drupe-benches --bin table -- [REPETITIONS [MILLISECONDS]]`; defaults: 41
//! and 500.
//!
//! A disturbance of the computer must not affect only one hub. So each repetition measures every
//! hub once, and the first hub changes with each repetition. A hub is compared with the bare loop
//! of the same repetition. Each cell contains the median time, and the median ratio with the range
//! of the middle 80 % of ratios.

#![allow(clippy::expect_used, reason = "a report that cannot be made should fail at once")]

use drupe_benches::{Hub, Load, MESSAGES, Samples};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const RECEIVERS: usize = 200;
const MESSAGE_BYTES: usize = 64;
/// Rounds before the measurement.
const WARM_UP: usize = 20;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().expect("a number"));
    let repetitions = arguments.next().unwrap_or(41);
    let time = Duration::from_millis(arguments.next().unwrap_or(500).into());
    let hubs = Hub::ALL.map(|hub| (hub, hub.start()));
    let mut out = io::stdout();
    writeln!(out, "| messages at once |{} |", Hub::ALL.map(|hub| format!(" {}", hub.title())).join(" |"))?;
    writeln!(out, "|---|{}", "---|".repeat(Hub::ALL.len()))?;
    for messages in MESSAGES {
        let runs: Vec<_> = (0..repetitions as usize).map(|turn| run(&hubs, turn, messages, time)).collect();
        let cells = (0..hubs.len()).map(|hub| {
            let times: Samples = runs.iter().map(|run| run[hub]).collect();
            let ratios: Samples = runs.iter().map(|run| run[hub] / run[0]).collect();
            let ratio = if hub == 0 { "1".into() } else { ratios.ratio() };
            format!(" {:.2} ms ({ratio})", times.median() * 1e3)
        });
        writeln!(out, "| {messages} |{} |", cells.collect::<Vec<_>>().join(" |"))?;
    }
    Ok(())
}

/// Measures every hub once, beginning with another hub in each `turn`. Returns seconds per round.
fn run<const N: usize>(hubs: &[(Hub, SocketAddr); N], turn: usize, messages: usize, time: Duration) -> [f64; N] {
    let mut seconds = [0.0; N];
    for place in 0..N {
        let hub = (turn + place) % N;
        seconds[hub] = measure(hubs[hub].1, messages, time);
    }
    seconds
}

/// The median duration of a round, in seconds, of as many rounds as fit into `time`.
fn measure(hub: SocketAddr, messages: usize, time: Duration) -> f64 {
    let mut load = Load::new(hub, RECEIVERS, MESSAGE_BYTES);
    (0..WARM_UP).for_each(|_| load.round(messages));
    let began = Instant::now();
    let mut rounds = Vec::new();
    while began.elapsed() < time {
        let round = Instant::now();
        load.round(messages);
        rounds.push(round.elapsed().as_secs_f64());
    }
    rounds.into_iter().collect::<Samples>().median()
}
