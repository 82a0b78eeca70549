//! The handler of the server: the applications, and the layers around them.

use crate::connections::LogConnections;
use crate::failure::Failure;
use crate::logs::Logs;
use crate::start::AppMakers;
use crate::tunnels;
use drupe_core::app::{AppNote, Apps};
use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::auth::{Accounts, Authentication, Provider, Verdict};
use drupe_core::kit::layer::{Greeting, Layered, Within};
use drupe_core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_core::settings::{AuthenticationPlan, Catalog, HashedPasswords, MonitorPlan, Plan, Resolved, SettingsError};
use drupe_core::tls::TicketKeys;
use drupe_core::{Config, ConnId, Identity, Part, Sections, UnixTime};
use drupe_shell::{Remote, secret};
use rustls::crypto::{CryptoProvider, ring};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    provider: Arc<CryptoProvider>,
    tickets: TicketKeys,
}

impl Crypto {
    pub(crate) fn new() -> Self {
        let tickets = TicketKeys::new(ring::Ticketer::new);
        Self { provider: Arc::new(ring::default_provider()), tickets }
    }

    /// Checks the files of a plan, and returns the machine's configuration with TLS loaded.
    ///
    /// # Errors
    /// If a file that it names is missing or invalid.
    pub(crate) fn load(&self, resolved: &Resolved) -> Result<Config, SettingsError> {
        let mut plan = resolved.plan.clone();
        tunnels::check(resolved)?;
        let loaded = plan.load_tls(|files| files.load(&self.provider, &self.tickets));
        loaded.map_err(|(key, error)| resolved.blame(&key, error.to_string()))?;
        plan.load_files().map_err(|(key, error)| resolved.blame(&key, error.to_string()))?;
        // `Parts` applies all of these.
        plan.applies([Part::Authentication, Part::Monitor, Part::Workers, Part::Greeting, Part::Apps, Part::Log]);
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
    ) -> Result<Self, Failure> {
        let secret = secret()?;
        let mut hashed = HashedPasswords::new(secret);
        Ok(Self {
            makers,
            catalog,
            sections: plan.config.sections.clone(),
            authentication: plan.authentication.clone(),
            accounts: SharedAccounts::new(accounts(plan, &mut hashed)?),
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
        let authentication = self.authentication.as_ref().map(|plan| self.authentication(plan));
        let monitor = self.monitor.map(|plan| self.monitor(plan, authentication.is_some()));
        let log = LogConnections::new(self.logs.clone());
        self.makers.make(&self.sections, remote).within(Greeting).within(authentication).within(log).within(monitor)
    }

    fn authentication(&self, plan: &AuthenticationPlan) -> Authentication<SharedAccounts> {
        let mut layer =
            Authentication::new(self.accounts.clone(), self.secret).limits(plan.limits).duplicates(plan.duplicates);
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
    pub(crate) fn prepare(&self, plan: &Plan) -> Result<Option<Arc<Accounts>>, Failure> {
        if plan.authentication.is_none() {
            return Ok(None);
        }
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Arc::new(accounts(plan, &mut hashed)?)))
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

/// Accounts that a reload replaces for all workers. The lock is held only to copy a pointer.
#[derive(Clone)]
pub(crate) struct SharedAccounts(Arc<Mutex<Arc<Accounts>>>);

impl SharedAccounts {
    fn new(accounts: Accounts) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(accounts))))
    }

    /// Replaces the accounts. Returns the previous ones, which no serving thread should drop.
    pub(crate) fn exchange(&self, accounts: Arc<Accounts>) -> Arc<Accounts> {
        core::mem::replace(&mut *self.lock(), accounts)
    }

    fn current(&self) -> Arc<Accounts> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Accounts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accounts(plan: &Plan, hashed: &mut HashedPasswords) -> Result<Accounts, Failure> {
    let Some(authentication) = &plan.authentication else { return Ok(Accounts::new()) };
    let accounts = authentication.accounts(hashed);
    accounts.map_err(|(key, words)| format!("{key}: {words}").into())
}

impl Provider<AppNote> for SharedAccounts {
    fn token(&mut self, _: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        self.current().verdict(token, now)
    }

    fn credentials(&mut self, user: &str) -> Option<Credentials> {
        self.current().credentials(user).cloned()
    }

    fn iterations(&mut self) -> u32 {
        self.current().iterations()
    }

    fn identity(&mut self, user: &str) -> Identity {
        self.current().identity(user)
    }
}
