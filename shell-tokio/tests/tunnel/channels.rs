//! Channels of a tunnel: unsolicited ones, floods, slow peers.

use super::{lines, runtime, works};
use crate::ssh::SshServer;
use crate::tunnelled::{MUCH_BYTES, Peer, port, run};
use drupe_tokio::core::Reason;
use drupe_tokio::core::outbound::Marks;
use drupe_tokio::core::tunnel::TunnelState;
use std::collections::BTreeSet;

#[test]
fn tunnel_refuses_unrequested_channels() {
    let server = SshServer::russh();
    let running = run(lines(&server));
    let address = port(&running.until_up(), 0);
    let handle = server.mischief().handle();
    let bound = u32::from(address.port());
    runtime().block_on(async {
        let opened = handle.channel_open_forwarded_tcpip("127.0.0.1", bound + 1, "203.0.113.9", 1).await;
        assert!(opened.is_err(), "another port");
        let opened = handle.channel_open_forwarded_tcpip("10.0.0.1", bound, "203.0.113.9", 1).await;
        assert!(opened.is_err(), "another address");
        assert!(handle.channel_open_forwarded_streamlocal("/run/x.sock").await.is_err(), "a socket");
        assert!(handle.channel_open_direct_tcpip("127.0.0.1", 22, "203.0.113.9", 1).await.is_err(), "a way in");
        assert!(handle.channel_open_session().await.is_err(), "a shell");
        assert!(handle.channel_open_agent().await.is_err(), "our keys");
        assert!(handle.channel_open_x11("203.0.113.9", 1).await.is_err(), "our screen");
        // Even this one is only believed as far as an address goes.
        let opened = handle.channel_open_forwarded_tcpip("127.0.0.1", bound, "who knows", 70_000).await;
        let mut channel = opened.expect("ours");
        channel.data(&b"hello\n"[..]).await.expect("taken");
        assert!(matches!(channel.wait().await, Some(russh::ChannelMsg::Data { data }) if data == "0.0.0.0:0 hello\n"));
    });
    let counted = running.metrics().tunnels[0].clone();
    assert_eq!((counted.channels_refused, counted.channels), (7, 1));
    works(&running);
    running.end();
}

#[test]
fn channel_flood_is_bounded_by_connection_limits() {
    const FLOOD: usize = 10_000;
    let server = SshServer::russh();
    let mut config = lines(&server);
    config.connections.total = 500;
    config.connections.per_address = 20;
    let running = run(config);
    let address = port(&running.until_up(), 0);
    let handle = server.mischief().handle();
    let held = runtime().block_on(async {
        let mut opening = tokio::task::JoinSet::new();
        for number in 0..FLOOD {
            let handle = handle.clone();
            let ip = format!("203.0.113.{}", number % 10);
            opening.spawn(async move {
                handle.channel_open_forwarded_tcpip("127.0.0.1", address.port().into(), ip, 1).await.ok()
            });
        }
        let mut open = Vec::new();
        while let Some(opened) = opening.join_next().await {
            open.extend(opened.expect("no panic"));
        }
        open
    });
    let metrics = running.metrics();
    let (open, refused) = (metrics.open, metrics.refused.get(Reason::AddressFull));
    drop(held);
    // Ten addresses, twenty connections each.
    assert!(open <= 200 && refused > 0, "{open} open, {refused} refused");
    running.until("of use", |status| status.state == TunnelState::Up);
    works(&running);
    running.end();
}

#[test]
fn paused_channel_does_not_block_others() {
    for server in SshServer::each() {
        let mut config = lines(&server);
        config.tunnels[0].ssh.ahead_max_bytes = 2 << 20;
        // A line a minute: whoever says more waits.
        config.peer.rates.messages = drupe_tokio::core::limit::Rate::per(1, 60, 1).ok();
        let running = run(config);
        let address = port(&running.until_up(), 0);
        let mut greedy = Peer::connect(address);
        greedy.send(b"one\n");
        assert!(greedy.line().ends_with(" one"));
        // Below what may be ahead it waits, however long.
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        greedy.send(&line.repeat(512));
        let mut beside = BTreeSet::new();
        for _ in 0..20 {
            let mut peer = Peer::connect(address);
            peer.send(b"two\n");
            beside.insert(peer.line());
        }
        assert_eq!(beside.len(), 20);
        // Above it, it is over, and it alone.
        let mut flood = greedy;
        let sent = std::thread::spawn(move || {
            for _ in 0..64 {
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| flood.send(&line.repeat(256)))).is_err() {
                    break;
                }
            }
            flood.rest()
        });
        let mut reasons = Vec::new();
        while reasons.last() != Some(&Reason::RateLimited) {
            reasons.push(running.next_end());
        }
        assert!(reasons[..reasons.len() - 1].iter().all(|reason| *reason == Reason::PeerClosed), "{reasons:?}");
        drop(sent.join());
        assert_eq!(running.until_up().connected, 1);
        running.end();
    }
}

#[test]
fn channels_closed_in_mid_transfer_do_not_affect_others() {
    for server in SshServer::each() {
        let mut config = lines(&server).unlimited();
        config.outbound.marks = Marks::new(1 << 20, 2 << 20, 64 << 20).expect("in order");
        let running = run(config);
        let address = port(&running.until_up(), 0);
        for _ in 0..2 {
            let mut peers: Vec<_> = (0..64).map(|_| Peer::connect(address)).collect();
            peers.iter_mut().for_each(|peer| peer.send(b"much\n"));
            assert_eq!(peers[0].exactly(1), b"x");
            drop(peers);
            works(&running);
        }
        assert_eq!(running.until_up().connected, 1);
        running.end();
    }
}

#[test]
fn unread_channels_do_not_block_others() {
    const SLOW: usize = 24;
    // russh's server itself stops for everybody while one of its channels is not read.
    let Some(server) = SshServer::open("") else { return };
    let mut config = lines(&server);
    config.outbound.marks = Marks::new(1 << 20, 2 << 20, 64 << 20).expect("in order");
    let running = run(config);
    let address = port(&running.until_up(), 0);
    let mut slow: Vec<_> = (0..SLOW).map(|_| Peer::connect(address)).collect();
    slow.iter_mut().for_each(|peer| peer.send(b"much\n"));
    let mut peer = Peer::connect(address);
    let (mut queued, mut same) = (u64::MAX, 0);
    // Until nothing moves any more but this one.
    while same < 20 {
        peer.send(b"beside\n");
        assert!(peer.line().ends_with(" beside"));
        let before = std::mem::replace(&mut queued, running.metrics().queued_bytes);
        same = if before == queued { same + 1 } else { 0 };
    }
    assert!(queued > (SLOW << 20) as u64, "{queued} bytes are left of {}", SLOW * MUCH_BYTES);
    // Whoever reads gets it all.
    let mut first = slow.swap_remove(0);
    assert_eq!(first.exactly(MUCH_BYTES).len(), MUCH_BYTES);
    drop((first, peer, slow));
    assert_eq!(running.end().tunnels[0].connected, 1);
}
