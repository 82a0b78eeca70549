//! SSH listeners, if the program was built with them.

use crate::logs::Logs;
use drupe_core::Config;
use drupe_core::settings::{Resolved, SettingsError};

#[cfg(feature = "ssh")]
pub(crate) use with::{check, load};
#[cfg(not(feature = "ssh"))]
pub(crate) use without::{check, load};

#[cfg(feature = "ssh")]
mod with {
    use super::{Config, Logs, Resolved, SettingsError};
    use drupe_core::settings::AuthenticationPlan;
    use drupe_core::wire::Protocol;
    use drupe_ssh::server::{self, Options, ServeError};
    use tracing::Level;

    /// Checks the files of all SSH listeners, but creates no host key.
    ///
    /// # Errors
    /// The first file that is missing or invalid.
    pub(crate) fn check(resolved: &Resolved) -> Result<(), SettingsError> {
        for listen in &resolved.plan.config.listeners {
            if let Protocol::Ssh(ssh) = &listen.protocol {
                server::check(ssh).map_err(|error| blame(resolved, &listen.name, &error))?;
                let key = |part: &str| format!("listeners.{}.ssh{part}", listen.name);
                if ssh.takes_passwords && resolved.plan.authentication.is_none() {
                    let words = "it takes passwords, but there are no users with passwords: set authentication";
                    return Err(resolved.blame(&key(".passwords"), words.into()));
                }
                let has_keys = resolved.plan.authentication.as_ref().is_some_and(AuthenticationPlan::has_public_keys);
                if ssh.takes_keys && !has_keys {
                    let words = "it takes keys of users, but no user has any: set authentication.users.USER.keys, or \
                                 authorized_keys of the listener";
                    return Err(resolved.blame(&key(".keys"), words.into()));
                }
            }
        }
        Ok(())
    }

    /// Connects the SSH listeners of a configuration with an SSH server, and logs their host keys.
    ///
    /// # Errors
    /// The first file that is missing or invalid.
    pub(crate) fn load(config: &mut Config, resolved: &Resolved, logs: &Logs) -> Result<(), SettingsError> {
        let lines = logs.clone();
        let options = Options::default().log(move |line| lines.frequent_operation("ssh refused", Level::INFO, line));
        for key in server::load(config, &options).map_err(|error| blame(resolved, "", &error))? {
            let new = if key.is_new { ", which was created now" } else { "" };
            let line = format!("the SSH host key in {}{new} has the fingerprint {}", key.path, key.fingerprint);
            logs.operation(Level::INFO, &line);
        }
        Ok(())
    }

    fn blame(resolved: &Resolved, listener: &str, error: &ServeError) -> SettingsError {
        let part = match (error.is_host_key, error.path.is_empty()) {
            (true, _) => ".ssh.host_key",
            (false, false) => ".ssh.authorized_keys",
            (false, true) => ".ssh",
        };
        let key = if listener.is_empty() { "listeners".into() } else { format!("listeners.{listener}{part}") };
        resolved.blame(&key, error.to_string())
    }
}

#[cfg(not(feature = "ssh"))]
mod without {
    use super::{Config, Logs, Resolved, SettingsError};
    use drupe_core::wire::Protocol;

    /// Refuses a configuration with SSH listeners.
    ///
    /// # Errors
    /// If there is an SSH listener.
    pub(crate) fn check(resolved: &Resolved) -> Result<(), SettingsError> {
        let mut listeners = resolved.plan.config.listeners.iter();
        match listeners.find(|listen| matches!(listen.protocol, Protocol::Ssh(_))) {
            Some(listen) => {
                let words = "this program was built without SSH listeners; build it with the feature `ssh`";
                Err(resolved.blame(&format!("listeners.{}.protocol", listen.name), words.into()))
            }
            None => Ok(()),
        }
    }

    /// Does nothing, because there are no SSH listeners.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unnecessary_wraps, reason = "with the feature `ssh`, it may fail")]
    pub(crate) fn load(_: &mut Config, _: &Resolved, _: &Logs) -> Result<(), SettingsError> {
        Ok(())
    }
}
