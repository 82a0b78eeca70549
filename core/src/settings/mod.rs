//! Text in, a checked configuration out. Needs the feature `settings`.
//!
//! What can be configured is [`Settings`]; its fields say what each means. A configuration is made of layers, each upon the one
//! before: the defaults, a profile, files (YAML or JSON), the environment, and the command line. [`Sources::resolve`] puts them
//! together and says everything that is wrong with them, with file, line, key and what to do. [`Resolved::plan`] is what a
//! server is made of.
//!
//! ```
//! use drupe_core::settings::Sources;
//!
//! let resolved = Sources::new()
//!     .file("drupe.yaml", "listeners:\n  chat: { address: '127.0.0.1:7000', limits: { idle: 5m } }\n")
//!     .environment([("DRUPE_LIMITS__CONNECTIONS_MAX", "100")])
//!     .resolve()
//!     .unwrap();
//! assert_eq!(resolved.plan.config.connections.total, 100);
//!
//! let problems = Sources::new().file("drupe.yaml", "limits:\n  peer:\n    idel: 5m\n").resolve().unwrap_err();
//! assert_eq!(
//!     problems.to_string(),
//!     "drupe.yaml:3: limits.peer.idel: there is no such key; did you mean idle?"
//! );
//! ```
//!
//! # Layers
//!
//! - **Profile**: `profile: production` in a file, `DRUPE_PROFILE`, or the command line.
//! - **Files**: maps are merged key by key; lists and values take the place of those before.
//! - **Environment**: `DRUPE_` and the key in capitals, with `__` between its parts: `DRUPE_LIMITS__PEER__IDLE=5m`,
//!   `DRUPE_LISTENERS__CHAT__ADDRESS=127.0.0.1:7000`. Where text is expected, the value is that text; elsewhere it is YAML, so
//!   `[a, b]` is a list and `null` takes a listener or a user away. The names of listeners, tunnels and users are found whatever
//!   their capitals; new ones are in small letters.
//! - **Command line**: `--set limits.peer.idle=5m`.
//!
//! A variable that begins with `DRUPE_` is a key if what stands before its first `__` is a key of the first level, such as
//! `limits` or `workers`. Of the others, those that Kubernetes makes of services are passed over (`DRUPE_CHAT_SERVICE_HOST`,
//! `DRUPE_CHAT_PORT=tcp://10.0.0.7:80`), and so are `DRUPE_CONFIG`, `DRUPE_PASSWORD`, `DRUPE_TOKEN` and what begins with
//! `DRUPE_TEST_`. What is left is an error if it has a `__`, and a [warning](Resolved::warnings) if it has none.
//!
//! Paths in a file that are relative begin at the folder of the file; others, and those of a file that is a pipe, at the
//! directory in which the program runs. `~/` is the home directory for the files of tunnels.
//!
//! # What holds at once when it is loaded anew
//!
//! | key | new connections | open connections |
//! |---|---|---|
//! | `limits`, `outbound`, `quarantine`, `rooms`, `closing`, `drain` | at once | at once; who is over a number of connections stays |
//! | `listeners`: added | listened at | |
//! | `listeners`: removed, or another `address` | no longer let in | stay |
//! | `listeners.*.limits`, `prompt` | at once | at once |
//! | `listeners.*.socket` | with the next start | with the next start |
//! | `tunnels`: added; another server, user, key or way there | dialled at once | what came through it ends as `tunnel_lost` |
//! | `tunnels`: removed | no longer let in | stay; it ends with the last of them |
//! | `tunnels`: waits and timeouts | at once | stay |
//! | `listeners.*`: `welcome`, `notices`, `half_open`, `app`, `tls`, `websocket`, `telnet`, `lines`, `length`, proxies, networks | at once | stay as they are |
//! | `authentication`: users, passwords, tokens' keys | at once | stay who they are |
//! | `monitor.credential`, `monitor.metrics_credential` | at once | stay |
//! | `log.level`, `log.targets` | at once | |
//! | `workers`, `envelope`, `log`: all else, `authentication`: all else, `monitor`: all else | with the next start | |
//!
//! A configuration that is wrong changes nothing. An address that is made wider or narrower at the same port (127.0.0.1 to
//! 0.0.0.0) is closed before the new one is listened at, and listened at again if that fails. A span that is new or shorter
//! begins anew for open connections that it would end at once.
//!
#![doc = include_str!("coming_from.md")]

