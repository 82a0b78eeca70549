//! Handlers: work on other threads, panics, and replay of a recorded run.

use super::{PATIENCE, Peer, lines, run};
use crate::shell::core::app::Relay;
use crate::shell::core::trace::{SharedTrace, replay};
use crate::shell::core::{Event, Handler, Hub, Machine, NoNote, Offloaded, Reason};
use crate::shell::{self, Remote, Server};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};

#[test]
fn shell_trace_replays_to_the_bytes_peers_received() {
    let trace = SharedTrace::new();
    let config = lines().seed(Some(7));
    let server = run(config.clone(), Relay::default(), Some(&trace));
    let (mut ann, mut bob) = (server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 2);
    for n in 0..500 {
        ann.send(format!("line {n}\n").as_bytes());
    }
    let mut heard: String = (0..500).map(|_| bob.line() + "\n").collect();
    server.end();
    heard += &bob.rest();
    let transcript = replay(&trace.text(), &mut Machine::new(config, Relay::default())).expect("well formed");
    assert!(transcript.written.values().any(|bytes| *bytes == heard.as_bytes()), "the replay wrote something else");
}

/// Offloads a job that runs until another peer sends a line such as `go`.
#[derive(Clone)]
struct Patient {
    release: mpsc::Sender<()>,
    released: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Patient {
    fn new() -> Self {
        let (release, released) = mpsc::channel();
        Self { release, released: Arc::new(Mutex::new(released)) }
    }
}

impl Handler for Patient {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => match payload.as_str() {
                Some("wait") => {
                    let released = Arc::clone(&self.released);
                    let job = move || released.lock().expect("no panic").recv_timeout(PATIENCE).is_ok();
                    assert_eq!(hub.offload(conn, job), Offloaded::Later);
                }
                Some("fail") => assert_eq!(hub.offload(conn, || panic!("a job fails")), Offloaded::Later),
                _ => {
                    let _ = self.release.send(());
                    hub.send(conn, "gone");
                }
            },
            Event::Offloaded { conn, outcome, .. } => drop(hub.send(conn, &format!("outcome {outcome}"))),
            _ => {}
        }
    }
}

#[test]
fn job_runs_beside_other_peers_and_its_outcome_replays() {
    let trace = SharedTrace::new();
    let config = lines().seed(Some(7));
    let server = run(config.clone(), Patient::new(), Some(&trace));
    let (mut waits, mut other) = (server.connect(), server.connect());
    waits.send(b"wait\n");
    server.until(|metrics| metrics.messages_in == 1);
    other.send(b"go\n");
    assert_eq!((other.line(), waits.line()), ("gone".into(), "outcome true".into()));
    other.send(b"fail\n");
    assert_eq!(other.line(), "outcome false");
    server.end();
    let transcript = replay(&trace.text(), &mut Machine::new(config, Patient::new())).expect("well formed");
    let wrote = |words: &[u8]| transcript.written.values().any(|bytes| bytes.starts_with(words));
    assert!(wrote(b"outcome true\n") && wrote(b"gone\noutcome false\n"), "the replay wrote something else");
}

/// Adds up the numbers of each line on another thread.
struct Adding(Remote<String>);

impl Handler for Adding {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Opened { conn, .. } => drop(hub.join(conn, "results")),
            Event::Message { payload, .. } => {
                let (remote, line) = (self.0.clone(), payload.as_str().unwrap_or_default().to_owned());
                std::thread::spawn(move || {
                    let sum: u64 = line.split(' ').filter_map(|word| word.parse::<u64>().ok()).sum();
                    remote.note(sum.to_string())
                });
            }
            Event::Note(sum) => drop(hub.publish("results", &sum)),
            _ => {}
        }
    }
}

#[test]
fn handler_offloads_work_and_receives_its_result() {
    let server = Server::bind_with(lines(), Adding).expect("a port");
    let (address, remote) = (server.addresses()[0].replace("tcp://", ""), server.remote());
    let thread = std::thread::spawn(move || shell::run(server));
    let mut peer = Peer::new(TcpStream::connect(address).expect("it listens"));
    peer.send(b"1 2 39\n");
    assert_eq!(peer.line(), "42");
    drop(peer);
    remote.drain().expect("it runs");
    assert_eq!(thread.join().expect("no panic").messages_in, 1);
}

/// An echo that panics at the line `break`.
struct Fragile;

impl Handler for Fragile {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        if let Event::Message { conn, payload } = event {
            assert_ne!(payload.as_bytes(), b"break", "a handler that fails");
            hub.send(conn, payload);
        }
    }
}

#[test]
fn handler_panic_closes_one_connection() {
    let server = run(lines(), Fragile, None);
    let (mut bad, mut good) = (server.connect(), server.connect());
    bad.send(b"break\n");
    assert_eq!(bad.line(), "closing (handler_panicked): the application failed");
    assert_eq!(bad.rest_bytes(), b"");
    good.send(b"hello\n");
    assert_eq!(good.line(), "hello");
    let metrics = server.end();
    assert_eq!((metrics.handler_panics, metrics.ended.get(Reason::HandlerPanicked)), (1, 1));
}
