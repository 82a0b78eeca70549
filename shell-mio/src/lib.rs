//! Drupe on mio: one event loop, without async or a runtime.
//!
//! One thread serves all connections. Names to dial are resolved on other threads, and signals are
//! handled on another if the server uses them.
//!
//! ```no_run
//! use drupe_mio::core::{app::Chat, Config};
//! use drupe_mio::Server;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::listening(["tcp://127.0.0.1:8024".parse()?]);
//!     let server = Server::bind(config, Chat::default())?.drain_on_signals()?;
//!     let remote = server.remote(); // `Send + Sync`: publishes, kicks, drains and reads metrics
//!     server.run()?;
//!     Ok(())
//! }
//! ```
//!
//! # How it works
//!
//! This is the simplest shell, and the best one to read first. The machine of `drupe-core` decides
//! what to do with each connection. The [driver](drupe_shell::Driver) passes facts from the sockets
//! to the machine, and applies the machine's intentions to them. The shell only has to know which
//! sockets are ready:
//!
//! 1. `run.rs` is the loop. It waits in `epoll_wait(2)` or `kqueue(2)` until something is ready or
//!    a deadline has passed, records what is ready, and lets the driver take a turn.
//! 2. `sockets.rs` contains the sockets: non-blocking calls, and two readiness flags for each
//!    socket, because the system reports readiness once.
//! 3. `dial.rs` contains outgoing connections. `drupe-shell` resolves their names, and decides when
//!    each address is tried.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod run;

pub use drupe_core as core;
#[cfg(feature = "program")]
pub use drupe_program;
pub use drupe_shell as shell;
#[cfg(feature = "kit")]
pub use drupe_shell::client::Client;
#[cfg(feature = "client-tls")]
pub use drupe_shell::platform_roots;
pub use drupe_shell::{BindError, Remote, RemoteError, StartError};
#[cfg(feature = "tunnel")]
pub use drupe_ssh as tunnel;
/// Reverse SSH tunnels. Call [`spawn_thread`](tunnel::spawn_thread) beside the server.
#[cfg(feature = "ssh")]
pub use drupe_ssh::server as ssh;
pub use run::Mio;

/// Creates a client that runs on its own thread, with its own event loop.
///
/// To run it elsewhere, see [`Client::with_driver`].
///
/// With the feature `client-tls`, a `tls://` or `wss://` address trusts what the operating system
/// trusts, unless [`Dial::tls`](drupe_core::Dial::tls) has settings of its own.
///
/// # Errors
/// If the system has no random bytes, or cannot start a thread. If the address needs TLS without
/// settings, and the feature `client-tls` is off or the system has no certificates.
#[cfg(feature = "kit")]
pub fn connect(options: drupe_core::kit::client::ClientOptions) -> std::io::Result<Client> {
    Client::connect::<Mio>(options)
}

/// Re-exports of the items that most applications use: `use drupe_mio::prelude::*`.
pub mod prelude {
    pub use crate::Server;
    #[cfg(feature = "program")]
    pub use crate::program;
    pub use drupe_core::prelude::*;
    #[cfg(feature = "program")]
    pub use drupe_program::Start;
}

/// Creates a program that serves your own applications, with configuration, TLS and logs.
///
/// For all that it does, see [`drupe_program`].
///
/// ```no_run
/// use drupe_mio::core::app::Echo;
///
/// fn main() -> std::process::ExitCode {
///     drupe_mio::program("parrot").version("1.0.0").app("echo", |_| Echo).run()
/// }
/// ```
#[cfg(feature = "program")]
#[must_use]
pub fn program(name: &'static str) -> drupe_program::Program<Mio> {
    drupe_program::Program::new(name)
}

/// A server that listens and is ready to run on its own event loop.
pub type Server<H> = drupe_shell::Server<H, Mio>;

/// Doctest of the example in this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct PackageReadme;
