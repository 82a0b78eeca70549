//! The public keys of tokens: read from a file, or fetched and refreshed on a thread of their own.

use crate::failure::Failure;
#[cfg(feature = "jwks")]
use crate::fetch;
use crate::logs::Logs;
use crate::shared_keys::{Keys, Wanted};
use drupe_core::Command;
use drupe_core::app::AppNote;
use drupe_core::files;
use drupe_core::kit::auth::{KEY_SET_MAX_BYTES, KeySet, RustlsSignatures, SignatureVerifier};
use drupe_core::settings::{KeySetSource, KeySetUrl, Plan};
use drupe_shell::Remote;
use rustls::crypto::CryptoProvider;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;
use tracing::Level;

/// The key of the settings for the tokens of accounts.
pub(crate) const OF_ACCOUNTS: &str = "authentication.tokens";

/// Returns the source of the key set of these settings for tokens, if a plan has one.
pub(crate) fn source<'a>(plan: &'a Plan, tokens: &str) -> Option<&'a KeySetSource> {
    plan.key_sets().find(|(key, _)| *key == tokens).map(|(_, source)| source)
}

/// Returns the URL of the key set of these settings for tokens, if a plan has one.
pub(crate) fn url(plan: &Plan, tokens: &str) -> Option<KeySetUrl> {
    match source(plan, tokens)? {
        KeySetSource::Url(url) => Some(url.clone()),
        _ => None,
    }
}

/// Reads or fetches the key set of these settings for tokens, if a plan has one.
pub(crate) fn of_plan(
    plan: &Plan,
    tokens: &str,
    provider: &Arc<CryptoProvider>,
    logs: &Logs,
) -> Result<Option<Arc<KeySet>>, Failure> {
    let Some(source) = source(plan, tokens) else { return Ok(None) };
    let key = format!("{tokens}.{}", source.key());
    let keys = load(source, provider).map_err(|words| format!("{key}: {words}"))?;
    warn(&key, &keys, logs);
    Ok(Some(keys))
}

/// Reads or fetches a key set, and parses it.
pub(crate) fn load(source: &KeySetSource, provider: &Arc<CryptoProvider>) -> Result<Arc<KeySet>, String> {
    let (place, text) = match source {
        KeySetSource::File(path) => {
            let text = files::read(Path::new(path), KEY_SET_MAX_BYTES);
            (path, text.map_err(|error| format!("can't read {path}: {error}"))?)
        }
        KeySetSource::Url(url) => {
            let text = fetch(url, provider);
            (&url.url, text.map_err(|words| format!("can't fetch {}: {words}", url.url))?)
        }
        _ => return Err("this program does not know such keys".into()),
    };
    let verifier = RustlsSignatures::new(provider).ok_or("the TLS provider has no RSA or no P-256")?;
    let verifier: Arc<dyn SignatureVerifier> = Arc::new(verifier);
    KeySet::parse(&text, &verifier).map(Arc::new).map_err(|error| format!("{place}: {error}"))
}

/// Checks a source: loads a file, but does not fetch a URL.
pub(crate) fn check(source: &KeySetSource, provider: &Arc<CryptoProvider>) -> Result<(), String> {
    match source {
        #[cfg(feature = "jwks")]
        KeySetSource::Url(url) => fetch::check(url),
        #[cfg(not(feature = "jwks"))]
        KeySetSource::Url(_) => Err(WITHOUT.into()),
        source => load(source, provider).map(drop),
    }
}

#[cfg(feature = "jwks")]
fn fetch(url: &KeySetUrl, provider: &Arc<CryptoProvider>) -> Result<Vec<u8>, String> {
    fetch::fetch(url, provider)
}

#[cfg(not(feature = "jwks"))]
fn fetch(_: &KeySetUrl, _: &Arc<CryptoProvider>) -> Result<Vec<u8>, String> {
    Err(WITHOUT.into())
}

#[cfg(not(feature = "jwks"))]
const WITHOUT: &str =
    "this program was built without fetching keys; build it with the feature `jwks`, or use jwks_file";

/// The thread that refreshes the keys of a URL. The last good keys stay if a fetch fails.
pub(crate) struct Refresher {
    /// The key of the settings for tokens.
    pub(crate) tokens: String,
    pub(crate) url: Option<KeySetUrl>,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) keys: Box<dyn Keys>,
    pub(crate) logs: Logs,
    pub(crate) wanted: Receiver<Wanted>,
    /// The server, whose metrics count the fetches.
    pub(crate) remote: Remote<AppNote>,
}

impl Refresher {
    /// Starts the thread, which ends with the process.
    pub(crate) fn start(self) -> io::Result<()> {
        thread::Builder::new().name("drupe-keys".into()).spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        // The keys were loaded just before.
        let mut last = Instant::now();
        let mut is_due = false;
        loop {
            let wanted = match &self.url {
                Some(url) => {
                    let interval = if is_due { url.refresh_min } else { url.refresh };
                    self.wanted.recv_timeout(interval.saturating_sub(last.elapsed()))
                }
                None => self.wanted.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match wanted {
                Ok(Wanted::Source(url)) => {
                    // A reload may have put back older keys.
                    is_due = true;
                    self.url = url;
                }
                Ok(Wanted::Now(then)) => {
                    if self.url.as_ref().is_some_and(|url| last.elapsed() >= url.refresh_min) {
                        (last, is_due) = (self.refresh(), false);
                    }
                    then();
                }
                Ok(Wanted::Soon) => {
                    is_due = true;
                    if self.url.as_ref().is_some_and(|url| last.elapsed() >= url.refresh_min) {
                        (last, is_due) = (self.refresh(), false);
                    }
                }
                Err(RecvTimeoutError::Timeout) => (last, is_due) = (self.refresh(), false),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Fetches and replaces the keys. Returns the time at which the fetch ended.
    fn refresh(&self) -> Instant {
        let Some(url) = &self.url else { return Instant::now() };
        let source = KeySetSource::Url(url.clone());
        let key = format!("{}.{}", self.tokens, source.key());
        let loaded = load(&source, &self.provider);
        // If the server's queue is full, this fetch is not counted.
        let _ = self.remote.command(Command::KeySetFetched { succeeded: loaded.is_ok() });
        match loaded {
            Ok(keys) => {
                if self.keys.current().is_none_or(|before| !before.kids().eq(keys.kids())) {
                    let words = format!("{key}: {} keys were fetched, which are others than before", keys.len());
                    self.logs.operation(Level::INFO, &words);
                    warn(&key, &keys, &self.logs);
                }
                self.keys.replace(&keys);
            }
            Err(words) => {
                let words = format!("{key}: {words}; the previous keys stay");
                self.logs.operation(Level::WARN, &words);
            }
        }
        Instant::now()
    }
}

/// Logs a warning about the keys of a set that were skipped, if there are any.
fn warn(key: &str, keys: &KeySet, logs: &Logs) {
    if let Some(warning) = keys.warning() {
        logs.operation(Level::WARN, &format!("{key}: {warning}"));
    }
}
