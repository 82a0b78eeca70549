//! `drupe client` over TLS: with our own listeners, with openssl, and with a WebSocket server in Python.

use super::{TLS, certificate, text};
use crate::support::{Client, Directory, Other, Program, is_installed, program_path, python, skip};
use crate::tls_sessions::{Authority, authority};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `drupe client` with an input. Returns its exit code, its output and its standard error.
fn client(directory: &Path, roots: &str, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new("timeout")
        .args(["60", program_path(), "client"])
        .args(arguments)
        .current_dir(directory)
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was built");
    // A client that cannot connect may have ended.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn client_connects_to_every_listener_with_tls() {
    let directory = Directory::new("client-tls");
    certificate(&directory.0);
    let protocols = ["delimited", "length", "tcp", "websocket"];
    let listeners = protocols.map(|protocol| {
        format!("  {protocol}: {{ address: '127.0.0.1:0', protocol: {protocol}, app: echo, {TLS} }}\n")
    });
    let config = format!("listeners:\n{}", listeners.concat());
    let program = Program::configured(&directory.0, &config, protocols.len(), |_| {});
    let schemes = ["delimiteds", "lengths", "tls", "wss"];
    for (address, scheme) in program.addresses.iter().zip(schemes) {
        assert!(address.starts_with(&format!("{scheme}://")), "{address}");
        let port = address.rsplit_once(':').expect("a port").1;
        let address = &format!("{scheme}://localhost:{port}");
        let (code, heard, said) = client(&directory.0, "", &[address, "--ca", "cert.pem"], "one\ntwo\n");
        assert_eq!((code, &*heard), (Some(0), "one\ntwo\n"), "{address}: {said}");
    }
    let plain = format!("tcp://127.0.0.1:{}", program.port_of(2));
    for (arguments, code, words) in [
        (&[&*plain, "--insecure"][..], 2, "flags for TLS need an address with TLS"),
        (&["tls://h:1", "--insecure", "--ca", "cert.pem"], 2, "cannot be used with"),
        (&["tls://h:1", "--client-cert", "cert.pem"], 2, "--client-key"),
        (&["tls://h:1", "--server-name", "no name"], 2, "neither a host name nor an IP address"),
        (&["tls://h:1", "--pin", "12:34"], 2, "64 hexadecimal digits"),
        (&["tls://h:1", "--ca", "missing.pem"], 1, "can't read a certificate in missing.pem"),
        (&["tls://h:1", "--client-cert", "cert.pem", "--client-key", "cert.pem"], 1, "can't read a private key in"),
    ] {
        let (found, _, said) = client(&directory.0, "cert.pem", arguments, "");
        assert!(found == Some(code) && said.contains(words), "{arguments:?}: {found:?}: {said}");
    }
    if cfg!(target_os = "linux") {
        let (code, _, said) = client(&directory.0, "missing.pem", &["tls://h:1"], "");
        assert!(code == Some(1) && said.contains("name a file of them in SSL_CERT_FILE"), "{code:?}: {said}");
    }
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

/// Makes `STEM.pem` and `STEM.key` for a name, valid until the first day of a year.
fn issue(directory: &Path, authority: &Authority, stem: &str, name: &str, until: i32) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("good");
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("signed");
    std::fs::write(directory.join(format!("{stem}.pem")), certificate.pem()).expect("written");
    std::fs::write(directory.join(format!("{stem}.key")), key.serialize_pem()).expect("written");
}

/// Starts an `openssl s_server` that serves one connection, and sends each line back reversed.
fn s_server(directory: &Path, arguments: &[&str]) -> (Client, String) {
    let path = |name: &str| directory.join(name).display().to_string();
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| if argument.contains('.') { path(argument) } else { (*argument).to_owned() })
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let fixed = ["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-rev"];
    let mut server = Client::start("openssl", &[&fixed[..], &arguments].concat()).expect("it is installed");
    server.hear_until("ACCEPT 127.0.0.1:");
    let port = server.hear();
    (server, port)
}

