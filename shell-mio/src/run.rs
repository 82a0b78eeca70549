//! The event loop: waits until something is ready, records it, and lets the driver take a turn.

use crate::dial::Dials;
use crate::sockets::MioSockets;
use drupe_core::{Handler, Metrics, Time};
use drupe_shell::{Driver, Next, Runtime, Setup};
use mio::{Events, Poll, Token};
use std::io;
use std::sync::Arc;
use std::task::Wake;
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

/// Maximum number of readiness events handled per turn. Further events wait for the next turn.
const EVENTS_PER_TURN: usize = 1024;
/// Token of the waker, between those of connection attempts and those of listeners.
const WAKER: Token = Token(1 << 31);

fn run<H: Handler>(setup: Setup<H>) -> io::Result<Metrics> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS_PER_TURN);
    let waker = mio::Waker::new(poll.registry(), WAKER)?;
    // A message for the server wakes the loop out of `poll`.
    let task = Arc::new(Alarm(waker)).into();
    let sockets = MioSockets::new(poll.registry(), setup.names())?;
    let mut driver = Driver::new(setup, sockets)?;
    let started = Instant::now();
    let mut ready = Vec::new();
    driver.start();
    loop {
        let now = Time::START + started.elapsed();
        driver.sockets().dials.begin_turn(now, &task);
        let timeout = match driver.turn(now, &mut ready, &task) {
            Next::End => return driver.outcome(),
            Next::Turn => Some(Duration::ZERO),
            Next::Wait(until) => {
                let until = until.into_iter().chain(driver.sockets().dials.deadline()).min();
                until.map(|until| until.since(Time::START + started.elapsed()))
            }
        };
        look(&mut poll, &mut events, timeout, &mut driver, &mut ready)?;
        let has_waited = timeout != Some(Duration::ZERO);
        if has_waited && !events.is_empty() && driver.rest(Time::START + started.elapsed()) {
            look(&mut poll, &mut events, Some(Duration::ZERO), &mut driver, &mut ready)?;
        }
    }
}

/// Waits until something is ready, and notes what it is.
fn look<H: Handler>(
    poll: &mut Poll,
    events: &mut Events,
    timeout: Option<Duration>,
    driver: &mut Driver<H, MioSockets>,
    ready: &mut Vec<u32>,
) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
        polled => polled?,
    }
    for event in &*events {
        match event.token() {
            WAKER => {}
            token if Dials::is_token(token) => driver.sockets().dials.note(token),
            Token(number) => {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                if let Some(socket) = driver.socket(number) {
                    socket.note(event);
                }
                ready.push(number);
            }
        }
    }
    Ok(())
}

/// The waker of the event loop.
struct Alarm(mio::Waker);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Fails only without memory. Another event or a deadline still wakes the loop.
        let _ = self.0.wake();
    }
}
