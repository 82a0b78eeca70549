//! The store of users of a server: opened at the start, and asked through a queue.

use super::KEY;
use super::error::{Fault, StoreError};
use super::store::{IfMissing, PATIENCE, UserStore};
use super::thread::{NewUser, Queue};
use crate::failure::Failure;
use crate::logs::Logs;
use drupe_core::ConnId;
use drupe_core::app::AppNote;
use drupe_core::kit::auth::{Accounts, Lookup, Registration};
use drupe_core::settings::{AuthenticationPlan, Resolved, SettingsError};
use drupe_shell::Remote;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing::Level;

/// A handle to the thread with the open store, for all workers.
#[derive(Clone)]
pub(crate) struct Users {
    queue: Queue,
    secret: [u8; 32],
    /// Number of iterations of the password hash of new users.
    iterations: Arc<AtomicU32>,
}

/// Returns the part of a configuration about authentication, and the path of its store.
fn configured(resolved: &Resolved) -> Option<(&AuthenticationPlan, &Path)> {
    let plan = resolved.plan.authentication.as_ref()?;
    Some((plan, Path::new(plan.store.as_ref()?)))
}

/// Checks the store of a configuration, and creates none.
pub(crate) fn check(resolved: &Resolved) -> Result<(), SettingsError> {
    let Some((_, path)) = configured(resolved) else { return Ok(()) };
    match UserStore::open(path, IfMissing::Refuse, PATIENCE) {
        // The start creates what is missing, and a store that another program has locked is in use.
        Err(error) if !matches!(error.fault, Fault::Missing | Fault::Empty | Fault::Locked) => {
            Err(resolved.blame(KEY, error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Opens the store of a configuration, if it has one, and starts its thread.
pub(crate) fn open(resolved: &Resolved, logs: &Logs) -> Result<Option<Users>, Failure> {
    let Some((plan, path)) = configured(resolved) else { return Ok(None) };
    let blame = |error: StoreError| resolved.blame(KEY, error.to_string());
    let store = UserStore::open(path, IfMissing::Create, PATIENCE).map_err(blame)?;
    let count = store.count().map_err(blame)?;
    logs.operation(Level::INFO, &format!("{KEY}: {count} users in {}", path.display()));
    let (secret, iterations) = (store.secret(), Arc::new(AtomicU32::new(plan.iterations)));
    Ok(Some(Users { queue: Queue::start(store, logs)?, secret, iterations }))
}

impl Users {
    /// Returns the secret of the server's authentication.
    pub(crate) const fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// Returns the number of iterations of the password hash of new users.
    pub(crate) fn iterations(&self) -> u32 {
        self.iterations.load(Ordering::Relaxed)
    }

    pub(crate) fn set_iterations(&self, iterations: u32) {
        self.iterations.store(iterations, Ordering::Relaxed);
    }

    /// Looks up a user. The answer follows as a note to `remote`.
    pub(crate) fn look_up(&self, conn: ConnId, name: &str, remote: &Remote<AppNote>) -> Lookup {
        self.queue.look_up(conn, name, remote)
    }

    /// Registers a user, with a name and a password. The answer follows as a note to `remote`.
    ///
    /// The names of `configured`, and those that look like them, are taken.
    pub(crate) fn register(
        &self,
        conn: ConnId,
        (name, password): (&str, &str),
        configured: Arc<Accounts>,
        remote: &Remote<AppNote>,
    ) -> Registration {
        let (name, password, iterations) = (name.to_owned(), password.to_owned(), self.iterations());
        self.queue.register(conn, NewUser { name, password, iterations, configured }, remote)
    }
}
