//! The program behind a reverse SSH tunnel, as an operator has it: YAML, real clients, a browser, signals.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unreachable,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests use the rest of what they share")]

use crate::ssh::SshServer;
use crate::support::{Client, Directory, Program, program_path, read};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Lines, telnet and the web on the other side of a tunnel, and the monitor here.
fn configuration(server: &SshServer) -> String {
    let (ip, port, user) = (server.address.ip(), server.address.port(), &server.user);
    let (key, known_hosts) = (server.path("id"), server.path("known_hosts"));
    format!(
        "listeners:
  lines: {{ forward: {{ tunnel: edge, remote_bind_host: 127.0.0.1 }} }}
  monitor: {{ address: '127.0.0.1:0', protocol: websocket, websocket: {{ monitor: true }} }}
  tel: {{ forward: {{ tunnel: edge, remote_bind_host: 127.0.0.1 }}, protocol: telnet }}
  web: {{ forward: {{ tunnel: edge, remote_bind_host: 127.0.0.1 }}, protocol: websocket }}
monitor: {{ credential: 0123456789abcdef, interval: 200ms }}
tunnels:
  edge:
    ssh_host: {ip}
    ssh_port: {port}
    ssh_user: {user}
    ssh_key_path: {key}
    known_hosts: [{known_hosts}]
    reconnect: {{ backoff: 50ms, cap: 200ms }}
"
    )
}

