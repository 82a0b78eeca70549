//! An SSH server for the listeners of a server, on every shell.
//!
//! [`load`] reads the keys of all SSH listeners of a configuration, and connects the listeners with an
//! SSH server that runs on a thread of its own. Bind the server afterwards. See `docs/ssh.md` in the
//! package `drupe-tokio`.
//!
//! ```no_run
//! use drupe_core::{Config, Listen};
//! use drupe_ssh::server::{Options, load};
//!
//! let listen: Listen = "ssh://127.0.0.1:8022?authorized_keys=keys".parse()?;
//! let mut config = Config::listening([listen]);
//! for key in load(&mut config, &Options::default())? {
//!     println!("host key {} in {}", key.fingerprint, key.path);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acceptor;
mod attempts;
mod authorized;
mod channel;
mod course;
mod error;
mod handler;
mod input;
mod key_file;
mod key_text;
mod rules;
mod startups;
mod throttle;
mod worker;

pub use error::ServeError;
pub use key_file::HostKey;

use crate::identity::expand;
use acceptor::{Accept, Acceptor};
use drupe_core::Config;
use drupe_core::wire::Protocol;
use drupe_core::wire::ssh::SshServer;
use drupe_shell::SshAcceptor;
use key_text::AuthorizedKeys;
use rules::Rules;
use std::fmt;
use std::sync::Arc;
use worker::Worker;

/// What SSH listeners need besides their configuration.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Called with a line for the log when a request is refused, such as port forwarding.
    pub log: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Options {
    /// Sets [`log`](#structfield.log).
    #[must_use]
    pub fn log(self, log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { log: Arc::new(log) }
    }
}

impl Default for Options {
    /// Returns options without a log.
    fn default() -> Self {
        Self { log: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// Reads the keys of all SSH listeners of a configuration, and connects them with an SSH server.
///
/// Creates the host keys that do not exist. Returns the host key of each SSH listener, for the log. Call it
/// again for the configuration of a reload: its keys apply to new connections.
///
/// With [`takes_keys`](SshServer::takes_keys) and [`takes_passwords`](SshServer::takes_passwords), the application decides, such as
/// with the layer [`Authentication`](drupe_core::kit::auth::Authentication) and its
/// [`Provider`](drupe_core::kit::auth::Provider). An application that does not decide admits nobody this way.
///
/// # Errors
/// The first file that is missing or invalid, with the number of the line. If the options of a listener
/// contradict each other.
pub fn load(config: &mut Config, options: &Options) -> Result<Vec<HostKey>, ServeError> {
    let mut worker = None;
    let mut host_keys = Vec::new();
    for listen in &mut config.listeners {
        let Protocol::Ssh(server) = &mut listen.protocol else { continue };
        let keys = read(server)?;
        let (key, host_key) = key_file::read_or_create(&server.host_key_path)?;
        host_keys.push(host_key);
        let worker = if let Some(worker) = &worker {
            Arc::clone(worker)
        } else {
            let started = Worker::start();
            let started = started.map_err(|error| without_file(format!("can't start the SSH thread: {error}")))?;
            Arc::clone(worker.insert(Arc::new(started)))
        };
        let log = Arc::clone(&options.log);
        let rules = Rules { server: SshServer::clone(server), keys, log };
        let acceptor = Acceptor::new(rules, key, worker);
        Arc::make_mut(server).host = SshAcceptor::host(Accept(acceptor));
    }
    Ok(host_keys)
}

/// Checks the files of an SSH listener without creating its host key. Call it before a server starts.
///
/// # Errors
/// As [`load`].
pub fn check(server: &SshServer) -> Result<(), ServeError> {
    read(server)?;
    key_file::read(&expand(&server.host_key_path)).map(drop)
}

fn read(server: &SshServer) -> Result<AuthorizedKeys, ServeError> {
    server.check().map_err(|error| without_file(error.to_string()))?;
    server.authorized_keys_path.as_deref().map_or_else(|| Ok(AuthorizedKeys::default()), authorized::read)
}

fn without_file(words: String) -> ServeError {
    ServeError::new("".as_ref(), words)
}
