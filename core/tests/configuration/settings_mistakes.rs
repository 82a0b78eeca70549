//! Errors in a configuration.
//!
//! An error names what the operator wrote, shows no secret, and contains no terminal control
//! characters.

use drupe_core::settings::{Catalog, Resolved, Sources};
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

fn file(text: &str) -> Sources {
    Sources::new().file("drupe.yaml", text)
}

fn good(sources: &Sources) -> Resolved {
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

fn wrong(sources: &Sources) -> String {
    sources.resolve().map(|_| ()).expect_err("it is wrong").to_string()
}

const LISTENER: &str = "listeners: { a: { address: '127.0.0.1:1' } }\n";

#[test]
fn zero_is_refused_where_it_would_disable_the_server() {
    let listener = |rest: &str| format!("listeners: {{ a: {{ address: '127.0.0.1:1', {rest} }} }}\n");
    let timed = [
        ("limits: { peer: { idle: 0s } }\n".to_string() + LISTENER, "limits.peer.idle", true),
        ("limits: { peer: { silence: 0ms } }\n".to_string() + LISTENER, "limits.peer.silence", true),
        ("limits: { peer: { lifetime: 0d } }\n".to_string() + LISTENER, "limits.peer.lifetime", true),
        ("limits: { peer: { message_deadline: 0s } }\n".to_string() + LISTENER, "limits.peer.message_deadline", false),
        ("limits: { accept_backoff: 0s }\n".to_string() + LISTENER, "limits.accept_backoff", false),
        ("authentication: { deadline: 0s }\n".to_string() + LISTENER, "authentication.deadline", false),
        (listener("protocol: websocket, websocket: { ping: 0s }"), "listeners.a.websocket.ping", true),
        (listener("protocol: websocket, websocket: { timeout: 0s }"), "listeners.a.websocket.timeout", false),
        (listener("protocol: telnet, telnet: { keep_alive: 0s }"), "listeners.a.telnet.keep_alive", true),
        (listener("protocol: auto, wait: 0s"), "listeners.a.wait", false),
        (listener("limits: { idle: 0s }"), "listeners.a.limits.idle", true),
    ];
    for (text, key, has_never) in timed {
        let problems = wrong(&file(&text));
        let words = "is not a time above zero, such as 500ms, 30s, 5m, 2h or 1d, and at most 36500d";
        assert!(problems.contains(&format!("{key}: \"0")) && problems.contains(words), "{problems}");
        assert_eq!(problems.ends_with("; or never"), has_never, "{problems}");
    }
    let counted = [
        ("limits: { connections_max: 0 }\n".to_string() + LISTENER, "limits.connections_max"),
        ("limits: { connections_per_address_max: 0 }\n".to_string() + LISTENER, "limits.connections_per_address_max"),
        ("limits: { peer: { messages_per_turn: 0 } }\n".to_string() + LISTENER, "limits.peer.messages_per_turn"),
        ("limits: { peer: { ladder: { close: 0 } } }\n".to_string() + LISTENER, "limits.peer.ladder.close"),
        ("authentication: { tries: 0 }\n".to_string() + LISTENER, "authentication.tries"),
        ("rooms: { rooms_max: 0 }\n".to_string() + LISTENER, "rooms.rooms_max"),
        (listener("connections_max: 0"), "listeners.a.connections_max"),
    ];
    for (text, key) in counted {
        let problems = wrong(&file(&text));
        let words = "invalid value: integer `0`, expected a number from 1 to 4294967295";
        assert!(problems.contains(&format!("{key}: {words}")), "{problems}");
    }
    for text in ["limits: { peer: { idle: 300000000000h } }\n", "drain: { window: 36501d, deadline: 36501d }\n"] {
        assert!(wrong(&file(text)).contains("at most 36500d"), "{text}");
    }
}

#[test]
fn limit_that_always_exists_says_so_where_never_is_set() {
    for key in ["failures_per_address", "failures_per_user", "registrations_per_address"] {
        for none in ["never", "unlimited", "off", "null", ""] {
            let problems = wrong(&file(&format!("authentication:\n  {key}: {none}\n{LISTENER}")));
            let begin = format!("drupe.yaml:2: authentication.{key}: \"");
            assert!(problems.starts_with(&begin) && problems.contains("there is always a limit here"), "{problems}");
        }
    }
    let problems = wrong(&file(&format!("authentication: {{ failures_per_user: many }}\n{LISTENER}")));
    assert!(problems.ends_with("is not a rate such as 100/s, 30/60s burst 10 or 4MiB/s"), "{problems}");
}

#[test]
fn networks_without_effect_are_blamed_on_their_own_key() {
    for key in ["allow", "deny"] {
        let text = format!("listeners:\n  a:\n    address: unix:/tmp/x\n    {key}: [10.0.0.0/8]\n");
        let problems = wrong(&file(&text));
        assert!(problems.starts_with(&format!("drupe.yaml:4: listeners.a.{key}: it has no effect")), "{problems}");
    }
}

#[test]
fn metrics_settings_are_checked() {
    for (text, words) in [
        ("errors_kept: 1001", "metrics.errors_kept: it may be at most 1000"),
        ("durations_kept: 1001", "metrics.durations_kept: it may be at most 1000"),
        (
            "labels: { reason: x }",
            "metrics.labels: the server or Prometheus sets the label reason; choose another name",
        ),
        ("labels: { 1st: x }", "metrics.labels: \"1st\" is no label name; use letters, digits and _"),
    ] {
        let problems = wrong(&file(&(format!("metrics: {{ {text} }}\n") + LISTENER)));
        assert!(problems.contains(words), "{problems}");
    }
    let text = "metrics: { labels: { env: prod }, errors_kept: 0 }\n".to_string() + LISTENER;
    let metrics = Sources::new().file("drupe.yaml", &text).resolve().expect("good").plan.config.metrics;
    assert_eq!((metrics.labels.iter().collect::<Vec<_>>(), metrics.errors_kept), (vec![("env", "prod")], 0));
}

/// Every number, time and size alone, at both ends of what it can be: what is refused is blamed on the operator's own line.
#[test]
fn settings_of_users_that_register_are_checked() {
    for (authentication, key, words) in [
        ("store: u.db", "authentication.enabled", "a store"),
        (
            "enabled: true, registration: true, shared_password: x",
            "authentication.registration",
            "set authentication.store",
        ),
        (
            "enabled: true, store: u.db, shared_password: x",
            "authentication.store",
            "shared_password or store, not both",
        ),
        ("enabled: true, store: u.db, issue_tokens: 25h", "authentication.issue_tokens", "at most 1d"),
        ("enabled: true, store: u.db, issue_tokens: 0s", "authentication.issue_tokens", "0s"),
        (
            "enabled: true, store: u.db, token_path: /token",
            "authentication.token_path",
            "set authentication.issue_tokens",
        ),
        (
            "enabled: true, store: u.db, issue_tokens: 1m, token_path: token",
            "authentication.token_path",
            "begin with /",
        ),
        ("enabled: true, store: u.db, token_in_query: true", "authentication.token_in_query", "there are no tokens"),
        ("enabled: true, store: u.db, password_chars_min: 0", "authentication.password_chars_min", "0"),
    ] {
        let text = format!("authentication: {{ {authentication} }}");
        let error = Sources::new().file("drupe.yaml", &text).resolve().expect_err(authentication).to_string();
        assert!(error.contains(key) && error.contains(words), "{authentication}: {error}");
    }
}

#[test]
fn single_extreme_value_is_blamed_on_its_own_line() {
    let schema: Value = serde_json::from_str(&Catalog::default().schema()).expect("JSON");
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    let (mut good, mut refused) = (0, 0);
    for (key, part) in keys {
        let key =
            key.replace("listeners.*", "listeners.a").replace("tunnels.*", "tunnels.e").replace("users.*", "users.ann");
        for value in extremes(&part) {
            let protocol = match &key {
                key if key.contains(".websocket.") || key.contains(".forwarded.") => "websocket",
                key if key.contains(".telnet.") => "telnet",
                _ => "auto",
            };
            let base = Sources::new()
                .file("base", &format!("listeners:\n  a: {{ protocol: {protocol}, forward: {{ tunnel: e }} }}\ntunnels: {{ e: {{ ssh_host: h, ssh_user: u }} }}\n"));
            for base in [base.clone(), base.profile("production")] {
                match base.set(&key, value).resolve() {
                    Ok(_) => good += 1,
                    Err(problems) => {
                        refused += 1;
                        for problem in problems.0 {
                            let place = format!("--set {key}");
                            let words = problem.to_string();
                            // Some are for what is not there.
                            let needs = [
                                "has no effect",
                                "needs",
                                "there are users",
                                "it takes",
                                "no proxy is trusted",
                                "no listener uses",
                            ];
                            let is_excused = needs.iter().any(|word| words.contains(word));
                            assert!(problem.place == place || is_excused, "{key}={value}: {words}");
                        }
                    }
                }
            }
        }
    }
    assert!(good > 100 && refused > 50, "{good} {refused}");
}

fn extremes(part: &Value) -> &'static [&'static str] {
    let text = part.to_string();
    if text.contains("ms|s|m|h|d") && text.contains("burst") {
        &["1/s burst 1", "1/36500d burst 1", "4294967295/s burst 4294967295"]
    } else if text.contains("ms|s|m|h|d") {
        &["0s", "1ms", "36500d"]
    } else if text.contains("KiB") {
        &["0B", "1B", "1023MiB", "17179869183GiB"]
    } else if text.contains("\"integer\"") {
        &["0", "1", "4294967295"]
    } else {
        &[]
    }
}

