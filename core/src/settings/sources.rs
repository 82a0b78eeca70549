//! The sources of a configuration (files, environment, command line) and their merging.

use crate::config::{Listen, Part};
use crate::settings::catalog::Catalog;
use crate::settings::dials::LoadClientTls;
use crate::settings::document::{Content, Node, built_in};
use crate::settings::environment::Variable;
use crate::settings::faults::fault;
use crate::settings::layers::{Layers, OF_PROFILE};
use crate::settings::plan::{Plan, Provided};
use crate::settings::resolved::Resolved;
use crate::settings::schema::resolve;
use crate::settings::secret::Secret;
use crate::settings::secret_files::SecretFiles;
use crate::settings::sections::{TypedSections, sections};
use crate::settings::tree::{
    AuthenticationSettings, ClientTlsSettings, ClusterSettings, MonitorSettings, Profile, Settings, TokenSettings,
    TunnelSettings, UserSettings,
};
use crate::settings::typed::typed;
use crate::settings::{SettingsError, SettingsErrors};
use crate::settings::{environment, follow, listeners, paths, section_paths, warnings};
use crate::tls::{ClientCertificates, ClientTls, TlsFiles};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use serde_json::Value;

/// The sources of a configuration, which [`resolve`](Self::resolve) merges and checks.
#[derive(Clone)]
pub struct Sources {
    pub(super) catalog: Arc<Catalog>,
    pub(super) files: Vec<(String, String)>,
    pub(super) environment: Vec<(String, String)>,
    /// Keys with their values, and the argument that sets each.
    pub(super) set: Vec<(String, String, String)>,
    pub(super) profile: Option<String>,
    listen: Vec<Listen>,
    app: Option<String>,
    unlimited: bool,
    read: SecretFiles,
    load_client_tls: Option<LoadClientTls>,
}

