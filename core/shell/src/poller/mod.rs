//! An event queue of the system, and the sockets whose readiness it reports. All shells use it.
//!
//! A runtime that watches each socket by itself would wake a task, or renew a registration, for each of them. So an
//! async shell only gives its runtime the [descriptor](Poller::descriptor) of this queue, which is readable while
//! anything is ready, and reads many events with one system call.

mod dials;
mod sockets;

pub use sockets::{PolledSockets, Socket};

use crate::{Driver, Names};
use drupe_core::Handler;
use mio::{Events, Poll, Token};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

/// Maximum number of events that are read at a time. Further ones wait for the next time.
const EVENTS_AT_ONCE: usize = 1024;
/// Token of the waker, between those of connection attempts and those of listeners.
const WAKER: Token = Token(1 << 31);

/// An event queue of the system.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    events: Events,
}

impl Poller {
    /// Creates an event queue.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(EVENTS_AT_ONCE) })
    }

    /// Returns sockets that are registered with this queue. Dials resolve hosts with `names`.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn sockets(&self, names: Names) -> io::Result<PolledSockets> {
        PolledSockets::new(self.poll.registry(), names)
    }

    /// Returns a descriptor that is readable while something is ready.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.poll.registry().as_fd().try_clone_to_owned()
    }

    /// Creates a waker, which ends a wait in [`look`](Self::look). A queue has one at most.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn waker(&self) -> io::Result<Waker> {
        mio::Waker::new(self.poll.registry(), WAKER).map(|waker| Arc::new(Alarm(waker)).into())
    }

    /// Waits until something is ready, or until the timeout has passed. Appends the numbers of what is ready.
    ///
    /// Without a timeout, it waits as long as nothing happens. Returns true if more may be ready: then look again without
    /// waiting.
    ///
    /// # Errors
    /// If the system cannot read the queue.
    pub fn look<H: Handler>(
        &mut self,
        timeout: Option<Duration>,
        driver: &mut Driver<H, PolledSockets>,
        ready: &mut Vec<u32>,
    ) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            polled => polled?,
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            match event.token() {
                WAKER => {}
                token if dials::is_token(token) => driver.sockets().dials.note(token),
                Token(number) => {
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    if let Some(socket) = driver.socket(number) {
                        socket.note(event);
                    }
                    ready.push(number);
                }
            }
        }
        Ok(count == EVENTS_AT_ONCE)
    }
}

/// The waker of an event queue.
struct Alarm(mio::Waker);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Fails only without memory. Another event or a deadline still ends the wait.
        let _ = self.0.wake();
    }
}
