//! Failures of an SSH server, and how each is reported.

use super::{lines, works};
use crate::ssh::SshServer;
use crate::tunnelled::{Peer, port, run};
use drupe_tokio::core::Reason;
use drupe_tokio::core::tunnel::{Jump, Ssh, TunnelFailure, TunnelState};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

#[test]
fn stopped_ssh_server_is_detected_and_redialled() {
    let Some(server) = SshServer::open("") else { return };
    let mut config = lines(&server);
    config.tunnels[0].keep_alive.interval = Duration::from_millis(200);
    config.tunnels[0].keep_alive.count_max = 2;
    let running = run(config);
    works(&running);
    let peer = Peer::connect(port(&running.until_up(), 0));
    let stopped = Instant::now();
    assert!(server.signal("-STOP") > 0);
    let silent = running.until("silent", |status| {
        status.last_error.as_ref().is_some_and(|(failure, _)| *failure == TunnelFailure::Silent)
    });
    // Not before it was asked as often as it should be; how soon after is a matter of the machine.
    assert!(stopped.elapsed() >= Duration::from_millis(400), "{silent}");
    assert_eq!(running.next_end(), Reason::PeerClosed, "of the first peer");
    assert_eq!(running.next_end(), Reason::TunnelLost);
    // Those that are stopped stay so; another is started for who connects anew.
    works(&running);
    server.signal("-CONT");
    drop(peer);
    running.end();
}

/// The first failure of an attempt, in words.
pub(super) fn failure(server: &SshServer, change: impl FnOnce(&mut Ssh)) -> (TunnelFailure, String) {
    let mut config = lines(server);
    change(&mut config.tunnels[0].ssh);
    let running = run(config);
    let status = running.until("refused", |status| status.last_error.is_some());
    let slow = matches!(status.state, TunnelState::Waiting(at) if at.as_nanos() > 200_000_000_000);
    let (failure, words) = status.last_error.expect("it failed");
    assert_eq!(slow, failure.is_permanent(), "{words}");
    running.end();
    (failure, words)
}

/// What is wrong, how it is called, words that are said, and how it comes about.
type Case<'a> = (&'a str, TunnelFailure, &'a [&'a str], Box<dyn FnOnce(&mut Ssh)>);

#[test]
fn each_tunnel_failure_has_its_own_error_text() {
    for server in SshServer::each() {
        let public = |name: &str| std::fs::read_to_string(server.path(name)).expect("written");
        let name = format!("[{}]:{}", server.address.ip(), server.address.port());
        let write = |file: &str, text: String| {
            std::fs::write(server.path(file), text).expect("written");
            vec![server.path(file)]
        };
        let cases: Vec<Case<'_>> = vec![
            ("changed", TunnelFailure::HostKey, &["HAS CHANGED", "changed:1", "SHA256:", "ssh-keygen -R"], {
                let files = write("changed", format!("{name} {}", public("other.pub")));
                Box::new(|ssh| ssh.known_hosts = files)
            }),
            ("unknown", TunnelFailure::HostKey, &["is not known", "ssh-keyscan"], {
                let files = write("unknown", format!("other.example {}", public("host.pub")));
                Box::new(|ssh| ssh.known_hosts = files)
            }),
            ("revoked", TunnelFailure::HostKey, &["is revoked at"], {
                let files =
                    write("revoked", format!("{name} {}\n@revoked * {}", public("host.pub"), public("host.pub")));
                Box::new(|ssh| ssh.known_hosts = files)
            }),
            ("no file", TunnelFailure::HostKey, &["known_hosts", "/none can't be read"], {
                let files = vec![server.path("none")];
                Box::new(|ssh| ssh.known_hosts = files)
            }),
            ("wrong key", TunnelFailure::Authentication, &["rejected", "/other (SHA256:", "authorized_keys"], {
                let key = Some(server.path("other"));
                Box::new(|ssh| ssh.key_path = key)
            }),
            ("loose key", TunnelFailure::PrivateKey, &["(its mode is 0644): chmod 600", "check_key_permissions"], {
                std::fs::copy(server.path("id"), server.path("loose")).expect("copied");
                std::fs::set_permissions(server.path("loose"), std::fs::Permissions::from_mode(0o644)).expect("ours");
                let key = Some(server.path("loose"));
                Box::new(|ssh| ssh.key_path = key)
            }),
            ("no key", TunnelFailure::PrivateKey, &["/none can't be read: No such file"], {
                let key = Some(server.path("none"));
                Box::new(|ssh| ssh.key_path = key)
            }),
            (
                "no name",
                TunnelFailure::Network,
                &["can't be reached"],
                Box::new(|ssh| ssh.host = "no.such.invalid".into()),
            ),
            ("no SSH", TunnelFailure::Network, &["through the previous host"], {
                let jump = Jump::new(&server.address.ip().to_string()).port(server.address.port());
                Box::new(|ssh| {
                    ssh.jumps = vec![jump];
                    (ssh.host, ssh.port) = ("127.0.0.1".into(), 1);
                })
            }),
        ];
        for (what, expected, words, change) in cases {
            let (failure, said) = failure(&server, change);
            assert!(failure == expected && words.iter().all(|words| said.contains(words)), "{what}: {failure}: {said}");
        }
        // What is loose may be allowed to be, and a new host to be new.
        let mut config = lines(&server);
        config.tunnels[0].ssh.key_path = Some(server.path("loose"));
        config.tunnels[0].ssh.check_key_permissions = false;
        config.tunnels[0].ssh.known_hosts = vec![server.path("learned")];
        config.tunnels[0].ssh.accept_new = true;
        let running = run(config);
        works(&running);
        running.end();
        assert_eq!(public("learned"), public("known_hosts"));
    }
}

#[test]
fn tunnel_times_out_on_a_non_ssh_server() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = SshServer::russh();
    let mut config = lines(&server);
    config.tunnels[0].ssh.host = "127.0.0.1".into();
    config.tunnels[0].ssh.port = silent.local_addr().expect("bound").port();
    config.tunnels[0].connect_timeout = Duration::from_millis(100);
    let running = run(config);
    let status = running.until("too late", |status| status.last_error.is_some());
    assert_eq!(status.last_error.expect("it failed").0, TunnelFailure::TimedOut);
    // The attempt that was given up is gone, with its socket.
    let (mut stream, _) = silent.accept().expect("it came");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stream, &mut said).expect("it ends");
    assert!(said.starts_with("SSH-2.0-drupe_"), "{said}");
    running.end();
}

#[test]
fn taken_remote_port_is_reported_and_bound_once_free() {
    for server in SshServer::each() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let wanted = taken.local_addr().expect("bound");
        let mut config = lines(&server);
        config.listeners.push(format!("tcp://{wanted}?tunnel=edge").parse().expect("well formed"));
        let running = run(config);
        let status =
            running.until("degraded", |status| status.state == TunnelState::Degraded && status.forwards[0].bound);
        let (failure, words) = status.last_error.clone().expect("it was refused");
        assert_eq!(failure, TunnelFailure::Forward);
        assert!(words.contains(&format!("does not listen at {wanted}")) && words.contains("PermitListen"), "{words}");
        // The rest serves meanwhile.
        let mut peer = Peer::connect(port(&status, 0));
        peer.send(b"hello\n");
        assert!(peer.line().ends_with(" hello"));
        drop(taken);
        let status = running.until_up();
        assert_eq!(port(&status, 1), wanted);
        running.end();
    }
}
