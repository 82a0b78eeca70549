//! Real sockets against a running server: the same scripts on every shell, which the test that includes this file gives
//! under the name `shell`. Nothing here waits for a time to pass: every wait is for
//! something that the server does.

use crate::shell::common::block_on;
use crate::shell::common::client::Incoming;
use crate::shell::core::app::{Chat, Echo, Relay};
use crate::shell::core::http::Http;
use crate::shell::core::kit::Service;
use crate::shell::core::kit::auth::scram::Credentials;
use crate::shell::core::kit::auth::{Accounts, Authentication};
use crate::shell::core::kit::client::{ClientOptions, Login};
use crate::shell::core::kit::layer::Within;
use crate::shell::core::kit::rpc::{CallError, Rpc, RpcError};
use crate::shell::core::limit::Rate;
use crate::shell::core::outbound::Marks;
use crate::shell::core::telnet::Telnet;
use crate::shell::core::tls::{CertificateFiles, Tickets, Tls, TlsFiles};
use crate::shell::core::trace::{SharedTrace, replay};
use crate::shell::core::wire::{Protocol, Proxies};
use crate::shell::core::{
    Backoff, Config, Dial, Event, Handler, Hub, Listen, Machine, Metrics, NoNote, Offloaded, PayloadBuf, Reason, Timer,
};
use crate::shell::{self, Remote, RemoteError, Server};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroU8;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// No answer within this time is a failure, not slowness.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running<N> {
    addresses: Vec<String>,
    remote: Remote<N>,
    thread: JoinHandle<Metrics>,
}

/// Runs a server on a thread of its own.
fn run<H>(config: Config, handler: H, trace: Option<&SharedTrace>) -> Running<H::Note>
where
    H: Handler + Send + 'static,
    H::Note: Send + std::fmt::Display,
    H::Context: Send,
{
    let mut server = Server::bind(config, handler).expect("loopback can be listened at");
    if let Some(trace) = trace {
        server = server.record(trace.recorder());
    }
    let (addresses, remote) = (server.addresses().to_vec(), server.remote());
    Running { addresses, remote, thread: std::thread::spawn(move || shell::run(server)) }
}

/// As [`run`], on three threads.
fn run_sharded<H>(config: Config, handler: impl Fn() -> H + Clone + Send + 'static) -> Running<H::Note>
where
    H: Handler + Send + 'static,
    H::Note: Send,
    H::Context: Send,
{
    let workers = NonZeroU8::new(3).expect("not 0");
    let server = Server::bind_sharded(config, workers, move |_| handler()).expect("loopback can be listened at");
    let (addresses, remote) = (server.addresses().to_vec(), server.remote());
    Running { addresses, remote, thread: std::thread::spawn(move || shell::run(server)) }
}

impl<N> Running<N> {
    fn connect(&self) -> Peer {
        let address = self.addresses[0].split_once("://").expect("a scheme").1;
        let address = address.split('/').next().expect("a host");
        Peer::new(TcpStream::connect(address).expect("the server listens"))
    }

    /// What a new peer gets for a line.
    fn connect_and_ask(&self, line: &str) -> String {
        let mut peer = self.connect();
        peer.send(format!("{line}\n").as_bytes());
        peer.line()
    }

    /// Drains the server in a hurry and says what it counted.
    fn end(self) -> Metrics {
        self.remote.drain().expect("it runs");
        let _ = self.remote.drain();
        self.thread.join().expect("no panic")
    }

    /// Waits until something is so, but not for ever.
    fn until(&self, so: impl Fn(Metrics) -> bool) {
        let began = std::time::Instant::now();
        while !so(self.metrics()) {
            assert!(began.elapsed() < PATIENCE, "it does not come about: {:?}", self.metrics());
            std::thread::yield_now();
        }
    }

    fn metrics(&self) -> Metrics {
        let (send, receive) = mpsc::channel();
        self.remote.metrics(move |metrics| drop(send.send(metrics))).expect("it runs");
        receive.recv_timeout(PATIENCE).expect("it answers")
    }
}

struct Peer(BufReader<TcpStream>);

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("the server reads");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the server answers");
        line.trim_end_matches('\n').to_owned()
    }

    fn end(&mut self) {
        self.0.get_mut().shutdown(Shutdown::Write).expect("it is open");
    }

    /// Reads up to these words, whatever stands before them.
    fn hear(&mut self, words: &str) {
        let mut heard = Vec::new();
        while !heard.ends_with(words.as_bytes()) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("the server answers");
            heard.push(byte[0]);
        }
    }

    fn rest_bytes(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("the server closes");
        rest
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).expect("the server closes");
        rest
    }
}

/// Waits for a connection, but not for ever.
fn accept(listener: &std::net::TcpListener) -> Peer {
    let listener = listener.try_clone().expect("a second handle");
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || drop(send.send(listener.accept())));
    Peer::new(receive.recv_timeout(PATIENCE).expect("it dials").expect("it is accepted").0)
}

fn lines() -> Config {
    Config::listening(["tcp://127.0.0.1:0".parse::<Listen>().expect("well formed")])
}

#[test]
fn a_relay_serves() {
    let server = run(lines(), Relay::default(), None);
    let (mut ann, mut bob) = (server.connect(), server.connect());
    // The relay has both once each has heard of the other.
    server.until(|metrics| metrics.open >= 2);
    ann.send(b"hello\r\nfrom ann\n");
    assert_eq!((bob.line(), bob.line()), ("hello".into(), "from ann".into()));
    bob.send(b"hello");
    bob.end();
    assert_eq!(ann.line(), "hello");
    assert_eq!(bob.rest(), "");
    let metrics = server.end();
    assert_eq!((metrics.opened, metrics.ended.total(), metrics.ended.get(Reason::PeerClosed)), (2, 2, 1));
    assert_eq!(ann.line(), "notice: the server is shutting down");
    assert_eq!(ann.rest(), "closing (shutdown): the server is shutting down\n");
}

