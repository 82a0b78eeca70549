//! One handler for telnet, nc and a browser.
//!
//! Try `telnet 127.0.0.1 8023`, `nc 127.0.0.1 8024`, or <http://127.0.0.1:8025>.

use drupe_tokio::Server;
use drupe_tokio::core::{Config, ConnId, Event, Handler, Hub, NoNote};
use std::error::Error;

struct Echo;

impl Handler for Echo {
    type Context = u32; // the number of lines that the peer has sent
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, u32>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                hub.send(conn, "Welcome! `info` shows your connection, `quit` closes it.");
                hub.prompt(conn, "> ");
            }
            Event::Message { conn, payload } => {
                answer(hub, conn, payload.as_str().unwrap_or_default().trim());
                hub.prompt(conn, "> ");
            }
            _ => {}
        }
    }
}

fn answer(hub: &mut Hub<'_, u32>, conn: ConnId, line: &str) {
    let Some(count) = hub.context(conn) else { return };
    *count += 1;
    let count = *count;
    match line {
        "quit" => hub.close_with(conn, "Goodbye!"),
        "info" => {
            let columns = hub.terminal(conn).and_then(|terminal| terminal.columns);
            let columns = columns.map_or("unknown window size".into(), |columns| format!("{columns} columns"));
            let peer = hub.peer(conn).map_or_else(String::new, |peer| peer.to_string());
            hub.send(conn, &format!("{peer}, line {count}, {columns}"));
        }
        line => {
            hub.send(conn, &format!("Echo: {line}"));
        }
    }
}

#[expect(clippy::print_stdout, reason = "it prints its addresses")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses: Vec<String> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        addresses = ["telnet://127.0.0.1:8023", "tcp://127.0.0.1:8024", "ws://127.0.0.1:8025"].map(Into::into).into();
    }
    let listeners = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?;
    let server = Server::bind(Config::listening(listeners), Echo)?.drain_on_signals()?;
    server.addresses().iter().for_each(|address| println!("listening on {address}"));
    server.run_blocking()?;
    Ok(())
}
