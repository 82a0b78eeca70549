//! Origins of values and of errors: the file with its line, the variable or the argument.

use drupe_core::settings::{Catalog, Resolved, Sources};
use std::time::Duration;

fn file(text: &str) -> Sources {
    Sources::new().file("drupe.yaml", text)
}

fn good(sources: &Sources) -> Resolved {
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn explain_names_the_origin_of_secrets_in_files() {
    let text = "
monitor:
  credential_file: a
listeners: { a: { address: '127.0.0.1:1', protocol: websocket, websocket: { monitor: true, metrics: credential } } }
authentication:
  enabled: true
  users:
    ann: { password_file: b }
";
    let sources = file(text).environment([("DRUPE_MONITOR__METRICS_CREDENTIAL_FILE", "c")]);
    let resolved = good(&sources.secrets_from(|name| Ok(name.repeat(20))));
    let explained = resolved.explain();
    for line in [
        "monitor.credential: (secret) # drupe.yaml:3",
        "monitor.metrics_credential: (secret) # DRUPE_MONITOR__METRICS_CREDENTIAL_FILE",
        "authentication.users.ann.password: (secret) # drupe.yaml:8",
        "authentication.shared_password: \"\" # default",
    ] {
        assert!(explained.lines().any(|known| known == line), "{line}\n{explained}");
    }
}

#[test]
fn errors_in_secrets_of_files_are_blamed_on_the_keys_of_the_files() {
    let text = "
monitor:
  credential_file: a
  interval: 1s
authentication:
  enabled: true
  users:
    ann: { scopes: [x], password_file: b }
";
    let sources = file(text).set("monitor.may_act", "false").set("authentication.users.bob.password", "x");
    let problems = sources.secrets_from(|_| Ok("\u{7}".into())).resolve().expect_err("unfit secrets").to_string();
    for begin in ["drupe.yaml:3: monitor.credential: ", "drupe.yaml:8: authentication.users.ann.password: "] {
        assert!(problems.lines().any(|line| line.starts_with(begin)), "{begin}\n{problems}");
    }
}

#[test]
fn errors_name_the_argument_that_set_the_value() {
    let set = Sources::new().set("workers", "0").set_by("--backlog", "limits.connections_max", "x");
    let problems = set.resolve().expect_err("two values are wrong").to_string();
    for begin in ["--set workers: workers: ", "--backlog: limits.connections_max: "] {
        assert!(problems.lines().any(|line| line.starts_with(begin)), "{begin}\n{problems}");
    }
}

/// The keys, or else the places, of all errors.
fn problems(sources: &Sources) -> Vec<String> {
    let problems = sources.resolve().map(drop).expect_err("it is wrong").0;
    problems.into_iter().map(|error| if error.key.is_empty() { error.place } else { error.key }).collect()
}

#[test]
fn errors_of_each_step_are_reported_at_once() {
    let sources = file("a: [").file("more.yaml", "b").environment([("DRUPE_WORKERS", ""), ("DRUPE_LOG__LEVEL", "")]);
    assert_eq!(problems(&sources), ["drupe.yaml:1", "more.yaml:1", "workers", "log.level"]);

    let sources = file("workers: x\nlimits: { dry_run: 3 }\n").app("golf");
    assert_eq!(problems(&sources), ["limits.dry_run", "workers", "--app"]);

    let text = "
authentication:
  enabled: true
  shared_password_file: lost
  users: { ann: { password_file: lost }, bob: { password_file: lost } }
  tokens: { hs256_secret_file: lost }
  iterations: 1
listeners: { a: { address: '127.0.0.1:1', app: hall } }
workers: 2
";
    let listen = ["tcp://192.0.2.1:1", "tcp://192.0.2.1:2"].map(|address| address.parse().expect("an address"));
    let sources = Sources::of(Catalog::default().app("hall").one_worker()).file("drupe.yaml", text);
    let sources = sources.secrets_from(|_| Err("there is no such file".into())).listen(listen);
    let expected = [
        "authentication.shared_password_file",
        "authentication.users.ann.password_file",
        "authentication.users.bob.password_file",
        "authentication.tokens.hs256_secret_file",
        "authentication.iterations",
        "tcp://192.0.2.1:1",
        "tcp://192.0.2.1:2",
        "workers",
    ];
    assert_eq!(problems(&sources), expected);

    let web = "{ address: '127.0.0.1:1', protocol: websocket, websocket: { monitor: true, metrics: credential } }";
    let text = format!(
        "monitor: {{ credential_file: lost, metrics_credential_file: lost, interval: 1ms }}\nlisteners: {{ a: {web} }}\n"
    );
    let sources = file(&text).secrets_from(|_| Err("there is no such file".into()));
    let expected = ["monitor.credential_file", "monitor.metrics_credential_file", "monitor.interval"];
    assert_eq!(problems(&sources), expected);
}

#[test]
fn listener_limits_inherit_the_global_limits() {
    let text = "profile: production\nlisteners:\n  a: { address: '127.0.0.1:1', limits: { idle: 5m, ladder: { close: 7 } } }\n";
    let resolved = good(&file(text));
    let config = &resolved.plan.config;
    let own = config.listeners[0].limits.expect("it has some");
    assert_eq!((own.idle, own.rates.ladder.close), (Some(Duration::from_secs(300)), Some(7)));
    assert_eq!((own.rates.messages, own.silence), (config.peer.rates.messages, config.peer.silence), "of the profile");
    let explained = resolved.explain();
    let line = "listeners.a.limits.messages: \"50/s burst 200\" # profile production";
    assert!(explained.lines().any(|known| known == line), "{explained}");
}

#[test]
fn all_invalid_values_are_reported_at_once() {
    let text = "limits:\n  connections_max: -1\n  peer:\n    idle: 30\n    silence: 5x\n  exempt: [10.0.0.0/8, foo]\nlog:\n  levle: loud\n";
    let problems = file(text).resolve().expect_err("nothing is right").to_string();
    for line in [
        "drupe.yaml:2: ",
        "drupe.yaml:4: ",
        "drupe.yaml:5: ",
        "drupe.yaml:6: limits.exempt[1]: ",
        "drupe.yaml:8: log.levle: ",
    ] {
        assert!(problems.lines().any(|problem| problem.starts_with(line)), "{line}\n{problems}");
    }
    let problems = file("listeners: [ { address: '127.0.0.1:1' } ]\n").resolve().expect_err("a list").to_string();
    assert_eq!(problems, "drupe.yaml:1: listeners: it takes keys with values");
}
