//! Servers behind a reverse SSH tunnel: the same scripts on every shell, which the test that includes this file gives under
//! the name `shell`, through OpenSSH's server and russh's. Nothing waits for a time to pass.

use crate::shell::core::http::Http;
use crate::shell::core::tunnel::{RemoteBind, Ssh, Tunnel, TunnelFailure, TunnelState, TunnelStatus};
use crate::shell::core::wire::Protocol;
use crate::shell::core::{Config, Event, Handler, Hub, Listen, Metrics, Reason};
use crate::shell::{self, Remote, Server};
use crate::ssh::SshServer;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
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
    let ssh = Ssh {
        port: server.address.port(),
        key_path: Some(server.path("id")),
        ..Ssh::new(&server.address.ip().to_string(), &server.user, &server.path("known_hosts"))
    };
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

pub(crate) struct Peer(BufReader<TcpStream>);

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

/// Lines, telnet, WebSocket and a Unix socket, each on the other side.
fn all_wires(server: &SshServer) -> Config {
    let socket = server.path("forwarded.sock");
    let listen = |text: &str| text.parse::<Listen>().expect("well formed");
    let mut config = Config::listening([
        listen("tcp://127.0.0.1:0?tunnel=edge"),
        listen("telnet://127.0.0.1:0?tunnel=edge&probe=no"),
        listen("ws://127.0.0.1:0?tunnel=edge"),
        listen(&format!("unix://{socket}?tunnel=edge")),
    ]);
    if let Protocol::Http(http) = &mut config.listeners[2].protocol {
        *http = Arc::new(Http { deflate: false, ..Http::clone(http) });
    }
    config.tunnels = vec![tunnel(server)];
    config
}

#[test]
fn every_wire_goes_through_with_the_addresses_of_its_peers() {
    for server in SshServer::each() {
        let running = run(all_wires(&server));
        let status = running.until_up();
        let mut lines = Peer::connect(port(&status, 0));
        lines.send(b"hello\n");
        assert_eq!(lines.line(), format!("{} hello", lines.own_address()));
        let mut telnet = Peer::connect(port(&status, 1));
        telnet.send(b"hello\r\n");
        assert_eq!(telnet.line(), format!("{} hello", telnet.own_address()));
        let mut web = Peer::connect(port(&status, 2));
        web.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        );
        while !web.line().is_empty() {}
        // Masked with zeros.
        web.send(b"\x81\x85\0\0\0\0hello");
        let expected = format!("{} hello", web.own_address());
        let length = u8::try_from(expected.len()).expect("short");
        assert_eq!(web.exactly(2 + expected.len()), [&[0x81, length], expected.as_bytes()].concat());
        let mut unix = UnixStream::connect(server.path("forwarded.sock")).expect("it listens");
        unix.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        unix.write_all(b"hello\n").expect("taken");
        let mut answer = [0; 12];
        unix.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"local hello\n");
        let counted = running.metrics().tunnels[0].clone();
        assert_eq!((counted.up, counted.channels, counted.forwards_bound), (1, 4, 4));
        assert!(counted.bytes_in > 20 && counted.bytes_out > 20, "{counted:?}");
        // The peer ends, and then the server does.
        drop(lines);
        assert_eq!(running.next_end(), Reason::PeerClosed);
        let ends = running.end();
        assert_eq!(ends.ended.get(Reason::Shutdown), 3);
        let said = telnet.rest();
        assert!(said.ends_with(b"closing (shutdown): the server is shutting down\r\n"), "{:?}", said.escape_ascii());
    }
}

#[test]
fn whatever_is_taken_down_comes_back_by_itself() {
    for mut server in SshServer::each() {
        let running = run(all_wires(&server));
        let mut status = running.until_up();
        for round in 1..=3u64 {
            let mut peer = Peer::connect(port(&status, 0));
            peer.send(b"hello\n");
            assert!(peer.line().ends_with(" hello"));
            server.take_down();
            assert_eq!(running.next_end(), Reason::TunnelLost);
            let (failure, words) = running
                .until("tried in vain", |status| {
                    status.last_error.as_ref().is_some_and(|(failure, _)| *failure == TunnelFailure::Network)
                })
                .last_error
                .expect("it failed");
            assert!(failure == TunnelFailure::Network && words.contains("Connection refused"), "{words}");
            server.bring_back();
            status = running.until("up again", |status| status.state == TunnelState::Up && status.connected > round);
        }
        let mut peer = Peer::connect(port(&status, 0));
        peer.send(b"hello\n");
        assert!(peer.line().ends_with(" hello"));
        let counted = running.metrics().tunnels[0].clone();
        assert!(counted.connects > 4 && counted.connected == 4, "{counted:?}");
        running.end();
    }
}

