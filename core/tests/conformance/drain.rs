//! Drains, and handles to a server that has ended.

use super::gated::run_gated;
use super::{PATIENCE, Peer, lines, run};
use crate::shell::core::Reason;
use crate::shell::core::app::Echo;
use crate::shell::{RemoteError, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};

#[test]
fn drain_notifies_every_peer_and_closes_the_listener() {
    let server = run(lines(), Echo, None);
    let mut peers: Vec<Peer> = (0..20).map(|_| server.connect()).collect();
    server.until(|metrics| metrics.open >= 20);
    server.remote.drain().expect("it runs");
    for peer in &mut peers {
        assert_eq!(peer.line(), "notice: the server is shutting down");
    }
    let _ = server.remote.drain();
    for peer in &mut peers {
        assert_eq!(peer.rest(), "closing (shutdown): the server is shutting down\n");
    }
    let address = server.addresses[0].replace("tcp://", "");
    assert_eq!(server.thread.join().expect("no panic").ended.get(Reason::Shutdown), 20);
    assert!(TcpStream::connect(address).is_err(), "the listener is closed");
}

#[test]
fn drain_flushes_to_a_peer_with_unserved_input() {
    let mut config = lines().unlimited();
    config.closing.flush = PATIENCE;
    config.drain.deadline = 2 * PATIENCE;
    let server = run(config, Echo, None);
    let mut peer = server.connect();
    let mut writer = peer.0.get_ref().try_clone().expect("a handle");
    let (send, receive) = mpsc::channel();
    let writing = std::thread::spawn(move || {
        let block = format!("{}\n", "x".repeat(1023)).repeat(64);
        // More than all buffers hold, so this thread ends when the connection does.
        for block_number in 0..16 << 8 {
            if writer.write_all(block.as_bytes()).is_err() {
                return;
            }
            let _ = send.send(block_number << 16);
        }
    });
    // The peer does not read, so the server stops reading from it.
    server.until(|metrics| metrics.stalled == 1);
    server.remote.drain().expect("it runs");
    server.until(|metrics| metrics.closing == 1);
    // From here on the server discards input. It must do so beyond `discard_max_bytes`, before the
    // peer reads anything.
    let before = receive.try_iter().last().unwrap_or(0);
    while receive.recv_timeout(PATIENCE).expect("the server reads") < before + (3 << 20) {}
    let mut rest = String::new();
    peer.0.read_to_string(&mut rest).expect("no reset");
    let goodbye = "closing (shutdown): the server is shutting down\n";
    assert!(rest.ends_with(goodbye), "{}", &rest[rest.len().saturating_sub(100)..]);
    drop(peer);
    writing.join().expect("no panic");
    server.thread.join().expect("no panic");
}

#[test]
fn drain_reaches_a_shard_with_a_full_mailbox() {
    let gate = Arc::default();
    let (server, worker) = run_gated(&gate);
    let mut peers = [server.connect(), server.connect()];
    server.until(|metrics| metrics.open >= 2);
    let closed = gate.lock().expect("no panic");
    while worker.note(String::new()).is_ok() {}
    assert_eq!(worker.note(String::new()), Err(RemoteError::Full));
    assert_eq!((server.remote.drain(), server.remote.drain()), (Ok(()), Ok(())));
    drop(closed);
    assert_eq!(server.thread.join().expect("no panic").ended.get(Reason::Shutdown), 2);
    peers.iter_mut().for_each(|peer| assert!(peer.rest().contains("shutdown")));
    assert_eq!(server.remote.metrics(|_| panic!("a server that has ended answers")), Err(RemoteError::Ended));
}

#[test]
fn metrics_are_returned_though_a_shard_ends_meanwhile() {
    let gate = Arc::default();
    let (server, _) = run_gated(&gate);
    let _peers = [server.connect(), server.connect()];
    server.until(|metrics| metrics.open >= 2);
    let closed = gate.lock().expect("no panic");
    assert_eq!((server.remote.drain(), server.remote.drain()), (Ok(()), Ok(())));
    let (send, receive) = mpsc::channel();
    server.remote.metrics(move |metrics| drop(send.send(metrics))).expect("it runs");
    drop(closed);
    assert_eq!(receive.recv_timeout(PATIENCE).expect("it is answered").opened, 2);
    server.thread.join().expect("no panic");
}

#[test]
fn remote_of_ended_server_returns_ended() {
    let server = run(lines(), Echo, None);
    let remote = server.remote.clone();
    server.end();
    assert_eq!(remote.drain(), Err(RemoteError::Ended));
}

#[test]
fn remote_of_dropped_unrun_server_returns_ended() {
    let server = Server::bind(lines(), Echo).expect("a port");
    let remote = server.remote();
    drop(server);
    assert_eq!(remote.drain(), Err(RemoteError::Ended));
}
