//! Reverse SSH tunnels, if the program was built with them.

use drupe_core::app::AppNote;
use drupe_core::settings::{Resolved, SettingsError};
use drupe_shell::Remote;
use std::io;
use std::thread::JoinHandle;

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

/// Starts the thread of the tunnels, which ends when the server has ended.
#[cfg(feature = "tunnel")]
pub(crate) fn start(remote: &Remote<AppNote>) -> io::Result<Option<JoinHandle<()>>> {
    drupe_ssh::spawn_thread(remote).map(Some)
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

#[cfg(not(feature = "tunnel"))]
#[expect(clippy::unnecessary_wraps, reason = "with tunnels, starting them can fail")]
pub(crate) const fn start(_: &Remote<AppNote>) -> io::Result<Option<JoinHandle<()>>> {
    Ok(None)
}