mod document;
mod environment;
mod follow;
mod layers;
mod listeners;
mod passwords;
mod paths;
mod plan;
mod profiles;
mod salvage;
mod secret;
mod template;
mod tree;
mod tunnels;
mod typed;
pub mod units;
mod warnings;
mod words;

pub use passwords::HashedPasswords;
pub use plan::{AuthenticationPlan, MonitorPlan, Plan};
pub use secret::Secret;
pub use template::{environment_template, schema, template};
pub use tree::*;

use crate::app::AppName;
use crate::base::text::neutralize;
use crate::config::Listen;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use document::{Content, Node};
use environment::{PREFIX, Variable};
use layers::{Layers, OF_PROFILE};
use serde_json::Value;
use typed::typed;

/// What a configuration is made of.
#[derive(Clone, Default)]
pub struct Sources {
    files: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    set: Vec<(String, String)>,
    profile: Option<String>,
    listen: Vec<Listen>,
    app: Option<AppName>,
    unlimited: bool,
    read: Option<ReadSecret>,
}

/// Reads the first line of a file, or says why it can't.
type ReadSecret = fn(&str) -> Result<String, String>;

/// Layers that fit together.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What they say.
    pub settings: Settings,
    /// What a server is made of.
    pub plan: Plan,
    /// What will hurt, though it can be done: it is for the operator to know.
    pub warnings: Vec<SettingsError>,
    layers: Layers,
}

/// One thing that is wrong. It can be printed as it is: nothing in it is secret, acts on a terminal, or is long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsError {
    /// Where: a file and a line, a variable, or an argument.
    pub place: String,
    /// Which key, with dots between its parts; empty if it is no key.
    pub key: String,
    /// What is wrong with it, and what would be right.
    pub words: String,
}

/// Everything that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsErrors(pub Vec<SettingsError>);

