//! `drupe`: a ready-made server for long-lived connections.

mod client;

use clap::{Parser, Subcommand};
use client::ClientArguments;
use drupe_tokio::Server;
use drupe_tokio::core::Metrics;
use drupe_tokio::core::cli::HubArguments;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// A server for long-lived connections: chat, relay or echo over telnet, TCP lines, length-prefixed frames and WebSocket
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    hub: HubArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Connect to a server: send what is typed, show what comes
    Client(ClientArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Command::Client(arguments)) => client::run(arguments),
        None => serve(&arguments.hub).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("drupe: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(hub: &HubArguments) -> Result<(), Box<dyn std::error::Error>> {
    // A connection is a descriptor, and the usual limit is far below what the system allows.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        say(format_args!("drupe: the limit on open files stays as it is: {error}"));
    }
    let server = Server::bind_sharded(hub.config(), hub.workers, hub.handler()?)?.drain_on_signals()?;
    let mut output = io::stdout().lock();
    for address in server.addresses() {
        writeln!(output, "listening on {address}")?;
    }
    drop(output);
    let metrics = server.run().await?;
    let Metrics { opened, messages_in, messages_out, .. } = metrics;
    say(format_args!("drupe: {opened} connections served, {messages_in} messages in, {messages_out} out"));
    Ok(())
}

/// Says something to the operator, who may have stopped listening.
fn say(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{words}");
}
