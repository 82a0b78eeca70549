//! What the server is made of: applications, and the layers around them.

use crate::Failure;
use crate::connections::LogConnections;
use crate::logs::Logs;
use drupe_tokio::core::app::{Envelope, Several};
use drupe_tokio::core::kit::auth::{Accounts, Authentication, Provider, Verdict};
use drupe_tokio::core::kit::layer::{Greeting, Layered, Within};
use drupe_tokio::core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_tokio::core::settings::{AuthenticationPlan, MonitorPlan, Plan, Resolved, SettingsError};
use drupe_tokio::core::shell::secret;
use drupe_tokio::core::tls::Tickets;
use drupe_tokio::core::tunnel::{Tunnel, TunnelFailure};
use drupe_tokio::core::{Config, ConnId, Identity, NoNote, Part, UnixTime};
use rustls::crypto::{CryptoProvider, ring};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The handler of each worker.
pub(crate) type Stack = Layered<
    Option<Monitor>,
    Layered<LogConnections, Layered<Option<Authentication<SharedAccounts>>, Layered<Greeting, Several>>>,
>;

/// What all handlers are made from, and what a reload changes in them.
#[derive(Clone)]
pub(crate) struct Parts {
    envelope: Envelope,
    authentication: Option<AuthenticationPlan>,
    pub(crate) accounts: SharedAccounts,
    monitor: Option<MonitorPlan>,
    logs: Logs,
    tail: LogTail,
    secret: [u8; 32],
    crypto: Crypto,
}

/// How TLS is spoken, and the keys with which sessions are resumed, over all reloads.
#[derive(Clone)]
pub(crate) struct Crypto {
    provider: Arc<CryptoProvider>,
    tickets: Tickets,
}

impl Crypto {
    pub(crate) fn new() -> Self {
        let tickets = Tickets::new(ring::Ticketer::new);
        Self { provider: Arc::new(ring::default_provider()), tickets }
    }

    /// The configuration of a plan with its certificates, once all files that it names are there.
    pub(crate) fn load(&self, resolved: &Resolved) -> Result<Config, SettingsError> {
        let mut plan = resolved.plan.clone();
        for Tunnel { name, ssh, .. } in &plan.config.tunnels {
            drupe_tokio::tunnel::check(ssh).map_err(|error| {
                let part = if error.failure == TunnelFailure::HostKey { "known_hosts" } else { "ssh_key_path" };
                resolved.blame(&format!("tunnels.{name}.{part}"), error.words)
            })?;
        }
        let loaded = plan.load_tls(|files| files.load(&self.provider, &self.tickets));
        loaded.map_err(|(key, error)| resolved.blame(&key, error.to_string()))?;
        // Parts makes all of it.
        plan.applies([
            Part::Authentication,
            Part::Monitor,
            Part::Workers,
            Part::Envelope,
            Part::Greeting,
            Part::Apps,
            Part::Log,
        ]);
        Ok(plan.config)
    }
}

impl Parts {
    pub(crate) fn new(plan: &Plan, logs: Logs, crypto: Crypto) -> Result<Self, Failure> {
        Ok(Self {
            envelope: plan.envelope,
            authentication: plan.authentication.clone(),
            accounts: SharedAccounts::new(plan)?,
            monitor: plan.monitor,
            tail: logs.tail(),
            logs,
            secret: secret()?,
            crypto,
        })
    }

    pub(crate) fn handler(&self) -> Stack {
        let authentication = self.authentication.as_ref().map(|plan| self.authentication(plan));
        let monitor = self.monitor.map(|plan| self.monitor(plan, authentication.is_some()));
        let log = LogConnections::new(self.logs.clone());
        Several::new(self.envelope).within(Greeting).within(authentication).within(log).within(monitor)
    }

    fn authentication(&self, plan: &AuthenticationPlan) -> Authentication<SharedAccounts> {
        let mut layer =
            Authentication::new(self.accounts.clone(), self.secret).limits(plan.limits).duplicates(plan.duplicates);
        if plan.token_in_query {
            layer = layer.token_in_query();
        }
        if plan.dialogue { layer.dialogue() } else { layer }
    }

    fn monitor(&self, plan: MonitorPlan, is_authenticated: bool) -> Monitor {
        let MonitorPlan { watchers_max, interval, may_act, may_watch } = plan;
        let monitor = Monitor::new(MonitorLimits { watchers_max, interval, may_act, may_watch }, self.tail.clone());
        let logs = self.logs.clone();
        let monitor = monitor.audit(move |line| logs.monitor(line));
        if is_authenticated { monitor.conceal_unknown() } else { monitor }
    }

    pub(crate) fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    pub(crate) fn logs(&self) -> &Logs {
        &self.logs
    }
}

/// Users and keys, which a reload exchanges for all workers.
#[derive(Clone)]
pub(crate) struct SharedAccounts(Arc<Mutex<Accounts>>);

impl SharedAccounts {
    fn new(plan: &Plan) -> Result<Self, Failure> {
        let accounts = accounts(plan)?;
        Ok(Self(Arc::new(Mutex::new(accounts))))
    }

    pub(crate) fn replace(&self, plan: &Plan) -> Result<(), Failure> {
        let accounts = accounts(plan)?;
        *self.lock() = accounts;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accounts(plan: &Plan) -> Result<Accounts, Failure> {
    let Some(authentication) = &plan.authentication else { return Ok(Accounts::new()) };
    let accounts = authentication.accounts(&secret()?[..16]);
    accounts.map_err(|(key, words)| format!("{key}: {words}").into())
}

impl Provider<NoNote> for SharedAccounts {
    fn token(&mut self, conn: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        Provider::<NoNote>::token(&mut *self.lock(), conn, token, now)
    }

    fn credentials(&mut self, user: &str) -> Option<drupe_tokio::core::kit::auth::scram::Credentials> {
        Provider::<NoNote>::credentials(&mut *self.lock(), user)
    }

    fn identity(&mut self, user: &str) -> Identity {
        Provider::<NoNote>::identity(&mut *self.lock(), user)
    }
}
