//! The threads that use the store while the server runs, and their queues.

use super::error::StoreError;
use super::store::{IfMissing, Inserted, PATIENCE, UserStore};
use crate::answer::AnswerNote;
use crate::failure::Failure;
use crate::logs::Logs;
use drupe_core::app::{AppIndex, AppNote};
use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::auth::{Account, Accounts, LateAnswer, Lookup, Registration};
use drupe_core::kit::names::confusable_key;
use drupe_core::{ConnId, Identity, UnixTime};
use drupe_shell::{Remote, secret};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use tracing::Level;

/// Maximum number of logins that wait for their thread. Others are refused at once.
const LOOKUPS_MAX: usize = 1_024;
/// Maximum number of registrations that wait for their thread, each of which takes milliseconds.
const REGISTRATIONS_MAX: usize = 64;
/// Minimum time between two attempts to reopen a store that does not work.
const REOPENED_EVERY: Duration = Duration::from_secs(1);
/// Minimum time between two reports of errors that have not ended meanwhile.
pub(super) const REPORTED_EVERY: Duration = Duration::from_secs(60);

const BUSY: &str = "the server is busy; try again later";
const BROKEN: &str = "users cannot be looked up now";
const NOT_STORED: &str = "users cannot be stored now";

/// A sender of requests to the two threads.
///
/// Registrations have a thread and an open store of their own, because each hashes a password:
/// no login waits for them, however many there are.
#[derive(Clone)]
pub(super) struct Queue {
    lookups: SyncSender<Request<String>>,
    registrations: SyncSender<Request<NewUser>>,
}

/// A request for a connection, and the worker that gets the answer.
struct Request<T> {
    conn: ConnId,
    content: T,
    remote: Remote<AppNote>,
}

/// A user who registers.
pub(super) struct NewUser {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) iterations: u32,
    /// The users of the configuration, whose names are taken.
    pub(super) configured: Arc<Accounts>,
}

impl Queue {
    /// Starts the threads, which end with the process.
    ///
    /// # Errors
    /// If the store cannot be opened again, or a thread cannot be started.
    pub(super) fn start(store: UserStore, logs: &Logs) -> Result<Self, Failure> {
        let second = UserStore::open(store.path(), IfMissing::Refuse, PATIENCE)?;
        let lookups = start("drupe-users", LOOKUPS_MAX, store, logs, |keeper: &mut Keeper, name: String| {
            keeper.look_up(&name, Instant::now()).into()
        })?;
        let register = |keeper: &mut Keeper, user| keeper.register(&user, Instant::now()).into();
        let registrations = start("drupe-register", REGISTRATIONS_MAX, second, logs, register)?;
        Ok(Self { lookups, registrations })
    }

    /// Requests the account of a user. The answer follows as a note to `remote`.
    pub(super) fn look_up(&self, conn: ConnId, name: &str, remote: &Remote<AppNote>) -> Lookup {
        let request = Request { conn, content: name.to_owned(), remote: remote.clone() };
        let is_queued = self.lookups.try_send(request).is_ok();
        if is_queued { Lookup::Pending } else { Lookup::Unavailable(BUSY.into()) }
    }

    /// Requests the registration of a user. The answer follows as a note to `remote`.
    pub(super) fn register(&self, conn: ConnId, user: NewUser, remote: &Remote<AppNote>) -> Registration {
        let request = Request { conn, content: user, remote: remote.clone() };
        let is_queued = self.registrations.try_send(request).is_ok();
        if is_queued { Registration::Pending } else { Registration::Refused(BUSY.into()) }
    }
}

/// Starts a thread that answers requests with a store of its own. Returns their sender.
fn start<T: Send + 'static>(
    name: &str,
    waiting_max: usize,
    store: UserStore,
    logs: &Logs,
    answer: impl Fn(&mut Keeper, T) -> LateAnswer + Send + 'static,
) -> io::Result<SyncSender<Request<T>>> {
    let (sender, requests) = sync_channel::<Request<T>>(waiting_max);
    let logs = logs.clone();
    let report = move |level, line: &str| logs.frequent_operation("users", level, line);
    let mut keeper = Keeper::new(store, PATIENCE, Box::new(report));
    let run = move || {
        while let Ok(Request { conn, content, remote }) = requests.recv() {
            let answer = answer(&mut keeper, content);
            // If the queue is full, the connection ends at its deadline.
            let _ = remote.note(AppNote::new(AppIndex::default(), AnswerNote(conn, answer)));
        }
    };
    thread::Builder::new().name(name.into()).spawn(run)?;
    Ok(sender)
}

/// The owner of an open store.
pub(super) struct Keeper {
    store: UserStore,
    /// Time to wait for locks, while the store works.
    patience: Duration,
    trouble: Option<Trouble>,
    report: Report,
}

