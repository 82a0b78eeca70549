//! A program: its applications, its sections, its flags and its commands.

use crate::arguments::SourceArguments;
#[cfg(feature = "client")]
use crate::client::{self, ClientArguments};
use crate::failure::say;
use crate::password::{self, PasswordArguments};
use crate::replay::{self, ReplayArguments};
use crate::serve::Serve;
use crate::start::{AppMakers, Start};
use crate::tools::{self, CertArguments, CheckArguments, CompletionsArguments, TemplateArguments};
#[cfg(feature = "users")]
use crate::users::command::{self as user, UserArguments};
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use drupe_core::Handler;
use drupe_core::settings::{Catalog, Section};
use drupe_core::wire::Custom;
use drupe_shell::Runtime;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::process::ExitCode;
use std::sync::Arc;

/// A server program with applications of one's own, on the runtime `R`.
///
/// See the [crate] for what it does.
pub struct Program<R> {
    name: &'static str,
    version: &'static str,
    about: &'static str,
    catalog: Catalog,
    makers: AppMakers,
    flags: Vec<Flag>,
    runtime: PhantomData<fn() -> R>,
}

/// A flag that sets one key of the configuration.
#[derive(Clone, Copy, Debug)]
struct Flag {
    name: &'static str,
    key: &'static str,
    help: &'static str,
}