fn collect(root: &Value, part: &Value, path: &str, keys: &mut Vec<(String, Value)>) {
    let named = [&part["$ref"], &part["anyOf"][0]["$ref"]].into_iter().find_map(Value::as_str);
    if let Some(name) = named.and_then(|name| name.strip_prefix("#/$defs/")) {
        return collect(root, &root["$defs"][name], path, keys);
    }
    let join = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    if let Some(properties) = part["properties"].as_object() {
        properties.iter().for_each(|(key, part)| collect(root, part, &join(key), keys));
    } else if part["additionalProperties"].is_object() {
        collect(root, &part["additionalProperties"], &join("*"), keys);
    } else {
        keys.push((path.to_string(), part.clone()));
    }
}

#[test]
fn defaults_adapt_to_configured_values() {
    for (key, value) in [
        ("drain.deadline", "3s"),
        ("outbound.max", "100KiB"),
        ("outbound.high", "10KiB"),
        ("limits.peer.silence", "20s"),
        ("listeners.a.limits.silence", "20s"),
        ("tunnels.e.reconnect.cap", "500ms"),
    ] {
        let text = "listeners:\n  a: { forward: { tunnel: e }, protocol: websocket }\ntunnels: { e: { ssh_host: h, ssh_user: u } }\n";
        for profile in ["development", "production"] {
            good(&file(text).profile(profile).set(key, value));
        }
    }
    let resolved = good(&file(LISTENER).profile("production").set("drain.deadline", "3s"));
    assert_eq!(resolved.plan.config.drain.window, Duration::from_secs(3));
    assert!(resolved.explain().contains("drain.window: \"3s\" # profile production"), "{}", resolved.explain());
    good(
        &file(LISTENER)
            .profile("production")
            .set("limits.peer.messages", "unlimited")
            .set("limits.peer.bytes", "unlimited"),
    );
    // What was chosen does not give way.
    let problems = wrong(&file(LISTENER).set("drain.window", "4s").set("drain.deadline", "3s"));
    assert!(problems.starts_with("--set drain.window: drain.window: it must be at most drain.deadline (3s)"));
    let problems = wrong(&file(LISTENER).set("outbound.low", "4MiB"));
    assert!(problems.starts_with("--set outbound.low: outbound.low: it must be at most"), "{problems}");
}

