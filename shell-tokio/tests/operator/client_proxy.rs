//! `drupe client` through tinyproxy and microsocks, and by the variables of the environment.

use super::{TLS, certificate, text};
use crate::support::{Directory, Other, Program, is_installed, program_path, skip};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// Runs `drupe client` with an environment and an input. Returns its exit code, output and errors.
fn client(
    directory: &Path,
    environment: &[(&str, &str)],
    arguments: &[&str],
    input: &str,
) -> (Option<i32>, String, String) {
    let mut command = Command::new("timeout");
    command.args(["60", program_path(), "client"]).args(arguments).current_dir(directory);
    for name in ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it was built");
    // The client has ended already if it could not connect.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Starts an echo over TLS on lines and WebSocket.
fn echo(directory: &Path) -> Program {
    certificate(directory);
    let config = format!(
        "listeners:\n  a: {{ address: '127.0.0.1:0', app: echo, {TLS} }}\n  \
         b: {{ address: '127.0.0.1:0', protocol: websocket, app: echo, {TLS} }}\n"
    );
    Program::configured(directory, &config, 2, |_| {})
}

#[test]
fn client_connects_through_tinyproxy() {
    if !is_installed("tinyproxy") {
        skip("there is no tinyproxy on this machine");
        return;
    }
    let directory = Directory::new("client-tinyproxy");
    let path = &directory.0;
    let program = echo(path);
    let (lines, websocket) = (program.port_of(0), program.port_of(1));
    let (_proxy, [port]) = Other::start(|[port]| {
        let config = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nBasicAuth ann pass\nConnectPort {lines}\nConnectPort \
             {websocket}\nConnectPort 1\n"
        );
        std::fs::write(path.join("tinyproxy.conf"), config).expect("written");
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(path.join("tinyproxy.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it is installed")
    });
    let proxy = |user: &str| format!("http://{user}127.0.0.1:{port}");
    for address in [format!("tls://localhost:{lines}"), format!("wss://localhost:{websocket}/")] {
        let arguments = [&*address, "--linger", "5", "--ca", "cert.pem", "--proxy", &proxy("ann:pass@")];
        let (code, heard, said) = client(path, &[], &arguments, "one\ntwo\n");
        assert_eq!((code, &*heard), (Some(0), "one\ntwo\n"), "{address}: {said}");
        let words = format!("using the proxy http://127.0.0.1:{port} (--proxy)");
        assert!(said.contains(&words) && !said.contains("pass@"), "{said}");
    }
    for (user, address, words) in [
        (
            "ann:wrong@",
            format!("tls://localhost:{lines}"),
            "can't connect: proxy_credentials_refused: the proxy refused",
        ),
        ("", format!("tls://localhost:{lines}"), "can't connect: proxy_authentication_required: the proxy requires"),
        ("ann:pass@", "tls://localhost:2".into(), "can't connect: proxy_forbidden: the proxy does not allow"),
        ("ann:pass@", "tls://localhost:1".into(), "can't connect: proxy_rejected_500: the proxy rejected the request"),
    ] {
        let arguments = [&*address, "--ca", "cert.pem", "--proxy", &proxy(user)];
        let (code, _, said) = client(path, &[], &arguments, "one\n");
        assert!(code == Some(1) && said.contains(words), "{user} {address}: {code:?}: {said}");
    }
}

#[test]
fn client_connects_through_microsocks() {
    if !is_installed("microsocks") {
        skip("there is no microsocks on this machine");
        return;
    }
    let directory = Directory::new("client-microsocks");
    let path = &directory.0;
    let program = echo(path);
    let (lines, websocket) = (program.port_of(0), program.port_of(1));
    let start = |login: &'static [&'static str]| {
        Other::start(move |[port]| {
            let mut command = Command::new("microsocks");
            command.args(["-i", "127.0.0.1", "-p", &port.to_string()]).args(login);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it is installed")
        })
    };
    let (_open, [open]) = start(&[]);
    let (_closed, [closed]) = start(&["-u", "ann", "-P", "pass"]);
    for (proxy, address) in [
        (format!("socks5://127.0.0.1:{open}"), format!("tls://127.0.0.1:{lines}")),
        (format!("socks5h://ann:pass@127.0.0.1:{open}"), format!("wss://127.0.0.1:{websocket}/")),
        (format!("socks5h://ann:pass@127.0.0.1:{closed}"), format!("tls://127.0.0.1:{lines}")),
        (format!("socks5://ann:pass@127.0.0.1:{closed}"), format!("wss://127.0.0.1:{websocket}/")),
    ] {
        let arguments =
            [&*address, "--linger", "5", "--ca", "cert.pem", "--server-name", "localhost", "--proxy", &proxy];
        let (code, heard, said) = client(path, &[], &arguments, "one\ntwo\n");
        assert_eq!((code, &*heard), (Some(0), "one\ntwo\n"), "{proxy} {address}: {said}");
    }
    for (proxy, address, words) in [
        (
            format!("socks5://127.0.0.1:{closed}"),
            "tls://127.0.0.1:2",
            "proxy_authentication_required: the proxy requires",
        ),
        (
            format!("socks5://ann:x@127.0.0.1:{closed}"),
            "tls://127.0.0.1:2",
            "proxy_credentials_refused: the proxy refused",
        ),
        (format!("socks5://127.0.0.1:{open}"), "tls://127.0.0.1:1", "proxy_target_refused: the host refused"),
        (format!("http://127.0.0.1:{open}"), "tls://127.0.0.1:1", "not_a_proxy: the server at the proxy's address"),
    ] {
        let (code, _, said) = client(path, &[], &[address, "--ca", "cert.pem", "--proxy", &proxy], "one\n");
        let words = format!("can't connect: {words}");
        assert!(code == Some(1) && said.contains(&words), "{proxy} {address}: {code:?}: {said}");
    }
}

