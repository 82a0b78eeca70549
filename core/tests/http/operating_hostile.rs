//! Hostile peers against features for operators, in virtual time.
//!
//! The features are reloads, proxies, the monitor and its credential, and telnet in WebSocket. An
//! attack costs other peers nothing, and telnet in WebSocket does not bypass any limit.

use crate::operating_world::{network, peer, upgrade};
use drupe_core::app::{Echo, Relay};
use drupe_core::http::{Access, Credential, Forwarded, ForwardedField, Http};
use drupe_core::kit::auth::{Accounts, Authentication, Claims, TokenKey, Tokens};
use drupe_core::kit::layer::Within;
use drupe_core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_core::limit::{Ladder, Rate};
use drupe_core::outbound::Marks;
use drupe_core::telnet::Telnet;
use drupe_core::testing::TestHub;
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::{Protocol, Proxies};
use drupe_core::{
    Address, Command, Config, ConnId, End, Event, Failure, Handler, Hub, Listen, ListenerId, Machine, Reason, Shard,
    ShardMessage, Time,
};
use miniz_oxide::MZFlush;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

const CREDENTIAL: &str = "0123456789abcdef";
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const COMPRESSED: u8 = 0xc2;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn lines(port: u16) -> Listen {
    Listen::lines(([127, 0, 0, 1], port).into())
}

fn web(http: Http) -> Listen {
    Listen::new(Address::Tcp(([127, 0, 0, 1], 80).into()), Protocol::Http(Arc::new(http)))
}

/// Nothing is sent but what is asked for; with a terminal in it or without.
fn websocket(is_terminal: bool) -> Config {
    Config::listening([web(Http::default().telnet(is_terminal.then(Telnet::default)).ping(None))])
}

fn monitored() -> Http {
    Http::default().monitor(Credential::new(CREDENTIAL).ok()).ping(None)
}

fn behind_proxies() -> Listen {
    lines(1).proxies(Some(Proxies::trusting([network("10.0.0.0/8")])))
}

/// A frame as a client sends it.
fn masked(first: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame(Opcode::Binary, content, Some([0; 4]), &mut out);
    out[0] = first;
    out
}

fn text<H: Handler>(hub: &TestHub<H>, conn: ConnId) -> String {
    String::from_utf8_lossy(hub.received(conn)).into_owned()
}

/// Fails where a test would hang.
fn in_finite_time(test: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        test();
        sender.send(()).expect("awaited");
    });
    receiver.recv_timeout(secs(60)).expect("it failed or did not return");
}

#[test]
fn reload_to_lines_still_times_out_undecided_peers() {
    // Who is silent where anything may be spoken is one for lines.
    for (listen, is_closed) in [("ws://127.0.0.1:80", true), ("auto://127.0.0.1:80", false)] {
        // Whoever was overdue and could not be ended made the machine look at the same deadline for ever.
        in_finite_time(move || {
            let listen: Listen = listen.parse().expect("well formed");
            let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
            let conn = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
            assert_eq!(hub.machine().metrics().undecided, 1);
            hub.reconfigure(Config::listening([lines(80)]));
            hub.advance(secs(60));
            assert_eq!((hub.machine().metrics().undecided, hub.is_closed(conn)), (0, is_closed));
        });
    }
}

#[test]
fn reload_to_lines_still_answers_a_begun_request() {
    // How something is spoken holds for new ones.
    let mut hub = TestHub::with_config(Config::listening([web(Http::default())]), Echo);
    let conn = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
    hub.send(conn, b"GET / HTTP/1.1\r\nHo");
    hub.reconfigure(Config::listening([lines(80)]));
    hub.send(conn, b"st: x\r\n\r\n");
    assert!(text(&hub, conn).starts_with("HTTP/1.1 200"), "{:?}", text(&hub, conn));
}