impl Sources {
    /// Creates the sources of the program `drupe`, with the defaults only.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Arc::clone(Catalog::of_drupe()))
    }

    /// Creates the sources of a program, with the defaults only.
    pub fn of(catalog: impl Into<Arc<Catalog>>) -> Self {
        Self {
            catalog: catalog.into(),
            files: Vec::new(),
            environment: Vec::new(),
            set: Vec::new(),
            profile: None,
            listen: Vec::new(),
            app: None,
            unlimited: false,
            read: SecretFiles::default(),
            load_client_tls: None,
        }
    }

    /// Adds a file, which overrides earlier ones.
    ///
    /// `name` appears in errors. Relative paths in the file start at its folder.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds the environment variables that begin with the program's prefix, such as `DRUPE_`.
    #[must_use]
    pub fn environment<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let ours = variables.into_iter().filter(|(name, _)| name.starts_with(self.catalog.environment_prefix()));
        self.environment.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// Sets one key, which overrides files and the environment.
    #[must_use]
    pub fn set(self, key: &str, value: &str) -> Self {
        self.set_by(&format!("--set {key}"), key, value)
    }

    /// Sets one key as [`set`](Self::set) does, for an argument that errors then name.
    ///
    /// `argument` is the text that the operator typed, such as `--players`.
    #[must_use]
    pub fn set_by(mut self, argument: &str, key: &str, value: &str) -> Self {
        self.set.push((argument.to_owned(), key.to_owned(), value.to_owned()));
        self
    }

    /// Sets the profile, which overrides that of every other source.
    #[must_use]
    pub fn profile(mut self, profile: &str) -> Self {
        self.profile = Some(profile.to_owned());
        self
    }

    /// Adds listeners to the configured ones. Omits the profile's default listeners.
    #[must_use]
    pub fn listen(mut self, listeners: impl IntoIterator<Item = Listen>) -> Self {
        self.listen.extend(listeners);
        self
    }

    /// Sets the application of the default listeners and of those of [`listen`](Self::listen).
    #[must_use]
    pub fn app(self, app: &str) -> Self {
        Self { app: Some(app.to_owned()), ..self }
    }

    /// Removes the server-wide rate limits and connection limits, for load tests.
    ///
    /// See [`Config::unlimited`](crate::Config::unlimited).
    #[must_use]
    pub fn unlimited(self) -> Self {
        Self { unlimited: true, ..self }
    }

    /// Sets the function that reads secrets from files.
    ///
    /// The function returns the first line of a file, or all lines if the first one begins with five dashes, as in
    /// credentials of NATS. Otherwise, it returns why the file can't be read.
    #[must_use]
    pub fn secrets_from(self, read: fn(&str) -> Result<String, String>) -> Self {
        Self { read: SecretFiles(Some(read)), ..self }
    }

    /// Sets the function that loads the TLS files of outgoing connections in sections.
    ///
    /// The function returns the loaded settings, or why they can't be loaded.
    #[must_use]
    pub fn client_tls_from(self, load: fn(&ClientTlsSettings) -> Result<ClientTls, String>) -> Self {
        Self { load_client_tls: Some(load), ..self }
    }

    /// Merges the layers and checks the result.
    ///
    /// # Errors
    /// All files that are not YAML and all variables without a value; if there are none, all values
    /// of the wrong type and all unknown keys; if there are none, all other errors, such as secrets
    /// that cannot be read and values that do not fit each other. At most one error of each user
    /// and each section's own check.
    pub fn resolve(&self) -> Result<Resolved, SettingsErrors> {
        if let Some(fault) = fault(&self.catalog) {
            return Err(SettingsError::new(self.catalog.program(), "", &fault).into());
        }
        let schema: &Value = self.catalog.parsed_schema();
        let (mut upper, mut warnings, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut add = |read| match read {
            Ok(read) => upper.push(read),
            Err(error) => problems.push(error),
        };
        self.files.iter().for_each(|(name, text)| add(Upper::file(schema, name, text)));
        for (name, value) in &self.environment {
            match environment::variable(&self.catalog, name, value) {
                Variable::Other => {}
                Variable::Unknown => {
                    let words = "unknown variable, ignored: a key has `__` between its parts";
                    warnings.push(SettingsError::new(name, "", words));
                }
                Variable::Key(parts) => add(Upper::variable(schema, name, parts, value)),
            }
        }
        none(&mut problems)?;
        upper.extend(self.set.iter().map(|(argument, key, value)| Upper::set(schema, argument, key, value)));
        upper.extend(self.profile.iter().map(|profile| Upper::profile(profile)));
        let profile = upper.iter().rev().find_map(Upper::named_profile);
        let profile = profile.and_then(|name| serde_json::from_value::<Profile>(name).ok()).unwrap_or_default();
        let mut layers = Layers::default();
        let layer = format!("{OF_PROFILE}{}", profile.name());
        layers.add(&layer, &built_in(profile.layer())?);
        problems.extend(upper.into_iter().filter_map(|upper| upper.add_to(schema, &mut layers).err()));
        none(&mut problems)?;
        let is_empty = |listeners: &Value| listeners.as_object().is_some_and(serde_json::Map::is_empty);
        let has_listeners = layers.merged.get("listeners").is_some_and(|listeners| !is_empty(listeners));
        let is_default = !has_listeners && self.listen.is_empty();
        if is_default {
            layers.add(&layer, &built_in(profile.listeners())?);
        }
        layers.inherit();
        let (mut settings, sections) = self.typed(&layers, is_default)?;
        self.read_secrets(&mut settings, &layers, &mut problems);
        follow::follow(&mut settings, &layers);
        let provided = Provided { catalog: &self.catalog, load_client_tls: self.load_client_tls };
        let (mut plan, found) = Plan::new(&settings, provided, &layers, self.listen.is_empty());
        problems.extend(found);
        for (listen, number) in self.listen.iter().zip(1..) {
            let is_clear = !listen.is_local() && !listen.is_encrypted();
            if let (true, Some(words)) = (
                is_clear && !settings.authentication.allow_plaintext,
                listeners::secrets_in_the_clear(&settings, "TLS for a listener in a file"),
            ) {
                problems.push(SettingsError::new("--listen", &listen.bound(&listen.address), &words));
            }
            let mut listen = Listen { name: format!("listen{number}"), ..listen.clone() };
            self.app.as_deref().unwrap_or(self.catalog.default_app()).clone_into(&mut listen.app);
            plan.config.listeners.push(listen);
            plan.tls.push(None);
        }
        if self.unlimited {
            plan.config = plan.config.unlimited();
        }
        let needs_one = |listen: &&Listen| self.catalog.needs_one_worker(&listen.app);
        if let (true, Some(listen)) = (settings.workers.get() > 1, plan.config.listeners.iter().find(needs_one)) {
            let words =
                format!("the application {} needs workers: 1, because one worker must know all peers", listen.app);
            problems.push(layers.blame("workers", words));
        }
        // A client certificate can name the user.
        let takes_certificates = |files: &Option<TlsFiles>| {
            files.as_ref().is_some_and(|files| !matches!(files.clients, ClientCertificates::None))
        };
        for (app, key, words) in &sections.closed {
            let mut listeners = plan.config.listeners.iter().zip(&plan.tls).filter(|(listen, _)| listen.app == *app);
            let is_closed = |(_, files): (&Listen, &Option<TlsFiles>)| !takes_certificates(files);
            if !settings.authentication.enabled && listeners.any(is_closed) {
                problems.push(layers.blame(key, words.clone()));
            }
        }
        problems.extend(section_paths::problems(&sections.paths, &plan.config.listeners, &layers));
        none(&mut problems)?;
        warnings.extend(warnings::warnings(&settings, &plan, &layers));
        if self.unlimited && settings.profile == Profile::Production {
            warnings.push(SettingsError::new("--unlimited", "", "rates and numbers of connections are not limited"));
        }
        if self.catalog.sections().iter().any(|section| sections.shown.get(section.name) != Some(&(section.defaults)()))
        {
            plan.config.unapplied.add(Part::Sections);
        }
        plan.config.sections = sections.sections;
        plan.add_rooms_of_sections(sections.rooms);
        plan.key_sets.extend(sections.key_sets);
        Ok(Resolved { settings, sections: sections.shown, plan, warnings, layers })
    }
}