/// A value for every key that is secret, in every shape that it may have by mistake.
#[test]
fn settings_errors_show_no_secret() {
    let secret = "hunter2hunter2";
    let schema: Value = serde_json::from_str(&Catalog::default().schema()).expect("JSON");
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    let keys: Vec<_> = keys.into_iter().filter(|(_, part)| part["format"] == "password").map(|(key, _)| key).collect();
    assert!(keys.len() >= 5, "{keys:?}");
    for key in keys {
        let key = key.replace('*', "x");
        let parts: Vec<_> = key.split('.').collect();
        for shape in [
            secret,
            "12345678901234",
            "[hunter2hunter2]",
            "{ a: hunter2hunter2 }",
            "!secret hunter2hunter2",
            "*hunter2hunter2",
            "\"hunter2hunter2",
            "@hunter2hunter2",
        ] {
            // At the key itself, and where the keys above it should have keys.
            for depth in 1..=parts.len() {
                let mut text = String::new();
                for (indent, part) in parts[..depth].iter().enumerate() {
                    let _ = write!(text, "{}{part}:", "  ".repeat(indent));
                    text.push_str(if indent + 1 == depth { " " } else { "\n" });
                }
                let text = text + shape + "\n";
                let Err(problems) = file(&text).resolve() else { continue };
                for shown in [problems.to_string(), format!("{problems:?}")] {
                    assert!(!shown.contains("hunter2") && !shown.contains("12345678"), "{text}{shown}");
                }
            }
        }
        for sources in [
            Sources::new().set(&key, secret),
            Sources::new().environment([(format!("DRUPE_{}", key.to_uppercase().replace('.', "__")).as_str(), secret)]),
            file(&format!("monitor: {{ credential: {secret} }}\n")),
        ] {
            assert!(!format!("{sources:?}").contains(secret));
            match sources.resolve() {
                Ok(resolved) => assert!(!format!("{resolved:?}{}", resolved.explain()).contains(secret), "{key}"),
                Err(problems) => assert!(!problems.to_string().contains(secret), "{key}: {problems}"),
            }
        }
    }
    assert_eq!(
        wrong(&file("authentication: { shared_password: 12345 }\n")),
        "drupe.yaml:1: authentication.shared_password: a secret is text: put it in quotes"
    );
}

