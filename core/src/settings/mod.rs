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
//!   `[a, b]` is a list and `null` takes a listener or a user away. What begins with `DRUPE_` and is no key is an error.
//! - **Command line**: `--set limits.peer.idle=5m`.
//!
//! Paths that are relative are so to the directory in which the program runs.
//!
//! # What holds at once when it is loaded anew
//!
//! | key | new connections | open connections |
//! |---|---|---|
//! | `limits`, `outbound`, `quarantine`, `rooms`, `closing`, `drain` | at once | at once; who is over a number of connections stays |
//! | `listeners`: added | listened at | |
//! | `listeners`: removed, or another `address` | no longer let in | stay |
//! | `listeners.*.limits`, `prompt` | at once | at once |
//! | `tunnels`: added; another server, user, key or way there | dialled at once | what came through it ends as `tunnel_lost` |
//! | `tunnels`: removed | no longer let in | stay; it ends with the last of them |
//! | `tunnels`: waits and timeouts | at once | stay |
//! | `listeners.*`: `welcome`, `notices`, `half_open`, `app`, `tls`, `websocket`, `telnet`, `lines`, `length`, proxies, networks | at once | stay as they are |
//! | `authentication`: users, passwords, tokens' keys | at once | stay who they are |
//! | `monitor.credential` | at once | stay |
//! | `log.level`, `log.targets` | at once | |
//! | `workers`, `envelope`, `log`: all else, `authentication`: all else, `monitor`: all else | with the next start | |
//!
//! A configuration that is wrong changes nothing.
//!
//! # For who knows another server
//!
//! | aBakedServer | here |
//! |---|---|
//! | `host`, `port` | `listeners.NAME.address` |
//! | `max_concurrent_connections` | `limits.connections_max`, `listeners.NAME.connections_max` |
//! | `idle_timeout` | `limits.peer.idle` |
//! | `close_timeout` | `closing.flush`, `closing.linger`, `drain.deadline` |
//! | `suppress_client_errors` | always: a handler's panic ends one connection |
//! | `ssh_config`: `ssh_host`, `ssh_port`, `ssh_user`, `ssh_key_path`, `known_hosts`, `check_key_permissions` | `tunnels.NAME.*`, by the same names |
//! | `ssh_config`: `remote_bind_host`, `remote_bind_port` | `listeners.NAME.forward.*`, by the same names |
//! | `ssh_config`: `reconnect_on_disconnect`, `reconnect_attempts` | `tunnels.NAME.reconnect.attempts` |
//! | `ssh_config`: `reconnect_backoff`, `reconnect_backoff_factor` | `tunnels.NAME.reconnect.backoff`, `.factor` |
//! | `ssh_config`: `ssh_tun_timeout`; `ssh_close_timeout` | `tunnels.NAME.connect_timeout`, `.close_timeout` |
//! | `interval`, `max_durations`, `retention_strategy` | none is needed: metrics count as things happen, and both the recent and the longest durations are kept |
//!
//! | chuk-protocol-server | here |
//! |---|---|
//! | `servers` | `listeners` |
//! | `host`, `port` | `listeners.NAME.address` |
//! | `transport` | `listeners.NAME.protocol` |
//! | `handler_class` | `listeners.NAME.app` |
//! | `max_connections` | `listeners.NAME.connections_max` |
//! | `connection_timeout` | `limits.peer.lifetime`; for who says nothing, `limits.peer.idle` |
//! | `welcome_message` | `listeners.NAME.welcome` |
//! | `ws_path` | `listeners.NAME.websocket.path` |
//! | `allow_origins` | `listeners.NAME.websocket.origins` |
//! | `use_ssl`, `ssl_cert`, `ssl_key` | `listeners.NAME.tls.certificates` |
//! | `ping_interval` | `listeners.NAME.websocket.ping` |
//! | `ping_timeout` | `limits.peer.silence` |
//! | `enable_monitoring`, `monitor_path` | `listeners.NAME.websocket.monitor`, at `/monitor` |
//!
//! | aiows | here |
//! |---|---|
//! | `host`, `port` | `listeners.NAME.address` |
//! | `is_production`, `require_ssl_in_production` | `profile: production` |
//! | `ssl_cert_file`, `ssl_key_file` | `listeners.NAME.tls.certificates` |
//! | `ssl_cert_common_name`, `ssl_cert_org`, `ssl_cert_country`, `ssl_cert_days` | `drupe cert --self-signed` |
//! | `shutdown_timeout` | `drain.deadline` |
//! | `max_message_size`, `max_frame_size` | `limits.peer.message_max` |
//! | `ping_interval`, `ping_timeout` | `listeners.NAME.websocket.ping`, `limits.peer.silence` |
//! | `max_messages_per_minute`, `window_duration`, `burst_limit` | `limits.peer.messages`, such as `60/60s burst 10` |
//! | `max_connections_per_ip` | `limits.connections_per_address_max` |
//! | `max_connections_per_minute`, `sliding_window_size` | `limits.arrivals_per_address`, such as `30/60s` |
//! | `whitelist_ips` | `limits.exempt` |
//! | `global_max_connections` | `limits.connections_max` |
//! | `secret_key` | `authentication.tokens.hs256_secret` |
//! | `token_ttl` | the `exp` of each token |
//! | `enable_ip_validation` | none: addresses change under honest users |
//! | `rate_limit_attempts`, `rate_limit_window` | `authentication.failures_per_address`, such as `5/5m` |
//! | `auth_timeout` | `authentication.deadline` |
//! | `max_tickets` | `authentication.tokens.single_use_max` |
//! | `allowed_origins`, `require_origin_header` | `listeners.NAME.websocket.origins` |
//! | `session_timeout` | `limits.peer.lifetime` |
//! | `log_level`, `use_json_format` | `log.level`, `log.format` |
//! | `enable_rate_limiting`, `max_logs_per_minute`, `max_logs_per_hour` | `log.repeats` |
//! | `sanitize_data`, `include_message_content` | always, and never |
//! | `handshake_timeout`, `close_timeout` | `listeners.NAME.websocket.timeout`, `closing.flush` |
//! | `require_user_agent`, `min_user_agent_length` | none: they keep nobody out |
//! | `send_queue_max_size` | `outbound.max`, in bytes |
//! | `send_queue_overflow_strategy` | `outbound.slow_policy` |
//! | `slow_client_threshold`, `slow_client_timeout` | `outbound.high`, `outbound.write_deadline` |
//! | `cleanup_interval` and other intervals | none is needed: nothing is polled |
//!
//! | netconduit | here |
//! |---|---|
//! | `host`, `port`, `ipv6` | `listeners.NAME.address` |
//! | `password` | `authentication.shared_password` |
//! | `max_connections` | `limits.connections_max` |
//! | `max_message_size` | `limits.peer.message_max` |
//! | `connection_timeout`, `heartbeat_interval`, `heartbeat_timeout` | `listeners.NAME.websocket.ping`, `listeners.NAME.telnet.keep_alive`, `limits.peer.silence` |
//! | `auth_timeout` | `authentication.deadline` |
//! | `send_queue_size`, `enable_backpressure` | `outbound.max`, `outbound.high` |
//! | `receive_queue_size`, `buffer_size` | none is needed: what is not served is not read |
//! | `enable_compression` | `listeners.NAME.websocket.deflate`, `listeners.NAME.telnet.compress` |
//! | `ssl_enabled`, `ssl_cert_file`, `ssl_key_file` | `listeners.NAME.tls.certificates` |
//! | `ssl_ca_file`, `ssl_verify_client` | `listeners.NAME.tls.authorities`, `listeners.NAME.tls.clients` |
//! | `rate_limit_messages_per_second`, `rate_limit_bytes_per_second` | `limits.peer.messages`, `limits.peer.bytes` |
//!
//! | Summoner | here |
//! |---|---|
//! | `host`, `port` | `listeners.NAME.address` |
//! | `connection_buffer_size`, `command_buffer_size`, `control_channel_capacity`, `queue_monitor_capacity` | none is needed: there are no channels |
//! | `client_timeout_secs`, `timeout_check_interval_secs` | `limits.peer.idle` |
//! | `rate_limit_msgs_per_minute` | `limits.peer.messages`, such as `300/60s` |
//! | `accept_error_backoff_ms` | `limits.accept_backoff` |
//! | `quarantine_cooldown_secs`, `quarantine_cleanup_interval_secs` | `quarantine.cool_down` |
//! | `throttle_threshold`, `throttle_delay_ms` | `limits.peer.ladder.pause` |
//! | `flow_control_threshold`, `flow_control_delay_ms` | `outbound.high`, `outbound.low` |
//! | `disconnect_threshold` | `outbound.max`, `limits.peer.ladder.close` and `.quarantine` |
//! | `worker_threads` | `workers` |
//! | `log_level`, `enable_json_log`, `enable_file_log`, `log_file_path` | `log.level`, `log.format`, `log.file` |
//! | `max_file_size`, `backup_count` | `log.file.rotation`, `log.file.keep` |

