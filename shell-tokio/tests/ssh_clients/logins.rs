//! Logins with keys, agents and passwords.

use crate::stage::{Running, Stage, output};
use crate::support::{Client, Program, is_installed, program_path, read, skip};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const KEYS: &str = "login: required, authorized_keys: keys";

#[test]
fn openssh_logs_in_with_its_key_and_not_with_another() {
    let stage = Stage::new("keys");
    let program = stage.echo(KEYS);
    let run = |user: &str, key: &str| stage.ssh_output(&program, user, &["-i", &stage.key(key)], Some("hello"));
    let Some((code, printed, said)) = run("ann", "ann") else { return };
    assert_eq!((code, printed.as_str()), (Some(0), "hello\n"), "{said}");
    stage.0.wait_for("log", "user=ann", 1);
    // A wrong key, the key of another user, and a user without keys.
    for (user, key) in [("ann", "mallory"), ("mallory", "ann"), ("root", "mallory")] {
        let (code, _, said) = run(user, key).expect("installed");
        assert!(code == Some(255) && said.contains("Permission denied"), "{said}");
    }
    stage.0.wait_for("log", "reason=unauthorized", 3);
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn comments_of_one_file_name_the_users() {
    let stage = Stage::new("comments");
    let text: String = ["ann.pub", "mallory.pub"]
        .map(|name| std::fs::read_to_string(stage.0.0.join(name)).expect("it is there"))
        .concat();
    std::fs::write(stage.0.0.join("all"), text).expect("written");
    let program = stage.echo("login: required, authorized_keys: all");
    let run = |user: &str, key: &str| stage.ssh_output(&program, user, &["-i", &stage.key(key)], Some("hello"));
    let Some((code, ..)) = run("mallory", "mallory") else { return };
    assert_eq!(code, Some(0));
    let (code, ..) = run("ann", "mallory").expect("installed");
    assert_eq!(code, Some(255), "a key does not log in as another user");
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn openssh_logs_in_through_an_agent() {
    if !is_installed("ssh-agent") || !is_installed("ssh") {
        return skip("there is no ssh-agent on this machine");
    }
    let stage = Stage::new("agent");
    let program = stage.echo(KEYS);
    // Both are offered: the first one is refused.
    let port = program.port_of(0).to_string();
    let known = stage.key("known_hosts");
    let script = format!(
        "ssh-add -q {0} {1} && exec ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=accept-new \
         -o UserKnownHostsFile={known} -p {port} -l ann 127.0.0.1 hello",
        stage.key("mallory"),
        stage.key("ann"),
    );
    let mut agent = Command::new("timeout");
    let (code, printed, said) = output(agent.args(["180", "ssh-agent", "sh", "-c", &script]).stdin(Stdio::null()));
    assert_eq!((code, printed.as_str()), (Some(0), "hello\n"), "{said}");
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn open_listener_asks_for_a_login_where_the_program_requires_one() {
    let stage = Stage::new("dialogue");
    let program = stage.start(
        "listeners: { a: { address: '127.0.0.1:0', protocol: ssh, app: echo, ssh: { host_key: host, login: none } } }
authentication: { enabled: true, dialogue: true, iterations: 4096, users: { ann: { password: correct } } }\n",
        1,
    );
    let Some(mut ssh) = stage.ssh_on_terminal(&program, "root", &[]) else { return };
    ssh.hear_until("user: ");
    ssh.say("ann\r");
    ssh.hear_until("password: ");
    ssh.say("correct\r");
    let heard = ssh.hear_until("you are ann");
    assert!(!heard.contains("correct"), "{heard}");
    ssh.say("hello\r");
    ssh.hear_until("hello\r\n");
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn openssh_and_plink_log_in_with_a_password() {
    let stage = Stage::new("passwords");
    let program = stage.start(
        "listeners: { a: { address: '127.0.0.1:0', protocol: ssh, app: echo, ssh: { host_key: host, passwords: true } } }
authentication: { enabled: true, iterations: 4096, tries: 1, users: { ann: { password: correct } } }\n",
        1,
    );
    let fingerprint = stage.fingerprint();
    for (password, expected) in [("correct", Some(0)), ("wrong", Some(255))] {
        let Some((code, said)) = log_in(&stage, &program, "ann", password) else { break };
        assert_eq!(code, expected, "{said}");
    }
    // The password was counted, as on another wire. After its tries, the connection ends.
    if is_installed("ssh") {
        stage.0.wait_for("log", "wrong user name or password", 1);
        stage.0.wait_for("log", "reason=unauthorized", 1);
    }
    for (password, word) in [("correct", "hello"), ("wrong", "")] {
        let port = program.port_of(0).to_string();
        let arguments = ["-ssh", "-batch", "-hostkey", &fingerprint, "-l", "ann", "-pw", password, "-P", &port];
        let arguments: Vec<&str> = arguments.into_iter().chain(["127.0.0.1", "hello"]).collect();
        let Some(plink) = Client::start("plink", &arguments) else { break };
        let printed = plink.rest();
        assert!(printed.contains(word) && (word.is_empty() == printed.is_empty()), "{password}: {printed}");
    }
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn application_decides_about_keys_that_no_file_has() {
    let stage = Stage::new("provider");
    let public = read(&stage.0.0.join("ann.pub"));
    std::fs::write(stage.0.0.join("members"), format!("ann {public}")).expect("written");
    let mut path = std::path::PathBuf::from(env!("CARGO_BIN_EXE_drupe"));
    path.pop();
    path.extend(["examples", "ssh"]);
    let mut example = Command::new(path);
    let address = format!("ssh://127.0.0.1:0?keys=yes&host_key={}", stage.key("host"));
    example.arg(stage.key("members")).arg(address);
    let program = Running::of(Program::spawned(example, 1));
    let run = |user: &str, key: &str| stage.ssh_output(&program, user, &["-i", &stage.key(key)], Some("/who"));
    let Some((code, printed, said)) = run("ann", "ann") else { return };
    assert!(code == Some(0) && printed.contains("you are ann"), "{printed} {said}");
    // A key that nobody has, a member with the key of another one, and a name that is no member's.
    for (user, key) in [("ann", "mallory"), ("mallory", "ann"), ("root", "mallory")] {
        let (code, _, said) = run(user, key).expect("installed");
        assert!(code == Some(255) && said.contains("Permission denied"), "{said}");
    }
    // The unknown key is refused when it is offered, and then the next one is accepted.
    let both = ["-i", &stage.key("mallory"), "-i", &stage.key("ann")];
    let (code, ..) = stage.ssh_output(&program, "ann", &both, Some("/who")).expect("installed");
    assert_eq!(code, Some(0));
    let (code, printed) = program.terminate();
    assert_eq!(code, Some(0));
    assert!(!printed.contains("failed"), "an offer is no proof: {printed}");
}

/// The text of a configuration in which the users have these public keys, and the address takes them.
fn with_keys(stage: &Stage, users: &[(&str, &str)]) -> String {
    let users: String = users
        .iter()
        .map(|(user, key)| {
            let public = read(&stage.0.0.join(format!("{key}.pub")));
            format!("    {user}: {{ keys: ['{}'], scopes: [write] }}\n", public.trim())
        })
        .collect();
    format!(
        "listeners: {{ a: {{ address: '127.0.0.1:0', protocol: ssh, app: echo, ssh: {{ host_key: host, keys: true }} }} }}\n\
         authentication:\n  enabled: true\n  failures_per_address: 2/1h burst 2\n  users:\n{users}"
    )
}

#[test]
fn keys_of_users_in_the_configuration_log_them_in_and_a_reload_replaces_them() {
    let stage = Stage::new("configured");
    let program = stage.start(&with_keys(&stage, &[("ann", "ann")]), 1);
    let run = |user: &str, key: &str| stage.ssh_output(&program, user, &["-i", &stage.key(key)], Some("hello"));
    let is_refused = |user: &str, key: &str| {
        let (code, _, said) = run(user, key).expect("installed");
        assert!(code == Some(255) && said.contains("Permission denied"), "{user} with {key}: {said}");
    };
    let Some((code, printed, said)) = run("ann", "ann") else { return };
    assert_eq!((code, printed.as_str()), (Some(0), "notice: you are ann\nhello\n"), "{said}");
    stage.0.wait_for("log", "user=ann", 1);
    // Refused offers are no failures: there are more of them than failures are allowed.
    for (user, key) in [("ann", "mallory"), ("mallory", "ann"), ("mallory", "mallory"), ("root", "ann")] {
        is_refused(user, key);
    }
    let (both, ann) = (["-i", &stage.key("mallory"), "-i", &stage.key("ann")], run("ann", "ann").expect("installed"));
    assert_eq!(ann.0, Some(0), "{}", ann.2);
    let (code, ..) = stage.ssh_output(&program, "ann", &both, Some("hello")).expect("installed");
    assert_eq!(code, Some(0), "the second key is hers");
    // A reload with a key of two users is refused, and the keys stay.
    let change = |users: &[(&str, &str)], words: &str| {
        std::fs::write(stage.0.0.join("drupe.yaml"), with_keys(&stage, users)).expect("written");
        program.signal("-HUP");
        stage.0.wait_for("log", words, 1);
    };
    change(&[("ann", "ann"), ("bob", "ann")], "authentication.users.bob.keys: key 1: the user ann has the same key");
    assert_eq!(run("ann", "ann").expect("installed").0, Some(0));
    change(&[("bob", "mallory")], "reloaded; listening on");
    is_refused("ann", "ann");
    let (code, _, said) = run("bob", "mallory").expect("installed");
    assert_eq!(code, Some(0), "{said}");
    stage.0.wait_for("log", "user=bob", 1);
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn users_log_in_with_keys_of_each_curve() {
    let stage = Stage::new("curves");
    let users = ["p256", "p384", "p521"];
    for user in users {
        stage.make_key(user, &["-t", "ecdsa", "-b", &user[1..]]);
    }
    let program = stage.start(&with_keys(&stage, &users.map(|user| (user, user))), 1);
    for (place, user) in users.into_iter().enumerate() {
        let identity = ["-i", &stage.key(user)];
        let Some((code, printed, said)) = stage.ssh_output(&program, user, &identity, Some("hello")) else { return };
        assert_eq!((code, printed), (Some(0), format!("notice: you are {user}\nhello\n")), "{said}");
        let other = users[(place + 1) % users.len()];
        let (code, _, said) = stage.ssh_output(&program, other, &identity, Some("hello")).expect("installed");
        assert!(code == Some(255) && said.contains("Permission denied"), "{other} with the key of {user}: {said}");
    }
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn start_names_the_setting_of_a_key_that_cannot_log_in() {
    let stage = Stage::new("bad-keys");
    stage.make_key("rsa", &["-t", "rsa", "-b", "2048"]);
    std::fs::copy(stage.0.0.join("ann.pub"), stage.0.0.join("same.pub")).expect("copied");
    let none = with_keys(&stage, &[]).replace("  users:\n", "  shared_password: x\n");
    for (text, words) in [
        (with_keys(&stage, &[("ann", "rsa")]), "authentication.users.ann.keys: key 1: keys of the type ssh-rsa"),
        (with_keys(&stage, &[("ann", "ann"), ("bob", "same")]), "authentication.users.bob.keys: key 1: the user ann"),
        (none, "listeners.a.ssh.keys: it takes keys of users, but no user has any"),
    ] {
        let path = stage.0.0.join("bad.yaml");
        std::fs::write(&path, text).expect("written");
        let mut program = Command::new(program_path());
        program.arg("--config").arg(&path).current_dir(&stage.0.0).stdin(Stdio::null());
        let (code, _, said) = output(&mut program);
        assert!(code == Some(1) && said.contains(words), "{words}: {said}");
    }
}

#[test]
fn users_of_the_store_log_in_with_their_passwords_and_failures_count_for_all_listeners() {
    let stage = Stage::new("store");
    let text = "listeners:
  a: { address: '127.0.0.1:0', protocol: ssh, app: echo, ssh: { host_key: host, passwords: true } }
  b: { address: '127.0.0.1:0', protocol: tcp, app: echo }
authentication: { enabled: true, dialogue: true, iterations: 4096, store: users.db, failures_per_address: 3/1h }\n";
    let add = |name: &str| {
        std::fs::write(stage.0.0.join("drupe.yaml"), text).expect("written");
        let mut user = Command::new(crate::support::program_path());
        user.args(["user", "add", name, "--config", "drupe.yaml"]).current_dir(&stage.0.0);
        let mut user = user.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it was built");
        std::io::Write::write_all(&mut user.stdin.take().expect("piped"), b"correct horse\n").expect("it reads");
        assert!(user.wait().expect("it exits").success());
    };
    add("ann");
    let program = stage.start(text, 2);
    let Some((code, said)) = log_in(&stage, &program, "ann", "correct horse") else { return };
    assert_eq!(code, Some(0), "{said}");
    for _ in 0..3 {
        let (code, said) = log_in(&stage, &program, "ann", "wrong").expect("installed");
        assert_eq!(code, Some(255), "{said}");
    }
    let (code, said) = log_in(&stage, &program, "ann", "correct horse").expect("installed");
    assert_eq!(code, Some(255), "too many were wrong: {said}");
    stage.0.wait_for("log", "too many failures", 1);
    let Some(mut nc) = Client::start("nc", &["127.0.0.1", &program.port_of(1).to_string()]) else { return };
    nc.say("ann\ncorrect horse\n");
    nc.hear_until("too many failures");
    assert_eq!(program.terminate_quietly(), Some(0));
}

/// Logs in with a password, as somebody who types it does. Returns the exit code and the messages.
fn log_in(stage: &Stage, program: &Running, user: &str, password: &str) -> Option<(Option<i32>, String)> {
    if !is_installed("ssh") {
        skip("there is no ssh on this machine");
        return None;
    }
    let ask = stage.0.0.join("ask");
    std::fs::write(&ask, format!("#!/bin/sh\necho {password}\n")).expect("written");
    std::fs::set_permissions(&ask, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    let options = ["-o", "NumberOfPasswordPrompts=1", "-o", "PreferredAuthentications=password"];
    let mut ssh = stage.command(program, user, &options, Some("hello"));
    let (code, _, said) = output(ssh.env("SSH_ASKPASS", &ask).env("SSH_ASKPASS_REQUIRE", "force"));
    Some((code, said))
}
