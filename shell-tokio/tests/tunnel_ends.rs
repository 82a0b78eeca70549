//! How connections end behind a reverse SSH tunnel, and what is left of them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unreachable,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests use the rest of what they share")]

#[path = "tunnelled/on_tokio.rs"]
mod shell;
mod ssh;
mod support;
#[path = "tunnelled/running.rs"]
mod tunnelled;

use drupe_tokio::core::tunnel::{Forward, RemoteBind, TunnelState};
use drupe_tokio::core::{Address, Config, Listen};
use russh::server::Msg;
use russh::{Channel, ChannelMsg};
use socket2::{Domain, Socket, Type};
use ssh::SshServer;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;
use support::{Directory, Program, read, skip};
use tunnelled::{PATIENCE, Peer, Running, port, run, tunnel};

fn lines(server: &SshServer) -> Config {
    let mut config = Config::listening(["tcp://127.0.0.1:0?tunnel=edge".parse::<Listen>().expect("well formed")]);
    config.tunnels = vec![tunnel(server)];
    config
}

/// Lines at a name on the other side.
fn listen_at(host: &str, port: u16) -> Listen {
    let bind = RemoteBind::Tcp { host: host.into(), port };
    let address = Address::Forwarded(Forward::new("edge", bind));
    Listen::lines(([127, 0, 0, 1], 0).into()).address(address)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn open(handle: &russh::server::Handle, address: SocketAddr) -> Option<Channel<Msg>> {
    handle.channel_open_forwarded_tcpip("127.0.0.1", address.port().into(), "203.0.113.9", 1).await.ok()
}

/// Everything up to the end of our half, which is not the end of the channel.
async fn heard_to_eof(channel: &mut Channel<Msg>) -> String {
    let mut heard = Vec::new();
    loop {
        match channel.wait().await.expect("the end of the half comes first") {
            ChannelMsg::Data { data } => heard.extend_from_slice(&data),
            ChannelMsg::Eof => return String::from_utf8(heard).expect("text"),
            _ => {}
        }
    }
}

/// Whether the other side has closed the channel, as far as that has come.
async fn is_closed(channel: &mut Channel<Msg>) -> bool {
    while let Ok(message) = tokio::time::timeout(Duration::ZERO, channel.wait()).await {
        if matches!(message, None | Some(ChannelMsg::Close)) {
            return true;
        }
    }
    false
}

/// What the other side has sent before now has come: it answers, behind that.
fn until_answered(running: &Running, address: SocketAddr) {
    for _ in 0..20 {
        let mut peer = Peer::connect(address);
        peer.send(b"hello\n");
        assert!(peer.line().ends_with(" hello"));
    }
    running.until_counted(|metrics| metrics.open == 0 && metrics.closing == 0);
}

#[test]
fn channels_of_lingering_refused_peers_stay_open_and_bounded() {
    const PEERS: usize = 1300;
    let server = SshServer::russh();
    let mut config = lines(&server);
    config.listeners[0].deny = ["203.0.113.0/24".parse().expect("a network")].into();
    let running = run(config);
    let address = port(&running.until_up(), 0);
    let handle = server.mischief().handle();
    runtime().block_on(async {
        let mut told = Vec::new();
        for _ in 0..PEERS {
            // None of them goes.
            told.extend(open(&handle, address).await);
        }
        assert!((100..1000).contains(&told.len()), "{} were told", told.len());
        for channel in &mut told {
            assert!(heard_to_eof(channel).await.starts_with("closing (address_refused)"));
        }
        until_answered(&running, address);
        let mut closed = 0;
        for mut channel in told {
            closed += usize::from(is_closed(&mut channel).await);
            channel.close().await.expect("connected");
        }
        assert_eq!(closed, 0, "russh keeps each of them until the SSH connection ends");
        // Those have gone, so others are told again.
        let mut channel = None;
        while channel.is_none() {
            channel = open(&handle, address).await;
        }
    });
    assert_eq!(running.until_up().connected, 1);
    running.end();
}

#[test]
fn ended_channel_stays_open_unless_its_peer_keeps_sending() {
    let server = SshServer::russh();
    let mut config = lines(&server);
    config.closing.linger = Duration::from_millis(10);
    config.peer.budget.message_max_bytes = drupe_tokio::core::limit::MessageSize::new(10).expect("in range");
    let running = run(config);
    let address = port(&running.until_up(), 0);
    let handle = server.mischief().handle();
    runtime().block_on(async {
        let mut ended = Vec::new();
        for _ in 0..10 {
            let mut channel = open(&handle, address).await.expect("let in");
            channel.data(&b"more than ten bytes\n"[..]).await.expect("taken");
            assert!(heard_to_eof(&mut channel).await.starts_with("closing (message_too_large)"));
            ended.push(channel);
        }
        until_answered(&running, address);
        for channel in &mut ended {
            assert!(!is_closed(channel).await, "it is for the peer to go");
        }
        // Who does not go and does not stop is closed after all.
        let mut pest = ended.pop().expect("ten");
        for _ in 0..64 {
            pest.data(&vec![b'x'; 32 << 10][..]).await.expect("connected");
        }
        while !matches!(pest.wait().await.expect("the end"), ChannelMsg::Close) {}
    });
    running.end();
}

#[test]
fn partly_taken_localhost_forward_is_not_reported_as_bound() {
    let Some(server) = SshServer::open("GatewayPorts clientspecified") else { return };
    if TcpListener::bind("[::1]:0").is_err() {
        skip("there is no IPv6 on this machine");
        return;
    }
    for (host, first) in [("localhost", "127.0.0.1"), ("", "0.0.0.0")] {
        let taken = TcpListener::bind((first, 0)).expect("a port");
        let wanted = taken.local_addr().expect("bound").port();
        let mut config = lines(&server);
        config.listeners.push(listen_at(host, wanted));
        let running = run(config);
        let status = running.until("degraded", |status| status.state == TunnelState::Degraded);
        assert!(status.forwards[0].bound && !status.forwards[1].bound, "{status:?}");
        assert!(TcpStream::connect(("::1", wanted)).is_err(), "nobody is served at half of it");
        drop(taken);
        // It is asked for again.
        running.until_up();
        for ip in ["127.0.0.1", "::1"] {
            let mut peer = Peer::connect((ip.parse::<std::net::IpAddr>().expect("an address"), wanted).into());
            peer.send(b"hello\n");
            assert_eq!(peer.line(), format!("{} hello", peer.own_address()));
        }
        running.end();
    }
}

#[test]
fn localhost_forward_is_requested_by_name() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let Some(server) = SshServer::open(&format!("PermitListen localhost:{free}")) else { return };
    let mut config = Config::listening([listen_at("localhost", free)]);
    config.tunnels = vec![tunnel(&server)];
    let running = run(config);
    running.until_up();
    let mut peer = Peer::connect(([127, 0, 0, 1], free).into());
    peer.send(b"hello\n");
    assert_eq!(peer.line(), format!("{} hello", peer.own_address()));
    running.end();
}

