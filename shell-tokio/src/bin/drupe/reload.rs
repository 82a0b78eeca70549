//! A configuration that is loaded anew while the server runs.

use crate::serve::{listened_at, warn_of_expiry};
use crate::sources::SourceArguments;
use crate::stack::Parts;
use crate::{Failure, systemd};
use drupe_tokio::Remote;
use drupe_tokio::core::settings::Resolved;
use drupe_tokio::core::{NoNote, Request};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Level;

/// Loads the configuration anew when it is asked to. What is wrong changes nothing.
pub(crate) struct Reload {
    arguments: SourceArguments,
    current: Arc<Mutex<Resolved>>,
    parts: Parts,
    remote: Remote<NoNote>,
}

impl Reload {
    pub(crate) fn new(arguments: SourceArguments, current: Resolved, parts: Parts, remote: Remote<NoNote>) -> Self {
        Self { arguments, current: Arc::new(Mutex::new(current)), parts, remote }
    }

    pub(crate) fn run(&self) {
        systemd::reloading();
        if let Err(failure) = self.begin() {
            self.parts.logs().operation(Level::ERROR, &format!("nothing was reloaded: {failure}"));
            let _ = self.remote.request(Request::ReloadFailed);
            systemd::ready();
        }
    }

    fn begin(&self) -> Result<(), Failure> {
        let newer = self.arguments.resolve()?;
        let config = self.parts.crypto().load(&newer)?;
        warn_of_expiry(&config, self.parts.logs());
        let (current, parts, remote) = (Arc::clone(&self.current), self.parts.clone(), self.remote.clone());
        self.remote.reconfigure(config, move |outcome| {
            let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
            let logs = parts.logs();
            match outcome.map_err(Failure::from).and_then(|addresses| {
                parts.accounts.replace(&newer.plan)?;
                Ok(addresses)
            }) {
                Ok(addresses) => {
                    logs.set_levels(&newer.plan.log);
                    for change in current.changes(&newer) {
                        logs.operation(Level::INFO, &format!("changed: {change}"));
                    }
                    logs.operation(
                        Level::INFO,
                        &format!("reloaded; listening on {}", listened_at(&addresses).join(", ")),
                    );
                    *current = newer;
                }
                Err(failure) => {
                    logs.operation(Level::ERROR, &format!("nothing was reloaded: {failure}"));
                    let _ = remote.request(Request::ReloadFailed);
                }
            }
            systemd::ready();
        })?;
        Ok(())
    }
}
