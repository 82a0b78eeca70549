//! Conversion of merged layers to settings, or to a list of all type errors.

use super::catalog::Catalog;
use super::layers::Layers;
use super::schema::{holds_secrets, resolve};
use super::{Settings, SettingsError, SettingsErrors, words};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::Value;

/// Converts the merged layers to the settings of the server, without the sections of applications.
pub(super) fn typed(layers: &Layers, catalog: &Catalog) -> Result<Settings, SettingsErrors> {
    let schema = catalog.parsed_schema();
    let mut merged = Value::Object(layers.merged.clone());
    for section in catalog.sections() {
        remove(&mut merged, section.name);
    }
    if let Some(key) = not_a_map(schema, schema, &merged, "") {
        let place = layers.origin(&key).unwrap_or("the configuration").to_owned();
        return Err(SettingsError::new(&place, &key, "it takes keys with values").into());
    }
    let mut problems = Vec::new();
    while problems.len() < PROBLEMS_MAX {
        let problem = match serde_path_to_error::deserialize::<_, Settings>(merged.clone()) {
            Ok(settings) if problems.is_empty() => return Ok(settings),
            Ok(_) => break,
            Err(error) => problem(layers, schema, "", &error),
        };
        // Remove the invalid value, to find further errors.
        let (key, problem) = problem;
        let goes_on = remove(&mut merged, &key);
        problems.push(problem);
        if !goes_on {
            break;
        }
    }
    Err(SettingsErrors(problems))
}

/// The maximum number of reported errors.
pub(super) const PROBLEMS_MAX: usize = 50;

/// Converts a serde error in the value of the key `of` to an error with its key and origin.
///
/// `of` is empty for the whole configuration. Returns the key and the error.
pub(super) fn problem(
    layers: &Layers,
    schema: &Value,
    of: &str,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> (String, SettingsError) {
    let path = error.path().to_string();
    let path = match (of, path.as_str()) {
        (_, ".") => of.to_owned(),
        ("", _) => path,
        _ => format!("{of}.{path}"),
    };
    let words = error.inner().to_string();
    // The beginning of serde's message for an unknown key.
    let unknown = words.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
    let (key, words) = if let Some((field, rest)) = unknown {
        let ends_in_field = path == field || path.ends_with(&format!(".{field}"));
        let key = match path.as_str() {
            _ if ends_in_field => path.clone(),
            "" => field.to_owned(),
            path => format!("{path}.{field}"),
        };
        let known = schema["properties"].as_object().filter(|_| key == field);
        let known = known.map(|known| known.keys().map(String::as_str).collect());
        let known: Vec<_> = known.unwrap_or_else(|| rest.split('`').skip(1).step_by(2).collect());
        (key, no_such_key(field, &known))
    } else {
        let words = words::of_serde(&words, holds_secrets(schema, &path));
        (path, words)
    };
    let error = SettingsError::new(layers.origin(&key).unwrap_or("the configuration"), &key, &words);
    (key, error)
}

/// Removes a key. Returns whether it was there.
pub(super) fn remove(value: &mut Value, path: &str) -> bool {
    let (above, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut value = value;
    for part in above.split('.').filter(|part| !part.is_empty()) {
        let (name, number) = part.split_once('[').map_or((part, None), |(name, rest)| (name, Some(rest)));
        let Some(below) = value.get_mut(name) else { return false };
        value = below;
        if let Some(number) = number.and_then(|rest| rest.trim_end_matches(']').parse::<usize>().ok()) {
            let Some(below) = value.get_mut(number) else { return false };
            value = below;
        }
    }
    // A list with an invalid element is removed as a whole.
    let last = last.split('[').next().unwrap_or(last);
    value.as_object_mut().is_some_and(|map| map.remove(last).is_some())
}

/// Finds the first key with a list in place of a map.
///
/// serde would accept a list as the values of all keys in order.
pub(super) fn not_a_map(schema: &Value, part: &Value, value: &Value, path: &str) -> Option<String> {
    let part = resolve(schema, part);
    let (properties, any) = (part["properties"].as_object(), part["additionalProperties"].as_object());
    if let (Some(_), Value::Array(list)) = (part.get("items"), value) {
        let mut wrong =
            list.iter().enumerate().map(|(n, value)| not_a_map(schema, &part["items"], value, &format!("{path}[{n}]")));
        return wrong.find_map(|key| key);
    }
    if properties.is_none() && any.is_none() {
        return None;
    }
    let Value::Object(map) = value else {
        return value.is_array().then(|| path.to_owned());
    };
    map.iter().find_map(|(key, value)| {
        let below = properties.and_then(|properties| properties.get(key)).unwrap_or(&part["additionalProperties"]);
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        not_a_map(schema, below, value, &path)
    })
}

pub(super) fn no_such_key(field: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|name| (distance(field, name), *name)).min();
    match nearest {
        Some((distance, name)) if distance <= 1 + field.len() / 4 => {
            format!("there is no such key; did you mean {name}?")
        }
        _ => format!("there is no such key; the keys here are {}", known.join(", ")),
    }
}

/// Returns the edit distance between two texts (Damerau 1964, restricted).
///
/// It is the number of characters to change, add, remove or exchange with the next.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = alloc::vec![(0..=other.len()).collect::<Vec<_>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = alloc::vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (rows[i][j + 1] + 1).min(row[j] + 1).min(rows[i][j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
