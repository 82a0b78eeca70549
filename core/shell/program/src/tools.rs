//! The commands `check`, `template`, `cert`, `completions` and `man`.

use crate::arguments::SourceArguments;
use crate::concerns::{self, Concern};
use crate::failure::{Failure, say};
use crate::handler::Crypto;
use clap::{Args, Command};
use clap_complete::Shell;
use drupe_core::settings::{Catalog, Profile};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `drupe check`.
#[derive(Args)]
pub(crate) struct CheckArguments {
    /// Configuration file to check; may be given several times
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print every value, and the layer that set it
    #[arg(long)]
    explain: bool,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    pub(crate) sources: SourceArguments,
}

pub(crate) fn check(arguments: &CheckArguments, catalog: &Arc<Catalog>) -> Result<ExitCode, Failure> {
    let sources = arguments.sources.with_files(&arguments.files);
    let resolved = sources.resolve(catalog)?;
    Crypto::new().load(&resolved)?;
    let concerns = concerns::all(&resolved);
    let is_bad = concerns.iter().any(|concern| concern.is_error || arguments.strict);
    let lines: Vec<_> = concerns.iter().map(Concern::line).collect();
    if is_bad {
        return Err(format!("the configuration is invalid\n{}", lines.join("\n")).into());
    }
    lines.iter().for_each(|line| say(format_args!("{line}")));
    if arguments.explain {
        return print(&resolved.explain());
    }
    print("the configuration is valid")
}

/// Arguments of `drupe template`.
#[derive(Args)]
pub(crate) struct TemplateArguments {
    /// Profile of the template: development, production or testing
    #[arg(long, value_name = "PROFILE", default_value = "development", value_parser = profile)]
    profile: Profile,
    /// Print environment variables instead of a file
    #[arg(long)]
    environment: bool,
}

fn profile(name: &str) -> Result<Profile, String> {
    let all = [Profile::Development, Profile::Production, Profile::Testing];
    let found = all.into_iter().find(|profile| profile.name() == name);
    found.ok_or_else(|| "the profiles are development, production and testing".into())
}

pub(crate) fn template(arguments: &TemplateArguments, catalog: &Catalog) -> Result<ExitCode, Failure> {
    let text = if arguments.environment { Catalog::environment_template } else { Catalog::template };
    print(text(catalog, arguments.profile).trim_end())
}

/// Arguments of `drupe cert`.
#[derive(Args)]
pub(crate) struct CertArguments {
    /// Create a self-signed certificate; required, because no other kind is supported
    #[arg(long, required = true)]
    self_signed: bool,
    /// Host name or IP address for the certificate; may be given several times
    #[arg(long = "host", value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
    hosts: Vec<String>,
    /// Directory for cert.pem and key.pem
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    out: PathBuf,
    /// Replace an existing cert.pem and key.pem
    #[arg(long)]
    force: bool,
    /// Validity of the certificate in days
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

pub(crate) fn cert(arguments: &CertArguments) -> Result<ExitCode, Failure> {
    let mut params = CertificateParams::new(arguments.hosts.clone())?;
    let name = arguments.hosts.first().map_or("localhost", String::as_str);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(1970, 1, 1) + now();
    params.not_after = params.not_before + std::time::Duration::from_secs(u64::from(arguments.days) * 24 * 3600);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let (certificate_file, key_file) = (arguments.out.join("cert.pem"), arguments.out.join("key.pem"));
    if !arguments.force {
        // Otherwise a new key could be written beside an old certificate.
        let mut files = [&key_file, &certificate_file].into_iter();
        if let Some(file) = files.find(|file| file.symlink_metadata().is_ok()) {
            let words = "the file exists; use --force to replace it, or choose another --out";
            return Err(format!("can't write {}: {words}", file.display()).into());
        }
    }
    let write = if arguments.force { replace } else { write_new };
    write(&key_file, &key.serialize_pem(), 0o600)?;
    write(&certificate_file, &certificate.pem(), 0o644)?;
    print(&format!("{} and {} are for {}", certificate_file.display(), key_file.display(), arguments.hosts.join(", ")))
}

/// Returns the time since 1970-01-01, minus one hour, because clocks differ.
fn now() -> std::time::Duration {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.saturating_sub(std::time::Duration::from_secs(3600))
}

/// Creates and writes a file. Never overwrites one, because it may hold a key in use.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AlreadyExists => "; use --force to replace it, or choose another --out",
            io::ErrorKind::NotFound => "; create the directory first, or choose another --out",
            _ => "",
        };
        format!("can't write {}: {error}{hint}", path.display())
    })?;
    Ok(file.write_all(text.as_bytes())?)
}

/// Replaces a file as a whole, so that a server that reloads never reads a part of it.
fn replace(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // An interrupted command may have left it.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(format!("can't remove {}: {error}", new.display()).into());
    }
    write_new(&new, text, mode)?;
    fs::rename(&new, path).map_err(|error| format!("can't replace {}: {error}", path.display()).into())
}

/// Arguments of `drupe completions`.
#[derive(Args)]
pub(crate) struct CompletionsArguments {
    /// Shell for which to print completions
    shell: Shell,
}

pub(crate) fn completions(arguments: &CompletionsArguments, command: &mut Command) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, command, name, &mut text);
    Ok(io::stdout().write_all(&text).map(|()| ExitCode::SUCCESS)?)
}

/// Prints the manual page of the program, followed by the options of its commands.
pub(crate) fn man(mut command: Command) -> Result<ExitCode, Failure> {
    command.build();
    let program = command.get_name().to_uppercase();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for part in command.get_subcommands().filter(|part| part.get_name() != "help") {
        let page = clap_mangen::Man::new(part.clone());
        writeln!(text, ".SH \"{program} {}\"", part.get_name().to_uppercase())?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
        page.render_extra_section(&mut text)?;
    }
    Ok(io::stdout().write_all(&text).map(|()| ExitCode::SUCCESS)?)
}

pub(crate) fn print(text: &str) -> Result<ExitCode, Failure> {
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}
