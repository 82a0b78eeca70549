//! A server behind a reverse SSH tunnel on a thread of its own, and its peers.

use crate::shell::core::tunnel::{RemoteBind, Ssh, Tunnel, TunnelState, TunnelStatus};
use crate::shell::core::{Config, Event, Handler, Hub, Metrics, Reason};
use crate::shell::{self, Remote, Server};
use crate::ssh::SshServer;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::timeout;

/// No answer within this time is a failure, not slowness.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is answered to who wants `much`, in lines: more than fits in all buffers on the way.
pub(crate) const MUCH_BYTES: usize = 12 << 20;

/// Answers each line with the sender's address and the line, and tells a test how connections end.
pub(crate) struct Mirror(pub(crate) mpsc::Sender<Reason>);

impl Handler for Mirror {
    type Context = ();
    type Note = shell::core::NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        match event {
            Event::Message { conn, payload } => {
                let peer = hub.peer(conn).map(|peer| peer.to_string()).unwrap_or_default();
                let text = payload.as_str().unwrap_or("?");
                if text == "much" {
                    let line = "x".repeat((64 << 10) - 1);
                    (0..MUCH_BYTES >> 16).for_each(|_| assert!(hub.send(conn, &line)));
                    return;
                }
                // What is long is only to be carried.
                let answer = if text.len() > 1000 { text.to_owned() } else { format!("{peer} {text}") };
                hub.send(conn, &answer);
            }
            Event::Closed { reason, .. } => drop(self.0.send(reason)),
            _ => {}
        }
    }
}

/// A tunnel to a server that is tried again at once, or nearly.
pub(crate) fn tunnel(server: &SshServer) -> Tunnel {
    let ssh = Ssh::new(&server.address.ip().to_string(), &server.user, &server.path("known_hosts"))
        .port(server.address.port())
        .key_path(Some(server.path("id")));
    let mut tunnel = Tunnel::new("edge", ssh);
    tunnel.reconnect.initial = Duration::from_millis(50);
    tunnel.reconnect.cap = Duration::from_millis(200);
    tunnel
}

pub(crate) struct Running {
    pub(crate) remote: Remote<shell::core::NoNote>,
    pub(crate) ended: mpsc::Receiver<Reason>,
    thread: JoinHandle<Metrics>,
}

pub(crate) fn run(config: Config) -> Running {
    let (send, ended) = mpsc::channel();
    let server = Server::bind(config, Mirror(send)).expect("loopback can be listened at");
    let remote = server.remote();
    Running { remote, ended, thread: std::thread::spawn(move || shell::run(server)) }
}

impl Running {
    pub(crate) fn end(self) -> Metrics {
        self.remote.drain().expect("it runs");
        let _ = self.remote.drain();
        self.thread.join().expect("no panic")
    }

    /// Waits until the tunnel is as it should be.
    pub(crate) fn until(&self, what: &str, so: impl Fn(&TunnelStatus) -> bool) -> TunnelStatus {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let mut watch = self.remote.watch_tunnels();
        let found = async {
            loop {
                let statuses = watch.next().await.expect("the server runs");
                if let Some(found) = statuses.into_iter().find(&so) {
                    return found;
                }
            }
        };
        let found = runtime.block_on(async { timeout(PATIENCE, found).await });
        found.unwrap_or_else(|_| panic!("the tunnel is not {what}: {:?}", self.remote.tunnels()))
    }

    pub(crate) fn until_up(&self) -> TunnelStatus {
        self.until("up", |status| status.state == TunnelState::Up)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let (send, receive) = mpsc::channel();
        self.remote.metrics(move |metrics| drop(send.send(metrics))).expect("it runs");
        receive.recv_timeout(PATIENCE).expect("it answers")
    }

    /// Waits until something was counted, but not for ever.
    pub(crate) fn until_counted(&self, so: impl Fn(&Metrics) -> bool) {
        let began = std::time::Instant::now();
        while !so(&self.metrics()) {
            assert!(began.elapsed() < PATIENCE, "it does not come about: {:?}", self.metrics());
            std::thread::yield_now();
        }
    }

    pub(crate) fn next_end(&self) -> Reason {
        self.ended.recv_timeout(PATIENCE).expect("a connection ends")
    }
}

/// Where to connect for the listener at a place.
pub(crate) fn port(status: &TunnelStatus, place: usize) -> SocketAddr {
    match &status.forwards[place].bind {
        RemoteBind::Tcp { host, port } => format!("{host}:{port}").parse().expect("an address"),
        RemoteBind::Unix(path) => panic!("{path} is no port"),
    }
}

pub(crate) struct Peer(pub(crate) BufReader<TcpStream>);

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the SSH server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self(BufReader::new(stream))
    }

    pub(crate) fn own_address(&self) -> String {
        self.0.get_ref().local_addr().expect("connected").to_string()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("it is taken");
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        line.trim_end().to_owned()
    }

    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("an answer");
        bytes
    }

    /// To write to while it is read.
    pub(crate) fn another(&self) -> TcpStream {
        self.0.get_ref().try_clone().expect("a descriptor")
    }

    /// Everything up to the end, however it ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        bytes
    }
}
