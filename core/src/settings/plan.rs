//! Settings that make sense together, as what a server is made of.

use super::layers::Layers;
use super::passwords::HashedPasswords;
use super::secret::Secret;
use super::tree::{
    AppChoice, AuthenticationSettings, DrainSettings, DuplicateChoice, EnvelopeChoice, LadderSettings, LimitSettings,
    LogSettings, MonitorSettings, OutboundSettings, PeerSettings, Settings, SlowChoice,
};
use super::units::{Maybe, NetworkText, RateText, Size, Timeout};
use super::{SettingsError, SettingsErrors, built_in};
use crate::app::Envelope;
use crate::base::Network;
use crate::config::{Closing, Config, Drain, Part, PeerLimits, Rates, RoomLimits, TicketLimits, Unapplied};
use crate::config::{ConnectionLimits, EarlyDrop, Ladder, QuarantineLimits, Rate};
use crate::config::{Marks, OutboundLimits, SlowPolicy};
use crate::kit::auth::scram;
use crate::kit::auth::scram::{Credentials, ScramError};
use crate::kit::auth::{Accounts, AuthenticationLimits, DuplicateLogin, TokenKey, Tokens};
use crate::tls::{Tls, TlsFiles};
use crate::wire::http::Credential;
use crate::wire::{Budget, MessageSize};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::num::{NonZeroU8, NonZeroU32};
use core::time::Duration;

/// What a server is made of.
///
/// No server starts with a part of it: [`config`](Self::config) is refused until the certificates are
/// [loaded](Self::load_tls), and until whoever starts it has taken everything that stands beside it, or said to
/// [apply](Self::applies) it.
///
/// ```no_run
/// # use drupe_core::settings::Sources;
/// # use drupe_core::tls::{Tickets, rustls};
/// # use std::sync::Arc;
/// # let text = "";
/// let mut plan = Sources::new().file("drupe.yaml", text).resolve()?.plan;
/// # #[cfg(any())]
/// # {
/// let provider = Arc::new(rustls::crypto::ring::default_provider());
/// let tickets = Tickets::new(rustls::crypto::ring::Ticketer::new);
/// plan.load_tls(|files| files.load(&provider, &tickets)).map_err(|(key, error)| format!("{key}: {error}"))?;
/// # }
/// if let Some(authentication) = plan.take_authentication() {
///     // A layer around the handler: kit::auth::Authentication.
/// }
/// // Server::bind(plan.config, handler)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The machine's configuration.
    pub config: Config,
    /// The files of each listener's TLS, in the order of [`listeners`](Config::listeners).
    pub(super) tls: Vec<Option<TlsFiles>>,
    /// How many threads serve.
    pub workers: NonZeroU8,
    /// What the relay puts each message into.
    pub envelope: Envelope,
    /// Who may come in, unless everybody may.
    pub authentication: Option<AuthenticationPlan>,
    /// What the monitor may do, if there is one.
    pub monitor: Option<MonitorPlan>,
    /// What is logged.
    pub log: LogSettings,
}

/// Who may come in.
#[derive(Clone, PartialEq)]
pub struct AuthenticationPlan {
    settings: AuthenticationSettings,
    /// What keeps passwords from being guessed.
    pub limits: AuthenticationLimits,
    /// Whether a token may stand in the query.
    pub token_in_query: bool,
    /// Whether people are asked.
    pub dialogue: bool,
    /// Whether they are also where passwords cross a network in the clear.
    pub allow_plaintext: bool,
    /// What happens when a user is connected already.
    pub duplicates: DuplicateLogin,
}

/// What the monitor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorPlan {
    /// How many may look at a time.
    pub watchers_max: u32,
    /// How often the table is sent.
    pub interval: Duration,
    /// Whether those who look may close, refuse and drain.
    pub may_act: bool,
    /// Whether they may see what is said.
    pub may_watch: bool,
}

impl fmt::Debug for AuthenticationPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationPlan")
    }
}

