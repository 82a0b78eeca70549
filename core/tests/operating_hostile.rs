//! What breaks reloads, proxies, the monitor and telnet in WebSocket, if anything does: found by a hostile tester.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails where its assumption does")]

use drupe_core::app::{Echo, Relay};
use drupe_core::http::{Access, Credential, Forwarded, ForwardedField, Http};
use drupe_core::kit::layer::Within;
use drupe_core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_core::limit::{Ladder, Network, Rate};
use drupe_core::telnet::Telnet;
use drupe_core::testing::TestHub;
use drupe_core::wire::{Protocol, Proxies};
use drupe_core::*;
use std::sync::Arc;
use std::time::Duration;

const CREDENTIAL: &str = "0123456789abcdef";
fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}
fn lines(port: u16) -> Listen {
    Listen::lines(([127, 0, 0, 1], port).into())
}
fn web(http: Http) -> Listen {
    Listen::new(Address::Tcp(([127, 0, 0, 1], 80).into()), Protocol::Http(Arc::new(http)))
}
fn network(t: &str) -> Network {
    t.parse().expect(t)
}
fn peer(t: &str) -> Peer {
    t.parse().expect(t)
}
fn upgrade(path: &str, fields: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{fields}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    .into_bytes()
}
fn text<H: Handler>(hub: &TestHub<H>, conn: ConnId) -> String {
    String::from_utf8_lossy(hub.received(conn)).into_owned()
}

fn within_time(what: &'static str, run: impl FnOnce() + Send + 'static) {
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        run();
        let _ = tx.send(());
    });
    rx.recv_timeout(secs(10)).unwrap_or_else(|e| panic!("{what}: {e}"));
}

#[test]
fn reload_http_to_lines_with_somebody_undecided_hangs() {
    within_time("elapsed never returns", || {
        let mut hub = TestHub::with_config(Config::listening([web(Http::default())]), Echo);
        let conn = hub.try_connect(ListenerId(0), peer("127.0.0.1:9")).unwrap();
        hub.reconfigure(Config::listening([lines(80)]));
        hub.advance(secs(11));
        assert!(hub.is_closed(conn));
    });
}

#[test]
fn reload_auto_to_lines_with_somebody_undecided_hangs() {
    within_time("elapsed never returns", || {
        let listen: Listen = "auto://127.0.0.1:80".parse().unwrap();
        let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
        let _conn = hub.try_connect(ListenerId(0), peer("127.0.0.1:9")).unwrap();
        hub.reconfigure(Config::listening(["tcp://127.0.0.1:80".parse::<Listen>().unwrap()]));
        hub.advance(secs(60));
        assert!(!hub.machine().metrics().undecided > 0);
    });
}

#[test]
fn reload_to_lines_drops_what_was_said() {
    // Somebody who has half a request when http becomes lines.
    within_time("elapsed never returns", || {
        let mut hub = TestHub::with_config(Config::listening([web(Http::default())]), Echo);
        let conn = hub.try_connect(ListenerId(0), peer("127.0.0.1:9")).unwrap();
        hub.send(conn, b"GET / HTTP/1.1\r\nHo");
        hub.reconfigure(Config::listening([lines(80)]));
        hub.send(conn, b"st: x\r\n\r\n");
        assert!(
            text(&hub, conn).starts_with("HTTP/1.1 200"),
            "how something is spoken holds for new ones: {:?}",
            text(&hub, conn)
        );
    });
}

