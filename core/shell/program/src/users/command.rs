//! The command `drupe user`: changes a store, also while a server uses it.

use super::dates::rfc3339;
use super::store::{IfMissing, Inserted, ListedUser, PATIENCE, UserStore};
use super::thread::unix_time;
use crate::arguments::SourceArguments;
use crate::failure::Failure;
use crate::{password, tools};
use clap::{Args, Subcommand};
use drupe_core::kit::auth::parse_user_name;
use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::names::confusable_key;
use drupe_core::settings::Catalog;
use drupe_core::text::neutralize;
use drupe_shell::secret;
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `drupe user`.
#[derive(Args)]
pub(crate) struct UserArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Add a user; prompts for the password, or reads the first line of the input
    Add {
        /// Name of the user
        name: String,
        /// Permission (scope) of the user; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
        scopes: Vec<String>,
        #[command(flatten)]
        hashing: Hashing,
        #[command(flatten)]
        place: Place,
    },
    /// Set the password of a user; prompts for it, or reads the first line of the input
    Passwd {
        /// Name of the user
        name: String,
        #[command(flatten)]
        hashing: Hashing,
        #[command(flatten)]
        place: Place,
    },
    /// Replace the permissions (scopes) of a user; without --scope, the user has none
    Scopes {
        /// Name of the user
        name: String,
        /// Permission (scope) of the user; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
        scopes: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Remove a user; issued tokens become invalid, and open connections stay until they end
    Remove {
        /// Name of the user
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the users
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// The names of the actions.
pub(crate) const ACTIONS: [&str; 5] = ["add", "passwd", "scopes", "remove", "list"];

/// The arguments that name the store.
#[derive(Args)]
struct Place {
    /// File of the store, instead of authentication.store of the configuration
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArguments,
}

/// How to hash a new password.
#[derive(Args)]
struct Hashing {
    /// Iterations of the hash, 4096 to 1000000 [default: authentication.iterations, or 10000 with --store]
    #[arg(long, value_name = "N")]
    iterations: Option<u32>,
}

/// Parses a scope. A token has the scopes of its user in one text, separated by spaces.
fn scope(text: &str) -> Result<String, String> {
    // RFC 6749 section 3.3.
    let is_allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    if !text.is_empty() && text.chars().all(is_allowed) {
        Ok(text.to_owned())
    } else {
        Err("a scope has printable ASCII characters without spaces, quotation marks and backslashes".into())
    }
}

impl UserArguments {
    /// Returns the sources of the configuration.
    pub(crate) const fn sources_mut(&mut self) -> &mut SourceArguments {
        match &mut self.action {
            Action::Add { place, .. }
            | Action::Passwd { place, .. }
            | Action::Scopes { place, .. }
            | Action::Remove { place, .. }
            | Action::List { place, .. } => &mut place.sources,
        }
    }
}

pub(crate) fn run(arguments: &UserArguments, catalog: &Arc<Catalog>) -> Result<ExitCode, Failure> {
    match &arguments.action {
        Action::Add { name, scopes, hashing, place } => {
            let name = parse_user_name(name).ok_or_else(|| format!("{name} can't be the name of a user: {NAMES}"))?;
            let place = place.resolve(catalog)?;
            let key = confusable_key(&name);
            if let Some(other) = place.configured.iter().find(|other| confusable_key(other) == key) {
                let words = format!("the configuration has the user {other}, which hides {name}; choose another name");
                return Err(words.into());
            }
            let store = UserStore::open(&place.path, IfMissing::Create, PATIENCE)?;
            refuse_taken(&store, &name)?;
            let credentials = hashing.read(&place)?;
            if store.insert(&name, &credentials, &unique(scopes), unix_time())? == Inserted::Taken {
                // Another process was faster.
                refuse_taken(&store, &name)?;
            }
            tools::print(&format!("the user {name} was added"))
        }
        Action::Passwd { name, hashing, place } => {
            let place = place.resolve(catalog)?;
            let store = place.open()?;
            let name = existing(&store, name)?;
            let credentials = hashing.read(&place)?;
            let is_changed = store.set_password(&name, &credentials, unix_time())?;
            done(is_changed, &name, "has a new password")
        }
        Action::Scopes { name, scopes, place } => {
            let store = place.resolve(catalog)?.open()?;
            let name = existing(&store, name)?;
            let scopes = unique(scopes);
            let is_changed = store.set_scopes(&name, &scopes, unix_time())?;
            done(is_changed, &name, &format!("has the scopes {}", shown(&scopes)))
        }
        Action::Remove { name, place } => {
            let store = place.resolve(catalog)?.open()?;
            let name = existing(&store, name)?;
            done(store.remove(&name)?, &name, "was removed")
        }
        Action::List { json, place } => {
            let users = place.resolve(catalog)?.open()?.list()?;
            if *json { print_json(&users) } else { print_columns(&users) }
        }
    }
}

const NAMES: &str = "it takes 1 to 24 letters, digits, '-', '_' or '.', and not the word create";

/// The store that the arguments name, and what the configuration says about it.
struct Resolved {
    path: PathBuf,
    iterations: u32,
    /// The users of the configuration.
    configured: Vec<String>,
}

impl Place {
    fn resolve(&self, catalog: &Arc<Catalog>) -> Result<Resolved, Failure> {
        if let Some(path) = &self.store {
            let (path, iterations) = (path.clone(), password::ITERATIONS);
            return Ok(Resolved { path, iterations, configured: Vec::new() });
        }
        let resolved = self.sources.resolve(catalog)?;
        let plan = resolved.plan.authentication.as_ref();
        let Some((path, plan)) = plan.and_then(|plan| Some((PathBuf::from(plan.store.as_ref()?), plan))) else {
            let words = if self.sources.config.is_empty() {
                "which store? Give --store FILE, or --config FILE of a configuration with authentication.store"
            } else {
                "the configuration has no store of users: set authentication.store, or give --store FILE"
            };
            return Err(words.into());
        };
        let configured = resolved.settings.authentication.users.keys().cloned().collect();
        Ok(Resolved { path, iterations: plan.iterations, configured })
    }
}

impl Resolved {
    fn open(&self) -> Result<UserStore, Failure> {
        Ok(UserStore::open(&self.path, IfMissing::Refuse, PATIENCE)?)
    }
}

impl Hashing {
    /// Reads and hashes a new password.
    fn read(&self, place: &Resolved) -> Result<Credentials, Failure> {
        let password = password::read_new()?;
        let iterations = self.iterations.unwrap_or(place.iterations);
        Ok(Credentials::new(&password, &secret()?[..16], iterations)?)
    }
}

fn refuse_taken(store: &UserStore, name: &str) -> Result<(), Failure> {
    match store.named_like(name)? {
        None => Ok(()),
        Some(other) if other == name => Err(format!("there is a user {name} already").into()),
        Some(other) => Err(format!("the name {name} looks like that of the user {other}; choose another one").into()),
    }
}

/// Returns the name of an existing user, as it is stored.
fn existing(store: &UserStore, name: &str) -> Result<String, Failure> {
    // A keyboard may send the same letter in another form.
    let name = parse_user_name(name).unwrap_or_else(|| name.to_owned());
    match store.named_like(&name)? {
        Some(other) if other == name => Ok(name),
        Some(other) => Err(format!("there is no user {name}; did you mean {other}?").into()),
        None => Err(format!("there is no user {name}").into()),
    }
}

fn done(is_changed: bool, name: &str, words: &str) -> Result<ExitCode, Failure> {
    if is_changed {
        tools::print(&format!("the user {name} {words}"))
    } else {
        // Another process has removed the user just now.
        Err(format!("there is no user {name}").into())
    }
}

/// Returns the scopes in the same order, each once.
fn unique(scopes: &[String]) -> Vec<String> {
    let mut unique = Vec::new();
    for scope in scopes {
        if !unique.contains(scope) {
            unique.push(scope.clone());
        }
    }
    unique
}

fn shown(scopes: &[String]) -> String {
    if scopes.is_empty() { "-".into() } else { scopes.join(" ") }
}

fn print_columns(users: &[ListedUser]) -> Result<ExitCode, Failure> {
    let head = ["NAME".to_owned(), "SCOPES".to_owned(), "CREATED".to_owned()];
    let rows = users.iter().map(|user| {
        let [name, scopes] = [&user.name, &shown(&user.scopes)].map(|text| neutralize(text).into_owned());
        [name, scopes, rfc3339(user.created)]
    });
    let rows: Vec<_> = [head].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max();
    let (names, scopes) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    let mut lines = String::new();
    for [name, list, created] in &rows {
        writeln!(lines, "{name:names$}  {list:scopes$}  {created}")?;
    }
    tools::print(lines.trim_end())
}

fn print_json(users: &[ListedUser]) -> Result<ExitCode, Failure> {
    let users: Vec<_> = users
        .iter()
        .map(|ListedUser { name, scopes, created, changed }| {
            json!({ "name": name, "scopes": scopes, "created": rfc3339(*created), "changed": rfc3339(*changed) })
        })
        .collect();
    tools::print(&serde_json::Value::from(users).to_string())
}