impl AuthenticationPlan {
    /// The users and keys. Passwords that are not hashed yet are, which takes milliseconds for each: not for a thread that serves.
    ///
    /// # Errors
    /// What is wrong, and with which key.
    pub fn accounts(&self, hashed: &mut HashedPasswords) -> Result<Accounts, (String, String)> {
        let AuthenticationSettings { users, shared_password, shared_password_hash, iterations, .. } = &self.settings;
        let mut accounts = Accounts::new();
        if !shared_password_hash.is_empty() {
            let stored = Credentials::from_stored(shared_password_hash.reveal());
            let blame = |error: ScramError| ("authentication.shared_password_hash".into(), error.to_string());
            accounts = accounts.shared_password(stored.map_err(blame)?);
        } else if !shared_password.is_empty() {
            let credentials = hashed.get(None, shared_password.reveal(), *iterations);
            let blame = |error: ScramError| ("authentication.shared_password".into(), error.to_string());
            accounts = accounts.shared_password(credentials.map_err(blame)?);
        }
        for (name, user) in users {
            let key = || format!("authentication.users.{name}");
            let (credentials, part) = if user.password_hash.is_empty() {
                (hashed.get(Some(name), user.password.reveal(), *iterations), ".password")
            } else {
                (Credentials::from_stored(user.password_hash.reveal()), ".password_hash")
            };
            let credentials = credentials.map_err(|error| (key() + part, error.to_string()))?;
            let scopes = user.scopes.iter().map(String::as_str);
            accounts = accounts.user(name, credentials, scopes).map_err(|error| (key(), error.to_string()))?;
        }
        hashed.retain(|user| user.map_or(!shared_password.is_empty(), |user| users.contains_key(user)));
        match self.tokens()? {
            Some(tokens) => Ok(accounts.tokens(tokens)),
            None => Ok(accounts),
        }
    }

    /// Whether there can be such users and keys. Nothing is hashed.
    fn check(&self) -> Result<(), (String, String)> {
        let AuthenticationSettings { users, shared_password, shared_password_hash, iterations, .. } = &self.settings;
        let check_hash = |key: String, hash: &Secret| {
            Credentials::from_stored(hash.reveal()).map(drop).map_err(|error: ScramError| (key, error.to_string()))
        };
        let both = |key: String| (key, "there is a password as well; set one of them".to_string());
        if !shared_password_hash.is_empty() {
            let key = "authentication.shared_password_hash";
            if !shared_password.is_empty() {
                return Err(both(key.into()));
            }
            check_hash(key.into(), shared_password_hash)?;
        }
        let check = |key: String, password: &str| {
            scram::check(password, *iterations).map_err(|error: ScramError| (key, error.to_string()))
        };
        if !shared_password.is_empty() {
            check("authentication.shared_password".into(), shared_password.reveal())?;
        }
        let mut names = BTreeSet::new();
        for (name, user) in users {
            match (user.password.is_empty(), user.password_hash.is_empty()) {
                (true, true) => {
                    let words = "a user has a password: set password, password_file or password_hash";
                    return Err((format!("authentication.users.{name}"), words.into()));
                }
                (false, false) => return Err(both(format!("authentication.users.{name}.password_hash"))),
                (false, true) => check(format!("authentication.users.{name}.password"), user.password.reveal())?,
                (true, false) => check_hash(format!("authentication.users.{name}.password_hash"), &user.password_hash)?,
            }
            let words = match scram::prepared_name(name) {
                Ok(prepared) if names.insert(prepared.clone()) => continue,
                Ok(prepared) => format!("there is another user whose name is compared as {prepared}"),
                Err(error) => error.to_string(),
            };
            return Err((format!("authentication.users.{name}"), words));
        }
        self.tokens().map(drop)
    }

    fn tokens(&self) -> Result<Option<Tokens>, (String, String)> {
        if let Some(settings) = &self.settings.tokens {
            let blame = |key: &str, words: String| (format!("authentication.tokens.{key}"), words);
            let key = if settings.hs256_secret.is_empty() {
                let bytes = from_hex(&settings.ed25519_public);
                let bytes = bytes.ok_or_else(|| blame("ed25519_public", "it takes 64 hexadecimal digits".into()))?;
                TokenKey::ed25519_public(&bytes).map_err(|error| blame("ed25519_public", error.to_string()))?
            } else {
                let secret = settings.hs256_secret.reveal().as_bytes();
                TokenKey::hs256(secret).map_err(|error| blame("hs256_secret", error.to_string()))?
            };
            let mut tokens = Tokens::new(key).leeway(settings.leeway.0.as_secs());
            if !settings.issuer.is_empty() {
                tokens = tokens.issuer(&settings.issuer);
            }
            if !settings.audience.is_empty() {
                tokens = tokens.audience(&settings.audience);
            }
            if let Maybe(Some(most)) = settings.single_use_max {
                tokens = tokens.single_use(most.get());
            }
            return Ok(Some(tokens));
        }
        Ok(None)
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Vec<u8> = digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok().filter(|_| text.len() == 64)
}

/// What was found wrong so far.
pub(super) struct Problems<'a> {
    layers: &'a Layers,
    found: Vec<SettingsError>,
}