impl Sources {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And a file; later ones upon earlier ones. `name` is what errors call it, and paths in the file begin at its folder.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// And those variables of an environment that begin with `DRUPE_`.
    #[must_use]
    pub fn environment<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let ours = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX));
        self.environment.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// And a key that is set on the command line.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.set.push((key.to_owned(), value.to_owned()));
        self
    }

    /// And a profile that is named on the command line.
    #[must_use]
    pub fn profile(mut self, profile: &str) -> Self {
        self.profile = Some(profile.to_owned());
        self
    }

    /// And listeners in place of those that there are when nobody names any; as they are written for
    /// [`Listen`].
    #[must_use]
    pub fn listen(mut self, listeners: impl IntoIterator<Item = Listen>) -> Self {
        self.listen.extend(listeners);
        self
    }

    /// And the application of listeners that no file names.
    #[must_use]
    pub fn app(self, app: AppName) -> Self {
        Self { app: Some(app), ..self }
    }

    /// And no rates and no caps on connections; see [`Config::unlimited`](crate::Config::unlimited).
    #[must_use]
    pub fn unlimited(self) -> Self {
        Self { unlimited: true, ..self }
    }

    /// Reads secrets that stand in files of their own with this: the first line of a file, or why it can't be had.
    #[must_use]
    pub fn secrets_from(self, read: fn(&str) -> Result<String, String>) -> Self {
        Self { read: Some(read), ..self }
    }

    /// Puts the layers together and checks them.
    ///
    /// # Errors
    /// What is wrong: values of the wrong kind, or else all that does not go together.
    pub fn resolve(&self) -> Result<Resolved, SettingsErrors> {
        let schema = template::parsed_schema();
        let mut upper =
            self.files.iter().map(|(name, text)| Upper::file(schema, name, text)).collect::<Result<Vec<_>, _>>()?;
        let mut warnings = Vec::new();
        for (name, value) in &self.environment {
            match environment::variable(schema, name, value) {
                Variable::Other => {}
                Variable::Unknown => {
                    let words = "it is no key, and ignored: a key has `__` between its parts";
                    warnings.push(SettingsError::new(name, "", words));
                }
                Variable::Key(parts) => upper.push(Upper::variable(schema, name, parts, value)?),
            }
        }
        upper.extend(self.set.iter().map(|(key, value)| Upper::set(schema, key, value)));
        upper.extend(self.profile.iter().map(|profile| Upper::profile(profile)));
        let profile = upper.iter().rev().find_map(Upper::named_profile);
        let profile = profile.and_then(|name| serde_json::from_value::<Profile>(name).ok()).unwrap_or_default();
        let mut layers = Layers::default();
        let layer = format!("{OF_PROFILE}{}", profile.name());
        layers.add(&layer, &built_in(profile.layer())?);
        for upper in upper {
            upper.add_to(schema, &mut layers)?;
        }
        let is_empty = |listeners: &Value| listeners.as_object().is_some_and(serde_json::Map::is_empty);
        let has_listeners = layers.merged.get("listeners").is_some_and(|listeners| !is_empty(listeners));
        let is_default = !has_listeners && self.listen.is_empty();
        if is_default {
            layers.add(&layer, &built_in(profile.listeners())?);
        }
        layers.inherit();
        let mut settings = typed(&layers, schema)?;
        if let Some(app) = self.app.filter(|_| is_default) {
            let app = AppChoice::from(app);
            settings.listeners.values_mut().for_each(|listener| listener.app = app);
        }
        self.read_secrets(&mut settings, &layers)?;
        follow::follow(&mut settings, &layers);
        let mut plan = Plan::new(&settings, &layers, self.listen.is_empty())?;
        for (listen, number) in self.listen.iter().zip(1..) {
            let is_clear = !listen.is_local() && listen.tls.is_none();
            if let (true, Some(words)) = (
                is_clear && !settings.authentication.allow_plaintext,
                listeners::secrets_in_the_clear(&settings, "TLS for a listener of a file"),
            ) {
                return Err(SettingsError::new("--listen", &listen.bound(&listen.address), &words).into());
            }
            let mut listen = Listen { name: format!("listen{number}"), ..listen.clone() };
            listen.app = self.app.unwrap_or(AppName::Chat).to_string();
            plan.config.listeners.push(listen);
            plan.tls.push(None);
        }
        if self.unlimited {
            plan.config = plan.config.unlimited();
        }
        let has_chat = plan.config.listeners.iter().any(|listen| listen.app == "chat");
        if settings.workers.get() > 1 && has_chat {
            let words = "chat runs with workers: 1, since it keeps the names of all in one place";
            return Err(layers.blame("workers", words).into());
        }
        warnings.extend(warnings::warnings(&settings, &plan, &layers));
        if self.unlimited && settings.profile == Profile::Production {
            warnings.push(SettingsError::new("--unlimited", "", "no rate and no number of connections is limited"));
        }
        Ok(Resolved { settings, plan, warnings, layers })
    }
}

impl Sources {
    fn read_secrets(&self, settings: &mut Settings, layers: &Layers) -> Result<(), SettingsErrors> {
        let MonitorSettings { credential, credential_file, metrics_credential, metrics_credential_file, .. } =
            &mut settings.monitor;
        self.read_secret(layers, "monitor.credential", credential, credential_file)?;
        self.read_secret(layers, "monitor.metrics_credential", metrics_credential, metrics_credential_file)?;
        for (name, tunnel) in &mut settings.tunnels {
            let TunnelSettings { ssh_key_passphrase, ssh_key_passphrase_file, .. } = tunnel;
            let key = format!("tunnels.{name}.ssh_key_passphrase");
            self.read_secret(layers, &key, ssh_key_passphrase, ssh_key_passphrase_file)?;
        }
        let AuthenticationSettings { shared_password, shared_password_file, users, tokens, .. } =
            &mut settings.authentication;
        self.read_secret(layers, "authentication.shared_password", shared_password, shared_password_file)?;
        for (name, UserSettings { password, password_file, .. }) in users {
            self.read_secret(layers, &format!("authentication.users.{name}.password"), password, password_file)?;
        }
        if let Some(TokenSettings { hs256_secret, hs256_secret_file, .. }) = tokens {
            self.read_secret(layers, "authentication.tokens.hs256_secret", hs256_secret, hs256_secret_file)?;
        }
        Ok(())
    }

