//! The command `drupe password`: hashes a password for a configuration. Reading of passwords.

use crate::failure::Failure;
use crate::tools;
use clap::Args;
use drupe_core::kit::auth::scram::Credentials;
use drupe_shell::secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

/// Arguments of `drupe password`, without the password, because other users can see arguments.
#[derive(Args)]
pub(crate) struct PasswordArguments {
    /// Iterations of the hash, 4096 to 1000000; use the value of authentication.iterations
    #[arg(long, value_name = "N", default_value_t = ITERATIONS)]
    iterations: u32,
}

/// The default of `authentication.iterations`.
pub(crate) const ITERATIONS: u32 = 10_000;

/// Maximum length of the password's line, in bytes.
const LINE_MAX_BYTES: u64 = 4_096;

pub(crate) fn run(arguments: &PasswordArguments) -> Result<ExitCode, Failure> {
    let password = if io::stdin().is_terminal() { ask("password: ")? } else { line()? };
    let credentials = Credentials::new(&password, &secret()?[..16], arguments.iterations)?;
    tools::print(&credentials.to_stored())
}

/// Reads a new password: from a terminal twice, or else the first line of the input.
#[cfg(feature = "users")]
pub(crate) fn read_new() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let password = ask("new password: ")?;
    if ask("the same again: ")? == password { Ok(password) } else { Err("the two passwords differ".into()) }
}

/// Prompts for a password, and reads it without echo.
fn ask(prompt: &str) -> Result<String, Failure> {
    let shown = tcgetattr(io::stdin())?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    write!(io::stderr(), "{prompt}")?;
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    let typed = line();
    tcsetattr(io::stdin(), OptionalActions::Flush, &shown)?;
    writeln!(io::stderr())?;
    typed
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin().lock().take(LINE_MAX_BYTES).read_line(&mut line)?;
    // Trims like the reader of password files.
    let password = line.trim_start_matches('\u{feff}').trim();
    if password.is_empty() { Err("the password is empty".into()) } else { Ok(password.to_owned()) }
}