#[test]
fn late_admission_refusal_spares_the_new_slot_owner() {
    let mut machine =
        Machine::shard(Config::listening([behind_proxies()]), Echo, Shard::new(1, 2).expect("one of two"));
    let now = Time::START;
    let gone = machine.adopted(now, ListenerId::new(0), peer("10.0.0.1:1"));
    machine.received(now, gone, &mut b"PROXY TCP4 192.0.2.1 10.0.0.1 5 6\r\n".to_vec());
    // It breaks while it waits to be let in, and another has its place.
    machine.failed(now, gone, Failure::Reset);
    let innocent = machine.adopted(now, ListenerId::new(0), peer("10.0.0.1:2"));
    assert_eq!(gone.index(), innocent.index());
    machine.received(now, innocent, &mut b"PROXY UNKNOWN\r\nhi\n".to_vec());
    machine.shard_message_received(
        now,
        &ShardMessage::Admission { conn: innocent, peer: peer("10.0.0.1:2"), refused: None },
    );
    assert_eq!(machine.metrics().open, 1);
    let refused = Some(Reason::Quarantined);
    machine.shard_message_received(now, &ShardMessage::Admission { conn: gone, peer: peer("192.0.2.1:5"), refused });
    let metrics = machine.metrics();
    assert_eq!((metrics.open, metrics.ended.get(Reason::Quarantined)), (1, 0));
}

#[test]
fn malformed_proxy_header_is_refused() {
    for header in [
        "PROXY TCP5 192.0.2.1 10.0.0.1 5 6\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 5 6 7\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 5\r\n",
        "PROXY TCP4 2001:db8::1 10.0.0.1 5 6\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 05 6\r\n",
    ] {
        let mut hub = TestHub::with_config(Config::listening([behind_proxies()]), Echo);
        let conn = hub.try_connect(ListenerId::new(0), peer("10.0.0.1:1")).expect("a proxy");
        hub.send(conn, format!("{header}hi\r\n").as_bytes());
        assert_eq!((hub.ended(Reason::BadProxyHeader), hub.machine().metrics().messages_in), (1, 0), "{header}");
    }
}

#[test]
fn peer_awaiting_admission_without_tls_never_fails_as_tls() {
    let mut machine =
        Machine::shard(Config::listening([behind_proxies()]), Echo, Shard::new(1, 2).expect("one of two"));
    let conn = machine.adopted(Time::START, ListenerId::new(0), peer("10.0.0.1:1"));
    machine.received(Time::START, conn, &mut b"PROXY TCP4 192.0.2.1 10.0.0.1 5 6\r\n".to_vec());
    machine.elapsed(Time::from_secs(6));
    assert_eq!(machine.metrics().ended.get(Reason::TlsFailed), 0);
}

#[test]
fn metrics_endpoint_limits_credential_guesses() {
    let metrics = Access::Credential(Credential::new(CREDENTIAL).expect("long enough"));
    let http = monitored().metrics(metrics);
    let mut hub = TestHub::with_config(Config::listening([web(http)]), Echo);
    let mut get = |credential: &str| {
        let conn = hub.try_connect(ListenerId::new(0), peer("192.0.2.1:9")).expect("let in");
        let fields = format!("Host: x\r\nAuthorization: Bearer {credential}\r\n");
        hub.send(conn, format!("GET /metrics HTTP/1.1\r\n{fields}\r\n").as_bytes());
        text(&hub, conn)
    };
    for guess in 0..50 {
        assert!(get(&format!("wrong-wrong-wrong-{guess}")).starts_with("HTTP/1.1 4"));
    }
    let answer = get(CREDENTIAL);
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
}

