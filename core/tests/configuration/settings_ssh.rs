//! Settings of SSH listeners.

use drupe_core::Identity;
use drupe_core::kit::auth::Verdict;
use drupe_core::settings::{HashedPasswords, Resolved, Sources};
use drupe_core::telnet::InputMode;
use drupe_core::wire::Protocol;
use drupe_core::wire::ssh::SshServer;
use std::time::Duration;

/// Values of all keys of SSH, each of which must change the plan: see `every_settings_key_has_an_effect`.
pub(crate) const SSH_EFFECTS: &str = "
listeners.a.ssh.host_key=x <- listeners.a.protocol=ssh
listeners.a.ssh.authorized_keys=x <- listeners.a.protocol=ssh
listeners.a.ssh.keys=true <- listeners.a.protocol=ssh
listeners.a.ssh.passwords=true <- listeners.a.protocol=ssh
listeners.a.ssh.login=none <- listeners.a.protocol=ssh
listeners.a.ssh.mode=keys <- listeners.a.protocol=ssh
listeners.a.ssh.login_timeout=7s <- listeners.a.protocol=ssh
listeners.a.ssh.startups_max=7 <- listeners.a.protocol=ssh
listeners.a.ssh.attempts_max=7 <- listeners.a.protocol=ssh
";

fn listener(rest: &str) -> Sources {
    Sources::new().file("drupe.yaml", &format!("listeners: {{ a: {{ address: '127.0.0.1:1', {rest} }} }}\n"))
}

fn good(sources: &Sources) -> Resolved {
    sources.resolve().unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn ssh_is_configured_and_needs_no_tls() {
    let resolved = good(&listener(
        "protocol: ssh, ssh: { host_key: k, authorized_keys: a, keys: true, passwords: true, mode: keys, login_timeout: 7s, startups_max: 9 }",
    ));
    let server = SshServer::default()
        .host_key_path("k".into())
        .authorized_keys_path(Some("a".into()))
        .takes_keys(true)
        .takes_passwords(true)
        .mode(InputMode::Keys)
        .login_timeout(Duration::from_secs(7))
        .startups_max(9);
    let listen = &resolved.plan.config.listeners[0];
    assert_eq!((&listen.protocol, listen.notices), (&Protocol::Ssh(server.into()), true));
    let text = "listeners: { a: { address: '0.0.0.0:22', protocol: ssh } }\nauthentication: { enabled: true, dialogue: true, shared_password: x }\n";
    good(&Sources::new().file("drupe.yaml", text));
    let text = text.replace("protocol: ssh", "protocol: telnet");
    Sources::new().file("drupe.yaml", &text).resolve().map(|_| ()).expect_err("passwords in the clear");
}

#[test]
fn options_of_ssh_are_refused_for_other_protocols() {
    let problems =
        listener("protocol: tcp, ssh: { login: none }").resolve().map(|_| ()).expect_err("no SSH").to_string();
    assert!(problems.contains("listeners.a.ssh: it has no effect on tcp: it is for ssh"), "{problems}");
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
/// Another key: its last byte differs.
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqtj";

fn with_users(users: &str) -> Sources {
    let text = format!(
        "listeners: {{ a: {{ address: '127.0.0.1:1', protocol: ssh, ssh: {{ keys: true }} }} }}\n\
         authentication: {{ enabled: true, iterations: 4096, users: {{ {users} }} }}\n"
    );
    Sources::new().file("drupe.yaml", &text)
}

#[test]
fn users_have_public_keys_with_and_without_a_password() {
    let users = format!(
        "ann: {{ keys: ['{KEY} ann@laptop', {KEY}], scopes: [write] }}, bob: {{ password: x, keys: [{OTHER}] }}"
    );
    let resolved = good(&with_users(&users));
    let plan = resolved.plan.authentication.expect("it is enabled");
    assert!(plan.has_public_keys());
    let accounts = plan.accounts(&mut HashedPasswords::new([3; 32]), None).expect("good");
    let ann = Identity::user("ann").with_scopes(["write"]);
    assert_eq!(accounts.key_verdict("ann", KEY), Verdict::Accepted(ann));
    assert_eq!(accounts.key_verdict("bob", OTHER), Verdict::Accepted(Identity::user("bob")));
    for (user, key) in [("ann", OTHER), ("bob", KEY), ("root", KEY), ("", KEY), ("ann", ""), ("ann", "ssh-ed25519")] {
        assert!(matches!(accounts.key_verdict(user, key), Verdict::Refused(_)), "{user} {key}");
    }
    assert!(accounts.has_user("ann") && accounts.account("ann").is_none(), "without a password");
    assert!(accounts.account("bob").is_some());
}

#[test]
fn shared_password_is_not_that_of_a_user_with_keys_alone() {
    let text = format!(
        "authentication: {{ enabled: true, iterations: 4096, shared_password: x, users: {{ ann: {{ keys: [{KEY}] }} }} }}"
    );
    let plan = good(&Sources::new().file("drupe.yaml", &text)).plan.authentication.expect("it is enabled");
    let accounts = plan.accounts(&mut HashedPasswords::new([3; 32]), None).expect("good");
    assert!(accounts.account("ann").is_none() && accounts.account("eve").is_some());
}

#[test]
fn keys_that_cannot_log_in_are_errors_at_the_start() {
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQA=";
    for (users, words) in [
        (
            format!("ann: {{ keys: [{KEY}, {rsa}] }}"),
            "authentication.users.ann.keys: key 2: keys of the type ssh-rsa are not supported",
        ),
        ("ann: { keys: [ssh-ed25519 AAAA] }".into(), "authentication.users.ann.keys: key 1: it is not a public key"),
        (format!("ann: {{ keys: [no-pty {KEY}] }}"), "authentication.users.ann.keys: key 1: options in front of a key"),
        (
            format!("ann: {{ keys: [{KEY}] }}, bob: {{ keys: [{OTHER}, '{KEY} bob'] }}"),
            "authentication.users.bob.keys: key 2: the user ann has the same key",
        ),
        ("ann: { scopes: [a] }".into(), "authentication.users.ann: a user needs a password or keys"),
    ] {
        let problems = with_users(&users).resolve().map(|_| ()).expect_err(&users).to_string();
        assert!(problems.contains(words), "{users}: {problems}");
    }
}

#[test]
fn keys_that_no_listener_accepts_are_warned_of() {
    let users = format!("ann: {{ keys: [{KEY}] }}");
    let is_warned = |sources: &Sources| {
        let warnings = good(sources).warnings;
        warnings.iter().any(|warning| format!("{warning:?}").contains("no listener accepts them"))
    };
    assert!(!is_warned(&with_users(&users)));
    assert!(is_warned(&with_users(&users).set("listeners.a.ssh.keys", "false").set("listeners.a.ssh.login", "none")));
}
