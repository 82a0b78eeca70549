//! TLS in virtual time, with arbitrarily split records and misbehaving peers.
//!
//! Peers that read slowly, end early or send invalid TLS receive whole messages in order, and leave
//! nothing behind.

use crate::tls_world::World;
use drupe_core::http::Http;
use drupe_core::outbound::{Marks, SlowPolicy};
use drupe_core::tls::{Secured, Tls};
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::Protocol;
use drupe_core::{
    Address, Command, Config, ConnId, Event, Handler, Hub, Listen, ListenerId, Machine, NoNote, Peer, Reason, Time, Why,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, TestRunner};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::version::TLS12;
use rustls::{ClientConfig, ClientConnection};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;

/// Answers everybody the same, and has everybody in one room.
struct EchoInRoom;

impl Handler for EchoInRoom {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                hub.join(conn, "r").expect("room for one more");
            }
            Event::Message { conn, payload } => {
                let payload = payload.to_owned();
                hub.send(conn, payload.as_payload());
            }
            // Only where halves are told of.
            Event::InputEnded { conn, .. } => hub.finish(conn),
            _ => {}
        }
    }
}

fn listening(tls: Tls) -> Config {
    Config::listening([Listen::lines(([127, 0, 0, 1], 0).into()).tls(Some(tls))])
}

fn peer() -> Peer {
    Peer::Address(([127, 0, 0, 1], 9).into())
}

fn publish(text: String) -> Command {
    Command::Publish { room: "r".into(), payload: text.into() }
}

/// A machine, a client, and what is on the way between them.
struct Link {
    machine: Machine<EchoInRoom>,
    conn: ConnId,
    client: ClientConnection,
    on_the_way: Vec<u8>,
    heard: Vec<u8>,
    now: Time,
}

impl Link {
    fn new(mut machine: Machine<EchoInRoom>, client: Arc<ClientConfig>) -> Self {
        let conn = machine.accepted(Time::START, ListenerId::new(0), peer()).expect("let in");
        let mut client = ClientConnection::new(client, ServerName::try_from("localhost").expect("good")).expect("good");
        client.set_buffer_limit(None);
        Self { machine, conn, client, on_the_way: Vec::new(), heard: Vec::new(), now: Time::START }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).expect("no limit");
    }

    fn say_frame(&mut self, opcode: Opcode, content: &[u8]) {
        let mut bytes = Vec::new();
        frame(opcode, content, Some([0; 4]), &mut bytes);
        self.say(&bytes);
    }

    /// The machine reads at most so many bytes; returns how many.
    fn read(&mut self, most: usize) -> usize {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.on_the_way).expect("a vector");
        }
        while self.machine.next_changed().is_some() {}
        let is_read = self.machine.intent(self.conn).is_some_and(|intent| intent.read);
        let count = if is_read { most.min(self.on_the_way.len()) } else { 0 };
        if count > 0 {
            let mut bytes: Vec<u8> = self.on_the_way.drain(..count).collect();
            self.machine.received(self.now, self.conn, &mut bytes);
        }
        count
    }

    /// The socket takes at most so many bytes, and may say that it takes no more; returns how many.
    fn write(&mut self, most: usize, is_blocked: bool) -> usize {
        while self.machine.next_changed().is_some() {}
        let Some(intent) = self.machine.intent(self.conn) else { return 0 };
        let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
        let count = most.min(bytes.len());
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).expect("a slice");
            self.client.process_new_packets().expect("good records");
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = self.client.reader().read(&mut buffer) {
                self.heard.extend_from_slice(&buffer[..read]);
            }
        }
        if count > 0 {
            self.machine.wrote(self.now, self.conn, count);
        }
        if is_blocked && count < bytes.len() {
            self.machine.blocked(self.now, self.conn);
        }
        count
    }

    /// Both go on, a piece at a time, until neither has anything to do.
    fn settle(&mut self) {
        let mut idle = 0;
        while idle < 4 {
            let mut has_moved = self.read(3_000) + self.write(5_000, true) > 0;
            self.machine.turn_ended(self.now);
            if self.machine.deadline().is_some_and(|deadline| deadline.why == Why::Backlog) {
                self.wait(Duration::from_nanos(2));
                has_moved = true;
            }
            idle = if has_moved { 0 } else { idle + 1 };
        }
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.machine.elapsed(self.now);
    }
}

