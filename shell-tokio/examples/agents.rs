//! A relay between agents: each line goes to all other agents.
//!
//! The relay sends it as `{"content":"...","remote_addr":"ip:port"}`. Lines from the server itself
//! are not JSON. Try `nc 127.0.0.1 8888` in two terminals.

use drupe_tokio::Server;
use drupe_tokio::core::app::{Envelope, Relay};
use drupe_tokio::core::limit::Rate;
use drupe_tokio::core::{Config, Rates};
use std::error::Error;
use std::time::Duration;

#[expect(clippy::print_stdout, reason = "it prints its address")]
fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("tcp://127.0.0.1:8888".into());
    // 300 messages a minute. A faster agent is slowed down and notified.
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
