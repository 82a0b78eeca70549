//! Agents that hear each other: each line of one goes to all others, as `{"content":"...","remote_addr":"ip:port"}`. What the
//! server itself says is a line that is no JSON. `nc 127.0.0.1 8888`, twice.

use drupe_tokio::Server;
use drupe_tokio::core::app::{Envelope, Relay};
use drupe_tokio::core::limit::Rate;
use drupe_tokio::core::{Config, Rates};
use std::error::Error;
use std::time::Duration;

#[expect(clippy::print_stdout, reason = "it tells where it listens")]
fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("tcp://127.0.0.1:8888".into());
    // The server slows a peer that sends more than 300 messages a minute, and notifies it.
    let rates = Rates::default().messages(Some(Rate::per(300, 60, 300)?));
    let config = Config::listening([address.parse()?])
        .rates(rates)
        .idle(Some(Duration::from_secs(600)))
        .idle_warning(Some(Duration::from_secs(60)));
    let server = Server::bind(config, Relay::new(Envelope::Json))?.drain_on_signals()?;
    println!("listening on {}", server.addresses()[0]);
    server.run_blocking()?;
    Ok(())
}
