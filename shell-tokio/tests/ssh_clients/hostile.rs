//! Peers that lie, and many that never finish.

use crate::stage::{Running, Stage};
use crate::support::Program;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn connect(program: &Running, place: usize) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", program.port_of(place))).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    stream
}

/// Sends bytes and reads until the server closes the connection.
fn talk(program: &Running, bytes: &[u8]) {
    let mut stream = connect(program, 0);
    // The server may close the connection before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// A packet without encryption (RFC 4253 section 6).
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + padding + 1).expect("short");
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).expect("short"));
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// A proposal of algorithms (RFC 4253 section 7.1), the same for each kind.
fn proposal(algorithm: &str) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend_from_slice(&[7; 16]);
    for _ in 0..10 {
        payload.extend_from_slice(&u32::try_from(algorithm.len()).expect("short").to_be_bytes());
        payload.extend_from_slice(algorithm.as_bytes());
    }
    payload.extend_from_slice(&[0; 5]);
    packet(&payload)
}

#[test]
fn each_lie_before_the_login_has_its_own_reason() {
    let stage = Stage::new("lies");
    let program = stage.echo("");
    let version = b"SSH-2.0-liar\r\n";
    for (lie, reason) in [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "wrong_protocol"),
        ([b'x'; 1_000].to_vec(), "wrong_protocol"),
        ([&version[..], &proposal("none-of-ours")].concat(), "key_exchange_failed"),
        // A length that no packet has, and a message that has no place here.
        ([&version[..], &[0xff; 64]].concat(), "ssh_protocol"),
        ([&version[..], &packet(&[20, 1, 2])].concat(), "ssh_protocol"),
    ] {
        let before = count(&stage, reason);
        talk(&program, &lie);
        stage.0.wait_for("log", &format!("reason={reason}"), before + 1);
    }
    assert_eq!(program.terminate_quietly(), Some(0));
}

fn count(stage: &Stage, reason: &str) -> usize {
    crate::support::read(&stage.0.0.join("log")).matches(&format!("reason={reason}")).count()
}

#[test]
fn login_that_takes_too_long_ends() {
    let stage = Stage::new("slow");
    let program = stage.echo("login: none, login_timeout: 1s");
    let mut silent = connect(&program, 0);
    let mut slow = connect(&program, 0);
    slow.write_all(b"SSH-2.0-slow\r\n").expect("it reads");
    for stream in [&mut silent, &mut slow] {
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert!(heard.starts_with(b"SSH-2.0-drupe_"), "{heard:?}");
    }
    stage.0.wait_for("log", "reason=authentication_timeout", 2);
    assert_eq!(program.terminate_quietly(), Some(0));
}

/// Returns the memory of the program in KiB.
fn memory(program: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn others_are_served_beside_a_thousand_half_open_handshakes_and_a_hundred_slow_ones() {
    let stage = Stage::new("half-open");
    // Connections of one address are limited for all listeners. This is about the limits of SSH.
    let program = stage.start(
        "listeners:
  a: { address: '127.0.0.1:0', protocol: ssh, app: echo, ssh: { host_key: host, login: none } }
  b: { address: '127.0.0.1:0', protocol: tcp, app: echo }
limits: { connections_per_address_max: 5000 }\n",
        2,
    );
    let before = memory(&program);
    let half_open: Vec<TcpStream> = (0..1_000).map(|_| connect(&program, 0)).collect();
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect(&program, 0)).collect();
    for byte in b"SSH-2.0-slow\r\n" {
        // Those that were refused are closed.
        slow.iter_mut().for_each(|stream| drop(stream.write_all(&[*byte])));
    }
    stage.0.wait_for("log", "reason=server_busy", 100);
    let mut other = connect(&program, 1);
    other.write_all(b"hello\n").expect("it reads");
    let mut heard = [0; 6];
    other.read_exact(&mut heard).expect("it is served");
    assert_eq!(&heard, b"hello\n");
    let grown = memory(&program).saturating_sub(before);
    // 50 of one address are in a handshake at a time.
    assert!(grown < 32 << 10, "{grown} KiB");
    drop((half_open, slow));
    // Once they are gone, clients log in again.
    let code = (0..100).find_map(|_| {
        let (code, ..) = stage.ssh_output(&program, "ann", &[], Some("hello"))?;
        code.filter(|code| *code == 0)
    });
    assert!(code == Some(0) || !crate::support::is_installed("ssh"));
    assert_eq!(program.terminate_quietly(), Some(0));
}

#[test]
fn client_that_does_not_read_ends_alone() {
    const LINES: usize = 800;
    let stage = Stage::new("slow-reader");
    let program = Program::start(&[
        "--unlimited",
        "--app",
        "relay",
        "--listen",
        &format!("ssh://127.0.0.1:0?login=none&host_key={}", stage.key("host")),
        "--listen",
        "tcp://127.0.0.1:0",
    ]);
    let running = Running::of(program);
    // Nobody reads what it prints, so that the client stops to enlarge its window.
    let Some(_ssh) = stage.ssh(&running, "ann", &["-T"]) else { return };
    stage.until_known();
    let mut reader = connect(&running, 1);
    let mut sender = connect(&running, 1);
    let line = format!("{}\n", "x".repeat(60_000));
    let mut heard = vec![0; line.len()];
    for _ in 0..LINES {
        sender.write_all(line.as_bytes()).expect("it is read");
        reader.read_exact(&mut heard).expect("others are served");
    }
    let (code, printed) = running.terminate();
    assert_eq!(code, Some(0));
    assert!(printed.contains("reason=slow_consumer"), "{printed}");
}
