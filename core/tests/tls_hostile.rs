//! TLS however its bytes are cut and whatever the peer does: found by a hostile tester.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails where its assumption does")]

use drupe_core::app::Echo;
use drupe_core::http::Http;
use drupe_core::outbound::SlowPolicy;
use drupe_core::tls::*;
use drupe_core::wire::Protocol;
use drupe_core::*;
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
/// An authority, and a directory with what it signed.
struct World {
    authority: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

impl World {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("drupe-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        std::fs::write(directory.join("ca.pem"), authority.pem()).expect("written");
        Self { authority, directory }
    }

    fn signed(&self, names: &[&str], common: &str) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("good");
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.authority).expect("signed"), key)
    }

    fn files(&self, names: &[&str]) -> CertificateFiles {
        let (certificate, key) = self.signed(names, "server");
        let stem = names.first().unwrap_or(&"none").replace('*', "wild");
        let files = CertificateFiles {
            certificate: self.directory.join(format!("{stem}.pem")),
            key: self.directory.join(format!("{stem}.key")),
        };
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        files
    }

    fn load(&self, files: &TlsFiles) -> Result<Tls, TlsError> {
        files.load(&Arc::new(ring::default_provider()), &Tickets::new(ring::Ticketer::new().expect("random")))
    }

    fn tls(&self, names: &[&str]) -> Tls {
        let files = TlsFiles { certificates: vec![self.files(names)], ..TlsFiles::default() };
        self.load(&files).expect("good files")
    }

    fn client(&self, identity: Option<&str>, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("good");
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().expect("known").with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (certificate, key) = self.signed(&[], name);
                let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
                builder.with_client_auth_cert(vec![CertificateDer::from(certificate)], key).expect("good")
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

struct App;
impl Handler for App {
    type Context = ();
    type Note = NoNote;
    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                hub.join(conn, "r").unwrap();
            }
            Event::Message { conn, payload } => {
                let p = payload.to_owned();
                hub.send(conn, p.as_payload());
            }
            _ => {}
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Say(usize),
    Ping,
    Publish(usize),
    Read(usize),
    Write(usize),
    Block,
    KeyUpdate,
    Wait(u64),
    TurnEnd,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => prop_oneof![0usize..200, 0usize..60_000].prop_map(Op::Say),
        2 => Just(Op::Ping),
        3 => prop_oneof![0usize..300, 0usize..40_000].prop_map(Op::Publish),
        6 => prop_oneof![1usize..100, 1usize..70_000].prop_map(Op::Read),
        6 => prop_oneof![1usize..10, 1usize..70_000].prop_map(Op::Write),
        1 => Just(Op::Block),
        1 => Just(Op::KeyUpdate),
        1 => (0u64..1000).prop_map(Op::Wait),
        2 => Just(Op::TurnEnd),
    ]
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

struct Net {
    machine: Machine<App>,
    conn: ConnId,
    tls: ClientConnection,
    up: Vec<u8>,
    heard: Vec<u8>,
    now: Time,
    ended: bool,
    shutdown: bool,
}

