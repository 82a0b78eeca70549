//! Tunnels through a proxy.

use super::failures::failure;
use super::{lines, works};
use crate::proxy_server::{USER, proxy};
use crate::ssh::SshServer;
use crate::tunnelled::run;
use drupe_tokio::core::OutgoingProxy;
use drupe_tokio::core::tunnel::{Jump, TunnelFailure};
use std::net::SocketAddr;

fn at(scheme: &str, user: &str, address: SocketAddr) -> OutgoingProxy {
    format!("{scheme}://{user}@{address}").parse().expect("well formed")
}

#[test]
fn tunnel_connects_through_every_proxy_even_if_the_banner_comes_with_the_answer() {
    // An SSH server speaks first, and its first byte may come with the answer of the proxy.
    for waits in [false, true] {
        let proxy = proxy(waits);
        for scheme in ["http", "socks5"] {
            for server in SshServer::each() {
                let mut config = lines(&server);
                config.tunnels[0].ssh.proxy = Some(at(scheme, USER, proxy));
                let running = run(config);
                works(&running);
                running.end();
            }
        }
    }
}

#[test]
fn only_the_first_jump_host_is_reached_through_the_proxy() {
    let (jump, server) = (SshServer::russh(), SshServer::russh());
    let known =
        |name: &str| [&jump, &server].map(|server| std::fs::read_to_string(server.path(name)).expect("written"));
    std::fs::write(server.path("all_hosts"), known("known_hosts").concat()).expect("written");
    std::fs::write(jump.path("authorized_keys"), known("id.pub").concat()).expect("written");
    let mut config = lines(&server);
    let ssh = &mut config.tunnels[0].ssh;
    ssh.known_hosts = vec![server.path("all_hosts")];
    ssh.jumps = vec![Jump::new(&jump.address.ip().to_string()).user(Some(jump.user.clone())).port(jump.address.port())];
    ssh.proxy = Some(at("socks5", USER, proxy(false)));
    let running = run(config);
    works(&running);
    running.end();
}

#[test]
fn each_failure_of_the_proxy_is_named_with_its_remedy() {
    let (proxy, server) = (proxy(false), SshServer::russh());
    let nobody: SocketAddr = ([127, 0, 0, 1], 1).into();
    for (scheme, user, address, host, port, expected, words) in [
        ("http", "ann:x", proxy, "127.0.0.1", 22, TunnelFailure::Proxy, "proxy_credentials_refused: the proxy refused"),
        ("socks5", "ann:shut%20sesame", proxy, "127.0.0.1", 22, TunnelFailure::Proxy, "proxy_credentials_refused: "),
        ("http", USER, proxy, "other.example", 22, TunnelFailure::Proxy, "proxy_forbidden: the proxy does not allow"),
        ("socks5", USER, proxy, "no name", 22, TunnelFailure::Proxy, "proxy_bad_target: a proxy connects to HOST:PORT"),
        ("http", USER, proxy, "127.0.0.1", 1, TunnelFailure::Network, "proxy_target_unreachable: the proxy can't"),
        ("socks5", USER, proxy, "127.0.0.1", 1, TunnelFailure::Network, "proxy_target_refused: the host refused"),
        ("http", USER, nobody, "127.0.0.1", 22, TunnelFailure::Network, "Connection refused"),
        ("socks5", USER, server.address, "127.0.0.1", 22, TunnelFailure::Proxy, "not_a_proxy: "),
    ] {
        let (failure, said) = failure(&server, |ssh| {
            ssh.proxy = Some(at(scheme, user, address));
            (ssh.host, ssh.port) = (host.to_owned(), port);
        });
        let place = format!("{host}:{port} can't be reached through the proxy {scheme}://{address}: ");
        assert!(failure == expected && said.contains(words) && said.starts_with(&place), "{failure}: {said}");
        assert!(!said.contains("sesame"), "{said}");
    }
}
