//! A resolved configuration: its values, their origins, and its differences from a newer one.

use crate::base::text::neutralize;
use crate::config::Engine;
use crate::settings::layers::{Layers, OF_PROFILE};
use crate::settings::{Plan, Settings, SettingsError};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Map, Value};

/// A valid configuration, merged from all its sources.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The merged settings of the server.
    pub settings: Settings,
    /// The values of the sections, with secrets masked.
    pub(super) sections: Map<String, Value>,
    /// The plan from which a server is built.
    pub plan: Plan,
    /// Warnings for the operator about settings that are valid but probably mistakes.
    pub warnings: Vec<SettingsError>,
    pub(super) layers: Layers,
}

impl Resolved {
    /// Creates an error for a key whose value failed after the check, such as an unreadable file.
    #[must_use]
    pub fn blame(&self, key: &str, words: String) -> SettingsError {
        self.layers.blame(key, words)
    }

    /// Returns a line `key: value # origin` for each value except null, with secrets masked.
    ///
    /// The origin is the layer that set the value, or that named the file of a secret.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut lines = Vec::new();
        leaves("", &self.value(), &mut |path, value| {
            let origin =
                self.origin(path).or_else(|| self.origin(&format!("{path}_file")).filter(|_| is_secret(value)));
            lines.push(format!("{path}: {} # {}", shown(value), origin.unwrap_or("default")));
        });
        lines.join("\n")
    }

    /// Returns the names of the files, variables and arguments whose values are in effect, sorted.
    #[must_use]
    pub fn sources(&self) -> Vec<String> {
        let without_line = |origin: &String| match origin.rsplit_once(':') {
            Some((file, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => file.to_owned(),
            _ => origin.clone(),
        };
        let of_profile = |origin: &&String| origin.starts_with(OF_PROFILE) && !origin.contains(':');
        let chosen = self.layers.origins.values().filter(|origin| !of_profile(origin));
        let sources: alloc::collections::BTreeSet<String> = chosen.map(without_line).collect();
        sources.into_iter().collect()
    }

    /// Returns the layer that set a key or one below it, or `None` if its value is a default.
    fn origin(&self, path: &str) -> Option<&str> {
        self.layers.origin(path).filter(|_| self.layers.is_set(path))
    }

    /// Returns the differences from a newer configuration as `key: before -> after`.
    ///
    /// Secrets are masked.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Vec<String> {
        let (mut before, mut after) = (alloc::collections::BTreeMap::new(), alloc::collections::BTreeMap::new());
        leaves("", &self.value(), &mut |path, value| drop(before.insert(path.to_owned(), value.clone())));
        leaves("", &newer.value(), &mut |path, value| drop(after.insert(path.to_owned(), value.clone())));
        let (secrets, newer_secrets) = (self.settings.secrets(), newer.settings.secrets());
        let is_other = |path: &String, value: &Value| {
            before.get(path) != Some(value) || secrets.get(path) != newer_secrets.get(path)
        };
        let cluster = self.plan.config.cluster.as_ref();
        let has_nats = cluster.is_some_and(|cluster| matches!(cluster.engine, Engine::Nats(_)));
        let when = |path: &str, old: &Value, new: &Value| {
            let Some((room, key)) = path.strip_prefix("rooms.options.").and_then(|path| path.rsplit_once('.')) else {
                return when(path);
            };
            let home = before.get(&format!("rooms.options.{room}.home"));
            let is_from_start = match key {
                // Which rooms hosts share is decided at the start.
                "home" => cluster.is_some() && (old != "shared" || new != "shared"),
                // With NATS, they say in which stream a history is.
                "messages_max" | "age_max" | "key_window" => has_nats && home.is_some_and(|home| home == "shared"),
                _ => false,
            };
            if is_from_start { AFTER_A_RESTART } else { when(path) }
        };
        let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
        let gone = gone.map(|(path, value)| {
            // The socket of a removed listener closes at once.
            let when = if is_socket(path) { "" } else { when(path, value, value) };
            format!("{path}: {} -> (gone){when}", shown(value))
        });
        let other = after.iter().filter(|(path, value)| is_other(path, value)).map(|(path, value)| {
            let old = before.get(path);
            let when = when(path, old.unwrap_or(value), value);
            format!("{path}: {} -> {}{when}", old.map_or("(none)".into(), shown), shown(value))
        });
        let mut changes: Vec<_> = gone.chain(other).collect();
        // Secrets are masked in the values that are compared.
        let sections = (&self.plan.config.sections, &newer.plan.config.sections);
        if sections.0 != sections.1 && self.sections == newer.sections {
            changes.push("a secret of a section: (secret) -> (secret)".into());
        }
        changes
    }

    /// Returns all values, with secrets masked.
    pub(super) fn value(&self) -> Value {
        let mut value = serde_json::to_value(&self.settings).unwrap_or_default();
        if let Value::Object(value) = &mut value {
            value.extend(self.sections.clone());
        }
        value
    }
}

/// The note for keys that a reload does not change.
const AFTER_A_RESTART: &str = " (after a restart)";

/// Returns a note for keys that a reload does not change; empty for other keys.
fn when(path: &str) -> &'static str {
    const STARTS: [&str; 6] = ["workers", "log.", "recorder.", "authentication.", "monitor.", "cluster."];
    const AT_ONCE: [&str; 8] = [
        "log.level",
        "log.targets",
        "authentication.users",
        "authentication.shared_password",
        "authentication.tokens",
        "authentication.iterations",
        "monitor.credential",
        "monitor.metrics_credential",
    ];
    let begins = |parts: &[&str]| parts.iter().any(|part| path.starts_with(part));
    if is_socket(path) || begins(&STARTS) && !begins(&AT_ONCE) { AFTER_A_RESTART } else { "" }
}

/// Returns `true` for keys of the file of a listener's Unix socket.
fn is_socket(path: &str) -> bool {
    path.starts_with("listeners.") && path.split('.').nth(2) == Some("socket")
}

/// Returns `true` for the mask of a secret that is not empty.
fn is_secret(value: &Value) -> bool {
    value == "(secret)"
}

fn shown(value: &Value) -> String {
    if is_secret(value) { "(secret)".into() } else { neutralize(&value.to_string()).into_owned() }
}

/// Calls `tell` with the path and value of each leaf. A list counts as one leaf, null as none.
pub(super) fn leaves(path: &str, value: &Value, tell: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, tell);
            }
        }
        Value::Null => {}
        value => tell(path, value),
    }
}
