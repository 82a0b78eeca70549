//! Configuration templates, generated from the schema and the profiles.

use super::Sources;
use super::catalog::Catalog;
use super::resolved::leaves;
use super::schema::resolve;
use super::tree::Profile;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use serde_json::{Value, json};

impl Catalog {
    /// Returns a YAML file with every key, its description, and its value in a profile.
    ///
    /// Everything except the profile and one listener is commented out. A line that begins with `#`
    /// and a key holds the default, so removing the `#` changes nothing. A part that does not exist
    /// by default is shown as an example, in the comment above its place.
    #[must_use]
    pub fn template(&self, profile: Profile) -> String {
        let schema = self.parsed_schema();
        let (name, program) = (profile.name(), self.program());
        let app = self.default_app();
        let mut text = format!(
            "# A configuration of {program}, for {name}. Lines that begin with # and a key are defaults: removing the # changes nothing.\n\
             # Lines that begin with # and a space are explanations; indented text in them is an example of an optional part.\n\
             # `{program} check FILE` checks a configuration, and `{program} schema` prints a schema for editors.\n\n\
             profile: {name}\n\nlisteners:\n  {app}:\n    address: 127.0.0.1:7000\n    protocol: auto\n"
        );
        let mut values = self.values(profile);
        let of_listener = resolve(schema, &schema["properties"]["listeners"]["additionalProperties"]);
        let mut listener = values["listeners"][app].take();
        for (key, value) in [("notices", json!(true)), ("wait", json!("300ms"))] {
            listener[key] = value;
        }
        listener["limits"] = values["limits"]["peer"].clone();
        for key in ["lines", "telnet"] {
            listener[key] = defaults(&resolve(schema, &of_listener["properties"][key]));
        }
        let mut writer = Writer { schema, out: &mut text, mark: "#" };
        writer.map("listeners.*.", &of_listener, &listener, 2, &["address", "protocol"]);
        writer.out.push('\n');
        writer.map("", schema, &values, 0, &["profile", "listeners"]);
        text
    }

    /// Returns a file of environment variables with the values of a profile and their descriptions.
    ///
    /// Everything except the profile and one listener is commented out. Other keys of listeners,
    /// and keys without a value, are left out.
    #[must_use]
    pub fn environment_template(&self, profile: Profile) -> String {
        let (name, prefix) = (profile.name(), self.environment_prefix());
        let listener = format!("{prefix}LISTENERS__{}__", self.default_app().to_uppercase());
        let mut text = format!(
            "# A configuration of {} in the environment, for {name}. Lines that are commented out are defaults.\n\
             {prefix}PROFILE={name}\n{listener}ADDRESS=127.0.0.1:7000\n{listener}PROTOCOL=auto\n",
            self.program()
        );
        leaves("", &self.values(profile), &mut |path, value| {
            if path != "profile" && !path.starts_with("listeners") {
                for line in self.description(path).lines() {
                    let _ = writeln!(text, "# {}", line.trim());
                }
                let value = value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
                let _ = writeln!(text, "#{prefix}{}={value}", path.to_uppercase().replace('.', "__"));
            }
        });
        text
    }

    /// Returns the description of a key from the schema.
    fn description(&self, path: &str) -> String {
        let schema = self.parsed_schema();
        let mut part = Value::clone(schema);
        for name in path.split('.') {
            part = resolve(schema, &part)["properties"][name].clone();
        }
        part["description"].as_str().unwrap_or_default().to_string()
    }

    /// Returns the values of a profile, with one listener and the defaults of all sections.
    ///
    /// Those may be incomplete: a section may need a value that the operator must choose.
    fn values(&self, profile: Profile) -> Value {
        let listener = format!("listeners.{}", self.default_app());
        let sources = Sources::of(self.without_sections()).profile(profile.name());
        let sources = sources.set(&format!("{listener}.address"), "127.0.0.1:7000");
        let resolved = sources.set(&format!("{listener}.protocol"), "auto").resolve();
        let mut values = resolved.map_or_else(|_| Value::Null, |resolved| resolved.value());
        for section in self.sections() {
            values[section.name] = (section.defaults)();
        }
        values
    }
}

struct Writer<'a> {
    schema: &'a Value,
    out: &'a mut String,
    /// The text before each key: `#` to comment the key out, or nothing.
    mark: &'a str,
}

