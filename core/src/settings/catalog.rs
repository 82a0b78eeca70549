//! The catalog of a program: its configuration keys, applications, codecs and log targets.

use super::schema;
use super::section::{Section, SectionType};
use super::tree::RelaySettings;
use super::words::quoted;
use crate::base::AppIndex;
use crate::wire::Custom;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use serde_json::Value;
use std::sync::OnceLock;

/// A program's configuration keys, applications, [sections](Section), codecs and log targets.
///
/// ```
/// use drupe_core::settings::{Catalog, Profile};
///
/// let catalog = Catalog::new("mygame").app("game").one_worker().app("chat");
/// assert!(catalog.template(Profile::Production).contains("mygame check FILE"));
/// ```
#[derive(Clone)]
pub struct Catalog {
    program: String,
    /// The prefix of the program's environment variables, such as `MYGAME_`.
    prefix: String,
    apps: Vec<App>,
    sections: Vec<SectionType>,
    codecs: Vec<Custom>,
    log_targets: Vec<String>,
    has_mounts: bool,
    schema: OnceLock<Arc<Value>>,
}

/// The name of an application, and what it needs and offers.
#[derive(Clone, Debug)]
struct App {
    name: String,
    needs_one_worker: bool,
    reads_keys: bool,
    has_api: bool,
}

impl Catalog {
    /// Creates a catalog for a program of this name, with the configuration keys of the server.
    ///
    /// Environment variables begin with the name in capitals and `_`. Characters other than letters
    /// and digits become `_`.
    #[must_use]
    pub fn new(program: &str) -> Self {
        let capital = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let prefix = program.chars().map(capital).chain(['_']).collect();
        Self {
            program: program.to_owned(),
            prefix,
            apps: Vec::new(),
            sections: Vec::new(),
            codecs: Vec::new(),
            log_targets: Vec::new(),
            has_mounts: false,
            schema: OnceLock::new(),
        }
    }

    /// Returns the title of the program's pages: its name, which begins with a capital letter.
    pub(super) fn title(&self) -> String {
        let mut chars = self.program.chars();
        chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
    }

    /// Adds an application, by the name that listeners use. The first is the default.
    #[must_use]
    pub fn app(mut self, name: &str) -> Self {
        self.apps.push(App { name: name.to_owned(), needs_one_worker: false, reads_keys: false, has_api: false });
        self.schema = OnceLock::new();
        self
    }

    /// Declares that the application added last needs a server with exactly one worker.
    #[must_use]
    pub fn one_worker(mut self) -> Self {
        if let Some(app) = self.apps.last_mut() {
            app.needs_one_worker = true;
        }
        self
    }

    /// Declares that the application added last handles single [keys](crate::Handler::reads_keys).
    ///
    /// Its listeners may then use the telnet mode `keys`.
    #[must_use]
    pub fn with_keys(mut self) -> Self {
        if let Some(app) = self.apps.last_mut() {
            app.reads_keys = true;
        }
        self
    }

    /// Declares that the application added last responds to requests of the [API](crate::http::Http::api).
    ///
    /// Its listeners may then set `websocket.api`.
    #[must_use]
    pub fn with_api(mut self) -> Self {
        if let Some(app) = self.apps.last_mut() {
            app.has_api = true;
        }
        self
    }

    /// Adds the section `T` of an application to the keys of the configuration.
    #[must_use]
    pub fn section<T: Section>(mut self) -> Self {
        self.sections.push(SectionType::of::<T>());
        self.schema = OnceLock::new();
        self
    }

    /// Returns the keys of settings for tokens, such as `pubsub.tokens`, in the sections that may name a set of public
    /// keys.
    pub fn tokens_of_sections(&self) -> impl Iterator<Item = String> {
        let keys = |section: &SectionType| section.tokens.map(|tokens| format!("{}.{tokens}", section.name));
        self.sections.iter().filter_map(keys)
    }

    /// Adds a codec, which listeners with `protocol: custom` select by its name.
    #[must_use]
    pub fn codec(mut self, codec: Custom) -> Self {
        self.codecs.push(codec);
        self.schema = OnceLock::new();
        self
    }

