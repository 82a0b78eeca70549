//! The accounts that all workers share.
//!
//! The users of the configuration come first. Other users are those of the [store](crate::users), if
//! there is one.

use crate::answer::AnswerNote;
use crate::shared_keys::{Keys, Wanted};
use crate::users::Users;
use drupe_core::app::{AppIndex, AppNote};
use drupe_core::kit::auth::{
    Account, Accounts, KeySet, LateAnswer, Lookup, Provider, Registration, TokenError, Verdict,
};
use drupe_core::settings::KeySetUrl;
use drupe_core::{ConnId, UnixTime};
use drupe_shell::Remote;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Accounts that a reload replaces for all workers. The lock is held only to copy a pointer.
#[derive(Clone)]
pub(crate) struct SharedAccounts {
    accounts: Arc<Mutex<Arc<Accounts>>>,
    /// Sender of requests to the thread that fetches keys.
    wanted: SyncSender<Wanted>,
    /// The store of further users, if there is one.
    users: Option<Users>,
    /// A handle to the worker that uses these accounts. `None` before `of_worker`.
    remote: Option<Remote<AppNote>>,
}

impl SharedAccounts {
    /// Returns the same accounts for a worker, to which late verdicts are sent through `remote`.
    pub(crate) fn of_worker(&self, remote: Remote<AppNote>) -> Self {
        Self { remote: Some(remote), ..self.clone() }
    }

    pub(crate) fn new(accounts: Accounts, wanted: SyncSender<Wanted>, users: Option<Users>) -> Self {
        Self { accounts: Arc::new(Mutex::new(Arc::new(accounts))), wanted, users, remote: None }
    }

    /// Sends a new source of keys to the thread that fetches them.
    pub(crate) fn source_changed(&self, source: Option<KeySetUrl>) {
        // The thread ends with the process only.
        let _ = self.wanted.send(Wanted::Source(source));
    }

    /// Sets the number of iterations of the password hash of users who register from now on.
    pub(crate) fn set_iterations(&self, iterations: u32) {
        if let Some(users) = &self.users {
            users.set_iterations(iterations);
        }
    }

    /// Replaces the accounts. Returns the previous ones, which no serving thread should drop.
    pub(crate) fn exchange(&self, accounts: Arc<Accounts>) -> Arc<Accounts> {
        core::mem::replace(&mut *self.lock(), accounts)
    }

    pub(crate) fn current(&self) -> Arc<Accounts> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Accounts>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys for SharedAccounts {
    fn current(&self) -> Option<Arc<KeySet>> {
        Self::current(self).token_verifier()?.shared_keys()
    }

    fn replace(&self, keys: &Arc<KeySet>) {
        loop {
            let before = Self::current(self);
            let after = Arc::new(before.with_key_set(Arc::clone(keys)));
            let mut accounts = self.lock();
            // A reload may have replaced the accounts meanwhile.
            if Arc::ptr_eq(&accounts, &before) {
                *accounts = after;
                return;
            }
        }
    }
}

impl Provider<AppNote> for SharedAccounts {
    fn token(&mut self, conn: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        let accounts = Self::current(self);
        let Some(tokens) = accounts.token_verifier() else { return accounts.verdict(token, now) };
        let result = tokens.identity(token, now);
        if let (Err(TokenError::UnknownKey), Some(remote)) = (&result, &self.remote) {
            let (accounts, token, remote) = (self.clone(), token.to_owned(), remote.clone());
            let wanted = Wanted::Now(Box::new(move || {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
                let now = now.map(|since| UnixTime::from_secs(since.as_secs()));
                let verdict = Self::current(&accounts).verdict(&token, now);
                // If the queue is full, the connection ends at its deadline.
                let _ = remote.note(AppNote::new(AppIndex::default(), AnswerNote(conn, verdict.into())));
            }));
            if self.wanted.try_send(wanted).is_ok() {
                return Verdict::Pending;
            }
        }
        result.into()
    }

    fn note(&mut self, note: AppNote) -> Result<(ConnId, LateAnswer), AppNote> {
        note.downcast().map(|AnswerNote(conn, answer)| (conn, answer))
    }

    fn public_key(&mut self, _: ConnId, user: &str, key: &str) -> Verdict {
        Self::current(self).key_verdict(user, key)
    }

    fn account(&mut self, conn: ConnId, user: &str) -> Lookup {
        let accounts = Self::current(self);
        match (accounts.account(user), &self.users, &self.remote) {
            // A user of the configuration without a password is not one of the store.
            (None, Some(users), Some(remote)) if !accounts.has_user(user) => users.look_up(conn, user, remote),
            (account, ..) => account.into(),
        }
    }

    /// Returns the current account of a user of the configuration.
    ///
    /// The account of another user stays as it was looked up, a moment ago: a change of the store
    /// applies to the next login.
    fn confirm(&mut self, account: Account) -> Option<Account> {
        let current = Self::current(self);
        let user = &account.identity.user;
        if self.users.is_some() && !current.has_user(user) && current.credentials(user).is_none() {
            return Some(account);
        }
        current.confirm(&account)
    }

    /// Returns the iterations of a user who registers, if there is a store.
    fn iterations(&mut self) -> u32 {
        self.users.as_ref().map_or_else(|| Self::current(self).iterations(), Users::iterations)
    }

    fn register(&mut self, conn: ConnId, user: &str, password: &str) -> Registration {
        match (&self.users, &self.remote) {
            (Some(users), Some(remote)) => users.register(conn, (user, password), Self::current(self), remote),
            _ => Registration::Refused("nobody can register here".into()),
        }
    }
}
