//! The handler of the server: the applications, and the layers around them.

use crate::accounts::{SharedAccounts, Wanted};
use crate::connections::LogConnections;
use crate::failure::Failure;
use crate::keys;
use crate::logs::Logs;
use crate::start::AppMakers;
use crate::tunnels;
use crate::users::{self, Users};
use drupe_core::app::{AppNote, Apps};
use drupe_core::kit::auth::{Accounts, Authentication, KeySet};
use drupe_core::kit::layer::{Greeting, Layered, Within};
use drupe_core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_core::settings::{
    AuthenticationPlan, Catalog, HashedPasswords, KeySetSource, MonitorPlan, Plan, Resolved, SettingsError,
};
use drupe_core::tls::TicketKeys;
use drupe_core::{Config, ConnId, Part, Sections};
use drupe_shell::{Remote, secret};
use rustls::crypto::{CryptoProvider, ring};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

/// The handler of each worker.
pub(crate) type Stack = Layered<
    Option<Monitor>,
    Layered<LogConnections, Layered<Option<Authentication<SharedAccounts>>, Layered<Greeting, Apps>>>,
>;

/// The parts of each worker's handler. A reload replaces some of them.
#[derive(Clone)]
pub(crate) struct Parts {
    makers: AppMakers,
    catalog: Arc<Catalog>,
    /// The sections with which applications start.
    sections: Sections,
    authentication: Option<AuthenticationPlan>,
    pub(crate) accounts: SharedAccounts,
    /// The hashed passwords, which only threads that load a configuration use.
    hashed: Arc<Mutex<HashedPasswords>>,
    monitor: Option<MonitorPlan>,
    logs: Logs,
    tail: LogTail,
    secret: [u8; 32],
    crypto: Crypto,
}

/// The TLS provider and the ticket keys, which stay the same over all reloads.
#[derive(Clone)]
pub(crate) struct Crypto {
    pub(crate) provider: Arc<CryptoProvider>,
    tickets: TicketKeys,
}

impl Crypto {
    pub(crate) fn new() -> Self {
        let tickets = TicketKeys::new(ring::Ticketer::new);
        Self { provider: Arc::new(ring::default_provider()), tickets }
    }

    /// Loads TLS and served files, checks other files, and returns the machine's configuration.
    ///
    /// # Errors
    /// If a file that it names is missing or invalid.
    pub(crate) fn load(&self, resolved: &Resolved) -> Result<Config, SettingsError> {
        let mut plan = resolved.plan.clone();
        tunnels::check(resolved)?;
        if let Some(source) = keys::source(&resolved.plan) {
            keys::check(&source, &self.provider).map_err(|words| resolved.blame(source.key(), words))?;
        }
        users::check(resolved)?;
        let loaded = plan.load_tls(|files| files.load(&self.provider, &self.tickets));
        loaded.map_err(|(key, error)| resolved.blame(&key, error.to_string()))?;
        plan.load_files().map_err(|(key, error)| resolved.blame(&key, error.to_string()))?;
        // `Parts` applies all of these.
        plan.applies([
            Part::Authentication,
            Part::Monitor,
            Part::Workers,
            Part::Greeting,
            Part::Sections,
            Part::Apps,
            Part::Log,
        ]);
        Ok(plan.config)
    }
}

impl Parts {
    pub(crate) fn new(
        plan: &Plan,
        makers: AppMakers,
        catalog: Arc<Catalog>,
        logs: Logs,
        crypto: Crypto,
        wanted: SyncSender<Wanted>,
        users: Option<Users>,
    ) -> Result<Self, Failure> {
        // The secret of the store stays the same over restarts, and so do the tokens that it signs.
        let secret = users.as_ref().map_or_else(secret, |users| Ok(users.secret()))?;
        let mut hashed = HashedPasswords::new(secret);
        let keys = key_set(plan, &crypto, &logs)?;
        Ok(Self {
            makers,
            catalog,
            sections: plan.config.sections.clone(),
            authentication: plan.authentication.clone(),
            accounts: SharedAccounts::new(accounts(plan, &mut hashed, keys)?, wanted, users),
            hashed: Arc::new(Mutex::new(hashed)),
            monitor: plan.monitor,
            tail: logs.tail(),
            logs,
            secret,
            crypto,
        })
    }

