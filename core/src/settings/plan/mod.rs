//! The plan for a server: settings that are checked against each other and converted.

mod authentication;
pub(super) mod cluster;
pub(super) mod limits;
mod nats;
mod parts;
pub(super) mod problems;
pub(super) mod rooms;

pub use crate::settings::plan::authentication::AuthenticationPlan;
pub use crate::settings::plan::parts::MonitorPlan;

use crate::config::{Closing, Config, PageOptions, Part, QuarantineLimits, RoomOptions, TicketLimits};
use crate::settings::SettingsError;
use crate::settings::catalog::Catalog;
use crate::settings::dials::LoadClientTls;
use crate::settings::layers::Layers;
use crate::settings::listeners::Credentials;
use crate::settings::plan::authentication::{TOKENS, authentication, page_login};
use crate::settings::plan::cluster::PlannedRooms;
use crate::settings::plan::limits::{connections, drain, networks, outbound, peer_limits, u32_of};
use crate::settings::plan::parts::{credential, log, metrics, metrics_credential, recorder, unapplied};
use crate::settings::plan::problems::Problems;
use crate::settings::token_keys::KeySetSource;
use crate::settings::tree::{LogSettings, MonitorSettings, RecorderSettings, Settings};
use crate::tls::{Tls, TlsFiles};
use crate::wire::Protocol;
use crate::wire::http::{Files, FilesError};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU8;
use core::time::Duration;
use std::path::Path;

/// A checked configuration, from which a server is built.
///
/// No server starts with only a part of it. [`config`](Self::config) is refused until the
/// certificates and files are loaded ([`load_tls`](Self::load_tls),
/// [`load_files`](Self::load_files)), and until every other part is taken or declared as
/// [applied](Self::applies).
///
/// ```no_run
/// # use drupe_core::settings::Sources;
/// # use drupe_core::tls::{TicketKeys, rustls};
/// # use std::sync::Arc;
/// # let text = "";
/// let mut plan = Sources::new().file("drupe.yaml", text).resolve()?.plan;
/// # #[cfg(any())]
/// # {
/// let provider = Arc::new(rustls::crypto::ring::default_provider());
/// let tickets = TicketKeys::new(rustls::crypto::ring::Ticketer::new);
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
    /// The TLS files of each listener, in the order of [`listeners`](Config::listeners).
    pub(in crate::settings) tls: Vec<Option<TlsFiles>>,
    /// The options of rooms, from which those with and without a cluster are made.
    rooms: PlannedRooms,
    /// The number of worker threads.
    pub workers: NonZeroU8,
    /// The authentication of peers; `None` if peers do not authenticate.
    pub authentication: Option<AuthenticationPlan>,
    /// The sources of sets of public keys for tokens, each with the key of the settings for these tokens.
    pub(in crate::settings) key_sets: Vec<(String, KeySetSource)>,
    /// The settings of the monitor; `None` if `monitor.credential` is not set.
    pub monitor: Option<MonitorPlan>,
    /// The settings of the log.
    pub log: LogSettings,
    /// The settings of the flight recorder; `None` if there is none.
    pub recorder: Option<RecorderSettings>,
}

/// What a program provides for its plan.
#[derive(Clone, Copy)]
pub(in crate::settings) struct Provided<'a> {
    pub(in crate::settings) catalog: &'a Catalog,
    pub(in crate::settings) load_client_tls: Option<LoadClientTls>,
}

impl Plan {
    /// Returns the TLS files of each listener that has TLS, with the key that names them.
    pub fn tls(&self) -> impl Iterator<Item = (String, &TlsFiles)> {
        let listeners = self.config.listeners.iter().zip(&self.tls);
        listeners.filter_map(|(listen, files)| Some((format!("listeners.{}.tls", listen.name), files.as_ref()?)))
    }

    /// Returns the sources of sets of public keys, each with the key of its settings for tokens.
    ///
    /// That key is `authentication.tokens`, or one of a [`Section`](crate::settings::Section), such as `pubsub.tokens`.
    pub fn key_sets(&self) -> impl Iterator<Item = (&str, &KeySetSource)> {
        self.key_sets.iter().map(|(tokens, source)| (&**tokens, source))
    }

    /// Loads the TLS files of every listener with TLS, by calling `load`.
    ///
    /// # Errors
    /// The first key whose files are invalid, and why.
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

    /// Reads the folder of static files of every listener that has one.
    ///
    /// # Errors
    /// The first key whose folder cannot be served, and why.
    pub fn load_files(&mut self) -> Result<(), (String, FilesError)> {
        for listen in &mut self.config.listeners {
            let Protocol::Http(http) = &mut listen.protocol else { continue };
            let Some(pending) = http.files.as_ref().filter(|files| !files.is_loaded()) else { continue };
            let loaded = Files::load(Path::new(&pending.folder));
            let key = || alloc::format!("listeners.{}.websocket.files", listen.name);
            let loaded = loaded.map_err(|error| (key(), error))?;
            Arc::make_mut(http).files = Some(loaded);
        }
        Ok(())
    }

