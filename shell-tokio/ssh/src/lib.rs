//! Reverse SSH tunnels, for servers on every shell, which re-export this crate as `tunnel` (feature `tunnel`).
//!
//! Which tunnels there are, and when they are dialled, the machine decides: see [`drupe_core::tunnel`]. What is here speaks SSH
//! as it is told, with [russh](https://docs.rs/russh). Connections that come through a tunnel are handed to the server as they
//! are; no local port or socket is between.
//!
//! On tokio, run [`serve`] beside the server.
//!
//! On smol, mio, or a loop of one's own, [`spawn_thread`] instead: russh runs on tokio, on a thread of its own, and hands the
//! same connections over, with the addresses they came from.
//!
//! # What is different from a socket
//!
//! russh opens the window of a channel for more as soon as something has come, served or not, so a single sender can't be held
//! back as TCP does it. What is not served yet is kept, up to [`Ssh::ahead_max_bytes`] a connection. Who is far ahead slows
//! what comes through the whole tunnel (at most 20 ms for each 32 KiB of his), and who is further ahead than that, because he
//! is over his rate, paused, or does not read, is closed as `rate_limited`. The other connections of the tunnel go on.
//!
//! What was sent to a peer whose connection is over is given 5 s to arrive.
//!
//! russh does not forget a channel that its client closes first: about 3.5 KiB stay until the SSH connection ends. So only our half
//! of a channel is ended, and the SSH server closes it once its peer goes. A peer that goes on sending, or stays for a minute
//! while more than 256 others do, has its channel closed all the same. Once that has happened 4,096 times and nobody uses the
//! tunnel, or 16,384 times, the SSH connection is made anew ([`TunnelFailure::Renewed`]).

#![forbid(unsafe_code)]
#![cfg(unix)]

mod channel;
mod connect;
mod goodbye;
mod handler;
mod host_key;
mod identity;
mod inbox;
mod known_hosts;
mod line;
mod link;
mod outgoing;
mod pace;
mod stream;

use drupe_core::tunnel::{LinkId, Ssh, TunnelFailure, TunnelIntent};
use drupe_shell::{Remote, TunnelPort};
use line::Cut;
use std::collections::BTreeMap;
use std::io;
use std::thread::{self, JoinHandle};
use tokio::sync::watch;

/// Makes the SSH connections that a server wants, until the server has ended. To be run on tokio, with I/O and time enabled.
pub fn serve<N: Send + 'static>(remote: &Remote<N>) -> impl Future<Output = ()> + Send + 'static {
    supervise(remote.tunnel_port())
}

/// The same on a thread of its own, with a runtime of its own, for servers that run on something else. The thread ends when
/// the server has.
///
/// # Errors
/// If the system gives no thread or no event queue.
pub fn spawn_thread<N: Send + 'static>(remote: &Remote<N>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = serve(remote);
    let run = move || {
        runtime.block_on(serve);
        // A name that is being looked up is not waited for.
        runtime.shutdown_background();
    };
    thread::Builder::new().name("drupe-tunnel".into()).spawn(run)
}

/// Whether the files that a tunnel needs are there and can be used: to be asked before a server starts.
///
/// # Errors
/// What is wrong with which file, and what to do about it.
pub fn check(ssh: &Ssh) -> Result<(), LinkError> {
    known_hosts::read(ssh)?;
    identity::Identity::load(ssh).map(drop)
}

/// Why there is no SSH connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct LinkError {
    /// Of which kind it is.
    pub failure: TunnelFailure,
    /// What is wrong, where, and what can be done.
    pub words: String,
}

impl LinkError {
    fn new(failure: TunnelFailure, words: impl Into<String>) -> Self {
        Self { failure, words: words.into() }
    }
}

/// A link that is wanted. Dropping it ends it at once.
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
