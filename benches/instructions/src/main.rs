//! Counts the instructions of the core for each delivery and echo, and compares them with a baseline.
//!
//! `cargo run --release -p drupe-instructions` fails if a count is more than 3 % above
//! `benches/instructions/baseline.txt`. `-- --update` writes that file anew. `-- --extras` prints what limits,
//! timeouts, watching and recording cost, each compared with a machine that has none of them. It needs `valgrind`, whose
//! cachegrind counts instructions: unlike time, their number does not depend on what else the computer does.
//!
//! Another compiler makes other instructions. With another version than that of the baseline, or without
//! valgrind, it compares nothing, and prints a line that begins with `skipped: `.

#![allow(clippy::expect_used, reason = "a measurement that cannot be made should fail at once")]

mod baseline;
mod cases;
mod count;

use baseline::Baseline;
use cases::Case;
use drupe_instructions::Extra;
use std::io::{self, Write};
use std::process::ExitCode;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // This is what runs below valgrind.
        ["run", case, extra, rounds] => {
            let (case, extra) = (Case::named(case).expect("a case"), Extra::named(extra).expect("an extra"));
            case.run(extra, rounds.parse().expect("a number of rounds"));
            Ok(ExitCode::SUCCESS)
        }
        [] => compare(),
        ["--update"] => update(),
        ["--extras"] => extras(),
        _ => {
            writeln!(io::stderr(), "usage: drupe-instructions [--update | --extras]")?;
            Ok(ExitCode::from(2))
        }
    }
}

fn update() -> io::Result<ExitCode> {
    let mut new = Baseline::new(count::compiler()?);
    for case in Case::ALL {
        new.insert(case.name(), count::for_each(case, Extra::None)?);
    }
    std::fs::write(BASELINE, new.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn compare() -> io::Result<ExitCode> {
    let mut out = io::stdout();
    let baseline: Baseline = std::fs::read_to_string(BASELINE)?.parse().map_err(io::Error::other)?;
    let compiler = count::compiler()?;
    if baseline.compiler() != compiler {
        writeln!(out, "skipped: instructions: the baseline is of {}, and this is {compiler}", baseline.compiler())?;
        return Ok(ExitCode::SUCCESS);
    }
    if !count::has_valgrind() {
        writeln!(out, "skipped: instructions: there is no valgrind")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut has_grown = false;
    for case in Case::ALL {
        let counted = count::for_each(case, Extra::None)?;
        let verdict = baseline.judge(case.name(), counted);
        has_grown |= !verdict.is_good();
        writeln!(out, "{:<24} {counted:>9.1} instructions for each {}: {verdict}", case.name(), case.unit())?;
    }
    if has_grown {
        writeln!(out, "If the growth is worth it, run this with `--update`, and say why in the commit.")?;
    }
    Ok(if has_grown { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints what each extra costs. Metrics are not among them, because they are always counted.
fn extras() -> io::Result<ExitCode> {
    let mut out = io::stdout();
    write!(out, "| |")?;
    for case in Case::ALL {
        write!(out, " {} |", case.name())?;
    }
    writeln!(out, "\n|---|{}", "---|".repeat(Case::ALL.len()))?;
    let mut without = Vec::new();
    for extra in Extra::ALL {
        write!(out, "| {} |", extra.name())?;
        for (place, case) in Case::ALL.into_iter().enumerate() {
            let counted = count::for_each(case, extra)?;
            match without.get(place) {
                None => {
                    without.push(counted);
                    write!(out, " {counted:.0} |")?;
                }
                Some(none) => write!(out, " {:+.1} % |", (counted / none - 1.0) * 100.0)?,
            }
        }
        writeln!(out)?;
    }
    Ok(ExitCode::SUCCESS)
}
