//! Reading `known_hosts` files, and appending new hosts.

use super::LinkError;
use super::host_key::{Files, how_to_add};
use super::identity::expand;
use drupe_core::files;
use drupe_core::tunnel::{Ssh, TunnelFailure};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Reads the `known_hosts` files. If new hosts are accepted, a missing file counts as empty.
pub(super) fn read(ssh: &Ssh) -> Result<Files, LinkError> {
    let wrong = |words: String| LinkError::new(TunnelFailure::HostKey, words);
    let mut files = Vec::new();
    for name in &ssh.known_hosts {
        let path = expand(name);
        let shown = path.display().to_string();
        let text = match files::read_text(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && ssh.accept_new => String::new(),
            read => read.map_err(|error| {
                let add = how_to_add(&ssh.host, ssh.port, &shown);
                wrong(format!("the file known_hosts {shown} can't be read: {error}; {add}"))
            })?,
        };
        files.push((shown, text));
    }
    if files.is_empty() {
        return Err(wrong("known_hosts names no file, so no server can be verified".into()));
    }
    Ok(Files(files))
}

/// Appends the line of a new host to a file.
pub(super) fn add(file: &str, line: &str) -> Result<(), String> {
    let file_path = Path::new(file);
    let added = OpenOptions::new().create(true).append(true).open(file).and_then(|mut file| {
        // The last line may lack a line feed.
        let ended = files::read(file_path, files::TEXT_MAX_BYTES).map(|text| text.last() != Some(&b'\n'));
        let gap = if ended.is_ok_and(|unended| unended && file.metadata().is_ok_and(|found| found.len() > 0)) {
            "\n"
        } else {
            ""
        };
        file.write_all([gap, line].concat().as_bytes())
    });
    added.map_err(|error| format!("the new host key can't be added to {file}: {error}"))
}