#[test]
fn client_verifies_openssl_servers_and_names_each_fault() {
    if !is_installed("openssl") {
        skip("there is no openssl on this machine");
        return;
    }
    let directory = Directory::new("client-openssl");
    let path = &directory.0;
    let (ours, other) = (authority(path, "ca"), authority(path, "other-ca"));
    issue(path, &ours, "good", "localhost", 2101);
    issue(path, &ours, "expired", "localhost", 2002);
    issue(path, &ours, "ann", "ann", 2101);
    issue(path, &other, "bob", "bob", 2101);
    let printed = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(path).output().expect("it is installed");
        text(&output.stdout)
    };
    let fingerprint = printed(&["x509", "-in", "expired.pem", "-noout", "-fingerprint", "-sha256"]);
    let pin = fingerprint.trim().split_once('=').expect("a fingerprint").1;
    let bare = pin.replace(':', "").to_lowercase();
    let good: &[&str] = &["-cert", "good.pem", "-key", "good.key"];
    let expired: &[&str] = &["-cert", "expired.pem", "-key", "expired.key"];
    let asking: &[&str] =
        &["-Verify", "1", "-verify_return_error", "-CAfile", "ca.pem", "-cert", "good.pem", "-key", "good.key"];
    let (tls12, tls13) = ("-tls1_2", "-tls1_3");
    let trust: &[&str] = &["--ca", "ca.pem", "--server-name", "localhost"];
    let and = |more: &[&'static str]| [trust, more].concat();
    let ann = and(&["--client-cert", "ann.pem", "--client-key", "ann.key"]);
    let bob = and(&["--client-cert", "bob.pem", "--client-key", "bob.key"]);
    for (version, server, flags, expected, words) in [
        (tls12, good, trust, 0, "connected to"),
        (tls13, good, trust, 0, "connected to"),
        (tls12, asking, &ann[..], 0, "connected to"),
        (tls13, asking, &ann[..], 0, "connected to"),
        (tls12, asking, trust, 1, "can't connect: tls_refused: the server refused"),
        (tls13, asking, trust, 3, "disconnected: tls_failed"),
        (tls12, asking, &bob[..], 1, "can't connect: client_certificate_refused: the server requires"),
        (tls13, asking, &bob[..], 3, "disconnected: tls_failed"),
        (tls13, expired, trust, 1, "can't connect: certificate_expired: the server's certificate has expired;"),
        (tls13, good, &["--ca", "ca.pem"], 1, "can't connect: name_mismatch: the server's certificate is for other"),
        (tls12, good, &["--ca", "other-ca.pem"], 1, "can't connect: certificate_unknown_issuer: no trusted authority"),
        (tls12, expired, &["--pin", pin], 0, "connected to"),
        (tls13, expired, &["--pin", &bare, "--server-name", "other"], 0, "connected to"),
        (tls13, good, &["--pin", pin], 1, "can't connect: certificate_not_pinned: "),
        (tls12, expired, &["--insecure"], 0, "warning: --insecure accepts any certificate"),
        (tls13, expired, &["--insecure"], 0, "warning: --insecure accepts any certificate"),
    ] {
        let (process, port) = s_server(path, &[&[version], server].concat());
        let address = format!("tls://127.0.0.1:{port}");
        let (code, heard, said) = client(path, "", &[&[&*address], flags].concat(), "hello\n");
        assert!(code == Some(expected) && said.contains(words), "{version} {server:?} {flags:?}: {code:?}: {said}");
        assert_eq!(heard, if expected == 0 { "olleh\n" } else { "" }, "{version} {server:?} {flags:?}: {said}");
        process.rest();
    }
    if cfg!(target_os = "linux") {
        for (roots, expected) in [("ca.pem", "connected to"), ("other-ca.pem", "certificate_unknown_issuer")] {
            let (process, port) = s_server(path, good);
            let address = format!("tls://127.0.0.1:{port}");
            let (_, _, said) = client(path, roots, &[&address, "--server-name", "localhost"], "hello\n");
            assert!(said.contains(expected), "{said}");
            process.rest();
        }
    }
    // A server without TLS, which greets.
    let plain = Program::start(&["--listen", "tcp://127.0.0.1:0"]);
    let address = format!("tls://127.0.0.1:{}", plain.port());
    let (code, _, said) = client(path, "", &[&[&*address], trust].concat(), "");
    assert!(code == Some(1) && said.contains("can't connect: not_tls: the server does not speak TLS"), "{said}");
    assert_eq!(plain.terminate().0, Some(0));
}

/// A WebSocket server with TLS that prints the `Host` of each request, and echoes messages.
const WEBSOCKETS_SERVER: &str = r#"
import asyncio, ssl, sys, websockets

async def serve(socket):
    print(socket.request.headers["Host"], flush=True)
    async for message in socket:
        await socket.send(message)

async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    async with websockets.serve(serve, "127.0.0.1", 0, ssl=context) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"#;

#[test]
fn client_talks_to_a_python_websockets_server_over_tls() {
    let Some(python) = python("websockets") else { return };
    let directory = Directory::new("client-websockets");
    let path = &directory.0;
    issue(path, &authority(path, "ca"), "good", "localhost", 2101);
    let file = |name: &str| path.join(name).display().to_string();
    let arguments = ["-c", WEBSOCKETS_SERVER, &file("good.pem"), &file("good.key")];
    let mut server = Client::start(&python, &arguments).expect("it is installed");
    let port = server.hear();
    let address = format!("wss://localhost:{port}/room");
    let (code, heard, said) = client(path, "", &[&address, "--ca", "ca.pem"], "hello\ngrüße\n");
    assert_eq!((code, &*heard), (Some(0), "hello\ngrüße\n"), "{said}");
    assert_eq!(server.hear(), format!("localhost:{port}"));
    let (code, _, said) = client(path, "", &[&address, "--ca", "good.pem", "--server-name", "other"], "");
    assert!(code == Some(1) && said.contains("can't connect: "), "{code:?}: {said}");
    server.rest();
}