#[test]
fn two_hundred_connections_and_a_hundred_mebibytes_arrive_unharmed() {
    const PEERS: usize = 200;
    const LINES: usize = 8;
    const BYTES: usize = 64 << 10;
    const ALPHABET: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    for server in SshServer::each() {
        let mut config = all_wires(&server).unlimited();
        config.budget.message_max_bytes = shell::core::limit::MessageSize::new(1 << 20).expect("in range");
        let running = run(config);
        let address = port(&running.until_up(), 0);
        let talk = move |number: usize| {
            let mut peer = Peer::connect(address);
            for round in 0..LINES {
                let mut line: Vec<u8> = (0..BYTES).map(|place| ALPHABET[(place * 7 + number + round) % 26]).collect();
                line.push(b'\n');
                peer.send(&line);
                assert!(peer.exactly(line.len()) == line, "connection {number}, round {round}");
            }
        };
        // All are there at once.
        let talks: Vec<_> = (0..PEERS).map(|number| std::thread::spawn(move || talk(number))).collect();
        talks.into_iter().for_each(|talk| talk.join().expect("unharmed"));
        let counted = running.metrics().tunnels[0].clone();
        let all = (PEERS * LINES * (BYTES + 1)) as u64;
        assert_eq!((counted.bytes_in, counted.bytes_out, counted.connected), (all, all, 1));
        assert!(all >= 100 << 20);
        running.end();
    }
}

#[test]
fn who_sends_and_reads_at_once_gets_everything() {
    const LINE: usize = 16 << 10;
    const LINES: usize = 64;
    for server in SshServer::each() {
        for (connections, rounds) in [(1, 16), (16, 4)] {
            let mut config = all_wires(&server).unlimited();
            config.budget.message_max_bytes = shell::core::limit::MessageSize::new(1 << 20).expect("in range");
            let running = run(config);
            let address = port(&running.until_up(), 0);
            let talk = move || {
                let mut peer = Peer::connect(address);
                let mut writer = peer.another();
                let write = std::thread::spawn(move || {
                    let line = [&[b'x'; LINE - 1][..], b"\n"].concat();
                    (0..LINES * rounds).for_each(|_| writer.write_all(&line).expect("it is taken"));
                });
                assert_eq!(peer.exactly(LINE * LINES * rounds).len(), LINE * LINES * rounds);
                write.join().expect("no panic");
            };
            let talks: Vec<_> = (0..connections).map(|_| std::thread::spawn(talk)).collect();
            for talk in talks {
                let reasons = || running.ended.try_iter().collect::<Vec<_>>();
                assert!(talk.join().is_ok(), "{:?} {:?}", running.remote.tunnels(), reasons());
            }
            running.end();
        }
    }
}

#[test]
fn the_last_words_of_everybody_arrive_before_a_drained_server_is_gone() {
    const PEERS: usize = 100;
    for server in SshServer::each() {
        let running = run(all_wires(&server).unlimited());
        let address = port(&running.until_up(), 0);
        let line = "x".repeat(60_000).into_bytes().into_iter().chain([b'\n']).collect::<Vec<_>>();
        let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(address)).collect();
        for peer in &mut peers {
            peer.send(&line);
            peer.0.get_ref().shutdown(std::net::Shutdown::Write).expect("open");
        }
        // All of it was served, and nothing of it read.
        running.until_counted(|metrics| metrics.messages_in == PEERS as u64);
        let metrics = running.end();
        assert_eq!(metrics.ended.total(), PEERS as u64);
        for (number, peer) in peers.iter_mut().enumerate() {
            // Whose end had not come yet is told of the end.
            assert!(peer.rest().starts_with(&line), "peer {number}");
        }
    }
}