    /// Adds a target of the application's own log lines, so that `log.targets` may set its level.
    #[must_use]
    pub fn log_target(mut self, target: &str) -> Self {
        self.log_targets.push(target.to_owned());
        self
    }

    /// Declares that the program passes connections to [mounted](crate::Address::Mounted) listeners.
    #[must_use]
    pub fn with_mounts(mut self) -> Self {
        self.has_mounts = true;
        self
    }

    /// Returns `true` if the program was declared to pass connections to mounted listeners.
    #[must_use]
    pub const fn has_mounts(&self) -> bool {
        self.has_mounts
    }

    /// Returns the name of the program.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Returns the prefix of the program's environment variables, such as `MYGAME_`.
    #[must_use]
    pub fn environment_prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the names of the applications. The first is the default.
    pub fn apps(&self) -> impl Iterator<Item = &str> {
        self.apps.iter().map(|app| app.name.as_str())
    }

    /// Returns the index that an application has in [`Apps`](crate::app::Apps), if it was added in the same order.
    pub(super) fn index_of_app(&self, name: &str) -> Option<AppIndex> {
        let place = self.apps.iter().position(|app| app.name == name)?;
        u8::try_from(place).ok().map(AppIndex)
    }

    /// Returns `true` if the application `app` was declared to handle single keys.
    #[must_use]
    pub fn reads_keys(&self, app: &str) -> bool {
        self.apps.iter().any(|known| known.name == app && known.reads_keys)
    }

    /// Returns `true` if the application `app` was declared to have an API.
    #[must_use]
    pub fn has_api(&self, app: &str) -> bool {
        self.apps.iter().any(|known| known.name == app && known.has_api)
    }

    /// Returns the JSON Schema (2020-12) of configurations, for editors.
    #[must_use]
    pub fn schema(&self) -> String {
        serde_json::to_string_pretty(&**self.parsed_schema()).unwrap_or_default()
    }

    pub(super) fn default_app(&self) -> &str {
        self.apps().next().unwrap_or_default()
    }

    /// Returns the error text for the name of an application that the program does not have.
    pub(super) fn no_such_app(&self, name: &str) -> String {
        let known: Vec<_> = self.apps().collect();
        format!("there is no application {}; the applications are {}", quoted(name), known.join(", "))
    }

    pub(super) fn needs_one_worker(&self, app: &str) -> bool {
        self.apps.iter().any(|known| known.name == app && known.needs_one_worker)
    }

    pub(super) fn log_targets(&self) -> impl Iterator<Item = &str> {
        self.log_targets.iter().map(String::as_str)
    }

    pub(super) fn codecs(&self) -> &[Custom] {
        &self.codecs
    }

    pub(super) fn sections(&self) -> &[SectionType] {
        &self.sections
    }

    /// Returns a copy of the catalog without its sections.
    pub(super) fn without_sections(&self) -> Arc<Self> {
        Arc::new(Self { sections: Vec::new(), schema: OnceLock::new(), ..self.clone() })
    }

    /// Returns the schema as a JSON value. The first call generates it.
    pub(super) fn parsed_schema(&self) -> &Arc<Value> {
        self.schema
            .get_or_init(|| Arc::new(schema::generate(&self.sections, &self.apps().collect::<Vec<_>>(), &self.codecs)))
    }

    /// Returns the catalog of the program `drupe`, which is built only once.
    pub(super) fn of_drupe() -> &'static Arc<Self> {
        static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
        CATALOG.get_or_init(|| Arc::new(Self::default()))
    }
}

impl Default for Catalog {
    /// Returns the catalog of the program `drupe`: `chat`, `relay` with its section, and `echo`.
    fn default() -> Self {
        Self::new("drupe").app("chat").app("relay").app("echo").section::<RelaySettings>()
    }
}

impl From<&Catalog> for Arc<Catalog> {
    fn from(catalog: &Catalog) -> Self {
        Self::new(catalog.clone())
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections: Vec<_> = self.sections.iter().map(|section| section.name).collect();
        f.debug_struct("Catalog")
            .field("program", &self.program)
            .field("apps", &self.apps)
            .field("sections", &sections)
            .finish_non_exhaustive()
    }
}
