//! Reverse SSH tunnels and SSH listeners for servers on every shell.
//!
//! [`server`] is for listeners. Everything else is for tunnels.
//!
//! The shells re-export this crate as `tunnel` (feature `tunnel`). The machine decides which
//! tunnels exist and when they connect: see [`drupe_core::tunnel`]. This crate implements the SSH
//! client, with [russh](https://docs.rs/russh). It passes the connections of a tunnel directly to
//! the server, without a local port or socket.
//!
//! On tokio, run [`serve`] beside the server. On smol, mio or your own loop, call [`spawn_thread`]:
//! russh then runs on tokio in a thread of its own, and passes on the same connections with the
//! same peer addresses.
//!
//! # Differences from a socket
//!
//! russh refills the window of a channel as soon as data arrives, whether or not the server has
//! read it. So, unlike with TCP, the window cannot hold back a single sender. Unread data is kept,
//! up to [`Ssh::ahead_max_bytes`] per connection. A peer that is far ahead slows down the whole
//! tunnel, by at most 20 ms for each 32 KiB that it sends. If a peer gets further ahead than
//! `ahead_max_bytes`, because it exceeds its rate or the server does not read from it, its
//! connection ends as `rate_limited`. The other connections of the tunnel continue.
//!
//! After a connection has ended, data that was sent to its peer has 5 s to arrive.
//!
//! If a client closes a channel first, russh keeps about 3.5 KiB of it until the SSH connection
//! ends. So this client ends only its half, and the SSH server closes the channel once the peer has
//! left. The client closes a channel first in these cases:
//!
//! - The peer keeps sending.
//! - The channel has waited for its peer for a minute, and more than 256 channels wait.
//! - More than 1,024 channels wait, and this one has waited longest.
//! - The server drains.
//!
//! After 4,096 such closes, the SSH connection is renewed as soon as no connection uses the tunnel;
//! after 16,384, at once ([`TunnelFailure::Renewed`](drupe_core::tunnel::TunnelFailure::Renewed)).

#![forbid(unsafe_code)]
#![cfg(unix)]

mod channel;
mod connect;
mod error;
mod farewell;
mod forwarded;
mod goodbye;
mod hand_over;
mod handler;
mod host_key;
mod identity;
mod inbox;
mod known_hosts;
mod line;
mod link;
mod outgoing;
mod pace;
mod proxied;
pub mod server;
mod stream;
mod wear;

pub use error::LinkError;

use drupe_core::tunnel::{LinkId, Ssh, TunnelIntent};
use drupe_shell::{Remote, TunnelPort};
use line::Cut;
use std::collections::BTreeMap;
use std::io;
use std::thread::{self, JoinHandle};
use tokio::sync::watch;

/// Runs the SSH connections of a server's tunnels until the server has ended.
///
/// Run it on tokio, with I/O and time enabled.
pub fn serve<N: Send + 'static>(remote: &Remote<N>) -> impl Future<Output = ()> + Send + 'static {
    supervise(remote.tunnel_port())
}

/// Runs [`serve`] on its own thread and tokio runtime, for servers on other runtimes.
///
/// The thread ends when the server has ended.
///
/// # Errors
/// If the system cannot start a thread or create an event queue.
pub fn spawn_thread<N: Send + 'static>(remote: &Remote<N>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = serve(remote);
    let run = move || {
        runtime.block_on(serve);
        // Does not wait for a name that is still being resolved.
        runtime.shutdown_background();
    };
    thread::Builder::new().name("drupe-tunnel".into()).spawn(run)
}

/// Checks that the files of a tunnel exist and are valid. Call it before a server starts.
///
/// # Errors
/// Which file is wrong, why, and how to fix it.
pub fn check(ssh: &Ssh) -> Result<(), LinkError> {
    known_hosts::read(ssh)?;
    identity::Identity::load(ssh).map(drop)
}

/// A running SSH connection. Dropping it ends the connection at once.
struct Running {
    intent: watch::Sender<TunnelIntent>,
    task: tokio::task::JoinHandle<()>,
    cut: Cut,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut.cut();
        self.task.abort();
    }
}

async fn supervise(port: TunnelPort) {
    let mut links: BTreeMap<LinkId, Running> = BTreeMap::new();
    let mut watch = port.watch();
    while let Some(intents) = watch.next_intents().await {
        links.retain(|id, _| intents.iter().any(|intent| intent.link == *id));
        for intent in intents {
            match links.get(&intent.link) {
                Some(running) => drop(running.intent.send_replace(intent)),
                None => drop(links.insert(intent.link, start(intent, port.clone()))),
            }
        }
    }
}

fn start(intent: TunnelIntent, port: TunnelPort) -> Running {
    let cut = Cut::default();
    let (send, receive) = watch::channel(intent);
    let task = tokio::spawn(link::run(receive, port, cut.clone()));
    Running { intent: send, task, cut }
}
