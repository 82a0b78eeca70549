//! Reverse SSH tunnels on tokio, and what is the same on every shell.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unreachable,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]

mod channels;
mod failures;
mod jumps;
mod keys;
mod proxies;
#[path = "../../../core/tests/conformance/proxy_server.rs"]
mod proxy_server;
#[path = "../tunnelled/on_tokio.rs"]
mod shell;
#[path = "../support/skipped.rs"]
mod skipped;
#[path = "../ssh/mod.rs"]
mod ssh;
#[path = "../tunnelled/mod.rs"]
mod tunnelled;

use drupe_tokio::core::{Config, Listen};
use skipped::skip;
use ssh::SshServer;
use tunnelled::{Peer, Running, port, tunnel};

fn lines(server: &SshServer) -> Config {
    let mut config = Config::listening(["tcp://127.0.0.1:0?tunnel=edge".parse::<Listen>().expect("well formed")]);
    config.tunnels = vec![tunnel(server)];
    config
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn works(running: &Running) {
    let mut peer = Peer::connect(port(&running.until_up(), 0));
    peer.send(b"hello\n");
    assert_eq!(peer.line(), format!("{} hello", peer.own_address()));
}