/// A function that logs a line.
type Report = Box<dyn FnMut(Level, &str) + Send>;

/// Errors since the store worked last.
struct Trouble {
    /// Number of requests that failed.
    failed: u64,
    reported: Instant,
    /// Time of the last attempt to reopen the store, or of the first error.
    opened: Instant,
}

impl Keeper {
    pub(super) fn new(store: UserStore, patience: Duration, report: Report) -> Self {
        Self { store, patience, trouble: None, report }
    }

    pub(super) fn look_up(&mut self, name: &str, now: Instant) -> Lookup {
        let Some(found) = self.with_store(now, |store| store.find(name)) else {
            return Lookup::Unavailable(BROKEN.into());
        };
        let account = found.map(|user| {
            let scopes = user.scopes.iter().map(String::as_str);
            Account::new(user.credentials, Identity::user(name).with_scopes(scopes))
        });
        account.into()
    }

    pub(super) fn register(&mut self, user: &NewUser, now: Instant) -> Registration {
        let NewUser { name, password, iterations, configured } = user;
        let key = confusable_key(name);
        if configured.users().any(|other| confusable_key(other) == key) {
            return Registration::NameTaken;
        }
        // A taken name costs no hash.
        match self.with_store(now, |store| store.named_like(name)) {
            None => return Registration::Refused(NOT_STORED.into()),
            Some(Some(_)) => return Registration::NameTaken,
            Some(None) => {}
        }
        let Ok(salt) = secret() else { return Registration::Refused(NOT_STORED.into()) };
        let credentials = match Credentials::new(password, &salt[..16], *iterations) {
            Ok(credentials) => credentials,
            Err(error) => return Registration::Refused(error.to_string().into()),
        };
        match self.with_store(now, |store| store.insert(name, &credentials, &[], unix_time())) {
            None => Registration::Refused(NOT_STORED.into()),
            // Another process was faster.
            Some(Inserted::Taken) => Registration::NameTaken,
            Some(Inserted::Inserted) => {
                (self.report)(Level::INFO, &format!("the user {name} has registered"));
                Registration::Registered(Account::new(credentials, Identity::user(name)).into())
            }
        }
    }

    /// Uses the store. Reports an error, and returns `None` then.
    fn with_store<T>(&mut self, now: Instant, work: impl FnOnce(&UserStore) -> Result<T, StoreError>) -> Option<T> {
        match self.reopen_if_due(now).and_then(|()| work(&self.store)) {
            Ok(value) => {
                self.end_trouble();
                Some(value)
            }
            Err(error) => {
                self.add_trouble(now, &error);
                None
            }
        }
    }

    /// Reopens the store if its file was replaced, such as after a backup was restored.
    ///
    /// SQLite would otherwise write to a file that has no name any more. A store that does not work
    /// is reopened too, because its content may have been replaced.
    fn reopen_if_due(&mut self, now: Instant) -> Result<(), StoreError> {
        let is_replaced = self.store.is_replaced();
        let is_due = |trouble: &Trouble| now.saturating_duration_since(trouble.opened) >= REOPENED_EVERY;
        if !is_replaced && !self.trouble.as_ref().is_some_and(is_due) {
            return Ok(());
        }
        if let Some(trouble) = &mut self.trouble {
            trouble.opened = now;
        }
        self.store = UserStore::open(self.store.path(), IfMissing::Refuse, self.current_patience())?;
        if is_replaced {
            let path = self.store.path().display();
            (self.report)(Level::WARN, &format!("authentication.store: {path} was replaced, and is open again"));
        }
        Ok(())
    }

    /// Returns no patience during trouble: all waiting requests would wait in turn.
    fn current_patience(&self) -> Duration {
        if self.trouble.is_some() { Duration::ZERO } else { self.patience }
    }

    fn add_trouble(&mut self, now: Instant, error: &StoreError) {
        let is_reported = match &mut self.trouble {
            None => {
                self.trouble = Some(Trouble { failed: 1, reported: now, opened: now });
                let _ = self.store.set_patience(Duration::ZERO);
                true
            }
            Some(trouble) => {
                trouble.failed += 1;
                let is_due = now.saturating_duration_since(trouble.reported) >= REPORTED_EVERY;
                if is_due {
                    trouble.reported = now;
                }
                is_due
            }
        };
        if is_reported {
            (self.report)(Level::ERROR, &format!("authentication.store: {error}"));
        }
    }

    fn end_trouble(&mut self) {
        let Some(Trouble { failed, .. }) = self.trouble.take() else { return };
        let _ = self.store.set_patience(self.patience);
        let words = format!("authentication.store: it works again; {failed} requests failed");
        (self.report)(Level::INFO, &words);
    }
}

/// Returns the time of day; 1970 if the clock is before.
pub(super) fn unix_time() -> UnixTime {
    UnixTime::from_secs(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs())
}
