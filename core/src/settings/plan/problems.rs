//! The errors of a configuration, collected during its checks.

use crate::settings::SettingsError;
use crate::settings::layers::Layers;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The errors that the checks of a configuration have found so far.
pub(in crate::settings) struct Problems<'a> {
    pub(super) layers: &'a Layers,
    pub(super) found: Vec<SettingsError>,
}

impl Problems<'_> {
    pub(in crate::settings) fn add(&mut self, key: &str, words: impl Into<String>) {
        self.found.push(self.layers.blame(key, words));
    }

    /// Returns `true` if the operator set a key or one below it.
    pub(in crate::settings) fn is_chosen(&self, key: &str) -> bool {
        self.layers.is_chosen(key)
    }

    /// Adds an error that concerns several keys, at the first of them that the operator set.
    pub(in crate::settings) fn add_chosen(&mut self, keys: &[&str], words: impl Into<String>) {
        self.found.push(self.layers.blame_chosen(keys, words));
    }

    /// Adds an error unless a name consists of ASCII letters, digits and `_`, at least one.
    pub(in crate::settings) fn check_name(&mut self, key: &str, name: &str) {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.add(key, "a name consists of letters, digits and _");
        }
    }

    /// Returns the value. On an error, adds the error and returns `otherwise`.
    pub(in crate::settings) fn or<T, E: fmt::Display>(&mut self, key: &str, result: Result<T, E>, otherwise: T) -> T {
        result.unwrap_or_else(|error| {
            self.add(key, error.to_string());
            otherwise
        })
    }
}
