//! Outgoing connections and their retries.

use super::{accept, lines, run};
use crate::shell::core::{Backoff, Dial, Event, Handler, Hub, Timer};
use std::time::Duration;

/// Dials the address in a note, and publishes what each connection receives to all others.
struct Caller;

impl Handler for Caller {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Note(address) => {
                let backoff = Some(Backoff::default().initial(Duration::from_millis(1)).cap(Duration::from_millis(5)));
                hub.dial(Dial::lines(address).backoff(backoff));
            }
            Event::Opened { conn, .. } => {
                let _ = hub.join(conn, "all");
                hub.wake(Timer::of(conn, "greet"), Duration::from_millis(1));
            }
            Event::Timer(Timer { conn: Some(conn), .. }) => drop(hub.send(conn, "greetings")),
            Event::Message { conn, payload } => drop(hub.publish_except("all", &[conn], payload)),
            _ => {}
        }
    }
}

#[test]
fn dial_reconnects_after_its_peer_was_away() {
    let server = run(lines(), Caller, None);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = elsewhere.local_addr().expect("an address");
    server.remote.note(address.to_string()).expect("it runs");
    let mut peer = accept(&elsewhere);
    assert_eq!(peer.line(), "greetings");
    drop((peer, elsewhere));
    server.until(|metrics| metrics.dial_errors > 0);
    let elsewhere = std::net::TcpListener::bind(address).expect("the port is free again");
    let mut peer = accept(&elsewhere);
    assert_eq!(peer.line(), "greetings");
    let mut ann = server.connect();
    assert_eq!(ann.line(), "greetings");
    peer.send(b"from afar\n");
    assert_eq!(ann.line(), "from afar");
    server.remote.publish("all", "from outside").expect("it runs");
    assert_eq!((ann.line(), peer.line()), ("from outside".into(), "from outside".into()));
    server.end();
}
