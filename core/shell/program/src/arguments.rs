//! The sources of the configuration: arguments, environment and files.

use crate::dial_tls;
use crate::failure::Failure;
use clap::{ArgAction, Args};
use drupe_core::files;
use drupe_core::settings::{Catalog, FormatChoice, Resolved, SettingsError, Sources};
use drupe_core::telnet::InputMode;
use drupe_core::wire::Protocol;
use drupe_core::{Address, Listen};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments that configure the server.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SourceArguments {
    /// Configuration file in YAML or JSON; may be repeated, and later files override earlier ones
    #[arg(short, long, value_name = "FILE", value_delimiter = ':')]
    pub(crate) config: Vec<PathBuf>,
    /// Profile of the configuration: development, production or testing
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Set one key of the configuration, such as limits.peer.idle=5m; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Application of listeners that no file defines
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Addresses to listen on, in the text form of [`Listen`].
    #[arg(
        long,
        value_name = "ADDRESS",
        help = "Address to listen on, such as telnet://127.0.0.1:8023, tcp://127.0.0.1:7000, ws://127.0.0.1:8025/chat, \
                length://[::1]:7001 or unix:///run/drupe.sock; may be given several times, and port 0 lets the system \
                choose [default: telnet://127.0.0.1:8023, tcp://127.0.0.1:8024 and ws://127.0.0.1:8025]"
    )]
    listen: Vec<Listen>,
    /// Number of worker threads, 1 to 255; some applications need exactly one
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// Maximum size of a message in bytes, 1 to 1073741824
    #[arg(long, value_name = "BYTES")]
    max_message: Option<String>,
    /// Remove limits on rates and numbers of connections, for load tests
    #[arg(long)]
    unlimited: bool,
    /// Log more: -v sets log.level to debug, with a line for each message, and -vv to trace
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// The program's own flags, each with the key that it sets and its value.
    #[arg(skip)]
    pub(crate) own: Vec<(String, String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "expected KEY=VALUE".into())
}

impl SourceArguments {
    /// Returns the same arguments with another configuration file.
    pub(crate) fn with_config(&self, path: &Path) -> Self {
        Self { config: vec![path.to_owned()], ..self.clone() }
    }

    /// Reads all sources: each file once, the environment and the arguments.
    pub(crate) fn read(&self, catalog: &Arc<Catalog>) -> Layers {
        let mut sources = Sources::of(Arc::clone(catalog)).secrets_from(first_line).client_tls_from(dial_tls::load);
        let mut unread = None;
        for path in &self.config {
            match files::read_text(path) {
                Ok(text) => sources = sources.file(&path.display().to_string(), &text),
                Err(error) => drop(unread.get_or_insert(format!("can't read {}: {error}", path.display()))),
            }
        }
        let (variables, wrong) = variables(catalog.environment_prefix());
        Layers { catalog: Arc::clone(catalog), sources: self.add_to(sources, &variables), unread: unread.or(wrong) }
    }

    /// Adds the environment and the arguments to `sources`, where they override the files.
    fn add_to(&self, mut sources: Sources, variables: &[(String, String)]) -> Sources {
        sources = sources.environment(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let bytes = self.max_message.as_ref().map(|bytes| format!("{bytes}B"));
        let flags = [("--workers", "workers", &self.workers), ("--max-message", "limits.peer.message_max", &bytes)];
        for (flag, key, value) in flags {
            if let Some(value) = value {
                sources = sources.set_by(flag, key, value);
            }
        }
        let level = match self.verbose {
            0 => None,
            1 => Some(("-v", "debug")),
            _ => Some(("-vv", "trace")),
        };
        if let Some((flag, level)) = level {
            sources = sources.set_by(flag, "log.level", level);
        }
        for (flag, key, value) in &self.own {
            sources = sources.set_by(flag, key, value);
        }
        for (key, value) in &self.set {
            sources = sources.set(key, value);
        }
        if let Some(profile) = &self.profile {
            sources = sources.profile(profile);
        }
        if let Some(app) = &self.app {
            sources = sources.app(app);
        }
        if self.unlimited {
            sources = sources.unlimited();
        }
        sources.listen(self.listen.iter().cloned())
    }

    /// Reads all sources, and resolves them with [`Layers::resolve`].
    pub(crate) fn resolve(&self, catalog: &Arc<Catalog>) -> Result<Resolved, Failure> {
        self.read(catalog).resolve()
    }

    pub(crate) fn with_files(&self, files: &[PathBuf]) -> Self {
        let config = if files.is_empty() { self.config.clone() } else { files.to_vec() };
        Self { config, ..self.clone() }
    }
}

/// Returns the variables that begin with `prefix`, and an error if one of them is not UTF-8.
fn variables(prefix: &str) -> (Vec<(String, String)>, Option<String>) {
    let ours = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let (mut variables, mut wrong) = (Vec::new(), None);
    for (name, value) in ours.filter(|(name, _)| name.starts_with(prefix)) {
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) => drop(wrong.get_or_insert(format!("{name}: it is not UTF-8"))),
        }
    }
    (variables, wrong)
}

/// All sources of the configuration, as they were read.
pub(crate) struct Layers {
    catalog: Arc<Catalog>,
    sources: Sources,
    /// The first error while reading.
    unread: Option<String>,
}

impl Layers {
    /// Returns the format of the log, as far as it can be determined despite other errors.
    pub(crate) fn log_format(&self) -> FormatChoice {
        self.sources.log_format()
    }

