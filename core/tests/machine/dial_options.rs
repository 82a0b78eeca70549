//! Options of a dial for its own connection: limits, watermarks, reading, and the drain.

use drupe_core::app::Echo;
use drupe_core::limit::{Budget, MessageSize, Rate};
use drupe_core::outbound::{Marks, OutboundLimits};
use drupe_core::testing::TestHub;
use drupe_core::{
    Backoff, Closing, Command, Config, ConnId, Dial, DialId, Drain, Event, Failure, Handler, Hub, Listen, Origin, Peer,
    PeerLimits, Rates, Reason,
};
use std::time::Duration;

const DIAL: DialId = DialId::new(0);

/// Dials at the start, sends each note to the server, and records what happens.
struct Linked {
    dial: Dial,
    link: Option<ConnId>,
    log: Vec<String>,
}

impl Linked {
    fn new(dial: Dial) -> Self {
        Self { dial, link: None, log: Vec::new() }
    }
}

impl Handler for Linked {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Started => drop(hub.dial(self.dial.clone())),
            Event::Opened { conn, origin, .. } if origin == Origin::Dial(DIAL) => self.link = Some(conn),
            Event::Note(note) => drop(self.link.map(|link| hub.send(link, &note))),
            Event::Message { conn, payload } => {
                let from = if self.link == Some(conn) { "server" } else { "peer" };
                self.log.push(format!("{from} {}", payload.as_bytes().len()));
            }
            Event::Stalled { .. } => self.log.push("stalled".into()),
            Event::Drained { .. } => self.log.push("drained".into()),
            Event::DialEnded { .. } => self.log.push("dial ended".into()),
            Event::DialFailed { .. } => self.log.push("dial failed".into()),
            Event::Closed { conn, reason, .. } if self.link == Some(conn) => {
                self.link = None;
                self.log.push(format!("link closed {reason}"));
            }
            _ => {}
        }
    }
}

fn linked(config: Config, dial: Dial) -> (TestHub<Linked>, ConnId) {
    let mut hub = TestHub::with_config(config, Linked::new(dial));
    let link = hub.dialed(DIAL, Peer::Local).expect("wanted");
    (hub, link)
}

fn take_log(hub: &mut TestHub<Linked>) -> Vec<String> {
    hub.with_handler(|handler| std::mem::take(&mut handler.log))
}

fn listening() -> Config {
    Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("an address")])
}

#[test]
fn limits_of_a_dial_replace_those_of_the_configuration() {
    let budget = |max| Budget::default().message_max_bytes(MessageSize::new(max).expect("in range"));
    let slow = Rates::default().messages(Rate::new(1, 1).ok());
    let config = listening().peer(PeerLimits::default().budget(budget(10)).rates(slow));
    let own = PeerLimits::default().budget(budget(100)).rates(Rates::default().messages(None));
    for (limits, expected) in
        [(Some(own), vec!["server 50"; 20]), (None, vec!["link closed message_too_large", "dial ended"])]
    {
        let (mut hub, link) = linked(config.clone(), Dial::lines("example.org:7").limits(limits));
        (0..20).for_each(|_| hub.line(link, &"x".repeat(50)));
        assert_eq!(take_log(&mut hub), expected);
        let peer = hub.connect();
        hub.line(peer, &"x".repeat(50));
        assert!(hub.is_closed(peer), "the limits of peers stay");
    }
}

#[test]
fn reconfiguration_keeps_the_limits_and_marks_of_a_dial() {
    let idle = PeerLimits::default().idle(Some(Duration::from_secs(60)));
    let marks = Marks::new(10, 20, 1_000).expect("in order");
    let (mut hub, link) = linked(listening(), Dial::lines("h:7").limits(Some(idle)).marks(Some(marks)));
    let peer = hub.connect();
    let brief = PeerLimits::default().idle(Some(Duration::from_secs(5)));
    hub.reconfigure(listening().peer(brief).outbound(OutboundLimits::default().marks(Marks::default())));
    hub.set_writable(link, 0);
    hub.note("x".repeat(30));
    assert_eq!(take_log(&mut hub), ["stalled"]);
    hub.set_writable(link, usize::MAX);
    hub.advance(Duration::from_secs(10));
    assert!(hub.is_closed(peer) && !hub.is_closed(link));
    hub.advance(Duration::from_secs(60));
    assert!(hub.is_closed(link));
}