/// Starts a proxy that forbids everything. Returns its address.
fn forbidding() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let asked = head.collect::<Vec<_>>().join(" ").len();
            let _ = (&stream).write_all(format!("HTTP/1.1 403 No {asked}\r\n\r\n").as_bytes());
        }
    });
    address
}

#[test]
fn environment_and_flags_choose_the_proxy_of_the_client() {
    let directory = Directory::new("client-proxies");
    let path = &directory.0;
    let program = echo(path);
    let (proxy, local) = (forbidding().to_string(), format!("tls://localhost:{}", program.port_of(0)));
    let tls: &[&str] = &["tls://host.example:7", "--ca", "cert.pem"];
    let plain: &[&str] = &["tcp://host.example:7"];
    let forbidden = "can't connect: proxy_forbidden";
    for (environment, arguments, words) in [
        (&[("HTTPS_PROXY", &*proxy), ("ALL_PROXY", "x y")][..], tls, forbidden),
        (&[("all_proxy", &proxy)], tls, forbidden),
        (&[("ALL_PROXY", &proxy), ("HTTPS_PROXY", "x y")], plain, forbidden),
        (&[("ALL_PROXY", "x y"), ("NO_PROXY", "*")], &[plain, &["--proxy", &proxy]].concat(), forbidden),
    ] {
        let (code, _, said) = client(path, environment, arguments, "");
        assert!(code == Some(1) && said.contains(words), "{environment:?} {arguments:?}: {code:?}: {said}");
    }
    // Without the proxy, it connects.
    let every: &[(&str, &str)] = &[("ALL_PROXY", &proxy), ("HTTPS_PROXY", &proxy)];
    let (code, heard, said) = client(path, every, &[&local, "--ca", "cert.pem"], "one\n");
    assert_eq!((code, &*heard), (Some(0), "one\n"), "{said}");
    for (environment, arguments, words) in [
        (&[("ALL_PROXY", "https://ann:hush@p")][..], plain, "ALL_PROXY: TLS to the proxy (https://) is not supported"),
        (&[], &[plain, &["--proxy", "http://ann:hush%@p"]].concat(), "--proxy: the user and the password of a proxy"),
        (&[], &[plain, &["--proxy", "p", "--no-proxy"]].concat(), "cannot be used with"),
    ] {
        let (code, _, said) = client(path, environment, arguments, "");
        assert!(code == Some(2) && said.contains(words) && !said.contains("hush"), "{arguments:?}: {code:?}: {said}");
    }
}
