//! SSH: sessions beside other wires, logins, window sizes, and ends.

use super::ssh_client::SshClient;
use super::{Running, run, run_sharded};
use crate::shell::core::app::Relay;
use crate::shell::core::kit::auth::scram::Credentials;
use crate::shell::core::kit::auth::{Account, Authentication, Lookup, Provider, Verdict};
use crate::shell::core::kit::layer::Within;
use crate::shell::core::outbound::Marks;
use crate::shell::core::telnet::Signal;
use crate::shell::core::trace::{SharedTrace, replay};
use crate::shell::core::{Config, ConnId, Event, Handler, Hub, Identity, Listen, Machine, NoNote, Reason};
use crate::shell::ssh;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PublicKey};
use std::net::TcpStream;
use std::time::Duration;

/// The options of a listener that admits everybody.
const OPEN: &str = "login=none";

/// Returns the configuration of a listener for lines, and one for SSH.
fn listening(options: &str) -> Config {
    let host_key = concat!(env!("CARGO_TARGET_TMPDIR"), "/conformance_host_key");
    let listen = ["tcp://127.0.0.1:0".into(), format!("ssh://127.0.0.1:0?host_key={host_key}&{options}")];
    let mut config = Config::listening(listen.map(|text| text.parse::<Listen>().expect("well formed")));
    config.drain.window = Duration::ZERO;
    ssh::load(&mut config, &ssh::Options::default()).expect("a host key");
    config
}

impl<N> Running<N> {
    fn ssh(&self) -> SshClient {
        SshClient::connect(&self.addresses[1])
    }

    /// Connects a client to a listener that admits everybody.
    fn ssh_open(&self) -> SshClient {
        let mut client = self.ssh();
        assert!(client.log_in("ann"), "everybody is admitted");
        client
    }
}

#[test]
fn ssh_session_shares_a_room_with_lines_and_its_trace_replays() {
    let trace = SharedTrace::new();
    let config = listening(OPEN).seed(Some(7));
    let server = run(config.clone(), Relay::default(), Some(&trace));
    let mut lines = server.connect();
    let mut session = server.ssh_open().session(None);
    server.until(|metrics| metrics.open == 2);
    let mut heard = String::new();
    for number in 0..200 {
        session.say(&format!("from ssh {number}\n"));
        assert_eq!(lines.line(), format!("from ssh {number}"));
        lines.send(format!("from lines {number}\n").as_bytes());
        heard += &session.hear(&format!("from lines {number}\n"));
    }
    server.remote.drain().expect("it runs");
    let (rest, status) = session.rest();
    heard += &rest;
    assert_eq!(status, Some(0));
    let _ = server.end();
    let transcript = replay(&trace.text(), &mut Machine::new(config, Relay::default())).expect("well formed");
    assert!(transcript.written.values().any(|bytes| *bytes == heard.as_bytes()), "the replay wrote something else");
}

#[test]
fn ssh_sessions_on_several_shards_share_a_room() {
    let server = run_sharded(listening(OPEN), Relay::default);
    let mut sessions: Vec<_> = (0..4).map(|_| server.ssh_open().session(None)).collect();
    server.until(|metrics| metrics.open == 4);
    for speaker in 0..4 {
        sessions[speaker].say(&format!("this is {speaker}\n"));
        for (_, session) in sessions.iter_mut().enumerate().filter(|(place, _)| *place != speaker) {
            session.hear(&format!("this is {speaker}\n"));
        }
    }
    server.end();
}

/// Answers with the size of each window, and ends a connection at the line `end`.
struct Sizes;

impl Handler for Sizes {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Signal { conn, signal: Signal::Resized { columns, rows, .. }, .. } => {
                hub.send(conn, &format!("{columns}x{rows}"));
            }
            Event::Message { conn, payload } if payload.as_bytes() == b"end" => hub.end(conn, Reason::Kicked),
            _ => {}
        }
    }
}

#[test]
fn window_sizes_reach_the_handler() {
    let server = run(listening(OPEN), Sizes, None);
    let mut session = server.ssh_open().session(Some((80, 24)));
    session.hear("80x24");
    for (columns, rows) in [(100, 30), (1, 1), (132, 43)] {
        session.resize(columns, rows);
        session.hear(&format!("{columns}x{rows}"));
    }
    server.end();
}

#[test]
fn server_ends_a_session_with_its_reason() {
    let server = run(listening(OPEN), Sizes, None);
    for (size, ending) in [(None, "\n"), (Some((80, 24)), "\r")] {
        let mut session = server.ssh_open().session(size);
        session.say(&format!("end{ending}"));
        let (rest, status) = session.rest();
        assert!(rest.contains("closing (kicked)"), "{rest:?}");
        assert_eq!(status, Some(0));
    }
    assert_eq!(server.end().ended.get(Reason::Kicked), 2);
}

