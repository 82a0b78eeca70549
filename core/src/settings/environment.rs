//! Classification of environment variables as configuration keys.

use super::catalog::Catalog;
use super::schema::resolve;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Map, Value};

/// Names, after the prefix, of variables that are not keys: file list and client credentials.
const OTHERS: [&str; 3] = ["CONFIG", "PASSWORD", "TOKEN"];
/// The prefix of variables for tests, after that of the program.
const TESTS: &str = "TEST_";

/// The meaning of an environment variable that begins with the prefix of the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// The parts of the key that the variable sets; the key may be invalid.
    Key(Vec<String>),
    /// The variable is not part of the configuration.
    Other,
    /// The variable is unknown and causes a warning.
    Unknown,
}

/// Classifies an environment variable as a key, as unknown, or as not part of the configuration.
///
/// A variable is a key if its part before the first `__` is a top-level key, or if it contains
/// `__`. Variables that Kubernetes creates for services are not, unless they begin with a top-level
/// key.
pub(super) fn variable(catalog: &Catalog, name: &str, value: &str) -> Variable {
    let name = name.strip_prefix(catalog.environment_prefix()).unwrap_or(name);
    if OTHERS.contains(&name) || name.starts_with(TESTS) {
        return Variable::Other;
    }
    let parts: Vec<_> = name.split("__").map(str::to_lowercase).collect();
    let is_known = parts.first().is_some_and(|first| catalog.parsed_schema()["properties"].get(first).is_some());
    if !is_known && is_of_kubernetes(name, value) {
        return Variable::Other;
    }
    if is_known || parts.len() > 1 { Variable::Key(parts) } else { Variable::Unknown }
}

/// Returns `true` if Kubernetes may have created the variable for a service.
///
/// Such names are `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT[_PORTNAME]`, `NAME_PORT` and
/// `NAME_PORT_80_TCP[_PROTO|_PORT|_ADDR]`. `NAME` may be our prefix itself.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    let name = format!("_{name}");
    let is_port = |rest: &str| {
        let mut parts = rest.split('_');
        parts.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && parts.next().is_some_and(|protocol| PROTOCOLS.contains(&protocol))
            && parts.next().is_none_or(|part| ["PROTO", "PORT", "ADDR"].contains(&part))
            && parts.next().is_none()
    };
    let is_url = || PROTOCOLS.iter().any(|protocol| value.starts_with(&format!("{}://", protocol.to_lowercase())));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT") && is_url()
        || name.match_indices("_PORT_").any(|(at, word)| is_port(&name[at + word.len()..]))
}

/// Returns the key that a variable sets, with names in the case that earlier layers use.
///
/// Names that the operator chose may have capitals, which variables cannot express.
pub(super) fn key(schema: &Value, merged: &Map<String, Value>, parts: Vec<String>) -> Result<Vec<String>, String> {
    let mut part = schema.clone();
    let mut known = Some(merged);
    let mut key = Vec::new();
    for name in parts {
        let of = resolve(schema, &part);
        let is_fixed = of["properties"].get(&name).is_some();
        let mut names = known.into_iter().flat_map(Map::keys).filter(|known| known.eq_ignore_ascii_case(&name));
        let name = match (is_fixed, names.next(), names.next()) {
            (false, Some(one), Some(other)) => {
                return Err(format!("ambiguous: it matches {one} and {other}; set it in a file"));
            }
            (false, Some(known), None) => known.clone(),
            _ => name,
        };
        part = of["properties"].get(&name).unwrap_or(&of["additionalProperties"]).clone();
        known = known.and_then(|known| known.get(&name)).and_then(Value::as_object);
        key.push(name);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_ignores_kubernetes_services_and_reads_keys() {
        let of = |name: &str, value: &str| variable(Catalog::of_drupe(), name, value);
        for name in [
            "DRUPE_SERVICE_HOST",
            "DRUPE_CHAT_SERVICE_HOST",
            "DRUPE_CHAT_SERVICE_PORT",
            "DRUPE_CHAT_SERVICE_PORT_WEB",
            "DRUPE_PORT_80_TCP",
            "DRUPE_CHAT_PORT_80_TCP_ADDR",
            "DRUPE_MY__CHAT_PORT_80_UDP_PROTO",
            "DRUPE_CONFIG",
            "DRUPE_TEST_X",
        ] {
            assert_eq!(of(name, "10.0.0.7"), Variable::Other, "{name}");
        }
        for name in ["DRUPE_PORT", "DRUPE_CHAT_PORT", "DRUPE_LOG_PORT"] {
            assert_eq!(of(name, "tcp://10.0.0.7:80"), Variable::Other, "{name}");
            assert_eq!(of(name, "80"), Variable::Unknown, "{name}");
        }
        for name in ["DRUPE_WORKRES", "DRUPE_LIMITS_PEER_IDLE", "DRUPE_CHAT_PORT_80_TCP_X", "DRUPE_"] {
            assert_eq!(of(name, "4"), Variable::Unknown, "{name}");
        }
        for (name, key) in [
            ("DRUPE_WORKERS", &["workers"][..]),
            ("DRUPE_LIMITS", &["limits"]),
            ("DRUPE_LIMIT__PEER__IDLE", &["limit", "peer", "idle"]),
            ("DRUPE_LISTENERS__CHAT_PORT__ADDRESS", &["listeners", "chat_port", "address"]),
            ("DRUPE_LISTENERS__A_SERVICE_HOST", &["listeners", "a_service_host"]),
        ] {
            let expected = Variable::Key(key.iter().map(ToString::to_string).collect());
            assert_eq!(of(name, "tcp://10.0.0.7:80"), expected, "{name}");
        }
    }
}
