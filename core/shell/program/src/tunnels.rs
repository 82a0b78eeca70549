//! Reverse SSH tunnels, if the program was built with them.

use crate::failure::Failure;
use drupe_core::Config;
use drupe_core::app::AppNote;
use drupe_core::settings::{Resolved, SettingsError};
use drupe_shell::Remote;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The thread of the SSH connections. It starts with the first configuration that has a tunnel.
#[derive(Clone, Default)]
pub(crate) struct Tunnels(Arc<Mutex<Option<JoinHandle<()>>>>);

impl Tunnels {
    /// Starts the thread if a configuration has tunnels and the thread does not run yet.
    ///
    /// # Errors
    /// If the thread or its event queue cannot be created.
    pub(crate) fn start_for(&self, config: &Config, remote: &Remote<AppNote>) -> Result<(), Failure> {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() && !config.tunnels.is_empty() {
            *thread = spawn(remote)?;
        }
        Ok(())
    }

    /// Waits until all tunnels are closed. Returns `false` if the thread panicked.
    pub(crate) fn join(&self) -> bool {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.is_none_or(|thread| thread.join().is_ok())
    }
}

#[cfg(feature = "tunnel")]
fn spawn(remote: &Remote<AppNote>) -> Result<Option<JoinHandle<()>>, Failure> {
    Ok(Some(drupe_ssh::spawn_thread(remote)?))
}

/// Checks the files of all tunnels.
///
/// # Errors
/// The first file that is missing or invalid.
#[cfg(feature = "tunnel")]
pub(crate) fn check(resolved: &Resolved) -> Result<(), SettingsError> {
    use drupe_core::tunnel::{Tunnel, TunnelFailure};
    for Tunnel { name, ssh, .. } in &resolved.plan.config.tunnels {
        drupe_ssh::check(ssh).map_err(|error| {
            let part = if error.failure == TunnelFailure::HostKey { "known_hosts" } else { "ssh_key_path" };
            resolved.blame(&format!("tunnels.{name}.{part}"), error.words)
        })?;
    }
    Ok(())
}

#[cfg(not(feature = "tunnel"))]
fn spawn(_: &Remote<AppNote>) -> Result<Option<JoinHandle<()>>, Failure> {
    Err("this program was built without tunnels".into())
}

/// Refuses a configuration with tunnels.
///
/// # Errors
/// If there is a tunnel.
#[cfg(not(feature = "tunnel"))]
pub(crate) fn check(resolved: &Resolved) -> Result<(), SettingsError> {
    let Some(tunnel) = resolved.plan.config.tunnels.first() else { return Ok(()) };
    let words = "this program was built without tunnels; build it with the feature `tunnel`";
    Err(resolved.blame(&format!("tunnels.{}", tunnel.name), words.into()))
}
