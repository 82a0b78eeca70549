//! The tables in the settings documentation match the code.

use drupe_core::settings::{Catalog, Resolved, Sources};
use serde_json::Value;

const OTHER_SERVERS: &str = include_str!("../../src/settings/coming_from.md");
const MANUAL: &str = include_str!("../../src/settings/mod.rs");

/// The cells of the rows of a table, without its head.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().map(|line| line.trim_start_matches("//! ")).filter(|line| line.starts_with("| "));
    rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// What stands in backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether there is such a key, with any name in place of `NAME` and `*`.
fn is_key(root: &Value, key: &str) -> bool {
    let mut part = root.clone();
    for name in key.split('.') {
        let named = [&part["$ref"], &part["anyOf"][0]["$ref"]].into_iter().find_map(Value::as_str);
        if let Some(name) = named.and_then(|name| name.strip_prefix("#/$defs/")) {
            part = root["$defs"][name].clone();
        }
        let below = match name {
            "NAME" | "*" => &part["additionalProperties"],
            name => &part["properties"][name],
        };
        // All of what is below may be meant.
        if name == "*" && !below.is_object() && part["properties"].is_object() {
            return true;
        }
        if !below.is_object() {
            return false;
        }
        part = below.clone();
    }
    true
}

#[test]
fn keys_in_the_server_comparison_exist() {
    let schema: Value = serde_json::from_str(&Catalog::default().schema()).expect("JSON");
    let roots: Vec<_> = schema["properties"].as_object().expect("keys").keys().cloned().collect();
    let mut count = 0;
    for row in rows(OTHER_SERVERS) {
        let mut last = String::new();
        for name in names(row[1]) {
            let key = match name.strip_prefix('.') {
                // Beside the one before.
                Some(rest) => format!("{}.{rest}", last.rsplit_once('.').expect("a key before").0),
                None => name.to_owned(),
            };
            let root = key.split('.').next().expect("one");
            if !roots.iter().any(|known| known == root) {
                continue;
            }
            assert!(is_key(&schema, &key), "{key} in {row:?}");
            count += 1;
            last = key;
        }
        for name in names(row[1]).filter(|name| name.contains('/') && name.contains('s') && !name.starts_with('/')) {
            Sources::new().set("limits.peer.messages", name).resolve().unwrap_or_else(|problems| panic!("{problems}"));
        }
    }
    assert!(count > 80, "{count}");
}

#[test]
fn production_profile_warns_of_cleartext_as_documented() {
    let production = |listener: &str| {
        let text = format!("profile: production\nlisteners: {{ a: {{ {listener} }} }}\n");
        Sources::new().file("drupe.yaml", &text).resolve().expect("good").warnings.len()
    };
    assert_eq!(production("address: '0.0.0.0:1', protocol: websocket"), 1, "require_ssl_in_production");
    let tls = "address: '0.0.0.0:1', protocol: websocket, tls: { certificates: [{ certificate: a, key: b }] }";
    assert_eq!(production(tls), 0);
}

fn resolved(set: &[(&str, &str)]) -> Resolved {
    let text = "listeners: { a: { address: 'unix:/x', app: echo }, b: { address: '127.0.0.1:1', app: echo, protocol: websocket, websocket: { monitor: true } } }\n\
        monitor: { credential: 0123456789abcdef }\n\
        authentication: { enabled: true, users: { ann: { password: x } } }\n\
        cluster: redis://h\n";
    let sources =
        set.iter().fold(Sources::new().file("drupe.yaml", text), |sources, (key, value)| sources.set(key, value));
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

/// What a reload says of each change is what the table of reloads says.
#[test]
fn changes_that_need_a_restart_match_the_manual() {
    let (_, table) = MANUAL.split_once("# When a change takes effect").expect("the table");
    let (table, _) = table.split_once("A reload with an invalid configuration").expect("the end of it");
    let waits = |key: &str, of: &str| {
        let row = rows(table).find(|row| names(row[0]).any(|name| name == of)).unwrap_or_else(|| panic!("{key}: {of}"));
        row[1] == "after a restart"
    };
    let before = resolved(&[]);
    for (key, value, of) in [
        ("limits.connections_max", "5", "limits"),
        ("outbound.write_deadline", "5s", "outbound"),
        ("quarantine.cool_down", "5s", "quarantine"),
        ("rooms.rooms_max", "5", "rooms"),
        ("rooms.history_max", "5MiB", "rooms"),
        ("rooms.options.news*.messages_max", "5", "rooms"),
        ("rooms.options.news*.home", "memory", "rooms.options.*"),
        ("closing.flush", "7s", "closing"),
        ("drain.deadline", "7s", "drain"),
        ("metrics.errors_kept", "7", "metrics"),
        ("listeners.a.prompt", "x", "prompt"),
        ("listeners.a.welcome", "x", "welcome"),
        ("listeners.a.half_open", "true", "half_open"),
        ("listeners.a.socket.mode", "600", "listeners.*.socket"),
        ("log.level", "debug", "log.level"),
        ("log.targets.connections", "debug", "log.targets"),
        ("log.format", "json", "log"),
        ("monitor.credential", "fedcba9876543210", "monitor.credential"),
        ("monitor.interval", "7s", "workers"),
        ("authentication.users.ann.password", "y", "authentication"),
        ("authentication.deadline", "7s", "workers"),
        ("cluster.prefix", "x", "cluster"),
        ("relay.envelope", "json", "relay"),
    ] {
        let changes = before.changes(&resolved(&[(key, value)])).join("\n");
        assert!(changes.contains(&format!("{key}: ")), "{key}: {changes}");
        assert_eq!(changes.contains("(after a restart)"), waits(key, of), "{key}: {changes}");
    }
}

fn of_file(text: &str) -> Resolved {
    let resolved = Sources::new().file("drupe.yaml", text).resolve();
    resolved.unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn changes_list_the_keys_that_differ() {
    let one = of_file("limits: { connections_max: 5 }\nlisteners: { a: { address: '127.0.0.1:1' } }");
    let other = of_file("limits: { connections_max: 6 }\nlisteners: { b: { address: '127.0.0.1:1' } }");
    let changes = one.changes(&other);
    assert!(changes.contains(&"limits.connections_max: 5 -> 6".to_string()), "{changes:?}");
    assert!(changes.contains(&"listeners.a.address: \"127.0.0.1:1\" -> (gone)".to_string()), "{changes:?}");
    assert!(changes.contains(&"listeners.b.address: (none) -> \"127.0.0.1:1\"".to_string()), "{changes:?}");
    assert_eq!(one.changes(&one), Vec::<String>::new());
}
