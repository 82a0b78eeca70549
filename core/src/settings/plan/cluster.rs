//! Conversion of the settings of a cluster, and the rooms that its hosts share.

use crate::config::{BrokerLogin, Cluster, Dial, Engine, Home, Redis, RoomOptions, Sentinel, WithoutBroker};
use crate::history::Keep;
use crate::settings::broker_url::{BrokerKind, BrokerParts};
use crate::settings::dials::{LoadClientTls, check_tls};
use crate::settings::plan::nats;
use crate::settings::plan::problems::Problems;
use crate::settings::tree::{ClientTlsSettings, ClusterSettings, WithoutBrokerChoice};
use crate::tls::ClientTls;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The user of a Redis server that has no access lists.
const DEFAULT_USER: &str = "default";
/// Maximum length of the prefix and of the name of a host, in bytes.
const PREFIX_MAX_BYTES: usize = 64;
/// Maximum length of a message in a shared room, in bytes.
pub(in crate::settings) const MESSAGE_MAX_BYTES: u32 = 4 << 20;

/// Returns the options of the cluster. Adds the errors of its settings.
pub(super) fn plan(
    settings: &ClusterSettings,
    load: Option<LoadClientTls>,
    problems: &mut Problems<'_>,
) -> Option<Cluster> {
    check_prefix(&settings.prefix, problems);
    check_name(&settings.name, problems);
    let parts = match settings.url.parts() {
        Ok(parts) => parts,
        Err(words) => {
            problems.add("cluster.url", words);
            return None;
        }
    };
    let engine = match parts.kind {
        BrokerKind::Redis => {
            nats::refuse_keys(settings, problems);
            let login = login(settings, &parts, problems);
            Engine::Redis(Redis::default().login(login).sentinel(sentinel(settings, &parts, problems)))
        }
        BrokerKind::Nats => {
            // Errors of keys for Sentinels only.
            sentinel(settings, &parts, problems);
            nats::plan(settings, &parts, problems)
        }
    };
    let dial = dial(settings, parts, load, problems)?;
    let without_broker = match settings.without_broker {
        WithoutBrokerChoice::Refuse => WithoutBroker::Refuse,
        WithoutBrokerChoice::Local => WithoutBroker::Local,
    };
    let cluster = Cluster::new(dial, engine).prefix(settings.prefix.as_str().into());
    Some(cluster.name(settings.name.as_str().into()).without_broker(without_broker))
}

fn check_prefix(prefix: &str, problems: &mut Problems<'_>) {
    const KEY: &str = "cluster.prefix";
    if prefix.is_empty() {
        problems.add(KEY, "it is empty; all keys of the cluster begin with it, such as drupe");
    }
    if prefix.len() > PREFIX_MAX_BYTES {
        problems.add(KEY, format!("it has {} bytes; at most {PREFIX_MAX_BYTES} are allowed", prefix.len()));
    }
    // Braces decide in which part of a Redis Cluster a key is, and they are ours.
    if !prefix.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}') {
        problems.add(KEY, "it consists of ASCII letters, digits and signs, without spaces and braces");
    }
}

fn check_name(name: &str, problems: &mut Problems<'_>) {
    const KEY: &str = "cluster.name";
    if name.len() > PREFIX_MAX_BYTES {
        problems.add(KEY, format!("it has {} bytes; at most {PREFIX_MAX_BYTES} are allowed", name.len()));
    }
    if name.chars().any(char::is_control) {
        problems.add(KEY, "it contains control characters");
    }
}

fn login(settings: &ClusterSettings, parts: &BrokerParts, problems: &mut Problems<'_>) -> Option<BrokerLogin> {
    let key = if settings.password_file.is_empty() { "cluster.password" } else { "cluster.password_file" };
    let password = match (&parts.password, settings.password.reveal()) {
        (Some(_), given) if !given.is_empty() => {
            problems.add(key, "cluster.url has a password as well; set only one of them");
            return None;
        }
        (Some(password), _) => password.as_str(),
        (None, "") if parts.user.is_empty() => return None,
        (None, "") => {
            let words = "there is a user without a password: write USER:PASSWORD@ (or :PASSWORD@ without a user), or set \
                         cluster.password_file";
            problems.add("cluster.url", words);
            return None;
        }
        (None, given) => given,
    };
    Some(BrokerLogin::new(user_or_default(&parts.user), password))
}

