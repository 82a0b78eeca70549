//! Secrets in a configuration: their files, and that no output shows them.

use drupe_core::settings::{Resolved, Sources};

fn file(text: &str) -> Sources {
    Sources::new().file("drupe.yaml", text)
}

fn good(sources: &Sources) -> Resolved {
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

fn wrong(sources: &Sources) -> String {
    sources.resolve().map(|_| ()).expect_err("it is wrong").to_string()
}

#[test]
fn explain_changes_and_debug_hide_secrets() {
    let text = "
listeners: { a: { forward: { tunnel: e }, protocol: websocket, websocket: { monitor: true } } }
monitor: { credential: do not show this }
authentication:
  enabled: true
  shared_password: do not show this
  users: { ann: { password: do not show this } }
  tokens: { hs256_secret: do not show this do not show this }
tunnels: { e: { ssh_host: h, ssh_user: u, ssh_key_path: k, ssh_key_passphrase: do not show this,
    proxy: 'http://p', proxy_user: x, proxy_password: do not show this } }
";
    let resolved = good(&file(text));
    let explained = resolved.explain();
    assert!(explained.contains("monitor.credential: (secret) # drupe.yaml:3"), "{explained}");
    let newer = good(&file(&text.replace("do not show this", "do not show this either")));
    let changes = resolved.changes(&newer).join("\n");
    assert!(changes.contains("monitor.credential: (secret) -> (secret)"), "{changes}");
    let debug = format!("{:?}", resolved.plan);
    for text in [explained, changes, debug] {
        assert!(!text.contains("do not show"), "{text}");
    }
}

#[test]
fn every_secret_can_be_read_from_a_file() {
    let text = "listeners: { a: { forward: { tunnel: e }, protocol: websocket, websocket: { monitor: true } } }\n\
        monitor: { credential_file: one }\n\
        authentication: { enabled: true, shared_password_file: two, users: { ann: { password_file: three } }, tokens: { hs256_secret_file: four } }\n\
        tunnels: { e: { ssh_host: h, ssh_user: u, ssh_key_path: k, ssh_key_passphrase_file: five,\n\
        proxy: 'http://p', proxy_user: x, proxy_password_file: six } }\n";
    let read = |path: &str| Ok(format!("what stands in the file called {path}"));
    let settings = good(&Sources::new().file("/x/drupe.yaml", text).secrets_from(read)).settings;
    let tokens = settings.authentication.tokens.as_ref().expect("set");
    for (secret, file) in [
        (&settings.monitor.credential, "one"),
        (&settings.authentication.shared_password, "two"),
        (&settings.authentication.users["ann"].password, "three"),
        (&tokens.hs256_secret, "four"),
        (&settings.tunnels["e"].ssh_key_passphrase, "five"),
        (&settings.tunnels["e"].proxy_password, "six"),
    ] {
        assert_eq!(secret.reveal(), format!("what stands in the file called /x/{file}"));
    }
    let both = text.replace("password_file: three", "password_file: three, password: x");
    let problems = wrong(&file(&both).secrets_from(read));
    assert!(
        problems.contains("users.ann.password_file: authentication.users.ann.password is set as well"),
        "{problems}"
    );
}

#[test]
fn mistakes_in_the_proxy_of_a_tunnel_are_named_without_its_password() {
    let with = |rest: &str| {
        format!(
            "listeners: {{ a: {{ forward: {{ tunnel: e }} }} }}\ntunnels: {{ e: {{ ssh_host: h, ssh_user: u, {rest} }} }}\n"
        )
    };
    for (text, words) in [
        (with("proxy: 'https://p:1'"), "drupe.yaml:2: tunnels.e.proxy: TLS to the proxy (https://) is not supported"),
        (with("proxy: 'http://p:x'"), "tunnels.e.proxy: \"p:x\" is not the address of a proxy"),
        (with("proxy: 'http://a:hush@p'"), "tunnels.e.proxy: it must not contain a user or a password: set proxy_user"),
        (with("proxy_user: x"), "tunnels.e.proxy_user: it needs a proxy: set proxy"),
        (with("proxy: p, proxy_password: x"), "tunnels.e.proxy_password: it needs a user: set proxy_user"),
        (with("proxy: p, proxy_user: 'x:y'"), "tunnels.e.proxy_user: the user of a proxy has 1 to 1024 bytes"),
        (
            with(&format!("proxy: 'socks5://p', proxy_user: x, proxy_password: {}", "hush".repeat(64))),
            "tunnels.e.proxy_password: the password of a proxy has at most 255 bytes",
        ),
    ] {
        let problems = wrong(&file(&text));
        assert!(problems.contains(words) && !problems.contains("hush"), "{text}\n{words}\n{problems}");
    }
}

#[test]
fn metrics_and_monitor_allow_several_workers() {
    for (web, keys, is_watched) in [
        ("metrics: credential", "metrics_credential: 0123456789abcdef", false),
        ("monitor: true", "credential: 0123456789abcdef", true),
    ] {
        let text = format!(
            "workers: 2\nlisteners: {{ a: {{ address: '127.0.0.1:0', app: echo, protocol: websocket, \
             websocket: {{ {web} }} }} }}\nmonitor: {{ {keys} }}\n"
        );
        let plan = good(&file(&text)).plan;
        assert_eq!((plan.monitor.is_some(), plan.workers.get()), (is_watched, 2));
    }
}