#[test]
fn one_byte_at_a_time_and_everything_at_once_are_the_same() {
    let server = run(lines(), Echo, None);
    let mut peer = server.connect();
    peer.0.get_mut().set_nodelay(true).expect("it is TCP");
    for byte in b"one\r\ntwo\nthree" {
        peer.send(&[*byte]);
    }
    peer.end();
    assert_eq!(peer.rest(), "one\ntwo\nthree\n");
    let all: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    let server = run(lines().unlimited(), Echo, None);
    let peer = server.connect();
    let mut writer = peer.0.get_ref().try_clone().expect("a second handle");
    let sent = all.clone();
    let thread = std::thread::spawn(move || {
        writer.write_all(sent.as_bytes()).expect("the server reads");
        writer.shutdown(Shutdown::Write).expect("it is open");
    });
    let mut peer = peer;
    assert!(peer.rest() == all, "nothing is lost, added or reordered");
    thread.join().expect("no panic");
    assert_eq!(server.end().messages_in, 20_000);
}

#[test]
fn a_burst_over_the_rate_is_answered_whole() {
    let mut config = lines();
    config.rates.messages = Rate::new(20_000, 1_000).ok();
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
fn one_slow_reader_costs_only_itself() {
    let mut config = lines().unlimited();
    config.outbound.marks = Marks::new(10_000, 50_000, 100_000).expect("in order");
    let server = run(config, Relay::default(), None);
    let slow = server.connect();
    let (mut healthy, mut sender) = (server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 3);
    let line = format!("{}\n", "x".repeat(9_999));
    let count = 3_000;
    // A sender that is not faster than a healthy receiver reads.
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
fn a_reset_is_a_reset_and_harms_nobody() {
    let server = run(lines(), Relay::default(), None);
    let (gone, mut ann, mut bob) = (server.connect(), server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 3);
    // To close with unread input resets the connection.
    ann.send(b"unread\n");
    assert_eq!(bob.line(), "unread");
    let mut unread = [0];
    while gone.0.get_ref().peek(&mut unread).expect("it comes") == 0 {}
    drop(gone);
    server.until(|metrics| metrics.open <= 2);
    ann.send(b"still here\n");
    assert_eq!(bob.line(), "still here");
    assert_eq!(server.end().ended.get(Reason::Reset), 1);
}

#[test]
fn frames_and_unix_sockets_share_one_handler() {
    let path =
        std::env::temp_dir().join(format!("drupe-{}-{:?}.sock", std::process::id(), std::thread::current().id()));
    let listeners = ["tcp://127.0.0.1:0", "length://127.0.0.1:0?prefix=u16be", &format!("unix://{}", path.display())];
    let server = run(Config::listening(listeners.map(|text| text.parse().expect(text))), Relay::default(), None);
    let mut line = server.connect();
    let mut frame =
        TcpStream::connect(server.addresses[1].strip_prefix("length://").expect("its scheme")).expect("it listens");
    let mut local = BufReader::new(UnixStream::connect(&path).expect("it listens"));
    server.until(|metrics| metrics.open >= 3);
    frame.write_all(b"\0\x05hello").expect("the server reads");
    let mut text = String::new();
    local.read_line(&mut text).expect("the server answers");
    assert_eq!((line.line(), text), ("hello".into(), "hello\n".into()));
    local.get_mut().write_all(b"hi\n").expect("the server reads");
    let mut answer = [0; 4];
    frame.read_exact(&mut answer).expect("the server answers");
    assert_eq!(&answer, b"\0\x02hi");
    server.end();
    assert!(!path.exists(), "the socket's file is removed");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let config = Config::listening([Listen::lines(address)]);
    let error = Server::bind(config, Echo).expect_err("the port is taken").to_string();
    assert!(error.starts_with(&format!("can't listen at tcp://{address}: ")), "{error}");
}

#[test]
fn who_is_refused_reads_why() {
    let mut config = lines();
    config.connections.per_address = 1;
    let server = run(config, Echo, None);
    let mut first = server.connect();
    first.send(b"in\n");
    assert_eq!(first.line(), "in");
    assert_eq!(server.connect().rest(), "closing (address_full): this address has too many connections\n");
    assert_eq!(server.end().refused.get(Reason::AddressFull), 1);
}

/// Dials what a note names, and says what it hears there to everybody.
struct Caller;

impl Handler for Caller {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Note(address) => {
                let backoff = Some(Backoff {
                    initial: Duration::from_millis(1),
                    cap: Duration::from_millis(5),
                    ..Backoff::default()
                });
                hub.dial(Dial { backoff, ..Dial::lines(address) });
            }
            Event::Opened { conn, .. } => {
                let _ = hub.join(conn, "all");
                hub.wake(Timer::of(conn, "greet"), Duration::from_millis(1));
            }
            Event::Timer(Timer { conn: Some(conn), .. }) => drop(hub.send(conn, "greetings")),
            Event::Message { conn, payload } => drop(hub.publish_except("all", &[conn], payload)),
            _ => {}
        }
    }
}

#[test]
fn a_dial_comes_back_after_its_peer_was_away() {
    let server = run(lines(), Caller, None);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = elsewhere.local_addr().expect("an address");
    server.remote.note(address.to_string()).expect("it runs");
    let mut peer = accept(&elsewhere);
    assert_eq!(peer.line(), "greetings");
    drop((peer, elsewhere));
    server.until(|metrics| metrics.dial_errors > 0);
    let elsewhere = std::net::TcpListener::bind(address).expect("the port is free again");
    let mut peer = accept(&elsewhere);
    assert_eq!(peer.line(), "greetings");
    let mut ann = server.connect();
    assert_eq!(ann.line(), "greetings");
    peer.send(b"from afar\n");
    assert_eq!(ann.line(), "from afar");
    server.remote.publish("all", "from outside").expect("it runs");
    assert_eq!((ann.line(), peer.line()), ("from outside".into(), "from outside".into()));
    server.end();
}

