//! The handler of the server: the applications, and the layers around them.

use crate::accounts::SharedAccounts;
use crate::connections::LogConnections;
use crate::failure::Failure;
use crate::flight::Flight;
use crate::keys;
use crate::logs::Logs;
use crate::shared_keys::{Keys, SectionKeys, SharedKeySet, State, Wanted};
use crate::ssh;
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
    /// The sets of public keys that sections name.
    pub(crate) keys: SectionKeys,
    /// The hashed passwords, which only threads that load a configuration use.
    hashed: Arc<Mutex<HashedPasswords>>,
    monitor: Option<MonitorPlan>,
    flight: Option<Flight>,
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
        ssh::check(resolved)?;
        for (tokens, source) in resolved.plan.key_sets() {
            let blame = |words| resolved.blame(&format!("{tokens}.{}", source.key()), words);
            keys::check(source, &self.provider).map_err(blame)?;
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
            Part::Recorder,
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
        (wanted, keys): (SyncSender<Wanted>, SectionKeys),
        users: Option<Users>,
    ) -> Result<Self, Failure> {
        // The secret of the store stays the same over restarts, and so do the tokens that it signs.
        let secret = users.as_ref().map_or_else(secret, |users| Ok(users.secret()))?;
        let mut hashed = HashedPasswords::new(secret);
        for (tokens, set) in keys.iter() {
            let loaded = keys::of_plan(plan, tokens, &crypto.provider, &logs)?;
            drop(set.exchange(State { keys: loaded, is_fetched: keys::url(plan, tokens).is_some() }));
        }
        let of_accounts = keys::of_plan(plan, keys::OF_ACCOUNTS, &crypto.provider, &logs)?;
        Ok(Self {
            makers,
            catalog,
            sections: plan.config.sections.clone(),
            authentication: plan.authentication.clone(),
            accounts: SharedAccounts::new(accounts(plan, &mut hashed, of_accounts)?, wanted, users),
            keys,
            hashed: Arc::new(Mutex::new(hashed)),
            monitor: plan.monitor,
            flight: None,
            tail: logs.tail(),
            logs,
            secret,
            crypto,
        })
    }

    /// Lets watchers of the monitor have recordings written.
    pub(crate) fn with_flight(self, flight: Option<Flight>) -> Self {
        Self { flight, ..self }
    }

    /// Returns the machine's configuration, with everything that its listeners need.
    ///
    /// # Errors
    /// If a file that it names is missing or invalid.
    pub(crate) fn load(&self, resolved: &Resolved) -> Result<Config, SettingsError> {
        let mut config = self.crypto.load(resolved)?;
        ssh::load(&mut config, resolved, &self.logs)?;
        Ok(config)
    }

    /// Creates the handler of a worker.
    pub(crate) fn handler(&self, remote: &Remote<AppNote>) -> Stack {
        let authentication = self.authentication.as_ref().map(|plan| self.authentication(plan, remote));
        let monitor = self.monitor.map(|plan| self.monitor(plan, authentication.is_some()));
        let log = LogConnections::new(self.logs.clone());
        let apps = self.makers.make(&self.sections, &self.keys, remote);
        apps.within(Greeting).within(authentication).within(log).within(monitor)
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

    /// Prepares what a plan changes besides the machine's configuration. Hashes new passwords and loads keys on this
    /// thread.
    pub(crate) fn prepare(&self, plan: &Plan, before: &Plan) -> Result<Prepared, Failure> {
        let sets = self.keys.iter().map(|(tokens, set)| {
            let keys = self.keys_after(plan, before, tokens, set)?;
            Ok((set.clone(), State { keys, is_fetched: keys::url(plan, tokens).is_some() }))
        });
        let sets = sets.collect::<Result<_, Failure>>()?;
        if plan.authentication.is_none() {
            return Ok(Prepared { accounts: None, sets });
        }
        let keys = self.keys_after(plan, before, keys::OF_ACCOUNTS, &self.accounts)?;
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Prepared { accounts: Some(Arc::new(accounts(plan, &mut hashed, keys)?)), sets })
    }

    /// Returns the keys of a plan. Loads them, unless they come from the same URL as before.
    fn keys_after(
        &self,
        plan: &Plan,
        before: &Plan,
        tokens: &str,
        keys: &dyn Keys,
    ) -> Result<Option<Arc<KeySet>>, Failure> {
        match (keys::source(plan, tokens), keys::source(before, tokens), keys.current()) {
            // The keys of the same URL stay until the next fetch.
            (Some(KeySetSource::Url(after)), Some(KeySetSource::Url(before)), Some(keys))
                if after.url == before.url =>
            {
                Ok(Some(keys))
            }
            _ => keys::of_plan(plan, tokens, &self.crypto.provider, &self.logs),
        }
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
        let monitor = match self.flight.clone() {
            Some(flight) => monitor.recorder(move || flight.save_for_monitor()),
            None => monitor,
        };
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

/// What a reload changes besides the machine's configuration.
pub(crate) struct Prepared {
    /// The accounts. `None` if the plan has no authentication; the previous ones then stay until a restart.
    accounts: Option<Arc<Accounts>>,
    sets: Vec<(SharedKeySet, State)>,
}

impl Prepared {
    /// Applies the accounts and the sets. Returns the previous ones, which no serving thread should drop.
    pub(crate) fn apply(self, shared: &SharedAccounts) -> Self {
        let sets = self.sets.into_iter().map(|(set, state)| {
            let before = set.exchange(state);
            (set, before)
        });
        Self { sets: sets.collect(), accounts: self.accounts.map(|accounts| shared.exchange(accounts)) }
    }
}

fn accounts(plan: &Plan, hashed: &mut HashedPasswords, keys: Option<Arc<KeySet>>) -> Result<Accounts, Failure> {
    let Some(authentication) = &plan.authentication else { return Ok(Accounts::new()) };
    let accounts = authentication.accounts(hashed, keys);
    accounts.map_err(|(key, words)| format!("{key}: {words}").into())
}
