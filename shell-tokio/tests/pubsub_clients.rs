//! The application `pubsub` with the Centrifuge clients that people have, and with plain sockets. What is not installed
//! is skipped, with a word about it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

#[path = "pubsub_clients/hosts.rs"]
mod hosts;
#[path = "cluster/redis.rs"]
mod redis;
mod support;

use std::path::Path;
use std::process::Command;
use support::{Client, Directory, Program, python, skip};

const CONFIGURATION: &str = include_str!("pubsub_clients/drupe.yaml");

/// The server of one script. When it is started again, it has the same ports, where its clients look for it.
struct Server<'a> {
    directory: &'a Directory,
    anonymous: bool,
    workers: usize,
    has_backend: bool,
    has_events: bool,
}

/// The rules of channels on which the backend decides.
const ASKED: &str = "{ subscribe_proxy_enabled: true, publish_proxy_enabled: true, presence: true, history_size: 10, \
                     history_ttl: 60s, allow_history_for_subscriber: true, allow_presence_for_subscriber: true }";

impl Server<'_> {
    fn start(&self, lines: u16, web: u16) -> Program {
        // The comment at its beginning names the words, and is none of them.
        let (_, text) = CONFIGURATION.split_once('\n').expect("a comment");
        let text = text
            .replace("ANONYMOUS", &self.anonymous.to_string())
            .replace("WORKERS", &self.workers.to_string())
            .replace("LINES", &lines.to_string())
            .replace("BACKEND", &self.backend())
            .replace("EVENTS", &self.has_events.to_string())
            .replace("ASKED", if self.has_backend { ASKED } else { "{}" })
            .replace("WEB", &web.to_string());
        Program::configured(&self.directory.0, &text, 2, |_| {})
    }

    /// Returns the settings of the backend, which listens at a socket in the directory.
    fn backend(&self) -> String {
        let socket = self.directory.0.join("backend");
        let hooks = "connect: true, rpc: true, disconnect: true";
        let rest = "prefix: /hooks, authorization: Bearer of-drupe, http_headers: [Cookie]";
        if self.has_backend {
            format!("{{ connection: {{ address: 'unix://{}' }}, {hooks}, {rest} }}", socket.display())
        } else {
            "{}".into()
        }
    }

    /// Runs a script, does to the server what it asks for, and expects that it finds everything good.
    ///
    /// `more`: its arguments behind the ports.
    fn run(&self, interpreter: &str, arguments: &[&str], script: &str, more: &[&str]) {
        let mut program = self.start(0, 0);
        // The listeners are in the order of their names.
        let (lines, web) = (program.port_of(0), program.port_of(1));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pubsub_clients").join(script);
        let (path, ports) = (path.display().to_string(), [web.to_string(), lines.to_string()]);
        let socket = self.directory.0.join("backend").display().to_string();
        let arguments = [arguments, &[&path, &ports[0], &ports[1]], more, &[&socket]].concat();
        let mut client = Client::start(interpreter, &arguments).expect("it is installed");
        loop {
            match client.hear().as_str() {
                "good" => return,
                "stop" => program.signal("-STOP"),
                "continue" => program.signal("-CONT"),
                "kill" => {
                    drop(program);
                    program = self.start(lines, web);
                }
                "drain" => {
                    program.signal("-TERM");
                    assert_eq!(program.wait(), Some(0));
                    program = self.start(lines, web);
                }
                other => panic!("{script} with {} workers: {other}{}", self.workers, client.rest()),
            }
            client.say("go\n");
        }
    }
}

/// Runs a script on one worker and on two. With another program than this package's, only on two, which takes half the time.
fn on_one_and_two_workers(interpreter: &str, arguments: &[&str], script: &str, anonymous: bool, more: &[&str]) {
    let fewest = if support::is_own_program() { 1 } else { 2 };
    for workers in fewest..=2 {
        let directory = Directory::new(&format!("pubsub-{script}-{workers}"));
        let (has_backend, has_events) = (script.starts_with("backend"), script.starts_with("events"));
        let server = Server { directory: &directory, anonymous, workers, has_backend, has_events };
        server.run(interpreter, arguments, script, more);
    }
}

