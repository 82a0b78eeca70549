//! The example without a shell: it serves, and sends farewells.

#[allow(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/embed.rs"]
mod embed;

use drupe_core::app::Echo;
use drupe_core::{Config, ConnId, Dial, Event, Failure, Handler, Hub, ListenerId, Machine, NoNote, Peer, Shard, Time};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

#[test]
fn embedded_event_loop_serves_and_drains() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = UnixStream::pair().expect("a pair");
    let server = std::thread::spawn(move || embed::serve(listener, &stopped));
    let connect = || BufReader::new(TcpStream::connect(address).expect("it listens"));
    let line = |peer: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        peer.read_line(&mut line).expect("text");
        line
    };
    let mut ann = connect();
    assert_eq!(line(&mut ann), "* welcome, guest1; type /help for the commands\n");
    assert_eq!(line(&mut ann), "* guest1 came to lobby\n");
    let mut bob = connect();
    assert_eq!(line(&mut ann), "* guest2 came to lobby\n");
    // More than a socket takes at once.
    let long = format!("{}\n", "x".repeat(60_000));
    let mut sender = bob.get_ref().try_clone().expect("a handle");
    let sent = long.repeat(50);
    let sending = std::thread::spawn(move || sender.write_all(sent.as_bytes()).expect("the server reads"));
    for _ in 0..50 {
        assert_eq!(line(&mut ann), format!("<guest2> {long}"));
        while !line(&mut bob).starts_with("<guest2>") {}
    }
    sending.join().expect("no panic");
    drop(stop);
    let mut rest = String::new();
    ann.read_to_string(&mut rest).expect("text");
    assert!(rest.ends_with("closing (shutdown): the server is shutting down\n"), "{rest}");
    bob.read_to_string(&mut rest).expect("text");
    server.join().expect("no panic").expect("no failure");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn embed_example_has_fewer_than_150_lines() {
    assert!(include_str!("../../examples/embed.rs").lines().count() < 150);
}

fn named<H: Handler>(machine: &mut Machine<H>) -> Vec<ConnId> {
    std::iter::from_fn(|| machine.next_changed()).collect()
}

#[test]
fn closed_connection_is_reported_though_its_slot_is_reused() {
    let config = Config::listening(["tcp://127.0.0.1:1".parse().unwrap()]);
    let mut machine = Machine::new(config.clone(), Echo);
    let accept = |machine: &mut Machine<Echo>| {
        let conn = machine.accepted(Time::START, ListenerId::new(0), Peer::Local);
        conn.expect("let in")
    };
    let one = accept(&mut machine);
    assert_eq!(named(&mut machine), [one]);
    machine.failed(Time::START, one, Failure::Reset);
    let two = accept(&mut machine);
    machine.failed(Time::START, two, Failure::Reset);
    let three = accept(&mut machine);
    assert_eq!((one.index(), two.index()), (three.index(), three.index()));
    assert_eq!(named(&mut machine), [one, two, three]);
    machine.failed(Time::START, three, Failure::Reset);
    assert_eq!(named(&mut machine), [three]);
    // Who was named already is not named again.
    let four = accept(&mut machine);
    assert_eq!(named(&mut machine), [four]);

    let mut shard = Machine::shard(config, Echo, Shard::new(1, 2).unwrap());
    let one = shard.adopted(Time::START, ListenerId::new(0), Peer::Local);
    shard.failed(Time::START, one, Failure::Reset);
    let two = shard.adopted(Time::START, ListenerId::new(0), Peer::Local);
    assert_eq!(named(&mut shard), [one, two]);
}

/// Dials twice.
struct Dialler;

impl Handler for Dialler {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if matches!(event, Event::Started) {
            hub.dial(Dial::lines("192.0.2.1:1"));
            hub.dial(Dial::lines("192.0.2.2:1"));
        }
    }
}

#[test]
fn closed_dialled_connection_is_reported() {
    let mut machine = Machine::new(Config::default(), Dialler);
    machine.started(Time::START);
    let dials: Vec<_> = machine.dials().map(|(dial, _)| dial).collect();
    let one = machine.dialed(Time::START, dials[0], Peer::Local).unwrap();
    machine.failed(Time::START, one, Failure::Reset);
    let two = machine.dialed(Time::START, dials[1], Peer::Local).unwrap();
    assert_eq!((named(&mut machine), one.index()), (vec![one, two], two.index()));
}
