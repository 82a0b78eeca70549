//! Warnings about valid settings that are probably mistakes.

use super::layers::Layers;
use super::plan::cluster::MESSAGE_MAX_BYTES;
use super::tree::{HomeChoice, ListenerSettings, PeerSettings, Profile, Settings};
use super::units::{Maybe, NetworkText, Timeout};
use super::{Plan, SettingsError};
use crate::config::{Address, Engine, Listen, NatsLogin, RoomOptions};
use crate::kit::auth::scram::Credentials;
use crate::wire::Protocol;
use crate::wire::http::{Access, Origins};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// The shortest time limit without a warning: peers rarely complete anything in less.
const HASTE: Duration = Duration::from_secs(1);

struct Warnings<'a> {
    layers: &'a Layers,
    found: Vec<SettingsError>,
}

impl Warnings<'_> {
    fn add(&mut self, key: &str, words: impl Into<String>) {
        self.found.push(self.layers.blame(key, words));
    }
}

pub(super) fn warnings(settings: &Settings, plan: &Plan, layers: &Layers) -> Vec<SettingsError> {
    let mut warnings = Warnings { layers, found: Vec::new() };
    for listen in &plan.config.listeners {
        of_reach(settings, listen, &mut warnings);
    }
    if settings.profile != Profile::Testing {
        of_haste(settings, &mut warnings);
    }
    of_limits(settings, &mut warnings);
    of_workers(settings, &mut warnings);
    of_rooms(settings, plan, &mut warnings);
    of_cluster(settings, plan, &mut warnings);
    of_hashes(settings, &mut warnings);
    of_public_keys(settings, &mut warnings);
    of_dialogue(settings, &mut warnings);
    warnings.found
}

/// Warns of listeners in the clear, with open metrics, or to which no web page may connect.
fn of_reach(settings: &Settings, listen: &Listen, warnings: &mut Warnings<'_>) {
    let key = format!("listeners.{}", listen.name);
    let is_inherited = matches!(listen.address, Address::Inherited(_) | Address::Mounted(_));
    // What hands a socket or a connection over may know that it is local, or speak TLS itself.
    let is_clear = !listen.is_encrypted() && !listen.is_local() && !is_inherited;
    if is_clear && settings.profile == Profile::Production {
        warnings.add(&key, "traffic crosses the network in the clear: set tls, or listen on loopback behind a proxy");
    }
    let Protocol::Http(http) = &listen.protocol else { return };
    if matches!(http.metrics, Access::Open) && listen.is_reached_by_others() {
        let words = "every peer that can connect may read /metrics: set it to credential or off";
        warnings.add(&format!("{key}.websocket.metrics"), words);
    }
    if matches!(&http.origins, Origins::List(list) if list.is_empty()) {
        warnings.add(&format!("{key}.websocket.origins"), "no page may connect: the list is empty");
    }
}

/// Warns of time limits below one second, which peers rarely meet.
fn of_haste(settings: &Settings, warnings: &mut Warnings<'_>) {
    let mut times: Vec<(String, Timeout)> = Vec::new();
    let mut peer = |key: &str, peer: &PeerSettings| {
        times.push((format!("{key}.message_deadline"), peer.message_deadline));
        let optional = [("idle", peer.idle), ("silence", peer.silence), ("lifetime", peer.lifetime)];
        times.extend(optional.into_iter().filter_map(|(name, time)| Some((format!("{key}.{name}"), time.0?))));
    };
    peer("limits.peer", &settings.limits.peer);
    for (name, listener) in &settings.listeners {
        if let Some(limits) = &listener.limits {
            peer(&format!("listeners.{name}.limits"), limits);
        }
    }
    for (name, listener) in &settings.listeners {
        let key = format!("listeners.{name}");
        times.extend(listener.websocket.iter().map(|web| (format!("{key}.websocket.timeout"), web.timeout)));
        times.extend(listener.tls.iter().map(|tls| (format!("{key}.tls.handshake_timeout"), tls.handshake_timeout)));
        times.extend(
            listener.proxy_protocol.iter().map(|proxy| (format!("{key}.proxy_protocol.timeout"), proxy.timeout)),
        );
    }
    if settings.authentication.enabled {
        times.push(("authentication.deadline".into(), settings.authentication.deadline));
    }
    for (key, time) in times.iter().filter(|(_, time)| time.0 < HASTE) {
        warnings.add(key, format!("it closes almost every connection: peers rarely finish within {time}"));
    }
}

