//! Thousands of dials that lose their network and reconnect: through the driver and the machine, in
//! virtual time, without sockets.
//!
//! In each cycle, all connections are reset in one turn. For the next 5 s every attempt is refused,
//! so each dial retries with backoff, at its own times. Then all connect again. The throughput
//! counts dials, so its inverse is the cost of one dial's cycle. That cost should hardly depend on
//! the number of dials.

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark that cannot run should fail at once")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use drupe_core::{Backoff, Config, Dial, DialId, Event, Handler, Hub, Metrics, NoNote, Peer, Time};
use drupe_tokio::shell::{Dialed, Driver, Next, OsListener, OsStream, Runtime, Server, Setup, Sockets};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::Waker;
use std::time::{Duration, Instant};

/// How long each outage of the network lasts.
const OUTAGE: Duration = Duration::from_secs(5);

/// Makes this many dials at the start.
struct Dialler(usize);

impl Handler for Dialler {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Started = event {
            let backoff = Backoff::default().stable_after(Duration::ZERO);
            for _ in 0..self.0 {
                hub.dial(Dial::lines("server.example:7").backoff(Some(backoff)));
            }
        }
    }
}

/// A network that is up or down.
#[derive(Default)]
struct Network {
    is_up: bool,
    begun: VecDeque<DialId>,
    /// The numbers of the sockets.
    open: Vec<u32>,
}

impl Sockets for Network {
    type Listener = ();
    type Stream = Stream;
    type Socket = ();

    fn listen(&mut self, _: u32, _: OsListener) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn accept(&mut self, (): &mut ()) -> io::Result<(Stream, Peer)> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn adopt(&mut self, number: u32, _: Stream) -> io::Result<()> {
        self.open.push(number);
        Ok(())
    }

    fn dismiss(&mut self, _: Stream, _: &[u8]) {}

    fn read(&mut self, (): &mut (), _: &mut [u8]) -> io::Result<usize> {
        let kind = if self.is_up { io::ErrorKind::WouldBlock } else { io::ErrorKind::ConnectionReset };
        Err(kind.into())
    }

    fn write(&mut self, (): &mut (), slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn shut_down(&mut self, (): &mut ()) {}

    fn dial(&mut self, dial: DialId, _: &str) {
        self.begun.push_back(dial);
    }

    fn cancel_dial(&mut self, dial: DialId) {
        self.begun.retain(|other| *other != dial);
    }

    fn dialed(&mut self) -> Option<Dialed<Stream>> {
        let dial = self.begun.pop_front()?;
        let connected =
            if self.is_up { Ok((Stream, Peer::Local)) } else { Err(io::ErrorKind::ConnectionRefused.into()) };
        Some((dial, connected))
    }
}

struct Stream;

impl From<OsStream> for Stream {
    fn from(_: OsStream) -> Self {
        Self
    }
}

impl From<Stream> for OsStream {
    #[expect(clippy::unreachable, reason = "there is one worker, which passes no connection on")]
    fn from(_: Stream) -> Self {
        unreachable!("there is one worker")
    }
}

/// A runtime that runs nothing: the benchmark takes the turns itself.
struct ByHand;

impl Runtime for ByHand {
    type Run<H: Handler> = Driver<H, Network>;

    fn run<H: Handler>(setup: Setup<H>) -> Self::Run<H> {
        Driver::new(setup, Network::default()).expect("no listener")
    }

    fn run_here<H: Handler>(_: Setup<H>) -> io::Result<Metrics> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

struct World {
    driver: Driver<Dialler, Network>,
    now: Time,
}

impl World {
    /// Creates a world of `dials` connected dials.
    fn new(dials: usize) -> Self {
        let server = Server::<_, ByHand>::bind(Config::default().unlimited().seed(Some(7)), Dialler(dials));
        let mut world = Self { driver: server.expect("no listener").run(), now: Time::START };
        world.driver.start();
        world.driver.sockets().is_up = true;
        world.run_until_open(dials);
        world
    }

    /// Takes turns until `dials` connections are open.
    fn run_until_open(&mut self, dials: usize) {
        while self.driver.sockets().open.len() < dials {
            self.turn(&mut Vec::new(), None);
        }
    }

    /// Takes one turn, then advances the time to the next deadline, but not beyond `end`.
    fn turn(&mut self, ready: &mut Vec<u32>, end: Option<Time>) {
        let next = self.driver.turn(self.now, ready, Waker::noop());
        assert_ne!(next, Next::End, "nothing drains it");
        // If the driver does not wait, the next deadline may be now.
        let soon = self.now + Duration::from_nanos(1);
        let Next::Wait(until) = next else { return self.now = soon };
        self.now = until.into_iter().chain(end).min().expect("a dial waits").max(self.now);
    }

    /// Takes the network down, and brings it up again.
    fn cycle(&mut self, dials: usize) {
        let network = self.driver.sockets();
        network.is_up = false;
        let mut lost = core::mem::take(&mut network.open);
        self.turn(&mut lost, None);
        let back = self.now + OUTAGE;
        while self.now < back {
            self.turn(&mut Vec::new(), Some(back));
        }
        self.driver.sockets().is_up = true;
        self.run_until_open(dials);
    }
}

fn outages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dials_outage");
    group.sample_size(10);
    for dials in [500, 5_000, 50_000] {
        group.throughput(Throughput::Elements(dials as u64));
        group.bench_with_input(BenchmarkId::from_parameter(dials), &dials, |bencher, &dials| {
            let mut world = World::new(dials);
            bencher.iter_custom(|cycles| {
                let began = Instant::now();
                (0..cycles).for_each(|_| world.cycle(dials));
                began.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, outages);
criterion_main!(benches);
