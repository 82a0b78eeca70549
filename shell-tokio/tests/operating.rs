//! The program as an operator runs it: configurations, TLS, proxies, reloads, drains, systemd, logs, with real clients.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

mod support;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use support::{DRUPE, Directory, Other, Program, is_installed, read};

fn drupe(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(DRUPE).args(arguments).current_dir(directory).stdin(Stdio::null()).output().expect("it was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes `cert.pem` and `key.pem`.
fn certificate(directory: &Path) {
    for name in ["cert.pem", "key.pem"] {
        let _ = std::fs::remove_file(directory.join(name));
    }
    let output = drupe(directory, &["cert", "--self-signed"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

const TLS: &str = "tls: { certificates: [{ certificate: cert.pem, key: key.pem }] }";

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a socket");
    stream
}

#[test]
fn a_configuration_is_checked_explained_and_written() {
    let directory = Directory::new("check");
    let path = &directory.0;
    std::fs::write(path.join("good.yaml"), "listeners: { a: { address: '127.0.0.1:0' } }").expect("written");
    std::fs::write(path.join("bad.yaml"), "listeners:\n  a:\n    addres: '127.0.0.1:0'\n").expect("written");
    let good = drupe(path, &["check", "good.yaml"]);
    assert_eq!((good.status.code(), text(&good.stdout).as_str()), (Some(0), "the configuration is good\n"));
    let explained = text(&drupe(path, &["check", "good.yaml", "--explain", "--set", "drain.grace=5s"]).stdout);
    assert!(explained.contains("drain.grace: \"5s\" # --set drain.grace"), "{explained}");
    let bad = drupe(path, &["check", "bad.yaml"]);
    let words = "bad.yaml:3: listeners.a.addres: there is no such key; did you mean address?";
    assert!(bad.status.code() == Some(1) && text(&bad.stderr).contains(words), "{}", text(&bad.stderr));
    // It serves nothing of it either.
    let served = drupe(path, &["--config", "bad.yaml"]);
    assert!(served.status.code() == Some(1) && text(&served.stderr).contains(words), "{}", text(&served.stderr));
    let missing = drupe(path, &["check", "missing.yaml"]);
    assert!(text(&missing.stderr).contains("can't read missing.yaml: No such file"), "{}", text(&missing.stderr));
    let tls = format!("listeners: {{ a: {{ address: '127.0.0.1:0', {TLS} }} }}");
    std::fs::write(path.join("tls.yaml"), tls).expect("written");
    let missing = text(&drupe(path, &["check", "tls.yaml"]).stderr);
    assert!(missing.contains("listeners.a.tls: can't read a certificate in cert.pem"), "{missing}");
    for profile in ["development", "production", "testing"] {
        let template = drupe(path, &["template", "--profile", profile]);
        std::fs::write(path.join("template.yaml"), &template.stdout).expect("written");
        assert!(drupe(path, &["check", "template.yaml"]).status.success(), "{profile}");
    }
    assert!(text(&drupe(path, &["template", "--environment"]).stdout).contains("#DRUPE_DRAIN__GRACE=0ms"));
    assert!(text(&drupe(path, &["schema"]).stdout).contains("https://json-schema.org/draft/2020-12/schema"));
    assert!(text(&drupe(path, &["man"]).stdout).contains(".SH \"DRUPE CHECK\""));
    assert!(text(&drupe(path, &["completions", "bash"]).stdout).contains("--self-signed"));
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/drupe.example.yaml");
    let example = std::fs::read_to_string(example).expect("it is there").replace("/etc/drupe/", "");
    certificate(path);
    std::fs::write(path.join("monitor-credential"), "0123456789abcdef\n").expect("written");
    std::fs::write(path.join("metrics-credential"), "fedcba9876543210\n").expect("written");
    std::fs::write(path.join("example.yaml"), example).expect("written");
    let checked = drupe(path, &["check", "example.yaml"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let again = drupe(path, &["cert", "--self-signed"]);
    assert!(text(&again.stderr).contains("key.pem: File exists"), "a key is not written over: {}", text(&again.stderr));
}

fn openssl(port: u16, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("timeout")
        .args(["30", "openssl", "s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    child.stdin.as_mut().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn openssl_and_curl_find_tls_as_it_should_be() {
    if !is_installed("openssl") || !is_installed("curl") {
        support::skip("there is no openssl or no curl on this machine");
        return;
    }
    let directory = Directory::new("tls");
    certificate(&directory.0);
    let config = format!(
        "listeners:\n  a: {{ address: '127.0.0.1:0', app: echo, {TLS} }}\n  b: {{ address: '127.0.0.1:0', protocol: websocket, {TLS} }}\n"
    );
    let program = Program::configured(&directory.0, &config, 2, |_| {});
    let (lines, web) = (program.port_of(0), program.port_of(1));
    assert!(program.addresses[0].starts_with("tls://") && program.addresses[1].starts_with("wss://"));
    let ca = directory.0.join("cert.pem").display().to_string();
    let verify = ["-CAfile", &ca, "-verify_return_error", "-servername", "localhost", "-ign_eof"];
    for (version, name) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        // The server ends what is ended, and says so beneath: `Q` would not be sent to it.
        let heard = openssl(lines, &[&verify[..5], &[version, "-quiet", "-no_ign_eof"]].concat(), "hello\n");
        let said = openssl(lines, &[&verify[..5], &[version]].concat(), "");
        assert!(
            said.contains(&format!("Protocol version: {name}")) || said.contains(&format!("New, {name}")),
            "{said}"
        );
        assert!(said.contains("Verify return code: 0 (ok)") || said.contains("Verification: OK"), "{said}");
        assert!(!heard.contains("error"), "{heard}");
    }
    // What is not safe is not spoken: old versions, static RSA, CBC, RC4, null, export; no renegotiation, no compression.
    for arguments in [
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..],
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"],
        &["-tls1_3", "-curves", "secp521r1"],
    ] {
        let said = openssl(lines, arguments, "");
        assert!(
            said.contains("alert") || said.contains("no protocols") || said.contains("no ciphers"),
            "{arguments:?}: {said}"
        );
        assert!(
            !said.contains("New, TLSv1.2, Cipher is A") || said.contains("Cipher is (NONE)"),
            "{arguments:?}: {said}"
        );
    }
    let said = openssl(lines, &["-tls1_2"], "");
    assert!(said.contains("Secure Renegotiation IS supported") && said.contains("Compression: NONE"), "{said}");
    let said = openssl(web, &["-alpn", "http/1.1"], "");
    assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
    // A session is resumed.
    let session = directory.0.join("session").display().to_string();
    openssl(lines, &["-tls1_2", "-sess_out", &session], "");
    let said = openssl(lines, &["-tls1_2", "-sess_in", &session], "");
    assert!(said.contains("Reused, TLSv1.2"), "{said}");
    let url = format!("https://localhost:{web}/healthz");
    let curl = Command::new("curl").args(["-sS", "--cacert", &ca, "-i", &url]).output().expect("it is installed");
    let answer = text(&curl.stdout);
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}{}", text(&curl.stderr));
    // Who speaks plainly is told nothing.
    let mut plain = connect(lines);
    plain.write_all(b"hello there\n").expect("sent");
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard);
    assert!(heard.is_empty() || heard[0] == 21, "{heard:?}");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

/// A connection from another address of the loopback network.
fn connect_from(from: [u8; 4], port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("all of 127 is ours");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a socket");
    stream
}

/// What the relay says of who speaks through a proxy, to somebody who listens without one.
fn told_address(listener: u16, mut speaker: impl Write) -> String {
    let mut heard = BufReader::new(connect(listener));
    let (mut line, done) = (String::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        let (done, line) = (&done, &mut line);
        scope.spawn(move || {
            heard.read_line(line).expect("it speaks");
            done.store(true, Ordering::SeqCst);
        });
        // The relay tells nobody who is there, so words are said until they are heard.
        while !done.load(Ordering::SeqCst) {
            if speaker.write_all(b"hello\n").and_then(|()| speaker.flush()).is_err() {
                break;
            }
            thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    line
}

#[test]
fn haproxy_says_whom_it_speaks_for() {
    if !is_installed("haproxy") {
        support::skip("there is no haproxy on this machine");
        return;
    }
    let directory = Directory::new("haproxy");
    certificate(&directory.0);
    let config = format!(
        "envelope: json\nlisteners:\n  direct: {{ address: '127.0.0.1:0', app: relay }}\n  \
         proxied: {{ address: '127.0.0.1:0', app: relay, proxy_protocol: {{ trusted: [127.0.0.1] }} }}\n  \
         secure: {{ address: '127.0.0.1:0', app: relay, proxy_protocol: {{ trusted: [127.0.0.1] }}, {TLS} }}\n"
    );
    let program = Program::configured(&directory.0, &config, 3, |_| {});
    let (proxied, secure, file) = (program.port_of(1), program.port_of(2), directory.0.join("haproxy.cfg"));
    let (_haproxy, [v1, v2, v2_tls]) = Other::start(|[v1, v2, v2_tls]| {
        let haproxy = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             listen v1\n bind 127.0.0.1:{v1}\n server d 127.0.0.1:{proxied} send-proxy\n\
             listen v2\n bind 127.0.0.1:{v2}\n server d 127.0.0.1:{proxied} send-proxy-v2\n\
             listen v2_tls\n bind 127.0.0.1:{v2_tls}\n server d 127.0.0.1:{secure} send-proxy-v2\n"
        );
        std::fs::write(&file, haproxy).expect("written");
        let child = Command::new("haproxy").arg("-f").arg(&file).arg("-db").stderr(Stdio::null()).spawn();
        child.expect("it is installed")
    });
    for port in [v1, v2] {
        let told = told_address(program.port_of(0), connect_from([127, 0, 0, 5], port));
        assert!(told.contains("\"remote_addr\":\"127.0.0.5:"), "{told}");
    }
    let stream = tls_over(&directory.0, connect_from([127, 0, 0, 6], v2_tls));
    let told = told_address(program.port_of(0), stream);
    assert!(told.contains("\"remote_addr\":\"127.0.0.6:"), "{told}");
    // Who is no proxy is not let in, whatever it says.
    let mut liar = connect_from([127, 0, 0, 9], program.port_of(1));
    let _ = liar.write_all(b"PROXY TCP4 127.0.0.5 127.0.0.1 5 6\r\n");
    let mut heard = Vec::new();
    let _ = liar.read_to_end(&mut heard);
    assert_eq!(heard, b"");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn nginx_says_whom_it_speaks_for() {
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    if !is_installed("nginx") || !Path::new(module).exists() {
        support::skip("there is no nginx with its stream module on this machine");
        return;
    }
    let directory = Directory::new("nginx");
    let config = "envelope: json\nlisteners:\n  direct: { address: '127.0.0.1:0', app: relay }\n  \
         proxied: { address: '127.0.0.1:0', app: relay, proxy_protocol: { trusted: [127.0.0.1] } }\n  \
         web: { address: '127.0.0.1:0', app: relay, protocol: websocket, forwarded: { trusted: [127.0.0.1] } }\n";
    let program = Program::configured(&directory.0, config, 3, |_| {});
    let (proxied, web, path) = (program.port_of(1), program.port_of(2), directory.0.display());
    let file = directory.0.join("nginx.conf");
    let (_nginx, [stream, http]) = Other::start(|[stream, http]| {
        let nginx = format!(
            "load_module {module};\ndaemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/error.log;\n\
             events {{}}\nstream {{ server {{ listen 127.0.0.1:{stream}; proxy_pass 127.0.0.1:{proxied}; proxy_protocol on; }} }}\n\
             http {{\n access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;\n \
             uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n \
             server {{ listen 127.0.0.1:{http}; location / {{ proxy_pass http://127.0.0.1:{web}; proxy_http_version 1.1;\n  \
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_set_header Host localhost;\n  \
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }}\n}}\n"
        );
        std::fs::write(&file, nginx).expect("written");
        let child =
            Command::new("nginx").arg("-c").arg(&file).arg("-p").arg(&directory.0).stderr(Stdio::null()).spawn();
        child.expect("it is installed")
    });
    let told = told_address(program.port_of(0), connect_from([127, 0, 0, 7], stream));
    assert!(told.contains("\"remote_addr\":\"127.0.0.7:"), "{told}");
    let mut socket = connect_from([127, 0, 0, 8], http);
    // What a client claims stands before what nginx adds.
    socket
        .write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: 6.6.6.6\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        )
        .expect("sent");
    let told = told_address(program.port_of(0), Framed(socket));
    assert!(told.contains("\"remote_addr\":\"127.0.0.8:"), "{told}");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

/// Puts what is written into frames of text, masked with nothing.
struct Framed(TcpStream);

impl Write for Framed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = u8::try_from(bytes.len()).expect("short");
        self.0.write_all(&[&[0x81, 0x80 | length, 0, 0, 0, 0][..], bytes].concat())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn tls_over(directory: &Path, stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("cert.pem")).expect("a certificate")).expect("good");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("good"), stream)
}

/// Says numbered lines and hears each again, in order, until it is told to stop; then how many.
fn echo(stream: impl Read + Write, stop: &AtomicBool, count: &AtomicU64) {
    let mut stream = BufReader::new(stream);
    let (mut n, mut line) = (0u64, String::new());
    while !stop.load(Ordering::SeqCst) {
        let words = format!("{n} {}\n", "x".repeat(usize::try_from(n % 977).expect("small")));
        stream.get_mut().write_all(words.as_bytes()).expect("it is read");
        line.clear();
        stream.read_line(&mut line).expect("it answers");
        assert_eq!(line, words, "not a byte is lost");
        n += 1;
        count.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_hundred_reloads_under_load_lose_nobody_and_no_byte() {
    let directory = Directory::new("reload");
    certificate(&directory.0);
    let config = |n: usize| {
        format!(
            "listeners:\n  a: {{ address: '127.0.0.1:0', app: echo, welcome: '{n}' }}\n  b: {{ address: '127.0.0.1:0', app: echo, {TLS} }}\n\
             limits: {{ connections_max: {}, peer: {{ messages: unlimited, bytes: unlimited }} }}\n",
            100 + n
        )
    };
    let program = Program::configured(&directory.0, &config(0), 2, |_| {});
    let (stop, said) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut welcomes = Vec::new();
    thread::scope(|scope| {
        for n in 0..8 {
            let (stop, said, path) = (&stop, &said, &directory.0);
            if n % 2 == 0 {
                let mut plain = BufReader::new(connect(program.port_of(0)));
                let mut welcome = String::new();
                plain.read_line(&mut welcome).expect("it greets");
                scope.spawn(move || echo(plain.into_inner(), stop, said));
            } else {
                let secure = tls_over(path, connect(program.port_of(1)));
                scope.spawn(move || echo(secure, stop, said));
            }
        }
        let file = directory.0.join("drupe.yaml");
        for n in 1..=100 {
            if n % 10 == 0 {
                certificate(&directory.0);
            }
            std::fs::write(&file, config(n)).expect("written");
            program.signal("-HUP");
            directory.wait_for("log", "reloaded; listening on", n);
            let mut welcome = String::new();
            BufReader::new(connect(program.port_of(0))).read_line(&mut welcome).expect("it greets");
            welcomes.push(welcome.trim_end().parse::<usize>().expect("a number"));
            // With the certificate of now.
            if n % 10 == 0 {
                let mut fresh = tls_over(&directory.0, connect(program.port_of(1)));
                fresh.write_all(b"hello\n").expect("the certificate is the new one");
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(welcomes, (1..=100).collect::<Vec<_>>(), "each configuration held at once");
    assert!(said.load(Ordering::SeqCst) > 800, "there was load");
    // One that is wrong changes nothing, and says so.
    std::fs::write(directory.0.join("drupe.yaml"), config(101).replace("connections_max", "connection_max"))
        .expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "nothing was reloaded: the configuration is not good; ", 1);
    let log = read(&directory.0.join("log"));
    assert!(log.contains("limits.connection_max: there is no such key; did you mean connections_max?"), "{log}");
    assert!(log.contains("changed: limits.connections_max: 199 -> 200"), "{log}");
    let mut welcome = String::new();
    BufReader::new(connect(program.port_of(0))).read_line(&mut welcome).expect("it greets");
    assert_eq!(welcome, "100\n");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn a_thousand_connections_are_drained_and_nobody_is_let_in_and_cut() {
    let directory = Directory::new("drain");
    let config = "listeners: { a: { address: '127.0.0.1:0', app: echo, welcome: welcome } }\n\
         limits: { connections_per_address_max: 5000 }\n\
         drain: { grace: 300ms, window: 2s, closes_per_second: 500, deadline: 20s, retry_after: 9s }\n";
    let program = Program::configured(&directory.0, config, 1, |_| {});
    let port = program.port_of(0);
    let mut peers: Vec<_> = (0..1_000).map(|_| BufReader::new(connect(port))).collect();
    let mut line = String::new();
    for peer in &mut peers {
        line.clear();
        peer.read_line(&mut line).expect("it greets");
        assert_eq!(line, "welcome\n");
    }
    let stop = AtomicBool::new(false);
    let (late, ends) = thread::scope(|scope| {
        // Others come meanwhile: each is served from the welcome to the farewell, or not let in at all.
        let late = scope.spawn(|| {
            let mut served = 0;
            while !stop.load(Ordering::SeqCst) {
                let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { break };
                let _ = stream.shutdown(Shutdown::Write);
                let mut heard = String::new();
                // A listener that is closed resets those who were not accepted yet.
                if stream.read_to_string(&mut heard).is_err() || heard.is_empty() {
                    continue;
                }
                assert!(heard.starts_with("welcome\n") || heard.starts_with("closing (shutdown)"), "{heard}");
                served += 1;
            }
            served
        });
        program.signal("-TERM");
        let ends: Vec<_> = peers
            .into_iter()
            .map(|mut peer| {
                let mut rest = String::new();
                peer.read_to_string(&mut rest).expect("a kind end");
                rest
            })
            .collect();
        stop.store(true, Ordering::SeqCst);
        (late.join().expect("no panic"), ends)
    });
    let kind =
        "notice: the server is shutting down; try again in 9 s\nclosing (shutdown): the server is shutting down\n";
    assert!(ends.iter().all(|end| end == kind), "{:?}", ends.iter().find(|end| *end != kind));
    assert!(late > 0, "it was let in while the grace lasted");
    assert_eq!(program.wait(), Some(0));
    // Each of them has its line, or is among those that were left out.
    let log = read(&directory.0.join("log"));
    let closed = log.lines().filter(|line| line.contains("connections: closed")).count();
    assert!(closed + left_out(&log, "closed") >= 1_000, "{log}");
}

/// How many lines of a kind were left out, as the log says.
fn left_out(log: &str, kind: &str) -> usize {
    let lines = log.lines().filter(|line| line.contains("lines were left out") && line.contains(&format!("{kind:?}")));
    let count = |line: &str| line.split("count=").nth(1)?.split(' ').next()?.parse::<usize>().ok();
    lines.filter_map(count).sum()
}

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
    page.wait_for_function("() => document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    phone.wait_for_function("() => document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    page.screenshot(path=shot + "-monitor-wide.png", full_page=True)
    phone.screenshot(path=shot + "-monitor-narrow.png", full_page=True)
    page.click("#quarantine-list [data-action=release]")
    page.wait_for_function("() => !document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    kick = page.locator(f"#sessions tr[data-session='{session}'] [data-action=kick]")
    kick.click()
    kick.click()
    page.wait_for_function("session => !document.querySelector(`#sessions tr[data-session='${session}']`)", arg=session, timeout=20000)
    print("kicked", flush=True)
    assert sys.stdin.readline() == "drain\n"
    page.click("#drain")
    page.click("#drain")
    page.wait_for_function("() => !document.getElementById('draining').hidden", timeout=20000)
    assert not [problem for problem in problems if "WebSocket" not in problem], problems
    print("done", flush=True)
    chromium.close()
"##;

#[test]
fn a_browser_watches_one_who_is_then_closed_and_drains_the_server() {
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

#[test]
fn key_mode_is_refused_for_the_applications_of_the_program() {
    let directory = std::env::temp_dir();
    let output = drupe(&directory, &["--app", "echo", "--listen", "telnet://127.0.0.1:0?mode=keys"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("mode keys"), "{}", text(&output.stderr));
}
