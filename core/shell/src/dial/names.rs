//! Name resolution on threads, because the system has no non-blocking interface for it.

use super::race::interleave;
use crate::spared;
use drupe_core::Failure;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// Maximum number of threads that resolve names, in the whole process. Further names wait.
///
/// The threads mostly wait for name servers, so their number does not depend on the processors.
/// Equal names share a lookup. If name servers are silent, more threads would not help.
pub const RESOLVER_THREADS_MAX: usize = 16;

type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The name resolution of a server, which its workers share.
///
/// The servers and clients of a process share one pool of threads, because the process has one
/// system resolver, and because thousands of clients must not have a pool each. A server with a
/// [function of its own](crate::Server::resolve_with) has a pool of its own.
///
/// While the lookups of 16 hosts hang, other hosts wait. The time limit of a dial includes that wait.
#[derive(Clone, Default)]
pub struct Names {
    own: Arc<OnceLock<Arc<Pool>>>,
}

static SYSTEM: OnceLock<Arc<Pool>> = OnceLock::new();

impl Names {
    /// Resolves names with `look_up` from now on. Returns `false` if a function was set before.
    pub(crate) fn resolve_with(
        &self,
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> bool {
        self.own.set(Pool::new(look_up)).is_ok()
    }

    /// Starts to resolve an address, which is `HOST:PORT`.
    ///
    /// The future resolves to the addresses to try, in order, at most
    /// [`ADDRESSES_MAX`](super::ADDRESSES_MAX). Equal hosts whose lookups have not ended share one
    /// lookup. Answers are not cached. Dropping the future cancels the lookup if it has not begun
    /// and no other future waits for it.
    pub fn resolve(&self, address: &str) -> Resolving {
        if let Ok(address) = address.parse() {
            return Resolving(State::Known(Some(Ok(vec![address]))));
        }
        let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let Some((host, port)) = parts.filter(|(host, _)| !host.is_empty()) else {
            let words = format!("{address:?} is not HOST:PORT");
            return Resolving(State::Known(Some(Err(io::Error::new(io::ErrorKind::InvalidInput, words)))));
        };
        // An IPv6 address with a zone name, such as %eth0, which only the system can resolve.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let system = || SYSTEM.get_or_init(|| Pool::new(|host| (host, 0).to_socket_addrs().map(Iterator::collect)));
        Resolving(State::Asked(self.own.get().unwrap_or_else(system).ask(host), port))
    }
}

/// The future of a name's addresses: see [`Names::resolve`].
#[must_use = "dropping it cancels the lookup"]
pub struct Resolving(State);

enum State {
    /// The address needs no lookup, or none is possible.
    Known(Option<io::Result<Vec<SocketAddr>>>),
    Asked(Asked, u16),
}

impl Future for Resolving {
    type Output = io::Result<Vec<SocketAddr>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Known(known) => known.take().map_or(Poll::Pending, Poll::Ready),
            State::Asked(asked, port) => asked.poll(cx).map_ok(|found| {
                let with_port = |mut address: SocketAddr| {
                    if address.port() == 0 {
                        address.set_port(*port);
                    }
                    address
                };
                found.iter().copied().map(with_port).collect()
            }),
        }
    }
}

/// A pool of threads that resolve names. A thread ends when no name waits.
struct Pool {
    look_up: Box<LookUp>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// The lookups that wait or are in progress, by host.
    lookups: BTreeMap<Arc<str>, Lookup>,
    /// The hosts that wait, in the order of their first questions.
    waiting: BTreeMap<u64, Arc<str>>,
    threads: usize,
    /// Number of questions so far.
    asked: u64,
}

struct Lookup {
    /// The place in the queue. `None` while the lookup is in progress.
    place: Option<u64>,
    /// The slots that receive the answer, by the number of their question.
    slots: BTreeMap<u64, Arc<Mutex<Slot>>>,
}

#[derive(Default)]
struct Slot {
    answer: Option<Answer>,
    waker: Option<Waker>,
}

#[derive(Clone)]
enum Answer {
    Found(Arc<[SocketAddr]>),
    Failed(io::ErrorKind, Arc<str>),
    /// A system error, by its number.
    System(i32),
}

/// A question to the pool. Dropping it withdraws it.
struct Asked {
    pool: Arc<Pool>,
    host: Arc<str>,
    number: u64,
    slot: Arc<Mutex<Slot>>,
}

