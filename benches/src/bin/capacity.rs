//! Prints how much a cluster carries, and what breaks first.
//!
//! `cargo run --release -p drupe-benches --bin capacity -- --until-it-breaks`; `--help` lists the options. It runs
//! real machines with a model of their broker in virtual time: see [`drupe_benches::capacity`].

use drupe_benches::capacity::{Options, Run};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> io::Result<ExitCode> {
    let mut out = io::stdout();
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(words) => {
            writeln!(out, "{words}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let (steps, until_it_breaks) = (options.steps, options.until_it_breaks);
    let mut began = Instant::now();
    let mut run = Run::new(options);
    writeln!(out, "all members have joined: {}\n", cost(began))?;
    let mut number = 0;
    while until_it_breaks || number < steps {
        number += 1;
        began = Instant::now();
        let step = run.step();
        writeln!(out, "{step}  ({})\n", cost(began))?;
        if !step.passed.is_empty() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what the computation has cost: the memory of this process, and the time since `began`.
fn cost(began: Instant) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = line.map_or("unknown", str::trim);
    format!("computed in {:.1} s with {memory} of memory", began.elapsed().as_secs_f64())
}
