//! Errors of the store: what is wrong with which file, and what the operator can do.

use rusqlite::ErrorCode;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a store, as far as it determines the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no such file.
    Missing,
    /// The file is empty.
    Empty,
    /// The directory of the file does not exist.
    NoDirectory,
    /// It is a directory, a pipe or a device.
    NotAFile,
    /// It is not a database of SQLite.
    NotADatabase,
    /// Another program has created this database.
    Foreign,
    /// A newer version of this program has created it, with this version of the tables.
    Newer(i64),
    /// The content is inconsistent.
    Damaged,
    /// Another program has locked it for longer than the store waits.
    Locked,
    /// The disk, or a quota, is full.
    Full,
    /// The process may not write the file or its directory.
    NotWritable,
    /// Anything else, such as a failing disk.
    Other,
}

/// The error of an operation on a store. Its text has the path, the cause and the remedy.
#[derive(Debug)]
pub(crate) struct StoreError {
    path: PathBuf,
    pub(crate) fault: Fault,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    pub(crate) fn new(path: &Path, fault: Fault) -> Self {
        Self { path: path.into(), fault, cause: None }
    }

    pub(crate) fn because(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    pub(crate) fn of_sqlite(path: &Path, error: rusqlite::Error) -> Self {
        Self::new(path, fault(&error)).because(error)
    }

    /// Creates the error of a file that the system can't open, create or examine.
    pub(crate) fn of_system(path: &Path, error: io::Error) -> Self {
        let fault = match error.kind() {
            io::ErrorKind::NotFound => Fault::Missing,
            io::ErrorKind::NotADirectory => Fault::NoDirectory,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Fault::NotWritable,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Full,
            _ => Fault::Other,
        };
        Self::new(path, fault).because(error)
    }
}

fn fault(error: &rusqlite::Error) -> Fault {
    let code = match error {
        rusqlite::Error::SqliteFailure(error, _) => error.code,
        // A column has another type than this program stores.
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => return Fault::Damaged,
        _ => return Fault::Other,
    };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Fault::Locked,
        ErrorCode::DiskFull => Fault::Full,
        ErrorCode::DatabaseCorrupt => Fault::Damaged,
        ErrorCode::NotADatabase => Fault::NotADatabase,
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Fault::NotWritable,
        _ => Fault::Other,
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, remedy) = match self.fault {
            Fault::Missing => {
                ("there is no such file", "check the path; a server or the command `user add` creates it")
            }
            Fault::Empty => ("it is empty", "start the server or use `user add`, which create a store in it"),
            Fault::NoDirectory => ("its directory does not exist", "create the directory first"),
            Fault::NotAFile => ("it is a directory or a device, and not a file", "choose another file"),
            Fault::NotADatabase => {
                ("it is not a database, or its first page is damaged", "choose another file, or restore a backup")
            }
            Fault::Foreign => ("it is the database of another program", "choose another file"),
            Fault::Newer(_) => ("a newer version of this program has created it", "use that version"),
            Fault::Damaged => ("it is damaged", "restore a backup, or move the file away for an empty store"),
            Fault::Locked => ("another program has locked it", "end that program, or try again later"),
            Fault::Full => ("the disk is full", "make room on it"),
            Fault::NotWritable => {
                ("it can't be opened or written", "allow this process to read and write the file and its directory")
            }
            Fault::Other => ("it can't be used", "check the file and its disk"),
        };
        write!(f, "{}: {what}", self.path.display())?;
        match (&self.cause, self.fault) {
            (_, Fault::Newer(version)) => write!(f, " (version {version} of the tables)")?,
            (Some(cause), _) => write!(f, " ({cause})")?,
            (None, _) => {}
        }
        write!(f, "; {remedy}")
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
