//! The event loop: waits until something is ready, and lets the driver take a turn.

use drupe_core::{Handler, Metrics, Time};
use drupe_shell::{Driver, Next, Poller, Runtime, Setup};
use std::io;
use std::time::{Duration, Instant};

/// The mio event loop as a runtime.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Mio;

impl Runtime for Mio {
    /// The final metrics: running blocks the thread until the server has ended.
    ///
    /// It is an error if the system cannot create an event queue or register the listeners.
    type Run<H: Handler> = io::Result<Metrics>;

    fn run<H: Handler>(setup: Setup<H>) -> io::Result<Metrics> {
        run(setup)
    }

    fn run_here<H: Handler>(setup: Setup<H>) -> io::Result<Metrics> {
        run(setup)
    }
}

fn run<H: Handler>(setup: Setup<H>) -> io::Result<Metrics> {
    let mut poller = Poller::new()?;
    // A message for the server wakes the loop out of its wait.
    let task = poller.waker()?;
    let sockets = poller.sockets(setup.names())?;
    let mut driver = Driver::new(setup, sockets)?;
    let started = Instant::now();
    let now = || Time::START + started.elapsed();
    let mut ready = Vec::new();
    driver.start();
    loop {
        let timeout = match driver.turn(now(), &mut ready, &task) {
            Next::End => return driver.outcome(),
            Next::Turn => Some(Duration::ZERO),
            Next::Wait(until) => {
                driver.rest();
                until.map(|until| until.since(now()))
            }
        };
        poller.look(timeout, &mut driver, &mut ready)?;
    }
}
