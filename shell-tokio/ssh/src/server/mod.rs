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
mod authorized;
mod channel;
mod error;
mod handler;
mod input;
mod key_file;
mod passwords;
mod rules;
mod startups;
mod throttle;
mod worker;

pub use error::ServeError;
pub use key_file::HostKey;
pub use passwords::Passwords;

use crate::identity::expand;
use acceptor::{Accept, Acceptor};
use authorized::AuthorizedKeys;
use drupe_core::Config;
use drupe_core::wire::Protocol;
use drupe_core::wire::ssh::SshServer;
use drupe_shell::SshAcceptor;
use rules::Rules;
use std::fmt;
use std::sync::Arc;
use worker::Worker;

/// What SSH listeners need besides their configuration.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The passwords of users, for listeners that take them.
    pub passwords: Option<Arc<dyn Passwords>>,
    /// Called with a line for the log when a request is refused, such as port forwarding.
    pub log: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Options {
    /// Sets [`passwords`](#structfield.passwords).
    #[must_use]
    pub fn passwords(self, passwords: impl Passwords) -> Self {
        Self { passwords: Some(Arc::new(passwords)), ..self }
    }

    /// Sets [`log`](#structfield.log).
    #[must_use]
    pub fn log(self, log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { log: Arc::new(log), ..self }
    }
}

impl Default for Options {
    /// Returns options without passwords and without a log.
    fn default() -> Self {
        Self { passwords: None, log: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("has_passwords", &self.passwords.is_some()).finish_non_exhaustive()
    }
}

/// Reads the keys of all SSH listeners of a configuration, and connects them with an SSH server.
///
/// Creates the host keys that do not exist. Returns the host key of each SSH listener, for the log. Call it
/// again for the configuration of a reload: its keys apply to new connections.
///
/// # Errors
/// The first file that is missing or invalid, with the number of the line. If the options of a listener
/// contradict each other, or it takes passwords and there are none.
pub fn load(config: &mut Config, options: &Options) -> Result<Vec<HostKey>, ServeError> {
    let mut worker = None;
    let mut host_keys = Vec::new();
    for listen in &mut config.listeners {
        let Protocol::Ssh(server) = &mut listen.protocol else { continue };
        let keys = read(server, options.passwords.is_some())?;
        let (key, host_key) = key_file::read_or_create(&server.host_key_path)?;
        host_keys.push(host_key);
        let worker = if let Some(worker) = &worker {
            Arc::clone(worker)
        } else {
            let started = Worker::start();
            let started = started.map_err(|error| without_file(format!("can't start the SSH thread: {error}")))?;
            Arc::clone(worker.insert(Arc::new(started)))
        };
        let passwords = options.passwords.clone().filter(|_| server.takes_passwords);
        let log = Arc::clone(&options.log);
        let rules = Rules { server: SshServer::clone(server), keys, passwords, log };
        let acceptor = Acceptor::new(rules, key, worker);
        Arc::make_mut(server).host = SshAcceptor::host(Accept(acceptor));
    }
    Ok(host_keys)
}

/// Checks the files of an SSH listener without creating its host key. Call it before a server starts.
///
/// # Errors
/// As [`load`].
pub fn check(server: &SshServer, has_passwords: bool) -> Result<(), ServeError> {
    read(server, has_passwords)?;
    key_file::read(&expand(&server.host_key_path)).map(drop)
}

fn read(server: &SshServer, has_passwords: bool) -> Result<AuthorizedKeys, ServeError> {
    server.check().map_err(|error| without_file(error.to_string()))?;
    if server.takes_passwords && !has_passwords {
        return Err(without_file("it takes passwords, but there are no users with passwords".into()));
    }
    server.authorized_keys_path.as_deref().map_or_else(|| Ok(AuthorizedKeys::default()), AuthorizedKeys::read)
}

fn without_file(words: String) -> ServeError {
    ServeError::new("".as_ref(), words)
}