    /// Returns the resolved configuration, if it is valid and its log and socket directories exist.
    pub(crate) fn resolve(&self) -> Result<Resolved, Failure> {
        if let Some(words) = &self.unread {
            return Err(words.clone().into());
        }
        let resolved = self.sources.resolve();
        let resolved = resolved.map_err(|problems| format!("the configuration is invalid\n{problems}"))?;
        check_paths(&resolved)?;
        check_modes(&resolved, &self.catalog)?;
        check_mounts(&resolved, &self.catalog)?;
        check_apis(&resolved, &self.catalog)?;
        Ok(resolved)
    }
}

/// Reads the first line of a file with a secret.
fn first_line(path: &str) -> Result<String, String> {
    files::read_secret(Path::new(path)).map_err(|error| error.to_string())
}

/// Refuses a listener in key mode whose application reads lines: it would receive no input.
fn check_modes(resolved: &Resolved, catalog: &Catalog) -> Result<(), SettingsError> {
    for listen in &resolved.plan.config.listeners {
        if listen.protocol.input_mode() == Some(InputMode::Keys) && !catalog.reads_keys(&listen.app) {
            let app = &listen.app;
            let words =
                format!("mode keys delivers single keys, but the application {app} reads lines: use line or character");
            return Err(resolved.blame(&format!("listeners.{}", listen.name), words));
        }
    }
    Ok(())
}

/// Refuses `websocket.api` on a listener whose application has no API.
fn check_apis(resolved: &Resolved, catalog: &Catalog) -> Result<(), SettingsError> {
    let has_api = |listen: &&Listen| matches!(&listen.protocol, Protocol::Http(http) if http.api.is_some());
    let mut listeners = resolved.plan.config.listeners.iter().filter(has_api);
    match listeners.find(|listen| !catalog.has_api(&listen.app)) {
        Some(listen) => {
            let words = format!("the application {} has no API", listen.app);
            Err(resolved.blame(&format!("listeners.{}.websocket.api", listen.name), words))
        }
        None => Ok(()),
    }
}

/// Refuses a mounted listener of a program that passes no connections to it: it would be unreachable.
fn check_mounts(resolved: &Resolved, catalog: &Catalog) -> Result<(), SettingsError> {
    let mut listeners = resolved.plan.config.listeners.iter();
    match listeners.find(|listen| matches!(listen.address, Address::Mounted(_))) {
        Some(listen) if !catalog.has_mounts() => {
            let words = format!("{} has no server that passes connections to a mounted listener", catalog.program());
            Err(resolved.blame(&format!("listeners.{}.address", listen.name), words))
        }
        _ => Ok(()),
    }
}

/// Checks that the directories of the log file, of recordings and of Unix sockets exist.
fn check_paths(resolved: &Resolved) -> Result<(), SettingsError> {
    let log = resolved.plan.log.file.iter().map(|file| ("log.file.directory", &file.directory));
    let recorder = resolved.plan.recorder.iter().map(|recorder| ("recorder.directory", &recorder.directory));
    if let Some((key, directory)) = log.chain(recorder).find(|(_, directory)| !Path::new(directory).is_dir()) {
        return Err(resolved.blame(key, format!("there is no directory {directory}")));
    }
    for listen in &resolved.plan.config.listeners {
        let Address::Unix(path) = &listen.address else { continue };
        if path.starts_with('@') {
            continue;
        }
        let parent = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            let key = format!("listeners.{}.address", listen.name);
            return Err(resolved.blame(&key, format!("there is no directory {}", parent.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

    use super::*;

    fn resolved(catalog: Catalog, arguments: &SourceArguments) -> Result<(), String> {
        let resolved = arguments.resolve(&Arc::new(catalog));
        resolved.map(drop).map_err(|failure| failure.to_string())
    }

    fn catalog() -> Catalog {
        Catalog::new("argument-test").app("game")
    }

    #[test]
    fn mounted_listener_is_refused_unless_the_program_mounts() {
        let set = |key: &str, value: &str| (format!("listeners.a.{key}"), value.to_owned());
        let of_key = SourceArguments {
            set: vec![set("address", "mounted:chat"), set("protocol", "websocket")],
            ..SourceArguments::default()
        };
        let listen = vec!["ws://mounted:chat".parse().expect("an address")];
        let of_listen = SourceArguments { listen, ..SourceArguments::default() };
        for arguments in [of_key, of_listen] {
            let refused = resolved(catalog(), &arguments).expect_err("nobody mounts");
            assert!(refused.contains("argument-test has no server that passes connections"), "{refused}");
            assert_eq!(resolved(catalog().with_mounts(), &arguments), Ok(()));
        }
    }

    #[test]
    fn error_in_the_value_of_a_flag_names_the_flag() {
        let own = vec![("--players".to_owned(), "limits.connections_max".to_owned(), "many".to_owned())];
        let arguments = SourceArguments {
            own,
            workers: Some("0".into()),
            max_message: Some("x".into()),
            ..SourceArguments::default()
        };
        let refused = resolved(catalog(), &arguments).expect_err("three are wrong");
        for begin in
            ["--players: limits.connections_max: ", "--workers: workers: ", "--max-message: limits.peer.message_max: "]
        {
            assert!(refused.lines().any(|line| line.starts_with(begin)), "{begin}\n{refused}");
        }
    }
}