/// Warns of limits that refuse or exempt all peers, are not enforced or reached, or are too low.
fn of_limits(settings: &Settings, warnings: &mut Warnings<'_>) {
    let limits = &settings.limits;
    for (name, listener) in &settings.listeners {
        let key = format!("listeners.{name}");
        let is_denied = |allowed: &NetworkText| listener.deny.iter().any(|denied| denied.0.includes(allowed.0));
        let has_all = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|all| all.parse().ok()).all(|all| is_denied(&all));
        if has_all || !listener.allow.is_empty() && listener.allow.iter().all(is_denied) {
            warnings.add(&format!("{key}.deny"), "no peer is accepted: every network is denied");
        }
        if let Maybe(Some(most)) = listener.connections_max
            && most > limits.connections_max
        {
            let words = format!("it is never reached: limits.connections_max is {}", limits.connections_max);
            warnings.add(&format!("{key}.connections_max"), words);
        }
    }
    if let Some(all) = limits.exempt.iter().find(|network| network.0.includes_all_of_its_kind()) {
        warnings.add("limits.exempt", format!("it exempts all addresses in {all} from limits per address"));
    }
    if limits.dry_run && settings.profile == Profile::Production {
        warnings.add("limits.dry_run", "limits are only counted, not enforced");
    }
    if settings.outbound.max.0 < limits.peer.message_max.0 {
        let words = format!(
            "a message of limits.peer.message_max ({}) does not fit: a slow peer that is sent one is closed",
            limits.peer.message_max
        );
        warnings.add("outbound.max", words);
    }
}

/// Warns of a configured limit that applies to each of several workers separately.
fn of_workers(settings: &Settings, warnings: &mut Warnings<'_>) {
    const KEY: &str = "limits.tickets_max";
    let workers = settings.workers.get();
    if workers > 1 && warnings.layers.is_chosen(KEY) {
        warnings.add(KEY, format!("the limit applies to each of the {workers} workers"));
    }
}

/// Warns of settings for rooms that remember their messages which never take effect.
fn of_rooms(settings: &Settings, plan: &Plan, warnings: &mut Warnings<'_>) {
    let rooms = &settings.rooms;
    let with_home = || rooms.options.iter().filter(|(_, options)| options.home != HomeChoice::None);
    let kept_max = with_home().map(|(_, options)| options.messages_max).max();
    for key in ["rooms.history_max", "rooms.recover_max"] {
        if kept_max.is_none() && warnings.layers.is_chosen(key) {
            warnings.add(key, "it has no effect: no room has a home; add the rooms to rooms.options");
        }
    }
    if let Some(kept_max) = kept_max.filter(|most| *most < rooms.recover_max)
        && warnings.layers.is_chosen("rooms.recover_max")
    {
        warnings.add("rooms.recover_max", format!("it is never reached: no room keeps more than {kept_max} messages"));
    }
    for (name, options) in &rooms.options {
        let key = format!("rooms.options.{name}");
        if options.home == HomeChoice::None {
            // A prefix can only cut rooms out of those of a shorter prefix.
            let covers = |other: &&RoomOptions| *other.rooms != **name && other.rooms.ends_with('*');
            let others = plan.config.memory.rooms.iter().filter(covers).cloned().collect();
            let without = plan.config.memory.clone().rooms(others);
            if without.options(name.trim_end_matches('*')).is_none() {
                warnings.add(&key, "it has no effect: without it, these rooms have no home either");
            }
            continue;
        }
        if options.messages_max == 0 && options.age_max.0.is_some() {
            warnings.add(&format!("{key}.age_max"), "it has no effect: messages_max is 0, so no message is kept");
        }
        let message_max = settings.limits.peer.message_max;
        if options.bytes_max.0 < message_max.0 {
            let words = format!("a message of limits.peer.message_max ({message_max}) does not fit, and is not sent");
            warnings.add(&format!("{key}.bytes_max"), words);
        }
    }
}