mod document;
mod layers;
mod listeners;
mod plan;
mod profiles;
mod template;
mod tree;
mod tunnels;
mod typed;
pub mod units;

pub use plan::{AuthenticationPlan, MonitorPlan, Plan};
pub use template::{environment_template, schema, template};
pub use tree::*;

use crate::Listen;
use crate::app::AppName;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use document::{Content, Node};
use layers::Layers;
use serde_json::Value;
use typed::typed;

/// What a configuration is made of.
#[derive(Clone, Debug, Default)]
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
    layers: Layers,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// And a file; later ones upon earlier ones. `name` is what errors call it.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// And those variables of an environment that begin with `DRUPE_`. `DRUPE_CONFIG`, `DRUPE_PASSWORD`, `DRUPE_TOKEN` and what
    /// begins with `DRUPE_TEST_` are passed over, and so is what Kubernetes makes of a service of the name `drupe`.
    #[must_use]
    pub fn environment<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let is_ours = |name: &str| {
            name.starts_with(PREFIX)
                && !OTHERS.contains(&name)
                && !OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        let ours = variables.into_iter().filter(|(name, _)| is_ours(name));
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
        let schema = serde_json::from_str(&schema()).unwrap_or_default();
        let mut upper = Vec::new();
        for (name, text) in &self.files {
            let node = Node::read(name, text)?;
            if !matches!(node.content, Content::Map(_)) {
                let words = "a configuration is keys with values, such as `profile: production`".into();
                return Err(SettingsError { place: format!("{name}:{}", node.line), key: String::new(), words }.into());
            }
            upper.push((name.clone(), node));
        }
        for (name, value) in &self.environment {
            let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            let is_text = is_text(&schema, &key);
            if value.is_empty() && !is_text {
                let words = "it is empty; leave the variable out, or say never".into();
                return Err(SettingsError { place: name.clone(), key, words }.into());
            }
            upper.push((name.clone(), nested(&key, Node::value_of(value, is_text))));
        }
        for (key, value) in &self.set {
            upper.push((format!("--set {key}"), nested(key, Node::value_of(value, is_text(&schema, key)))));
        }
        if let Some(profile) = &self.profile {
            upper.push(("--profile".into(), nested("profile", Node::value(profile))));
        }
        let named = upper.iter().rev().find_map(|(_, node)| node.profile());
        let profile = named.and_then(|name| serde_json::from_value::<Profile>(name).ok()).unwrap_or_default();
        let mut layers = Layers::default();
        let layer = format!("profile {}", profile.name());
        layers.add(&layer, &built_in(profile.layer())?);
        for (name, node) in &upper {
            layers.add(name, node);
        }
        let is_empty = |listeners: &Value| listeners.as_object().is_some_and(serde_json::Map::is_empty);
        let has_listeners = layers.merged.get("listeners").is_some_and(|listeners| !is_empty(listeners));
        let is_default = !has_listeners && self.listen.is_empty();
        if is_default {
            layers.add(&layer, &built_in(profile.listeners())?);
        }
        layers.inherit();
        let mut settings = typed(&layers, &schema)?;
        if let Some(app) = self.app.filter(|_| is_default) {
            let app = AppChoice::from(app);
            settings.listeners.values_mut().for_each(|listener| listener.app = app);
        }
        self.read_secrets(&mut settings, &layers)?;
        let mut plan = Plan::new(&settings, &layers, self.listen.is_empty())?;
        for (listen, number) in self.listen.iter().zip(1..) {
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
        Ok(Resolved { settings, plan, layers })
    }
}

