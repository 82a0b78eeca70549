//! Reloading the configuration while the server runs.

use crate::arguments::SourceArguments;
use crate::failure::Failure;
use crate::handler::Parts;
use crate::tunnels::Tunnels;
use crate::{concerns, keys, systemd};
use drupe_core::Command;
use drupe_core::app::AppNote;
use drupe_core::settings::Resolved;
use drupe_core::trace::FlightRecorder;
use drupe_shell::Remote;
use std::sync::mpsc;
use tracing::Level;

/// Suffix of the reported changes that take effect only after a restart.
const WITH_THE_NEXT_START: &str = "(after a restart)";

/// The reloader of the configuration. An invalid configuration changes nothing.
pub(crate) struct Reload {
    arguments: SourceArguments,
    current: Resolved,
    parts: Parts,
    tunnels: Tunnels,
    remote: Remote<AppNote>,
    recorder: Option<FlightRecorder>,
}

impl Reload {
    pub(crate) const fn new(
        arguments: SourceArguments,
        current: Resolved,
        parts: Parts,
        tunnels: Tunnels,
        remote: Remote<AppNote>,
        recorder: Option<FlightRecorder>,
    ) -> Self {
        Self { arguments, current, parts, tunnels, remote, recorder }
    }

    /// Reloads the configuration, and logs an error if that fails. Blocks the signal thread.
    pub(crate) fn run(&mut self) {
        systemd::reloading();
        if let Err(failure) = self.reload() {
            self.parts.logs().operation(Level::ERROR, &format!("nothing was reloaded: {failure}"));
            let _ = self.remote.command(Command::ReloadFailed);
        }
        systemd::ready();
    }

    fn reload(&mut self) -> Result<(), Failure> {
        let mut newer = self.arguments.resolve(self.parts.catalog())?;
        newer.plan.keep_cluster(&self.current.plan.config);
        let config = self.parts.load(&newer)?;
        self.tunnels.start_for(&config, &self.remote)?;
        let prepared = self.parts.prepare(&newer.plan, &self.current.plan)?;
        concerns::log(&newer, self.parts.logs());
        let (send, outcome) = mpsc::channel();
        let accounts = self.parts.accounts.clone();
        self.remote.reconfigure(config, move |outcome| {
            // This runs on a serving thread, so it only swaps what is ready.
            let outcome = outcome.map(|addresses| (addresses, prepared.apply(&accounts)));
            let _ = send.send(outcome);
        })?;
        // The server may end before it has applied the configuration.
        let Ok(outcome) = outcome.recv() else { return Ok(()) };
        let (addresses, _) = outcome?;
        if let Some(recorder) = &self.recorder {
            recorder.configured(newer.explain());
        }
        self.parts.accounts.source_changed(keys::url(&newer.plan, keys::OF_ACCOUNTS));
        for (tokens, set) in self.parts.keys.iter() {
            set.source_changed(keys::url(&newer.plan, tokens));
        }
        if let Some(authentication) = &newer.plan.authentication {
            self.parts.accounts.set_iterations(authentication.iterations);
        }
        let logs = self.parts.logs();
        logs.set_levels(&newer.plan.log);
        for change in self.current.changes(&newer) {
            // Warns of changes that are configured but not in effect.
            let level = if change.ends_with(WITH_THE_NEXT_START) { Level::WARN } else { Level::INFO };
            logs.operation(level, &format!("changed: {change}"));
        }
        logs.operation(Level::INFO, &format!("reloaded; listening on {}", listened_at(&addresses).join(", ")));
        self.current = newer;
        Ok(())
    }
}

/// Returns the addresses without those of tunnels, which the log shows once they listen.
pub(crate) fn listened_at(addresses: &[String]) -> Vec<&str> {
    addresses.iter().map(String::as_str).filter(|address| !address.contains("?tunnel=")).collect()
}