/// The port on the other side, by the scheme of what listens there, as the last lines of the log have it.
fn port(directory: &Directory, scheme: &str) -> u16 {
    let log = read(&directory.0.join("log"));
    let place = log.rmatch_indices(&format!("{scheme}://127.0.0.1:")).next().expect("it is told").0;
    let rest = log[place..].split_once("127.0.0.1:").expect("found").1;
    rest.split('?').next().and_then(|port| port.parse().ok()).expect("a port")
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

#[test]
fn tunnel_configuration_errors_name_place_and_remedy() {
    let server = SshServer::russh();
    let directory = Directory::new("tunnel-check");
    fs::set_permissions(server.path("other"), fs::Permissions::from_mode(0o644)).expect("ours");
    for (set, words) in [
        ("", "the configuration is valid"),
        ("ssh_key_path: /none", "tunnels.edge.ssh_key_path: the key /none can't be read: No such file"),
        ("ssh_key_path: OTHER", "(its mode is 0644): chmod 600"),
        ("known_hosts: [/none]", "tunnels.edge.known_hosts: the file known_hosts /none can't be read"),
        ("known_hosts: []", "tunnels.edge.known_hosts: it needs at least one file of known hosts"),
        ("ssh_key_path: drupe.yaml", "is not a private key in OpenSSH's format"),
    ] {
        let set = set.replace("OTHER", &server.path("other"));
        let (name, _) = set.split_once(':').unwrap_or((" ", ""));
        let lines = configuration(&server);
        let lines = lines.lines().filter(|line| !line.trim_start().starts_with(name));
        let text: String = lines.map(|line| format!("{line}\n")).chain([format!("    {set}\n")]).collect();
        fs::write(directory.0.join("drupe.yaml"), &text).expect("written");
        fs::set_permissions(directory.0.join("drupe.yaml"), fs::Permissions::from_mode(0o600)).expect("ours");
        let run = |arguments: &[&str]| {
            let output =
                Command::new(program_path()).args(arguments).current_dir(&directory.0).stdin(Stdio::null()).output();
            let output = output.expect("it was built");
            (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        let (is_good, said) = run(&["check", "drupe.yaml"]);
        assert!(is_good == set.is_empty() && said.contains(words), "{text}{said}");
        if !is_good {
            let (_, said) = run(&["--config", "drupe.yaml"]);
            assert!(said.contains(words) && said.contains("drupe.yaml:"), "{said}");
        }
    }
}

#[test]
fn operator_sees_tunnel_state_and_reloads_it() {
    for mut server in SshServer::each() {
        let directory = Directory::new("tunnel-program");
        let text = configuration(&server);
        let program = Program::configured(&directory.0, &text, 1, |_| {});
        directory.wait_for("log", "tunnel edge: up; listening on ", 1);
        let here = program.port_of(0);
        assert!(get(here, "/readyz").ends_with("ready\ntunnel edge: up\n"));
        let metrics = get(here, "/metrics");
        for line in ["up{tunnel=\"edge\"} 1", "forwards_bound{tunnel=\"edge\"} 3", "connects_total{tunnel=\"edge\"} 1"]
        {
            assert!(metrics.contains(&format!("drupe_tunnel_{line}\n")), "{metrics}");
        }
        let mut peer = BufReader::new(TcpStream::connect(("127.0.0.1", port(&directory, "tcp"))).expect("it listens"));
        peer.get_mut().write_all(b"hi\n").expect("sent");
        let mut line = String::new();
        peer.read_line(&mut line).expect("an answer");
        server.take_down();
        let _ = peer.read_to_end(&mut Vec::new());
        directory.wait_for("log", "reason=tunnel_lost", 1);
        directory.wait_for("log", "WARN operation: tunnel edge: waiting (network: ", 1);
        let metrics = get(here, "/metrics");
        assert!(metrics.contains("drupe_tunnel_last_error{tunnel=\"edge\",error=\"network\"} 1\n"), "{metrics}");
        assert!(metrics.contains("drupe_connections_ended_total{reason=\"tunnel_lost\"} 1\n"), "{metrics}");
        server.bring_back();
        directory.wait_for("log", "tunnel edge: up; listening on ", 2);
        // A wrong key is an error, not a storm; and mended with a reload.
        fs::rename(server.path("authorized_keys"), server.path("kept")).expect("renamed");
        fs::write(server.path("authorized_keys"), read(Path::new(&server.path("other.pub")))).expect("written");
        server.take_down();
        server.bring_back();
        directory.wait_for("log", "ERROR operation: tunnel edge: waiting (authentication: ", 1);
        assert!(get(here, "/readyz").ends_with("ready\ntunnel edge: waiting\n"));
        fs::rename(server.path("kept"), server.path("authorized_keys")).expect("renamed");
        fs::write(directory.0.join("drupe.yaml"), text.replace("  tel:", "  tell:").replace("telnet", "tcp"))
            .expect("written");
        program.signal("-HUP");
        directory.wait_for("log", "tunnel edge: up; listening on ", 3);
        let log = read(&directory.0.join("log"));
        assert!(log.contains("changed: listeners.tell.protocol: (none) -> \"tcp\""), "{log}");
        // A key that is gone changes nothing.
        fs::write(directory.0.join("drupe.yaml"), text.replace("/id\n", "/gone\n")).expect("written");
        program.signal("-HUP");
        directory.wait_for("log", "drupe.yaml:12: tunnels.edge.ssh_key_path: the key ", 1);
        assert!(get(here, "/readyz").ends_with("ready\ntunnel edge: up\n"));
        // Without it.
        let without = "listeners:\n  monitor: { address: '127.0.0.1:0', protocol: websocket }\n";
        fs::write(directory.0.join("drupe.yaml"), without).expect("written");
        program.signal("-HUP");
        directory.wait_for("log", "tunnel edge: closed", 1);
        assert!(get(here, "/readyz").ends_with("\r\n\r\nready\n"));
        program.signal("-TERM");
        assert_eq!(program.wait(), Some(0));
    }
}

#[test]
fn telnet_nc_and_browser_chat_through_a_tunnel() {
    let Some(server) = SshServer::open("") else { return };
    let directory = Directory::new("tunnel-clients");
    let program = Program::configured(&directory.0, &configuration(&server), 1, |_| {});
    directory.wait_for("log", "tunnel edge: up; listening on ", 1);
    let port_of = |scheme: &str| port(&directory, scheme).to_string();
    let Some(mut nc) = Client::start("nc", &["127.0.0.1", &port_of("tcp")]) else { return };
    nc.say("/nick nat\n");
    nc.hear_until("nat");
    let mut telnet = Client::start("telnet", &["127.0.0.1", &port_of("telnet")]);
    if let Some(telnet) = &mut telnet {
        telnet.hear_until("Escape character is '^]'.");
        telnet.say("/nick tess\n");
        nc.hear_until("tess");
        telnet.say("hello from telnet\n");
        nc.hear_until("<tess> hello from telnet");
        nc.say("hello from nc\n");
        telnet.hear_until("<nat> hello from nc");
    }
    let browsers = ["/usr/bin/chromium", "/usr/bin/google-chrome"];
    if let (Some(python), Some(browser)) =
        (crate::support::python("playwright"), browsers.iter().find(|path| Path::new(path).exists()))
    {
        let there = format!("http://127.0.0.1:{}/", port_of("ws"));
        let here = format!("http://127.0.0.1:{}/monitor", program.port_of(0));
        let shot = directory.0.join("page").display().to_string();
        let shot = std::env::var("DRUPE_TEST_SCREENSHOT").unwrap_or(shot);
        // nc, the page, and telnet where there is one.
        let count = if telnet.is_some() { "3 open" } else { "2 open" };
        let mut page =
            Client::start(&python, &["-c", PAGES, &there, &here, browser, &shot, count]).expect("it is there");
        nc.hear_until("hello from a browser");
        nc.say("hello from nc again\n");
        page.hear_until("done\n");
    }
    program.signal("-TERM");
    assert!(nc.hear_until("closing (shutdown)").contains("notice: the server is shutting down"));
    drop(nc.rest());
    assert_eq!(program.wait(), Some(0));
    // Goodbye was said.
    assert!(
        read(&server.directory.join("sshd.log")).contains("the server has ended"),
        "{}",
        read(&server.directory.join("sshd.log"))
    );
}

const PAGES: &str = r##"
import sys
from playwright.sync_api import sync_playwright

there, here, browser, shot, count = sys.argv[1:6]

with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
    problems = []
    context = chromium.new_context(http_credentials={"username": "me", "password": "0123456789abcdef"})
    monitor = context.new_page()
    monitor.on("pageerror", lambda error: problems.append(str(error)))
    monitor.goto(here)
    monitor.wait_for_selector("#tunnel-list li[data-state=up]", timeout=20000)
    words = monitor.inner_text("#tunnel-list li")
    assert "edge" in words and "lines at 127.0.0.1:" in words and "connected 1 of 1 times" in words, words
    page = chromium.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(there)
    page.wait_for_selector("input:not([disabled])", timeout=20000)
    page.keyboard.type("hello from a browser")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.body.innerText.includes('hello from nc again')", timeout=20000, polling=100)
    monitor.wait_for_function("count => document.getElementById('tunnel-list').innerText.includes(count)", arg=count, timeout=20000, polling=100)
    monitor.screenshot(path=shot + "-tunnels.png", full_page=True)
    assert not problems, problems
    print("done", flush=True)
    chromium.close()
"##;
