//! Conversion of the settings of raw, delimited and custom wires, and of SSH.

use super::plan::problems::Problems;
use super::tree::{InvalidChoice, ListenerSettings, RawChoice, SshLoginChoice, SshModeChoice};
use super::words::quoted;
use crate::wire::ssh::{SshHost, SshServer};
use crate::wire::telnet::InputMode;
use crate::wire::{Custom, Delimited, Delimiter, InvalidUtf8, Protocol, Raw, RawMode, Wire};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

pub(super) fn raw(listener: &ListenerSettings) -> Raw {
    let mode = match listener.raw.clone().unwrap_or_default().mode {
        RawChoice::Bytes => RawMode::Bytes,
        RawChoice::Keys => RawMode::Keys,
    };
    Raw { mode }
}

/// Converts the settings of SSH. The program checks the files.
pub(super) fn ssh(listener: &ListenerSettings) -> SshServer {
    let ssh = listener.ssh.clone().unwrap_or_default();
    SshServer {
        host_key_path: ssh.host_key,
        authorized_keys_path: Some(ssh.authorized_keys).filter(|path| !path.is_empty()),
        takes_keys: ssh.keys,
        takes_passwords: ssh.passwords,
        is_open: ssh.login == SshLoginChoice::None,
        mode: match ssh.mode {
            SshModeChoice::Character => InputMode::Character,
            SshModeChoice::Keys => InputMode::Keys,
        },
        login_timeout: ssh.login_timeout.0,
        startups_max: ssh.startups_max,
        attempts_max: ssh.attempts_max,
        host: SshHost::default(),
    }
}

/// Converts the settings of delimited messages; `key` is that of the listener.
pub(super) fn delimited(key: &str, listener: &ListenerSettings, problems: &mut Problems<'_>) -> Delimited {
    let delimited = listener.delimited.clone().unwrap_or_default();
    let delimiter = match Delimiter::parse(&delimited.delimiter) {
        Some(parsed) => parsed.map_err(|error| error.to_string()),
        None => Err(format!("{}: two hexadecimal digits must follow each %", quoted(&delimited.delimiter))),
    };
    Delimited {
        delimiter: problems.or(&format!("{key}.delimited.delimiter"), delimiter, Delimiter::default()),
        invalid_utf8: invalid(delimited.invalid),
    }
}

/// Returns the protocol of a listener's codec. Adds an error if the program has no such codec.
pub(super) fn custom(
    key: &str,
    listener: &ListenerSettings,
    codecs: &[Custom],
    problems: &mut Problems<'_>,
) -> Protocol {
    let name = &listener.codec;
    if let Some(custom) = codecs.iter().find(|custom| custom.name() == name) {
        return Wire::Custom(*custom).into();
    }
    let names: Vec<_> = codecs.iter().map(|custom| custom.name()).collect();
    let words = match (name.is_empty(), names.join(", ")) {
        (_, known) if known.is_empty() => "this program has no codecs, so protocol can't be custom".to_string(),
        (true, known) => format!("protocol: custom needs a codec: {known}"),
        (false, known) => format!("{} is not one of {known}", quoted(name)),
    };
    problems.add(&format!("{key}.codec"), words);
    Wire::default().into()
}

pub(super) const fn invalid(choice: InvalidChoice) -> InvalidUtf8 {
    match choice {
        InvalidChoice::Reject => InvalidUtf8::Reject,
        InvalidChoice::Replace => InvalidUtf8::Replace,
        InvalidChoice::Bytes => InvalidUtf8::Bytes,
    }
}