#[test]
fn marks_of_a_dial_apply_to_its_connection_alone() {
    let marks = Marks::new(10, 20, 100).expect("in order");
    let (mut hub, link) = linked(listening(), Dial::lines("h:7").marks(Some(marks)));
    hub.set_writable(link, 0);
    hub.note("x".repeat(30));
    assert_eq!(take_log(&mut hub), ["stalled"]);
    hub.set_writable(link, 31);
    assert_eq!(take_log(&mut hub), ["drained"]);
    hub.set_writable(link, 0);
    hub.note("x".repeat(30));
    hub.note("x".repeat(70));
    assert_eq!(take_log(&mut hub), ["stalled", "link closed slow_consumer", "dial ended"]);
    // The next connection in this slot has the marks of the configuration.
    hub.advance(Duration::from_secs(60));
    let peer = hub.connect();
    assert_eq!(peer.index(), link.index());
    assert_eq!(hub.machine().recount(), Ok(()));
}

#[test]
fn link_that_is_always_read_is_read_while_it_is_stalled() {
    for always in [false, true] {
        let (mut hub, link) = linked(Config::default(), Dial::lines("h:7").always_read(always));
        hub.set_writable(link, 0);
        hub.note("x".repeat(300 << 10));
        assert_eq!(take_log(&mut hub), ["stalled"]);
        hub.line(link, "hello");
        assert_eq!(take_log(&mut hub), if always { vec!["server 5"] } else { vec![] });
        hub.set_writable(link, usize::MAX);
        hub.advance(Duration::from_millis(1));
        assert_eq!(take_log(&mut hub), if always { vec!["drained"] } else { vec!["drained", "server 5"] });
    }
}

#[test]
fn rate_and_pause_hold_for_a_link_that_is_always_read() {
    let rates = Rates::default().messages(Rate::new(1, 1).ok());
    let limits = Some(PeerLimits::default().rates(rates));
    let (mut hub, link) = linked(Config::default(), Dial::lines("h:7").always_read(true).limits(limits));
    hub.send(link, b"a\nb\nc\n");
    assert!(take_log(&mut hub).len() < 3);
    hub.advance(Duration::from_secs(5));
    assert_eq!(take_log(&mut hub).last().map(String::as_str), Some("server 1"));
}

/// Number of bytes in the socket buffers of one direction.
const PIPE_BYTES: usize = 64 << 10;

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    /// Number of bytes that the sender has written so far.
    written: usize,
}

impl Pipe {
    /// Moves as much as fits from the sender, then up to 16 KiB to the receiver if it reads.
    ///
    /// Returns whether anything moved.
    fn carry<A: Handler, B: Handler>(
        &mut self,
        (from, sender): (&mut TestHub<A>, ConnId),
        (to, receiver): (&mut TestHub<B>, ConnId),
    ) -> bool {
        let before = self.written;
        self.take(from.received(sender));
        from.set_writable(sender, PIPE_BYTES - self.bytes.len());
        self.take(from.received(sender));
        let mut moved = self.written > before;
        if to.machine().intent(receiver).is_some_and(|intent| intent.read) {
            let read: Vec<u8> = self.bytes.drain(..self.bytes.len().min(16 << 10)).collect();
            moved |= !read.is_empty();
            to.send(receiver, &read);
        }
        moved
    }

    /// Takes the new bytes from `all`, which the sender has written so far.
    fn take(&mut self, all: &[u8]) {
        self.bytes.extend_from_slice(&all[self.written..]);
        self.written = all.len();
    }
}

