//! The JSON Schema of the settings, and lookups of keys in it.

use super::formats::SECRET;
use super::section::SectionType;
use super::tree::Settings;
use crate::wire::Custom;
use alloc::string::String;
use alloc::vec::Vec;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// Generates the schema of a program's configuration.
pub(super) fn generate(sections: &[SectionType], apps: &[&str], codecs: &[Custom]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let sections: Vec<_> = sections.iter().map(|section| (section, (section.schema)(&mut generator))).collect();
    let root = generator.into_root_schema_for::<Settings>();
    let mut root = serde_json::to_value(root).unwrap_or_default();
    for (section, schema) in sections {
        let mut part = serde_json::to_value(schema).unwrap_or_default();
        part["default"] = (section.defaults)();
        let description = resolve(&root, &part)["description"].clone();
        if description.is_string() {
            part["description"] = description;
        }
        root["properties"][section.name] = part;
    }
    let names = apps.iter().map(|name| json!({ "type": "string", "const": name }));
    let app = &mut root["$defs"]["ListenerSettings"]["properties"]["app"];
    if let Value::Object(app) = app {
        app.remove("type");
        app.insert("oneOf".into(), names.collect());
        app.insert("default".into(), apps.first().copied().unwrap_or_default().into());
    }
    if let Some(kinds) = root["properties"]["cluster"]["anyOf"].as_array_mut() {
        // A URL alone is short for keys with the URL.
        let url = json!({ "type": "string", "format": SECRET });
        kinds.insert(1.min(kinds.len()), url);
    }
    if !codecs.is_empty() {
        // The empty name is that of a listener with another protocol.
        let names: Vec<_> = [""].into_iter().chain(codecs.iter().map(|codec| codec.name())).collect();
        root["$defs"]["ListenerSettings"]["properties"]["codec"]["enum"] = names.into();
    }
    root
}

/// Returns the top-level keys of the server itself, each with its schema.
pub(super) fn keys_of_server() -> &'static Map<String, Value> {
    static KEYS: OnceLock<Map<String, Value>> = OnceLock::new();
    KEYS.get_or_init(|| match generate(&[], &[], &[])["properties"].take() {
        Value::Object(keys) => keys,
        _ => Map::new(),
    })
}

/// Returns the definition to which a part of the schema refers, or else the part itself.
pub(super) fn resolve(schema: &Value, part: &Value) -> Value {
    let named = [&part["$ref"], &part["anyOf"][0]["$ref"], &part["allOf"][0]["$ref"]];
    let name = named.into_iter().find_map(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
    name.map_or_else(|| part.clone(), |name| schema["$defs"][name].clone())
}

/// Returns `true` if a part of the schema is a secret.
pub(super) fn is_secret(schema: &Value, part: &Value) -> bool {
    resolve(schema, part)["format"] == SECRET
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