#[test]
fn changed_secret_is_listed_without_its_value() {
    let of = |password: &str| {
        good(&file(&format!("{LISTENER}authentication: {{ enabled: true, shared_password: {password} }}\n")))
    };
    let changes = of("one").changes(&of("other"));
    assert_eq!(changes, ["authentication.shared_password: (secret) -> (secret)"]);
    assert!(of("one").changes(&of("one")).is_empty());
}

#[test]
fn yaml_tags_are_refused_everywhere() {
    for text in [
        "authentication: { shared_password: !secret drupe_pw }\n",
        "limits: !include other.yaml\n",
        "!top\nworkers: 1\n",
        "workers: !!python/int 1\n",
        "listeners: { a: !env A }\n",
        "!key workers: 1\n",
    ] {
        let problems = wrong(&file(text));
        assert!(problems.contains("are not supported") && !problems.contains("drupe_pw"), "{text}{problems}");
    }
    good(&file(&(LISTENER.to_string() + "workers: !!int '1'\n")));
}

#[test]
fn yaml_errors_are_in_plain_words() {
    for (text, words) in [
        ("workers: 1\nworkers: 2\n", "drupe.yaml:2: the key \"workers\" is there twice"),
        ("workers: 1\n---\nworkers: 2\n", "a file must be one document"),
        ("workers: *one\n", "there is no anchor (&) for an alias (*)"),
        ("workers: {\n", "drupe.yaml:"),
        ("a: &a [*a]\n", "drupe.yaml:"),
    ] {
        let problems = wrong(&file(text));
        assert!(problems.contains(words), "{text}{problems}");
        for word in ["DuplicateKeyPolicy", "Options", "from_str", "from_multiple", "Serde", "serde", "deserialize"] {
            assert!(!problems.contains(word), "{problems}");
        }
    }
    let deep = "limits: ".to_string() + &"[".repeat(100_000);
    assert!(wrong(&file(&deep)).len() < 1_000);
    let bomb: String = (0..30).fold("a0: &a0 [x, x]\n".into(), |text, n| {
        format!("{text}a{}: &a{} [*a{n}, *a{n}, *a{n}, *a{n}]\n", n + 1, n + 1)
    });
    assert!(wrong(&file(&bomb)).len() < 1_000);
}

