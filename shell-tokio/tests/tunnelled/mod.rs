//! Servers behind a reverse SSH tunnel: the same scripts on every shell, which the test that includes this file gives under
//! the name `shell`, through OpenSSH's server and russh's. Nothing waits for a time to pass.

mod running;

pub(crate) use running::*;

use crate::shell;
use crate::shell::core::http::Http;
use crate::shell::core::tunnel::{TunnelFailure, TunnelState};
use crate::shell::core::wire::Protocol;
use crate::shell::core::{Config, Listen, Reason};
use crate::ssh::SshServer;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Lines, telnet, WebSocket and a Unix socket, each on the other side.
fn all_wires(server: &SshServer) -> Config {
    let socket = server.path("forwarded.sock");
    let listen = |text: &str| text.parse::<Listen>().expect("well formed");
    let mut config = Config::listening([
        listen("tcp://127.0.0.1:0?tunnel=edge"),
        listen("telnet://127.0.0.1:0?tunnel=edge&probe=no"),
        listen("ws://127.0.0.1:0?tunnel=edge"),
        listen(&format!("unix://{socket}?tunnel=edge")),
    ]);
    if let Protocol::Http(http) = &mut config.listeners[2].protocol {
        *http = Arc::new(Http::clone(http).deflate(false));
    }
    config.tunnels = vec![tunnel(server)];
    config
}

#[test]
fn tunnel_carries_every_wire_with_peer_addresses() {
    for server in SshServer::each() {
        let running = run(all_wires(&server));
        let status = running.until_up();
        let mut lines = Peer::connect(port(&status, 0));
        lines.send(b"hello\n");
        assert_eq!(lines.line(), format!("{} hello", lines.own_address()));
        let mut telnet = Peer::connect(port(&status, 1));
        telnet.send(b"hello\r\n");
        assert_eq!(telnet.line(), format!("{} hello", telnet.own_address()));
        let mut web = Peer::connect(port(&status, 2));
        web.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        );
        while !web.line().is_empty() {}
        // Masked with zeros.
        web.send(b"\x81\x85\0\0\0\0hello");
        let expected = format!("{} hello", web.own_address());
        let length = u8::try_from(expected.len()).expect("short");
        assert_eq!(web.exactly(2 + expected.len()), [&[0x81, length], expected.as_bytes()].concat());
        let mut unix = UnixStream::connect(server.path("forwarded.sock")).expect("it listens");
        unix.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        unix.write_all(b"hello\n").expect("taken");
        let mut answer = [0; 12];
        unix.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"local hello\n");
        let counted = running.metrics().tunnels[0].clone();
        assert_eq!((counted.up, counted.channels, counted.forwards_bound), (1, 4, 4));
        assert!(counted.bytes_in > 20 && counted.bytes_out > 20, "{counted:?}");
        // The peer ends, and then the server does.
        drop(lines);
        assert_eq!(running.next_end(), Reason::PeerClosed);
        let ends = running.end();
        assert_eq!(ends.ended.get(Reason::Shutdown), 3);
        let said = telnet.rest();
        assert!(said.ends_with(b"closing (shutdown): the server is shutting down\r\n"), "{:?}", said.escape_ascii());
    }
}

#[test]
fn tunnel_reconnects_after_each_server_outage() {
    for mut server in SshServer::each() {
        let running = run(all_wires(&server));
        let mut status = running.until_up();
        for round in 1..=3u64 {
            let mut peer = Peer::connect(port(&status, 0));
            peer.send(b"hello\n");
            assert!(peer.line().ends_with(" hello"));
            server.take_down();
            assert_eq!(running.next_end(), Reason::TunnelLost);
            let (failure, words) = running
                .until("tried in vain", |status| {
                    status.last_error.as_ref().is_some_and(|(failure, _)| *failure == TunnelFailure::Network)
                })
                .last_error
                .expect("it failed");
            assert!(failure == TunnelFailure::Network && words.contains("Connection refused"), "{words}");
            server.bring_back();
            status = running.until("up again", |status| status.state == TunnelState::Up && status.connected > round);
        }
        let mut peer = Peer::connect(port(&status, 0));
        peer.send(b"hello\n");
        assert!(peer.line().ends_with(" hello"));
        let counted = running.metrics().tunnels[0].clone();
        assert!(counted.connects > 4 && counted.connected == 4, "{counted:?}");
        running.end();
    }
}