impl Problems<'_> {
    pub(super) fn add(&mut self, key: &str, words: impl Into<String>) {
        self.found.push(self.layers.blame(key, words));
    }

    /// Whether the operator set a key.
    pub(super) fn is_chosen(&self, key: &str) -> bool {
        self.layers.is_chosen(key)
    }

    /// What does not go together, at the first of the keys that the operator set.
    pub(super) fn add_chosen(&mut self, keys: &[&str], words: impl Into<String>) {
        self.found.push(self.layers.blame_chosen(keys, words));
    }

    /// Whether a name that somebody chose can stand in keys and variables.
    pub(super) fn check_name(&mut self, key: &str, name: &str) {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.add(key, "a name has letters, digits and _ only");
        }
    }

    /// The value, or what is in its place while others are looked at.
    pub(super) fn or<T, E: fmt::Display>(&mut self, key: &str, result: Result<T, E>, otherwise: T) -> T {
        result.unwrap_or_else(|error| {
            self.add(key, error.to_string());
            otherwise
        })
    }
}

impl Plan {
    /// The files of each listener's TLS, with the key that names them.
    pub fn tls(&self) -> impl Iterator<Item = (String, &TlsFiles)> {
        let listeners = self.config.listeners.iter().zip(&self.tls);
        listeners.filter_map(|(listen, files)| Some((format!("listeners.{}.tls", listen.name), files.as_ref()?)))
    }

    /// Has the certificates of every listener that speaks TLS loaded.
    ///
    /// # Errors
    /// The first key whose files are not what they should be, and why.
    pub fn load_tls<E>(&mut self, mut load: impl FnMut(&TlsFiles) -> Result<Tls, E>) -> Result<(), (String, E)> {
        for (listen, files) in self.config.listeners.iter_mut().zip(&self.tls) {
            let (Some(files), Some(pending)) = (files, &listen.tls) else { continue };
            let handshake_timeout = pending.handshake_timeout;
            let mut loaded = load(files).map_err(|error| (format!("listeners.{}.tls", listen.name), error))?;
            loaded.handshake_timeout = handshake_timeout;
            listen.tls = Some(loaded);
        }
        Ok(())
    }

    /// Who may come in, for a layer around the handler; `None` if everybody may.
    #[must_use = "what is configured and not applied is lost"]
    pub fn take_authentication(&mut self) -> Option<AuthenticationPlan> {
        self.applies([Part::Authentication]);
        self.authentication.take()
    }

    /// Says that whoever starts the server applies these parts.
    pub fn applies(&mut self, parts: impl IntoIterator<Item = Part>) {
        parts.into_iter().for_each(|part| self.config.unapplied.remove(part));
    }

    pub(super) fn new(settings: &Settings, layers: &Layers, must_listen: bool) -> Result<Self, SettingsErrors> {
        let mut problems = Problems { layers, found: Vec::new() };
        let plan = plan(settings, &mut problems);
        if must_listen && settings.listeners.is_empty() {
            let words = "the server listens nowhere; add one, such as `chat: { address: '127.0.0.1:7000' }`";
            problems.add("listeners", words);
        }
        if problems.found.is_empty() { Ok(plan) } else { Err(SettingsErrors(problems.found)) }
    }
}

