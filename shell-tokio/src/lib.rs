//! Drupe on tokio.
//!
//! [`Server`] drives a [`Machine`](drupe_core::Machine) on any flavour of tokio's runtime. It is
//! one future that owns all its sockets: spawn it as a task, or `select!` it with others.
//!
//! ```no_run
//! use drupe_tokio::core::{app::Chat, Config};
//! use drupe_tokio::Server;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::listening(["tcp://127.0.0.1:8024".parse()?]);
//!     let server = Server::bind(config, Chat::default())?.drain_on_signals()?;
//!     let remote = server.remote(); // `Send + Sync`: publishes, kicks, drains and reads metrics
//!     server.run().await?;
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
#[cfg(feature = "ssh")]
pub use drupe_ssh::server as ssh;
pub use mounted::MountedStream;
pub use run::Tokio;
pub use stream::Stream;

/// Reverse SSH tunnels. Run [`serve`](tunnel::serve) beside the server.
///
/// ```no_run
/// use drupe_tokio::core::app::Chat;
/// use drupe_tokio::core::tunnel::{Ssh, Tunnel};
/// use drupe_tokio::core::Config;
/// use drupe_tokio::{Server, tunnel};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let mut config = Config::listening([
///         "telnet://127.0.0.1:8023".parse()?,
///         // The same on the SSH server.
///         "telnet://127.0.0.1:2323?tunnel=edge".parse()?,
///     ]);
///     let ssh = Ssh::new("edge.example.org", "drupe", "~/.ssh/known_hosts").key_path(Some("~/.ssh/id_ed25519".into()));
///     tunnel::check(&ssh)?;
///     config.tunnels.push(Tunnel::new("edge", ssh));
///     let server = Server::bind(config, Chat::default())?.drain_on_signals()?;
///     let tunnels = tokio::spawn(tunnel::serve(&server.remote()));
///     server.run().await?;
///     tunnels.await?;
///     Ok(())
/// }
/// ```
#[cfg(feature = "tunnel")]
pub use drupe_ssh as tunnel;

/// Creates a client that runs on its own thread, with its own runtime.
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
    Client::connect::<Tokio>(options)
}

/// Re-exports of the items that most applications use: `use drupe_tokio::prelude::*`.
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
/// use drupe_tokio::core::app::Echo;
///
/// fn main() -> std::process::ExitCode {
///     drupe_tokio::program("parrot").version("1.0.0").app("echo", |_| Echo).run()
/// }
/// ```
#[cfg(feature = "program")]
#[must_use]
pub fn program(name: &'static str) -> drupe_program::Program<Tokio> {
    drupe_program::Program::new(name)
}

/// A server that listens and is ready to run on tokio.
pub type Server<H> = drupe_shell::Server<H, Tokio>;

/// Doctests of the examples in the workspace's README, all of which this crate can compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Doctest of the example in this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct PackageReadme;