#[test]
fn what_a_shell_records_replays_to_the_bytes_that_peers_got() {
    let trace = SharedTrace::new();
    let config = Config { seed: Some(7), ..lines() };
    let server = run(config.clone(), Relay::default(), Some(&trace));
    let (mut ann, mut bob) = (server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 2);
    for n in 0..500 {
        ann.send(format!("line {n}\n").as_bytes());
    }
    let mut heard: String = (0..500).map(|_| bob.line() + "\n").collect();
    server.end();
    heard += &bob.rest();
    let transcript = replay(&trace.text(), &mut Machine::new(config, Relay::default())).expect("well formed");
    assert!(transcript.written.values().any(|bytes| *bytes == heard.as_bytes()), "the replay wrote something else");
}

/// Gives a job away that lasts until another peer says `go`.
#[derive(Clone)]
struct Patient {
    release: mpsc::Sender<()>,
    released: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Patient {
    fn new() -> Self {
        let (release, released) = mpsc::channel();
        Self { release, released: Arc::new(Mutex::new(released)) }
    }
}

impl Handler for Patient {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => match payload.as_str() {
                Some("wait") => {
                    let released = Arc::clone(&self.released);
                    let job = move || released.lock().expect("no panic").recv_timeout(PATIENCE).is_ok();
                    assert_eq!(hub.offload(conn, job), Offloaded::Later);
                }
                Some("fail") => assert_eq!(hub.offload(conn, || panic!("a job fails")), Offloaded::Later),
                _ => {
                    let _ = self.release.send(());
                    hub.send(conn, "gone");
                }
            },
            Event::Offloaded { conn, outcome, .. } => drop(hub.send(conn, &format!("outcome {outcome}"))),
            _ => {}
        }
    }
}

#[test]
fn a_job_runs_while_others_are_served_and_its_outcome_is_replayed() {
    let trace = SharedTrace::new();
    let config = Config { seed: Some(7), ..lines() };
    let server = run(config.clone(), Patient::new(), Some(&trace));
    let (mut waits, mut other) = (server.connect(), server.connect());
    waits.send(b"wait\n");
    server.until(|metrics| metrics.messages_in == 1);
    other.send(b"go\n");
    assert_eq!((other.line(), waits.line()), ("gone".into(), "outcome true".into()));
    other.send(b"fail\n");
    assert_eq!(other.line(), "outcome false");
    server.end();
    let transcript = replay(&trace.text(), &mut Machine::new(config, Patient::new())).expect("well formed");
    let wrote = |words: &[u8]| transcript.written.values().any(|bytes| bytes.starts_with(words));
    assert!(wrote(b"outcome true\n") && wrote(b"gone\noutcome false\n"), "the replay wrote something else");
}

#[test]
fn nobody_can_speak_to_a_server_that_has_ended() {
    let server = run(lines(), Echo, None);
    let remote = server.remote.clone();
    server.end();
    assert_eq!(remote.drain(), Err(RemoteError::Ended));
}

#[test]
fn mail_is_written_between() {
    let mut config = lines().unlimited();
    config.outbound.marks = Marks::new(10_000, 50_000, 100_000).expect("in order");
    let (send, receive) = mpsc::channel();
    let server = run(config, Relay::default(), None);
    let slow = server.connect();
    server.until(|metrics| metrics.open >= 1);
    // The server is busy with this word while the others come.
    server.remote.metrics(move |_| receive.recv().expect("the test goes on")).expect("it runs");
    let text = "x".repeat(1_000);
    (0..20_000).for_each(|_| server.remote.publish("relay", &text).expect("there is room"));
    send.send(()).expect("it waits");
    server.until(|metrics| metrics.ended.get(Reason::SlowConsumer) > 0);
    drop(slow);
    let metrics = server.end();
    assert!(metrics.queued_bytes_peak < 4_000_000, "{} bytes were queued", metrics.queued_bytes_peak);
}

#[test]
fn a_server_that_never_ran_has_ended_when_it_is_dropped() {
    let server = Server::bind(lines(), Echo).expect("a port");
    let remote = server.remote();
    drop(server);
    assert_eq!(remote.drain(), Err(RemoteError::Ended));
}

#[test]
fn a_socket_file_is_removed_by_its_owner_alone() {
    let path = std::env::temp_dir().join(format!("drupe-owner-{}.sock", std::process::id()));
    let bind =
        || Server::bind(Config::listening([format!("unix://{}", path.display()).parse().expect("a path")]), Echo);
    let first = bind().expect("it is free");
    assert!(bind().is_err(), "somebody listens there");
    std::fs::remove_file(&path).expect("it is there");
    let second = bind().expect("it is free again");
    drop(first);
    assert!(path.exists(), "it belongs to the second");
    drop(second);
    assert!(!path.exists());
    // What nobody listens at any more is in nobody's way; what is no socket stays.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("it is free"));
    drop(bind().expect("it was stale"));
    std::fs::write(&path, "a file").expect("it is free");
    assert!(bind().is_err() && path.exists());
    std::fs::remove_file(&path).expect("it is there");
}

/// Has a thread add up the numbers of each line.
struct Adding(Remote<String>);

