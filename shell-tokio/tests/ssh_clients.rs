//! SSH listeners with the clients that people have: each is skipped, in one line, where it is not installed.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

#[path = "ssh_clients/hostile.rs"]
mod hostile;
#[path = "ssh_clients/logins.rs"]
mod logins;
#[path = "ssh_clients/stage.rs"]
mod stage;
mod support;

use stage::Stage;
use std::os::unix::fs::PermissionsExt;
use support::{Client, browser, is_installed, read, skip};

#[test]
fn openssh_plink_telnet_nc_and_chromium_share_a_room() {
    let stage = Stage::new("room");
    let program = stage.start(
        "listeners:
  a: { address: '127.0.0.1:0', protocol: ssh, app: chat, ssh: { host_key: host, login: none } }
  b: { address: '127.0.0.1:0', protocol: telnet, app: chat, telnet: { mode: character } }
  c: { address: '127.0.0.1:0', protocol: tcp, app: chat }
  d: { address: '127.0.0.1:0', protocol: websocket, app: chat }\n",
        4,
    );
    let ports: Vec<String> = (0..4).map(|place| program.port_of(place).to_string()).collect();
    let Some(mut nc) = Client::start("nc", &["127.0.0.1", &ports[2]]) else { return };
    nc.hear_until("came to lobby");
    let mut others = Vec::new();
    if let Some(ssh) = stage.ssh_on_terminal(&program, "ann", &[]) {
        others.push(("ssh", ssh, "\r"));
    }
    let fingerprint = stage.fingerprint();
    let plink = ["-ssh", "-batch", "-hostkey", &fingerprint, "-l", "bob", "-P", &ports[0], "127.0.0.1"];
    if let Some(plink) = Client::start_on_terminal("plink", &plink) {
        others.push(("plink", plink, "\r"));
    }
    if let Some(telnet) = Client::start_on_terminal("telnet", &["127.0.0.1", &ports[1]]) {
        others.push(("telnet", telnet, "\r"));
    }
    if let Some((python, browser)) = browser() {
        let url = format!("http://127.0.0.1:{}/", ports[3]);
        let page = Client::start(&python, &["-c", include_str!("ssh_clients/browser.py"), &url, browser]);
        others.push(("page", page.expect("it is installed"), "\n"));
    }
    for (name, client, ending) in &mut others {
        client.hear_until("came to lobby");
        client.say(&format!("I am on {name}{ending}"));
        nc.hear_until(&format!("I am on {name}"));
    }
    nc.say("hello to all\n");
    for (_, client, _) in &mut others {
        client.hear_until("hello to all");
    }
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn openssh_on_a_terminal_is_edited_by_the_server() {
    let stage = Stage::new("edited");
    let program = stage.chat();
    let Some(mut ssh) = stage.ssh_on_terminal(&program, "ann", &[]) else { return };
    ssh.hear_until("* guest1 came to lobby");
    ssh.say("hexx");
    ssh.hear_until("hexx");
    ssh.say("\x7f\x7fll");
    ssh.hear_until("hell");
    ssh.say("o\x01Oh, ");
    ssh.hear_until("Oh, hello");
    ssh.say("\r");
    ssh.hear_until("<guest1> Oh, hello");
    ssh.say("\x1b[A\x1b[A!\r");
    ssh.hear_until("<guest1> Oh, hello!");
    // Control-D leaves.
    ssh.say("\x04");
    let rest = ssh.rest();
    assert!(rest.contains("* goodbye") && !rest.contains('\0'), "{rest:?}");
    stage.0.wait_for("log", "reason=application", 1);
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn openssh_without_terminal_sends_and_receives_lines() {
    let stage = Stage::new("lines");
    let program = stage.echo("");
    let Some(mut ssh) = stage.ssh(&program, "ann", &["-T"]) else { return };
    ssh.say("one\ntwo\n");
    assert_eq!((ssh.hear(), ssh.hear()), ("one".into(), "two".into()));
    ssh.say("and no line feed");
    assert_eq!(ssh.rest(), "and no line feed\n");
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn command_is_one_line_and_ends_after_its_answer() {
    let stage = Stage::new("exec");
    let program = stage.echo("");
    let run = |options: &[&str], command: &str| stage.ssh_output(&program, "ann", options, Some(command));
    let Some((code, printed, _)) = run(&[], "hello there") else { return };
    assert_eq!((code, printed.as_str()), (Some(0), "hello there\n"));
    let (code, printed, _) = run(&["-tt"], "hello").expect("installed");
    assert_eq!((code, printed.as_str()), (Some(0), "hello\r\n"));
    let (code, printed, _) = run(&[], "two\nlines").expect("installed");
    assert_eq!((code, printed.as_str()), (Some(255), ""));
    stage.0.wait_for("log", "a command that is not one short line", 1);
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn much_output_and_input_arrive_in_order() {
    let stage = Stage::new("much");
    // The client is faster than the rate limits allow, and would be told so between the lines.
    let program = stage.start(
        "listeners: { a: { address: '127.0.0.1:0', protocol: ssh, app: echo, notices: false, ssh: { host_key: host, login: none } } }\n",
        1,
    );
    let lines: String = (0..40_000).map(|number| format!("line {number} of the many that are sent\n")).collect();
    let file = stage.0.0.join("lines");
    std::fs::write(&file, &lines).expect("written");
    if !is_installed("ssh") {
        return skip("there is no ssh on this machine");
    }
    let mut command = stage.command(&program, "ann", &["-T"], None);
    let output = command.stdin(std::fs::File::open(&file).expect("it is there")).output().expect("it runs");
    assert!(
        output.stdout == lines.as_bytes(),
        "{} of {} bytes: {:?}",
        output.stdout.len(),
        lines.len(),
        first_difference(&output.stdout, lines.as_bytes())
    );
    assert_eq!(program.terminate_quietly(), Some(0));
}

/// Returns the first line that differs.
fn first_difference(heard: &[u8], said: &[u8]) -> Option<String> {
    let (heard, said) = (heard.split(|byte| *byte == b'\n'), said.split(|byte| *byte == b'\n'));
    let different = heard.zip(said).find(|(heard, said)| heard != said);
    different.map(|(heard, _)| String::from_utf8_lossy(heard).into_owned())
}

#[test]
fn everything_but_a_session_is_refused_and_logged() {
    let stage = Stage::new("refused");
    let program = stage.echo("");
    let target = program.port_of(0).to_string();
    let forward = format!("127.0.0.1:{target}");
    // A tunnel of stdin: the client asks for a channel to another address, and no session.
    let Some((code, _, said)) = stage.ssh_output(&program, "ann", &["-W", &forward], None) else { return };
    assert_eq!(code, Some(255), "{said}");
    stage.0.wait_for("log", "forwarding to", 1);
    stage.0.wait_for("log", "reason=no_session", 1);
    let remote = ["-R", "0:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes"];
    let (code, _, said) = stage.ssh_output(&program, "ann", &remote, Some("x")).expect("installed");
    assert!(code == Some(255) && said.contains("remote port forwarding failed"), "{said}");
    stage.0.wait_for("log", "forwarding from", 1);
    let (code, ..) = stage.ssh_output(&program, "ann", &["-s"], Some("sftp")).expect("installed");
    assert_eq!(code, Some(255));
    stage.0.wait_for("log", "the subsystem", 1);
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn environment_and_terminal_reach_the_application() {
    let stage = Stage::new("environment");
    let program = stage.echo("");
    // The application that shows them is an example; here, the variables are admitted or refused.
    let many: Vec<String> = (0..40).map(|number| format!("SetEnv=V{number}=x")).collect();
    let options: Vec<&str> = many.iter().take(1).flat_map(|option| ["-o", option.as_str()]).collect();
    let Some((code, printed, _)) = stage.ssh_output(&program, "ann", &options, Some("hello")) else { return };
    assert_eq!((code, printed.as_str()), (Some(0), "hello\n"));
    let all = format!("SetEnv={}", (0..40).map(|number| format!("V{number}=x")).collect::<Vec<_>>().join(" "));
    let (code, printed, _) = stage.ssh_output(&program, "ann", &["-o", &all], Some("hello")).expect("installed");
    assert_eq!((code, printed.as_str()), (Some(0), "hello\n"), "what is too much is left out");
    stage.0.wait_for("log", "an environment variable beyond the limits", 1);
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn host_key_is_created_once_and_kept() {
    let stage = Stage::new("host-key");
    let program = stage.echo("");
    let file = stage.0.0.join("host");
    let mode = std::fs::metadata(&file).expect("it was created").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let key = read(&file);
    let fingerprint = stage.fingerprint();
    stage.0.wait_for("log", &format!("which was created now has the fingerprint {fingerprint}"), 1);
    assert_eq!(program.terminate_quietly(), Some(0));
    let program = stage.echo("");
    assert_eq!(read(&file), key);
    stage.0.wait_for("log", &fingerprint, 1);
    assert!(!read(&stage.0.0.join("log")).contains("which was created now"));
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn reload_applies_new_keys_to_new_connections() {
    let stage = Stage::new("reload");
    let program = stage.echo("authorized_keys: keys, login: required");
    let Some((code, ..)) = stage.ssh_output(&program, "ann", &["-i", &stage.key("ann")], Some("x")) else { return };
    assert_eq!(code, Some(0));
    std::fs::remove_file(stage.0.0.join("keys/ann")).expect("it is there");
    program.signal("-HUP");
    stage.0.wait_for("log", "reloaded; listening on", 1);
    let (code, ..) = stage.ssh_output(&program, "ann", &["-i", &stage.key("ann")], Some("x")).expect("installed");
    assert_eq!(code, Some(255));
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn mistakes_at_the_start_name_the_file_and_the_line() {
    let stage = Stage::new("mistakes");
    let start = |address: &str| {
        let mut command = std::process::Command::new(support::program_path());
        let output = command.args(["--listen", address]).current_dir(&stage.0.0).output().expect("it was built");
        assert_eq!(output.status.code(), Some(1), "{address}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let key = read(&stage.0.0.join("ann.pub"));
    std::fs::write(stage.0.0.join("bad"), format!("# keys\n\n{key}no-pty {key}")).expect("written");
    std::fs::write(stage.0.0.join("open"), "no key").expect("written");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(stage.0.0.join("open"), open).expect("it is ours");
    for (options, words) in [
        ("", "it admits nobody"),
        ("?authorized_keys=keys&login=none", "remove one of them"),
        ("?authorized_keys=bad", "bad:4: options in front of a key are not supported"),
        ("?authorized_keys=missing", "missing: it can't be read"),
        ("?login=none&host_key=open", "chmod 600"),
        ("?login=none&host_key=none/host", "none/host: the host key can't be created"),
        ("?passwords=yes", "there are no users with passwords"),
        ("?keys=yes", "it takes keys of users, but no user has any"),
    ] {
        let said = start(&format!("ssh://127.0.0.1:0{options}"));
        assert!(said.contains(words), "{options}: {said}");
    }
}
