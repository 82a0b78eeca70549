//! Settings of SSH listeners.

use drupe_core::settings::{Resolved, Sources};
use drupe_core::telnet::InputMode;
use drupe_core::wire::Protocol;
use drupe_core::wire::ssh::SshServer;
use std::time::Duration;

/// Values of all keys of SSH, each of which must change the plan: see `every_settings_key_has_an_effect`.
pub(crate) const SSH_EFFECTS: &str = "
listeners.a.ssh.host_key=x <- listeners.a.protocol=ssh
listeners.a.ssh.authorized_keys=x <- listeners.a.protocol=ssh
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
        "protocol: ssh, ssh: { host_key: k, authorized_keys: a, passwords: true, mode: keys, login_timeout: 7s, startups_max: 9 }",
    ));
    let server = SshServer::default()
        .host_key_path("k".into())
        .authorized_keys_path(Some("a".into()))
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
