//! `drupe`: a ready-made server for long-lived connections.

#![allow(clippy::print_stdout, reason = "whoever starts it waits for these lines")]

use clap::Parser;
use drupe_tokio::Server;
use drupe_tokio::core::cli::HubArguments;
use std::process::ExitCode;

/// A server for long-lived connections: chat, relay or echo over TCP lines and length-prefixed frames
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    hub: HubArguments,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(&Arguments::parse().hub).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("drupe: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(hub: &HubArguments) -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::bind(hub.config(), hub.handler())?.drain_on_signals()?;
    for address in server.addresses() {
        println!("listening on {address}");
    }
    let metrics = server.run().await;
    eprintln!(
        "drupe: {} connections served, {} messages in, {} out",
        metrics.opened, metrics.messages_in, metrics.messages_out
    );
    Ok(())
}
