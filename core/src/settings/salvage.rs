//! The log format of a configuration with errors, so that the errors can be logged in it.

use super::document::built_in;
use super::environment::{self, Variable};
use super::layers::Layers;
use super::sources::Upper;
use super::{FormatChoice, Profile, Sources};
use alloc::vec::Vec;
use serde_json::Value;

impl Sources {
    /// Returns the format of log lines, as far as it can be determined despite other errors.
    #[must_use]
    pub fn log_format(&self) -> FormatChoice {
        let schema: &Value = self.catalog.parsed_schema();
        let files = self.files.iter().flat_map(|(name, text)| {
            let file = Upper::file(schema, name, text).map(|upper| [upper].into());
            file.unwrap_or_else(|_| words_found(schema, text))
        });
        let variables = self.environment.iter().filter_map(|(name, value)| {
            let Variable::Key(parts) = environment::variable(&self.catalog, name, value) else { return None };
            Upper::variable(schema, name, parts, value).ok()
        });
        let set = self.set.iter().map(|(argument, key, value)| Upper::set(schema, argument, key, value));
        let profile = self.profile.iter().map(|profile| Upper::profile(profile));
        let upper: Vec<_> = files.chain(variables).chain(set).chain(profile).collect();
        let profile = upper.iter().rev().find_map(Upper::named_profile);
        let profile = profile.and_then(|name| serde_json::from_value::<Profile>(name).ok()).unwrap_or_default();
        let mut layers = Layers::default();
        built_in(profile.layer()).iter().for_each(|node| layers.add("", node));
        for upper in upper {
            // The errors are reported by `resolve`.
            let _ = upper.add_to(schema, &mut layers);
        }
        let format = layers.merged.get("log").and_then(|log| log.get("format"));
        format.and_then(|format| serde_json::from_value(format.clone()).ok()).unwrap_or_default()
    }
}

/// Searches invalid YAML for the profile and the log format. Returns each as a layer.
fn words_found(schema: &Value, text: &str) -> Vec<Upper> {
    let plain = text.replace(['"', '\''], "");
    let found = [("profile:", "profile"), ("format:", "log.format")].into_iter().filter_map(|(word, key)| {
        let (_, rest) = plain.split_once(word)?;
        let value = rest.trim_start().split(|c: char| !c.is_ascii_alphanumeric()).next()?;
        Some(Upper::set(schema, "", key, value))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_format_is_found_in_broken_settings() {
        let json = |sources: Sources| sources.log_format() == FormatChoice::Json;
        let file = |text: &str| Sources::new().file("drupe.yaml", text);
        assert!(!json(Sources::new()) && !json(file("nothing: of this\n")));
        for text in [
            "log: { format: json }\nlisteners: { a: { addres: x } }",
            "log:\n  format: json\nlisteners: [",
            "{\"log\": {\"format\": \"json\"}, ",
            "profile: production\nno: such key",
            "profile: 'production'\n\t- no YAML",
        ] {
            assert!(json(file(text)), "{text}");
            // Later sources override earlier ones.
            assert!(!json(file(text).file("other.yaml", "log: { format: human }")), "{text}");
            assert!(!json(file(text).environment([("DRUPE_LOG__FORMAT", "human")])), "{text}");
        }
        let set = |key: &str, value: &str| file("listeners: [").set(key, value);
        assert!(json(set("log.format", "json")) && json(file("[").profile("production")));
        assert!(json(file("[").environment([("DRUPE_PROFILE", "production")])));
        assert!(!json(set("log.format", "yaml")));
    }
}
