//! Reloads and drains under load.

use super::{TLS, certificate, connect, tls_over};
use crate::support::{Directory, Program, read};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Says numbered lines and hears each again, in order, until it is told to stop; then how many.
fn echo(stream: impl Read + Write, stop: &AtomicBool, count: &AtomicU64) {
    let mut stream = BufReader::new(stream);
    let (mut n, mut line) = (0u64, String::new());
    while !stop.load(Ordering::SeqCst) {
        let words = format!("{n} {}\n", "x".repeat(usize::try_from(n % 977).expect("small")));
        stream.get_mut().write_all(words.as_bytes()).expect("it is read");
        line.clear();
        stream.read_line(&mut line).expect("it answers");
        assert_eq!(line, words, "not a byte is lost");
        n += 1;
        count.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn hundred_reloads_under_load_lose_no_peer_and_no_byte() {
    let directory = Directory::new("reload");
    certificate(&directory.0);
    let config = |n: usize| {
        format!(
            "listeners:\n  a: {{ address: '127.0.0.1:0', app: echo, welcome: '{n}' }}\n  b: {{ address: '127.0.0.1:0', app: echo, {TLS} }}\n\
             limits: {{ connections_max: {}, peer: {{ messages: unlimited, bytes: unlimited }} }}\n",
            100 + n
        )
    };
    let program = Program::configured(&directory.0, &config(0), 2, |_| {});
    let (stop, said) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut welcomes = Vec::new();
    thread::scope(|scope| {
        for n in 0..8 {
            let (stop, said, path) = (&stop, &said, &directory.0);
            if n % 2 == 0 {
                let mut plain = BufReader::new(connect(program.port_of(0)));
                let mut welcome = String::new();
                plain.read_line(&mut welcome).expect("it greets");
                scope.spawn(move || echo(plain.into_inner(), stop, said));
            } else {
                let secure = tls_over(path, connect(program.port_of(1)));
                scope.spawn(move || echo(secure, stop, said));
            }
        }
        let file = directory.0.join("drupe.yaml");
        for n in 1..=100 {
            if n % 10 == 0 {
                certificate(&directory.0);
            }
            std::fs::write(&file, config(n)).expect("written");
            program.signal("-HUP");
            directory.wait_for("log", "reloaded; listening on", n);
            let mut welcome = String::new();
            BufReader::new(connect(program.port_of(0))).read_line(&mut welcome).expect("it greets");
            welcomes.push(welcome.trim_end().parse::<usize>().expect("a number"));
            // With the certificate of now.
            if n % 10 == 0 {
                let mut fresh = tls_over(&directory.0, connect(program.port_of(1)));
                fresh.write_all(b"hello\n").expect("the certificate is the new one");
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(welcomes, (1..=100).collect::<Vec<_>>(), "each configuration held at once");
    assert!(said.load(Ordering::SeqCst) > 800, "there was load");
    // One that is wrong changes nothing, and says so.
    std::fs::write(directory.0.join("drupe.yaml"), config(101).replace("connections_max", "connection_max"))
        .expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "nothing was reloaded: the configuration is invalid; ", 1);
    let log = read(&directory.0.join("log"));
    assert!(log.contains("limits.connection_max: there is no such key; did you mean connections_max?"), "{log}");
    assert!(log.contains("changed: limits.connections_max: 199 -> 200"), "{log}");
    let mut welcome = String::new();
    BufReader::new(connect(program.port_of(0))).read_line(&mut welcome).expect("it greets");
    assert_eq!(welcome, "100\n");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn drain_of_a_thousand_peers_cuts_off_no_late_arrival() {
    let directory = Directory::new("drain");
    let config = "listeners: { a: { address: '127.0.0.1:0', app: echo, welcome: welcome } }\n\
         limits: { connections_per_address_max: 5000 }\n\
         drain: { grace: 300ms, window: 2s, closes_per_second: 500, deadline: 20s, retry_after: 9s }\n";
    let program = Program::configured(&directory.0, config, 1, |_| {});
    let port = program.port_of(0);
    let mut peers: Vec<_> = (0..1_000).map(|_| BufReader::new(connect(port))).collect();
    let mut line = String::new();
    for peer in &mut peers {
        line.clear();
        peer.read_line(&mut line).expect("it greets");
        assert_eq!(line, "welcome\n");
    }
    let stop = AtomicBool::new(false);
    let (late, ends) = thread::scope(|scope| {
        // Others come meanwhile: each is served from the welcome to the farewell, or not let in at all.
        let late = scope.spawn(|| {
            let mut served = 0;
            while !stop.load(Ordering::SeqCst) {
                let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { break };
                let _ = stream.shutdown(Shutdown::Write);
                let mut heard = String::new();
                // A listener that is closed resets those who were not accepted yet.
                if stream.read_to_string(&mut heard).is_err() || heard.is_empty() {
                    continue;
                }
                assert!(heard.starts_with("welcome\n") || heard.starts_with("closing (shutdown)"), "{heard}");
                served += 1;
            }
            served
        });
        program.signal("-TERM");
        let ends: Vec<_> = peers
            .into_iter()
            .map(|mut peer| {
                let mut rest = String::new();
                peer.read_to_string(&mut rest).expect("a kind end");
                rest
            })
            .collect();
        stop.store(true, Ordering::SeqCst);
        (late.join().expect("no panic"), ends)
    });
    let kind =
        "notice: the server is shutting down; try again in 9 s\nclosing (shutdown): the server is shutting down\n";
    assert!(ends.iter().all(|end| end == kind), "{:?}", ends.iter().find(|end| *end != kind));
    assert!(late > 0, "it was let in while the grace lasted");
    assert_eq!(program.wait(), Some(0));
    // Each of them has its line, or is among those that were left out.
    let log = read(&directory.0.join("log"));
    let closed = log.lines().filter(|line| line.contains("connections: closed")).count();
    assert!(closed + left_out(&log, "closed") >= 1_000, "{log}");
}

/// How many lines of a kind were left out, as the log says.
fn left_out(log: &str, kind: &str) -> usize {
    let lines = log.lines().filter(|line| line.contains("lines were left out") && line.contains(&format!("{kind:?}")));
    let count = |line: &str| line.split("count=").nth(1)?.split(' ').next()?.parse::<usize>().ok();
    lines.filter_map(count).sum()
}
