//! A hub for one of the ready-made applications: `hub --app relay --listen tcp://127.0.0.1:7000`.

use clap::Parser;
use drupe_tokio::Server;
use drupe_tokio::core::cli::HubArguments;
use std::io::Write;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    hub: HubArguments,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Arguments::parse().hub;
    let server = Server::bind_sharded(hub.config(), hub.workers, hub.handler()?)?.drain_on_signals()?;
    for address in server.addresses() {
        writeln!(std::io::stdout(), "listening on {address}")?;
    }
    server.run().await?;
    Ok(())
}