#[test]
fn settings_errors_are_sanitized_and_truncated() {
    let long = "x".repeat(10_000_000);
    for text in [
        "\"a\\e[31mb\": 1\n".to_string(),
        "limits: { peer: { idle: \"\\e]0;title\\a5\" } }\n".into(),
        "profile: \"\\e[2Jx\"\n".into(),
        "listeners: { \"\\e[31m\": { address: 1 } }\n".into(),
        format!("profile: {long}\n"),
        format!("limits: {{ peer: {{ idle: {long} }} }}\n"),
        format!("limits: {{ peer: {{ message_max: {long} }} }}\n"),
        format!("limits: {{ exempt: [{long}] }}\n"),
        format!("limits: {{ connections_max: {long} }}\n"),
        format!("listeners: {{ a: {{ address: {long} }} }}\n"),
        format!("listeners: {{ a: {{ address: '127.0.0.1:1', protocol: telnet, telnet: {{ charset: {long} }} }} }}\n"),
        format!("listeners: {{ {}: {{ address: '127.0.0.1:1' }} }}\n", "-".repeat(10_000)),
        format!("listeners: {{ a: {{ address: 'unix:{long}' }} }}\n"),
        format!("listeners: {{ a: {{ forward: {{ tunnel: {long} }} }} }}\n"),
        format!(
            "listeners: {{ a: {{ forward: {{ tunnel: e }} }} }}\ntunnels: {{ e: {{ ssh_host: h, ssh_user: u, proxy_jump: ['{long}:x'] }} }}\n"
        ),
        format!("log: {{ targets: {{ {}: debug }} }}\n", "y".repeat(10_000)),
    ] {
        let problems = wrong(&file(&text));
        assert!(problems.len() < 4_000, "{} bytes for {}", problems.len(), &text[..text.len().min(60)]);
        assert!(!problems.chars().any(|c| c.is_control() && c != '\n'), "{problems:?}");
    }
    let name = "\u{1b}[31m.yaml";
    let problems = Sources::new().file(name, "- a\n").resolve().expect_err("a list").to_string();
    assert!(!problems.contains('\u{1b}'), "{problems:?}");
}

#[test]
fn kubernetes_variables_are_ignored_and_unknown_ones_warned() {
    let resolved = good(&file(LISTENER).environment([
        ("DRUPE_CHAT_PORT", "tcp://10.0.0.7:80"),
        ("DRUPE_CHAT_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("DRUPE_CHAT_SERVICE_HOST", "10.0.0.7"),
        ("DRUPE_WORKRES", "4"),
    ]));
    let warnings: Vec<_> = resolved.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["DRUPE_WORKRES: unknown variable, ignored: a key has `__` between its parts"]);
    let problems = wrong(&file(LISTENER).environment([("DRUPE_LIMIT__CONNECTIONS_MAX", "4")]));
    assert_eq!(problems, "DRUPE_LIMIT__CONNECTIONS_MAX: limit: there is no such key; did you mean limits?");
}

#[test]
fn environment_variables_match_names_case_insensitively() {
    let text = "listeners: { Web: { address: '127.0.0.1:1' } }\n\
        authentication: { enabled: true, users: { Ann: { password: old } } }\n";
    let resolved = good(&file(text).environment([
        ("DRUPE_AUTHENTICATION__USERS__ANN__PASSWORD", "new"),
        ("DRUPE_LISTENERS__WEB__CONNECTIONS_MAX", "5"),
        ("DRUPE_LISTENERS__OTHER__ADDRESS", "127.0.0.1:2"),
    ]));
    let users = &resolved.settings.authentication.users;
    assert_eq!(
        users.iter().map(|(name, user)| (name.as_str(), user.password.reveal())).collect::<Vec<_>>(),
        [("Ann", "new")]
    );
    assert_eq!(resolved.settings.listeners.keys().collect::<Vec<_>>(), ["Web", "other"]);
    assert_eq!(resolved.plan.config.listeners[0].connections_max, Some(5));
    let both = "authentication: { enabled: true, users: { Ann: { password: a }, ann: { password: b } } }\n";
    let problems = wrong(
        &file(&(LISTENER.to_string() + both)).environment([("DRUPE_AUTHENTICATION__USERS__ANN__PASSWORD", "new")]),
    );
    assert!(problems.contains("ambiguous: it matches Ann and ann; set it in a file"), "{problems}");
}

