//! TLS as openssl and curl see it.

use super::{TLS, certificate, connect, text};
use crate::support;
use crate::support::{Directory, Program, is_installed};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

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
fn openssl_and_curl_connect_over_tls() {
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
