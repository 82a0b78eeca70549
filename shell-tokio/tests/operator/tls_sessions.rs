//! Tickets of TLS at the program's listeners, as `openssl s_client -sess_out` and `-sess_in` carry them from one to another.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

use crate::support::{Directory, Program, is_installed};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// Makes an authority, `NAME.pem`.
pub(crate) fn authority(directory: &Path, name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    std::fs::write(directory.join(format!("{name}.pem")), authority.pem()).expect("written");
    authority
}

/// Makes `NAME.pem` and `NAME.key`, signed by an authority.
fn certificate(directory: &Path, authority: &Authority, name: &str) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("good");
    params.subject_alt_names.clear();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("signed");
    std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).expect("written");
    std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).expect("written");
}

/// Connects, says hello, and gives what openssl printed until it was answered or the server had ended.
fn visit(directory: &Path, port: u16, arguments: &[&str]) -> String {
    let mut child = Command::new("timeout")
        .args(["30", "openssl", "s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", "localhost"])
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is installed");
    let mut input = child.stdin.take().expect("piped");
    // A server that has refused reads nothing.
    let _ = input.write_all(b"hello there\n");
    let mut output = child.stdout.take().expect("piped");
    let (mut heard, mut bytes) = (String::new(), [0; 4096]);
    while !heard.contains("hello there\n") {
        match output.read(&mut bytes) {
            Ok(count @ 1..) => heard.push_str(&String::from_utf8_lossy(&bytes[..count])),
            _ => break,
        }
    }
    drop(input);
    let _ = child.wait();
    heard
}

#[test]
fn tls_ticket_cannot_skip_client_certificate_of_a_listener() {
    if !is_installed("openssl") {
        eprintln!("skipped: there is no openssl on this machine");
        return;
    }
    let directory = Directory::new("sessions");
    let path = &directory.0;
    let (ours, theirs) = (authority(path, "ours"), authority(path, "theirs"));
    certificate(path, &ours, "server");
    certificate(path, &ours, "ann");
    certificate(path, &theirs, "bob");
    let tls = |rest: &str| format!("tls: {{ certificates: [{{ certificate: server.pem, key: server.key }}]{rest} }}");
    let config = |closed: &str| {
        format!(
            "listeners:\n  a: {{ address: '127.0.0.1:0', app: echo, {} }}\n  b: {{ address: '127.0.0.1:0', app: echo, {} }}\n  \
             c: {{ address: '127.0.0.1:0', app: echo, {} }}\n",
            tls(""),
            tls(&format!(", clients: required, authorities: {closed}")),
            tls(", clients: optional, authorities: theirs.pem"),
        )
    };
    let program = Program::configured(path, &config("ours.pem"), 3, |_| {});
    let [open, closed, other] = [0, 1, 2].map(|place| program.port_of(place));
    let ann = ["-cert", "ann.pem", "-key", "ann.key"];
    for version in ["-tls1_2", "-tls1_3"] {
        let said = visit(path, open, &[version, "-sess_out", "open"]);
        assert!(said.contains("hello there"), "{said}");
        let said = visit(path, open, &[version, "-sess_in", "open"]);
        assert!(said.contains("Reused, TLSv1") && said.contains("hello there"), "{said}");
        let said = visit(path, closed, &[version, "-sess_in", "open"]);
        assert!(!said.contains("hello there") && !said.contains("Reused"), "{said}");
        let said = visit(path, closed, &[&ann[..], &[version, "-sess_out", "closed"]].concat());
        assert!(said.contains("hello there"), "{said}");
        let said = visit(path, closed, &[version, "-sess_in", "closed"]);
        assert!(said.contains("Reused, TLSv1") && said.contains("hello there"), "{said}");
        // Where another authority is believed ann is nobody, and her ticket is no ticket.
        let said = visit(path, other, &[version, "-sess_in", "closed"]);
        assert!(said.contains("hello there") && !said.contains("Reused"), "{said}");
    }
    let log = crate::support::read(&path.join("log"));
    assert!(log.contains("ann") && log.lines().filter(|line| line.contains("ann")).all(|line| !line.contains(" by c")));
    // Whose authority is believed no more does not come back with what it was given before.
    std::fs::write(path.join("drupe.yaml"), config("theirs.pem")).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 1);
    for version in ["-tls1_2", "-tls1_3"] {
        let said = visit(path, closed, &[&ann[..], &[version, "-sess_in", "closed"]].concat());
        assert!(!said.contains("hello there") && !said.contains("Reused"), "{said}");
        let said = visit(path, closed, &[version, "-cert", "bob.pem", "-key", "bob.key"]);
        assert!(said.contains("hello there"), "{said}");
    }
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}