/// What happens to a connection.
#[derive(Clone, Debug)]
enum Op {
    /// The client says a text with so much in it.
    Say(usize),
    Ping,
    /// Somebody else says as much in the room.
    Publish(usize),
    Read(usize),
    Write(usize),
    /// The socket takes one byte and no more.
    Block,
    KeyUpdate,
    Wait(u64),
    TurnEnd,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => prop_oneof![0..200_usize, 0..60_000_usize].prop_map(Op::Say),
        2 => Just(Op::Ping),
        3 => prop_oneof![0..300_usize, 0..40_000_usize].prop_map(Op::Publish),
        6 => prop_oneof![1..100_usize, 1..70_000_usize].prop_map(Op::Read),
        6 => prop_oneof![1..10_usize, 1..70_000_usize].prop_map(Op::Write),
        1 => Just(Op::Block),
        1 => Just(Op::KeyUpdate),
        1 => (0..20_u64).prop_map(Op::Wait),
        2 => Just(Op::TurnEnd),
    ]
}

/// How many there were of each, by which they are numbered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    said: u32,
    pings: u32,
    published: u32,
}

fn next(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}

fn happen(link: &mut Link, ops: &[Op]) -> Counts {
    let mut counts = Counts::default();
    for op in ops {
        match *op {
            Op::Say(length) => {
                let text = format!("s{:08}{}", next(&mut counts.said), "a".repeat(length));
                link.say_frame(Opcode::Text, text.as_bytes());
            }
            Op::Ping => link.say_frame(Opcode::Ping, format!("p{:08}", next(&mut counts.pings)).as_bytes()),
            Op::Publish(length) => {
                let text = format!("r{:08}{}", next(&mut counts.published), "b".repeat(length));
                link.machine.command(link.now, &publish(text));
            }
            Op::Read(most) => {
                link.read(most);
            }
            Op::Write(most) => {
                link.write(most, false);
            }
            Op::Block => {
                link.write(1, true);
            }
            // Refused before the end of the handshake, and by TLS 1.2.
            Op::KeyUpdate => {
                let _ = link.client.refresh_traffic_keys();
            }
            Op::Wait(millis) => link.wait(Duration::from_millis(millis)),
            Op::TurnEnd => link.machine.turn_ended(link.now),
        }
    }
    counts
}

