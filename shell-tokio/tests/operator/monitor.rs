//! The monitor in a browser, and for a program that speaks its JSON messages.

use super::{TLS, certificate, connect};
use crate::support;
use crate::support::{Directory, Program};
use drupe_core::websocket::{Opcode, frame};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

const MONITOR: &str = r##"
import sys
from playwright.sync_api import sync_playwright

url, shot, browser, session = sys.argv[1:5]

with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
    problems = []
    assert chromium.new_context(ignore_https_errors=True).request.get(url).status == 401
    pages = []
    for size in ({"width": 1280, "height": 900}, {"width": 390, "height": 844}):
        context = chromium.new_context(
            viewport=size, ignore_https_errors=True, color_scheme="dark" if size["width"] > 500 else "light",
            http_credentials={"username": "me", "password": "0123456789abcdef"})
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        page.wait_for_function("() => document.getElementById('state').innerText.includes('connected')", timeout=20000)
        page.wait_for_selector(f"#sessions tr[data-session='{session}']", timeout=20000)
        pages.append(page)
    page, phone = pages
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.click(f"#sessions tr[data-session='{session}'] [data-action=watch]")
    page.wait_for_function("() => document.getElementById('watch-state').innerText.includes('watching')", timeout=20000)
    print("watching", flush=True)
    assert sys.stdin.readline() == "said\n"
    page.wait_for_function("() => document.getElementById('watched').innerText.includes('<b>hello</b>')", timeout=20000)
    page.wait_for_function("() => document.getElementById('log').innerText.includes('opened: 0.1')", timeout=20000)
    assert page.evaluate("document.querySelectorAll('#watched b').length") == 0
    page.fill("#quarantine-address", "192.0.2.1")
    page.click("#quarantine-form [data-action=quarantine]")
    page.click("#ask-yes")
    page.wait_for_function("() => document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    phone.wait_for_function("() => document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    page.screenshot(path=shot + "-monitor-wide.png", full_page=True)
    phone.screenshot(path=shot + "-monitor-narrow.png", full_page=True)
    page.click("#quarantine-list [data-action=release]")
    page.wait_for_function("() => !document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    page.click(f"#sessions tr[data-session='{session}'] [data-action=kick]")
    page.click("#ask-yes")
    page.wait_for_function("session => !document.querySelector(`#sessions tr[data-session='${session}']`)", arg=session, timeout=20000)
    print("kicked", flush=True)
    assert sys.stdin.readline() == "drain\n"
    page.click("#drain")
    page.click("#ask-yes")
    page.wait_for_function("() => !document.getElementById('draining').hidden", timeout=20000)
    assert not [problem for problem in problems if "WebSocket" not in problem], problems
    print("done", flush=True)
    chromium.close()
"##;

#[test]
fn browser_monitor_watches_kicks_and_drains() {
    let Some(python) = support::python("playwright") else { return };
    let browsers = ["/usr/bin/chromium", "/usr/bin/google-chrome"];
    let Some(browser) = browsers.iter().find(|path| Path::new(path).exists()) else {
        support::skip("there is no chromium on this machine");
        return;
    };
    let directory = Directory::new("monitor");
    certificate(&directory.0);
    std::fs::write(directory.0.join("credential"), "0123456789abcdef\n").expect("written");
    let config = format!(
        "listeners:\n  lines: {{ address: '127.0.0.1:0', app: echo }}\n  \
         web: {{ address: '127.0.0.1:0', protocol: websocket, websocket: {{ monitor: true }}, {TLS} }}\n\
         monitor: {{ credential_file: credential, interval: 200ms }}\ndrain: {{ grace: 2s }}\n"
    );
    let program = Program::configured(&directory.0, &config, 2, |_| {});
    let mut ann = BufReader::new(connect(program.port_of(0)));
    let mut line = String::new();
    ann.get_mut().write_all(b"hi\n").expect("sent");
    ann.read_line(&mut line).expect("it answers");
    let shot = std::env::temp_dir().join(format!("drupe-page-{}", std::process::id())).display().to_string();
    let shot = std::env::var("DRUPE_TEST_SCREENSHOT").unwrap_or(shot);
    let url = format!("https://localhost:{}/monitor", program.port_of(1));
    let mut page = support::Client::start(&python, &["-c", MONITOR, &url, &shot, browser, "0.1"]).expect("it is there");
    page.hear_until("watching\n");
    ann.get_mut().write_all(b"<b>hello</b>\n").expect("sent");
    line.clear();
    ann.read_line(&mut line).expect("it answers");
    page.say("said\n");
    page.hear_until("kicked\n");
    let mut rest = String::new();
    ann.read_to_string(&mut rest).expect("a kind end");
    assert_eq!(rest, "closing (kicked): an operator closed the connection\n");
    page.say("drain\n");
    page.hear_until("done\n");
    assert_eq!(program.wait(), Some(0));
}

/// A program that watches, as a client of the JSON messages.
struct Watcher(BufReader<TcpStream>);

impl Watcher {
    fn connect(port: u16) -> Self {
        let mut stream = BufReader::new(connect(port));
        let request = "GET /monitor HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Authorization: Bearer 0123456789abcdef\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        stream.get_mut().write_all(request.as_bytes()).expect("sent");
        let mut line = String::new();
        stream.read_line(&mut line).expect("it answers");
        assert!(line.starts_with("HTTP/1.1 101 "), "{line}");
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).expect("it answers");
        }
        Self(stream)
    }

    fn send(&mut self, message: &Value) {
        let mut bytes = Vec::new();
        frame(Opcode::Text, message.to_string().as_bytes(), Some([1, 2, 3, 4]), &mut bytes);
        self.0.get_mut().write_all(&bytes).expect("sent");
    }

    fn next(&mut self) -> Value {
        let mut bytes = |count: usize| {
            let mut bytes = vec![0; count];
            self.0.read_exact(&mut bytes).expect("a frame in time");
            bytes
        };
        loop {
            let head = bytes(2);
            let length = match head[1] {
                126 => usize::from(u16::from_be_bytes(bytes(2).try_into().expect("two"))),
                length => length.into(),
            };
            let payload = bytes(length);
            // The server pings and closes, too.
            if head[0] & 0xf == 1 {
                return serde_json::from_slice(&payload).expect("JSON");
            }
        }
    }

    /// Returns the next message of which this holds.
    fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Value {
        std::iter::repeat_with(|| self.next()).find(holds).expect("there is always a next one")
    }
}