impl Handler for Adding {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Opened { conn, .. } => drop(hub.join(conn, "results")),
            Event::Message { payload, .. } => {
                let (remote, line) = (self.0.clone(), payload.as_str().unwrap_or_default().to_owned());
                std::thread::spawn(move || {
                    let sum: u64 = line.split(' ').filter_map(|word| word.parse::<u64>().ok()).sum();
                    remote.note(sum.to_string())
                });
            }
            Event::Note(sum) => drop(hub.publish("results", &sum)),
            _ => {}
        }
    }
}

#[test]
fn a_handler_gives_work_away_and_is_told_of_it() {
    let server = Server::bind_with(lines(), Adding).expect("a port");
    let (address, remote) = (server.addresses()[0].replace("tcp://", ""), server.remote());
    let thread = std::thread::spawn(move || shell::run(server));
    let mut peer = Peer::new(TcpStream::connect(address).expect("it listens"));
    peer.send(b"1 2 39\n");
    assert_eq!(peer.line(), "42");
    drop(peer);
    remote.drain().expect("it runs");
    assert_eq!(thread.join().expect("no panic").messages_in, 1);
}

/// One read of keys that each redraw a long line made the server allocate hundreds of megabytes, and held everybody up.
#[test]
fn keys_that_redraw_a_long_line_hold_nobody_up() {
    let listen: Listen = "telnet://127.0.0.1:0?mode=character&probe=no".parse().expect("well formed");
    let running = run(Config::listening([listen]), Echo, None);
    let mut hostile = running.connect();
    hostile.send(b"\xff\xfd\x01\xff\xfd\x03");
    hostile.send(&[b'x'; 4_090]);
    let mut rest = hostile.0.get_ref().try_clone().expect("a descriptor");
    let reader = std::thread::spawn(move || drop(std::io::copy(&mut rest, &mut std::io::sink())));
    hostile.send(&b"\x0c\x01\x05".repeat(22_000));
    running.until(|metrics| metrics.bytes_in >= 65_536);
    let mut other = running.connect();
    other.send(b"hello\r\n");
    other.hear("hello\r\n");
    assert!(running.metrics().queued_bytes_peak < 2 << 20, "{} bytes were queued", running.metrics().queued_bytes_peak);
    running.end();
    reader.join().expect("no panic");
}

#[test]
fn a_page_that_posts_where_no_http_is_spoken_is_served_nothing() {
    let request = b"POST / HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\nContent-Length: 6\r\n\r\nhello\n";
    for (address, probe) in [
        ("tcp://127.0.0.1:0", 0),
        ("telnet://127.0.0.1:0", 3),
        ("auto://127.0.0.1:0", 3),
        ("length://127.0.0.1:0?prefix=u8", 0),
    ] {
        let server = run(Config::listening([address.parse::<Listen>().expect("well formed")]), Echo, None);
        let mut page = server.connect();
        // A browser may connect ahead, and send once it is taken for a terminal.
        page.0.read_exact(&mut [0; 3][..probe]).expect("it is asked what terminal it is");
        page.send(request);
        let heard = String::from_utf8_lossy(&page.rest_bytes()).into_owned();
        assert!(!heard.contains("hello") && !heard.contains("Origin"), "{address}: {heard}");
        let metrics = server.end();
        assert_eq!((metrics.messages_in, metrics.ended.get(Reason::WrongProtocol)), (0, 1), "{address}");
    }
}

#[test]
fn a_terminal_in_a_websocket_hears_all_before_the_close() {
    let http = Http { telnet: Some(Telnet { probe: false, ..Telnet::default() }), ..Http::default() };
    let listen: Listen = "ws://127.0.0.1:0".parse().expect("well formed");
    let config = Config::listening([Listen { protocol: Protocol::Http(Arc::new(http)), ..listen }]);
    let server = run(config, Echo, None);
    let mut peer = server.connect();
    peer.send(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    peer.hear("\r\n\r\n");
    let lines = b"one\r\n".repeat(20);
    peer.send(&[&[0x82, 0x80 | 0x64, 0, 0, 0, 0][..], &lines, &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]].concat());
    let echoed = [&[0x82, 5][..], b"one\r\n"].concat().repeat(20);
    assert_eq!(peer.rest_bytes(), [&echoed[..], &[0x88, 2, 3, 0xe8]].concat());
    assert_eq!(server.end().ended.get(Reason::PeerClosed), 1);
}

#[test]
fn telnet_is_negotiated_and_served() {
    let config = Config::listening(["telnet://127.0.0.1:0".parse().expect("well formed")]);
    let server = run(config, Echo, None);
    let mut peer = server.connect();
    // DO TERMINAL-TYPE, to which it answers WONT; a byte 255 is written twice.
    let mut probe = [0; 3];
    peer.0.read_exact(&mut probe).expect("the server begins");
    assert_eq!(probe, *b"\xff\xfd\x18");
    peer.send(b"\xff\xfc\x18hello\r\0");
    peer.0.read_exact(&mut probe).expect("the server asks for more");
    peer.end();
    let rest = peer.rest_bytes();
    assert!(rest.ends_with(b"hello\r\n"), "{rest:?}");
    server.end();
}

#[test]
fn websocket_and_http_share_a_port() {
    let config = Config::listening(["ws://127.0.0.1:0/".parse().expect("well formed")]);
    let server = run(config, Echo, None);
    let mut asks = server.connect();
    asks.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = asks.rest();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    let mut socket = server.connect();
    socket.send(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(socket.line(), "HTTP/1.1 101 Switching Protocols\r");
    while socket.line() != "\r" {}
    for byte in b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x80\0\0\0\0" {
        socket.send(&[*byte]);
    }
    let mut heard = [0; 9];
    socket.0.read_exact(&mut heard).expect("the server answers");
    // A pong may overtake a message.
    assert!([b"\x81\x05Hello\x8a\0", b"\x8a\0\x81\x05Hello"].contains(&&heard), "{heard:?}");
    // A server that ends says so: 1001 (RFC 6455 section 7.4.1).
    server.remote.drain().expect("it runs");
    let _ = server.remote.drain();
    assert_eq!(socket.rest_bytes(), b"\x88\x0a\x03\xe9shutdown");
    assert_eq!(server.thread.join().expect("no panic").http_ended.get(Reason::Answered), 1);
}

