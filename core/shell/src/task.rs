use super::stream::ConnectionTask;
use super::{Driver, Next, ReadyQueue, Setup, Sockets};
use drupe_core::{Handler, Metrics, Time};

use std::sync::Arc;

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::time::{Duration, Instant};

/// What an async runtime has beside its sockets.
pub trait AsyncRuntime {
    /// Its sockets.
    type Sockets: Sockets;
    /// Its timer.
    type Sleep;

    /// Sockets that note in the queue which of them are ready.
    fn sockets(queue: Arc<ReadyQueue>) -> Self::Sockets;

    /// The task is woken with this waker when an attempt to connect has come to its end.
    fn set_waker(sockets: &mut Self::Sockets, waker: &Waker);

    /// A timer.
    fn sleep(until: Instant) -> Self::Sleep;

    /// Sets a timer anew.
    fn reset(sleep: &mut Self::Sleep, until: Instant);

    /// Runs the task of a connection.
    fn spawn(task: ConnectionTask);

    /// Whether the timer's time has come, and a wake-up then.
    fn poll(sleep: &mut Self::Sleep, cx: &mut Context<'_>) -> Poll<()>;
}

/// A server as one future, which owns all its sockets and takes a turn whenever something is ready: what
/// [`Server::run`](super::Server::run) gives on an async runtime.
///
/// It gives the counters when the server has ended, or an error at once if the runtime can't watch the listeners; what fails
/// later is told to the application or counted. Dropping it ends everything at once.
pub struct Task<H: Handler, R: AsyncRuntime>(State<H, R>);

enum State<H: Handler, R: AsyncRuntime> {
    /// Nothing is asked of the runtime before the first poll.
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
}

impl<H: Handler, R: AsyncRuntime> Task<H, R> {
    /// A server that runs as soon as it is polled.
    pub fn new(setup: Setup<H>) -> Self {
        Self(State::Bound(Box::new(setup)))
    }
}

// What is pinned, a timer, is so for itself.
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
        let mut driver = Driver::new(setup, R::sockets(Arc::clone(&queue)))?;
        driver.start();
        let started = Instant::now();
        Ok(Self { driver, queue, ready: Vec::new(), sleep: R::sleep(started), asleep_until: None, started })
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Metrics>> {
        R::set_waker(self.driver.sockets(), cx.waker());
        self.queue.take(cx.waker(), &mut self.ready);
        match self.driver.turn(Time::START + self.started.elapsed(), &mut self.ready, cx.waker()) {
            Next::End => return Poll::Ready(self.driver.outcome()),
            Next::Turn => cx.waker().wake_by_ref(),
            Next::Wait(None) => {}
            Next::Wait(Some(until)) => self.wait(until, cx),
        }
        Poll::Pending
    }

    fn wait(&mut self, until: Time, cx: &mut Context<'_>) {
        if self.asleep_until != Some(until) {
            self.asleep_until = Some(until);
            // What lies beyond the end of the system's clock is never reached.
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
