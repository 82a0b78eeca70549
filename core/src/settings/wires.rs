//! Conversion of the settings of wires that have no options in common with others.

use super::plan::problems::Problems;
use super::tree::{InvalidChoice, ListenerSettings, RawChoice};
use super::words::quoted;
use crate::wire::{Delimited, Delimiter, InvalidUtf8, Raw, RawMode};
use alloc::format;
use alloc::string::ToString;

pub(super) fn raw(listener: &ListenerSettings) -> Raw {
    let mode = match listener.raw.clone().unwrap_or_default().mode {
        RawChoice::Bytes => RawMode::Bytes,
        RawChoice::Keys => RawMode::Keys,
    };
    Raw { mode }
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

pub(super) const fn invalid(choice: InvalidChoice) -> InvalidUtf8 {
    match choice {
        InvalidChoice::Reject => InvalidUtf8::Reject,
        InvalidChoice::Replace => InvalidUtf8::Replace,
        InvalidChoice::Bytes => InvalidUtf8::Bytes,
    }
}
