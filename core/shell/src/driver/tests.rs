use super::{Driver, Next};
use crate::{Dialed, Mailbox, Names, OsListener, OsStream, READS_PER_TURN, Remote, Setup, Sockets};
use drupe_core::app::Echo;
use drupe_core::{Config, DialId, Listen, Machine, NoNote, Peer, Time};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::string::{String, ToString};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::vec::Vec;

/// State that a test and its sockets share.
#[derive(Default)]
struct Net {
    /// Connections to accept.
    arriving: VecDeque<Talker>,
    /// Number of reads from each talker.
    reads: Vec<usize>,
}

/// A peer that sends one short line per read, `left` times.
struct Talker {
    number: usize,
    left: usize,
}

struct FakeSockets(Rc<RefCell<Net>>);

impl Sockets for FakeSockets {
    type Listener = OsListener;
    type Stream = Talker;
    type Socket = Talker;

    fn listen(&mut self, _: u32, listener: OsListener) -> io::Result<OsListener> {
        Ok(listener)
    }

    fn accept(&mut self, _: &mut OsListener) -> io::Result<(Talker, Peer)> {
        let talker = self.0.borrow_mut().arriving.pop_front();
        talker.map(|talker| (talker, Peer::Local)).ok_or(io::ErrorKind::WouldBlock.into())
    }

    fn adopt(&mut self, _: u32, talker: Talker) -> io::Result<Talker> {
        Ok(talker)
    }

    fn dismiss(&mut self, _: Talker, _: &[u8]) {}

    fn read(&mut self, talker: &mut Talker, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = talker.left.checked_sub(1) else { return Err(io::ErrorKind::WouldBlock.into()) };
        talker.left = left;
        self.0.borrow_mut().reads[talker.number] += 1;
        buffer[..2].copy_from_slice(b"x\n");
        Ok(2)
    }

    fn write(&mut self, _: &mut Talker, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn shut_down(&mut self, _: &mut Talker) {}

    fn dial(&mut self, _: DialId, _: &str) {}

    fn cancel_dial(&mut self, _: DialId) {}

    fn dialed(&mut self) -> Option<Dialed<Talker>> {
        None
    }
}

impl From<OsStream> for Talker {
    fn from(_: OsStream) -> Self {
        panic!("there is one shard")
    }
}

impl From<Talker> for OsStream {
    fn from(_: Talker) -> Self {
        panic!("there is one shard")
    }
}

struct World {
    driver: Driver<Echo, FakeSockets>,
    net: Rc<RefCell<Net>>,
    remote: Remote<NoNote>,
}

fn listening(addresses: &[&str]) -> Config {
    Config::listening(addresses.iter().map(|text| text.parse::<Listen>().expect("an address"))).unlimited()
}

impl World {
    fn new(config: Config) -> Self {
        let listeners = config.listeners.iter().map(|listen| OsListener::bind(listen).ok()).collect();
        let mailbox = Mailbox::new();
        let (net, remote) = (Rc::new(RefCell::new(Net::default())), mailbox.remote());
        let machine = Machine::new(config, Echo);
        let setup = Setup { machine, listeners, mailbox, signals: Vec::new(), names: Names::default() };
        let mut driver = Driver::new(setup, FakeSockets(Rc::clone(&net))).expect("the fake takes every listener");
        driver.start();
        Self { driver, net, remote }
    }

    fn turn(&mut self) -> Next {
        self.driver.turn(Time::START, &mut Vec::new(), Waker::noop())
    }

    fn reconfigure(&mut self, config: Config) -> Result<Vec<String>, String> {
        let outcome = Arc::new(Mutex::new(None));
        let place = Arc::clone(&outcome);
        let told = move |result: Result<Vec<String>, crate::BindError>| {
            *place.lock().expect("no panic") = Some(result.map_err(|error| error.to_string()));
        };
        self.remote.reconfigure(config, told).expect("the server runs");
        self.turn();
        outcome.lock().expect("no panic").take().expect("the callback runs in the same turn")
    }
}

#[test]
fn connection_that_stays_readable_does_not_starve_others() {
    let mut world = World::new(listening(&["tcp://127.0.0.1:0"]));
    world.net.borrow_mut().reads = [0, 0].into();
    for (number, left) in [(0, 1_000), (1, 3)] {
        world.net.borrow_mut().arriving.push_back(Talker { number, left });
    }
    // In the first turn both are accepted, in the second both are read.
    world.turn();
    assert_eq!(world.turn(), Next::Turn);
    assert_eq!(world.net.borrow().reads, [READS_PER_TURN as usize, 3]);
    let mut turns = 1;
    while world.turn() == Next::Turn {
        turns += 1;
    }
    assert_eq!(world.net.borrow().reads, [1_000, 3], "everything is read");
    assert!((1_000 / READS_PER_TURN..80).contains(&turns), "{turns}");
}

#[test]
fn reloads_that_move_an_address_remove_old_listeners() {
    let mut world = World::new(listening(&["tcp://127.0.0.1:0"]));
    let directory = std::env::temp_dir().join(std::format!("drupe-moves-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    for number in 0..200 {
        let path = std::format!("unix://{}/{number}", directory.display());
        let addresses = world.reconfigure(listening(&["tcp://127.0.0.1:0", &path])).expect("free");
        assert_eq!(addresses[1..], [path]);
        world.turn();
        assert_eq!(world.driver.listeners.len(), 2);
    }
    assert_eq!(std::fs::read_dir(&directory).expect("there").count(), 1, "only the last socket file is left");
    world.net.borrow_mut().reads = [0].into();
    world.net.borrow_mut().arriving.push_back(Talker { number: 0, left: 1 });
    world.driver.turn(Time::START, &mut [u32::MAX].into(), Waker::noop());
    world.turn();
    assert_eq!(world.net.borrow().reads, [1], "the listener that stayed still accepts");
    drop(world);
    std::fs::remove_dir_all(&directory).expect("it exists");
}

#[test]
fn panicking_remote_callback_does_not_end_the_server() {
    let mut world = World::new(listening(&["tcp://127.0.0.1:0"]));
    world.remote.metrics(|_| panic!("on purpose")).expect("the server runs");
    world.remote.reconfigure(listening(&["tcp://127.0.0.1:0"]), |_| panic!("on purpose")).expect("the server runs");
    assert_ne!(world.turn(), Next::End);
    // Nor when the callback is dropped with the server.
    world.remote.metrics(|_| panic!("on purpose")).expect("the server runs");
    drop(world);
}
