//! Removal of unenforced constraints from published schemas.

use super::compile::{are_checkable, is_of_type, only_pattern};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;
use serde_json::{Map, Value};

/// Keywords that are enforced, except within schemas that parsing cannot check.
const CHECKED: [&str; 11] = [
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

/// Keywords that are never enforced.
const UNCHECKED: [&str; 12] = [
    "pattern",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "not",
    "if",
    "then",
    "else",
];

/// Removes from a schema the constraints that are not enforced.
///
/// `weak` gets the names of the definitions that are used where nothing is enforced.
pub(crate) fn remove_unenforced(schema: &mut Value, weak: &mut BTreeSet<String>) {
    remove(schema, true, weak);
}

/// Removes from each definition the constraints that at least one of its uses does not enforce.
pub(crate) fn remove_unenforced_of_all(definitions: &mut Map<String, Value>, weak: &mut BTreeSet<String>) {
    loop {
        let before = weak.len();
        for (name, schema) in definitions.iter_mut() {
            let is_enforced = !weak.contains(name);
            remove(schema, is_enforced, weak);
        }
        if weak.len() == before {
            return;
        }
    }
}

fn remove(schema: &mut Value, is_enforced: bool, weak: &mut BTreeSet<String>) {
    let Some(members) = schema.as_object_mut() else { return };
    for keyword in UNCHECKED {
        members.remove(keyword);
    }
    if members.get("multipleOf").is_some_and(|number| number.as_u64().is_none_or(|number| number == 0)) {
        members.remove("multipleOf");
    }
    for keyword in CHECKED {
        if !is_enforced && !is_of_type(members, keyword) {
            members.remove(keyword);
        }
    }
    if !is_enforced && let Some(name) = members.get("$ref").and_then(Value::as_str) {
        weak.insert(name.rsplit('/').next().unwrap_or(name).to_owned());
    }
    let is_map = only_pattern(members).is_some();
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(schemas)) => {
                schemas.values_mut().for_each(|schema| remove(schema, is_enforced, weak));
            }
            ("patternProperties", Value::Object(schemas)) => {
                schemas.values_mut().for_each(|schema| remove(schema, is_enforced && is_map, weak));
            }
            ("items" | "prefixItems" | "allOf", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(|schema| remove(schema, is_enforced, weak));
            }
            ("anyOf" | "oneOf", Value::Array(schemas)) => {
                let is_enforced = is_enforced && are_checkable(schemas);
                schemas.iter_mut().for_each(|schema| remove(schema, is_enforced, weak));
            }
            ("items" | "additionalProperties", schema) => remove(schema, is_enforced, weak),
            _ => {}
        }
    }
}