    /// A secret may stand in a file, which another key names.
    fn read_secret(&self, layers: &Layers, key: &str, secret: &mut Secret, file: &str) -> Result<(), SettingsErrors> {
        let file_key = format!("{key}_file");
        let blame = |words: String| SettingsErrors::from(layers.blame(&file_key, words));
        if file.is_empty() {
            return Ok(());
        }
        if !secret.is_empty() {
            return Err(blame(format!("there is {key} as well; set one of them")));
        }
        let read = self.read.ok_or_else(|| blame("files are not read here".into()))?;
        *secret = Secret::new(read(file).map_err(|cause| blame(format!("can't read {file}: {cause}")))?);
        if secret.is_empty() {
            return Err(blame(format!("the first line of {file} is empty")));
        }
        Ok(())
    }
}

/// A layer above the profile.
struct Upper {
    /// What errors call it.
    name: String,
    /// The key that it sets; none, if it is a whole document.
    key: Vec<String>,
    node: Node,
    /// Whether capitals can't be told in the key.
    is_variable: bool,
}

impl Upper {
    fn file(schema: &Value, name: &str, text: &str) -> Result<Self, SettingsError> {
        let mut node = Node::read(name, text)?;
        if !matches!(node.content, Content::Map(_)) {
            let words = "a configuration is keys with values, such as `profile: production`";
            return Err(SettingsError::new(&format!("{name}:{}", node.line), "", words));
        }
        if let Some(folder) = paths::folder(name) {
            paths::rebase(schema, schema, folder, &mut node);
        }
        Ok(Self { name: name.to_owned(), key: Vec::new(), node, is_variable: false })
    }

    fn variable(schema: &Value, name: &str, key: Vec<String>, value: &str) -> Result<Self, SettingsError> {
        let is_text = is_text(schema, &key);
        if value.is_empty() && !is_text {
            return Err(SettingsError::new(name, &key.join("."), "it is empty; leave the variable out, or say never"));
        }
        Ok(Self { name: name.to_owned(), node: value_for(schema, &key, value), key, is_variable: true })
    }

    fn set(schema: &Value, key: &str, value: &str) -> Self {
        let name = format!("--set {key}");
        let key: Vec<_> = key.split('.').map(ToString::to_string).collect();
        Self { name, node: value_for(schema, &key, value), key, is_variable: false }
    }

    fn profile(profile: &str) -> Self {
        let node = Node::value_of(profile, true);
        Self { name: "--profile".into(), key: ["profile".into()].into(), node, is_variable: false }
    }

    fn named_profile(&self) -> Option<Value> {
        match &self.node.content {
            Content::Map(map) if self.key.is_empty() => {
                map.iter().find(|(key, _)| key == "profile").map(|(_, node)| node.to_value())
            }
            _ => (self.key == ["profile"]).then(|| self.node.to_value()),
        }
    }

    fn add_to(self, schema: &Value, layers: &mut Layers) -> Result<(), SettingsError> {
        let Self { name, key, node, is_variable } = self;
        let key = if is_variable {
            let words = key.join(".");
            environment::key(schema, &layers.merged, key).map_err(|cause| SettingsError::new(&name, &words, &cause))?
        } else {
            key
        };
        layers.add(&name, &nested(key, node));
        Ok(())
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Resolved {
    /// What is wrong with a key that only became clear later, such as when its files were read.
    #[must_use]
    pub fn blame(&self, key: &str, words: String) -> SettingsError {
        self.layers.blame(key, words)
    }

    /// Every value, as `key: value`, and which layer set it. What is secret is not shown.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut lines = Vec::new();
        leaves("", &self.value(), &mut |path, value| {
            let origin = self.layers.origin(path).filter(|_| self.layers.is_set(path)).unwrap_or("default");
            lines.push(format!("{path}: {} # {origin}", shown(value)));
        });
        lines.join("\n")
    }

    /// What differs in a newer configuration, as `key: before -> after`. What is secret is not shown.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Vec<String> {
        let (mut before, mut after) = (alloc::collections::BTreeMap::new(), alloc::collections::BTreeMap::new());
        leaves("", &self.value(), &mut |path, value| drop(before.insert(path.to_owned(), value.clone())));
        leaves("", &newer.value(), &mut |path, value| drop(after.insert(path.to_owned(), value.clone())));
        let (secrets, newer_secrets) = (self.settings.secrets(), newer.settings.secrets());
        let is_other = |path: &String, value: &Value| {
            before.get(path) != Some(value) || secrets.get(path) != newer_secrets.get(path)
        };
        let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
        let gone = gone.map(|(path, value)| format!("{path}: {} -> (gone)", shown(value)));
        let other = after.iter().filter(|(path, value)| is_other(path, value)).map(|(path, value)| {
            let old = before.get(path).map_or("(none)".into(), shown);
            format!("{path}: {old} -> {}{}", shown(value), when(path))
        });
        gone.chain(other).collect()
    }

