//! Where the configuration comes from: arguments, environment, files.

use crate::Failure;
use clap::Args;
use drupe_tokio::core::app::AppName;
use drupe_tokio::core::files;
use drupe_tokio::core::settings::{Resolved, SettingsError, Sources};
use drupe_tokio::core::telnet::InputMode;
use drupe_tokio::core::{Address, Listen};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What `drupe` takes to serve.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SourceArguments {
    /// A configuration file, YAML or JSON; may be given several times, the later upon the earlier
    #[arg(short, long, value_name = "FILE", env = "DRUPE_CONFIG", value_delimiter = ':')]
    pub(crate) config: Vec<PathBuf>,
    /// The profile: development, production or testing
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Set one key of the configuration, such as limits.peer.idle=5m; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// What listeners that no file names serve: chat, relay or echo [default: chat]
    #[arg(long, value_name = "APP")]
    app: Option<AppName>,
    /// Where to listen; see [`Listen`] for how it is written.
    #[arg(
        long,
        value_name = "ADDRESS",
        help = "Where to listen, such as telnet://127.0.0.1:8023, tcp://127.0.0.1:7000, ws://127.0.0.1:8025/chat, \
                length://[::1]:7001 or unix:///run/drupe.sock; may be given several times, and port 0 lets the system \
                choose [default: telnet://127.0.0.1:8023, tcp://127.0.0.1:8024 and ws://127.0.0.1:8025]"
    )]
    listen: Vec<Listen>,
    /// What the relay puts each message into: none or json
    #[arg(long, value_name = "ENVELOPE")]
    envelope: Option<String>,
    /// How many threads serve, 1 to 255; chat runs on one
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// The longest message in bytes, 1 to 1073741824
    #[arg(long, value_name = "BYTES")]
    max_message: Option<String>,
    /// No rates and no caps on connections, for load tests
    #[arg(long)]
    unlimited: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "expected KEY=VALUE".into())
}

impl SourceArguments {
    /// Reads the files.
    fn read(&self) -> Result<Sources, String> {
        let mut sources = Sources::new().secrets_from(first_line);
        for path in &self.config {
            let text = files::read_text(path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
            sources = sources.file(&path.display().to_string(), &text);
        }
        let variables = variables()?;
        sources = sources.environment(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let bytes = self.max_message.as_ref().map(|bytes| format!("{bytes}B"));
        let flags = [("envelope", &self.envelope), ("workers", &self.workers), ("limits.peer.message_max", &bytes)];
        for (key, value) in flags {
            if let Some(value) = value {
                sources = sources.set(key, value);
            }
        }
        for (key, value) in &self.set {
            sources = sources.set(key, value);
        }
        if let Some(profile) = &self.profile {
            sources = sources.profile(profile);
        }
        if let Some(app) = self.app {
            sources = sources.app(app);
        }
        if self.unlimited {
            sources = sources.unlimited();
        }
        Ok(sources.listen(self.listen.iter().cloned()))
    }

    /// What all of it says, if that is good and what it names is there.
    pub(crate) fn resolve(&self) -> Result<Resolved, Failure> {
        let resolved = self.read()?.resolve();
        let resolved = resolved.map_err(|problems| format!("the configuration is not good\n{problems}"))?;
        check_paths(&resolved)?;
        check_modes(&resolved)?;
        Ok(resolved)
    }

    pub(crate) fn with_files(&self, files: &[PathBuf]) -> Self {
        let config = if files.is_empty() { self.config.clone() } else { files.to_vec() };
        Self { config, ..self.clone() }
    }
}

/// The variables of the environment that are ours.
fn variables() -> Result<Vec<(String, String)>, String> {
    let ours = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| name.starts_with("DRUPE_"));
    let text = |(name, value): (String, OsString)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(format!("{name}: it is not UTF-8")),
    };
    ours.map(text).collect()
}

/// The first line of a file that holds a secret.
fn first_line(path: &str) -> Result<String, String> {
    files::read_secret(Path::new(path)).map_err(|error| error.to_string())
}

/// The applications of this program read lines: nothing that is typed in another mode would reach them.
fn check_modes(resolved: &Resolved) -> Result<(), SettingsError> {
    for listen in &resolved.plan.config.listeners {
        if listen.protocol.input_mode() == Some(InputMode::Keys) {
            let words = "mode keys sends single keys, and the applications read lines: use line or character";
            return Err(resolved.blame(&format!("listeners.{}", listen.name), words.into()));
        }
    }
    Ok(())
}

/// What a configuration names must be there.
fn check_paths(resolved: &Resolved) -> Result<(), SettingsError> {
    if let Some(file) = &resolved.plan.log.file
        && !Path::new(&file.directory).is_dir()
    {
        let words = format!("there is no directory {}", file.directory);
        return Err(resolved.blame("log.file.directory", words));
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
