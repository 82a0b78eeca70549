//! Tunnels through jump hosts.

use super::{lines, works};
use crate::ssh::SshServer;
use crate::tunnelled::{Peer, port, run};
use drupe_tokio::core::tunnel::{Jump, TunnelFailure, TunnelState};
use drupe_tokio::core::{Config, Reason};
use std::io::Write;
use std::time::Duration;

#[test]
fn tunnel_connects_through_jump_hosts() {
    for first in SshServer::each() {
        for second in SshServer::each() {
            let jump = |server: &SshServer| {
                let host = server.address.ip().to_string();
                Jump::new(&host).user(Some(server.user.clone())).port(server.address.port())
            };
            let third = SshServer::russh();
            let all: String = [&first, &second, &third]
                .map(|server| std::fs::read_to_string(server.path("known_hosts")).expect("written"))
                .concat();
            // One key opens all of them.
            let id = std::fs::read_to_string(third.path("id.pub")).expect("written");
            std::fs::write(third.path("known_hosts"), all).expect("written");
            let mut hops = Vec::new();
            for server in [&first, &second] {
                let mut known =
                    std::fs::OpenOptions::new().append(true).open(server.path("authorized_keys")).expect("written");
                known.write_all(id.as_bytes()).expect("written");
                hops.push(jump(server));
            }
            let mut config = lines(&third);
            config.tunnels[0].ssh.jumps = hops;
            let running = run(config);
            works(&running);
            running.end();
        }
    }
}

/// A tunnel to the last server through the one before.
fn through(jump: &SshServer, server: &SshServer) -> Config {
    let known = |name: &str| [jump, server].map(|server| std::fs::read_to_string(server.path(name)).expect("written"));
    std::fs::write(server.path("all_hosts"), known("known_hosts").concat()).expect("written");
    std::fs::write(jump.path("authorized_keys"), known("id.pub").concat()).expect("written");
    let mut config = lines(server);
    config.tunnels[0].ssh.known_hosts = vec![server.path("all_hosts")];
    config.tunnels[0].ssh.jumps =
        vec![Jump::new(&jump.address.ip().to_string()).user(Some(jump.user.clone())).port(jump.address.port())];
    config
}

#[test]
fn loss_of_a_jump_host_is_detected_at_once() {
    for mut jump in SshServer::each() {
        let server = SshServer::russh();
        let mut config = through(&jump, &server);
        // Not by asking.
        config.tunnels[0].keep_alive.interval = Duration::from_secs(1000);
        let running = run(config);
        works(&running);
        assert_eq!(running.next_end(), Reason::PeerClosed);
        let peer = Peer::connect(port(&running.until_up(), 0));
        running.until_counted(|metrics| metrics.tunnels[0].channels > 0);
        jump.take_down();
        assert_eq!(running.next_end(), Reason::TunnelLost);
        jump.bring_back();
        running.until("up again", |status| status.state == TunnelState::Up && status.connected == 2);
        works(&running);
        drop(peer);
        running.end();
    }
}

#[test]
fn dead_server_behind_a_live_jump_host_is_detected() {
    // A host that has something to say all the time.
    let Some(jump) = SshServer::open("ClientAliveInterval 1") else { return };
    let Some(server) = SshServer::open("") else { return };
    let mut config = through(&jump, &server);
    config.tunnels[0].keep_alive.interval = Duration::from_secs(2);
    config.tunnels[0].keep_alive.count_max = 1;
    let running = run(config);
    works(&running);
    assert!(server.signal("-STOP") > 0);
    let is_silent = |failure: &TunnelFailure| *failure == TunnelFailure::Silent;
    running.until("silent", |status| status.last_error.as_ref().is_some_and(|(failure, _)| is_silent(failure)));
    server.signal("-CONT");
    running.end();
}
