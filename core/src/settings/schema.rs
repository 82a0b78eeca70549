//! The JSON Schema of the settings, and lookups of keys in it.

use super::formats::SECRET;
use super::tree::Settings;
use alloc::string::String;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::sync::OnceLock;

/// Returns the JSON Schema (2020-12) of a configuration, for editors.
#[must_use]
pub fn schema() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Settings>();
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}

/// Returns the parsed schema, which is generated only once.
pub(super) fn parsed_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| serde_json::from_str(&schema()).unwrap_or_default())
}

/// Returns the definition to which a part of the schema refers, or else the part itself.
pub(super) fn resolve(schema: &Value, part: &Value) -> Value {
    let named = [&part["$ref"], &part["anyOf"][0]["$ref"], &part["allOf"][0]["$ref"]];
    let name = named.into_iter().find_map(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
    name.map_or_else(|| part.clone(), |name| schema["$defs"][name].clone())
}

/// Returns `true` if a key or one below it is secret.
pub(super) fn holds_secrets(schema: &Value, path: &str) -> bool {
    let mut part = schema.clone();
    for name in path.split('.').filter(|name| !name.is_empty()) {
        let (name, is_element) = name.split_once('[').map_or((name, false), |(name, _)| (name, true));
        let of = resolve(schema, &part);
        part = of["properties"].get(name).unwrap_or(&of["additionalProperties"]).clone();
        if is_element {
            part = resolve(schema, &part)["items"].clone();
        }
    }
    is_or_holds(schema, &part)
}

fn is_or_holds(schema: &Value, part: &Value) -> bool {
    let part = resolve(schema, part);
    let below = part["properties"].as_object().into_iter().flat_map(serde_json::Map::values);
    part["format"] == SECRET
        || below
            .chain([&part["additionalProperties"], &part["items"]])
            .any(|below| below.is_object() && is_or_holds(schema, below))
}
