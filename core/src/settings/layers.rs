//! Merging of configuration layers, with a record of which layer set which key.

use super::SettingsError;
use super::document::{Content, Node};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde_json::{Map, Value};

/// The prefix of the name of a profile's layer.
///
/// The name of a file may begin with it too, but the origin of a file's key has a line number.
pub(super) const OF_PROFILE: &str = "profile ";

/// The merged layers of a configuration, and the origin of each key.
#[derive(Clone, Default)]
pub(super) struct Layers {
    pub(super) merged: Map<String, Value>,
    /// The origin of each dotted key: the layer that last set it, and the line if there is one.
    pub(super) origins: BTreeMap<String, String>,
}

impl Layers {
    /// Merges a layer over the earlier ones.
    ///
    /// Maps are merged; other values replace earlier ones. A `null` in place of a map removes the
    /// map.
    pub(super) fn add(&mut self, layer: &str, node: &Node) {
        if let Content::Map(map) = &node.content {
            let mut merged = core::mem::take(&mut self.merged);
            self.add_map(layer, "", map, &mut merged);
            self.merged = merged;
        }
    }

    fn add_map(&mut self, layer: &str, path: &str, map: &[(String, Node)], into: &mut Map<String, Value>) {
        for (key, node) in map {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let origin = if node.line == 0 { layer.to_string() } else { format!("{layer}:{}", node.line) };
            match &node.content {
                // Removes a listener, a user, or a part of one.
                Content::Scalar(Value::Null) if into.get(key).is_some_and(Value::is_object) => {
                    into.remove(key);
                    let below = format!("{path}.");
                    self.origins.retain(|known, _| *known != path && !known.starts_with(&below));
                }
                Content::Map(inner) if !inner.is_empty() || !into.contains_key(key) => {
                    let place = into.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    self.origins.insert(path.clone(), origin);
                    if let Value::Object(place) = place {
                        self.add_map(layer, &path, inner, place);
                    }
                }
                Content::Map(_) => {}
                _ => {
                    into.insert(key.clone(), node.to_value());
                    let below = format!("{path}.");
                    self.origins.retain(|known, _| !known.starts_with(&below));
                    if let Content::List(list) = &node.content {
                        for (number, element) in list.iter().enumerate().filter(|(_, element)| element.line > 0) {
                            self.origins.insert(format!("{path}[{number}]"), format!("{layer}:{}", element.line));
                        }
                    }
                    self.origins.insert(path, origin);
                }
            }
        }
    }

    /// Copies into each listener's `limits` the keys of `limits.peer` that are not set there.
    pub(super) fn inherit(&mut self) {
        let Some(Value::Object(peer)) = self.merged.get("limits").and_then(|limits| limits.get("peer")).cloned() else {
            return;
        };
        let Some(Value::Object(listeners)) = self.merged.get_mut("listeners") else { return };
        let mut inherited = Vec::new();
        for (name, listener) in listeners {
            let Some(Value::Object(own)) = listener.get_mut("limits") else { continue };
            let mut whole = peer.clone();
            overlay(&mut whole, core::mem::take(own));
            *own = whole;
            let of_peer =
                self.origins.iter().filter_map(|(key, origin)| Some((key.strip_prefix("limits.peer.")?, origin)));
            inherited.extend(of_peer.map(|(key, origin)| (format!("listeners.{name}.limits.{key}"), origin.clone())));
        }
        for (key, origin) in inherited {
            self.origins.entry(key).or_insert(origin);
        }
    }

    /// Returns `true` if a file, a variable or an argument set a key or one below it.
    pub(super) fn is_chosen(&self, key: &str) -> bool {
        let is_it =
            |known: &str| known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let mut found = self.origins.iter().filter(|(known, _)| is_it(known));
        found.any(|(_, origin)| !origin.starts_with(OF_PROFILE) || origin.contains(':'))
    }

    /// Creates an error that concerns several keys, at the first of them that the operator set.
    ///
    /// If the operator set none of them, the error is at the first key.
    pub(super) fn blame_chosen(&self, keys: &[&str], words: impl Into<String>) -> SettingsError {
        let key = keys.iter().find(|key| self.is_chosen(key)).or(keys.first());
        self.blame(key.copied().unwrap_or_default(), words)
    }

    /// Creates an error for a key, with the source that set the key.
    pub(super) fn blame(&self, key: &str, words: impl Into<String>) -> SettingsError {
        SettingsError::new(self.origin(key).unwrap_or("the defaults"), key, &words.into())
    }

    /// Returns the origin of a key, or of its nearest parent that was set.
    ///
    /// The origin of a secret that is in a file is that of the key with the file's name.
    pub(super) fn origin(&self, path: &str) -> Option<&str> {
        let mut path = path;
        loop {
            if let Some(origin) = self.origins.get(path).or_else(|| self.origins.get(&format!("{path}_file"))) {
                return Some(origin);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// Returns `true` if a layer set a key or one below it.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.origins.contains_key(path)
            || self.origins.keys().any(|known| known.starts_with(path) && known[path.len()..].starts_with(['.', '[']))
    }
}

/// Writes only the name of the type, because the content may be secret.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layers")
    }
}

/// Merges `above` into `below`, map by map. Values of `above` replace those of `below`.
pub(super) fn overlay(below: &mut Map<String, Value>, above: Map<String, Value>) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => overlay(below, above),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}