/// Starts nginx with TLS in front of `web` for WebSocket, and in front of `lines` as a stream.
///
/// A third port asks for certificates of `ca.pem`. A fourth has nothing behind it.
fn nginx(directory: &Path, module: &str, web: u16, lines: u16) -> (Other, [u16; 4]) {
    let path = directory.display();
    let file = directory.join("nginx.conf");
    Other::start(|[wss, stream, asking, broken]| {
        let ssl = format!("ssl_certificate {path}/good.pem; ssl_certificate_key {path}/good.key;");
        let nginx = format!(
            "load_module {module};\ndaemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/error.log;\n\
             events {{}}\nstream {{\n server {{ listen 127.0.0.1:{stream} ssl; {ssl} proxy_half_close on; proxy_pass 127.0.0.1:{lines}; }}\n \
             server {{ listen 127.0.0.1:{asking} ssl; {ssl} ssl_client_certificate {path}/ca.pem;\n  \
             ssl_verify_client on; proxy_half_close on; proxy_pass 127.0.0.1:{lines}; }}\n}}\n\
             http {{\n access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;\n \
             uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n \
             server {{ listen 127.0.0.1:{wss} ssl; {ssl}\n  location /moved {{ return 302 https://localhost/; }}\n  \
             location / {{ proxy_pass http://127.0.0.1:{web}; proxy_http_version 1.1;\n  \
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_set_header Host localhost; }} }}\n \
             server {{ listen 127.0.0.1:{broken} ssl; {ssl} location / {{ proxy_pass http://127.0.0.1:1; }} }}\n}}\n"
        );
        std::fs::write(&file, nginx).expect("written");
        let child = Command::new("nginx").arg("-c").arg(&file).arg("-p").arg(directory).stderr(Stdio::null()).spawn();
        child.expect("it is installed")
    })
}

#[test]
fn client_connects_through_nginx_with_tls_and_names_its_error_pages() {
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    if !is_installed("nginx") || !Path::new(module).exists() {
        skip("there is no nginx with its stream module on this machine");
        return;
    }
    let directory = Directory::new("client-nginx");
    let path = &directory.0;
    let ours = authority(path, "ca");
    issue(path, &ours, "good", "localhost", 2101);
    issue(path, &ours, "ann", "ann", 2101);
    let config = "listeners:\n  lines: { address: '127.0.0.1:0', app: echo }\n  \
                  web: { address: '127.0.0.1:0', app: echo, protocol: websocket }\n";
    let program = Program::configured(path, config, 2, |_| {});
    let (_nginx, [wss, stream, asking, broken]) = nginx(path, module, program.port_of(1), program.port_of(0));
    let ann: &[&str] = &["--client-cert", "ann.pem", "--client-key", "ann.key"];
    let long = format!("{}\n", "x".repeat(40_000));
    for (address, flags, input) in [
        (format!("wss://localhost:{wss}/chat?room=a"), &[][..], "hello\ngr\u{fc}\u{df}e\n"),
        (format!("wss://localhost:{wss}/"), &[], &long),
        (format!("tls://localhost:{stream}"), &[], "hello\ngr\u{fc}\u{df}e\n"),
        (format!("tls://localhost:{stream}"), &[], &long),
        (format!("tls://localhost:{asking}"), ann, "hello\n"),
    ] {
        let (code, heard, said) = client(path, "", &[&[&*address, "--ca", "ca.pem"], flags].concat(), input);
        assert!(code == Some(0) && heard == input, "{address}: {code:?}, {} bytes: {said}", heard.len());
    }
    for (address, words) in [
        (format!("wss://localhost:{wss}/moved"), "can't connect: rejected_302"),
        (format!("wss://localhost:{broken}/"), "can't connect: rejected_502"),
        // This port has TLS, but not HTTP.
        (format!("wss://localhost:{stream}/"), "can't connect: "),
        // On a port with TLS, nginx answers plain requests with a plain error page.
        (format!("ws://localhost:{wss}/"), "can't connect: rejected_400"),
    ] {
        let flags: &[&str] = if address.starts_with("wss") { &["--ca", "ca.pem"] } else { &[] };
        let (code, heard, said) = client(path, "", &[&[&*address], flags].concat(), "hello\n");
        assert!(code == Some(1) && said.contains(words) && heard.is_empty(), "{address}: {code:?}: {said}");
    }
    let address = format!("tls://localhost:{asking}");
    // nginx closes the connection cleanly, after the handshake of TLS 1.3.
    let (_, heard, said) = client(path, "", &[&address, "--ca", "ca.pem"], "hello\n");
    assert!(heard.is_empty(), "nginx requires a certificate: {said}");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}
