//! Conversion of the settings of a cluster whose broker is NATS.

use crate::config::{BrokerLogin, Engine, Nats, NatsLogin, NatsStorage};
use crate::settings::broker_url::BrokerParts;
use crate::settings::plan::problems::Problems;
use crate::settings::tree::{ClusterSettings, NatsStorageChoice};
use alloc::format;
use alloc::vec::Vec;

/// Refuses keys that have no effect with another broker.
pub(super) fn refuse_keys(settings: &ClusterSettings, problems: &mut Problems<'_>) {
    let other = ClusterSettings::default();
    let is_set = [
        (["cluster.nkey", "cluster.nkey_file"], settings.nkey != other.nkey),
        (["cluster.credentials", "cluster.credentials_file"], settings.credentials != other.credentials),
        (["cluster.replicas"; 2], settings.replicas != other.replicas),
        (["cluster.storage"; 2], settings.storage != other.storage),
        (["cluster.stream_max"; 2], settings.stream_max != other.stream_max),
        (["cluster.tls_first"; 2], settings.tls_first != other.tls_first),
    ];
    for (keys, _) in is_set.iter().filter(|(_, is_set)| *is_set) {
        problems.add_chosen(keys, "it has no effect, because cluster.url is not one of NATS (nats:// or tls://)");
    }
}

/// Returns the engine. Adds the errors of its settings.
pub(super) fn plan(settings: &ClusterSettings, parts: &BrokerParts, problems: &mut Problems<'_>) -> Engine {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !settings.prefix.bytes().all(is_word) {
        problems.add("cluster.prefix", "for NATS, it consists of ASCII letters, digits, - and _");
    }
    if !(1..=5).contains(&settings.replicas) {
        problems.add("cluster.replicas", format!("{} is not from 1 to 5", settings.replicas));
    }
    if settings.tls_first && !parts.is_tls {
        problems.add("cluster.tls_first", "cluster.url has no TLS; use tls://");
    }
    let storage = match settings.storage {
        NatsStorageChoice::File => NatsStorage::File,
        NatsStorageChoice::Memory => NatsStorage::Memory,
    };
    let nats = Nats::default()
        .login(login(settings, parts, problems))
        .replicas(settings.replicas)
        .storage(storage)
        .max_bytes(settings.stream_max.0.map(|size| size.0))
        .is_tls_first(settings.tls_first);
    Engine::Nats(nats)
}

fn login(settings: &ClusterSettings, parts: &BrokerParts, problems: &mut Problems<'_>) -> Option<NatsLogin> {
    let (password, nkey, credentials) =
        (settings.password.reveal(), settings.nkey.reveal(), settings.credentials.reveal());
    let keys = [
        (["cluster.password", "cluster.password_file"], !password.is_empty()),
        (["cluster.nkey", "cluster.nkey_file"], !nkey.is_empty()),
        (["cluster.credentials", "cluster.credentials_file"], !credentials.is_empty()),
    ];
    let set: Vec<_> = keys.iter().filter(|(_, is_set)| *is_set).map(|(keys, _)| keys).collect();
    let has_login = parts.password.is_some() || !parts.user.is_empty();
    let needs_no_user = !password.is_empty() && parts.password.is_none();
    match (set.as_slice(), has_login && !needs_no_user) {
        ([_, second, ..], _) => {
            problems.add_chosen(second.as_slice(), "there is another login as well; set only one of them");
            return None;
        }
        ([first], true) => {
            problems.add_chosen(first.as_slice(), "cluster.url has a login as well; set only one of them");
            return None;
        }
        _ => {}
    }
    if !credentials.is_empty() {
        let parts = credentials_parts(credentials);
        if parts.is_none() {
            let words = "it has no JWT and seed between lines such as -----BEGIN NATS USER JWT-----";
            problems.add_chosen(&["cluster.credentials", "cluster.credentials_file"], words);
        }
        return parts.map(|(jwt, seed)| NatsLogin::Jwt { jwt: jwt.into(), seed: seed.into() });
    }
    if !nkey.is_empty() {
        if !nkey.starts_with("SU") {
            problems.add_chosen(&["cluster.nkey", "cluster.nkey_file"], "the seed of a user's NKEY begins with SU");
        }
        return Some(NatsLogin::Nkey(nkey.into()));
    }
    let password = parts.password.as_deref().or(Some(password).filter(|password| !password.is_empty()));
    match (parts.user.as_str(), password) {
        ("", None) => None,
        ("", Some(token)) | (token, None) => Some(NatsLogin::Token(token.into())),
        (user, Some(password)) => Some(NatsLogin::User(BrokerLogin::new(user, password))),
    }
}

/// Returns the JWT and the seed: the words after the lines that begin them.
fn credentials_parts(text: &str) -> Option<(&str, &str)> {
    let word_after = |begin: &str| {
        let (_, rest) = text.split_once(begin)?;
        rest.split_whitespace().next().filter(|word| !word.starts_with('-'))
    };
    Some((word_after("-----BEGIN NATS USER JWT-----")?, word_after("-----BEGIN USER NKEY SEED-----")?))
}