fn configuration(server: &SshServer) -> String {
    let (ip, port, user) = (server.address.ip(), server.address.port(), &server.user);
    let (key, known_hosts) = (server.path("id"), server.path("known_hosts"));
    format!(
        "listeners:
  refusing: {{ forward: {{ tunnel: edge, remote_bind_host: 127.0.0.1 }}, deny: [127.0.0.0/8] }}
  web: {{ address: '127.0.0.1:0', protocol: websocket }}
log: {{ targets: {{ connections: off }} }}
tunnels:
  edge: {{ ssh_host: {ip}, ssh_port: {port}, ssh_user: {user}, ssh_key_path: {key}, known_hosts: [{known_hosts}] }}
"
    )
}

/// Of each address the system has so many ports, and one that was used rests for a minute.
fn connect_from(host: u8, port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 1, host], 0)).into()).expect("all of 127 is ours");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("the SSH server listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

fn resident_kib(program: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

#[test]
fn thousands_of_refused_channels_leak_no_memory() {
    const ROUNDS: usize = 25;
    const PEERS: usize = 1000;
    /// What the system keeps for an SSH server that has not accepted it.
    const BACKLOG: usize = 100;
    let Some(server) = SshServer::open("") else { return };
    if !std::path::Path::new("/proc/self/status").exists() {
        skip("this system does not tell how much memory a process has");
        return;
    }
    let limit = Command::new("sh").args(["-c", "ulimit -n"]).output().expect("there is a shell").stdout;
    if String::from_utf8_lossy(&limit).trim().parse::<usize>().is_ok_and(|limit| limit < 3 * PEERS) {
        skip("fewer than 3,000 files may be open");
        return;
    }
    let directory = Directory::new("tunnel-refused");
    let program = Program::configured(&directory.0, &configuration(&server), 1, |_| {});
    directory.wait_for("log", "tunnel edge: up; listening on ", 1);
    let log = read(&directory.0.join("log"));
    let (_, rest) = log.split_once("tcp://127.0.0.1:").expect("it is told");
    let port: u16 = rest.split('?').next().and_then(|port| port.parse().ok()).expect("a port");
    let (mut resident, mut before) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // All are there at once, with those of the round before: none goes when it hears that it is refused.
        let mut streams = Vec::new();
        for _ in 0..PEERS {
            let mut stream = connect_from(u8::try_from(round + 1).expect("few"), port);
            if streams.len() % BACKLOG == 0 {
                let _ = stream.read(&mut [0]);
            }
            streams.push(stream);
        }
        resident.push(resident_kib(&program));
        before = streams;
    }
    drop(before);
    let grown = resident[ROUNDS - 1].saturating_sub(resident[4]);
    assert!(grown < 4 << 10, "it grew by {grown} KiB: {resident:?}");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}