impl Sources {
    /// Reads all secrets that are in files.
    ///
    /// In place of one that cannot be read is a placeholder of its own, which passes further checks.
    fn read_secrets(&self, settings: &mut Settings, layers: &Layers, problems: &mut Vec<SettingsError>) {
        let mut read_secret =
            |key: &str, secret: &mut Secret, file: &str| match self.read.read(layers, key, !secret.is_empty(), file) {
                Ok(None) => {}
                Ok(Some(read)) => *secret = Secret::new(read),
                Err(error) => {
                    problems.push(error);
                    *secret = Secret::new(format!("{}{}", "unread".repeat(8), problems.len()));
                }
            };
        let MonitorSettings { credential, credential_file, metrics_credential, metrics_credential_file, .. } =
            &mut settings.monitor;
        read_secret("monitor.credential", credential, credential_file);
        read_secret("monitor.metrics_credential", metrics_credential, metrics_credential_file);
        read_secret("api.key", &mut settings.api.key, &settings.api.key_file);
        if let Some(cluster) = &mut settings.cluster {
            let ClusterSettings { password, password_file, sentinel_password, sentinel_password_file, .. } = cluster;
            read_secret("cluster.password", password, password_file);
            read_secret("cluster.sentinel_password", sentinel_password, sentinel_password_file);
            read_secret("cluster.nkey", &mut cluster.nkey, &cluster.nkey_file);
            read_secret("cluster.credentials", &mut cluster.credentials, &cluster.credentials_file);
        }
        for (name, tunnel) in &mut settings.tunnels {
            let TunnelSettings { ssh_key_passphrase, ssh_key_passphrase_file, .. } = tunnel;
            let key = format!("tunnels.{name}.ssh_key_passphrase");
            read_secret(&key, ssh_key_passphrase, ssh_key_passphrase_file);
            let TunnelSettings { proxy_password, proxy_password_file, .. } = tunnel;
            read_secret(&format!("tunnels.{name}.proxy_password"), proxy_password, proxy_password_file);
        }
        let AuthenticationSettings { shared_password, shared_password_file, users, tokens, .. } =
            &mut settings.authentication;
        read_secret("authentication.shared_password", shared_password, shared_password_file);
        for (name, UserSettings { password, password_file, .. }) in users {
            read_secret(&format!("authentication.users.{name}.password"), password, password_file);
        }
        if let Some(TokenSettings { hs256_secret, hs256_secret_file, .. }) = tokens {
            read_secret("authentication.tokens.hs256_secret", hs256_secret, hs256_secret_file);
        }
    }

