//! The program `drupe`: a ready-made server for long-lived connections.

mod client;
mod concerns;
mod connections;
mod descriptors;
mod failure;
mod limiter;
mod log_output;
mod logs;
mod password;
mod reload;
mod serve;
mod sources;
mod stack;
mod systemd;
mod tools;

use clap::{Parser, Subcommand};
use client::ClientArguments;
use failure::say;
use password::PasswordArguments;
use sources::SourceArguments;
use std::io;
use std::process::ExitCode;
use tools::{CertArguments, CheckArguments, CompletionsArguments, TemplateArguments};

/// A chat, relay or echo server over telnet, TCP lines, length-prefixed frames and WebSocket
#[derive(Parser)]
#[command(name = "drupe", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sources: SourceArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Connect to a server: send input lines and print received messages
    Client(ClientArguments),
    /// Check a configuration, and optionally print its values
    Check(CheckArguments),
    /// Print a configuration with every key, its description and its default
    Template(TemplateArguments),
    /// Print the JSON Schema of configurations, for editors
    Schema,
    /// Create a certificate for development
    Cert(CertArguments),
    /// Read a password from the first line of the input, and print its hash for a configuration
    Password(PasswordArguments),
    /// Print command-line completions for a shell
    Completions(CompletionsArguments),
    /// Print the manual page
    Man,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Command::Client(arguments)) => client::run(arguments),
        Some(Command::Check(arguments)) => tools::check(arguments),
        Some(Command::Template(arguments)) => tools::template(arguments),
        Some(Command::Schema) => tools::print(&drupe_tokio::core::settings::schema()),
        Some(Command::Cert(arguments)) => tools::cert(arguments),
        Some(Command::Password(arguments)) => password::run(arguments),
        Some(Command::Completions(arguments)) => tools::completions::<Arguments>(arguments),
        Some(Command::Man) => tools::man::<Arguments>(),
        None => return serve::run(&arguments.sources),
    };
    match done {
        Ok(code) => code,
        // The reader of the output has closed it.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("drupe: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
