//! The file of the host key.

use super::error::ServeError;
use super::key_text::parse_host_key;
use crate::identity::expand;
use drupe_core::files;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{HashAlg, PrivateKey};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The host key of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostKey {
    /// The path of its file.
    pub path: String,
    /// Its fingerprint, as `ssh` shows it: `SHA256:` and the hash in base64.
    pub fingerprint: String,
    /// Whether it was created just now.
    pub is_new: bool,
}

/// Reads the host key. Creates it if the file does not exist.
pub(super) fn read_or_create(path: &str) -> Result<(PrivateKey, HostKey), ServeError> {
    let place = expand(path);
    let (key, is_new) = match read(&place)? {
        Some(key) => (key, false),
        None => (create(&place)?, true),
    };
    let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
    Ok((key, HostKey { path: place.display().to_string(), fingerprint, is_new }))
}

/// Reads the host key. Returns `None` if the file does not exist.
pub(super) fn read(path: &Path) -> Result<Option<PrivateKey>, ServeError> {
    let wrong = |words: String| ServeError::host_key(path, words);
    let text = match files::read_text(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| wrong(format!("the host key can't be read: {error}")))?,
    };
    let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode()) & 0o777;
    if mode & 0o077 != 0 {
        let shown = path.display();
        return Err(wrong(format!("the host key is accessible to others (its mode is {mode:04o}): chmod 600 {shown}")));
    }
    parse_host_key(&text).map(Some).map_err(wrong)
}

/// Creates a key in a file that does not exist yet.
fn create(path: &Path) -> Result<PrivateKey, ServeError> {
    let wrong = |words: String| ServeError::host_key(path, format!("the host key can't be created: {words}"));
    let seed = drupe_shell::secret().map_err(|error| wrong(error.to_string()))?;
    let key = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), "drupe")
        .map_err(|error| wrong(error.to_string()))?;
    let text = key.to_openssh(LineEnding::LF).map_err(|error| wrong(error.to_string()))?;
    match write_new(path, text.as_bytes()) {
        Ok(()) => Ok(key),
        // Another process has created it meanwhile.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| wrong("it was removed just now".into()))
        }
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Writes a file with mode 0600. It appears complete or not at all, and replaces no other file.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Servers of one process may do this at the same time, and one that was killed may have left a file.
    let [a, b, c, d, ..] = drupe_shell::secret()?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{:08x}.new", u32::from_be_bytes([a, b, c, d])));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::hard_link(&temporary, path)
    });
    let removed = fs::remove_file(&temporary);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::read_or_create;
    use std::collections::BTreeSet;
    use std::sync::Barrier;
    use std::{fs, thread};

    #[test]
    fn servers_that_start_at_the_same_time_have_one_host_key() {
        let directory = std::env::temp_dir().join(format!("drupe-host-key-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("created");
        let path = directory.join("key");
        let (path, barrier) = (path.to_str().expect("text"), Barrier::new(8));
        let fingerprints: BTreeSet<String> = thread::scope(|scope| {
            let start = || {
                barrier.wait();
                read_or_create(path).expect("a key").1.fingerprint
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            all.into_iter().map(|one| one.join().expect("it does not panic")).collect()
        });
        assert_eq!(fingerprints.len(), 1);
        assert_eq!(fs::read_dir(&directory).expect("it is there").count(), 1, "nothing else is left");
        fs::remove_dir_all(directory).expect("it is ours");
    }
}