#[test]
fn people_with_names_talk_in_rooms() {
    let config = Config::listening(["tcp://127.0.0.1:0", "telnet://127.0.0.1:0"].map(|text| text.parse().expect(text)));
    let server = run(config, Chat::default(), None);
    let mut ann = server.connect();
    ann.send(b"/nick ann\n/join orchard\n");
    while ann.line() != "* ann came to orchard" {}
    let telnet = server.addresses[1].replace("telnet://", "");
    let mut bob = Peer::new(TcpStream::connect(telnet).expect("it listens"));
    bob.send(b"/nick bob\r\n/join orchard\r\n");
    assert_eq!(ann.line(), "* bob came to orchard");
    bob.send("plums are drupes, \u{1b}[2Jann\r\n".as_bytes());
    assert_eq!(ann.line(), "<bob> plums are drupes, [2Jann");
    bob.send(b"/quit good night\r\n");
    assert_eq!(ann.line(), "* bob left: good night");
    server.end();
}

#[test]
fn half_a_connection_is_enough_to_listen() {
    let config = Config::listening(["tcp://127.0.0.1:0?half_open=yes".parse().expect("well formed")]);
    let server = run(config, Relay::default(), None);
    let (mut listens, mut speaks) = (server.connect(), server.connect());
    server.until(|metrics| metrics.open >= 2);
    listens.send(b"goodbye\n");
    listens.end();
    assert_eq!(speaks.line(), "goodbye");
    speaks.send(b"still there?\n");
    assert_eq!(listens.line(), "still there?");
    server.end();
}

#[test]
fn whoever_is_there_hears_of_a_drain_and_nobody_comes_in() {
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

/// In this many descriptors a server holds some connections, and not all that come.
const FEW: &str = "40";
const SERVES: &str = "DRUPE_TEST_SERVES";

#[test]
fn out_of_descriptors_it_goes_on_with_those_it_has() {
    if std::env::var_os(SERVES).is_some() {
        return serve_with_few_descriptors();
    }
    // Itself once more, as a process that has few.
    let program = std::env::current_exe().expect("it runs");
    let name = concat!(module_path!(), "::out_of_descriptors_it_goes_on_with_those_it_has");
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
        assert!(output.read_line(&mut line).expect("text") > 0, "it says where it listens");
    }
    let address = line.trim().rsplit_once("tcp://").expect("its scheme").1.to_owned();
    // All connect, since the system takes them on the server's behalf.
    let peers: Vec<Peer> = (0..60).map(|_| Peer::new(TcpStream::connect(&address).expect("it listens"))).collect();
    // They are let in as they came, until the server runs out.
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
    // Those that were served make room for the others when they go.
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
    writeln!(output, "\nserves {}", server.addresses[0]).and_then(|()| output.flush()).expect("somebody reads");
    server.until(|metrics| metrics.accept_errors > 0);
    writeln!(output, "\nopen {}", server.metrics().open).and_then(|()| output.flush()).expect("somebody reads");
    let _ = std::io::stdin().read_line(&mut String::new());
    writeln!(output, "\naccept errors {}", server.end().accept_errors).expect("somebody reads");
}

#[test]
fn what_is_published_reaches_every_shard_in_order() {
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
            assert_ne!(speaker, listener, "nobody hears itself");
            assert_eq!(n.parse(), Ok(next[speaker]), "in order, and none twice");
            next[speaker] += 1;
        }
        // Until the end, so that what nobody should hear would be heard.
        drop(peer);
    }
    speaking.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let metrics = server.end();
    assert_eq!((metrics.opened, metrics.ended.total()), (PEERS as u64, PEERS as u64));
    assert_eq!(metrics.messages_in, (PEERS * LINES) as u64);
    assert_eq!(metrics.messages_out, (PEERS * (PEERS - 1) * LINES) as u64);
}

#[test]
fn shards_have_limits_metrics_and_an_end_in_common() {
    let mut config = Config::listening(["tcp://127.0.0.1:0", "ws://127.0.0.1:0"].map(|text| text.parse().expect(text)));
    config.connections.total = 6;
    let server = run_sharded(config, || Echo);
    let mut peers: Vec<Peer> = (0..6).map(|_| server.connect()).collect();
    for peer in &mut peers {
        peer.send(b"in\n");
        assert_eq!(peer.line(), "in");
    }
    assert_eq!(server.connect().rest(), "closing (server_full): the server is full\n");
    // Who leaves makes room, wherever it was.
    for peer in peers.drain(..3) {
        drop(peer);
    }
    server.until(|metrics| metrics.open + metrics.closing == 3);
    let (mut open, mut tries) = (Vec::new(), 0);
    while open.len() < 2 {
        let mut peer = server.connect();
        peer.send(b"again\n");
        // The one who counts may hear of it a moment later; who is not let in may find the connection reset.
        let mut line = String::new();
        if peer.0.read_line(&mut line).is_ok() && line == "again\n" {
            open.push(peer);
        }
        tries += 1;
        assert!(tries < 10_000, "there is room");
    }
    // One scrape tells of all, as soon as the shards have told each other.
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

/// Says its name to who comes.
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
fn a_connection_has_one_name_on_the_whole_server() {
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

/// Says every line again; does nothing at a note, and on a worker at a drain, until the gate opens.
struct Gated {
    gate: Arc<Mutex<()>>,
    is_first: bool,
}

impl Handler for Gated {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Message { conn, payload } => drop(hub.send(conn, payload)),
            Event::Note(_) => drop(self.gate.lock()),
            Event::Draining if !self.is_first => drop(self.gate.lock()),
            _ => {}
        }
    }
}