fn plan(settings: &Settings, problems: &mut Problems<'_>) -> Plan {
    let authentication = authentication(settings, problems);
    let monitor_credential = credential("monitor.credential", &settings.monitor.credential, problems);
    let metrics_credential = metrics_credential(&settings.monitor, problems);
    let is_authenticated = authentication.is_some();
    let (listeners, tls) =
        super::listeners::plan(settings, monitor_credential.as_ref(), metrics_credential.as_ref(), problems);
    let peer = peer_limits("limits.peer", &settings.limits.peer, problems);
    let PeerLimits { budget, rates, idle, idle_warning, silence, lifetime } = peer;
    let mut config = Config {
        listeners,
        tunnels: super::tunnels::plan(settings, problems),
        connections: connections(&settings.limits, is_authenticated, problems),
        exempt: networks(&settings.limits.exempt),
        dry_run: settings.limits.dry_run,
        budget,
        rates,
        idle,
        idle_warning,
        silence,
        lifetime,
        quarantine: QuarantineLimits {
            cool_down: settings.quarantine.cool_down.0,
            addresses_max: settings.quarantine.addresses_max,
        },
        outbound: outbound(&settings.outbound, problems),
        rooms: RoomLimits {
            total: settings.rooms.rooms_max.get(),
            per_connection: settings.rooms.per_connection_max.get(),
            name_max_bytes: name_max(settings.rooms.name_max, problems),
        },
        tickets: TicketLimits {
            per_connection: settings.limits.tickets_per_connection_max,
            total: settings.limits.tickets_max,
        },
        closing: Closing {
            flush: settings.closing.flush.0,
            linger: settings.closing.linger.0,
            discard_max_bytes: u32_of("closing.discard_max", settings.closing.discard_max, problems),
        },
        drain: drain(&settings.drain, problems),
        accept_backoff: settings.limits.accept_backoff.0,
        ..Config::default()
    };
    let mut web = settings.listeners.values().filter_map(|listener| listener.websocket.as_ref());
    if settings.workers.get() > 1 && web.any(|web| web.monitor) {
        problems.add("workers", "the monitor sees one worker only; set workers: 1, or websocket.monitor: false");
    }
    let own = config.peer_limits();
    for listen in &mut config.listeners {
        // The same as all have is none of its own.
        listen.limits = listen.limits.filter(|limits| *limits != own);
    }
    log(&settings.log, problems);
    unapplied(settings, &mut config.unapplied);
    let MonitorSettings { watchers_max, interval, may_act, may_watch, .. } = settings.monitor;
    if interval.0 < Duration::from_millis(100) {
        problems.add("monitor.interval", "it is at least 100ms");
    }
    Plan {
        config,
        tls,
        workers: settings.workers,
        envelope: match settings.envelope {
            EnvelopeChoice::None => Envelope::None,
            EnvelopeChoice::Json => Envelope::Json,
        },
        authentication,
        monitor: monitor_credential.map(|_| MonitorPlan {
            watchers_max: watchers_max.get(),
            interval: interval.0,
            may_act,
            may_watch,
        }),
        log: settings.log.clone(),
    }
}

fn credential(key: &str, secret: &Secret, problems: &mut Problems<'_>) -> Option<Credential> {
    if secret.is_empty() {
        return None;
    }
    match Credential::new(secret.reveal()) {
        Ok(credential) => Some(credential),
        Err(error) => {
            problems.add(key, error.to_string());
            None
        }
    }
}

fn metrics_credential(monitor: &MonitorSettings, problems: &mut Problems<'_>) -> Option<Credential> {
    const KEY: &str = "monitor.metrics_credential";
    let MonitorSettings { credential: of_monitor, metrics_credential, .. } = monitor;
    if !metrics_credential.is_empty() && metrics_credential == of_monitor {
        problems.add(KEY, "it opens the monitor as well; choose another, or leave it out");
    }
    if metrics_credential.is_empty() {
        // What is wrong with it is said of it.
        return Credential::new(of_monitor.reveal()).ok();
    }
    credential(KEY, metrics_credential, problems)
}

fn connections(limits: &LimitSettings, is_authenticated: bool, problems: &mut Problems<'_>) -> ConnectionLimits {
    let early_drop = limits.early_drop.0.clone().and_then(|drop| {
        if !is_authenticated {
            let words = "without authentication everybody counts as unknown; turn on authentication.enabled";
            problems.add("limits.early_drop", words);
        }
        let drop = EarlyDrop::new(drop.begin, drop.full);
        problems.or("limits.early_drop", drop.map(Some), None)
    });
    ConnectionLimits {
        total: limits.connections_max.get(),
        per_address: limits.connections_per_address_max.get(),
        arrivals_per_address: rate(limits.arrivals_per_address),
        early_drop,
    }
}

