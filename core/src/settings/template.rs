//! Templates and the schema, from the settings themselves.

use super::tree::{ListenerSettings, Profile, Settings, TunnelSettings};
use super::{Sources, leaves};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::sync::OnceLock;

/// The JSON Schema (2020-12) of a configuration, for editors.
#[must_use]
pub fn schema() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Settings>();
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}

/// The schema as a value, made once.
pub(super) fn parsed_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| serde_json::from_str(&schema()).unwrap_or_default())
}

/// A YAML file with every key, its meaning, and its value in a profile, all commented out but for one listener.
#[must_use]
pub fn template(profile: Profile) -> String {
    let schema = parsed_schema();
    let mut text = format!(
        "# A configuration of drupe, for {}. Everything that is commented out is the default.\n\
         # `drupe check FILE` says whether it is good, `drupe schema` helps an editor to complete it.\n\n\
         profile: {}\n\nlisteners:\n  chat:\n    address: 127.0.0.1:7000\n    protocol: auto\n",
        profile.name(),
        profile.name()
    );
    let listener = serde_json::to_value(ListenerSettings::default()).unwrap_or_default();
    let of_listener = resolve(schema, &schema["properties"]["listeners"]["additionalProperties"]);
    let mut writer = Writer { schema, out: &mut text };
    writer.map(&of_listener, &listener, 2, &["address", "protocol"]);
    text.push('\n');
    let values = values(profile);
    let mut writer = Writer { schema, out: &mut text };
    writer.map(schema, &values, 0, &["profile", "listeners", "tunnels"]);
    let tunnels = &schema["properties"]["tunnels"];
    let _ = writeln!(text, "# {}\n#tunnels:\n  #edge:", tunnels["description"].as_str().unwrap_or_default());
    let of_tunnel = resolve(schema, &tunnels["additionalProperties"]);
    let tunnel = serde_json::to_value(TunnelSettings::default()).unwrap_or_default();
    Writer { schema, out: &mut text }.map(&of_tunnel, &tunnel, 2, &[]);
    text
}

/// Every variable with its value in a profile, commented out.
#[must_use]
pub fn environment_template(profile: Profile) -> String {
    let mut text = format!("DRUPE_PROFILE={}\n", profile.name());
    leaves("", &values(profile), &mut |path, value| {
        if path != "profile" && !path.starts_with("listeners") {
            let value = value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
            let _ = writeln!(text, "#DRUPE_{}={value}", path.to_uppercase().replace('.', "__"));
        }
    });
    text.push_str("#DRUPE_LISTENERS__CHAT__ADDRESS=127.0.0.1:7000\n");
    text
}

/// The settings of a profile.
fn values(profile: Profile) -> Value {
    let sources = Sources::new().profile(profile.name()).set("listeners.x.address", "127.0.0.1:0");
    let settings = sources.resolve().map_or_else(|_| Settings::default(), |resolved| resolved.settings);
    serde_json::to_value(settings).unwrap_or_default()
}

pub(super) fn resolve(schema: &Value, part: &Value) -> Value {
    let named = [&part["$ref"], &part["anyOf"][0]["$ref"], &part["allOf"][0]["$ref"]];
    let name = named.into_iter().find_map(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
    name.map_or_else(|| part.clone(), |name| schema["$defs"][name].clone())
}

struct Writer<'a> {
    schema: &'a Value,
    out: &'a mut String,
}

impl Writer<'_> {
    fn map(&mut self, of: &Value, values: &Value, depth: usize, without: &[&str]) {
        let Some(properties) = of["properties"].as_object() else { return };
        for (key, part) in properties.iter().filter(|(key, _)| !without.contains(&key.as_str())) {
            let meaning = part["description"].as_str().unwrap_or_default();
            let indent = "  ".repeat(depth);
            for line in meaning.lines() {
                let _ = writeln!(self.out, "{indent}# {}", line.trim());
            }
            let below = resolve(self.schema, part);
            let choices = below["oneOf"].as_array().into_iter().flatten().filter_map(|one| one["const"].as_str());
            let choices: Vec<_> = choices.collect();
            if !choices.is_empty() {
                let _ = writeln!(self.out, "{indent}# One of {}.", choices.join(", "));
            }
            let value = &values[key];
            let is_map = below["properties"].is_object();
            match value {
                Value::Object(_) if is_map => {
                    let _ = writeln!(self.out, "{indent}#{key}:");
                    self.map(&below, value, depth + 1, &[]);
                }
                Value::Null if is_map => {
                    let _ = writeln!(self.out, "{indent}#{key}:");
                    let defaults = defaults(&below);
                    self.map(&below, &defaults, depth + 1, &[]);
                }
                value => {
                    let _ = writeln!(self.out, "{indent}#{key}: {value}");
                }
            }
        }
    }
}

/// What a part says of itself where it is not set.
fn defaults(of: &Value) -> Value {
    let properties = of["properties"].as_object().into_iter().flatten();
    Value::Object(properties.map(|(key, part)| (key.clone(), part["default"].clone())).collect())
}
