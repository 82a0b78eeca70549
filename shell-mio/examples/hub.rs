//! A hub for a built-in application: `--app relay --listen tcp://127.0.0.1:7000`.

use drupe_mio as drupe;

use clap::Parser;
use drupe::Server;
use drupe::shell::cli::HubArguments;
use std::io::Write;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    hub: HubArguments,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Arguments::parse().hub;
    let server = Server::bind_sharded(hub.config(), hub.workers, hub.handler())?.drain_on_signals()?;
    for address in server.addresses() {
        writeln!(std::io::stdout(), "listening on {address}")?;
    }
    server.run_blocking()?;
    Ok(())
}