    /// Takes the authentication plan, if any, and declares that the caller applies it.
    #[must_use = "what is configured and not applied is lost"]
    pub fn take_authentication(&mut self) -> Option<AuthenticationPlan> {
        self.applies([Part::Authentication]);
        self.authentication.take()
    }

    /// Keeps the cluster of a server that runs, for a reload: whether there is one, and which, does not change.
    ///
    /// The rooms then have the homes that they have with or without that cluster.
    pub fn keep_cluster(&mut self, running: &Config) {
        self.config.cluster.clone_from(&running.cluster);
        self.config.memory.rooms = self.rooms.options(self.config.cluster.is_some());
    }

    /// Adds options of the rooms of sections' applications.
    pub(in crate::settings) fn add_rooms_of_sections(&mut self, rooms: Vec<RoomOptions>) {
        self.rooms.of_sections.extend(rooms);
        self.config.memory.rooms = self.rooms.options(self.config.cluster.is_some());
    }

    /// Declares that the caller applies these parts.
    pub fn applies(&mut self, parts: impl IntoIterator<Item = Part>) {
        parts.into_iter().for_each(|part| self.config.unapplied.remove(part));
    }

    /// Creates a plan. It is valid only if the list of errors is empty.
    pub(in crate::settings) fn new(
        settings: &Settings,
        provided: Provided<'_>,
        layers: &Layers,
        must_listen: bool,
    ) -> (Self, Vec<SettingsError>) {
        let mut problems = Problems { layers, found: Vec::new() };
        let plan = plan(settings, provided, &mut problems);
        if must_listen && settings.listeners.is_empty() {
            let words = "there are no listeners; add one, such as `chat: { address: '127.0.0.1:7000' }`";
            problems.add("listeners", words);
        }
        (plan, problems.found)
    }
}

fn plan(settings: &Settings, provided: Provided<'_>, problems: &mut Problems<'_>) -> Plan {
    let catalog = provided.catalog;
    let authentication = authentication(settings, problems);
    let monitor_credential = credential("monitor.credential", &settings.monitor.credential, problems);
    let metrics_credential = metrics_credential(&settings.monitor, problems);
    let api_credential = credential("api.key", &settings.api.key, problems);
    let is_authenticated = authentication.is_some();
    let (listeners, tls) = crate::settings::listeners::plan(
        settings,
        Credentials {
            monitor: monitor_credential.as_ref(),
            metrics: metrics_credential.as_ref(),
            api: api_credential.as_ref(),
        },
        catalog.codecs(),
        problems,
    );
    let peer = peer_limits("limits.peer", &settings.limits.peer, problems);
    let planned_rooms = rooms::planned(settings, problems);
    let mut config = Config {
        listeners,
        tunnels: crate::settings::tunnels::plan(settings, problems),
        connections: connections(&settings.limits, is_authenticated, problems),
        exempt: networks(&settings.limits.exempt),
        dry_run: settings.limits.dry_run,
        peer,
        quarantine: QuarantineLimits {
            cool_down: settings.quarantine.cool_down.0,
            addresses_max: settings.quarantine.addresses_max,
        },
        outbound: outbound(&settings.outbound, problems),
        rooms: rooms::limits(&settings.rooms, problems),
        memory: rooms::memory(settings, &planned_rooms),
        cluster: settings
            .cluster
            .as_ref()
            .and_then(|cluster| cluster::plan(cluster, provided.load_client_tls, problems)),
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
        metrics: metrics(&settings.metrics, problems),
        pages: PageOptions { title: catalog.title(), login: page_login(&settings.authentication) },
        ..Config::default()
    };
    for listen in &mut config.listeners {
        // Limits that equal the server's need no copy.
        listen.limits = listen.limits.filter(|limits| *limits != peer);
    }
    log(&settings.log, catalog, problems);
    recorder(settings.recorder.as_ref(), problems);
    unapplied(settings, catalog, &mut config.unapplied);
    apps(settings, catalog, problems);
    let MonitorSettings { watchers_max, interval, may_act, may_watch, .. } = settings.monitor;
    if interval.0 < Duration::from_millis(100) {
        problems.add("monitor.interval", "it must be at least 100ms");
    }
    let key_set = authentication.as_ref().and_then(AuthenticationPlan::key_set);
    Plan {
        config,
        tls,
        rooms: planned_rooms,
        workers: settings.workers,
        key_sets: key_set.map(|source| (TOKENS.into(), source)).into_iter().collect(),
        authentication,
        monitor: monitor_credential.map(|_| MonitorPlan {
            watchers_max: watchers_max.get(),
            interval: interval.0,
            may_act,
            may_watch,
        }),
        log: settings.log.clone(),
        recorder: settings.recorder.clone(),
    }
}

/// Adds an error for each listener whose application the program does not have.
fn apps(settings: &Settings, catalog: &Catalog, problems: &mut Problems<'_>) {
    for (name, listener) in &settings.listeners {
        if !catalog.apps().any(|app| app == listener.app) {
            problems.add(&format!("listeners.{name}.app"), catalog.no_such_app(&listener.app));
        }
    }
}