pub(super) fn peer_limits(key: &str, peer: &PeerSettings, problems: &mut Problems<'_>) -> PeerLimits {
    let ladder = &peer.ladder;
    let size = MessageSize::new(peer.message_max.0);
    let message_max_bytes = problems.or(&format!("{key}.message_max"), size, MessageSize::DEFAULT);
    let span = |span: Maybe<Timeout>| span.0.map(|span| span.0);
    let step = |strikes: Maybe<NonZeroU32>| strikes.0.map(NonZeroU32::get);
    let (idle, idle_warning) = (span(peer.idle), span(peer.idle_warning));
    if let Some(warning) = idle_warning
        && idle.is_none_or(|idle| warning >= idle)
    {
        problems.add(&format!("{key}.idle_warning"), format!("it is before the end: set {key}.idle to more than this"));
    }
    let has_rate = peer.messages.0.is_some() || peer.bytes.0.is_some();
    if !has_rate && peer.ladder != LadderSettings::default() && problems.is_chosen(&format!("{key}.ladder")) {
        problems.add(&format!("{key}.ladder"), "it has no effect without a rate: set messages or bytes");
    }
    PeerLimits {
        budget: Budget {
            message_max_bytes,
            message_deadline: peer.message_deadline.0,
            messages_per_turn: peer.messages_per_turn.get(),
        },
        rates: Rates {
            messages: rate(peer.messages),
            bytes: rate(peer.bytes),
            ladder: Ladder {
                warn: step(ladder.warn),
                pause: step(ladder.pause),
                drop: step(ladder.drop),
                close: step(ladder.close),
                quarantine: step(ladder.quarantine),
                forgive_after: ladder.forgive_after.0,
            },
        },
        idle,
        idle_warning,
        silence: span(peer.silence),
        lifetime: span(peer.lifetime),
    }
}

fn outbound(outbound: &OutboundSettings, problems: &mut Problems<'_>) -> OutboundLimits {
    let mut bytes = |name: &str, size| u32_of(&format!("outbound.{name}"), size, problems);
    let (low, high, max) = (bytes("low", outbound.low), bytes("high", outbound.high), bytes("max", outbound.max));
    let drain_min = bytes("drain_min", outbound.drain_min);
    for (less, is_less, more, size) in
        [("low", low <= high, "high", outbound.high), ("high", high <= max, "max", outbound.max)]
    {
        if !is_less {
            problems.add(&format!("outbound.{less}"), format!("it is at most outbound.{more} ({size})"));
        }
    }
    let marks = Marks::new(low, high, max);
    let marks = if low <= high && high <= max {
        problems.or("outbound.max", marks, Marks::default())
    } else {
        Marks::default()
    };
    let drain_min = NonZeroU32::new(drain_min).ok_or("it is at least 1B");
    OutboundLimits {
        marks,
        write_deadline: outbound.write_deadline.0,
        drain_min_bytes_per_second: problems.or("outbound.drain_min", drain_min, NonZeroU32::MIN),
        slow_policy: match outbound.slow_policy {
            SlowChoice::Close => SlowPolicy::Close,
            SlowChoice::SkipOldest => SlowPolicy::SkipOldest,
            SlowChoice::SkipNewest => SlowPolicy::SkipNewest,
            SlowChoice::KeepLatest => SlowPolicy::KeepLatest,
        },
    }
}

fn drain(drain: &DrainSettings, problems: &mut Problems<'_>) -> Drain {
    if drain.window.0 > drain.deadline.0 {
        let words = format!("it is within drain.deadline ({}): what is left then is dropped", drain.deadline);
        problems.add("drain.window", words);
    }
    Drain {
        grace: drain.grace.0,
        window: drain.window.0,
        closes_per_second: drain.closes_per_second.get(),
        deadline: drain.deadline.0,
        retry_after: drain.retry_after.0.map(|after| after.0),
    }
}

