//! Drupe on a bare event loop: no runtime, no async. One thread serves; a name that is dialled is looked up on another, and
//! another waits for signals if that is asked for.
//!
//! ```no_run
//! use drupe_mio::core::{app::Chat, Config};
//! use drupe_mio::Server;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::listening(["tcp://127.0.0.1:8024".parse()?]);
//!     let server = Server::bind(config, Chat::default())?.drain_on_signals()?;
//!     let remote = server.remote(); // `Send + Sync`: publish, kick, drain, ask for metrics from anywhere
//!     server.run()?;
//!     Ok(())
//! }
//! ```
//!
//! # How it works
//!
//! It is the shell to read first. The machine of `drupe-core` knows what should be done with every connection, and the
//! [driver](drupe_shell::Driver) carries facts from sockets to it and intentions back. What is left for a shell is to
//! know which sockets are ready:
//!
//! 1. `run.rs` is the loop: wait in `epoll_wait(2)` (or `kqueue(2)`) until something is ready or a deadline has come, note
//!    what is ready, let the driver take a turn.
//! 2. `sockets.rs` are the sockets: non-blocking calls, and two latches for each socket, because readiness is told once.
//! 3. `dial.rs` connects to others.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod dial;
mod resolver;
mod run;
mod sockets;

pub use drupe_core as core;
pub use drupe_shell as shell;
#[cfg(feature = "kit")]
pub use drupe_shell::client::Client;
pub use drupe_shell::{BindError, Remote, RemoteError, StartError};
/// Reverse SSH tunnels: [`spawn_thread`](tunnel::spawn_thread) beside the server.
#[cfg(feature = "tunnel")]
pub use drupe_ssh as tunnel;
pub use run::Mio;

/// A client that comes back by itself, on a thread of its own with an event loop. To run it elsewhere, see
/// [`Client::with_driver`].
///
/// # Errors
/// If the system has no randomness or no thread.
#[cfg(feature = "kit")]
pub fn connect(options: drupe_core::kit::client::ClientOptions) -> std::io::Result<Client> {
    Client::connect::<Mio>(options)
}

/// A server that listens and is about to run on an event loop of its own.
pub type Server<H> = drupe_shell::Server<H, Mio>;

/// The program in this package's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct PackageReadme;
