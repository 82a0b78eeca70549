//! A handler that blocks until a test opens its gate.

use super::{PATIENCE, Running, lines};
use crate::shell::core::{Event, Handler, Hub};
use crate::shell::{self, Remote, Server};
use std::num::NonZeroU8;
use std::sync::{Arc, Mutex, mpsc};

/// An echo that blocks until the gate opens: at each note, and on a worker when a drain begins.
pub(super) struct Gated {
    pub(super) gate: Arc<Mutex<()>>,
    pub(super) is_first: bool,
}

impl Handler for Gated {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Message { conn, payload } => drop(hub.send(conn, payload)),
            Event::Note(_) => drop(self.gate.lock()),
            Event::Draining if !self.is_first => drop(self.gate.lock()),
            _ => {}
        }
    }
}

/// Runs a server of two shards behind a gate. Returns it with a handle to the second shard.
pub(super) fn run_gated(gate: &Arc<Mutex<()>>) -> (Running<String>, Remote<String>) {
    let (gate, main) = (Arc::clone(gate), std::thread::current().id());
    let (send, receive) = mpsc::channel();
    let server = Server::bind_sharded(lines(), NonZeroU8::new(2).expect("not 0"), move |remote| {
        let is_first = std::thread::current().id() == main;
        if !is_first {
            send.send(remote).expect("the test waits");
        }
        Gated { gate: Arc::clone(&gate), is_first }
    });
    let server = server.expect("it can listen on loopback");
    let worker = receive.recv_timeout(PATIENCE).expect("it starts");
    let (addresses, remote) = (server.addresses().to_vec(), server.remote());
    (Running { addresses, remote, thread: std::thread::spawn(move || shell::run(server)) }, worker)
}
