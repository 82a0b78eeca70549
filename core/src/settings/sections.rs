//! Conversion of merged layers to the sections of applications, or to a list of all errors.

use super::catalog::Catalog;
use super::dials::LoadClientTls;
use super::layers::{Layers, overlay};
use super::schema::{is_secret, resolve};
use super::secret_files::SecretFiles;
use super::section::SectionType;
use super::section_paths::SectionPath;
use super::token_keys::KeySetSource;
use super::typed::{PROBLEMS_MAX, no_such_key, not_a_map, problem, remove};
use super::{SettingsError, SettingsErrors};
use crate::config::{RoomOptions, Sections};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Map, Value};

/// The parsed sections of a configuration, and their values with secrets masked.
#[derive(Clone, Debug, Default)]
pub(super) struct TypedSections {
    pub(super) sections: Sections,
    /// The values by section, with secrets masked.
    pub(super) shown: Map<String, Value>,
    /// Options of rooms of the sections' applications.
    pub(super) rooms: Vec<RoomOptions>,
    /// The sources of sets of public keys, each with the key of its settings for tokens.
    pub(super) key_sets: Vec<(String, KeySetSource)>,
    /// The applications that peers without a login cannot use, each with the key to change and the reason.
    pub(super) closed: Vec<(&'static str, String, String)>,
    /// The HTTP paths that the sections' applications serve.
    pub(super) paths: Vec<SectionPath>,
}

/// Converts the merged layers to sections.
///
/// # Errors
/// All errors. Those that concern several keys of a section come only if all its values have the
/// right type.
pub(super) fn sections(
    layers: &Layers,
    catalog: &Catalog,
    files: SecretFiles,
    load: Option<LoadClientTls>,
) -> Result<TypedSections, SettingsErrors> {
    let reader = Reader { layers, catalog, files, load };
    let mut typed = TypedSections::default();
    let mut problems = Vec::new();
    for section in catalog.sections() {
        reader.section(section, &mut typed, &mut problems);
    }
    if problems.is_empty() { Ok(typed) } else { Err(SettingsErrors(problems)) }
}

/// A converter of sections, with the layers, the catalog and the reader of secret files.
struct Reader<'a> {
    layers: &'a Layers,
    catalog: &'a Catalog,
    files: SecretFiles,
    load: Option<LoadClientTls>,
}

