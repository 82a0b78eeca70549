//! A server that runs out of file descriptors.

use super::{Peer, lines, run};
use crate::shell::core::app::Echo;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// A limit on descriptors that is enough for some of the test's connections, but not for all.
const FEW: &str = "40";

const SERVES: &str = "DRUPE_TEST_SERVES";

#[test]
fn server_out_of_descriptors_serves_existing_connections() {
    if std::env::var_os(SERVES).is_some() {
        return serve_with_few_descriptors();
    }
    // Runs this test again, in a process with few descriptors.
    let program = std::env::current_exe().expect("it runs");
    let name = concat!(module_path!(), "::server_out_of_descriptors_serves_existing_connections");
    let name = name.split_once("::").expect("the crate's name").1;
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -n {FEW}; exec \"$0\" --exact {name} --nocapture --test-threads=1")])
        .arg(program)
        .env(SERVES, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("tcp://") {
        line.clear();
        assert!(output.read_line(&mut line).expect("text") > 0, "it prints its address");
    }
    let address = line.trim().rsplit_once("tcp://").expect("its scheme").1.to_owned();
    // All can connect, because the system completes handshakes before the server accepts.
    let peers: Vec<Peer> = (0..60).map(|_| Peer::new(TcpStream::connect(&address).expect("it listens"))).collect();
    // The server accepts them in order until it runs out.
    let open: usize = loop {
        line.clear();
        assert!(output.read_line(&mut line).expect("text") > 0, "it runs out");
        if let Some(open) = line.strip_prefix("open ") {
            break open.trim().parse().expect("a number");
        }
    };
    assert!((10..50).contains(&open), "{open} are open");
    let mut peers = peers;
    let waiting = peers.split_off(open);
    // Served peers disconnect, which frees descriptors for the others.
    for group in [peers, waiting] {
        for mut peer in group {
            peer.send(b"hello\n");
            assert_eq!(peer.line(), "hello");
        }
    }
    drop(child.stdin.take());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert!(child.wait().expect("it ends").success(), "{rest}");
    let errors: u64 =
        rest.lines().find_map(|line| line.strip_prefix("accept errors ")?.parse().ok()).expect("a number");
    assert!((1..1000).contains(&errors), "it ran out, and did not spin: {errors}");
}

fn serve_with_few_descriptors() {
    let server = run(lines(), Echo, None);
    let mut output = std::io::stdout();
    writeln!(output, "\nserves {}", server.addresses[0]).and_then(|()| output.flush()).expect("the test reads");
    server.until(|metrics| metrics.accept_errors > 0);
    writeln!(output, "\nopen {}", server.metrics().open).and_then(|()| output.flush()).expect("the test reads");
    let _ = std::io::stdin().read_line(&mut String::new());
    writeln!(output, "\naccept errors {}", server.end().accept_errors).expect("the test reads");
}
