//! The texts of public keys that may log in, and of the host key.
//!
//! This file does no I/O and uses nothing else of this crate, because the fuzz target `ssh_keys` compiles it as well.

use drupe_core::wire::ssh::SshLogin;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use std::collections::BTreeMap;

/// The beginnings of the names of key types. Anything else at the beginning of a line is an option.
const KEY_TYPES: [&str; 3] = ["ssh-", "ecdsa-", "sk-"];

/// The keys of each user.
#[derive(Debug, Default)]
pub(super) struct AuthorizedKeys(BTreeMap<String, Vec<KeyData>>);

impl AuthorizedKeys {
    /// Adds the keys of a file's text. Without a user, the comment of each key names its user.
    ///
    /// # Errors
    /// The number of the first line that is not a key that may log in, from 1, and what is wrong with it. The keys of the lines
    /// before it stay.
    pub(super) fn add_text(&mut self, text: &str, user: Option<&str>) -> Result<(), (usize, String)> {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (user, key) = parse(line, user).map_err(|words| (number, words))?;
            self.0.entry(user).or_default().push(key);
        }
        Ok(())
    }

    /// Returns `true` if the key is one of the user's.
    pub(super) fn has(&self, user: &str, key: &PublicKey) -> bool {
        self.0.get(user).is_some_and(|keys| keys.contains(key.key_data()))
    }
}

/// Returns `true` if a text can be the name of a user.
pub(super) fn is_user(name: &str) -> bool {
    !name.is_empty() && name.len() <= SshLogin::USER_MAX_BYTES && !name.chars().any(char::is_control)
}

/// Returns a key as in a line of `authorized_keys`, without a comment. `None` for types that are not supported.
pub(super) fn text_of(key: &PublicKey) -> Option<String> {
    let key = PublicKey::new(key.key_data().clone(), "");
    is_supported(&key).then(|| key.to_openssh().ok()).flatten()
}

/// Parses a host key.
///
/// # Errors
/// If it is not a private key that a server may have.
pub(super) fn parse_host_key(text: &str) -> Result<PrivateKey, String> {
    let key = russh::keys::decode_secret_key(text, None)
        .map_err(|error| format!("it is not a host key without a passphrase in OpenSSH's format: {error}"))?;
    if !matches!(key.algorithm(), Algorithm::Ed25519 | Algorithm::Ecdsa { .. }) {
        return Err("host keys are of the type ed25519 or ecdsa: create one with ssh-keygen -t ed25519".into());
    }
    Ok(key)
}

/// Returns `true` for the types of keys that may log in.
fn is_supported(key: &PublicKey) -> bool {
    matches!(
        key.algorithm(),
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
    )
}

/// Parses a line of OpenSSH's format `authorized_keys`. Returns the user and the key.
fn parse(line: &str, user: Option<&str>) -> Result<(String, KeyData), String> {
    if !KEY_TYPES.iter().any(|kind| line.starts_with(kind)) {
        return Err("options in front of a key are not supported: begin the line with the type of the key".into());
    }
    let key = PublicKey::from_openssh(line).map_err(|error| format!("it is not a public key: {error}"))?;
    if !is_supported(&key) {
        let kind = key.algorithm();
        return Err(format!("keys of the type {kind} are not supported: create one with ssh-keygen -t ed25519"));
    }
    let comment = line.splitn(3, char::is_whitespace).nth(2).unwrap_or_default().trim();
    let user = match user {
        Some(user) => user,
        None => comment.split('@').next().unwrap_or_default(),
    };
    if !is_user(user) {
        return Err("the comment of the key must name its user, such as ann or ann@laptop".into());
    }
    Ok((user.to_owned(), key.key_data().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn comment_names_the_user_up_to_the_at_sign() {
        let user = |comment: &str| parse(&format!("{KEY} {comment}"), None).map(|(user, _)| user);
        assert_eq!(user("ann"), Ok("ann".into()));
        assert_eq!(user("ann@laptop"), Ok("ann".into()));
        assert_eq!(user("ann b@laptop of ann"), Ok("ann b".into()));
        assert_eq!(parse(&format!("{KEY} x@y"), Some("bob")).map(|(user, _)| user), Ok("bob".into()));
        for comment in ["", "@laptop", &"x".repeat(65)] {
            assert!(user(comment).is_err_and(|words| words.contains("must name its user")), "{comment}");
        }
    }

    #[test]
    fn options_and_malformed_keys_are_refused() {
        for (line, words) in [
            (format!("no-pty {KEY} ann"), "options"),
            (format!("from=\"10.0.0.0/8\" {KEY} ann"), "options"),
            (format!("cert-authority {KEY} ann"), "options"),
            ("ssh-ed25519 AAAA ann".into(), "not a public key"),
            ("ssh-ed25519".into(), "not a public key"),
        ] {
            let error = parse(&line, None).expect_err(&line);
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