#[test]
fn monitor_shows_and_controls_the_connections_of_all_workers() {
    let directory = Directory::new("workers");
    let config = "workers: 2\nlisteners:\n  lines: { address: '127.0.0.1:0', app: echo }\n  \
                  web: { address: '127.0.0.1:0', app: echo, protocol: websocket, websocket: { monitor: true } }\n\
                  monitor: { credential: 0123456789abcdef, interval: 200ms }\ndrain: { grace: 0s, window: 0s }\n";
    let program = Program::configured(&directory.0, config, 2, |_| {});
    let mut peers: Vec<_> = (0..4).map(|_| BufReader::new(connect(program.port_of(0)))).collect();
    // Each is open once it answers.
    let say = |peer: &mut BufReader<TcpStream>, words: &str| {
        peer.get_mut().write_all(words.as_bytes()).expect("sent");
        let mut line = String::new();
        peer.read_line(&mut line).expect("it answers");
        assert_eq!(line, words);
    };
    peers.iter_mut().for_each(|peer| say(peer, "hi\n"));
    let mut watchers = [0, 1].map(|_| Watcher::connect(program.port_of(1)));
    let mut ids = Vec::new();
    for watcher in &mut watchers {
        let list = watcher.until(|message| message["type"] == "active_sessions" && message["total"] == 4);
        let sessions = list["sessions"].as_array().expect("a list").clone();
        ids = sessions.iter().map(|session| session["id"].as_str().expect("an id").to_owned()).collect();
        // The ids of the first worker have no number of a worker.
        assert_eq!(ids.iter().filter(|id| id.starts_with("1:")).count(), 2, "{ids:?}");
        let stats = watcher.until(|message| message["type"] == "stats" && message["metrics"]["open"] == 6);
        assert_eq!((&stats["watchers"], stats["draining"].as_bool()), (&2.into(), Some(false)));
    }
    for watcher in &mut watchers {
        // One on each worker, and every peer speaks.
        for id in [&ids[0], &ids[2]] {
            watcher.send(&json!({ "type": "watch_session", "session_id": id }));
            let answer = watcher.until(|message| message["type"] == "watch_response");
            assert_eq!(answer["status"], "success", "{answer}");
            peers.iter_mut().for_each(|peer| say(peer, "seen\n"));
            let said = watcher.until(|message| message["type"] == "client_input");
            assert_eq!((&said["session_id"], &said["data"]["text"]), (&Value::from(id.as_str()), &"seen".into()));
        }
    }
    for (watcher, id) in watchers.iter_mut().zip([&ids[2], &ids[0]]) {
        watcher.send(&json!({ "type": "kick", "session_id": id }));
        // Each watcher sees what the other one closes, too.
        let is_its_end =
            |message: &Value| message["type"] == "session_ended" && message["session"]["id"] == id.as_str();
        assert_eq!(watcher.until(is_its_end)["reason"], "kicked");
    }
    // The second one is on the second worker.
    watchers[1].send(&json!({ "type": "drain" }));
    let kicked = peers.iter_mut().map(|peer| {
        let mut rest = String::new();
        peer.read_to_string(&mut rest).expect("a kind end");
        rest.contains("kicked")
    });
    assert_eq!(kicked.filter(|kicked| *kicked).count(), 2);
    drop(watchers);
    assert_eq!(program.wait(), Some(0));
}
