//! Returns each line in capital letters, with one async function per connection, on any wire.
//!
//! Metrics for Prometheus are at `/metrics` of a WebSocket address. At the end they are printed.
//!
//! Run it, then try `nc 127.0.0.1 8888`.

use drupe_tokio::core::Config;
use drupe_tokio::{Connection, Server, Stream};
use std::error::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

async fn serve(connection: Connection) {
    let (reader, mut writer) = tokio::io::split(Stream::from(connection));
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if writer.write_all(format!("{}\n", line.to_uppercase()).as_bytes()).await.is_err() {
            break;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it prints its addresses")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses: Vec<String> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        addresses = vec!["tcp://127.0.0.1:8888".into(), "ws://127.0.0.1:8889".into()];
    }
    let listeners = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?;
    let server = Server::serve(Config::listening(listeners), serve)?.drain_on_signals()?;
    server.addresses().iter().for_each(|address| println!("listening on {address}"));
    let metrics = server.run().await?;
    println!("{} connections, {} messages, {} bytes in", metrics.opened, metrics.messages_in, metrics.bytes_in);
    Ok(())
}