    /// Converts the layers to settings and sections, or returns the errors of both.
    ///
    /// Listeners without an application get the one that was chosen, or the first of the program.
    fn typed(&self, layers: &Layers, is_default: bool) -> Result<(Settings, TypedSections), SettingsErrors> {
        let chosen = self.app.as_deref();
        let is_known = |app: &&str| self.catalog.apps().any(|known| known == *app);
        let no_app = chosen.filter(|app| !is_known(app)).map(|app| self.catalog.no_such_app(app));
        let no_app = no_app.map(|words| SettingsError::new("--app", "", &words));
        let results =
            (typed(layers, &self.catalog), sections(layers, &self.catalog, self.read, self.load_client_tls), no_app);
        let (settings, sections) = match results {
            (Ok(settings), Ok(sections), None) => (settings, sections),
            (settings, sections, no_app) => {
                let problems = [settings.err(), sections.err()].into_iter().flatten().flat_map(|problems| problems.0);
                return Err(SettingsErrors(problems.chain(no_app).collect()));
            }
        };
        let app = chosen.filter(|_| is_default).unwrap_or(self.catalog.default_app());
        let mut settings = settings;
        for listener in settings.listeners.values_mut().filter(|listener| listener.app.is_empty()) {
            app.clone_into(&mut listener.app);
        }
        Ok((settings, sections))
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

/// Returns the errors that were found so far, if there are any.
fn none(problems: &mut Vec<SettingsError>) -> Result<(), SettingsErrors> {
    if problems.is_empty() { Ok(()) } else { Err(SettingsErrors(core::mem::take(problems))) }
}

/// A layer that overrides the values of the profile: a file, a variable or an argument.
pub(super) struct Upper {
    /// The name of the layer in errors.
    name: String,
    /// The parts of the key that the layer sets; empty for a whole document.
    key: Vec<String>,
    node: Node,
    /// Whether the key comes from a variable, which does not preserve case.
    is_variable: bool,
}

impl Upper {
    pub(super) fn file(schema: &Value, name: &str, text: &str) -> Result<Self, SettingsError> {
        let mut node = Node::read(name, text)?;
        if !matches!(node.content, Content::Map(_)) {
            let words = "a configuration consists of keys with values, such as `profile: production`";
            return Err(SettingsError::new(&format!("{name}:{}", node.line), "", words));
        }
        if let Some(folder) = paths::folder(name) {
            paths::rebase(schema, schema, folder, &mut node);
        }
        Ok(Self { name: name.to_owned(), key: Vec::new(), node, is_variable: false })
    }

    pub(super) fn variable(schema: &Value, name: &str, key: Vec<String>, value: &str) -> Result<Self, SettingsError> {
        let is_text = is_text(schema, &key);
        if value.is_empty() && !is_text {
            return Err(SettingsError::new(
                name,
                &key.join("."),
                "it is empty; remove the variable, or set it to never",
            ));
        }
        Ok(Self { name: name.to_owned(), node: value_for(schema, &key, value), key, is_variable: true })
    }

    pub(super) fn set(schema: &Value, argument: &str, key: &str, value: &str) -> Self {
        let name = argument.to_owned();
        let key: Vec<_> = key.split('.').map(ToString::to_string).collect();
        Self { name, node: value_for(schema, &key, value), key, is_variable: false }
    }

    pub(super) fn profile(profile: &str) -> Self {
        let node = Node::value_of(profile, true);
        Self { name: "--profile".into(), key: ["profile".into()].into(), node, is_variable: false }
    }

    pub(super) fn named_profile(&self) -> Option<Value> {
        match &self.node.content {
            Content::Map(map) if self.key.is_empty() => {
                map.iter().find(|(key, _)| key == "profile").map(|(_, node)| node.to_value())
            }
            _ => (self.key == ["profile"]).then(|| self.node.to_value()),
        }
    }

    pub(super) fn add_to(self, schema: &Value, layers: &mut Layers) -> Result<(), SettingsError> {
        let Self { name, key, node, is_variable } = self;
        let key = if is_variable {
            let words = key.join(".");
            environment::key(schema, &layers.merged, key).map_err(|cause| SettingsError::new(&name, &words, &cause))?
        } else {
            key
        };
        layers.add(&name, &with_keys(nested(key, node)));
        Ok(())
    }
}

/// Returns `true` if a key accepts any text.
fn is_text(schema: &Value, key: &[String]) -> bool {
    let part = part_of(schema, key);
    part["type"] == "string" && part.get("pattern").is_none()
}

/// Parses a value for a key, from a variable or an argument.
///
/// Quotes are easily forgotten there, so for keys that take text, such as a mode, digits are text.
fn value_for(schema: &Value, key: &[String], text: &str) -> Node {
    let node = Node::value_of(text, is_text(schema, key));
    let kind = &part_of(schema, key)["type"];
    let takes_text = kind == "string" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"));
    let is_number = matches!(node.content, Content::Scalar(Value::Number(_)));
    if takes_text && is_number { Node::value_of(text, true) } else { node }
}

fn part_of(schema: &Value, key: &[String]) -> Value {
    key.iter().fold(schema.clone(), |part, name| {
        let of = resolve(schema, &part);
        of["properties"].get(name).unwrap_or(&of["additionalProperties"]).clone()
    })
}

/// Replaces the URL of a cluster by keys with the URL, so that other layers can add further keys.
fn with_keys(mut document: Node) -> Node {
    if let Content::Map(map) = &mut document.content {
        for (_, node) in map.iter_mut().filter(|(key, _)| key == "cluster") {
            if matches!(&node.content, Content::Scalar(value) if !value.is_null()) {
                *node = Node { line: node.line, content: Content::Map([("url".into(), node.clone())].into()) };
            }
        }
    }
    document
}

fn nested(key: Vec<String>, value: Node) -> Node {
    let within = |inner, part| Node { line: 0, content: Content::Map([(part, inner)].into()) };
    key.into_iter().rev().fold(value, within)
}