#[test]
fn guesses_behind_a_proxy_lock_out_only_their_client() {
    let forwarded = Forwarded::new(ForwardedField::XForwardedFor, [network("10.0.0.0/8")]);
    let http = monitored().forwarded(Some(forwarded));
    let mut hub = TestHub::with_config(Config::listening([web(http)]), Echo);
    let mut get = |client: &str, credential: &str| {
        let conn = hub.try_connect(ListenerId::new(0), peer("10.0.0.1:9")).expect("let in");
        let fields = format!("Host: x\r\nX-Forwarded-For: {client}\r\nAuthorization: Bearer {credential}\r\n");
        hub.send(conn, format!("GET /monitor HTTP/1.1\r\n{fields}\r\n").as_bytes());
        text(&hub, conn)
    };
    for _ in 0..6 {
        get("203.0.113.66", "wrong-wrong-wrong-wrong");
    }
    let answer = get("203.0.113.66", CREDENTIAL);
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    let answer = get("192.0.2.1", CREDENTIAL);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A server, and somebody on a WebSocket who offered to compress.
fn upgraded(config: Config) -> (TestHub<Echo>, ConnId, String) {
    let mut hub = TestHub::with_config(config, Echo);
    let conn = hub.try_connect(ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
    hub.send(conn, &upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    let answer = text(&hub, conn);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    hub.clear();
    (hub, conn, answer)
}

#[test]
fn websocket_control_and_empty_frames_are_charged() {
    for kind in [masked(PING, b"x"), masked(PONG, b"x"), masked(BINARY, b"")] {
        for is_terminal in [false, true] {
            let mut config = websocket(is_terminal);
            config.peer.rates.messages = Rate::new(10, 10).ok();
            config.peer.rates.bytes = Rate::new(1000, 4000).ok();
            config.peer.rates.ladder = Ladder::default().close(Some(1));
            let (mut hub, conn, _) = upgraded(config);
            for _ in 0..2_000 {
                if hub.is_closed(conn) {
                    break;
                }
                hub.send(conn, &kind);
            }
            assert_eq!(hub.ended(Reason::RateLimited), 1, "{kind:?}, {is_terminal}");
            assert!(hub.received(conn).ends_with(b"rate_limited"), "a close frame says so");
        }
    }
}

/// A message that is compressed as permessage-deflate has it.
fn compressed(content: &[u8]) -> Vec<u8> {
    let mut state = CompressorOxide::new(create_comp_flags_from_zip_params(9, -15, 0));
    let mut out = vec![0; content.len() + 1000];
    let result = deflate(&mut state, content, &mut out, MZFlush::Sync);
    assert_eq!(result.bytes_consumed, content.len());
    out.truncate(result.bytes_written - 4);
    masked(COMPRESSED, &out)
}

#[test]
fn compressed_messages_in_one_read_are_all_served() {
    let messages = compressed("x".repeat(60_000).as_bytes()).repeat(40);
    assert!(messages.len() < 64 << 10, "less than a read's worth");
    let (mut hub, conn, answer) = upgraded(websocket(false));
    assert!(answer.contains("Sec-WebSocket-Extensions: permessage-deflate"), "{answer}");
    hub.send(conn, &messages);
    hub.advance(secs(1));
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.messages_in, metrics.ended.total()), (40, 0));
}

#[test]
fn telnet_in_websocket_refuses_compression() {
    // What is typed comes as a stream: a read's worth of it would be inflated at once, to a thousand times as much.
    let (mut hub, conn, answer) = upgraded(websocket(true));
    assert!(!answer.contains("Sec-WebSocket-Extensions"), "{answer}");
    hub.send(conn, &compressed("x".repeat(60_000).as_bytes()));
    assert!(hub.is_closed(conn));
    assert_eq!((hub.ended(Reason::MalformedFrame), hub.machine().metrics().messages_in), (1, 0));
}

/// Writes all that there is to write.
fn flush(machine: &mut Machine<Echo>, conn: ConnId) {
    while machine.next_changed().is_some() {}
    while let Some(bytes @ 1..) = machine.intent(conn).map(|intent| intent.transmit.len()) {
        machine.wrote(Time::START, conn, bytes);
    }
}

/// Somebody on a WebSocket who was told to go, and whose half is still open.
fn kicked(is_terminal: bool) -> (Machine<Echo>, ConnId) {
    let mut machine = Machine::new(websocket(is_terminal), Echo);
    let conn = machine.accepted(Time::START, ListenerId::new(0), peer("127.0.0.1:9")).expect("let in");
    machine.received(Time::START, conn, &mut upgrade("/", ""));
    flush(&mut machine, conn);
    machine.command(Time::START, &Command::Kick { conn });
    flush(&mut machine, conn);
    assert_eq!(machine.intent(conn).expect("awaited").end, End::Shutdown);
    (machine, conn)
}

#[test]
fn pings_after_our_close_get_no_pong() {
    for is_terminal in [false, true] {
        let (mut machine, conn) = kicked(is_terminal);
        machine.received(Time::START, conn, &mut masked(PING, b"ping"));
        assert_eq!(machine.intent(conn).expect("awaited").transmit.len(), 0, "{is_terminal}");
    }
}

#[test]
fn kicked_websocket_peer_that_keeps_sending_is_dropped() {
    let read = [false, true].map(|is_terminal| {
        let (mut machine, conn) = kicked(is_terminal);
        let mut read = 0;
        while machine.intent(conn).is_some() {
            let mut pings = masked(PING, b"ping").repeat(5_000);
            read += pings.len();
            assert!(read < 50_000_000, "it is read for ever");
            machine.received(Time::START, conn, &mut pings);
        }
        read
    });
    assert_eq!(read[0], read[1]);
}

/// Echo, with the notes of its layers.
struct EchoWithin;

impl Handler for EchoWithin {
    type Context = ();
    type Note = (ConnId, Option<String>);

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        if let Event::Message { conn, payload } = event {
            let payload = payload.to_owned();
            hub.send(conn, payload.as_payload());
        }
    }
}