/// Lets a client send many messages to an echo server. Returns whether all come back.
///
/// Neither end has a write deadline.
fn all_come_back(always_read: bool) -> bool {
    let marks = Marks::new(4 << 10, 16 << 10, 1 << 30).expect("in order");
    let outbound = OutboundLimits::default().marks(marks).write_deadline(Duration::MAX);
    let mut server = TestHub::with_config(listening().outbound(outbound).unlimited(), Echo);
    let theirs = server.connect();
    let config = Config::default().outbound(outbound).unlimited();
    let (mut client, ours) = linked(config, Dial::lines("h:7").always_read(always_read));
    client.set_writable(ours, 0);
    server.set_writable(theirs, 0);
    (0..1_000).for_each(|_| client.note("x".repeat(1_023)));
    let (mut there, mut back) = (Pipe::default(), Pipe::default());
    while there.carry((&mut client, ours), (&mut server, theirs))
        | back.carry((&mut server, theirs), (&mut client, ours))
    {}
    client.handler().log.iter().filter(|line| *line == "server 1023").count() == 1_000
}

#[test]
fn two_ends_that_send_much_finish_if_one_always_reads() {
    assert!(all_come_back(true));
    assert!(!all_come_back(false), "both wait for the other to read");
}

#[test]
fn drain_keeps_a_link_until_all_others_have_ended() {
    let drain = Drain::default().window(Duration::ZERO);
    let dial = || Dial::lines("h:7").backoff(Some(Backoff::default()));
    for kept in [false, true] {
        let (mut hub, link) = linked(listening().drain(drain), dial().kept_in_drain(kept));
        let peer = hub.connect();
        hub.set_writable(peer, 0);
        hub.command(&Command::Drain);
        hub.advance(Duration::from_secs(1));
        assert_eq!(hub.is_closed(link), !kept);
        hub.note("still here".into());
        assert_eq!(hub.lines(link).len(), usize::from(kept));
        hub.fail(peer, Failure::Reset);
        hub.advance(Duration::from_secs(1));
        assert!(hub.is_closed(link) && hub.machine().is_drained());
        assert_eq!(hub.ended(Reason::Shutdown), 2);
        assert_eq!(hub.machine().recount(), Ok(()));
    }
}

#[test]
fn kept_link_reconnects_in_a_drain_and_ends_without_a_connection() {
    let drain = Drain::default().window(Duration::ZERO).deadline(Duration::from_secs(60));
    let dial = Dial::lines("h:7").backoff(Some(Backoff::default())).kept_in_drain(true);
    let (mut hub, link) = linked(listening().drain(drain), dial);
    let peer = hub.connect();
    hub.set_writable(peer, 0);
    hub.command(&Command::Drain);
    hub.fail(link, Failure::Reset);
    hub.advance(Duration::from_secs(3));
    let again = hub.dialed(DIAL, Peer::Local).expect("it reconnects in the drain");
    hub.note("again".into());
    assert_eq!(hub.lines(again), ["again"]);
    hub.fail(again, Failure::Reset);
    assert!(!hub.machine().is_drained());
    hub.fail(peer, Failure::Reset);
    assert!(hub.machine().is_drained());
    assert_eq!(take_log(&mut hub).last().map(String::as_str), Some("dial ended"));
    assert_eq!(hub.machine().deadline(), None);
}

#[test]
fn deadline_of_a_drain_ends_a_kept_link() {
    let dial = Dial::lines("h:7").backoff(Some(Backoff::default())).kept_in_drain(true);
    let closing = Closing::default().flush(Duration::MAX);
    let (mut hub, link) = linked(listening().closing(closing), dial);
    let peer = hub.connect();
    hub.set_writable(peer, 0);
    hub.command(&Command::Drain);
    hub.advance(Duration::from_secs(9));
    assert!(!hub.is_closed(link));
    hub.advance(Duration::from_secs(2));
    assert!(hub.is_closed(link) && hub.is_closed(peer) && hub.machine().is_drained());
    assert_eq!(hub.machine().recount(), Ok(()));
}