/// A refusal that comes late ends whoever has the place by then.
#[test]
fn late_admission_ends_an_innocent() {
    let listen = Listen { proxies: Some(Proxies::trusting([network("10.0.0.0/8")])), ..lines(1) };
    let config = Config::listening([listen]);
    let mut one = Machine::shard(config, Echo, Shard::new(1, 2).unwrap());
    let t = Time::START;
    let a = one.adopted(t, ListenerId(0), peer("10.0.0.1:1"));
    one.received(t, a, &mut b"PROXY TCP4 192.0.2.1 10.0.0.1 5 6\r\n".to_vec());
    // It breaks while it waits, and another has its place.
    one.failed(t, a, Failure::Reset);
    let b = one.adopted(t, ListenerId(0), peer("10.0.0.1:2"));
    assert_eq!(a.index(), b.index());
    one.received(t, b, &mut b"PROXY UNKNOWN\r\nhi\n".to_vec());
    assert_eq!(one.metrics().open, 1);
    one.delivered(t, &Letter::Admission { conn: a, peer: peer("192.0.2.1:5"), refused: Some(Reason::Quarantined) });
    assert_eq!(
        (one.metrics().open, one.metrics().ended.get(Reason::Quarantined)),
        (1, 0),
        "b has nothing to do with it"
    );
}

