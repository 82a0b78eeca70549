//! The accounts that all workers share, and the request queue of the thread that refreshes keys.

use drupe_core::app::AppNote;
use drupe_core::kit::auth::{Account, Accounts, KeySet, LateAnswer, Lookup, Provider, TokenError, Verdict};
use drupe_core::settings::KeySetUrl;
use drupe_core::{ConnId, UnixTime};
use drupe_shell::Remote;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of tokens that wait for a fetch. Others are refused at once.
const WAITING_MAX: usize = 1_024;

/// Accounts that a reload replaces for all workers. The lock is held only to copy a pointer.
#[derive(Clone)]
pub(crate) struct SharedAccounts {
    accounts: Arc<Mutex<Arc<Accounts>>>,
    /// Sender of requests to the thread that fetches keys.
    wanted: SyncSender<Wanted>,
    /// A handle to the worker that uses these accounts. `None` before `of_worker`.
    remote: Option<Remote<AppNote>>,
}

impl SharedAccounts {
    /// Returns the same accounts for a worker, to which late verdicts are sent through `remote`.
    pub(crate) fn of_worker(&self, remote: Remote<AppNote>) -> Self {
        Self { remote: Some(remote), ..self.clone() }
    }

    pub(crate) fn new(accounts: Accounts, wanted: SyncSender<Wanted>) -> Self {
        Self { accounts: Arc::new(Mutex::new(Arc::new(accounts))), wanted, remote: None }
    }

    /// Replaces the public keys that verify tokens.
    pub(crate) fn replace_keys(&self, keys: &Arc<KeySet>) {
        loop {
            let before = self.current();
            let after = Arc::new(before.with_key_set(Arc::clone(keys)));
            let mut accounts = self.lock();
            // A reload may have replaced the accounts meanwhile.
            if Arc::ptr_eq(&accounts, &before) {
                *accounts = after;
                return;
            }
        }
    }

    /// Sends a new source of keys to the thread that fetches them.
    pub(crate) fn source_changed(&self, source: Option<KeySetUrl>) {
        // The thread ends with the process only.
        let _ = self.wanted.send(Wanted::Source(source));
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

/// A request to the thread that refreshes the keys.
pub(crate) enum Wanted {
    /// Verify a token with an unknown key again, after a fetch unless the last fetch is too recent.
    Verdict { conn: ConnId, token: String, remote: Remote<AppNote> },
    /// Fetch the keys from this URL from now on. `None`: fetch no keys.
    Source(Option<KeySetUrl>),
}

/// A note with an answer about a connection, for the authentication layer.
pub(crate) struct AnswerNote(pub(crate) ConnId, pub(crate) LateAnswer);

/// Creates the request queue of the thread that refreshes the keys.
pub(crate) fn queue() -> (SyncSender<Wanted>, Receiver<Wanted>) {
    sync_channel(WAITING_MAX)
}

impl Provider<AppNote> for SharedAccounts {
    fn token(&mut self, conn: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        let accounts = self.current();
        let Some(tokens) = accounts.token_verifier() else { return accounts.verdict(token, now) };
        let result = tokens.identity(token, now);
        if let (Err(TokenError::UnknownKey), Some(remote)) = (&result, &self.remote) {
            let wanted = Wanted::Verdict { conn, token: token.to_owned(), remote: remote.clone() };
            if self.wanted.try_send(wanted).is_ok() {
                return Verdict::Pending;
            }
        }
        result.into()
    }

    fn note(&mut self, note: AppNote) -> Result<(ConnId, LateAnswer), AppNote> {
        note.downcast().map(|AnswerNote(conn, answer)| (conn, answer))
    }

    fn account(&mut self, _: ConnId, user: &str) -> Lookup {
        self.current().account(user).into()
    }

    fn confirm(&mut self, account: Account) -> Option<Account> {
        self.current().confirm(&account)
    }

    fn iterations(&mut self) -> u32 {
        self.current().iterations()
    }
}