#[test]
fn tunnel_carries_200_connections_and_100_mib_intact() {
    const PEERS: usize = 200;
    const LINES: usize = 8;
    const BYTES: usize = 64 << 10;
    const ALPHABET: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    for server in SshServer::each() {
        let mut config = all_wires(&server).unlimited();
        config.peer.budget.message_max_bytes = shell::core::limit::MessageSize::new(1 << 20).expect("in range");
        let running = run(config);
        let address = port(&running.until_up(), 0);
        let talk = move |number: usize| {
            let mut peer = Peer::connect(address);
            for round in 0..LINES {
                let mut line: Vec<u8> = (0..BYTES).map(|place| ALPHABET[(place * 7 + number + round) % 26]).collect();
                line.push(b'\n');
                peer.send(&line);
                assert!(peer.exactly(line.len()) == line, "connection {number}, round {round}");
            }
        };
        // All are there at once.
        let talks: Vec<_> = (0..PEERS).map(|number| std::thread::spawn(move || talk(number))).collect();
        talks.into_iter().for_each(|talk| talk.join().expect("unharmed"));
        let counted = running.metrics().tunnels[0].clone();
        let all = (PEERS * LINES * (BYTES + 1)) as u64;
        assert_eq!((counted.bytes_in, counted.bytes_out, counted.connected), (all, all, 1));
        assert!(all >= 100 << 20);
        running.end();
    }
}

#[test]
fn tunnel_peer_that_sends_and_reads_receives_everything() {
    const LINE: usize = 16 << 10;
    const LINES: usize = 64;
    for server in SshServer::each() {
        for (connections, rounds) in [(1, 16), (16, 4)] {
            let mut config = all_wires(&server).unlimited();
            config.peer.budget.message_max_bytes = shell::core::limit::MessageSize::new(1 << 20).expect("in range");
            let running = run(config);
            let address = port(&running.until_up(), 0);
            let talk = move || {
                let mut peer = Peer::connect(address);
                let mut writer = peer.another();
                let write = std::thread::spawn(move || {
                    let line = [&[b'x'; LINE - 1][..], b"\n"].concat();
                    (0..LINES * rounds).for_each(|_| writer.write_all(&line).expect("it is taken"));
                });
                assert_eq!(peer.exactly(LINE * LINES * rounds).len(), LINE * LINES * rounds);
                write.join().expect("no panic");
            };
            let talks: Vec<_> = (0..connections).map(|_| std::thread::spawn(talk)).collect();
            for talk in talks {
                let reasons = || running.ended.try_iter().collect::<Vec<_>>();
                assert!(talk.join().is_ok(), "{:?} {:?}", running.remote.tunnels(), reasons());
            }
            running.end();
        }
    }
}

#[test]
fn drain_delivers_all_output_through_a_tunnel() {
    const PEERS: usize = 100;
    for server in SshServer::each() {
        let running = run(all_wires(&server).unlimited());
        let address = port(&running.until_up(), 0);
        let line = "x".repeat(60_000).into_bytes().into_iter().chain([b'\n']).collect::<Vec<_>>();
        let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(address)).collect();
        for peer in &mut peers {
            peer.send(&line);
            peer.0.get_ref().shutdown(std::net::Shutdown::Write).expect("open");
        }
        // All of it was served, and nothing of it read.
        running.until_counted(|metrics| metrics.messages_in == PEERS as u64);
        let metrics = running.end();
        assert_eq!(metrics.ended.total(), PEERS as u64);
        for (number, peer) in peers.iter_mut().enumerate() {
            // Whose end had not come yet is told of the end.
            assert!(peer.rest().starts_with(&line), "peer {number}");
        }
    }
}
