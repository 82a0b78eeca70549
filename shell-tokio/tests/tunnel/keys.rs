//! Private keys (encrypted, certified, in an agent), and rekeying.

use super::{lines, works};
use crate::ssh::SshServer;
use crate::tunnelled::{PATIENCE, Peer, port, run};
use drupe_tokio::core::tunnel::{Passphrase, Ssh, TunnelFailure};
use std::io::Write;
use std::process::Command;
use std::time::Instant;

#[test]
fn ssh_accepts_encrypted_certified_and_agent_keys() {
    let Some(server) = SshServer::open("") else { return };
    let keygen = |arguments: &[&str]| {
        let status = Command::new("ssh-keygen").args(arguments).stdout(std::process::Stdio::null()).status();
        assert!(status.expect("it comes with OpenSSH").success());
    };
    let with = |change: &dyn Fn(&mut Ssh)| {
        let mut config = lines(&server);
        change(&mut config.tunnels[0].ssh);
        drupe_tokio::tunnel::check(&config.tunnels[0].ssh).expect("all is there");
        let running = run(config);
        works(&running);
        running.end();
    };
    // Encrypted.
    let locked = server.path("locked");
    std::fs::copy(server.path("id"), &locked).expect("copied");
    keygen(&["-q", "-p", "-P", "", "-N", "open sesame", "-f", &locked]);
    with(&|ssh| {
        ssh.key_path = Some(locked.clone());
        ssh.key_passphrase = Some(Passphrase("open sesame".into()));
    });
    for (passphrase, words) in [(None, "is encrypted: set ssh_key_passphrase_file"), (Some("x"), "can't be decrypted")]
    {
        let mut ssh = lines(&server).tunnels[0].ssh.clone();
        ssh.key_path = Some(locked.clone());
        ssh.key_passphrase = passphrase.map(|passphrase| Passphrase(passphrase.into()));
        let error = drupe_tokio::tunnel::check(&ssh).expect_err("it is not open");
        assert!(error.failure == TunnelFailure::PrivateKey && error.words.contains(words), "{error}");
    }
    // An ECDSA key, certified by an authority that the server trusts, with the certificate beside it.
    let ecdsa = server.path("ecdsa");
    keygen(&["-q", "-t", "ecdsa", "-N", "", "-f", &ecdsa]);
    keygen(&["-q", "-s", &server.path("ca"), "-I", "drupe", "-n", &server.user, &server.path("ecdsa.pub")]);
    with(&|ssh| ssh.key_path = Some(ecdsa.clone()));
    // A host that shows a certificate, where only its authority is known.
    keygen(&[
        "-q",
        "-s",
        &server.path("ca"),
        "-I",
        "host",
        "-h",
        "-n",
        &server.address.ip().to_string(),
        &server.path("host.pub"),
    ]);
    let config = std::fs::read_to_string(server.path("sshd_config")).expect("written");
    std::fs::write(server.path("sshd_config"), format!("HostCertificate {}\n{config}", server.path("host-cert.pub")))
        .expect("written");
    let authority = std::fs::read_to_string(server.path("ca.pub")).expect("written");
    std::fs::write(server.path("authorities"), format!("@cert-authority [127.*]:* {authority}")).expect("written");
    with(&|ssh| ssh.known_hosts = vec![server.path("authorities")]);
    // The agent's.
    let socket = server.path("agent");
    let agent = Command::new("ssh-agent").args(["-D", "-a", &socket]).stdout(std::process::Stdio::null()).spawn();
    let mut agent = agent.expect("it comes with OpenSSH");
    let add = || Command::new("ssh-add").arg("-q").arg(server.path("id")).env("SSH_AUTH_SOCK", &socket).output();
    let began = Instant::now();
    while !add().expect("it comes with OpenSSH").status.success() {
        assert!(began.elapsed() < PATIENCE, "the agent listens");
        std::thread::yield_now();
    }
    with(&|ssh| (ssh.key_path, ssh.agent_socket) = (None, Some(socket.clone())));
    agent.kill().expect("it was started");
    agent.wait().expect("it was started");
}

#[test]
fn ssh_rekeys_during_traffic_without_loss() {
    const PEERS: usize = 8;
    const LINES: usize = 512;
    let Some(server) = SshServer::open("RekeyLimit 1M\nLogLevel DEBUG1") else { return };
    let running = run(lines(&server).unlimited());
    let address = port(&running.until_up(), 0);
    let talk = move || {
        let mut peer = Peer::connect(address);
        let line = [&[b'x'; (8 << 10) - 1][..], b"\n"].concat();
        let mut writer = peer.another();
        let write = std::thread::spawn({
            let line = line.clone();
            move || (0..LINES).for_each(|_| writer.write_all(&line).expect("it is taken"))
        });
        (0..LINES).for_each(|number| assert!(peer.exactly(line.len()) == line, "line {number}"));
        write.join().expect("no panic");
    };
    let talks: Vec<_> = (0..PEERS).map(|_| std::thread::spawn(talk)).collect();
    talks.into_iter().for_each(|talk| talk.join().expect("unharmed"));
    let log = std::fs::read_to_string(server.path("sshd.log")).expect("written");
    let renewed = log.matches("SSH2_MSG_NEWKEYS sent").count();
    assert!(renewed > 10, "{renewed} times");
    assert_eq!(running.until_up().connected, 1, "it is the same connection");
    running.end();
}