/// Warns of a password for the broker in the clear, and of messages that shared rooms never take.
fn of_cluster(settings: &Settings, plan: &Plan, warnings: &mut Warnings<'_>) {
    let Some(cluster) = &plan.config.cluster else { return };
    let is_local = |address: &String| {
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let is_far = ![&cluster.dial.address].into_iter().chain(&cluster.dial.others).all(is_local);
    let (has_password, schemes) = match &cluster.engine {
        Engine::Redis(redis) => {
            let at_sentinels = redis.sentinel.as_ref().is_some_and(|sentinel| sentinel.login.is_some());
            (redis.login.is_some() || at_sentinels, "rediss:// or rediss+sentinel://")
        }
        // An NKEY only signs. So an eavesdropper cannot log in.
        Engine::Nats(nats) => (matches!(nats.login, Some(NatsLogin::User(_) | NatsLogin::Token(_))), "tls://"),
    };
    if settings.profile == Profile::Production && cluster.dial.tls.is_none() && is_far && has_password {
        let words = format!("the password crosses the network in the clear: use {schemes}");
        warnings.add("cluster.url", words);
    }
    let message_max = settings.limits.peer.message_max;
    if message_max.0 > MESSAGE_MAX_BYTES.into() {
        let words = "a message above 4MiB does not fit into a shared room, and is not sent";
        warnings.add("limits.peer.message_max", words);
    }
}

/// Warns of people who can register, but have no way to log in again.
fn of_dialogue(settings: &Settings, warnings: &mut Warnings<'_>) {
    use crate::settings::tree::ProtocolName::{Auto, Ssh, Tcp, Telnet, WsTelnet};
    let auth = &settings.authentication;
    let has_lines = |protocol| matches!(protocol, Auto | Ssh | Tcp | Telnet | WsTelnet);
    let mut listeners = settings.listeners.values();
    if auth.registration && !auth.dialogue && listeners.any(|listener| has_lines(listener.protocol)) {
        let words =
            "people on telnet and lines can register, but are not asked for their password later: set it to true";
        warnings.add("authentication.dialogue", words);
    }
}

/// Warns if users have public keys, and no listener accepts any.
fn of_public_keys(settings: &Settings, warnings: &mut Warnings<'_>) {
    let takes_keys = |listener: &ListenerSettings| listener.ssh.as_ref().is_some_and(|ssh| ssh.keys);
    if !settings.listeners.values().any(takes_keys) {
        for (name, _) in settings.authentication.users.iter().filter(|(_, user)| !user.keys.is_empty()) {
            let words = "no listener accepts them: set ssh.keys of a listener to true";
            warnings.add(&format!("authentication.users.{name}.keys"), words);
        }
    }
}

/// Warns of hashes whose iteration count reveals which users exist.
fn of_hashes(settings: &Settings, warnings: &mut Warnings<'_>) {
    let auth = &settings.authentication;
    let users = auth.users.iter().map(|(name, user)| (format!("authentication.users.{name}.password_hash"), user));
    let hashes = users.map(|(key, user)| (key, &user.password_hash));
    let shared = ("authentication.shared_password_hash".into(), &auth.shared_password_hash);
    let all: Vec<_> = hashes.chain([shared]).filter(|(_, hash)| !hash.is_empty()).collect();
    let has_plain = !auth.shared_password.is_empty() || auth.users.values().any(|user| !user.password.is_empty());
    let iterations = |text: &str| Credentials::from_stored(text).map(|hash| hash.iterations()).ok();
    let usual =
        if has_plain { Some(auth.iterations) } else { all.first().and_then(|(_, hash)| iterations(hash.reveal())) };
    for (key, hash) in &all {
        if iterations(hash.reveal()) != usual {
            let words = "it has another number of iterations than the other passwords, which reveals which users exist";
            warnings.add(key, words);
        }
    }
}
