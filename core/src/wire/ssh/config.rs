use super::host::SshHost;
use crate::base::setters;
use crate::wire::telnet::InputMode;
use alloc::string::String;
use core::time::Duration;

/// Configuration of an SSH listener.
///
/// The shell's SSH server reads the files and applies all limits up to the login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshServer {
    /// The file with the private host key, in OpenSSH's format.
    ///
    /// If it does not exist, the SSH server creates an Ed25519 key in it, with mode 0600.
    pub host_key_path: String,
    /// The public keys that may log in: a file or a directory. `None`: no login by key.
    ///
    /// In a directory, the file `USER` has the keys of that user. In a file, the comment of each key
    /// names its user, up to the first `@`.
    pub authorized_keys_path: Option<String>,
    /// Whether the application decides about public keys that are not in the files, with [`Event::Login`].
    ///
    /// An application without an answer refuses them.
    ///
    /// [`Event::Login`]: crate::Event::Login
    pub takes_keys: bool,
    /// Whether users may log in with a password, which the application checks, with [`Event::Login`].
    ///
    /// An application without an answer refuses them.
    ///
    /// [`Event::Login`]: crate::Event::Login
    pub takes_passwords: bool,
    /// Whether everybody is admitted without a login, as on a telnet listener.
    ///
    /// The user's name is then only a claim, in the variable `USER` of the
    /// [terminal](crate::telnet::Terminal).
    pub is_open: bool,
    /// The input mode of clients with a terminal. [`InputMode::Line`] counts as `Character`, because
    /// an SSH client sends each key.
    pub mode: InputMode,
    /// Time limit from the accepted connection to the start of the session.
    pub login_timeout: Duration,
    /// Maximum number of connections of this listener that have not logged in.
    ///
    /// From a tenth of it on, further connections are refused at random, as OpenSSH's `MaxStartups`
    /// does. One address may have half of them.
    pub startups_max: u32,
    /// Maximum number of failed attempts to authenticate per connection.
    pub attempts_max: u32,
    /// The SSH server that serves this listener. No server starts without it.
    pub host: SshHost,
}

setters!(SshServer {
    host_key_path: String,
    authorized_keys_path: Option<String>,
    takes_keys: bool,
    takes_passwords: bool,
    is_open: bool,
    mode: InputMode,
    login_timeout: Duration,
    startups_max: u32,
    attempts_max: u32,
    host: SshHost,
});

impl SshServer {
    /// The default file of the host key.
    pub const HOST_KEY_PATH: &str = "ssh_host_ed25519_key";

    /// Returns `true` if a peer must authenticate.
    #[must_use]
    pub const fn has_logins(&self) -> bool {
        self.authorized_keys_path.is_some() || self.takes_keys || self.takes_passwords
    }

    /// Checks that a login is possible, and that the options do not contradict each other.
    ///
    /// # Errors
    /// If no login is possible, or if logins are configured although none is required.
    pub const fn check(&self) -> Result<(), SshServerError> {
        match (self.is_open, self.has_logins()) {
            (false, false) => Err(SshServerError::AdmitsNobody),
            (true, true) => Err(SshServerError::OpenWithLogins),
            _ => Ok(()),
        }
    }
}

impl Default for SshServer {
    /// Returns a listener without a way to log in, with the limits of OpenSSH: 100 connections before the login and 6
    /// attempts each. The time limit is 30 s.
    fn default() -> Self {
        Self {
            host_key_path: Self::HOST_KEY_PATH.into(),
            authorized_keys_path: None,
            takes_keys: false,
            takes_passwords: false,
            is_open: false,
            mode: InputMode::Character,
            login_timeout: Duration::from_secs(30),
            startups_max: 100,
            attempts_max: 6,
            host: SshHost::default(),
        }
    }
}

/// The error for the options of an SSH listener that cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SshServerError {
    /// There are no keys and no passwords, and the listener is not open.
    #[error("it admits nobody: set authorized_keys to a file or a directory, or admit everybody with login=none")]
    AdmitsNobody,
    /// The listener is open, so keys and passwords would never be checked.
    #[error("it admits everybody (login=none), so keys and passwords have no effect: remove one of them")]
    OpenWithLogins,
}
