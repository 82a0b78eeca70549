//! Drupe on tokio.
//!
//! [`Server`] drives a [`Machine`](drupe_core::Machine) from any flavour of tokio's runtime. It is one
//! future that owns all its sockets: give it a task of its own, or `select!` it beside others.
//!
//! ```no_run
//! use drupe_tokio::core::{app::Chat, Config};
//! use drupe_tokio::Server;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::listening(["tcp://127.0.0.1:8024".parse()?]);
//!     let server = Server::bind(config, Chat::default())?.drain_on_signals()?;
//!     let remote = server.remote(); // `Send + Sync`: publish, kick, drain, ask for metrics from anywhere
//!     server.run().await?;
//!     Ok(())
//! }
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod run;
mod sockets;
mod stream;

pub use drupe_core as core;
pub use drupe_shell as shell;
#[cfg(feature = "kit")]
pub use drupe_shell::client::Client;
pub use drupe_shell::stream::{Connection, Connections};
pub use drupe_shell::{BindError, Remote, RemoteError, StartError};
pub use run::Tokio;
pub use stream::Stream;

/// Reverse SSH tunnels. Run [`serve`](tunnel::serve) beside the server:
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
///         // The same on the other side of the tunnel.
///         "telnet://127.0.0.1:2323?tunnel=edge".parse()?,
///     ]);
///     let ssh = Ssh { key_path: Some("~/.ssh/id_ed25519".into()), ..Ssh::new("edge.example.org", "drupe", "~/.ssh/known_hosts") };
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
pub mod tunnel {
    pub use drupe_ssh::*;
}

/// A client that comes back by itself, on a thread of its own with a runtime. To run it elsewhere, see
/// [`Client::with_driver`].
///
/// # Errors
/// If the system has no randomness or no thread.
#[cfg(feature = "kit")]
pub fn connect(options: drupe_core::kit::client::ClientOptions) -> std::io::Result<Client> {
    Client::connect::<Tokio>(options)
}

/// A server that listens and is about to run on tokio.
pub type Server<H> = drupe_shell::Server<H, Tokio>;

/// The examples of the README are tests of this crate, which sees all that they name.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The program in this package's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct PackageReadme;