impl Writer<'_> {
    /// Writes the keys of a map except those in `without`, with descriptions and values.
    ///
    /// The paths of the keys begin with `path`.
    fn map(&mut self, path: &str, of: &Value, values: &Value, depth: usize, without: &[&str]) {
        let Some(properties) = of["properties"].as_object() else { return };
        for (key, part) in properties.iter().filter(|(key, _)| !without.contains(&key.as_str())) {
            let (indent, mark) = ("  ".repeat(depth), self.mark);
            for line in part["description"].as_str().unwrap_or_default().lines() {
                let _ = writeln!(self.out, "{indent}# {}", line.trim());
            }
            let below = resolve(self.schema, part);
            let choices = below["oneOf"].as_array().into_iter().flatten().filter_map(|one| one["const"].as_str());
            let choices: Vec<_> = choices.collect();
            if !choices.is_empty() {
                let _ = writeln!(self.out, "{indent}# One of {}.", choices.join(", "));
            }
            let (path, value) = (format!("{path}{key}"), &values[key]);
            let is_map = below["properties"].is_object();
            if is_map && value.is_object() {
                let _ = writeln!(self.out, "{indent}{mark}{key}:");
                self.map(&format!("{path}."), &below, value, depth + 1, &[]);
                continue;
            }
            // A part that does not exist by default needs an example.
            if self.mark == "#" && (is_map || below["additionalProperties"].is_object()) {
                self.example(&path, key, &below, depth);
            }
            if !(is_map && value.is_null()) {
                let _ = writeln!(self.out, "{indent}{mark}{key}: {}", yaml(value));
            }
        }
    }

    /// Writes an example of an optional part as a comment.
    fn example(&mut self, path: &str, key: &str, of: &Value, depth: usize) {
        let mut text = format!("{key}:\n");
        let mut writer = Writer { schema: self.schema, out: &mut text, mark: "" };
        if of["properties"].is_object() {
            let values = example(path, samples(self.schema, of));
            writer.map(&format!("{path}."), of, &values, 1, &[]);
        } else {
            let (name, value) = named(path);
            let of = resolve(self.schema, &of["additionalProperties"]);
            if of["properties"].is_object() {
                let _ = writeln!(writer.out, "  {name}:");
                let values = example(&format!("{path}.*"), samples(self.schema, &of));
                writer.map(&format!("{path}.*."), &of, &values, 2, &[]);
            } else {
                let value = if value.is_empty() { yaml(&sample(self.schema, &of)) } else { value.to_string() };
                let _ = writeln!(writer.out, "  {name}: {value}");
            }
        }
        for line in text.lines() {
            let _ = writeln!(self.out, "{}#   {line}", "  ".repeat(depth));
        }
    }
}

/// Formats a value on one line, with quotes only where needed.
fn yaml(value: &Value) -> String {
    let is_plain = |text: &str| {
        let safe = |c: char| c.is_ascii_alphanumeric() || "_-./ ".contains(c);
        let is_word = !["true", "false", "null"].contains(&text) && text.parse::<f64>().is_err();
        is_word && text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.chars().all(safe)
    };
    match value.as_str() {
        Some(text) if is_plain(text) => text.to_string(),
        _ => value.to_string(),
    }
}

/// Returns the default values of a part of the schema.
fn defaults(of: &Value) -> Value {
    let properties = of["properties"].as_object().into_iter().flatten();
    Value::Object(properties.map(|(key, part)| (key.clone(), part["default"].clone())).collect())
}

/// Returns the default values of a part of the schema, and samples of values that are mandatory.
fn samples(schema: &Value, of: &Value) -> Value {
    let mut values = defaults(of);
    for key in of["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if values[key].is_null() {
            values[key] = sample(schema, &of["properties"][key]);
        }
    }
    values
}

/// Returns a value that a part of the schema without a default accepts, as far as the schema tells.
fn sample(schema: &Value, part: &Value) -> Value {
    let of = resolve(schema, part);
    let kinds = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|kinds| of[kinds].get(0));
    let known = [&of["default"], &of["const"], &of["examples"][0], &of["enum"][0]];
    if let Some(known) = known.into_iter().find(|known| !known.is_null()) {
        return known.clone();
    }
    match of["type"].as_str().or_else(|| of["type"][0].as_str()) {
        Some("object") => samples(schema, &of),
        Some("array") => json!([]),
        Some("boolean") => json!(false),
        Some("integer" | "number") => json!(of["minimum"].as_u64().unwrap_or_default().max(1)),
        Some("string") => json!("value"),
        _ => kinds.map_or(Value::Null, |kind| sample(schema, kind)),
    }
}

/// Returns an example of a name that the operator chooses, and of its value if it is a known text.
fn named(path: &str) -> (&'static str, &'static str) {
    match path {
        "tunnels" => ("edge", ""),
        "authentication.users" => ("ann", ""),
        "log.targets" => ("connections", "warn"),
        "metrics.labels" => ("env", "prod"),
        "rooms.options" => ("news*", ""),
        _ => ("name", ""),
    }
}

/// Fills the mandatory keys of a part's defaults with examples.
fn example(path: &str, mut values: Value) -> Value {
    let needed = match path {
        "cluster" => json!({ "url": "redis://127.0.0.1:6379" }),
        "tunnels.*" => json!({ "ssh_host": "edge.example.org", "ssh_user": "drupe" }),
        "authentication.users.*" => json!({ "password_file": "ann.password" }),
        "authentication.tokens" => json!({ "hs256_secret_file": "hs256.secret" }),
        "recorder" => json!({ "directory": "/var/lib/drupe" }),
        "log.file" => json!({ "directory": "/var/log/drupe" }),
        "listeners.*.forward" => json!({ "tunnel": "edge" }),
        "listeners.*.tls" => json!({ "certificates": [{ "certificate": "cert.pem", "key": "key.pem" }] }),
        "listeners.*.proxy_protocol" | "listeners.*.forwarded" => json!({ "trusted": ["10.0.0.0/8"] }),
        _ => json!({}),
    };
    for (key, value) in needed.as_object().into_iter().flatten() {
        values[key] = value.clone();
    }
    values
}