impl Reader<'_> {
    fn section(&self, section: &SectionType, typed: &mut TypedSections, problems: &mut Vec<SettingsError>) {
        let (schema, layers) = (self.catalog.parsed_schema(), self.layers);
        let name = section.name;
        let part = &schema["properties"][name];
        let own = layers.merged.get(name).cloned().unwrap_or_else(|| Value::Object(Map::new()));
        if let Some(key) = not_a_map(schema, part, &own, name) {
            return problems.push(layers.blame(&key, "it takes keys with values"));
        }
        let before = problems.len();
        // Keys that are left out, to find further errors.
        let mut removed = Vec::new();
        for (key, words) in unknown_keys(schema, part, &own, name) {
            problems.push(layers.blame(&key, words));
            removed.push(key);
        }
        let Value::Object(mut own) = own else {
            return problems.push(layers.blame(name, "it takes keys with values"));
        };
        self.read_secrets(schema, part, &mut own, name, problems);
        let mut own = Value::Object([(name.to_owned(), Value::Object(own))].into_iter().collect());
        for key in &removed {
            remove(&mut own, key);
        }
        while problems.len() < PROBLEMS_MAX {
            let mut whole = (section.defaults)();
            if let (Value::Object(whole), Value::Object(own)) = (&mut whole, own[name].clone()) {
                overlay(whole, own);
            }
            let error = match (section.read)(whole, &mut typed.sections, self.load) {
                Ok(read) => {
                    let key_of = |key: &str| if key.is_empty() { name.to_owned() } else { format!("{name}.{key}") };
                    if let (Err(error), true) = (&read.checked, problems.len() == before) {
                        problems.push(layers.blame(&key_of(&error.key), error.words.clone()));
                    }
                    if let Err(error) = read.unauthenticated {
                        typed.closed.push((name, key_of(&error.key), error.words));
                    }
                    if let (Some(tokens), Some(source)) = (section.tokens, read.key_set) {
                        typed.key_sets.push((format!("{name}.{tokens}"), source));
                    }
                    typed.shown.insert(name.to_owned(), read.shown);
                    // A section of another name than any application has no rooms.
                    if let Some(app) = self.catalog.index_of_app(name) {
                        typed.rooms.extend(read.rooms.into_iter().map(|rooms| rooms.app(Some(app))));
                        typed.paths.extend(read.paths);
                    }
                    return;
                }
                Err(error) => error,
            };
            let (key, problem) = problem(layers, schema, name, &error);
            let missing = problem.words.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
            if !missing.is_some_and(|(field, _)| removed.contains(&format!("{key}.{field}"))) {
                problems.push(problem);
            }
            if !remove(&mut own, &key) {
                return;
            }
            removed.push(key);
        }
    }

    /// Reads each secret `KEY` from the file that `KEY_file` names, if the section has both keys.
    fn read_secrets(
        &self,
        schema: &Value,
        part: &Value,
        own: &mut Map<String, Value>,
        path: &str,
        problems: &mut Vec<SettingsError>,
    ) {
        let part = resolve(schema, part);
        let (properties, any) = (part["properties"].as_object(), &part["additionalProperties"]);
        for (key, value) in own.iter_mut().filter(|(key, _)| !properties.is_some_and(|known| known.contains_key(*key)))
        {
            self.read_secrets_below(schema, any, value, &format!("{path}.{key}"), problems);
        }
        let Some(properties) = properties else { return };
        for (key, below) in properties {
            let path = format!("{path}.{key}");
            if let Some(value) = own.get_mut(key) {
                self.read_secrets_below(schema, below, value, &path, problems);
            }
            let file_key = format!("{key}_file");
            if !is_secret(schema, below) || !properties.contains_key(&file_key) {
                continue;
            }
            let text = |key: &str| own.get(key).and_then(Value::as_str).unwrap_or_default();
            match self.files.read(self.layers, &path, !text(key).is_empty(), text(&file_key)) {
                Ok(Some(secret)) => drop(own.insert(key.clone(), secret.into())),
                Ok(None) => {}
                Err(error) => problems.push(error),
            }
        }
    }

    /// Reads the secrets in a value that is a map, or a list of maps.
    fn read_secrets_below(
        &self,
        schema: &Value,
        part: &Value,
        value: &mut Value,
        path: &str,
        problems: &mut Vec<SettingsError>,
    ) {
        match value {
            Value::Object(own) => self.read_secrets(schema, part, own, path, problems),
            Value::Array(list) => {
                let items = &resolve(schema, part)["items"];
                for (number, value) in list.iter_mut().enumerate() {
                    self.read_secrets_below(schema, items, value, &format!("{path}[{number}]"), problems);
                }
            }
            _ => {}
        }
    }
}

/// Returns the keys of a value that its schema does not have, each with its error text.
///
/// Parts that are one of several kinds are left to serde.
fn unknown_keys(schema: &Value, part: &Value, value: &Value, path: &str) -> Vec<(String, String)> {
    let part = resolve(schema, part);
    if let (Some(items), Value::Array(list)) = (part.get("items"), value) {
        let elements = list.iter().enumerate();
        return elements.flat_map(|(n, value)| unknown_keys(schema, items, value, &format!("{path}[{n}]"))).collect();
    }
    let Value::Object(map) = value else { return Vec::new() };
    let (properties, any) = (part["properties"].as_object(), &part["additionalProperties"]);
    let is_of_kinds = ["oneOf", "anyOf", "allOf"].iter().any(|kind| part.get(kind).is_some());
    if properties.is_none() && !any.is_object() || is_of_kinds {
        return Vec::new();
    }
    let known = |key: &str| properties.and_then(|properties| properties.get(key));
    let unknown = map.iter().flat_map(|(key, value)| {
        let path = format!("{path}.{key}");
        if let Some(below) = known(key).or_else(|| any.is_object().then_some(any)) {
            return unknown_keys(schema, below, value, &path);
        }
        let names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        [(path, no_such_key(key, &names))].into()
    });
    unknown.collect()
}