/// A server of two shards behind a gate, and a handle that is for the second.
fn run_gated(gate: &Arc<Mutex<()>>) -> (Running<String>, Remote<String>) {
    let (gate, main) = (Arc::clone(gate), std::thread::current().id());
    let (send, receive) = mpsc::channel();
    let server = Server::bind_sharded(lines(), NonZeroU8::new(2).expect("not 0"), move |remote| {
        let is_first = std::thread::current().id() == main;
        if !is_first {
            send.send(remote).expect("the test waits");
        }
        Gated { gate: Arc::clone(&gate), is_first }
    });
    let server = server.expect("loopback can be listened at");
    let worker = receive.recv_timeout(PATIENCE).expect("it starts");
    let (addresses, remote) = (server.addresses().to_vec(), server.remote());
    (Running { addresses, remote, thread: std::thread::spawn(move || shell::run(server)) }, worker)
}

#[test]
fn a_drain_reaches_a_shard_whose_mailbox_is_full() {
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
    assert_eq!(server.remote.metrics(|_| panic!("nobody is there to answer")), Err(RemoteError::Ended));
}

#[test]
fn counters_are_told_though_a_shard_ends_meanwhile() {
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
fn what_is_behind_urgent_data_is_read_as_well() {
    let gate = Arc::default();
    let (handler, config) =
        (Gated { gate: Arc::clone(&gate), is_first: true }, ["tcp://127.0.0.1:0", "telnet://127.0.0.1:0"]);
    let server = run(Config::listening(config.map(|text| text.parse().expect(text))), handler, None);
    for address in server.addresses.clone() {
        let mut peer =
            Peer::new(TcpStream::connect(address.split_once("://").expect("a scheme").1).expect("it listens"));
        peer.send(b"in\n");
        peer.hear("in");
        let closed = gate.lock().expect("no panic");
        server.remote.note(String::new()).expect("it runs");
        // The server is busy while all of this arrives, so that it hears of it once. A telnet client's Synch: IAC IP,
        // and IAC DM, of which the last byte is urgent (RFC 854).
        let synch: &[u8] = if address.starts_with("tcp") { b"x" } else { b"\xff\xf4\xff\xf2" };
        peer.send(b"one\n");
        socket2::SockRef::from(peer.0.get_ref()).send_out_of_band(synch).expect("it is TCP");
        peer.send(b"\ntwo\n");
        drop(closed);
        peer.hear("two");
    }
    server.end();
}

#[test]
fn a_worker_that_panics_ends_the_server() {
    let make = || {
        assert_ne!(std::thread::current().name(), Some("drupe-worker"), "a worker that fails");
        Echo
    };
    let server = run_sharded(lines(), make);
    assert!(server.thread.join().is_err(), "and says so");
}

/// Panics when it is told to.
struct Fragile;

impl Handler for Fragile {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        if let Event::Message { conn, payload } = event {
            assert_ne!(payload.as_bytes(), b"break", "a handler that fails");
            hub.send(conn, payload);
        }
    }
}

#[test]
fn a_panic_of_the_handler_costs_one_connection() {
    let server = run(lines(), Fragile, None);
    let (mut bad, mut good) = (server.connect(), server.connect());
    bad.send(b"break\n");
    assert_eq!(bad.line(), "closing (handler_panicked): the application failed");
    assert_eq!(bad.rest_bytes(), b"");
    good.send(b"hello\n");
    assert_eq!(good.line(), "hello");
    let metrics = server.end();
    assert_eq!((metrics.handler_panics, metrics.ended.get(Reason::HandlerPanicked)), (1, 1));
}

/// Answers calls, once who calls has logged in.
fn calculator() -> impl Handler<Context = (), Note = NoNote> + Send + 'static {
    let rpc = Rpc::new("calculator", "1")
        .method("add", |(), _, [a, b]: [i64; 2]| Ok(a + b))
        .method("fail", |(), _, _: [u8; 0]| Err::<bool, _>(RpcError::new(7, "not today")));
    let credentials = Credentials::new("mellon", b"0123456789abcdef", 4_096).expect("a password");
    let accounts = Accounts::new().user("ann", credentials, []).expect("a name");
    Service::new(()).rpc(rpc).within(Authentication::new(accounts, [9; 32]))
}

#[test]
fn a_client_logs_in_calls_and_comes_back() {
    let mut config = lines();
    config.listeners.push("ws://127.0.0.1:0/calc".parse().expect("good"));
    config.drain.window = Duration::ZERO;
    let server = run(config, calculator(), None);
    for address in server.addresses.clone() {
        let login = Login::Password { user: "ann".into(), password: "mellon".into() };
        let options = ClientOptions::new(address.parse().expect("what a server prints")).login(login);
        let mut client = shell::connect(options).expect("a thread");
        block_on(async {
            let sum: i64 = client.call("add", &[2, 3], PATIENCE).await.expect("it adds");
            assert_eq!(sum, 5);
            let failed = client.call::<bool>("fail", &[0; 0], PATIENCE).await;
            assert!(matches!(failed, Err(CallError::Remote(error)) if error.message == "not today"));
            assert!(matches!(client.receive().await, Some(Incoming::Connected(_))));
            client.close();
            assert_eq!(client.receive().await, Some(Incoming::Disconnected(Reason::Application)));
            assert_eq!(client.receive().await, None);
            assert!(client.call::<i64>("add", &[2, 3], PATIENCE).await.is_err());
        });
    }
    server.end();
}