#[test]
fn metrics_lets_guess_the_credential_without_end() {
    let http = Http { monitor: Credential::new(CREDENTIAL).ok(), metrics: Access::Credential, ..Http::default() };
    let mut hub = TestHub::with_config(Config::listening([web(http)]), Echo);
    let mut get = |path: &str, fields: &str| {
        let conn = hub.try_connect(ListenerId(0), peer("192.0.2.1:9")).expect("let in");
        hub.send(conn, format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
        text(&hub, conn)
    };
    for n in 0..50 {
        assert!(get("/metrics", &format!("Authorization: Bearer wrong-wrong-wrong-{n}\r\n")).starts_with("HTTP/1.1 4"));
    }
    let answer = get("/metrics", &format!("Authorization: Bearer {CREDENTIAL}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 429"), "guessing goes on at /metrics: {}", &answer[..20]);
}

#[test]
fn one_behind_a_proxy_locks_out_all_behind_it() {
    let forwarded = Forwarded { field: ForwardedField::XForwardedFor, trusted: vec![network("10.0.0.0/8")] };
    let http = Http { monitor: Credential::new(CREDENTIAL).ok(), forwarded: Some(forwarded), ..Http::default() };
    let mut hub = TestHub::with_config(Config::listening([web(http)]), Echo);
    let mut get = |client: &str, credential: &str| {
        let conn = hub.try_connect(ListenerId(0), peer("10.0.0.1:9")).expect("let in");
        hub.send(conn, format!("GET /monitor HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\nAuthorization: Bearer {credential}\r\n\r\n").as_bytes());
        text(&hub, conn)
    };
    for _ in 0..6 {
        get("203.0.113.66", "wrong-wrong-wrong-wrong");
    }
    let answer = get("192.0.2.1", CREDENTIAL);
    assert!(answer.starts_with("HTTP/1.1 200"), "another address is locked out: {}", answer.lines().next().unwrap());
}

fn frame(op: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![op];
    if content.len() < 126 {
        out.push(0x80 | content.len() as u8);
    } else {
        out.push(0x80 | 126);
        out.extend((content.len() as u16).to_be_bytes());
    }
    out.extend([0; 4]);
    out.extend(content);
    out
}

fn ws(telnet: bool, change: impl FnOnce(&mut Config)) -> (TestHub<Echo>, ConnId) {
    let http = Http { telnet: telnet.then(Telnet::default), ping: None, ..Http::default() };
    let mut config = Config::listening([web(http)]);
    change(&mut config);
    let mut hub = TestHub::with_config(config, Echo);
    let conn = hub.try_connect(ListenerId(0), peer("127.0.0.1:9")).unwrap();
    hub.send(conn, &upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    assert!(text(&hub, conn).contains("101 Switching"));
    hub.clear();
    (hub, conn)
}

fn limited(config: &mut Config) {
    config.rates.messages = Rate::new(10, 10).ok();
    config.rates.bytes = Rate::new(1000, 4000).ok();
    config.rates.ladder = Ladder { close: Some(1), ..Ladder::default() };
}

#[test]
fn pings_and_empty_frames_are_charged_as_on_a_websocket() {
    let mut outcome = Vec::new();
    for kind in [frame(0x89, b"x"), frame(0x8a, b"x"), frame(0x82, b"")] {
        for telnet in [false, true] {
            let (mut hub, conn) = ws(telnet, limited);
            for _ in 0..2_000 {
                if hub.is_closed(conn) {
                    break;
                }
                hub.send(conn, &kind);
            }
            outcome.push((kind[0], telnet, hub.ended(Reason::RateLimited)));
        }
    }
    println!("{outcome:?}");
    assert!(outcome.iter().all(|(_, _, ended)| *ended == 1), "{outcome:?}");
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut state = miniz_oxide::deflate::core::CompressorOxide::new(
        miniz_oxide::deflate::core::create_comp_flags_from_zip_params(9, -15, 0),
    );
    let mut out = vec![0; content.len() + 1000];
    let r = miniz_oxide::deflate::stream::deflate(&mut state, content, &mut out, miniz_oxide::MZFlush::Sync);
    assert_eq!(r.bytes_consumed, content.len());
    out.truncate(r.bytes_written - 4);
    frame(0xc2, &out)
}

#[test]
fn compressed_messages_that_come_together_are_served_as_on_a_websocket() {
    // 40 messages of 64000 bytes in lines, in less than a read's worth.
    let message = "x".repeat(79) + "\r\n";
    let message = message.repeat(60_000 / 81);
    let one = deflated(message.as_bytes());
    let all = one.repeat(40);
    println!("{} bytes", all.len());
    assert!(all.len() < 64 << 10);
    for telnet in [false, true] {
        let (mut hub, conn) = ws(telnet, |_| {});
        hub.send(conn, &all);
        hub.advance(secs(1));
        let m = hub.machine().metrics();
        assert_eq!(
            (telnet, m.ended.get(Reason::RateLimited)),
            (telnet, 0),
            "there is no rate, messages {}",
            m.messages_in
        );
    }
}

#[test]
fn nothing_is_answered_once_our_half_is_closed() {
    for telnet in [false, true] {
        let http = Http { telnet: telnet.then(Telnet::default), ping: None, ..Http::default() };
        let mut machine = Machine::new(Config::listening([web(http)]), Echo);
        let t = Time::START;
        let conn = machine.accepted(t, ListenerId(0), peer("127.0.0.1:9")).unwrap();
        machine.received(t, conn, &mut upgrade("/", ""));
        let flush = |machine: &mut Machine<Echo>| {
            while machine.next_changed().is_some() {}
            loop {
                let Some(i) = machine.intent(conn) else { break };
                let n = i.transmit.len();
                if n == 0 {
                    break;
                }
                machine.wrote(t, conn, n);
            }
        };
        flush(&mut machine);
        machine.requested(t, &Request::Kick { conn });
        flush(&mut machine);
        assert_eq!(machine.intent(conn).unwrap().end, drupe_core::End::Shutdown);
        machine.received(t, conn, &mut frame(0x89, b"ping"));
        let intent = machine.intent(conn).unwrap();
        assert_eq!((telnet, intent.transmit.len()), (telnet, 0), "to be written behind the end of our half");
    }
}

#[test]
fn renewing_a_token_shows_it_to_watchers() {
    use drupe_core::kit::auth::*;
    let key = TokenKey::hs256(&[7; 32]).unwrap();
    let token = |exp| {
        key.sign(&Claims { sub: "ann".into(), exp: Some(exp), scope: "join:*".into(), ..Claims::default() }).unwrap()
    };
    let http = Http { monitor: Credential::new(CREDENTIAL).ok(), ping: None, ..Http::default() };
    let auth = Authentication::new(Accounts::new().tokens(Tokens::new(key.clone())), [3; 32]);
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default()).conceal_unknown();
    let mut hub = TestHub::with_config(Config::listening([lines(1), web(http)]), NoteEcho.within(auth).within(monitor));
    let ann = hub.connect();
    hub.line(ann, &format!("/auth {}", token(1_800_000_100)));
    assert_eq!(hub.lines(ann), ["notice: you are ann"]);
    let watcher = hub.try_connect(ListenerId(1), peer("127.0.0.1:9")).unwrap();
    hub.send(watcher, &upgrade("/monitor", &format!("Authorization: Bearer {CREDENTIAL}\r\n")));
    hub.send(watcher, &frame(0x81, format!(r#"{{"type":"watch_session","session_id":"{ann}"}}"#).as_bytes()));
    let renewed = token(1_800_000_900);
    hub.line(ann, &format!("/auth {renewed}"));
    let seen = text(&hub, watcher);
    assert!(seen.contains("client_input"));
    assert!(!seen.contains(&renewed), "the new token is shown to a watcher");
}

struct NoteEcho;
impl Handler for NoteEcho {
    type Context = ();
    type Note = (ConnId, Option<String>);
    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        if let Event::Message { conn, payload } = event {
            let p = payload.to_owned();
            hub.send(conn, p.as_payload());
        }
    }
}

#[test]
fn a_key_that_is_spelled_otherwise_or_cut_off_hides_its_secret() {
    let http = Http { monitor: Credential::new(CREDENTIAL).ok(), ping: None, ..Http::default() };
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default());
    let mut hub = TestHub::with_config(Config::listening([lines(1), web(http)]), Echo.within(monitor));
    let ann = hub.connect();
    let watcher = hub.try_connect(ListenerId(1), peer("127.0.0.1:9")).unwrap();
    hub.send(watcher, &upgrade("/monitor", &format!("Authorization: Bearer {CREDENTIAL}\r\n")));
    hub.send(watcher, &frame(0x81, format!(r#"{{"type":"watch_session","session_id":"{ann}"}}"#).as_bytes()));
    // Over 4 KiB, so that it is cut off and no JSON any more; the key has an escape in it, as any JSON may.
    hub.line(ann, &format!(r#"{{"pass\u0077ord":"hunter2","more":"{}"}}"#, "x".repeat(5000)));
    assert!(text(&hub, watcher).contains("client_input"));
    assert!(!text(&hub, watcher).contains("hunter2"));
}

#[test]
fn what_comes_while_it_lingers_is_counted_as_on_a_websocket() {
    let mut left = vec![];
    for telnet in [false, true] {
        let http = Http { telnet: telnet.then(Telnet::default), ping: None, ..Http::default() };
        let mut machine = Machine::new(Config::listening([web(http)]), Echo);
        let t = Time::START;
        let conn = machine.accepted(t, ListenerId(0), peer("127.0.0.1:9")).unwrap();
        machine.received(t, conn, &mut upgrade("/", ""));
        let flush = |machine: &mut Machine<Echo>| {
            while machine.next_changed().is_some() {}
            loop {
                let Some(i) = machine.intent(conn) else { break };
                let n = i.transmit.len();
                if n == 0 {
                    break;
                }
                machine.wrote(t, conn, n);
            }
        };
        flush(&mut machine);
        machine.requested(t, &Request::Kick { conn });
        flush(&mut machine);
        let mut sent = 0;
        while machine.intent(conn).is_some() && sent < 50_000_000 {
            let mut bytes = frame(0x89, b"ping").repeat(5_000);
            sent += bytes.len();
            machine.received(t, conn, &mut bytes);
        }
        left.push(sent);
    }
    assert_eq!(left[0], left[1], "bytes that were read before it was dropped");
}

#[test]
fn behind_tls_what_waits_for_admission_times_out_as_what_it_is() {
    let listen = Listen { proxies: Some(Proxies::trusting([network("10.0.0.0/8")])), ..lines(1) };
    let mut one = Machine::shard(Config::listening([listen]), Echo, Shard::new(1, 2).unwrap());
    let t = Time::START;
    let a = one.adopted(t, ListenerId(0), peer("10.0.0.1:1"));
    one.received(t, a, &mut b"PROXY TCP4 192.0.2.1 10.0.0.1 5 6\r\n".to_vec());
    one.elapsed(Time::from_secs(6));
    assert_eq!(one.metrics().ended.get(Reason::TlsFailed), 0, "there is no TLS here");
}

/// Marks that are lowered below what is queued.
#[test]
fn lower_marks_hold_for_who_is_behind() {
    let mut config = Config::listening([lines(1)]);
    let mut hub = TestHub::with_config(config.clone(), Relay::default());
    let (a, b) = (hub.connect(), hub.connect());
    hub.set_writable(b, 0);
    for _ in 0..200 {
        hub.line(a, &"x".repeat(1000));
    }
    config.outbound.marks = drupe_core::outbound::Marks::new(1_000, 2_000, 10_000).unwrap();
    hub.reconfigure(config);
    println!("stalled {} queued {}", hub.machine().metrics().stalled, hub.machine().metrics().queued_bytes);
    hub.line(a, "y");
    println!("stalled {} closed {}", hub.machine().metrics().stalled, hub.is_closed(b));
    hub.set_writable(b, usize::MAX);
    hub.line(a, "z");
    assert_eq!(hub.machine().metrics().stalled, 0);
}

/// Raised marks let go who is stalled below the new low one.
#[test]
fn raised_marks_let_go_who_is_below_the_low_one() {
    let mut config = Config::listening([lines(1)]);
    config.outbound.marks = drupe_core::outbound::Marks::new(1_000, 2_000, 1_000_000).unwrap();
    let mut hub = TestHub::with_config(config.clone(), Relay::default());
    let (a, b) = (hub.connect(), hub.connect());
    hub.set_writable(b, 0);
    for _ in 0..20 {
        hub.line(a, &"x".repeat(1000));
    }
    assert_eq!(hub.machine().metrics().stalled, 1);
    config.outbound.marks = drupe_core::outbound::Marks::new(100_000, 200_000, 1_000_000).unwrap();
    hub.reconfigure(config);
    hub.line(b, "hello");
    assert_eq!(hub.machine().metrics().stalled, 0, "20 kB are below a low mark of 100 kB");
}

/// A rate that is taken away lets go who is paused by it.
#[test]
fn a_rate_that_is_gone_pauses_nobody() {
    let mut config = Config::listening([lines(1)]);
    config.rates.messages = Rate::per(1, 3600, 1).ok();
    config.rates.ladder = Ladder { ..Ladder::default() };
    let mut hub = TestHub::with_config(config.clone(), Echo);
    let a = hub.connect();
    for _ in 0..5 {
        hub.line(a, "x");
    }
    let before = hub.lines(a).len();
    config.rates.messages = None;
    hub.reconfigure(config);
    hub.advance(secs(1));
    hub.line(a, "last");
    println!("{before} {:?} {:?}", hub.lines(a), hub.machine().deadline());
    assert!(hub.lines(a).contains(&"last".to_string()), "still paused: {:?}", hub.lines(a));
}

/// A handshake for which there is no TLS any more.
#[test]
fn bomb_memory() {
    // One read's worth that inflates to much: all of it is made at once on ws+telnet.
    let one = deflated(&[b'x'; 65_000]);
    let all = one.repeat((63 << 10) / one.len());
    let inflated = all.len() / one.len() * 65_000;
    for telnet in [false, true] {
        let (mut hub, conn) = ws(telnet, |_| {});
        let status = || {
            let s = std::fs::read_to_string("/proc/self/status").unwrap();
            let get = |k: &str| {
                s.lines()
                    .find(|l| l.starts_with(k))
                    .unwrap()
                    .split_whitespace()
                    .nth(1)
                    .unwrap()
                    .parse::<usize>()
                    .unwrap()
                    << 10
            };
            (get("VmRSS"), get("VmHWM"))
        };
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = status().0;
        hub.send(conn, &all);
        let peak = status().1 - before;
        println!("telnet {telnet}: {} bytes, inflate to {inflated}, at most {peak} at a time", all.len());
        assert!(peak < 8 << 20, "telnet {telnet}: {peak}");
    }
}