impl Sources {
    fn read_secrets(&self, settings: &mut Settings, layers: &Layers) -> Result<(), SettingsErrors> {
        let MonitorSettings { credential, credential_file, .. } = &mut settings.monitor;
        self.read_secret(layers, "monitor.credential", credential, credential_file)?;
        for (name, tunnel) in &mut settings.tunnels {
            let TunnelSettings { ssh_key_passphrase, ssh_key_passphrase_file, .. } = tunnel;
            let key = format!("tunnels.{name}.ssh_key_passphrase");
            self.read_secret(layers, &key, ssh_key_passphrase, ssh_key_passphrase_file)?;
        }
        Ok(())
    }

    /// A secret may stand in a file, which another key names.
    fn read_secret(&self, layers: &Layers, key: &str, secret: &mut String, file: &str) -> Result<(), SettingsErrors> {
        let file_key = format!("{key}_file");
        let blame = |words: String| SettingsErrors::from(layers.blame(&file_key, words));
        if file.is_empty() {
            return Ok(());
        }
        if !secret.is_empty() {
            return Err(blame(format!("there is {key} as well; set one of them")));
        }
        let read = self.read.ok_or_else(|| blame("files are not read here".into()))?;
        *secret = read(file).map_err(|cause| blame(format!("can't read {file}: {cause}")))?;
        if secret.is_empty() {
            return Err(blame(format!("the first line of {file} is empty")));
        }
        Ok(())
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
            lines.push(format!("{path}: {} # {origin}", shown(path, value)));
        });
        lines.join("\n")
    }

    /// What differs in a newer configuration, as `key: before -> after`. What is secret is not shown.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Vec<String> {
        let (mut before, mut after) = (alloc::collections::BTreeMap::new(), alloc::collections::BTreeMap::new());
        leaves("", &self.value(), &mut |path, value| drop(before.insert(path.to_owned(), value.clone())));
        leaves("", &newer.value(), &mut |path, value| drop(after.insert(path.to_owned(), value.clone())));
        let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
        let gone = gone.map(|(path, value)| format!("{path}: {} -> (gone)", shown(path, value)));
        let other = after.iter().filter(|(path, value)| before.get(*path) != Some(value)).map(|(path, value)| {
            let old = before.get(path).map_or("(none)".into(), |old| shown(path, old));
            format!("{path}: {old} -> {}{}", shown(path, value), when(path))
        });
        gone.chain(other).collect()
    }

    fn value(&self) -> Value {
        serde_json::to_value(&self.settings).unwrap_or_default()
    }
}