fn authentication(settings: &Settings, problems: &mut Problems<'_>) -> Option<AuthenticationPlan> {
    let auth = &settings.authentication;
    let has_shared = !auth.shared_password.is_empty() || !auth.shared_password_hash.is_empty();
    let proves = !auth.users.is_empty() || has_shared || auth.tokens.is_some();
    if !auth.enabled {
        if proves {
            let words = "there are users, a password or tokens, but nobody is asked for them; set it to true";
            problems.add("authentication.enabled", words);
        }
        return None;
    }
    if !proves {
        let words = "nobody could come in: set users, shared_password or tokens";
        problems.add("authentication.enabled", words);
    }
    if let Some(tokens) = &auth.tokens
        && tokens.hs256_secret.is_empty() == tokens.ed25519_public.is_empty()
    {
        problems.add("authentication.tokens", "it takes one key: hs256_secret or ed25519_public");
    }
    if let Some(tokens) = auth.tokens.as_ref().filter(|tokens| tokens.leeway.0 > LEEWAY_MAX) {
        let words = format!("it is at most 5m, not {}: clocks differ by less", tokens.leeway);
        problems.add("authentication.tokens.leeway", words);
    }
    if auth.token_in_query && auth.tokens.is_none() {
        problems.add("authentication.token_in_query", "there are no tokens: set authentication.tokens");
    }
    if auth.iterations < 4_096 {
        problems.add("authentication.iterations", "it is at least 4096 (RFC 7677)");
    }
    let defaults = AuthenticationLimits::default();
    let limit = |rate: Option<RateText>, otherwise: Rate| rate.map_or(otherwise, RateText::get);
    let plan = AuthenticationPlan {
        settings: auth.clone(),
        limits: AuthenticationLimits {
            deadline: auth.deadline.0,
            tries: auth.tries.get(),
            per_address: limit(auth.failures_per_address, defaults.per_address),
            per_user: limit(auth.failures_per_user, defaults.per_user),
        },
        token_in_query: auth.token_in_query,
        dialogue: auth.dialogue,
        allow_plaintext: auth.allow_plaintext,
        duplicates: match auth.duplicates {
            DuplicateChoice::KeepBoth => DuplicateLogin::KeepBoth,
            DuplicateChoice::RefuseNew => DuplicateLogin::RefuseNew,
            DuplicateChoice::ReplaceOld => DuplicateLogin::ReplaceOld,
        },
    };
    if auth.iterations >= 4_096
        && let Err((key, words)) = plan.check()
    {
        problems.add(&key, words);
    }
    Some(plan)
}

/// What [`Tokens::leeway`] takes.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// The parts of a log that have a level of their own.
const TARGETS: [&str; 4] = ["connections", "messages", "operation", "monitor"];

fn log(log: &LogSettings, problems: &mut Problems<'_>) {
    for target in log.targets.keys().filter(|target| !TARGETS.contains(&target.as_str())) {
        problems.add(&format!("log.targets.{target}"), format!("the parts of the log are {}", TARGETS.join(", ")));
    }
    if let Some(file) = &log.file {
        if file.directory.is_empty() {
            problems.add("log.file.directory", "it names a directory, such as /var/log/drupe");
        }
        if file.prefix.contains('/') {
            problems.add("log.file.prefix", "it is the beginning of a name, and has no /");
        }
        if file.keep == 0 {
            problems.add("log.file.keep", "it is at least 1");
        }
    }
}

fn rate(rate: Maybe<RateText>) -> Option<Rate> {
    rate.0.map(RateText::get)
}

pub(super) fn networks(networks: &[NetworkText]) -> Vec<Network> {
    networks.iter().map(|network| network.0).collect()
}

/// What a machine does not do by itself.
fn unapplied(settings: &Settings, unapplied: &mut Unapplied) {
    let listeners = || settings.listeners.iter();
    let of_profile = built_in(settings.profile.layer())
        .ok()
        .and_then(|layer| serde_json::from_value::<LogSettings>(layer.to_value()["log"].clone()).ok());
    for (part, is_there) in [
        (Part::Authentication, settings.authentication.enabled),
        (Part::Monitor, listeners().any(|(_, listener)| listener.websocket.as_ref().is_some_and(|web| web.monitor))),
        (Part::Workers, settings.workers.get() > 1),
        (Part::Envelope, settings.envelope != EnvelopeChoice::None),
        (Part::Greeting, listeners().any(|(_, listen)| !listen.welcome.is_empty() || !listen.prompt.is_empty())),
        (Part::Apps, listeners().any(|(_, listener)| listener.app != AppChoice::Chat)),
        (Part::Log, of_profile.is_none_or(|of_profile| of_profile != settings.log)),
    ] {
        if is_there {
            unapplied.add(part);
        }
    }
}

fn name_max(size: Size, problems: &mut Problems<'_>) -> u32 {
    if size.0 == 0 {
        problems.add("rooms.name_max", "it is at least 1B: there would be no rooms");
    }
    u32_of("rooms.name_max", size, problems)
}

fn u32_of(key: &str, size: Size, problems: &mut Problems<'_>) -> u32 {
    let bytes = u32::try_from(size.0).map_err(|_| "it is less than 4GiB");
    problems.or(key, bytes, u32::MAX)
}
