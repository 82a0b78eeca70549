//! The program as those see it who ask over HTTP: health checks of haproxy, refused requests in the log, scrapes that are
//! no connections, and requests where no HTTP is spoken, with real clients.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

use crate::support::{Directory, Other, Program, is_installed, read};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    stream
}

/// What is answered to these bytes until the other end closes.
fn ask(port: u16, bytes: &[u8]) -> String {
    let mut stream = connect(port);
    stream.write_all(bytes).expect("sent");
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8_lossy(&heard).into_owned()
}

fn curl(arguments: &[&str]) -> String {
    let output =
        Command::new("curl").args(["-sS", "--max-time", "30"]).args(arguments).output().expect("it is installed");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// What haproxy says of each of its servers: the backend's name, and how the last check went.
fn checks(stats: u16) -> Vec<(String, String)> {
    let text = ask(stats, b"GET /;csv HTTP/1.0\r\n\r\n");
    let mut lines = text.lines().skip_while(|line| !line.starts_with("# pxname"));
    let Some(names) = lines.next() else { return Vec::new() };
    let place = names.split(',').position(|name| name == "check_status").expect("it is there");
    let of_server = lines.map(|line| line.split(',').collect::<Vec<_>>()).filter(|fields| fields.get(1) == Some(&"d"));
    of_server.map(|fields| (fields[0].to_owned(), fields[place].trim_start_matches("* ").to_owned())).collect()
}

/// Waits until haproxy has found of every server what it should.
fn wait_for_checks(stats: u16, expected: &str) {
    let began = std::time::Instant::now();
    loop {
        let checks = checks(stats);
        if !checks.is_empty() && checks.iter().all(|(_, status)| status == expected) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not all are {expected}: {checks:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn haproxy_health_checks_follow_readiness_of_every_listener() {
    if !is_installed("haproxy") {
        eprintln!("skipped: there is no haproxy on this machine");
        return;
    }
    let directory = Directory::new("health");
    let config = "listeners:\n  a: { address: '127.0.0.1:0', app: echo, protocol: websocket }\n  \
        b: { address: '127.0.0.1:0', app: echo, protocol: ws+telnet }\n  \
        c: { address: '127.0.0.1:0', app: echo, protocol: auto }\n  \
        d: { address: '127.0.0.1:0', app: echo, protocol: websocket, websocket: { hosts: [example.org], path: /chat, page: false, metrics: off } }\n\
        drain: { grace: 1h, deadline: 2h }\n";
    let program = Program::configured(&directory.0, config, 4, |_| {});
    let file = directory.0.join("haproxy.cfg");
    let (_haproxy, [stats]) = Other::start(|[stats]| {
        let mut haproxy = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             listen stats\n bind 127.0.0.1:{stats}\n stats enable\n stats uri /\n"
        );
        for listener in 0..4 {
            let port = program.port_of(listener);
            for (number, check) in [
                " option httpchk\n",
                " option httpchk GET /readyz\n",
                " option httpchk HEAD /readyz\n",
                " option httpchk\n http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host elsewhere.example\n http-check expect status 200\n",
                " option httpchk\n http-check send meth OPTIONS uri * ver HTTP/1.1 hdr Host www\n",
            ]
            .into_iter()
            .enumerate()
            {
                let server = format!("server d 127.0.0.1:{port} check inter 100ms");
                writeln!(haproxy, "backend check_{listener}_{number}\n{check} {server}").expect("memory");
            }
        }
        std::fs::write(&file, haproxy).expect("written");
        let child = Command::new("haproxy").arg("-f").arg(&file).arg("-db").stderr(Stdio::null()).spawn();
        child.expect("it is installed")
    });
    wait_for_checks(stats, "L7OK");
    assert_eq!(checks(stats).len(), 20);
    // Who is told to go says so to all of them.
    program.signal("-TERM");
    wait_for_checks(stats, "L7STS");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

#[test]
fn refused_requests_are_logged_and_scrapes_do_not_count() {
    if !is_installed("curl") {
        eprintln!("skipped: there is no curl on this machine");
        return;
    }
    let directory = Directory::new("refused");
    let config = "listeners: { web: { address: '127.0.0.1:0', app: echo, protocol: websocket, \
        websocket: { metrics: credential } } }\nmonitor: { metrics_credential: 0123456789abcdef }\n";
    let program = Program::configured(&directory.0, config, 1, |_| {});
    let port = program.port_of(0);
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let refused = curl(&["-i", "-H", "Host: evil.example", &url("/")]);
    assert!(refused.starts_with("HTTP/1.1 421 ") && refused.contains("websocket.hosts"), "{refused}");
    let foreign = UPGRADE.replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n");
    let answer = ask(port, foreign.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("websocket.origins"), "{answer}");
    let secure = UPGRADE.replace("\r\n\r\n", "\r\nOrigin: https://localhost\r\n\r\n");
    assert!(ask(port, secure.as_bytes()).starts_with("HTTP/1.1 403 "), "a page of https is of another origin");
    assert!(curl(&["-i", &url("/nothing")]).starts_with("HTTP/1.1 404 "));
    for words in [
        "WARN connections: request refused: the name in Host is not a name of this server (websocket.hosts)",
        "host=\"evil.example\" origin=\"-\"",
        "WARN connections: request refused: pages of this origin may not connect (websocket.origins)",
        "host=\"localhost\" origin=\"http://evil.example\"",
        "request refused: there is nothing at this path",
    ] {
        directory.wait_for("log", words, 1);
    }
    // The credential opens the metrics, and no monitor.
    assert!(curl(&["-i", &url("/metrics")]).starts_with("HTTP/1.1 401 "));
    let bearer = "Authorization: Bearer 0123456789abcdef";
    let metrics = curl(&["-H", bearer, &url("/metrics")]);
    for words in [
        "\ndrupe_connections_opened_total 3\n",
        "\ndrupe_connections_ended_total{reason=\"host_refused\"} 1\n",
        "\ndrupe_connections_ended_total{reason=\"origin_refused\"} 2\n",
        "\ndrupe_http_requests_refused_total{reason=\"not_found\"} 1\n",
    ] {
        assert!(metrics.contains(words), "{words} is not in {metrics}");
    }
    assert!(curl(&["-i", "-H", bearer, &url("/monitor")]).starts_with("HTTP/1.1 404 "));
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    let log = read(&directory.0.join("log"));
    assert!(!log.contains("0123456789abcdef"), "no secret is in the log: {log}");
}

#[test]
fn http_posts_to_lines_and_telnet_do_not_reach_the_chat() {
    if !is_installed("curl") {
        eprintln!("skipped: there is no curl on this machine");
        return;
    }
    let directory = Directory::new("posts");
    let config = "listeners:\n  a: { address: '127.0.0.1:0' }\n  b: { address: '127.0.0.1:0', protocol: telnet }\n  \
        c: { address: '127.0.0.1:0', protocol: auto }\n  d: { address: '127.0.0.1:0', refuse_http: false }\n";
    let program = Program::configured(&directory.0, config, 4, |_| {});
    let mut ann = BufReader::new(connect(program.port_of(0)));
    ann.get_mut().write_all(b"/nick ann\n").expect("sent");
    for listener in 0..4 {
        let url = format!("http://127.0.0.1:{}/", program.port_of(listener));
        let body = "/nick page\nI was here\n";
        curl(&["-H", "Origin: http://evil.example", "-H", "Content-Type: text/plain", "--data-binary", body, &url]);
    }
    // A connection that a browser made ahead, and a request that comes once it is taken for a terminal.
    let mut late = connect(program.port_of(2));
    late.read_exact(&mut [0; 3]).expect("it is asked what terminal it is");
    late.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nI was late\n").expect("sent");
    let mut rest = Vec::new();
    let _ = late.read_to_end(&mut rest);
    // Only where it was switched off is a page heard at all.
    let mut heard = String::new();
    while !heard.contains("I was here") {
        assert!(ann.read_line(&mut heard).expect("it is told") > 0, "{heard}");
    }
    ann.get_mut().write_all(b"/who\n").expect("sent");
    assert!(heard.matches("I was here").count() == 1 && !heard.contains("I was late"), "{heard}");
    directory.wait_for("log", "reason=wrong_protocol", 3);
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}