#[test]
fn a_client_whose_server_was_away_subscribes_anew() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be listened at");
    let address = listener.local_addr().expect("it has one");
    let backoff = Backoff { initial: Duration::from_millis(1), ..Backoff::default() };
    let dial = Dial { backoff: Some(backoff), ..Dial::lines(address.to_string()) };
    let mut client = shell::connect(ClientOptions::new(dial)).expect("a thread");
    client.subscribe("news", "/join news").expect("it runs");
    let mut first = accept(&listener);
    assert_eq!(first.line(), "/join news");
    block_on(client.send("hello")).expect("connected");
    assert_eq!(first.line(), "hello");
    drop(first);
    let mut second = accept(&listener);
    assert_eq!(second.line(), "/join news");
    second.send(b"headline\n");
    let heard = block_on(async {
        let mut heard = Vec::new();
        while heard.len() < 4 {
            heard.extend(client.receive().await);
        }
        heard
    });
    assert!(matches!(
        heard[..],
        [Incoming::Connected(_), Incoming::Disconnected(_), Incoming::Connected(_), Incoming::Message(_)]
    ));
    // The last handle that is dropped closes it.
    drop(client);
    assert_eq!(second.rest_bytes(), b"");
}

#[test]
fn what_a_client_does_not_receive_is_not_kept_on_its_next_connection_either() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be listened at");
    let address = listener.local_addr().expect("it has one");
    let backoff = Backoff { initial: Duration::from_millis(1), ..Backoff::default() };
    let dial = Dial { backoff: Some(backoff), ..Dial::lines(address.to_string()) };
    let client = shell::connect(ClientOptions::new(dial)).expect("a thread");
    let mut first = accept(&listener);
    first.send(&b"x\n".repeat(300));
    drop(first);
    // Nothing is read any more, so it is a write that finds out that the first connection has ended.
    let sender = client.clone();
    let sending = std::thread::spawn(move || while block_on(sender.send("again")).is_ok() {});
    let mut second = accept(&listener);
    // What fits into both ends' buffers is taken, and no more.
    second.0.get_mut().set_nonblocking(true).expect("it can be set");
    let (mut sent, mut waited) = (0_usize, 0);
    while waited < 1_000 {
        match second.0.get_mut().write(&[b'x', b'\n'].repeat(8_000)) {
            Ok(bytes) => (sent, waited) = (sent + bytes, 0),
            Err(_) => waited += 1,
        }
        std::thread::yield_now();
        assert!(sent < 256 << 20, "everything is taken");
    }
    client.close();
    sending.join().expect("no panic");
}

#[test]
fn a_client_that_gives_up_says_so_to_all_who_wait() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be listened at");
    let address = listener.local_addr().expect("it has one").to_string();
    drop(listener);
    let mut client = shell::connect(ClientOptions::once(Dial::lines(address))).expect("a thread");
    block_on(async {
        assert!(client.send("hello").await.is_err());
        assert!(matches!(client.receive().await, Some(Incoming::DialFailed(_, None))));
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn more_than_a_client_reads_waits_at_the_server() {
    let server = run(lines().unlimited(), Echo, None);
    let mut client = shell::connect(ClientOptions::new(server.addresses[0].parse().expect("good"))).expect("a thread");
    let sender = client.clone();
    let sending = std::thread::spawn(move || {
        block_on(async {
            for number in 0..20_000 {
                sender.send(format!("{number:0100}")).await.expect("it runs");
            }
        });
    });
    block_on(async {
        let mut next = 0;
        while next < 20_000 {
            if let Some(Incoming::Message(message)) = client.receive().await {
                assert_eq!(message, PayloadBuf::from(format!("{next:0100}")));
                next += 1;
            }
        }
    });
    sending.join().expect("no panic");
    drop(client);
    server.end();
}

#[test]
fn every_clone_that_receives_is_told_of_the_end() {
    let server = run(lines(), Echo, None);
    let mut client = shell::connect(ClientOptions::new(server.addresses[0].parse().expect("good"))).expect("a thread");
    assert!(matches!(block_on(client.receive()), Some(Incoming::Connected(_))));
    let receiving: Vec<_> = (0..3)
        .map(|_| {
            let mut clone = client.clone();
            std::thread::spawn(move || block_on(async { while clone.receive().await.is_some() {} }))
        })
        .collect();
    client.close();
    receiving.into_iter().for_each(|thread| thread.join().expect("no panic"));
    server.end();
}

/// TLS with a certificate of its own, and a client that believes it.
fn tls() -> (Tls, Arc<ClientConfig>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed");
    let directory = std::env::temp_dir().join(format!("drupe-conformance-{}-{:p}", std::process::id(), &raw const key));
    std::fs::create_dir_all(&directory).expect("a directory");
    let files = CertificateFiles { certificate: directory.join("cert.pem"), key: directory.join("key.pem") };
    std::fs::write(&files.certificate, certificate.pem()).expect("written");
    std::fs::write(&files.key, key.serialize_pem()).expect("written");
    let files = TlsFiles { certificates: vec![files], ..TlsFiles::default() };
    let provider = Arc::new(ring::default_provider());
    let tls = files.load(&provider, &Tickets::new(ring::Ticketer::new)).expect("good files");
    std::fs::remove_dir_all(directory).expect("it is ours");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate)).expect("good");
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    (tls, Arc::new(client.with_root_certificates(roots).with_no_client_auth()))
}

fn over_tls(config: &Arc<ClientConfig>, peer: Peer) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).expect("good"), peer.0.into_inner())
}

