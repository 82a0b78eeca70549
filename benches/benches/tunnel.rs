//! An echo server behind an OpenSSH server, through Drupe's own tunnel and through `ssh -R`.
//!
//! Compare only ratios within one run.

#![allow(missing_docs)]
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unreachable,
    clippy::print_stderr,
    reason = "the fixture belongs to the tests, and a benchmark that cannot run should fail at once"
)]

#[path = "../../shell-tokio/tests/support/skipped.rs"]
mod skipped;
#[path = "../../shell-tokio/tests/ssh/mod.rs"]
mod ssh;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use drupe_tokio::core::app::Echo;
use drupe_tokio::core::tunnel::{RemoteBind, Ssh, Tunnel, TunnelState, TunnelStatus};
use drupe_tokio::core::{Config, Listen};
use drupe_tokio::{Remote, Server, tunnel};
use skipped::skip;
use ssh::SshServer;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// Bytes that all connections together send and receive again.
const BYTES: usize = 16 << 20;
const LINE: usize = 16 << 10;
/// Round trips per iteration.
const ROUNDS: usize = 100;

/// A path to an echo server.
struct Way {
    name: &'static str,
    address: SocketAddr,
    /// A handle to the echo server, dropped with this path.
    _remote: Remote<drupe_tokio::core::NoNote>,
    ssh: Option<Child>,
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Some(ssh) = &mut self.ssh {
            let _ = ssh.kill();
            let _ = ssh.wait();
        }
    }
}

fn serve(config: Config) -> (Vec<String>, Remote<drupe_tokio::core::NoNote>) {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = Server::bind(config, Echo).expect("it can listen on loopback");
            tokio::spawn(tunnel::serve(&server.remote()));
            send.send((server.addresses().to_vec(), server.remote())).expect("the caller waits");
            drop(server.run().await);
        });
    });
    receive.recv().expect("it starts")
}

fn config(address: &str) -> Config {
    let mut config = Config::listening([address.parse::<Listen>().expect("well formed")]).unlimited();
    config.peer.budget.message_max_bytes = drupe_tokio::core::limit::MessageSize::new(1 << 20).expect("in range");
    config
}

/// Starts an echo server with Drupe's own tunnel.
fn own(server: &SshServer) -> Way {
    let mut config = config("tcp://127.0.0.1:0?tunnel=edge");
    let ssh = Ssh::new(&server.address.ip().to_string(), &server.user, &server.path("known_hosts"))
        .port(server.address.port())
        .key_path(Some(server.path("id")));
    config.tunnels = vec![Tunnel::new("edge", ssh)];
    let (_, remote) = serve(config);
    let mut watch = remote.watch_tunnels();
    let bound = |status: &TunnelStatus| match &status.forwards[0].bind {
        RemoteBind::Tcp { host, port } if status.state == TunnelState::Up => format!("{host}:{port}").parse().ok(),
        _ => None,
    };
    let address = drupe_tokio::shell::block_on(async {
        loop {
            let statuses = watch.next().await.expect("it runs");
            if let Some(address) = statuses.first().and_then(bound) {
                return address;
            }
        }
    });
    Way { name: "drupe_tunnel", address, _remote: remote, ssh: None }
}

/// Starts an echo server on a local port, and `ssh -R` to it.
fn beside(server: &SshServer) -> Way {
    let (addresses, remote) = serve(config("tcp://127.0.0.1:0"));
    let local = addresses[0].strip_prefix("tcp://").expect("lines");
    let mut child = Command::new("ssh")
        .args(["-F", "none", "-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"])
        .args(["-o", &format!("UserKnownHostsFile={}", server.path("known_hosts"))])
        .args(["-i", &server.path("id"), "-p", &server.address.port().to_string()])
        .args(["-R", &format!("127.0.0.1:0:{local}")])
        .arg(format!("{}@{}", server.user, server.address.ip()))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it comes with OpenSSH");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let port = loop {
        let line = lines.next().expect("ssh prints the port").expect("text");
        if let Some(rest) = line.strip_prefix("Allocated port ") {
            break rest.split(' ').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
        }
    };
    Way { name: "ssh_R", address: ([127, 0, 0, 1], port).into(), _remote: remote, ssh: Some(child) }
}

/// Sends [`BYTES`] over `connections` connections in parallel, and receives them again.
fn echo_bytes(address: SocketAddr, connections: usize) {
    let talk = move || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        let mut writer = stream.try_clone().expect("a descriptor");
        let write = thread::spawn(move || {
            let line = [&[b'x'; LINE - 1][..], b"\n"].concat();
            for _ in 0..BYTES / LINE / connections {
                writer.write_all(&line).expect("it is taken");
            }
            writer.shutdown(Shutdown::Write).expect("open");
        });
        let (mut heard, mut buffer) = (0, vec![0; 256 << 10]);
        while heard < BYTES / LINE / connections * LINE {
            match stream.read(&mut buffer).expect("an answer") {
                0 => unreachable!("the connection ends after {heard} bytes"),
                count => heard += count,
            }
        }
        write.join().expect("no panic");
    };
    let talks: Vec<_> = (0..connections).map(|_| thread::spawn(talk)).collect();
    talks.into_iter().for_each(|talk| talk.join().expect("unharmed"));
}

fn through_ssh(criterion: &mut Criterion) {
    let Some(server) = SshServer::open("") else { return };
    let ways = [own(&server), beside(&server)];
    let mut group = criterion.benchmark_group("tunnel");
    group.sample_size(10);
    for connections in [1, 16] {
        // Both directions count.
        group.throughput(Throughput::Bytes(2 * BYTES as u64));
        for way in &ways {
            let id = BenchmarkId::new(format!("echo_{connections}"), way.name);
            group.bench_function(id, |bencher| bencher.iter(|| echo_bytes(way.address, connections)));
        }
    }
    group.throughput(Throughput::Elements(ROUNDS as u64));
    for way in &ways {
        let mut stream = BufReader::new(TcpStream::connect(way.address).expect("it listens"));
        stream.get_ref().set_nodelay(true).expect("a socket");
        let mut line = String::new();
        group.bench_function(BenchmarkId::new("round_trips", way.name), |bencher| {
            bencher.iter(|| {
                for _ in 0..ROUNDS {
                    stream.get_mut().write_all(b"hello\n").expect("it is taken");
                    line.clear();
                    stream.read_line(&mut line).expect("an answer");
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, through_ssh);
criterion_main!(benches);
