//! Counts instructions with cachegrind.

use super::cases::Case;
use drupe_instructions::Extra;
use std::io;
use std::process::{Command, Stdio};

/// What all rounds have in common, such as the start of the process, is in both counts and not in their difference.
const ROUNDS: [u32; 2] = [20, 120];

/// The version and the target of the compiler.
pub(crate) fn compiler() -> io::Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.lines().next().unwrap_or_default();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    Ok(format!("{version} on {host}"))
}

pub(crate) fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Returns the instructions for each [unit](Case::unit) of a case.
pub(crate) fn for_each(case: Case, extra: Extra) -> io::Result<f64> {
    let [few, many] = ROUNDS;
    let more = instructions(case, extra, many)?.checked_sub(instructions(case, extra, few)?);
    let more = more.ok_or_else(|| io::Error::other("more rounds took fewer instructions"))?;
    #[expect(clippy::cast_precision_loss, reason = "a count below 2^52")]
    Ok(more as f64 / (f64::from(many - few) * f64::from(case.units())))
}

fn instructions(case: Case, extra: Extra, rounds: u32) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", case.name(), extra.name(), &rounds.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(io::Error::other(format!("valgrind failed: {text}")));
    }
    counted(&text).ok_or_else(|| io::Error::other(format!("valgrind printed no count: {text}")))
}

/// Returns the number in a line such as `==7== I   refs:      1,234`.
fn counted(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("I refs:") || line.contains("I   refs:"))?;
    line.rsplit_once(':')?.1.trim().replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn count_is_found_in_what_valgrind_prints() {
        assert_eq!(counted("==7== \n==7== I   refs:      1,234,567\n"), Some(1_234_567));
        assert_eq!(counted("==7== I refs: 12\n"), Some(12));
        assert_eq!(counted("==7== Cachegrind, a profiler\n"), None);
    }
}