impl Net {
    fn pump_client(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.up).unwrap();
        }
    }
    fn changed(&mut self) {
        while self.machine.next_changed().is_some() {}
    }
    fn read(&mut self, n: usize) -> usize {
        self.pump_client();
        self.changed();
        let Some(intent) = self.machine.intent(self.conn) else { return 0 };
        if !intent.read {
            return 0;
        }
        let n = n.min(self.up.len());
        if n == 0 {
            return 0;
        }
        let mut bytes: Vec<u8> = self.up.drain(..n).collect();
        self.machine.received(self.now, self.conn, &mut bytes);
        n
    }
    fn write(&mut self, n: usize, block: bool) -> usize {
        self.changed();
        let Some(intent) = self.machine.intent(self.conn) else {
            self.shutdown = true;
            return 0;
        };
        let all: Vec<u8> = intent.transmit.slices().collect::<Vec<_>>().concat();
        if intent.end == drupe_core::End::Shutdown {
            self.shutdown = true;
        }
        let n = n.min(all.len());
        if n > 0 {
            let mut rest = &all[..n];
            while !rest.is_empty() {
                self.tls.read_tls(&mut rest).unwrap();
                self.tls.process_new_packets().unwrap();
                let mut b = [0; 8192];
                while let Ok(k @ 1..) = self.tls.reader().read(&mut b) {
                    self.heard.extend_from_slice(&b[..k]);
                }
            }
            self.machine.wrote(self.now, self.conn, n);
        }
        if block && n < all.len() {
            self.machine.blocked(self.now, self.conn);
        }
        n
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
    #[test]
    fn all_is_heard_in_order(ops in prop::collection::vec(op(), 1..120), only_1_2: bool, small: bool, skip in 0..3u8) {
        let world = World::new();
        let http = Http { ping: None, deflate: false, ..Http::default() };
        let mut config = Config::listening([Listen { tls: Some(world.tls(&["localhost"])), ..Listen::new(Address::Tcp(([127,0,0,1],80).into()), Protocol::Http(Arc::new(http))) }]);
        config.outbound.marks = if small { drupe_core::outbound::Marks::new(10_000, 40_000, 200_000).unwrap() } else { drupe_core::outbound::Marks::default() };
        config.outbound.slow_policy = [SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest][skip as usize];
        config.outbound.write_deadline = Duration::from_secs(100_000);
        config.idle = None;
        config.seed = Some(7);
        let mut elsewhere = config.clone();
        elsewhere.listeners[0].tls = Some(Tls::elsewhere());
        let mut machine = Machine::new(config, App);
        let trace = drupe_core::trace::SharedTrace::new();
        machine.record(trace.recorder());
        let conn = machine.accepted(Time::START, ListenerId(0), "127.0.0.1:9".parse().unwrap()).unwrap();
        let mut cfg = (*world.client(None, &[])).clone();
        if only_1_2 {
            let mut roots = RootCertStore::empty();
            roots.add(world.authority.der().clone()).unwrap();
            cfg = ClientConfig::builder_with_provider(ring::default_provider().into()).with_protocol_versions(&[&rustls::version::TLS12]).unwrap().with_root_certificates(roots).with_no_client_auth();
        }
        let mut tls = ClientConnection::new(Arc::new(cfg), ServerName::try_from("localhost").unwrap()).unwrap();
        tls.set_buffer_limit(None);
        let mut net = Net { machine, conn, tls, up: vec![], heard: vec![], now: Time::START, ended: false, shutdown: false };
        net.tls.writer().write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").unwrap();
        let (mut said, mut pings, mut published) = (0u32, 0u32, 0u32);
        for op in ops {
            match op {
                Op::Say(n) => { let m = format!("s{said:08}{}", "a".repeat(n)); said += 1; net.tls.writer().write_all(&frame(0x81, m.as_bytes())).unwrap(); }
                Op::Ping => { let m = format!("p{pings:08}"); pings += 1; net.tls.writer().write_all(&frame(0x89, m.as_bytes())).unwrap(); }
                Op::Publish(n) => { let text = format!("r{published:08}{}", "b".repeat(n)); published += 1; net.machine.requested(net.now, &Request::Publish { room: "r".into(), payload: PayloadBuf::Text(text.into()) }); }
                Op::Read(n) => { net.read(n); }
                Op::Write(n) => { net.write(n, false); }
                Op::Block => { net.write(1, true); }
                Op::KeyUpdate => { let _ = net.tls.refresh_traffic_keys(); }
                Op::Wait(ms) => { net.now = net.now + Duration::from_millis(ms.min(20)); net.machine.elapsed(net.now); }
                Op::TurnEnd => net.machine.turn_ended(net.now),
            }
        }
        let mut idle = 0;
        while idle < 4 {
            let mut moved = net.read(3_000) + net.write(5_000, true);
            net.machine.turn_ended(net.now);
            if net.machine.deadline().is_some_and(|d| d.why == drupe_core::Why::Backlog) { net.now = net.now + Duration::from_nanos(2); net.machine.elapsed(net.now); moved += 1; }
            idle = if moved == 0 { idle + 1 } else { 0 };
        }
        prop_assert!(net.up.is_empty(), "stuck: {} to read, intent {:?}", net.up.len(), net.machine.intent(conn));
        let m = net.machine.metrics();
        prop_assert_eq!(m.ended.total(), 0);
        prop_assert_eq!(m.queued_bytes, 0);
        // A close, to the end.
        net.tls.writer().write_all(&frame(0x88, &[3, 0xe8])).unwrap();
        net.tls.send_close_notify();
        for _ in 0..10 { net.read(100_000); net.write(100_000, true); }
        net.now = net.now + Duration::from_secs(60);
        net.machine.elapsed(net.now);
        prop_assert!(net.shutdown && net.machine.intent(conn).is_none(), "{:?}", net.machine.intent(conn));
        if std::env::var_os("NO_REPLAY").is_none() {
        let mut again = Machine::new(elsewhere, App);
        let transcript = drupe_core::trace::replay(&trace.text(), &mut again).expect("good");
        if transcript.written.get(&conn) != Some(&net.heard) { let w = transcript.written.get(&conn).unwrap(); let h = net.heard.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4; println!("replay {}\nheard  {}\n{}", w[h..].escape_ascii().to_string().chars().take(600).collect::<String>(), net.heard[h..].escape_ascii().to_string().chars().take(600).collect::<String>(), trace.text().chars().take(3000).collect::<String>()); }
        prop_assert!(transcript.written.get(&conn) == Some(&net.heard), "replayed {:?} of {}", transcript.written.get(&conn).map(Vec::len), net.heard.len());
        }
        let head = net.heard.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let mut rest = &net.heard[head..];
        let (mut s, mut p, mut r, mut last_r, mut closed) = (0u32, 0u32, 0u32, None::<u32>, false);
        while rest.len() >= 2 {
            let (op, len, h) = match rest[1] { 126 => (rest[0], u16::from_be_bytes([rest[2], rest[3]]) as usize, 4), 127 => (rest[0], u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize, 10), l => (rest[0], l as usize, 2) };
            let body = &rest[h..h + len];
            rest = &rest[h + len..];
            prop_assert!(!closed);
            if op == 0x88 { closed = true; continue }
            let text = std::str::from_utf8(body).unwrap();
            let n: u32 = text[1..9].parse().unwrap();
            match (op, &text[..1]) {
                (0x81, "s") => { prop_assert_eq!(n, s); s += 1; }
                (0x8a, "p") => { prop_assert_eq!(n, p); p += 1; }
                (0x81, "r") => { prop_assert!(last_r.is_none_or(|l| l < n)); last_r = Some(n); r += 1; }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!((s, closed), (said, true));
        if p != pings { println!("pings {p} of {pings}") }
        prop_assert!(rest.is_empty());
    }
}

fn listening(tls: Tls) -> Config {
    Config::listening([Listen { tls: Some(tls), ..Listen::lines(([127, 0, 0, 1], 0).into()) }])
}

/// What came whole before a record that is bad, or an alert, is heard however it is cut.
#[test]
fn what_came_before_a_bad_record_is_heard_however_it_is_cut() {
    let world = World::new();
    for together in [false, true] {
        let mut hub = drupe_core::testing::TestHub::with_config(listening(world.tls(&["localhost"])), Echo);
        let conn = hub.connect();
        let mut tls =
            ClientConnection::new(world.client(None, &[]), ServerName::try_from("localhost").unwrap()).unwrap();
        let mut seen = 0;
        for _ in 0..4 {
            let mut out = vec![];
            while tls.wants_write() {
                tls.write_tls(&mut out).unwrap();
            }
            if !out.is_empty() {
                hub.send(conn, &out);
            }
            let fresh = hub.received(conn)[seen..].to_vec();
            seen += fresh.len();
            let mut rest = &fresh[..];
            while !rest.is_empty() {
                tls.read_tls(&mut rest).unwrap();
                tls.process_new_packets().unwrap();
            }
        }
        tls.writer().write_all(b"hello\n").unwrap();
        let mut out = vec![];
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        let bad = [23u8, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
        if together {
            out.extend(bad);
            hub.send(conn, &out);
        } else {
            hub.send(conn, &out);
            hub.send(conn, &bad);
        }
        assert_eq!((together, hub.machine().metrics().messages_in), (together, 1));
    }
}

/// Nothing of a session is kept once its connection is over.
#[test]
fn sessions_are_freed() {
    let world = World::new();
    let files = TlsFiles { certificates: vec![world.files(&["localhost"])], ..TlsFiles::default() };
    let tls = world.load(&files).unwrap();
    let config = listening(tls);
    let mut hub = drupe_core::testing::TestHub::with_config(config, Echo);
    let c: Vec<_> = (0..50)
        .map(|_| {
            let c = hub.connect();
            hub.send(c, &[0x16, 3, 1]);
            c
        })
        .collect();
    for c in c {
        hub.end(c);
    }
    assert_eq!(hub.machine().metrics().undecided, 0);
}

/// Whoever has ended its half and was told that we did is not waited for.
#[test]
fn who_has_said_close_notify_and_was_told_it_is_gone() {
    let world = World::new();
    for _blocked in [true, false] {
        let mut machine = Machine::new(listening(world.tls(&["localhost"])), Echo);
        let t = Time::START;
        let conn = machine.accepted(t, ListenerId(0), "127.0.0.1:9".parse().unwrap()).unwrap();
        let mut tls =
            ClientConnection::new(world.client(None, &[]), ServerName::try_from("localhost").unwrap()).unwrap();
        let turn = |machine: &mut Machine<Echo>, tls: &mut ClientConnection| {
            for _ in 0..4 {
                let mut out = vec![];
                while tls.wants_write() {
                    tls.write_tls(&mut out).unwrap();
                }
                if !out.is_empty() {
                    machine.received(t, conn, &mut out);
                }
                while machine.next_changed().is_some() {}
                let Some(intent) = machine.intent(conn) else { return };
                let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
                if !bytes.is_empty() {
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        tls.read_tls(&mut rest).unwrap();
                        tls.process_new_packets().unwrap();
                    }
                    machine.wrote(t, conn, bytes.len());
                }
                machine.turn_ended(t);
            }
        };
        turn(&mut machine, &mut tls);
        tls.send_close_notify();
        turn(&mut machine, &mut tls);
        let m = machine.metrics();
        assert_eq!(m.ended.get(Reason::PeerClosed), 1);
        let intent = machine.intent(conn).map(|i| (i.read, i.transmit.len(), i.end));
        machine.ended(t, conn);
        assert_eq!(
            (intent, m.closing, machine.metrics().closing, machine.deadline()),
            (None, 0, 0, None),
            "it lingers, unread"
        );
    }
}

struct Rooms;
impl Handler for Rooms {
    type Context = ();
    type Note = NoNote;
    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Opened { conn, .. } = event {
            hub.join(conn, "r").unwrap();
        }
    }
}

/// A message of which the beginning is sealed is not torn by what is skipped or discarded behind it.
#[test]
fn no_message_is_torn_when_a_batch_ends_within_it() {
    let mut torn = vec![];
    for policy in [SlowPolicy::SkipOldest, SlowPolicy::KeepLatest, SlowPolicy::SkipNewest, SlowPolicy::Close] {
        let mut config = listening(Tls::elsewhere());
        config.outbound.marks = drupe_core::outbound::Marks::new(10_000, 40_000, 90_000).unwrap();
        config.outbound.slow_policy = policy;
        let mut machine = Machine::new(config, Rooms);
        let t = Time::START;
        let conn = machine.accepted(t, ListenerId(0), "127.0.0.1:9".parse().unwrap()).unwrap();
        machine.secured(t, conn, &Secured::default());
        let publish = |machine: &mut Machine<Rooms>, n: u8| {
            machine.requested(
                t,
                &Request::Publish {
                    room: "r".into(),
                    payload: PayloadBuf::Text(format!("{n}{}", "x".repeat(20_000)).into()),
                },
            );
        };
        let show = |machine: &Machine<Rooms>| {
            machine.intent(conn).map(|i| i.transmit.slices().collect::<Vec<_>>().concat()).unwrap_or_default()
        };
        publish(&mut machine, 1);
        publish(&mut machine, 2);
        // As `Machine::seal`: 32 KiB at a time.
        let mut heard = show(&machine)[..32 << 10].to_vec();
        machine.sealed(t, conn, 32 << 10);
        machine.blocked(t, conn);
        for n in 3..8 {
            publish(&mut machine, n);
        }
        machine.wrote(t, conn, 32 << 10);
        for _ in 0..20 {
            let more = show(&machine);
            let n = more.len();
            heard.extend(more);
            machine.wrote(t, conn, n);
        }
        let text = String::from_utf8(heard).unwrap();
        let bad: Vec<_> = text.lines().filter(|l| l.contains('x') && l.len() != 20_001).map(str::len).collect();
        if !bad.is_empty() {
            torn.push((policy, bad));
        }
    }
    assert!(torn.is_empty(), "{torn:?}");
}