#[test]
fn audit_logs_each_monitor_command_on_one_line() {
    let (send, audited) = mpsc::channel();
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default())
        .audit(move |line: &str| send.send(line.to_owned()).expect("the test listens"));
    let config = Config::listening([lines(1), web(monitored())]);
    let mut hub = TestHub::with_config(config, Echo.within(monitor));
    let ann = hub.connect();
    let watcher = watch(&mut hub, ann);
    for command in [
        format!(r#"{{"type":"stop_watching","session_id":"{ann}"}}"#),
        r#"{"type":"quarantine","address":"192.0.2.7","force":false}"#.into(),
        r#"{"type":"release","address":"192.0.2.7"}"#.into(),
        // A line end would look like another line of the log, and more than a name is cut off.
        format!(r#"{{"type":"kick","session_id":"1\nmonitor 9.9 from x: kick {}"}}"#, "y".repeat(100)),
        r#"{"type":"kick","session_id":7}"#.into(),
        r#"{"type":"drain"}"#.into(),
    ] {
        hub.send(watcher, &masked(TEXT, command.as_bytes()));
    }
    let lines: Vec<_> = audited.try_iter().collect();
    let from = format!("monitor {watcher} from 127.0.0.1:9: ");
    let commands: Vec<_> = lines.iter().map(|line| line.strip_prefix(&from).expect("its watcher")).collect();
    assert_eq!(
        commands[..4],
        [&format!("watch_session {ann}"), &format!("stop_watching {ann}"), "quarantine 192.0.2.7", "release 192.0.2.7",]
    );
    assert!(commands[4].starts_with("kick 1") && commands[4].len() < 80 && !commands[4].contains('\n'), "{commands:?}");
    assert_eq!(commands[5..], ["drain "]);
}

/// Somebody at the monitor who watches what this one says.
fn watch<H: Handler>(hub: &mut TestHub<H>, watched: ConnId) -> ConnId {
    let watcher = hub.try_connect(ListenerId::new(1), peer("127.0.0.1:9")).expect("let in");
    hub.send(watcher, &upgrade("/monitor", &format!("Authorization: Bearer {CREDENTIAL}\r\n")));
    let command = format!(r#"{{"type":"watch_session","session_id":"{watched}"}}"#);
    hub.send(watcher, &masked(TEXT, command.as_bytes()));
    watcher
}

#[test]
fn renewed_token_is_hidden_from_watchers() {
    let key = TokenKey::hs256(&[7; 32]).expect("long enough");
    let token = |exp| {
        let claims = Claims::of("ann").exp(Some(exp)).scope("join:*".into());
        key.sign(&claims).expect("signed")
    };
    let auth = Authentication::new(Accounts::new().tokens(Tokens::new(key.clone())), [3; 32]);
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default()).conceal_unknown();
    let config = Config::listening([lines(1), web(monitored())]);
    let mut hub = TestHub::with_config(config, EchoWithin.within(auth).within(monitor));
    let ann = hub.connect();
    hub.line(ann, &format!("/auth {}", token(1_800_000_100)));
    assert_eq!(hub.lines(ann), ["notice: you are ann"]);
    let watcher = watch(&mut hub, ann);
    let renewed = token(1_800_000_900);
    hub.line(ann, &format!("/auth {renewed}"));
    let seen = text(&hub, watcher);
    assert!(seen.contains("client_input") && !seen.contains(&renewed), "{seen}");
}

#[test]
fn secret_in_escaped_or_truncated_json_is_hidden() {
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default());
    let config = Config::listening([lines(1), web(monitored())]);
    let mut hub = TestHub::with_config(config, Echo.within(monitor));
    let ann = hub.connect();
    let watcher = watch(&mut hub, ann);
    // Of more than 4 KiB the monitor shows the beginning, which is no JSON any more.
    hub.line(ann, &format!(r#"{{"pass\u0077ord":"hunter2","more":"{}"}}"#, "x".repeat(5000)));
    let seen = text(&hub, watcher);
    assert!(seen.contains("client_input") && !seen.contains("hunter2"), "{seen}");
}

#[test]
fn lowered_marks_close_a_peer_already_behind() {
    let mut config = Config::listening([lines(1)]);
    let mut hub = TestHub::with_config(config.clone(), Relay::default());
    let (speaker, slow) = (hub.connect(), hub.connect());
    hub.set_writable(slow, 0);
    for _ in 0..200 {
        hub.line(speaker, &"x".repeat(1000));
    }
    config.outbound.marks = Marks::new(1_000, 2_000, 10_000).expect("in order");
    hub.reconfigure(config);
    hub.line(speaker, "y");
    assert_eq!(hub.ended(Reason::SlowConsumer), 1);
    hub.set_writable(slow, usize::MAX);
    hub.line(speaker, "z");
    assert_eq!((hub.machine().metrics().stalled, hub.is_closed(slow)), (0, true));
}

#[test]
fn raised_marks_clear_the_stall_of_a_slow_peer() {
    let mut config = Config::listening([lines(1)]);
    config.outbound.marks = Marks::new(1_000, 2_000, 1_000_000).expect("in order");
    let mut hub = TestHub::with_config(config.clone(), Relay::default());
    let (speaker, slow) = (hub.connect(), hub.connect());
    hub.set_writable(slow, 0);
    for _ in 0..20 {
        hub.line(speaker, &"x".repeat(1000));
    }
    assert_eq!(hub.machine().metrics().stalled, 1);
    config.outbound.marks = Marks::new(100_000, 200_000, 1_000_000).expect("in order");
    hub.reconfigure(config);
    hub.line(slow, "hello");
    assert_eq!(hub.machine().metrics().stalled, 0);
}

#[test]
fn removed_rate_limit_resumes_paused_peers() {
    let mut config = Config::listening([lines(1)]);
    config.peer.rates.messages = Rate::per(1, 3600, 1).ok();
    config.peer.rates.ladder = Ladder::default();
    let mut hub = TestHub::with_config(config.clone(), Echo);
    let conn = hub.connect();
    for _ in 0..5 {
        hub.line(conn, "x");
    }
    assert!(hub.lines(conn).len() < 5, "it is paused");
    config.peer.rates.messages = None;
    hub.reconfigure(config);
    hub.advance(secs(1));
    hub.line(conn, "last");
    let heard: Vec<_> = hub.lines(conn).into_iter().filter(|line| !line.starts_with("warning: ")).collect();
    assert_eq!(heard, ["x", "x", "x", "x", "x", "last"]);
}