fn sentinel(settings: &ClusterSettings, parts: &BrokerParts, problems: &mut Problems<'_>) -> Option<Sentinel> {
    let (user, password) = (&settings.sentinel_user, settings.sentinel_password.reveal());
    let Some(master) = &parts.master else {
        let keys = ["cluster.sentinel_user", "cluster.sentinel_password", "cluster.sentinel_password_file"];
        if !user.is_empty() || !password.is_empty() {
            problems.add_chosen(&keys, "it has no effect, because cluster.url does not begin with redis+sentinel://");
        }
        return None;
    };
    if !user.is_empty() && password.is_empty() {
        problems.add("cluster.sentinel_user", "it needs a password: set cluster.sentinel_password_file");
    }
    let login = (!password.is_empty()).then(|| BrokerLogin::new(user_or_default(user), password));
    Some(Sentinel::new(master).login(login))
}

fn user_or_default(user: &str) -> String {
    if user.is_empty() { DEFAULT_USER.to_owned() } else { user.to_owned() }
}

fn dial(
    settings: &ClusterSettings,
    parts: BrokerParts,
    load: Option<LoadClientTls>,
    problems: &mut Problems<'_>,
) -> Option<Dial> {
    let most = Dial::OTHERS_MAX + 1;
    if parts.addresses.len() > most {
        problems.add("cluster.url", format!("it has {} addresses; at most {most} are allowed", parts.addresses.len()));
        return None;
    }
    let tls = if parts.is_tls {
        Some(load_tls(&settings.tls, load, problems)?)
    } else {
        if settings.tls != ClientTlsSettings::default() {
            let schemes = match parts.kind {
                BrokerKind::Redis => "rediss:// or rediss+sentinel://",
                BrokerKind::Nats => "tls://",
            };
            problems.add("cluster.tls", format!("cluster.url has no TLS; use {schemes}"));
        }
        None
    };
    let mut addresses = parts.addresses.into_iter();
    let first = addresses.next()?;
    Some(Dial::lines(first).others(addresses.collect()).tls(tls))
}

fn load_tls(
    settings: &ClientTlsSettings,
    load: Option<LoadClientTls>,
    problems: &mut Problems<'_>,
) -> Option<ClientTls> {
    if let Err((key, words)) = check_tls(settings) {
        problems.add(&format!("cluster.{key}"), words);
        return None;
    }
    let Some(load) = load else {
        problems.add("cluster.url", "this program does not load TLS files for outgoing connections");
        return None;
    };
    load(settings).map_err(|words| problems.add("cluster.tls", words)).ok()
}

/// The options of rooms, from which those with and without a cluster are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::settings) struct PlannedRooms {
    /// Those of the operator. They are shared unless the operator chose another home.
    pub(super) of_operator: Vec<RoomOptions>,
    /// Those of the applications of sections, with the homes that they have without a cluster.
    pub(super) of_sections: Vec<RoomOptions>,
}

impl PlannedRooms {
    /// Returns the options of a server with or without a cluster.
    pub(super) fn options(&self, has_cluster: bool) -> Vec<RoomOptions> {
        let of_operator = self.of_operator.iter().cloned();
        let of_sections = self.of_sections.iter().cloned();
        if !has_cluster {
            let alone = |options: RoomOptions| match options.home {
                Home::Shared => options.home(Home::Memory),
                _ => options,
            };
            return of_operator.map(alone).chain(of_sections).collect();
        }
        let others = (!self.has_all()).then(other_rooms);
        of_operator.chain(others).chain(of_sections.map(shared)).collect()
    }

    /// Returns `true` if the operator's options cover all rooms.
    fn has_all(&self) -> bool {
        self.of_operator.iter().any(|options| &*options.rooms == ALL)
    }
}

/// The pattern of all rooms.
const ALL: &str = "*";

/// Returns the options of shared rooms without options: members get what they would get without a cluster.
fn other_rooms() -> RoomOptions {
    RoomOptions::new(ALL, Keep::messages(0).bytes(MESSAGE_MAX_BYTES)).home(Home::Shared).positions(false)
}

/// Makes the rooms of a section's application shared, those without a home too.
fn shared(options: RoomOptions) -> RoomOptions {
    if options.home == Home::None {
        // Without a home, messages have no position and any length, and clients may rely on both.
        let keep = Keep::messages(0).bytes(MESSAGE_MAX_BYTES);
        return RoomOptions { keep, home: Home::Shared, positions: false, ..options };
    }
    options.home(Home::Shared)
}