#[test]
fn drain_notifies_ssh_sessions_and_ends_logins() {
    let server = run(listening(OPEN), Relay::default(), None);
    let mut sessions = [None, Some((80, 24))].map(|size| server.ssh_open().session(size));
    // A client that has logged in, and has no session.
    let _waiting = server.ssh_open();
    server.until(|metrics| metrics.open == 2 && metrics.undecided == 1);
    server.remote.drain().expect("it runs");
    for session in &mut sessions {
        session.hear("notice: the server is shutting down");
    }
    let _ = server.remote.drain();
    for session in sessions {
        let (rest, status) = session.rest();
        assert!(rest.contains("closing (shutdown): the server is shutting down"), "{rest:?}");
        assert_eq!(status, Some(0));
    }
    assert_eq!(server.thread.join().expect("no panic").ended.get(Reason::Shutdown), 3);
}

#[test]
fn slow_ssh_reader_affects_only_itself() {
    let mut config = listening(OPEN).unlimited();
    config.outbound.marks = Marks::new(10_000, 50_000, 100_000).expect("in order");
    let server = run(config, Relay::default(), None);
    // Nobody takes what comes, so that it stops to read.
    let slow = server.ssh_open().session(None);
    let (mut healthy, mut sender) = (server.ssh_open().session(None), server.connect());
    server.until(|metrics| metrics.open == 3);
    let line = format!("{}\n", "x".repeat(9_999));
    // The sender waits for the healthy receiver, so it is never too fast for it.
    while server.metrics().ended.get(Reason::SlowConsumer) == 0 {
        sender.send(line.as_bytes());
        assert_eq!(healthy.hear("\n").len(), line.len(), "nothing is lost to a healthy receiver");
    }
    drop(slow);
    let metrics = server.end();
    assert_eq!(metrics.ended.get(Reason::SlowConsumer), 1);
    assert!(metrics.queued_bytes_peak < 12_000_000, "{} bytes were queued", metrics.queued_bytes_peak);
}

#[test]
fn ssh_peers_that_disappear_leave_nothing_behind() {
    let server = run(listening(OPEN), Relay::default(), None);
    let mut before = TcpStream::connect(server.addresses[1].replace("ssh://", "")).expect("it listens");
    std::io::Write::write_all(&mut before, b"SSH-2.0-half\r\n").expect("it reads");
    let logged_in = server.ssh_open();
    let session = server.ssh_open().session(Some((80, 24)));
    server.until(|metrics| metrics.open == 1 && metrics.undecided == 2);
    drop((before, logged_in, session));
    server.until(|metrics| metrics.open == 0 && metrics.undecided == 0);
    let ended = server.end().ended;
    // What was not read makes a close a reset.
    let reasons = [Reason::PeerClosed, Reason::Reset, Reason::NoSession].map(|reason| ended.get(reason));
    assert_eq!(reasons.iter().sum::<u64>(), 3, "{ended:?}");
}

/// Knows the key and the password of ann.
struct Members(PublicKey);

impl Provider<NoNote> for Members {
    fn public_key(&mut self, _: ConnId, user: &str, key: &str) -> Verdict {
        let is_known = PublicKey::from_openssh(key).is_ok_and(|key| key.key_data() == self.0.key_data());
        if is_known && user == "ann" {
            Verdict::Accepted(Identity::user("ann"))
        } else {
            Verdict::Refused("unknown key".into())
        }
    }

    fn account(&mut self, _: ConnId, user: &str) -> Lookup {
        let credentials = Credentials::new("mellon", b"0123456789abcdef", 4_096).expect("a password");
        Some(Account::new(credentials, Identity::user("ann"))).filter(|_| user == "ann").into()
    }
}

fn key(seed: u8) -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::Ed25519(pair), "").expect("a key")
}

#[test]
fn application_decides_about_ssh_logins() {
    let members = Members(key(1).public_key().clone());
    let handler = Relay::default().within(Authentication::new(members, [9; 32]));
    let server = run(listening("keys=yes&passwords=yes"), handler, None);
    // Each refused attempt takes a moment, so that there are few of them.
    let mut by_key = server.ssh();
    assert!(!by_key.log_in("ann"), "without a proof");
    assert!(!by_key.log_in_with_key("ann", key(2)));
    assert!(by_key.log_in_with_key("ann", key(1)));
    by_key.session(None).hear("notice: you are ann");
    let mut by_password = server.ssh();
    assert!(!by_password.log_in_with_password("bob", "mellon"));
    assert!(by_password.log_in_with_password("ann", "mellon"));
    by_password.session(None).hear("notice: you are ann");
    server.until(|metrics| metrics.open == 0);
    let metrics = server.end();
    assert_eq!((metrics.authenticated, metrics.opened), (2, 2));
}
