//! Rates, connection limits, and slow readers.

use super::{lines, run};
use crate::shell::core::Reason;
use crate::shell::core::app::{Echo, Relay};
use crate::shell::core::limit::Rate;
use crate::shell::core::outbound::Marks;
use std::io::Write;
use std::net::Shutdown;
use std::sync::mpsc;

#[test]
fn burst_over_the_rate_is_echoed_without_loss() {
    let mut config = lines();
    config.peer.rates.messages = Rate::new(20_000, 1_000).ok();
    let server = run(config, Echo, None);
    let mut peer = server.connect();
    let burst: String = (0..10_000).map(|n| format!("{n}\n")).collect();
    let sent = burst.clone();
    let mut writer = peer.0.get_ref().try_clone().expect("a second handle");
    let thread = std::thread::spawn(move || {
        writer.write_all(sent.as_bytes()).expect("the server reads");
        writer.shutdown(Shutdown::Write).expect("it is open");
    });
    let answer = peer.rest();
    thread.join().expect("no panic");
    let echoed: String = answer.split_inclusive('\n').filter(|line| !line.starts_with("warning")).collect();
    assert!(echoed == burst, "nothing is lost, added or reordered");
    assert!(server.end().rate_exceeded > 0);
}

#[test]
fn slow_reader_affects_only_itself() {
    let mut config = lines().unlimited();
    config.outbound.marks = Marks::new(10_000, 50_000, 100_000).expect("in order");
    let server = run(config, Relay::default(), None);
    let slow = server.connect();
    let (mut healthy, mut sender) = (server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 3);
    let line = format!("{}\n", "x".repeat(9_999));
    let count = 3_000;
    // The sender waits for the healthy receiver, so it is never too fast for it.
    for _ in 0..count {
        sender.send(line.as_bytes());
        assert_eq!(healthy.line().len(), 9_999, "nothing is lost to a healthy receiver");
    }
    server.until(|metrics| metrics.ended.get(Reason::SlowConsumer) > 0);
    drop(slow);
    let metrics = server.end();
    assert_eq!(metrics.ended.get(Reason::SlowConsumer), 1);
    assert!(metrics.queued_bytes_peak < 12_000_000, "{} bytes were queued", metrics.queued_bytes_peak);
}

#[test]
fn shell_writes_between_remote_messages() {
    let mut config = lines().unlimited();
    config.outbound.marks = Marks::new(10_000, 50_000, 100_000).expect("in order");
    let (send, receive) = mpsc::channel();
    let server = run(config, Relay::default(), None);
    let slow = server.connect();
    server.until(|metrics| metrics.open >= 1);
    // The callback blocks the server while the messages arrive.
    server.remote.metrics(move |_| receive.recv().expect("the test continues")).expect("it runs");
    let text = "x".repeat(1_000);
    (0..20_000).for_each(|_| server.remote.publish("relay", &text).expect("there is room"));
    send.send(()).expect("it waits");
    server.until(|metrics| metrics.ended.get(Reason::SlowConsumer) > 0);
    drop(slow);
    let metrics = server.end();
    assert!(metrics.queued_bytes_peak < 4_000_000, "{} bytes were queued", metrics.queued_bytes_peak);
}

#[test]
fn refused_peer_reads_the_reason() {
    let mut config = lines();
    config.connections.per_address = 1;
    let server = run(config, Echo, None);
    let mut first = server.connect();
    first.send(b"in\n");
    assert_eq!(first.line(), "in");
    assert_eq!(server.connect().rest(), "closing (address_full): this address has too many connections\n");
    assert_eq!(server.end().refused.get(Reason::AddressFull), 1);
}