    /// Creates the handler of a worker.
    pub(crate) fn handler(&self, remote: &Remote<AppNote>) -> Stack {
        let authentication = self.authentication.as_ref().map(|plan| self.authentication(plan, remote));
        let monitor = self.monitor.map(|plan| self.monitor(plan, authentication.is_some()));
        let log = LogConnections::new(self.logs.clone());
        self.makers.make(&self.sections, remote).within(Greeting).within(authentication).within(log).within(monitor)
    }

    fn authentication(&self, plan: &AuthenticationPlan, remote: &Remote<AppNote>) -> Authentication<SharedAccounts> {
        let accounts = self.accounts.of_worker(remote.clone());
        let logs = self.logs.clone();
        let on_failure = move |conn: ConnId, reason: &str| logs.failed_login(conn, reason);
        let mut layer = Authentication::new(accounts, self.secret)
            .on_failure(on_failure)
            .limits(plan.limits)
            .duplicates(plan.duplicates);
        if let Some(rules) = plan.registration {
            layer = layer.registration(rules);
        }
        if let Some(rules) = plan.issue_tokens {
            layer = layer.issue_tokens(rules);
        }
        if let Some(path) = &plan.token_path {
            layer = layer.token_path(path);
        }
        if plan.token_in_query {
            layer = layer.token_in_query();
        }
        if plan.allow_plaintext {
            layer = layer.allow_plaintext();
        }
        if plan.dialogue { layer.dialogue() } else { layer }
    }

    /// Returns the accounts of a plan, after hashing its new passwords on this thread.
    ///
    /// The result is for [`SharedAccounts::exchange`]. It is `None` if the plan has no
    /// authentication; the previous accounts then stay until a restart.
    pub(crate) fn prepare(&self, plan: &Plan, before: &Plan) -> Result<Option<Arc<Accounts>>, Failure> {
        if plan.authentication.is_none() {
            return Ok(None);
        }
        let keys = match (keys::source(plan), keys::source(before)) {
            // The keys of the same URL stay until the next fetch.
            (Some(KeySetSource::Url(after)), Some(KeySetSource::Url(before))) if after.url == before.url => None,
            _ => key_set(plan, &self.crypto, &self.logs)?,
        };
        let keys = keys.or_else(|| self.accounts.current().token_verifier()?.shared_keys());
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Arc::new(accounts(plan, &mut hashed, keys)?)))
    }

    fn monitor(&self, plan: MonitorPlan, is_authenticated: bool) -> Monitor {
        let MonitorPlan { watchers_max, interval, may_act, may_watch } = plan;
        let monitor = Monitor::new(
            MonitorLimits::default()
                .watchers_max(watchers_max)
                .interval(interval)
                .may_act(may_act)
                .may_watch(may_watch),
            self.tail.clone(),
        );
        let logs = self.logs.clone();
        let monitor = monitor.audit(move |line| logs.monitor(line));
        if is_authenticated { monitor.conceal_unknown() } else { monitor }
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub(crate) fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    pub(crate) fn logs(&self) -> &Logs {
        &self.logs
    }
}

/// Reads or fetches the public keys of tokens, if the plan has a set of them.
fn key_set(plan: &Plan, crypto: &Crypto, logs: &Logs) -> Result<Option<Arc<KeySet>>, Failure> {
    let Some(source) = keys::source(plan) else { return Ok(None) };
    let keys = keys::load(&source, &crypto.provider).map_err(|words| format!("{}: {words}", source.key()))?;
    keys::warn(&source, &keys, logs);
    Ok(Some(keys))
}

fn accounts(plan: &Plan, hashed: &mut HashedPasswords, keys: Option<Arc<KeySet>>) -> Result<Accounts, Failure> {
    let Some(authentication) = &plan.authentication else { return Ok(Accounts::new()) };
    let accounts = authentication.accounts(hashed, keys);
    accounts.map_err(|(key, words)| format!("{key}: {words}").into())
}
