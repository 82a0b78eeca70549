use super::{AsyncRuntime, Driver, Next, ReadyQueue, Setup};
use drupe_core::{Handler, Metrics, Time};

use std::sync::Arc;

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::time::{Duration, Instant};

/// A server as one future, which [`Server::run`](super::Server::run) returns on async runtimes.
///
/// It owns all its sockets and takes a turn whenever something is ready. It resolves to the metrics
/// when the server has ended, or at once to an error if the runtime cannot register the listeners.
/// Later failures are reported to the handler or counted. Dropping it ends the server at once.
pub struct Task<H: Handler, R: AsyncRuntime>(State<H, R>);

enum State<H: Handler, R: AsyncRuntime> {
    /// Not polled yet: nothing is registered with the runtime.
    Bound(Box<Setup<H>>),
    Running(Box<Running<H, R>>),
    Ended,
}

struct Running<H: Handler, R: AsyncRuntime> {
    driver: Driver<H, R::Sockets>,
    queue: Arc<ReadyQueue>,
    ready: Vec<u32>,
    sleep: R::Sleep,
    asleep_until: Option<Time>,
    started: Instant,
    /// Whether the next turn may [rest](Driver::rest) first: after a wait, and once.
    may_rest: bool,
}

impl<H: Handler, R: AsyncRuntime> Task<H, R> {
    /// Creates a server that runs once it is polled.
    pub fn new(setup: Setup<H>) -> Self {
        Self(State::Bound(Box::new(setup)))
    }
}

// Nothing is pinned in place: each shell's timer is `Unpin` or boxed.
impl<H: Handler, R: AsyncRuntime> Unpin for Task<H, R> {}

impl<H: Handler, R: AsyncRuntime> Future for Task<H, R> {
    type Output = io::Result<Metrics>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Metrics>> {
        let mut running = match core::mem::replace(&mut self.0, State::Ended) {
            State::Bound(setup) => Box::new(Running::new(*setup)?),
            State::Running(running) => running,
            State::Ended => return Poll::Pending,
        };
        let polled = running.turn(cx);
        if polled.is_pending() {
            self.0 = State::Running(running);
        }
        polled
    }
}

impl<H: Handler, R: AsyncRuntime> Running<H, R> {
    fn new(setup: Setup<H>) -> io::Result<Self> {
        let queue = ReadyQueue::new();
        let sockets = R::sockets(Arc::clone(&queue), setup.names());
        let mut driver = Driver::new(setup, sockets)?;
        driver.start();
        let started = Instant::now();
        Ok(Self {
            driver,
            queue,
            ready: Vec::new(),
            sleep: R::sleep(started),
            asleep_until: None,
            started,
            may_rest: false,
        })
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Metrics>> {
        R::begin_turn(self.driver.sockets(), cx.waker());
        self.queue.take(cx.waker(), &mut self.ready);
        let now = Time::START + self.started.elapsed();
        if core::mem::take(&mut self.may_rest) && self.driver.rest(now) {
            R::wake_after_io(cx);
            return Poll::Pending;
        }
        match self.driver.turn(now, &mut self.ready, cx.waker()) {
            Next::End => return Poll::Ready(self.driver.outcome()),
            Next::Turn => cx.waker().wake_by_ref(),
            Next::Wait(until) => {
                self.may_rest = true;
                if let Some(until) = until {
                    self.wait(until, cx);
                }
            }
        }
        Poll::Pending
    }

    fn wait(&mut self, until: Time, cx: &mut Context<'_>) {
        if self.asleep_until != Some(until) {
            self.asleep_until = Some(until);
            // A time beyond the range of the system's clock is never reached.
            let far = Duration::from_nanos(until.as_nanos());
            R::reset(
                &mut self.sleep,
                self.started.checked_add(far).unwrap_or(self.started + Duration::from_secs(1 << 31)),
            );
        }
        if R::poll(&mut self.sleep, cx).is_ready() {
            self.asleep_until = None;
            cx.waker().wake_by_ref();
        }
    }
}

impl<H: Handler, R: AsyncRuntime> fmt::Debug for Task<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}
