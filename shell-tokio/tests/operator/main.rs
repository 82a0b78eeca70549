//! The program as an operator runs it: configurations, TLS, proxies, reloads, drains, systemd, logs, with real clients.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::unreachable,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

mod applied;
mod check;
mod client_flags;
mod client_proxy;
mod client_telnet;
mod client_tls;
mod container;
mod http_program;
mod key_sets;
mod load;
mod logins;
mod monitor;
mod own_program;
mod program;
mod proxies;
mod pubsub_keys;
mod recorder;
mod reports;
mod rooms;
mod service;
#[path = "../ssh/mod.rs"]
mod ssh;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod tls_sessions;
mod tunnel_program;
mod user_store;

use crate::support::skip;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use support::{Directory, program_path};

fn drupe(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(program_path())
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("it was built")
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
fn program_checks_explains_and_writes_a_configuration() {
    let directory = Directory::new("check");
    let path = &directory.0;
    std::fs::write(path.join("good.yaml"), "listeners: { a: { address: '127.0.0.1:0' } }").expect("written");
    std::fs::write(path.join("bad.yaml"), "listeners:\n  a:\n    addres: '127.0.0.1:0'\n").expect("written");
    let good = drupe(path, &["check", "good.yaml"]);
    assert_eq!((good.status.code(), text(&good.stdout).as_str()), (Some(0), "the configuration is valid\n"));
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
}

#[test]
fn certificate_is_replaced_only_by_force_and_as_a_whole() {
    let directory = Directory::new("cert");
    let read = |name: &str| std::fs::read_to_string(directory.0.join(name)).expect(name);
    certificate(&directory.0);
    let (certificate, key) = (read("cert.pem"), read("key.pem"));
    std::fs::remove_file(directory.0.join("key.pem")).expect("removed");
    let refused = drupe(&directory.0, &["cert", "--self-signed"]);
    let words = "can't write ./cert.pem: the file exists; use --force to replace it, or choose another --out";
    assert!(text(&refused.stderr).contains(words), "{}", text(&refused.stderr));
    assert!(!directory.0.join("key.pem").exists(), "a key without its certificate is useless");
    assert_eq!(read("cert.pem"), certificate);
    // An interrupted command has left a part.
    std::fs::write(directory.0.join("cert.pem.new"), "part").expect("written");
    let forced = drupe(&directory.0, &["cert", "--self-signed", "--force"]);
    assert!(forced.status.success(), "{}", text(&forced.stderr));
    assert!(read("cert.pem") != certificate && read("key.pem") != key);
    assert_eq!(std::fs::read_dir(&directory.0).expect("a directory").count(), 2);
    let mode = std::fs::metadata(directory.0.join("key.pem")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
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

#[test]
fn program_refuses_key_mode_for_its_applications() {
    let directory = std::env::temp_dir();
    let output = drupe(&directory, &["--app", "echo", "--listen", "telnet://127.0.0.1:0?mode=keys"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("mode keys"), "{}", text(&output.stderr));
}
