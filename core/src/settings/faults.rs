//! Checks of a catalog for mistakes of the program's author, such as duplicate names.

use super::catalog::Catalog;
use super::schema::{is_secret, keys_of_server, resolve};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use serde_json::Value;

/// Returns a description of the first fault of a catalog, if any.
pub(super) fn fault(catalog: &Catalog) -> Option<String> {
    let (own, sections) = (keys_of_server(), catalog.sections());
    for (number, section) in sections.iter().enumerate() {
        let name = section.name;
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_name || name.contains("__") {
            return Some(format!("section {name:?}: a name consists of small letters, digits and single _"));
        }
        if own.contains_key(name) {
            return Some(format!("section {name:?}: the server has a key of this name"));
        }
        if sections[..number].iter().any(|other| other.name == name) {
            return Some(format!("section {name:?}: there are two of this name"));
        }
    }
    for (number, app) in catalog.apps().enumerate() {
        if app.is_empty() || catalog.apps().take(number).any(|other| other == app) {
            return Some(format!("application {app:?}: the name is empty, or there are two of this name"));
        }
    }
    for (number, codec) in catalog.codecs().iter().enumerate() {
        if catalog.codecs()[..number].iter().any(|other| other.name() == codec.name()) {
            return Some(format!("codec {:?}: there are two of this name", codec.name()));
        }
    }
    default_secret(catalog).map(|key| format!("section key {key:?}: a secret can't have a default"))
}

/// Returns the key of the first secret in a section that has a default value, if any.
fn default_secret(catalog: &Catalog) -> Option<String> {
    let schema = catalog.parsed_schema();
    catalog.sections().iter().find_map(|section| {
        let name = section.name;
        secret_in_defaults(schema, &schema["properties"][name], &(section.defaults)(), name)
    })
}

fn secret_in_defaults(schema: &Value, part: &Value, value: &Value, path: &str) -> Option<String> {
    let part = resolve(schema, part);
    match value {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            secret_in_defaults(schema, &part["properties"][key], value, &format!("{path}.{key}"))
        }),
        Value::String(text) if is_secret(schema, &part) && !text.is_empty() => Some(path.to_owned()),
        _ => None,
    }
}