/// Checks that every answer is heard, whole and in order, and of the room whatever was not skipped; and that there is
/// nothing behind the close frame.
fn check_heard(heard: &[u8], counts: &Counts) {
    let head = heard.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer") + 4;
    let mut rest = &heard[head..];
    let (mut said, mut pings, mut published, mut is_closed) = (0, 0, 0, false);
    while let [first, length, more @ ..] = rest {
        let (length, more) = match (*length, more) {
            (126, [a, b, more @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), more),
            (length @ ..126, more) => (usize::from(length), more),
            other => panic!("longer than anything that was said: {other:?}"),
        };
        let (content, more) = more.split_at(length);
        rest = more;
        assert!(!is_closed, "a frame behind the close frame");
        if *first == CLOSE {
            is_closed = true;
            continue;
        }
        let text = std::str::from_utf8(content).expect("text");
        let number: u32 = text[1..9].parse().expect("a number");
        match (*first, &text[..1]) {
            (TEXT, "s") => assert_eq!(number, next(&mut said)),
            (PONG, "p") => assert_eq!(number, next(&mut pings)),
            (TEXT, "r") => {
                assert!(number >= published, "{number} after {published}");
                published = number + 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((said, pings, is_closed), (counts.said, counts.pings, true));
    assert!(published <= counts.published && rest.is_empty());
}

/// Lets this happen on a WebSocket, and checks what is heard, what is left behind, and that the trace says the same.
fn check(world: &World, ops: &[Op], is_old: bool, marks: Marks, slow_policy: SlowPolicy) {
    let http = Http::default().ping(None).deflate(false);
    let listen = Listen::new(Address::Tcp(([127, 0, 0, 1], 80).into()), Protocol::Http(Arc::new(http)));
    let mut config = Config::listening([listen.tls(Some(world.tls(&["localhost"])))]);
    config.outbound.marks = marks;
    config.outbound.slow_policy = slow_policy;
    config.outbound.write_deadline = Duration::from_secs(100_000);
    config.peer.idle = None;
    config.seed = Some(7);
    let mut elsewhere = config.clone();
    elsewhere.listeners[0].tls = Some(Tls::external());
    let client = if is_old {
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_protocol_versions(&[&TLS12]).expect("known");
        Arc::new(builder.with_root_certificates(world.roots()).with_no_client_auth())
    } else {
        world.client(None, &[])
    };

    let mut machine = Machine::new(config, EchoInRoom);
    let trace = SharedTrace::new();
    machine.record(trace.recorder());
    let mut link = Link::new(machine, client);
    link.say(UPGRADE);
    let counts = happen(&mut link, ops);
    link.settle();
    assert!(link.on_the_way.is_empty(), "stuck: {:?}", link.machine.intent(link.conn));
    let metrics = link.machine.metrics();
    assert_eq!((metrics.ended.total(), metrics.queued_bytes), (0, 0));

    link.say_frame(Opcode::Close, &[3, 0xe8]);
    link.client.send_close_notify();
    link.settle();
    link.wait(Duration::from_secs(60));
    assert!(link.machine.intent(link.conn).is_none(), "{:?}", link.machine.intent(link.conn));
    check_heard(&link.heard, &counts);

    let mut again = Machine::new(elsewhere, EchoInRoom);
    let transcript = replay(&trace.text(), &mut again).expect("a good trace");
    let written = transcript.written.get(&link.conn).expect("somebody");
    assert!(*written == link.heard, "replayed {} bytes of {}", written.len(), link.heard.len());
}

#[test]
fn tls_peer_receives_in_order_for_any_reads_and_writes() {
    let world = World::new();
    let small = Marks::new(10_000, 40_000, 200_000).expect("in order");
    let policies = select(&[SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest][..]);
    let cases = (vec(op(), 1..120), any::<bool>(), select(vec![small, Marks::default()]), policies);
    let mut runner = TestRunner::new(Cases { cases: 1000, ..Cases::default() });
    let outcome = runner.run(&cases, |(ops, is_old, marks, slow_policy)| {
        check(&world, &ops, is_old, marks, slow_policy);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn partially_sealed_message_arrives_whole_despite_skips() {
    // What a search found: the room goes on while an answer is half written.
    let ops = [
        Op::Read(236),
        Op::Write(646),
        Op::Read(57_167),
        Op::Publish(33_618),
        Op::Say(19_494),
        Op::Publish(25_917),
        Op::Say(14_162),
        Op::Ping,
    ];
    check(&World::new(), &ops, false, Marks::default(), SlowPolicy::SkipOldest);
}

#[test]
fn input_before_a_bad_tls_record_is_served() {
    let world = World::new();
    // Of a length that may be, with nothing in it that was sealed.
    let mut bad = vec![23, 3, 3, 0, 20];
    bad.extend(1..=20);
    for is_together in [false, true] {
        let machine = Machine::new(listening(world.tls(&["localhost"])), EchoInRoom);
        let mut link = Link::new(machine, world.client(None, &[]));
        link.settle();
        link.say(b"hello\n");
        link.client.write_tls(&mut link.on_the_way).expect("a vector");
        if !is_together {
            link.read(usize::MAX);
        }
        link.on_the_way.extend(&bad);
        link.read(usize::MAX);
        // It is over once the alert is written.
        while let Some(bytes @ 1..) = link.machine.intent(link.conn).map(|intent| intent.transmit.len()) {
            link.machine.wrote(link.now, link.conn, bytes);
        }
        let metrics = link.machine.metrics();
        assert_eq!((metrics.messages_in, metrics.ended.get(Reason::TlsFailed)), (1, 1), "{is_together}");
    }
}

#[test]
fn peer_ending_in_the_handshake_is_not_left_undecided() {
    let world = World::new();
    let mut machine = Machine::new(listening(world.tls(&["localhost"])), EchoInRoom);
    for _ in 0..50 {
        let conn = machine.accepted(Time::START, ListenerId::new(0), peer()).expect("let in");
        machine.received(Time::START, conn, &mut [0x16, 3, 1]);
        assert_eq!(machine.metrics().undecided, 1);
        machine.ended(Time::START, conn);
        assert_eq!(machine.metrics().undecided, 0);
    }
}

#[test]
fn mutual_close_notify_closes_without_waiting() {
    let world = World::new();
    let machine = Machine::new(listening(world.tls(&["localhost"])), EchoInRoom);
    let mut link = Link::new(machine, world.client(None, &[]));
    link.settle();
    link.client.send_close_notify();
    link.settle();
    let metrics = link.machine.metrics();
    assert_eq!((metrics.ended.get(Reason::PeerClosed), metrics.closing), (1, 0));
    assert!(link.machine.intent(link.conn).is_none() && link.machine.deadline().is_none());
}

#[test]
fn half_open_tls_closes_without_waiting_once_both_end() {
    let world = World::new();
    let mut config = listening(world.tls(&["localhost"]));
    config.listeners[0].half_open = true;
    let mut link = Link::new(Machine::new(config, EchoInRoom), world.client(None, &[]));
    link.settle();
    link.say(b"hello\n");
    link.client.send_close_notify();
    link.settle();
    let metrics = link.machine.metrics();
    assert_eq!((metrics.ended.get(Reason::PeerClosed), metrics.open, metrics.closing), (1, 0, 0));
    assert!(link.machine.intent(link.conn).is_none() && link.machine.deadline().is_none());
    assert_eq!(link.heard, b"hello\n");
}

#[test]
fn sealed_batch_boundary_tears_no_message() {
    /// So much is sealed at a time.
    const BATCH: usize = 32 << 10;
    for slow_policy in [SlowPolicy::SkipOldest, SlowPolicy::KeepLatest, SlowPolicy::SkipNewest, SlowPolicy::Close] {
        let mut config = listening(Tls::external());
        config.outbound.marks = Marks::new(10_000, 40_000, 90_000).expect("in order");
        config.outbound.slow_policy = slow_policy;
        let mut machine = Machine::new(config, EchoInRoom);
        let now = Time::START;
        let conn = machine.accepted(now, ListenerId::new(0), peer()).expect("let in");
        machine.secured(now, conn, &Secured::default());
        let line = |number: u32| publish(format!("{number}{}", "x".repeat(20_000)));
        let queued = |machine: &Machine<EchoInRoom>| {
            machine.intent(conn).map(|intent| intent.transmit.slices().collect::<Vec<_>>().concat()).unwrap_or_default()
        };
        machine.command(now, &line(1));
        machine.command(now, &line(2));
        // Of the second line, a part is sealed.
        let mut heard = queued(&machine)[..BATCH].to_vec();
        machine.sealed(now, conn, BATCH);
        machine.blocked(now, conn);
        for number in 3..8 {
            machine.command(now, &line(number));
        }
        machine.wrote(now, conn, BATCH);
        while !queued(&machine).is_empty() {
            let more = queued(&machine);
            heard.extend_from_slice(&more);
            machine.wrote(now, conn, more.len());
        }
        let text = String::from_utf8(heard).expect("text");
        let is_whole = |line: &str| line.len() == 20_001 || !line.contains('x');
        assert!(text.lines().all(is_whole), "{slow_policy:?}: {:?}", text.lines().map(str::len).collect::<Vec<_>>());
    }
}
