//! The files of public keys that may log in.

use super::error::ServeError;
use super::key_text::{AuthorizedKeys, is_user};
use crate::identity::expand;
use drupe_core::files;
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum number of files in a directory.
const FILES_MAX: usize = 10_000;

/// Reads a file or a directory. In a directory, each file has the keys of the user of its name.
pub(super) fn read(path: &str) -> Result<AuthorizedKeys, ServeError> {
    let path = expand(path);
    let mut keys = AuthorizedKeys::default();
    let unreadable = |error: std::io::Error| ServeError::new(&path, format!("it can't be read: {error}"));
    if !fs::metadata(&path).map_err(unreadable)?.is_dir() {
        add_file(&mut keys, &path, None)?;
        return Ok(keys);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        // Editors and tools leave hidden files behind.
        if !file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            files.push(file);
        }
        if files.len() > FILES_MAX {
            return Err(ServeError::new(&path, format!("there are more than {FILES_MAX} files")));
        }
    }
    files.sort();
    for file in files {
        let user = file.file_name().and_then(|name| name.to_str()).filter(|name| is_user(name));
        let words = "the name of this file can't be the name of a user";
        let user = user.ok_or_else(|| ServeError::new(&file, words))?.to_owned();
        add_file(&mut keys, &file, Some(&user))?;
    }
    Ok(keys)
}

/// Adds the keys of a file. Without a user, the comment of each key names its user.
fn add_file(keys: &mut AuthorizedKeys, path: &Path, user: Option<&str>) -> Result<(), ServeError> {
    let text = files::read_text(path).map_err(|error| ServeError::new(path, format!("it can't be read: {error}")))?;
    keys.add_text(&text, user).map_err(|(number, words)| ServeError::at(path, number, words))
}