impl<R: Runtime + 'static> Program<R> {
    /// Creates a program without applications.
    ///
    /// Its environment variables begin with the name in capitals: `mygame` has `MYGAME_CONFIG` and
    /// `MYGAME_LIMITS__PEER__IDLE`.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            version: "",
            about: "A server for long-lived connections",
            catalog: Catalog::new(name),
            makers: AppMakers::default(),
            flags: Vec::new(),
            runtime: PhantomData,
        }
    }

    /// Sets the version that `--version` prints, such as `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn version(self, version: &'static str) -> Self {
        Self { version, ..self }
    }

    /// Sets the description of the program for `--help` and the manual page.
    ///
    /// Default: "A server for long-lived connections".
    #[must_use]
    pub fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// Adds an application, by the name that listeners use: `app: NAME`. The first is the default.
    ///
    /// `make` creates its handler, once on each worker, on the worker's thread.
    #[must_use]
    pub fn app<H, F>(mut self, name: &'static str, make: F) -> Self
    where
        F: Fn(&Start<'_, H::Note>) -> H + Send + Sync + 'static,
        H: Handler<Context: 'static, Note: Send + 'static> + 'static,
    {
        self.makers.add(name, make);
        Self { catalog: self.catalog.app(name), ..self }
    }

    /// States that the application that was added last needs a server of one worker.
    ///
    /// A configuration with more workers is then refused. For applications whose handler must know
    /// all connections.
    #[must_use]
    pub fn one_worker(self) -> Self {
        Self { catalog: self.catalog.one_worker(), ..self }
    }

    /// Allows telnet's mode `keys` for listeners of the application that was added last.
    ///
    /// For applications that [read keys](drupe_core::Handler::reads_keys).
    #[must_use]
    pub fn with_keys(self) -> Self {
        Self { catalog: self.catalog.with_keys(), ..self }
    }

    /// Allows listeners of the application that was added last to set `websocket.api`.
    ///
    /// The application must respond to requests below `/api/` that
    /// [have the key](drupe_core::http::Request::has_api_key).
    #[must_use]
    pub fn with_api(self) -> Self {
        Self { catalog: self.catalog.with_api(), ..self }
    }

    /// Allows listeners with addresses such as `mounted:chat`, which bind nothing.
    ///
    /// For programs with an HTTP server of their own that passes connections to
    /// [`Remote::mount_request`](drupe_shell::Remote::mount_request) or
    /// [`Remote::mount`](drupe_shell::Remote::mount). Without this, such a listener is an error of the
    /// configuration, because no peer could reach it.
    #[must_use]
    pub fn with_mounts(self) -> Self {
        Self { catalog: self.catalog.with_mounts(), ..self }
    }

    /// Adds a section to the configuration: see [`Section`].
    #[must_use]
    pub fn section<T: Section>(self) -> Self {
        Self { catalog: self.catalog.section::<T>(), ..self }
    }

    /// Adds a [codec](drupe_core::wire::Codec), which listeners with `protocol: custom` select by its
    /// name.
    #[must_use]
    pub fn codec(self, codec: Custom) -> Self {
        Self { catalog: self.catalog.codec(codec), ..self }
    }

    /// Adds a target of the application's own log lines, so that `log.targets` may set its level.
    ///
    /// An application logs with the macros of [`tracing`](https://docs.rs/tracing):
    /// `tracing::info!(target: "game", "round {number} begins")`. Its lines have the format, the
    /// file and the level of all others.
    #[must_use]
    pub fn log_target(self, target: &str) -> Self {
        Self { catalog: self.catalog.log_target(target), ..self }
    }

    /// Adds a flag `--NAME VALUE` that sets a key of the configuration, as `--set KEY=VALUE` does.
    ///
    /// Errors in the value name the flag.
    #[must_use]
    pub fn flag(mut self, name: &'static str, key: &'static str, help: &'static str) -> Self {
        self.flags.push(Flag { name, key, help });
        self
    }

    /// Runs the command in the arguments of the process, or serves if they contain no command.
    ///
    /// Ends the process if the arguments are invalid.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let matches = self.command().get_matches();
        self.run_matches(&matches)
    }

    /// Runs as [`run`](Self::run) does, with these arguments. The first is the program's name.
    #[must_use]
    pub fn run_from<I: IntoIterator<Item: Into<OsString> + Clone>>(self, arguments: I) -> ExitCode {
        let matches = self.command().get_matches_from(arguments);
        self.run_matches(&matches)
    }

    fn run_matches(self, matches: &ArgMatches) -> ExitCode {
        let mut arguments = match Arguments::from_arg_matches(matches) {
            Ok(arguments) => arguments,
            Err(error) => error.exit(),
        };
        arguments.sources.own = self.own(matches);
        if let (Some(Command::Check(check)), Some((_, matches))) = (&mut arguments.command, matches.subcommand()) {
            check.sources.own = self.own(matches);
        }
        if let (Some(Command::Replay(replay)), Some((_, matches))) = (&mut arguments.command, matches.subcommand()) {
            replay.sources.own = self.own(matches);
        }
        #[cfg(feature = "users")]
        if let (Some(Command::User(user)), Some((_, matches))) = (&mut arguments.command, matches.subcommand())
            && let Some((_, matches)) = matches.subcommand()
        {
            user.sources_mut().own = self.own(matches);
        }
        let catalog = Arc::new(self.catalog.clone());
        let done = match &arguments.command {
            #[cfg(feature = "client")]
            Some(Command::Client(arguments)) => client::run::<R>(arguments),
            Some(Command::Check(arguments)) => tools::check(arguments, &catalog),
            Some(Command::Template(arguments)) => tools::template(arguments, &catalog),
            Some(Command::Replay(arguments)) => {
                replay::replay(arguments, &catalog, &self.makers, (self.name, self.version))
            }
            Some(Command::Schema) => tools::print(&catalog.schema()),
            Some(Command::Cert(arguments)) => tools::cert(arguments),
            Some(Command::Password(arguments)) => password::run(arguments),
            #[cfg(feature = "users")]
            Some(Command::User(arguments)) => user::run(arguments, &catalog),
            Some(Command::Completions(arguments)) => tools::completions(arguments, &mut self.command()),
            Some(Command::Man) => tools::man(self.command()),
            None => {
                let (arguments, makers) = (&arguments.sources, &self.makers);
                return Serve { program: self.name, version: self.version, arguments, catalog: &catalog, makers }
                    .run::<R>();
            }
        };
        match done {
            Ok(code) => code,
            // The reader of the output has closed it.
            Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
            Err(error) => {
                say(format_args!("{}: {error}", self.name));
                ExitCode::FAILURE
            }
        }
    }

    /// Returns the program's own flags in the arguments, each with its key and its value.
    fn own(&self, matches: &ArgMatches) -> Vec<(String, String, String)> {
        let value = |flag: &Flag| {
            let value = matches.get_one::<String>(flag.name)?.clone();
            Some((format!("--{}", flag.name), flag.key.to_owned(), value))
        };
        self.flags.iter().filter_map(value).collect()
    }

    /// Returns the command-line parser, with the program's name, applications and flags.
    fn command(&self) -> clap::Command {
        let apps: Vec<_> = self.catalog.apps().collect();
        let first = apps.first().copied().unwrap_or_default();
        let app = format!("Application of listeners that no file defines: {} [default: {first}]", apps.join(", "));
        let variable = format!("{}CONFIG", self.catalog.environment_prefix());
        let with_sources = |command: clap::Command| {
            let command = command.mut_arg("config", |arg| arg.env(variable.clone()));
            let command = command.mut_arg("app", |arg| arg.help(app.clone()).hide(apps.len() < 2));
            self.flags.iter().fold(command, |command, flag| {
                let value = flag.key.rsplit('.').next().unwrap_or(flag.key).to_uppercase();
                command.arg(Arg::new(flag.name).long(flag.name).value_name(value).help(flag.help))
            })
        };
        let command = Arguments::command().name(self.name).bin_name(self.name);
        let command = if self.version.is_empty() { command } else { command.version(self.version) };
        let command = command.about(self.about);
        let command = with_sources(command).mut_subcommand("check", with_sources);
        let command = command.mut_subcommand("replay", with_sources);
        #[cfg(feature = "users")]
        let command = command.mut_subcommand("user", |command| {
            user::ACTIONS.iter().fold(command, |command, action| command.mut_subcommand(action, with_sources))
        });
        command
    }
}

/// The command-line arguments that every program accepts.
#[derive(Parser)]
#[command(name = "program", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sources: SourceArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Connect to a server: send input lines and print received messages
    #[cfg(feature = "client")]
    Client(Box<ClientArguments>),
    /// Check a configuration, and optionally print its values
    Check(CheckArguments),
    /// Print a configuration with every key, its description and its default
    Template(TemplateArguments),
    /// Show a recording of the flight recorder, and replay it to compare the bytes
    Replay(Box<ReplayArguments>),
    /// Print the JSON Schema of configurations, for editors
    Schema,
    /// Create a certificate for development
    Cert(CertArguments),
    /// Hash a password for a configuration; prompts for it, or reads the first line of the input
    Password(PasswordArguments),
    /// Add, change, remove and list the users of a store, also while the server runs
    #[cfg(feature = "users")]
    User(UserArguments),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Print the manual page
    Man,
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

impl<R> fmt::Debug for Program<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("name", &self.name).field("catalog", &self.catalog).finish_non_exhaustive()
    }
}
