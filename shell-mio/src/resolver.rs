//! Name resolution on threads, because the system has no non-blocking interface for it.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

/// Maximum number of threads that resolve names. Further names wait.
pub(crate) const THREADS_MAX: usize = 16;

/// The number of a request, and the addresses of its name or the error.
pub(crate) type Found = (u64, io::Result<Vec<SocketAddr>>);

type LookUp = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// A pool of threads that resolve names. A thread ends when no name waits.
#[derive(Debug)]
pub(crate) struct Resolver {
    queue: Arc<Mutex<Queue>>,
    look_up: LookUp,
    waker: Arc<mio::Waker>,
    send: mpsc::Sender<Found>,
    found: mpsc::Receiver<Found>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Waiting names by number, which is the order of the requests.
    names: BTreeMap<u64, String>,
    threads: usize,
}

impl Resolver {
    pub(crate) fn new(waker: Arc<mio::Waker>) -> Self {
        Self::with(waker, |name| name.to_socket_addrs().map(Iterator::collect))
    }

    fn with(waker: Arc<mio::Waker>, look_up: LookUp) -> Self {
        let (send, found) = mpsc::channel();
        Self { queue: Arc::default(), look_up, waker, send, found }
    }

    /// Starts to resolve a name, `HOST:PORT`. Wakes the event loop when the name is resolved.
    ///
    /// # Errors
    /// If no thread can be started, and none is running.
    pub(crate) fn begin(&self, number: u64, name: &str) -> io::Result<()> {
        let mut queue = lock(&self.queue);
        queue.names.insert(number, name.to_owned());
        if queue.threads >= THREADS_MAX {
            return Ok(());
        }
        let (names, look_up) = (Arc::clone(&self.queue), self.look_up);
        let (send, waker) = (self.send.clone(), Arc::clone(&self.waker));
        let work = move || {
            while let Some((number, name)) = next(&names) {
                // Errors are ignored: they mean that the server has ended.
                let _ = send.send((number, look_up(&name))).map(|()| waker.wake());
            }
        };
        match thread::Builder::new().name("drupe-resolve".into()).spawn(work) {
            Ok(_) => queue.threads += 1,
            Err(_) if queue.threads > 0 => {}
            Err(error) => {
                queue.names.remove(&number);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Cancels a request whose name still waits.
    pub(crate) fn cancel(&self, number: u64) {
        lock(&self.queue).names.remove(&number);
    }

    /// Returns the result of a finished request, if any.
    pub(crate) fn next(&self) -> Option<Found> {
        self.found.try_recv().ok()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        lock(&self.queue).names.clear();
    }
}

/// Takes the next name from the queue. If there is none, the calling thread must end.
fn next(queue: &Mutex<Queue>) -> Option<(u64, String)> {
    let mut queue = lock(queue);
    let name = queue.names.pop_first();
    if name.is_none() {
        queue.threads -= 1;
    }
    name
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]
mod tests {
    use super::*;
    use std::sync::Condvar;

    /// Number of lookups in progress, its maximum so far, and whether lookups may return.
    static GATE: (Mutex<(usize, usize, bool)>, Condvar) = (Mutex::new((0, 0, false)), Condvar::new());

    #[allow(clippy::unnecessary_wraps, reason = "it stands for a look-up that may fail")]
    fn look_up_slowly(name: &str) -> io::Result<Vec<SocketAddr>> {
        let mut gate = GATE.0.lock().unwrap();
        gate.0 += 1;
        gate.1 = gate.1.max(gate.0);
        GATE.1.notify_all();
        gate = GATE.1.wait_while(gate, |gate| !gate.2).unwrap();
        gate.0 -= 1;
        Ok(vec![name.parse().unwrap()])
    }

    #[test]
    fn resolver_bounds_threads_and_skips_cancelled_names() {
        let poll = mio::Poll::new().expect("an event queue");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let resolver = Resolver::with(Arc::new(waker), look_up_slowly);
        for number in 0..200_u16 {
            resolver.begin(number.into(), &format!("192.0.2.1:{number}")).expect("a thread");
        }
        drop(GATE.1.wait_while(GATE.0.lock().unwrap(), |gate| gate.0 < THREADS_MAX).unwrap());
        let queue = lock(&resolver.queue);
        assert_eq!((queue.threads, queue.names.len()), (THREADS_MAX, 200 - THREADS_MAX));
        drop(queue);
        (100..200).for_each(|number| resolver.cancel(number));
        GATE.0.lock().unwrap().2 = true;
        GATE.1.notify_all();
        let mut found: Vec<_> = (0..100).map(|_| resolver.found.recv().expect("each is found")).collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        for (number, (found, addresses)) in (0..).zip(found) {
            assert_eq!((found, addresses.unwrap()[0].port()), (number, u16::try_from(number).unwrap()));
        }
        assert_eq!(GATE.0.lock().unwrap().1, THREADS_MAX);
        assert!(resolver.next().is_none());
    }
}
