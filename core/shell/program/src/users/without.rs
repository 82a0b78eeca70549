//! The store of users of a program that was built without it: a configuration with one is refused.

use super::KEY;
use crate::failure::Failure;
use crate::logs::Logs;
use drupe_core::ConnId;
use drupe_core::app::AppNote;
use drupe_core::kit::auth::{Accounts, Lookup, Registration};
use drupe_core::settings::{Resolved, SettingsError};
use drupe_shell::Remote;
use std::sync::Arc;

/// The open store, of which there is none.
#[derive(Clone)]
pub(crate) enum Users {}

/// Refuses a configuration with a store.
pub(crate) fn check(resolved: &Resolved) -> Result<(), SettingsError> {
    let store = resolved.plan.authentication.as_ref().and_then(|plan| plan.store.as_ref());
    let words = "this program was built without a store of users; build it with the feature `users`";
    store.map_or(Ok(()), |_| Err(resolved.blame(KEY, words.into())))
}

/// Refuses a configuration with a store.
pub(crate) fn open(resolved: &Resolved, _: &Logs) -> Result<Option<Users>, Failure> {
    check(resolved)?;
    Ok(None)
}

impl Users {
    pub(crate) const fn secret(&self) -> [u8; 32] {
        match *self {}
    }

    pub(crate) const fn iterations(&self) -> u32 {
        match *self {}
    }

    pub(crate) const fn set_iterations(&self, _: u32) {
        match *self {}
    }

    pub(crate) const fn look_up(&self, _: ConnId, _: &str, _: &Remote<AppNote>) -> Lookup {
        match *self {}
    }

    pub(crate) fn register(&self, _: ConnId, _: (&str, &str), _: Arc<Accounts>, _: &Remote<AppNote>) -> Registration {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drupe_core::settings::Sources;

    #[test]
    #[allow(clippy::expect_used, reason = "a test fails where its assumption does")]
    fn store_is_an_error_at_its_key() {
        let resolved = |text: &str| Sources::new().file("drupe.yaml", text).resolve().expect("good");
        let with = "authentication:\n  enabled: true\n  store: users.db\n";
        let error = check(&resolved(with)).expect_err("there is no store").to_string();
        assert!(error.starts_with("drupe.yaml:3: authentication.store: ") && error.contains("`users`"), "{error}");
        assert_eq!(check(&resolved("authentication: { enabled: true, shared_password: x }")), Ok(()));
    }
}
