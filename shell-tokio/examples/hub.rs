//! A hub for one of the ready-made applications: `hub --app relay --listen tcp://127.0.0.1:7000`.

#![allow(clippy::print_stdout, reason = "whoever starts it waits for these lines")]

use clap::Parser;
use drupe_tokio::Server;
use drupe_tokio::core::cli::HubArguments;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    hub: HubArguments,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Arguments::parse().hub;
    let server = Server::bind(hub.config(), hub.handler())?.drain_on_signals()?;
    for address in server.addresses() {
        println!("listening on {address}");
    }
    server.run().await;
    Ok(())
}