#[test]
fn digits_outside_a_file_are_read_as_text() {
    let text = "listeners: { a: { address: 'unix:/x' } }\n";
    for (mode, expected) in [("600", 0o600), ("0660", 0o660)] {
        let set = good(&file(text).set("listeners.a.socket.mode", mode));
        let variable = good(&file(text).environment([("DRUPE_LISTENERS__A__SOCKET__MODE", mode)]));
        for resolved in [set, variable] {
            assert_eq!(resolved.plan.config.listeners[0].socket.mode, Some(expected), "{mode}");
        }
    }
    // In a file the same digits may have been octal already.
    let problems = wrong(&file("listeners: { a: { address: 'unix:/x', socket: { mode: 600 } } }\n"));
    assert!(problems.contains("expected a mode in quotes"), "{problems}");
}

#[test]
fn relative_paths_resolve_from_the_folder_of_the_file() {
    let text = "listeners:\n  a: { address: 'unix:run/a.sock', tls: { certificates: [{ certificate: cert.pem, key: /abs/key.pem }] } }\n  \
        b: { forward: { tunnel: e, remote_bind_path: there.sock } }\n\
        tunnels: { e: { ssh_host: h, ssh_user: u, ssh_key_path: ~/id, known_hosts: [hosts, ~/.ssh/known_hosts] } }\n\
        log: { file: { directory: logs } }\n";
    let resolved = good(&Sources::new().file("/etc/drupe/drupe.yaml", text));
    let explained = resolved.explain();
    for line in [
        "listeners.a.address: \"unix:/etc/drupe/run/a.sock\" # /etc/drupe/drupe.yaml:2",
        "listeners.b.forward.remote_bind_path: \"there.sock\" # /etc/drupe/drupe.yaml:3",
        "log.file.directory: \"/etc/drupe/logs\" # /etc/drupe/drupe.yaml:5",
        "tunnels.e.known_hosts: [\"/etc/drupe/hosts\",\"~/.ssh/known_hosts\"] # /etc/drupe/drupe.yaml:4",
        "tunnels.e.ssh_key_path: \"~/id\" # /etc/drupe/drupe.yaml:4",
    ] {
        assert!(explained.lines().any(|known| known == line), "{line}\n{explained}");
    }
    assert!(explained.contains("/etc/drupe/cert.pem") && explained.contains("\"/abs/key.pem\""), "{explained}");
    // What no file says begins where the program runs, and so does what comes through a pipe.
    for sources in [Sources::new().file("drupe.yaml", text), Sources::new().file("/dev/fd/63", text)] {
        assert!(good(&sources).explain().contains("log.file.directory: \"logs\""));
    }
    let set = Sources::new().file("/etc/drupe/drupe.yaml", text).set("log.file.directory", "here");
    assert!(good(&set).explain().contains("log.file.directory: \"here\""));
    for (name, folder) in [("a/b.yaml", "a/logs"), ("/b.yaml", "/logs"), ("../b.yaml", "../logs")] {
        let explained = good(&Sources::new().file(name, text)).explain();
        assert!(explained.contains(&format!("log.file.directory: \"{folder}\"")), "{name}\n{explained}");
    }
}

#[test]
fn log_settings_without_an_effect_are_refused() {
    for (text, words) in [
        (
            "log: { omit_fields: [peers] }\n",
            "log.omit_fields: no line has the field \"peers\"; the fields are timestamp, ",
        ),
        (
            "log: { file: { directory: /x, rotation: size, keep: 1 } }\n",
            "log.file.keep: it must be at least 2 with rotation: size",
        ),
        (
            "log: { file: { directory: /x, rotation: size, size_max: 1KiB } }\n",
            "log.file.size_max: it must be at least 64KiB",
        ),
        (
            "log: { file: { directory: /x, size_max: 1MiB } }\n",
            "log.file.size_max: it has an effect only with rotation: size",
        ),
    ] {
        let problems = wrong(&file(text));
        assert!(problems.contains(words), "{text}\n{words}\n{problems}");
    }
}
