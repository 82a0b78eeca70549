//! Tests with real sockets that every shell must pass.
//!
//! The test that includes this file provides the shell as a module `shell`. No test waits for a
//! time to pass: every wait is for an action of the server.

mod addresses;
mod client;
mod descriptors;
mod dial;
mod dial_proxy;
mod drain;
mod foreign;
mod gated;
mod handler;
mod http;
mod limits;
mod lines;
mod listening;
mod mounted;
mod proxy_server;
mod pubsub;
mod reload;
mod shards;
mod ssh;
mod ssh_client;
mod telnet;
mod tls;

use crate::shell::core::trace::SharedTrace;
use crate::shell::core::{Config, Handler, Listen, Metrics};
use crate::shell::{self, Remote, Server};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroU8;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long tests wait for the server before they fail.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running<N> {
    addresses: Vec<String>,
    remote: Remote<N>,
    thread: JoinHandle<Metrics>,
}

/// Runs a server on its own thread.
fn run<H>(config: Config, handler: H, trace: Option<&SharedTrace>) -> Running<H::Note>
where
    H: Handler + Send + 'static,
    H::Note: Send + std::fmt::Display,
    H::Context: Send,
{
    let mut server = Server::bind(config, handler).expect("it can listen on loopback");
    if let Some(trace) = trace {
        server = server.record(trace.recorder());
    }
    let (addresses, remote) = (server.addresses().to_vec(), server.remote());
    Running { addresses, remote, thread: std::thread::spawn(move || shell::run(server)) }
}

/// Like [`run`], with three shards.
fn run_sharded<H>(config: Config, handler: impl Fn() -> H + Clone + Send + 'static) -> Running<H::Note>
where
    H: Handler + Send + 'static,
    H::Note: Send,
    H::Context: Send,
{
    let workers = NonZeroU8::new(3).expect("not 0");
    let server = Server::bind_sharded(config, workers, move |_| handler()).expect("it can listen on loopback");
    let (addresses, remote) = (server.addresses().to_vec(), server.remote());
    Running { addresses, remote, thread: std::thread::spawn(move || shell::run(server)) }
}

impl<N> Running<N> {
    fn connect(&self) -> Peer {
        let address = self.addresses[0].split_once("://").expect("a scheme").1;
        let address = address.split('/').next().expect("a host");
        Peer::new(TcpStream::connect(address).expect("the server listens"))
    }

    /// Connects a peer that sends one line. Returns the server's answer.
    fn connect_and_ask(&self, line: &str) -> String {
        let mut peer = self.connect();
        peer.send(format!("{line}\n").as_bytes());
        peer.line()
    }

    /// Drains the server at full speed and returns its metrics.
    fn end(self) -> Metrics {
        self.remote.drain().expect("it runs");
        let _ = self.remote.drain();
        self.thread.join().expect("no panic")
    }

    /// Waits until the metrics meet a condition, but no longer than [`PATIENCE`].
    fn until(&self, so: impl Fn(Metrics) -> bool) {
        let began = std::time::Instant::now();
        while !so(self.metrics()) {
            assert!(began.elapsed() < PATIENCE, "the condition is not met in time: {:?}", self.metrics());
            std::thread::yield_now();
        }
    }

    fn metrics(&self) -> Metrics {
        let (send, receive) = mpsc::channel();
        self.remote.metrics(move |metrics| drop(send.send(metrics))).expect("it runs");
        receive.recv_timeout(PATIENCE).expect("it answers")
    }
}

struct Peer(BufReader<TcpStream>);

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("the server reads");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the server answers");
        line.trim_end_matches('\n').to_owned()
    }

    fn end(&mut self) {
        self.0.get_mut().shutdown(Shutdown::Write).expect("it is open");
    }

    /// Reads until these words.
    fn hear(&mut self, words: &str) {
        let mut heard = Vec::new();
        while !heard.ends_with(words.as_bytes()) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("the server answers");
            heard.push(byte[0]);
        }
    }

    fn rest_bytes(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("the server closes");
        rest
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).expect("the server closes");
        rest
    }
}

/// Accepts a connection, but waits no longer than [`PATIENCE`].
fn accept(listener: &std::net::TcpListener) -> Peer {
    let listener = listener.try_clone().expect("a second handle");
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || drop(send.send(listener.accept())));
    Peer::new(receive.recv_timeout(PATIENCE).expect("it dials").expect("it is accepted").0)
}

fn lines() -> Config {
    Config::listening(["tcp://127.0.0.1:0".parse::<Listen>().expect("well formed")])
}
