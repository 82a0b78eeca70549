use crate::{ConnId, Metrics, Payload, Request};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// How many words may wait for a server that is busy.
const WAITING_MAX: usize = 65_536;

/// Speaks to a running server from any thread. Cloning gives another handle to the same server.
///
/// Nothing here waits for the server: a word is left and the server woken.
pub struct Remote<N> {
    shared: Arc<Shared<N>>,
}

/// A word could not be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
    /// 65,536 words wait already.
    #[error("the server has not kept up: {WAITING_MAX} words wait for it")]
    Full,
}

impl<N> Remote<N> {
    /// Tells the application something: [`Event::Note`](crate::Event::Note).
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn note(&self, note: N) -> Result<(), RemoteError> {
        self.shared.put(Mail::Note(note))
    }

    /// Sends one message to every member of a room.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn publish<'p>(&self, room: &str, payload: impl Into<Payload<'p>>) -> Result<(), RemoteError> {
        self.request(Request::publish(room, payload))
    }

    /// Ends one connection as [`Reason::Kicked`](crate::Reason::Kicked).
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn kick(&self, conn: ConnId) -> Result<(), RemoteError> {
        self.request(Request::Kick { conn })
    }

    /// Ends the server in stages; asked a second time, it hurries. See [`Drain`](crate::Drain).
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn drain(&self) -> Result<(), RemoteError> {
        self.request(Request::Drain)
    }

    /// Asks for anything.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn request(&self, request: Request) -> Result<(), RemoteError> {
        self.shared.put(Mail::Request(request))
    }

    /// Has the server hand its counters to `receive`, on its own thread and in its own time.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn metrics(&self, receive: impl FnOnce(Metrics) + Send + 'static) -> Result<(), RemoteError> {
        self.shared.put(Mail::Metrics(Box::new(receive)))
    }
}

impl<N> Clone for Remote<N> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<N> fmt::Debug for Remote<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

/// A word for the server.
pub enum Mail<N> {
    /// For [`Machine::noted`](crate::Machine::noted).
    Note(N),
    /// For [`Machine::requested`](crate::Machine::requested).
    Request(Request),
    /// To be given [`Machine::metrics`](crate::Machine::metrics).
    Metrics(Box<dyn FnOnce(Metrics) + Send>),
}

impl<N> fmt::Debug for Mail<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note(_) => "Note",
            Self::Request(_) => "Request",
            Self::Metrics(_) => "Metrics",
        })
    }
}

impl<N> fmt::Debug for Mailbox<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

/// Where words wait for the server: the shell's end of [`Remote`]. When it is dropped the server has ended:
/// what waits is dropped, and nothing more can be left.
pub struct Mailbox<N> {
    shared: Arc<Shared<N>>,
}

struct Shared<N> {
    state: Mutex<State<N>>,
}

struct State<N> {
    waiting: VecDeque<Mail<N>>,
    task: Option<Waker>,
    ended: bool,
}

impl<N> Mailbox<N> {
    /// An empty mailbox.
    #[must_use]
    pub fn new() -> Self {
        let state = State { waiting: VecDeque::new(), task: None, ended: false };
        Self { shared: Arc::new(Shared { state: Mutex::new(state) }) }
    }

    /// A handle for others.
    #[must_use]
    pub fn remote(&self) -> Remote<N> {
        Remote { shared: Arc::clone(&self.shared) }
    }

    /// Sets who is woken, and takes what waits.
    #[must_use]
    pub fn take(&self, task: &Waker) -> VecDeque<Mail<N>> {
        let mut state = self.shared.lock();
        if !state.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            state.task = Some(task.clone());
        }
        core::mem::take(&mut state.waiting)
    }
}

impl<N> Default for Mailbox<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N> Drop for Mailbox<N> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        state.task = None;
        let waiting = core::mem::take(&mut state.waiting);
        // What is dropped may speak to the mailbox again.
        drop(state);
        drop(waiting);
    }
}

impl<N> Shared<N> {
    fn put(&self, mail: Mail<N>) -> Result<(), RemoteError> {
        let mut state = self.lock();
        if state.ended {
            return Err(RemoteError::Ended);
        }
        if state.waiting.len() >= WAITING_MAX {
            return Err(RemoteError::Full);
        }
        state.waiting.push_back(mail);
        let task = if state.waiting.len() == 1 { state.task.clone() } else { None };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State<N>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wait_in_order_up_to_a_bound_and_until_the_end() {
        let mailbox = Mailbox::new();
        let remote = mailbox.remote();
        for n in 0..WAITING_MAX {
            assert_eq!(remote.note(n), Ok(()));
        }
        assert_eq!(remote.drain(), Err(RemoteError::Full));
        let words = mailbox.take(Waker::noop());
        let in_order = words.iter().enumerate().all(|(place, mail)| matches!(mail, Mail::Note(n) if *n == place));
        assert!(in_order && words.len() == WAITING_MAX);
        assert_eq!(remote.clone().note(0), Ok(()));
        drop(mailbox);
        assert_eq!(remote.note(0), Err(RemoteError::Ended));
    }
}