/// Returns `true` if Node has the Centrifuge client. `DRUPE_TEST_NODE_MODULES` is the directory of its packages.
fn has_javascript_client() -> bool {
    if !support::is_installed("node") {
        skip("there is no node on this machine");
        return false;
    }
    let check = "for (const name of ['centrifuge', 'ws']) \
                 require('module').createRequire(process.env.DRUPE_TEST_NODE_MODULES + '/_.js')(name)";
    let found = Command::new("node").args(["-e", check]).output();
    let is_found = found.is_ok_and(|output| output.status.success());
    if !is_found {
        skip("node has no centrifuge and ws");
    }
    is_found
}

/// Runs a script in Node, if it has the Centrifuge client.
fn node(script: &str, anonymous: bool) {
    if has_javascript_client() {
        on_one_and_two_workers("node", &[], script, anonymous, &[]);
    }
}

/// Runs a script in Python, if it has the Centrifuge client.
fn centrifuge_python(script: &str, anonymous: bool, more: &[&str]) {
    if python("jwt").is_none() {
        return;
    }
    let Some(python) = python("centrifuge") else { return };
    // Nothing compiled is left beside the scripts.
    on_one_and_two_workers(&python, &["-B"], script, anonymous, more);
}

#[test]
fn curl_gets_streams_of_events() {
    if !support::is_installed("curl") {
        return skip("there is no curl on this machine");
    }
    centrifuge_python("events_curl.py", true, &[]);
}

#[test]
fn event_source_of_a_browser_comes_back_and_misses_nothing() {
    let Some((_, browser)) = support::browser() else { return };
    centrifuge_python("events.py", true, &[browser]);
}

#[test]
fn javascript_client_recovers_in_a_browser() {
    let Some((_, browser)) = support::browser() else { return };
    let modules = std::env::var("DRUPE_TEST_NODE_MODULES").unwrap_or_default();
    let library = format!("{modules}/centrifuge/dist/centrifuge.js");
    if !Path::new(&library).exists() {
        return skip("there is no centrifuge for browsers on this machine");
    }
    centrifuge_python("centrifuge_browser.py", true, &[browser, &library]);
}

#[test]
fn javascript_client_publishes_reads_and_is_refused() {
    node("channels.mjs", true);
}

#[test]
fn javascript_client_recovers_what_it_missed_or_is_told() {
    node("recovery.mjs", true);
}

#[test]
fn javascript_client_renews_its_tokens() {
    node("tokens.mjs", false);
}

#[test]
fn people_on_plain_sockets_share_channels_with_javascript_client() {
    node("people.mjs", true);
}

#[test]
fn python_client_publishes_reads_and_is_refused() {
    centrifuge_python("channels.py", true, &[]);
}

#[test]
fn python_client_recovers_what_it_missed_or_is_told() {
    centrifuge_python("recovery.py", true, &[]);
}

#[test]
fn page_shows_operators_the_channels() {
    if support::browser().is_some() {
        centrifuge_python("page.py", false, &[]);
    }
}

#[test]
fn guide_for_backends_is_true() {
    // It is about every program alike.
    if !support::is_own_program() {
        return;
    }
    let Some((_, browser)) = support::browser() else { return };
    if python("jwt").is_none() || python("cent").is_none() {
        return;
    }
    let Some(python) = python("centrifuge") else { return };
    if !support::is_installed("node") || std::env::var_os("DRUPE_TEST_NODE_MODULES").is_none() {
        return skip("there is no node with packages on this machine");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pubsub_clients/guide.py").display().to_string();
    let program = support::program_path();
    // The script starts the server itself, with the configuration of the guide.
    let output = Command::new(python)
        .args(["-B", &script, "0", "0", program])
        .env("DRUPE_TEST_BROWSER", browser)
        .output()
        .expect("it is installed");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    said.lines().filter_map(|line| line.strip_prefix("skip: ")).for_each(skip);
    assert!(said.lines().any(|line| line == "good"), "{said}{wrong}");
}

#[test]
fn backend_decides_who_may_do_what() {
    if python("aiohttp").is_some() {
        centrifuge_python("backend.py", false, &[]);
    }
}

#[test]
fn backend_uses_the_http_api() {
    if python("cent").is_some() {
        centrifuge_python("api.py", true, &[]);
    }
}

#[test]
fn python_client_renews_its_tokens() {
    centrifuge_python("tokens.py", false, &[]);
}