const PREFIX: &str = "DRUPE_";
/// Variables that are no keys: which files, and what the client shows a server.
const OTHERS: [&str; 4] = ["DRUPE_CONFIG", "DRUPE_PASSWORD", "DRUPE_TOKEN", "DRUPE_PORT"];
/// Those of tests, and those that Kubernetes makes of a service of this name.
const OTHER_PREFIXES: [&str; 3] = ["DRUPE_TEST_", "DRUPE_PORT_", "DRUPE_SERVICE_"];
/// What is not shown.
const SECRETS: [&str; 5] = ["password", "secret", "credential", "shared_password", "passphrase"];

impl Layers {
    fn is_set(&self, path: &str) -> bool {
        self.origins.contains_key(path)
            || self.origins.keys().any(|known| known.starts_with(path) && known[path.len()..].starts_with(['.', '[']))
    }
}

impl Node {
    fn profile(&self) -> Option<Value> {
        let Content::Map(map) = &self.content else { return None };
        map.iter().find(|(key, _)| key == "profile").map(|(_, node)| node.to_value())
    }
}

/// What a reload does not change.
fn when(path: &str) -> &'static str {
    const STARTS: [&str; 5] = ["workers", "envelope", "log.", "authentication.", "monitor."];
    const AT_ONCE: [&str; 7] = [
        "log.level",
        "log.targets",
        "authentication.users",
        "authentication.shared_password",
        "authentication.tokens",
        "authentication.iterations",
        "monitor.credential",
    ];
    let begins = |parts: &[&str]| parts.iter().any(|part| path.starts_with(part));
    if begins(&STARTS) && !begins(&AT_ONCE) { " (with the next start)" } else { "" }
}

/// Whether a key takes any text.
fn is_text(schema: &Value, key: &str) -> bool {
    let mut part = schema.clone();
    for name in key.split('.') {
        let of = template::resolve(schema, &part);
        part = of["properties"].get(name).unwrap_or(&of["additionalProperties"]).clone();
    }
    part["type"] == "string" && part.get("pattern").is_none()
}

fn shown(path: &str, value: &Value) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    let is_empty = value.as_str() == Some("");
    if SECRETS.iter().any(|secret| last.ends_with(secret)) && !is_empty { "(secret)".into() } else { value.to_string() }
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

fn nested(key: &str, value: Node) -> Node {
    key.rsplit('.')
        .fold(value, |inner, part| Node { line: 0, content: Content::Map([(part.to_owned(), inner)].into()) })
}

/// What is built in is well formed, as tests show.
fn built_in(text: &str) -> Result<Node, SettingsErrors> {
    let mut node = Node::read("profile", text)?;
    node.forget_lines();
    Ok(node)
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
