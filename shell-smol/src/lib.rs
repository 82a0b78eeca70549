//! Drupe on smol.
//!
//! [`Server::run`](drupe_shell::Server::run) returns one future that owns all its sockets. Block on
//! it, or spawn it on any executor. The reactor is that of `async-io`.
//!
//! It differs from `drupe-tokio` only in the crate's name and in how the future is run.
//!
//! ```no_run
//! use drupe_smol::core::{app::Chat, Config};
//! use drupe_smol::Server;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::listening(["tcp://127.0.0.1:8024".parse()?]);
//!     let server = Server::bind(config, Chat::default())?.drain_on_signals()?;
//!     let remote = server.remote(); // `Send + Sync`: publishes, kicks, drains and reads metrics
//!     smol::block_on(server.run())?;
//!     Ok(())
//! }
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod mounted;
mod run;
mod stream;

pub use drupe_core as core;
#[cfg(feature = "program")]
pub use drupe_program;
pub use drupe_shell as shell;
#[cfg(feature = "kit")]
pub use drupe_shell::client::Client;
#[cfg(feature = "client-tls")]
pub use drupe_shell::platform_roots;
pub use drupe_shell::stream::{Connection, Connections};
pub use drupe_shell::{BindError, Remote, RemoteError, StartError};
#[cfg(feature = "tunnel")]
pub use drupe_ssh as tunnel;
/// Reverse SSH tunnels. Call [`spawn_thread`](tunnel::spawn_thread) beside the server.
#[cfg(feature = "ssh")]
pub use drupe_ssh::server as ssh;
pub use mounted::MountedStream;
pub use run::Smol;
pub use stream::Stream;

/// Creates a client that runs on its own thread, with its own executor.
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
    Client::connect::<Smol>(options)
}

/// Re-exports of the items that most applications use: `use drupe_smol::prelude::*`.
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
/// use drupe_smol::core::app::Echo;
///
/// fn main() -> std::process::ExitCode {
///     drupe_smol::program("parrot").version("1.0.0").app("echo", |_| Echo).run()
/// }
/// ```
#[cfg(feature = "program")]
#[must_use]
pub fn program(name: &'static str) -> drupe_program::Program<Smol> {
    drupe_program::Program::new(name)
}

/// A server that listens and is ready to run on smol.
pub type Server<H> = drupe_shell::Server<H, Smol>;

/// Doctest of the example in this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct PackageReadme;