impl Pool {
    fn new(look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { look_up: Box::new(look_up), queue: Mutex::default() })
    }

    fn ask(self: &Arc<Self>, host: &str) -> Asked {
        let mut queue = lock(&self.queue);
        queue.asked += 1;
        let (number, slot) = (queue.asked, Arc::new(Mutex::new(Slot::default())));
        let host = match queue.lookups.get_key_value(host) {
            Some((host, _)) => Arc::clone(host),
            None => Arc::from(host),
        };
        let Queue { lookups, waiting, .. } = &mut *queue;
        let lookup = lookups.entry(Arc::clone(&host)).or_insert_with(|| {
            waiting.insert(number, Arc::clone(&host));
            Lookup { place: Some(number), slots: BTreeMap::new() }
        });
        lookup.slots.insert(number, Arc::clone(&slot));
        if lookup.place == Some(number) {
            self.add_thread(&mut queue, number);
        }
        drop(queue);
        Asked { pool: Arc::clone(self), host, number, slot }
    }

    /// Starts a thread unless enough run. If none can run, the last question fails.
    fn add_thread(self: &Arc<Self>, queue: &mut Queue, number: u64) {
        if queue.threads >= RESOLVER_THREADS_MAX {
            return;
        }
        let pool = Arc::clone(self);
        match thread::Builder::new().name("drupe-resolve".into()).spawn(move || pool.work()) {
            Ok(_) => queue.threads += 1,
            Err(_) if queue.threads > 0 => {}
            Err(error) => {
                let lookup = queue.waiting.remove(&number).and_then(|host| queue.lookups.remove(&host));
                let words = format!("no thread can resolve the name: {error}");
                let answer = Answer::Failed(io::ErrorKind::Other, words.into());
                lookup.into_iter().for_each(|lookup| lookup.settle(&answer));
            }
        }
    }

    fn work(&self) {
        while let Some(host) = self.next() {
            let found = catch_unwind(AssertUnwindSafe(|| (self.look_up)(&host)));
            let found = found.unwrap_or_else(|_| Err(io::Error::other("the name resolution panicked")));
            let lookup = lock(&self.queue).lookups.remove(&host);
            if let Some(lookup) = lookup {
                lookup.settle(&Answer::from(found));
            }
        }
    }

    /// Takes the next host from the queue. If there is none, the calling thread must end.
    fn next(&self) -> Option<Arc<str>> {
        let mut queue = lock(&self.queue);
        let host = queue.waiting.pop_first().map(|(_, host)| host);
        match &host {
            Some(host) => {
                if let Some(lookup) = queue.lookups.get_mut(host) {
                    lookup.place = None;
                }
            }
            None => queue.threads -= 1,
        }
        host
    }
}

impl Lookup {
    /// Gives the answer to all that wait for it.
    fn settle(self, answer: &Answer) {
        for slot in self.slots.into_values() {
            let mut slot = lock(&slot);
            slot.answer = Some(answer.clone());
            let waker = slot.waker.take();
            drop(slot);
            // If a waker panics, the others still get their answer.
            spared(|| waker.into_iter().for_each(Waker::wake));
        }
    }
}

impl From<io::Result<Vec<SocketAddr>>> for Answer {
    fn from(found: io::Result<Vec<SocketAddr>>) -> Self {
        let error = match found {
            Ok(addresses) => return Self::Found(interleave(addresses).into()),
            Err(error) => error,
        };
        if let Some(number) = error.raw_os_error() {
            return Self::System(number);
        }
        // All errors of the system's resolver have one kind, which `Failure` reports as `Other`.
        let is_unnamed = Failure::from(&error) == Failure::Other;
        let kind = if is_unnamed { io::ErrorKind::NotFound } else { error.kind() };
        Self::Failed(kind, error.to_string().into())
    }
}

impl Asked {
    fn poll(&self, cx: &Context<'_>) -> Poll<io::Result<Arc<[SocketAddr]>>> {
        let mut slot = lock(&self.slot);
        match &slot.answer {
            None => {
                if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    slot.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
            Some(Answer::Found(addresses)) => Poll::Ready(Ok(Arc::clone(addresses))),
            Some(Answer::Failed(kind, words)) => Poll::Ready(Err(io::Error::new(*kind, words.to_string()))),
            Some(Answer::System(number)) => Poll::Ready(Err(io::Error::from_raw_os_error(*number))),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut queue = lock(&self.pool.queue);
        let Some(lookup) = queue.lookups.get_mut(&self.host) else { return };
        lookup.slots.remove(&self.number);
        if let (Some(place), true) = (lookup.place, lookup.slots.is_empty()) {
            queue.lookups.remove(&self.host);
            queue.waiting.remove(&place);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("is_own", &self.own.get().is_some()).finish()
    }
}

impl fmt::Debug for Resolving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolving")
    }
}

#[cfg(test)]
mod tests;
