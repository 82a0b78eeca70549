//! The store of users: one file, a database of SQLite.
//!
//! When a function that changes something returns `Ok`, the change is on the disk, as far as the
//! disk keeps its promises: it outlives the process and a loss of power. When it returns an error,
//! nothing has changed. Other processes, such as the command `user` beside a running server, see a
//! change with their next call.
//!
//! The database has a rollback journal, which is the default of SQLite: all is in one file after
//! each change, so that a copy of that file is a backup, and changes are rare. It is synchronized
//! with `EXTRA`: with `FULL`, a change could be undone by a loss of power just after it, because the
//! removal of the journal might not be on the disk yet.
//!
//! Do not open the file of a store in this process, other than through SQLite. When a process closes
//! any descriptor of a file, it loses all its locks of that file (POSIX).

use super::error::{Fault, StoreError};
use drupe_core::UnixTime;
use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::names::confusable_key;
use drupe_shell::secret;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Statement, Transaction, TransactionBehavior, params};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{self, Path, PathBuf};
use std::time::Duration;

/// An open store.
pub(crate) struct UserStore {
    db: Connection,
    path: PathBuf,
    /// The device and the inode of the file when it was opened.
    file: (u64, u64),
    secret: [u8; 32],
}

/// What to do if there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// Creates it, with mode 0600.
    Create,
    Refuse,
}

/// The login data of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredUser {
    pub(crate) credentials: Credentials,
    pub(crate) scopes: Vec<String>,
}

/// A line of the list of users, without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedUser {
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created: UnixTime,
    /// Time of the last change of the password or the scopes.
    pub(crate) changed: UnixTime,
}

/// The outcome of adding a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Inserted,
    /// A user has this name, or one that looks like it.
    Taken,
}

/// Time for which the store waits for a lock of another process.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Marks a database as a store of users: `DrUs`.
const APPLICATION_ID: i64 = 0x4472_5573;
/// The version of the tables.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE users (
        name TEXT PRIMARY KEY,
        -- Equal for names that look alike.
        key TEXT NOT NULL UNIQUE,
        -- SCRAM-SHA-256 (RFC 5803).
        password TEXT NOT NULL,
        -- Separated by single spaces.
        scopes TEXT NOT NULL,
        -- Seconds since 1970.
        created INTEGER NOT NULL,
        changed INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE secret (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        bytes BLOB NOT NULL CHECK (length(bytes) = 32)
    ) STRICT;";

impl UserStore {
    /// Opens a store, checks it, and creates its tables in an empty file.
    ///
    /// Waits up to `patience` for locks of other processes, in each operation. Reads the whole file
    /// once.
    pub(crate) fn open(path: &Path, if_missing: IfMissing, patience: Duration) -> Result<Self, StoreError> {
        // SQLite takes a few relative paths, such as `:memory:`, for something else.
        let path = &path::absolute(path).map_err(|error| StoreError::of_system(path, error))?;
        prepare_file(path, if_missing)?;
        // Without `SQLITE_OPEN_URI`, a path is a path.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let blame = |error| StoreError::of_sqlite(path, error);
        let mut db = Connection::open_with_flags(path, flags).map_err(blame)?;
        db.busy_timeout(patience).map_err(blame)?;
        // SQLite opens a file that it may not write for reading.
        if db.is_readonly("main").map_err(blame)? {
            return Err(StoreError::new(path, Fault::NotWritable));
        }
        db.pragma_update(None, "synchronous", "EXTRA").map_err(blame)?;
        // Overwrites removed password hashes.
        db.pragma_update(None, "secure_delete", true).map_err(blame)?;
        // In one transaction: another process may be creating the tables.
        let reading = db.transaction().map_err(blame)?;
        let is_there = is_store(&reading, path)?;
        drop(reading);
        if !is_there {
            if if_missing == IfMissing::Refuse {
                return Err(StoreError::new(path, Fault::Empty));
            }
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(blame)?;
            // Another process may have created the tables meanwhile.
            if !is_store(&change, path)? {
                let secret = secret().map_err(|error| StoreError::of_system(path, error))?;
                create_tables(&change, &secret).map_err(blame)?;
            }
            change.commit().map_err(blame)?;
        }
        check_pages(&db, path)?;
        let select = db.query_row("SELECT bytes FROM secret", [], |row| row.get(0)).optional();
        let secret = select.map_err(blame)?.ok_or_else(|| damaged(path, "it has lost its secret"))?;
        let file = identity(path).map_err(|error| StoreError::of_system(path, error))?;
        Ok(Self { db, path: path.clone(), file, secret })
    }

