//! A server of several shards: shared rooms, limits, metrics and connection names.

use super::{PATIENCE, Peer, lines, run_sharded};
use crate::shell::core::app::{Chat, Echo, Relay};
use crate::shell::core::wire::Proxies;
use crate::shell::core::{Config, Event, Handler, Hub, Reason};
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;

#[test]
fn publish_reaches_every_shard_in_order() {
    const PEERS: usize = 7;
    const LINES: usize = 200;
    let server = run_sharded(lines().unlimited(), Relay::default);
    let peers: Vec<Peer> = (0..PEERS).map(|_| server.connect()).collect();
    server.until(|metrics| metrics.open >= PEERS as u64);
    let speakers: Vec<TcpStream> = peers.iter().map(|peer| peer.0.get_ref().try_clone().expect("a handle")).collect();
    let speaking = speakers.into_iter().enumerate().map(|(speaker, mut stream)| {
        std::thread::spawn(move || {
            for n in 0..LINES {
                stream.write_all(format!("{speaker} {n}\n").as_bytes()).expect("the server reads");
            }
        })
    });
    let speaking: Vec<_> = speaking.collect();
    for (listener, mut peer) in peers.into_iter().enumerate() {
        let mut next = [0; PEERS];
        for _ in 0..LINES * (PEERS - 1) {
            let line = peer.line();
            let (speaker, n) = line.split_once(' ').expect("two numbers");
            let speaker: usize = speaker.parse().expect("a number");
            assert_ne!(speaker, listener, "no peer receives its own line");
            assert_eq!(n.parse(), Ok(next[speaker]), "in order and once");
            next[speaker] += 1;
        }
        // Each peer reads exactly what it should; the metrics below show that nothing else was
        // sent.
        drop(peer);
    }
    speaking.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let metrics = server.end();
    assert_eq!((metrics.opened, metrics.ended.total()), (PEERS as u64, PEERS as u64));
    assert_eq!(metrics.messages_in, (PEERS * LINES) as u64);
    assert_eq!(metrics.messages_out, (PEERS * (PEERS - 1) * LINES) as u64);
}

#[test]
fn chat_grants_a_name_to_one_peer_of_all_shards() {
    const PEERS: usize = 6;
    let server = run_sharded(lines().unlimited(), Chat::default);
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| server.connect()).collect();
    let until = |peer: &mut Peer, words: &str| {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|line: &String| !line.starts_with(words)) {
            heard.push(peer.line());
        }
        heard
    };
    for peer in &mut peers {
        until(peer, "* welcome");
    }
    for peer in &mut peers {
        peer.send(b"/nick eve\n/who\n");
    }
    let mut refused = Vec::new();
    for (number, peer) in peers.iter_mut().enumerate() {
        if until(peer, "* in lobby: ").contains(&"* eve is taken".to_owned()) {
            refused.push(number);
        }
    }
    assert_eq!(refused.len(), PEERS - 1, "{refused:?}");
    let eve = (0..PEERS).find(|number| !refused.contains(number)).expect("one is left");
    for (sent, number) in refused.into_iter().enumerate() {
        peers[number].send(format!("/msg eve {sent}\n").as_bytes());
        until(&mut peers[number], "[to eve] ");
        let heard = until(&mut peers[eve], "[guest").pop().expect("a line");
        assert!(heard.ends_with(&format!("] {sent}")), "{heard}");
    }
    // All names of those who leave are free.
    let mut last = peers.swap_remove(eve);
    drop(peers);
    for _ in 1..PEERS {
        until(&mut last, "* guest");
    }
    last.send(b"/who\n/nick guest1\n/nick guest2\n");
    assert_eq!(until(&mut last, "* in lobby: ").pop().expect("a line"), "* in lobby: eve");
    assert_eq!([last.line(), last.line()], ["* eve is now guest1", "* guest1 is now guest2"]);
    drop(last);
    server.end();
}

