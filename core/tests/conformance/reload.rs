//! Reconfiguration of a running server.

use super::{PATIENCE, Peer, lines, run, run_sharded};
use crate::shell::core::Config;
use crate::shell::core::app::Echo;
use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn reload_changes_listeners_while_the_server_runs() {
    let server = run(lines(), Echo, None);
    let mut stays = server.connect();
    stays.send(b"one\n");
    assert_eq!(stays.line(), "one");
    let reconfigure = |config: Config| {
        let (send, receive) = mpsc::channel();
        server.remote.reconfigure(config, move |outcome| drop(send.send(outcome))).expect("it runs");
        receive.recv_timeout(PATIENCE).expect("it answers")
    };
    let busy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = format!("tcp://{}", busy.local_addr().expect("bound"));
    let wrong = Config::listening([lines().listeners.remove(0), taken.parse().expect("an address")]);
    let error = reconfigure(wrong).expect_err("the address is in use").to_string();
    assert!(error.starts_with(&format!("can't listen at {taken}")), "{error}");
    assert_eq!(server.metrics().reloads, 0);
    // Adds a listener, then removes the first one.
    let more = Config::listening([lines().listeners.remove(0), "length://127.0.0.1:0".parse().expect("an address")]);
    let addresses = reconfigure(more).expect("it can listen there");
    assert_eq!((addresses.len(), &addresses[0]), (2, &server.addresses[0]));
    let fresh = addresses[1].strip_prefix("length://").expect("frames").to_owned();
    let mut frames = Peer::new(TcpStream::connect(&fresh).expect("the server listens"));
    frames.send(b"\0\0\0\x02hi");
    let mut answer = [0; 6];
    frames.0.read_exact(&mut answer).expect("the server answers");
    assert_eq!(&answer, b"\0\0\0\x02hi");
    let less =
        Config::listening(["length://127.0.0.1:0".parse().expect("an address")]).idle(Some(Duration::from_secs(1_000)));
    assert_eq!(reconfigure(less).expect("it listens there").len(), 1);
    let gone = server.addresses[0].strip_prefix("tcp://").expect("lines").to_owned();
    server.until(|_| TcpStream::connect(&gone).is_err());
    stays.send(b"two\n");
    assert_eq!(stays.line(), "two", "existing connections stay");
    let metrics = server.end();
    assert_eq!(metrics.reloads, 2);
}

#[test]
fn reload_widens_and_narrows_a_listen_address() {
    let server = run(lines(), Echo, None);
    let mut stays = server.connect();
    stays.send(b"one\n");
    assert_eq!(stays.line(), "one");
    let reconfigure = |addresses: &[&str]| {
        let (send, receive) = mpsc::channel();
        let config = Config::listening(addresses.iter().map(|text| text.parse().expect("an address")));
        server.remote.reconfigure(config, move |outcome| drop(send.send(outcome))).expect("it runs");
        receive.recv_timeout(PATIENCE).expect("it answers")
    };
    let narrow = server.addresses[0].clone();
    let wide = narrow.replace("127.0.0.1", "0.0.0.0");
    let busy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = format!("tcp://{}", busy.local_addr().expect("bound"));
    // A failed reload restores everything, including listeners that it had closed.
    let error = reconfigure(&[&wide, &taken]).expect_err("the address is in use").to_string();
    assert!(error.starts_with(&format!("can't listen at {taken}")) && !error.contains("lost"), "{error}");
    for (address, listened_at) in [(&wide, &wide), (&narrow, &narrow), (&wide, &wide)] {
        assert_eq!(server.connect_and_ask("hello"), "hello");
        assert_eq!(reconfigure(&[address]).expect("it can listen there"), std::slice::from_ref(listened_at));
    }
    assert_eq!(server.connect_and_ask("hello"), "hello");
    stays.send(b"two\n");
    assert_eq!(stays.line(), "two", "existing connections stay");
    assert_eq!(server.end().reloads, 3);
}

#[test]
fn panicking_metrics_or_reload_callback_does_not_end_server() {
    for server in [run(lines(), Echo, None), run_sharded(lines(), || Echo)] {
        server.remote.metrics(|_| panic!("a callback that fails")).expect("it runs");
        server.remote.reconfigure(lines(), |_| panic!("a callback that fails")).expect("it runs");
        assert_eq!(server.connect_and_ask("hello"), "hello");
        assert_eq!(server.metrics().opened, 1);
        server.end();
    }
}
