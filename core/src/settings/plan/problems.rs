//! Collects the errors of a configuration.

use crate::settings::SettingsError;
use crate::settings::layers::Layers;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// What was found wrong so far.
pub(in crate::settings) struct Problems<'a> {
    pub(super) layers: &'a Layers,
    pub(super) found: Vec<SettingsError>,
}

impl Problems<'_> {
    pub(in crate::settings) fn add(&mut self, key: &str, words: impl Into<String>) {
        self.found.push(self.layers.blame(key, words));
    }

    /// Whether the operator set a key.
    pub(in crate::settings) fn is_chosen(&self, key: &str) -> bool {
        self.layers.is_chosen(key)
    }

    /// What does not go together, at the first of the keys that the operator set.
    pub(in crate::settings) fn add_chosen(&mut self, keys: &[&str], words: impl Into<String>) {
        self.found.push(self.layers.blame_chosen(keys, words));
    }

    /// Whether a name that somebody chose can stand in keys and variables.
    pub(in crate::settings) fn check_name(&mut self, key: &str, name: &str) {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.add(key, "a name has letters, digits and _ only");
        }
    }

    /// The value, or what is in its place while others are looked at.
    pub(in crate::settings) fn or<T, E: fmt::Display>(&mut self, key: &str, result: Result<T, E>, otherwise: T) -> T {
        result.unwrap_or_else(|error| {
            self.add(key, error.to_string());
            otherwise
        })
    }
}