#[test]
fn shards_share_limits_metrics_and_drain() {
    let mut config = Config::listening(["tcp://127.0.0.1:0", "ws://127.0.0.1:0"].map(|text| text.parse().expect(text)));
    config.connections.total = 6;
    let server = run_sharded(config, || Echo);
    let mut peers: Vec<Peer> = (0..6).map(|_| server.connect()).collect();
    for peer in &mut peers {
        peer.send(b"in\n");
        assert_eq!(peer.line(), "in");
    }
    assert_eq!(server.connect().rest(), "closing (server_full): the server is full\n");
    // A closed connection makes room on every shard.
    for peer in peers.drain(..3) {
        drop(peer);
    }
    server.until(|metrics| metrics.open + metrics.closing == 3);
    let (mut open, mut tries) = (Vec::new(), 0);
    while open.len() < 2 {
        let mut peer = server.connect();
        peer.send(b"again\n");
        // The counting shard may receive the closes late. A refused peer may find its connection
        // reset.
        let mut line = String::new();
        if peer.0.read_line(&mut line).is_ok() && line == "again\n" {
            open.push(peer);
        }
        tries += 1;
        assert!(tries < 10_000, "there is room");
    }
    // One scrape covers all shards, once they have exchanged their metrics.
    let address = server.addresses[1].replace("ws://", "");
    let began = std::time::Instant::now();
    loop {
        let mut scrape = Peer::new(TcpStream::connect(&address).expect("it listens"));
        scrape.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut text = String::new();
        let _ = scrape.0.read_to_string(&mut text);
        if text.contains("\ndrupe_connections_open 5\n") && text.contains("\ndrupe_messages_received_total 8\n") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
    }
    let metrics = server.end();
    assert_eq!(metrics.opened, metrics.ended.total());
    assert_eq!(metrics.ended.get(Reason::Shutdown), 5);
    peers.iter_mut().chain(&mut open).for_each(|peer| assert!(peer.rest().contains("shutdown")));
}

/// Sends the connection's id to each new peer.
struct Named;

impl Handler for Named {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        if let Event::Opened { conn, .. } = event {
            hub.send(conn, &conn.to_string());
        }
    }
}

#[test]
fn connection_ids_are_unique_across_shards() {
    let server = run_sharded(lines(), || Named);
    let mut peers: Vec<(Peer, String)> = (0..6).map(|_| server.connect()).map(|peer| (peer, String::new())).collect();
    for (peer, name) in &mut peers {
        *name = peer.line();
    }
    let mut names: Vec<&str> = peers.iter().map(|(_, name)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 6, "{names:?}");
    let (mut kicked, name) = peers.swap_remove(3);
    server.remote.kick(name.parse().expect("a connection")).expect("it runs");
    assert_eq!(kicked.rest(), "closing (kicked): an operator closed the connection\n");
    assert_eq!(server.end().ended.get(Reason::Kicked), 1);
}

#[test]
fn proxy_header_sets_the_client_address_on_every_shard() {
    let mut config = lines();
    config.listeners[0].proxies = Some(Proxies::trusting(["127.0.0.0/8".parse().expect("a network")]));
    config.connections.per_address = 3;
    let server = run_sharded(config, || Echo);
    let mut peers: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for (n, peer) in peers.iter_mut().enumerate() {
        peer.send(format!("PROXY TCP4 192.0.2.{} 127.0.0.1 5 6\r\nhello\n", n % 2).as_bytes());
    }
    let heard: Vec<_> = peers.iter_mut().map(Peer::line).collect();
    assert_eq!(heard.iter().filter(|line| *line == "hello").count(), 6, "three of each address: {heard:?}");
    let metrics = server.end();
    assert_eq!((metrics.ended.get(Reason::AddressFull), metrics.forwarded), (2, 8));
}

#[test]
fn worker_panic_ends_the_server() {
    let make = || {
        assert_ne!(std::thread::current().name(), Some("drupe-worker"), "a worker that fails");
        Echo
    };
    let server = run_sharded(lines(), make);
    assert!(server.thread.join().is_err(), "the server panics too");
}
