//! Errors in a configuration, each with its source and key.

use crate::settings::words;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// An error in a configuration: its source, its key, and a description with the remedy.
///
/// The error is safe to print: it is short, and contains no secrets and no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsError {
    /// The source of the error, such as a file with a line, an environment variable or an argument.
    pub place: String,
    /// The key, with dots between its parts; empty if the error concerns no key.
    pub key: String,
    /// A description of what is wrong, and the remedy.
    pub words: String,
}

/// All errors that were found in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a list is all that it is")]
pub struct SettingsErrors(pub Vec<SettingsError>);

impl SettingsError {
    pub(super) fn new(place: &str, key: &str, words: &str) -> Self {
        Self { place: words::sanitize(place), key: words::sanitize(key), words: words::sanitize(words) }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}: {}", self.place, self.key, self.words)
    }
}

impl core::error::Error for SettingsError {}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl core::error::Error for SettingsErrors {}

impl From<SettingsError> for SettingsErrors {
    fn from(error: SettingsError) -> Self {
        Self([error].into())
    }
}