    /// Returns the secret of the server's authentication, which was created with the store.
    pub(crate) const fn secret(&self) -> [u8; 32] {
        self.secret
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns `true` if the path names another file by now, or none.
    pub(crate) fn is_replaced(&self) -> bool {
        identity(&self.path).ok() != Some(self.file)
    }

    /// Sets how long each operation waits for locks of other processes.
    pub(crate) fn set_patience(&self, patience: Duration) -> Result<(), StoreError> {
        self.db.busy_timeout(patience).map_err(|error| self.blame(error))
    }

    /// Returns the login data of the user with exactly this name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<StoredUser>, StoreError> {
        let mut select = self.prepare("SELECT password, scopes FROM users WHERE name = ?1")?;
        let row = select.query_row([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        let Some((password, scopes)) = row.optional().map_err(|error| self.blame(error))? else { return Ok(None) };
        let words = |error| damaged(&self.path, format!("the password of the user {name}: {error}"));
        let credentials = Credentials::from_stored(&password).map_err(words)?;
        Ok(Some(StoredUser { credentials, scopes: split(&scopes) }))
    }

    /// Returns the name of the user with this name, or with one that looks like it.
    pub(crate) fn named_like(&self, name: &str) -> Result<Option<String>, StoreError> {
        let mut select = self.prepare("SELECT name FROM users WHERE key = ?1")?;
        select.query_row([confusable_key(name)], |row| row.get(0)).optional().map_err(|error| self.blame(error))
    }

    /// Adds a user. The scopes must contain no white space.
    pub(crate) fn insert(
        &self,
        name: &str,
        credentials: &Credentials,
        scopes: &[String],
        now: UnixTime,
    ) -> Result<Inserted, StoreError> {
        let sql = "INSERT INTO users (name, key, password, scopes, created, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
            ON CONFLICT DO NOTHING";
        let values = (name, confusable_key(name), credentials.to_stored(), scopes.join(" "), seconds(now));
        let count = self.prepare(sql)?.execute(values).map_err(|error| self.blame(error))?;
        Ok(if count == 1 { Inserted::Inserted } else { Inserted::Taken })
    }

    /// Sets the password of a user. Returns whether there is such a user.
    pub(crate) fn set_password(
        &self,
        name: &str,
        credentials: &Credentials,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let mut update = self.prepare("UPDATE users SET password = ?2, changed = ?3 WHERE name = ?1")?;
        let count = update.execute(params![name, credentials.to_stored(), seconds(now)]);
        Ok(count.map_err(|error| self.blame(error))? == 1)
    }

    /// Replaces the scopes of a user. Returns whether there is such a user.
    pub(crate) fn set_scopes(&self, name: &str, scopes: &[String], now: UnixTime) -> Result<bool, StoreError> {
        let mut update = self.prepare("UPDATE users SET scopes = ?2, changed = ?3 WHERE name = ?1")?;
        let count = update.execute(params![name, scopes.join(" "), seconds(now)]);
        Ok(count.map_err(|error| self.blame(error))? == 1)
    }

    /// Removes a user. Returns whether there was such a user.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let count = self.prepare("DELETE FROM users WHERE name = ?1")?.execute([name]);
        Ok(count.map_err(|error| self.blame(error))? == 1)
    }

    /// Returns all users, by name.
    pub(crate) fn list(&self) -> Result<Vec<ListedUser>, StoreError> {
        let mut select = self.prepare("SELECT name, scopes, created, changed FROM users ORDER BY name")?;
        let users = select.query_map([], listed).and_then(Iterator::collect);
        users.map_err(|error| self.blame(error))
    }

    /// Returns the number of users.
    pub(crate) fn count(&self) -> Result<u64, StoreError> {
        let mut select = self.prepare("SELECT count(*) FROM users")?;
        let count = select.query_row([], |row| row.get::<_, i64>(0)).map_err(|error| self.blame(error))?;
        Ok(count.cast_unsigned())
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, StoreError> {
        self.db.prepare(sql).map_err(|error| self.blame(error))
    }

    fn blame(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of_sqlite(&self.path, error)
    }

    #[cfg(test)]
    pub(super) const fn database(&self) -> &Connection {
        &self.db
    }
}

/// Checks that the file is a regular one, and creates it if it is missing and may be created.
fn prepare_file(path: &Path, if_missing: IfMissing) -> Result<(), StoreError> {
    let blame = |error| StoreError::of_system(path, error);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => return Err(StoreError::new(path, Fault::NotAFile)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(blame(error)),
        Err(_) => {}
    }
    if !path.parent().is_some_and(Path::is_dir) {
        return Err(StoreError::new(path, Fault::NoDirectory));
    }
    if if_missing == IfMissing::Refuse {
        return Err(StoreError::new(path, Fault::Missing));
    }
    // A new file has no locks yet that closing it could lose.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        // Another process may have created it meanwhile.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(blame(error)),
        _ => Ok(()),
    }
}

/// Returns whether a database is a store of this version, or `false` if it is empty.
fn is_store(db: &Connection, path: &Path) -> Result<bool, StoreError> {
    let blame = |error| StoreError::of_sqlite(path, error);
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(blame);
    match (number("PRAGMA application_id")?, number("PRAGMA user_version")?) {
        (APPLICATION_ID, VERSION) => Ok(true),
        (APPLICATION_ID, version) if version > VERSION => Err(StoreError::new(path, Fault::Newer(version))),
        (APPLICATION_ID, _) => Err(damaged(path, "it has no version")),
        (0, 0) if number("SELECT count(*) FROM sqlite_schema")? == 0 => Ok(false),
        _ => Err(StoreError::new(path, Fault::Foreign)),
    }
}

fn create_tables(change: &Transaction<'_>, secret: &[u8; 32]) -> Result<(), rusqlite::Error> {
    change.execute_batch(TABLES)?;
    change.execute("INSERT INTO secret (one, bytes) VALUES (1, ?1)", [secret])?;
    change.pragma_update(None, "application_id", APPLICATION_ID)?;
    change.pragma_update(None, "user_version", VERSION)
}

/// Checks the structure of all pages.
fn check_pages(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    let found = found.map_err(|error| StoreError::of_sqlite(path, error))?;
    if found == "ok" { Ok(()) } else { Err(damaged(path, found)) }
}

fn damaged(path: &Path, words: impl Into<String>) -> StoreError {
    StoreError::new(path, Fault::Damaged).because(words.into())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

fn listed(row: &Row<'_>) -> Result<ListedUser, rusqlite::Error> {
    let time = |column| row.get::<_, i64>(column).map(|secs| UnixTime::from_secs(secs.try_into().unwrap_or(0)));
    let scopes = split(&row.get::<_, String>(1)?);
    Ok(ListedUser { name: row.get(0)?, scopes, created: time(2)?, changed: time(3)? })
}

fn split(scopes: &str) -> Vec<String> {
    scopes.split_ascii_whitespace().map(str::to_owned).collect()
}

fn seconds(time: UnixTime) -> i64 {
    time.as_secs().try_into().unwrap_or(i64::MAX)
}