    fn value(&self) -> Value {
        serde_json::to_value(&self.settings).unwrap_or_default()
    }
}

impl Layers {
    fn is_set(&self, path: &str) -> bool {
        self.origins.contains_key(path)
            || self.origins.keys().any(|known| known.starts_with(path) && known[path.len()..].starts_with(['.', '[']))
    }
}

/// What a reload does not change.
fn when(path: &str) -> &'static str {
    const STARTS: [&str; 5] = ["workers", "envelope", "log.", "authentication.", "monitor."];
    const AT_ONCE: [&str; 8] = [
        "log.level",
        "log.targets",
        "authentication.users",
        "authentication.shared_password",
        "authentication.tokens",
        "authentication.iterations",
        "monitor.credential",
        "monitor.metrics_credential",
    ];
    let begins = |parts: &[&str]| parts.iter().any(|part| path.starts_with(part));
    let is_socket = path.starts_with("listeners.") && path.split('.').nth(2) == Some("socket");
    if is_socket || begins(&STARTS) && !begins(&AT_ONCE) { " (with the next start)" } else { "" }
}

/// Whether a key takes any text.
fn is_text(schema: &Value, key: &[String]) -> bool {
    let part = part_of(schema, key);
    part["type"] == "string" && part.get("pattern").is_none()
}

/// A value outside a file, where nobody thinks of quotes: digits are text where text is expected, such as a mode.
fn value_for(schema: &Value, key: &[String], text: &str) -> Node {
    let node = Node::value_of(text, is_text(schema, key));
    let kind = &part_of(schema, key)["type"];
    let takes_text = kind == "string" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"));
    let is_number = matches!(node.content, Content::Scalar(Value::Number(_)));
    if takes_text && is_number { Node::value_of(text, true) } else { node }
}

fn part_of(schema: &Value, key: &[String]) -> Value {
    key.iter().fold(schema.clone(), |part, name| {
        let of = template::resolve(schema, &part);
        of["properties"].get(name).unwrap_or(&of["additionalProperties"]).clone()
    })
}

fn shown(value: &Value) -> String {
    if value == "(secret)" { "(secret)".into() } else { neutralize(&value.to_string()).into_owned() }
}

/// Tells every value that has none below it. A list is one.
fn leaves(path: &str, value: &Value, tell: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, tell);
            }
        }
        Value::Null => {}
        value => tell(path, value),
    }
}

fn nested(key: Vec<String>, value: Node) -> Node {
    let within = |inner, part| Node { line: 0, content: Content::Map([(part, inner)].into()) };
    key.into_iter().rev().fold(value, within)
}

/// What is built in is well formed, as tests show.
fn built_in(text: &str) -> Result<Node, SettingsErrors> {
    let mut node = Node::read("profile", text)?;
    node.forget_lines();
    Ok(node)
}

impl SettingsError {
    fn new(place: &str, key: &str, words: &str) -> Self {
        Self { place: words::harmless(place), key: words::harmless(key), words: words::harmless(words) }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}: {}", self.place, self.key, self.words)
    }
}

impl core::error::Error for SettingsError {}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl core::error::Error for SettingsErrors {}

impl From<SettingsError> for SettingsErrors {
    fn from(error: SettingsError) -> Self {
        Self([error].into())
    }
}