#[test]
fn tls_carries_much_in_both_directions_and_ends_with_a_word() {
    let (tls, client) = tls();
    let mut config = lines();
    config.listeners[0].tls = Some(tls);
    // However slow the reader is, nothing is too much for it.
    config.outbound.marks = Marks::new(64 << 10, 256 << 10, 16 << 20).expect("in order");
    for sharded in [false, true] {
        let config = config.clone().unlimited();
        let server = if sharded { run_sharded(config, Relay::default) } else { run(config, Relay::default(), None) };
        let (one, two) = (over_tls(&client, server.connect()), over_tls(&client, server.connect()));
        let (mut one, mut two) = (one, BufReader::new(two));
        // Both have spoken, so both are members.
        let mut line = String::new();
        two.get_mut().write_all(b"first\n").expect("the server reads");
        server.until(|metrics| metrics.messages_in == 1);
        one.write_all(b"here\n").expect("the server reads");
        two.read_line(&mut line).expect("the server answers");
        assert_eq!(line, "here\n");
        let text: Arc<str> = (0..20_000).map(|n| format!("{n} {}\n", "x".repeat(n % 200))).collect::<String>().into();
        let said = Arc::clone(&text);
        let speaker = std::thread::spawn(move || {
            one.write_all(said.as_bytes()).expect("the server reads");
            one
        });
        let mut heard = vec![0; text.len()];
        two.read_exact(&mut heard).expect("the server writes");
        assert!(heard == text.as_bytes(), "every byte, in order");
        let mut one = speaker.join().expect("no panic");
        server.remote.drain().expect("it runs");
        let mut rest = String::new();
        two.read_to_string(&mut rest).expect("it ends with close_notify");
        assert!(rest.ends_with("closing (shutdown): the server is shutting down\n"), "{rest}");
        drop(two);
        one.read_to_string(&mut rest).expect("it ends with close_notify");
        drop(one);
        let metrics = server.thread.join().expect("no panic");
        assert_eq!((metrics.tls_handshakes, metrics.ended.get(Reason::Shutdown)), (2, 2));
    }
}

#[test]
fn another_configuration_is_listened_at_while_the_server_runs() {
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
    let error = reconfigure(wrong).expect_err("somebody listens there").to_string();
    assert!(error.starts_with(&format!("can't listen at {taken}")), "{error}");
    assert_eq!(server.metrics().reloads, 0);
    // One listener more, then that alone.
    let more = Config::listening([lines().listeners.remove(0), "length://127.0.0.1:0".parse().expect("an address")]);
    let addresses = reconfigure(more).expect("it can be listened at");
    assert_eq!((addresses.len(), &addresses[0]), (2, &server.addresses[0]));
    let fresh = addresses[1].strip_prefix("length://").expect("frames").to_owned();
    let mut frames = Peer::new(TcpStream::connect(&fresh).expect("the server listens"));
    frames.send(b"\0\0\0\x02hi");
    let mut answer = [0; 6];
    frames.0.read_exact(&mut answer).expect("the server answers");
    assert_eq!(&answer, b"\0\0\0\x02hi");
    let less = Config {
        idle: Some(Duration::from_secs(1_000)),
        ..Config::listening(["length://127.0.0.1:0".parse().expect("an address")])
    };
    assert_eq!(reconfigure(less).expect("it is listened at").len(), 1);
    let gone = server.addresses[0].strip_prefix("tcp://").expect("lines").to_owned();
    server.until(|_| TcpStream::connect(&gone).is_err());
    stays.send(b"two\n");
    assert_eq!(stays.line(), "two", "who was there stays");
    let metrics = server.end();
    assert_eq!(metrics.reloads, 2);
}

#[test]
fn an_address_can_be_made_wider_and_narrower_by_a_reload() {
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
    // What can't be done leaves everything as it was, what was closed for it included.
    let error = reconfigure(&[&wide, &taken]).expect_err("somebody listens there").to_string();
    assert!(error.starts_with(&format!("can't listen at {taken}")) && !error.contains("lost"), "{error}");
    for (address, listened_at) in [(&wide, &wide), (&narrow, &narrow), (&wide, &wide)] {
        assert_eq!(server.connect_and_ask("hello"), "hello");
        assert_eq!(reconfigure(&[address]).expect("it can be listened at"), std::slice::from_ref(listened_at));
    }
    assert_eq!(server.connect_and_ask("hello"), "hello");
    stays.send(b"two\n");
    assert_eq!(stays.line(), "two", "who was there stays");
    assert_eq!(server.end().reloads, 3);
}

#[test]
fn a_panic_of_who_asks_for_metrics_or_a_reload_does_not_end_the_server() {
    for server in [run(lines(), Echo, None), run_sharded(lines(), || Echo)] {
        server.remote.metrics(|_| panic!("as it was told")).expect("it runs");
        server.remote.reconfigure(lines(), |_| panic!("as it was told")).expect("it runs");
        assert_eq!(server.connect_and_ask("hello"), "hello");
        assert_eq!(server.metrics().opened, 1);
        server.end();
    }
}

#[test]
fn a_drain_brings_what_is_queued_to_who_has_sent_much_that_nobody_served() {
    let mut config = lines().unlimited();
    config.closing.flush = PATIENCE;
    config.drain.deadline = 2 * PATIENCE;
    let server = run(config, Echo, None);
    let mut peer = server.connect();
    let mut writer = peer.0.get_ref().try_clone().expect("a handle");
    let (send, receive) = mpsc::channel();
    let writing = std::thread::spawn(move || {
        let block = format!("{}\n", "x".repeat(1023)).repeat(64);
        // More than all buffers on the way can take: it ends when the connection does.
        for block_number in 0..16 << 8 {
            if writer.write_all(block.as_bytes()).is_err() {
                return;
            }
            let _ = send.send(block_number << 16);
        }
    });
    // It does not read, so it is not served any more.
    server.until(|metrics| metrics.stalled == 1);
    server.remote.drain().expect("it runs");
    server.until(|metrics| metrics.closing == 1);
    // All that is written from here on is discarded: more than is free, before the peer reads anything.
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
fn a_proxy_says_whom_it_speaks_for_on_every_shard() {
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
