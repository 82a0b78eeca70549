//! Parts of a configuration that belong to an application.

use super::dials::{DialSettings, LoadClientTls};
use super::section_paths::SectionPath;
use super::token_keys::KeySetSource;
use crate::config::{RoomOptions, Sections};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A part of a configuration that belongs to an application: the value of a top-level key.
///
/// A [`Catalog`](super::Catalog) adds it to the keys of a configuration. Its keys are then checked,
/// explained, shown in templates and in the schema, set by environment variables, and reloaded like
/// those of the server. The handler reads it with [`Hub::settings`](crate::Hub::settings).
///
/// The doc comments of the fields describe the keys to operators. Keys that the operator does not
/// set have the values of `Default`, so the type needs no `#[serde(default)]`. Structs in maps and
/// lists need it for each optional key, because they have no defaults. Unknown keys are
/// errors. For times, sizes and rates, see [`units`](super::units); for passwords, see
/// [`Secret`](super::Secret).
///
/// ```
/// use drupe_core::settings::{Catalog, Section, SectionError, Sources};
///
/// /// The rules of the game.
/// #[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
/// struct Game {
///     /// Number of players in a round, at least 2.
///     players: u8,
///     /// Name of the map.
///     map: String,
/// }
///
/// impl Default for Game {
///     fn default() -> Self {
///         Self { players: 4, map: "island".into() }
///     }
/// }
///
/// impl Section for Game {
///     const NAME: &'static str = "game";
///
///     fn check(&self) -> Result<(), SectionError> {
///         if self.players < 2 {
///             return Err(SectionError::new("players", "a round needs at least 2 players"));
///         }
///         Ok(())
///     }
/// }
///
/// let catalog = Catalog::new("mygame").app("game").section::<Game>();
/// let sources = Sources::of(&catalog).file("mygame.yaml", "game: { map: desert }\n");
/// let plan = sources.clone().environment([("MYGAME_GAME__PLAYERS", "6")]).resolve()?.plan;
/// let game = plan.config.sections.get::<Game>().unwrap();
/// assert_eq!(*game, Game { players: 6, map: "desert".into() });
///
/// let problems = sources.set("game.players", "1").resolve().unwrap_err();
/// assert_eq!(problems.to_string(), "--set game.players: game.players: a round needs at least 2 players");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Section:
    Serialize + DeserializeOwned + JsonSchema + Default + PartialEq + fmt::Debug + Send + Sync + 'static
{
    /// The top-level key: lower-case letters, digits and single `_`.
    const NAME: &'static str;
    /// The key of the section's settings for tokens, if these may name a set of public keys. None by default.
    const TOKENS: Option<&'static str> = None;

    /// Checks the values. The default implementation accepts all of them.
    ///
    /// # Errors
    /// The first key whose value does not fit, and why.
    fn check(&self) -> Result<(), SectionError> {
        Ok(())
    }

    /// Returns options of the rooms of the application whose name is that of the section. None by default.
    ///
    /// For this application, they come before the operator's options with the same pattern.
    fn rooms(&self) -> Vec<RoomOptions> {
        Vec::new()
    }

    /// Checks that peers without a login can use the application with the name of the section. The default
    /// implementation accepts all values.
    ///
    /// The check applies if `authentication` is off, and a listener of the application asks for no client
    /// certificates.
    ///
    /// # Errors
    /// The key that would admit peers, and the reason.
    fn check_unauthenticated(&self) -> Result<(), SectionError> {
        Ok(())
    }

    /// Returns the file or the URL of the set of public keys in the settings for tokens. Default: `None`.
    ///
    /// The program loads and refreshes the set.
    fn key_set(&self) -> Option<KeySetSource> {
        None
    }

    /// Returns the HTTP paths that the application with the name of the section serves. Default: none.
    ///
    /// Each item is the key of the section that enables the path, and the path. The application needs a
    /// listener that serves HTTP. None of its listeners may have its WebSocket at the path.
    fn http_paths(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// Returns the outgoing connections in the section, with their keys. None by default.
    ///
    /// Their values are checked, and their TLS files are loaded with the configuration.
    fn dials(&mut self) -> Vec<(&'static str, &mut DialSettings)> {
        Vec::new()
    }
}

/// An error of a [`Section`]: a key whose value is invalid, and a description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {words}")]
#[non_exhaustive]
pub struct SectionError {
    /// The key inside the section, with dots between its parts; empty for the whole section.
    pub key: String,
    /// A description of what is wrong, and the remedy.
    pub words: String,
}

impl SectionError {
    /// Creates an error for a key inside the section.
    pub fn new(key: impl Into<String>, words: impl Into<String>) -> Self {
        Self { key: key.into(), words: words.into() }
    }
}

/// A section's type as data: its name, schema, defaults and parser.
#[derive(Clone, Copy)]
pub(super) struct SectionType {
    pub(super) name: &'static str,
    /// The key of the settings for tokens, if these may name a set of public keys.
    pub(super) tokens: Option<&'static str>,
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
    /// Returns the default values, with secrets masked.
    pub(super) defaults: fn() -> Value,
    /// Parses a value and adds it to the sections.
    pub(super) read: ReadFn,
}

type ReadFn = fn(
    Value,
    &mut Sections,
    Option<LoadClientTls>,
) -> Result<ReadSection, serde_path_to_error::Error<serde_json::Error>>;

/// The result of parsing a section: its values, and the result of its own check.
pub(super) struct ReadSection {
    /// The values, with secrets masked.
    pub(super) shown: Value,
    /// Options of the rooms of the section's application.
    pub(super) rooms: Vec<RoomOptions>,
    /// The HTTP paths that the section's application serves.
    pub(super) paths: Vec<SectionPath>,
    pub(super) checked: Result<(), SectionError>,
    /// The result of the check for peers without a login.
    pub(super) unauthenticated: Result<(), SectionError>,
    pub(super) key_set: Option<KeySetSource>,
}

impl SectionType {
    pub(super) fn of<T: Section>() -> Self {
        Self {
            name: T::NAME,
            tokens: T::TOKENS,
            schema: SchemaGenerator::subschema_for::<T>,
            defaults: || serde_json::to_value(T::default()).unwrap_or_default(),
            read: |value, sections, load| {
                let mut section: T = serde_path_to_error::deserialize(value)?;
                let shown = serde_json::to_value(&section).unwrap_or_default();
                let prepared = section.dials().into_iter().try_for_each(|(key, dial)| {
                    dial.prepare(load).map_err(|(part, words)| SectionError::new(format!("{key}.{part}"), words))
                });
                let checked = prepared.and_then(|()| section.check());
                let (rooms, unauthenticated) = (section.rooms(), section.check_unauthenticated());
                let key_set = section.key_set();
                let of = |(key, path)| SectionPath { app: T::NAME, key, path };
                let paths = section.http_paths().into_iter().map(of).collect();
                sections.set(section);
                Ok(ReadSection { shown, rooms, paths, checked, unauthenticated, key_set })
            },
        }
    }
}
