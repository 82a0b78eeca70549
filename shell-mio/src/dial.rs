//! Connecting without waiting: a name is looked up on a thread of its own, for there is no other way; its addresses are tried
//! one after another, and the system says when each attempt has come to something.

use drupe_core::DialId;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::thread;

/// The tokens of attempts: above those of connections, below those of listeners.
const FIRST_TOKEN: usize = 1 << 30;
const TOKENS: usize = 1 << 30;

#[derive(Debug)]
pub(crate) struct Dials {
    waker: Arc<mio::Waker>,
    attempts: BTreeMap<DialId, Attempt>,
    send: mpsc::Sender<Found>,
    found: mpsc::Receiver<Found>,
    done: VecDeque<(DialId, io::Result<(TcpStream, SocketAddr)>)>,
    /// How many attempts were begun: a dial may be at another one when a name comes back.
    begun: u64,
}

/// What a name came to.
type Found = (DialId, u64, io::Result<Vec<SocketAddr>>);

#[derive(Debug, Default)]
struct Attempt {
    number: u64,
    /// The addresses that are still to be tried.
    addresses: VecDeque<SocketAddr>,
    /// The one that is being tried.
    stream: Option<TcpStream>,
}

impl Dials {
    pub(crate) fn new(waker: Arc<mio::Waker>) -> Self {
        let (send, found) = mpsc::channel();
        Self { waker, attempts: BTreeMap::new(), send, found, done: VecDeque::new(), begun: 0 }
    }

    /// Whether a token is that of an attempt.
    pub(crate) const fn is_token(token: Token) -> bool {
        token.0 >= FIRST_TOKEN && token.0 < FIRST_TOKEN + TOKENS
    }

    pub(crate) fn begin(&mut self, registry: &Registry, dial: DialId, address: &str) {
        self.begun += 1;
        let number = self.begun;
        self.attempts.insert(dial, Attempt { number, ..Attempt::default() });
        if let Ok(address) = address.parse() {
            return self.look(registry, (dial, number, Ok(vec![address])));
        }
        let (address, send, waker) = (address.to_owned(), self.send.clone(), Arc::clone(&self.waker));
        let look_up = move || {
            let addresses = address.to_socket_addrs().map(Iterator::collect);
            // Nobody listens any more once the server has ended.
            let _ = send.send((dial, number, addresses)).map(|()| waker.wake());
        };
        if let Err(error) = thread::Builder::new().name("drupe-resolve".into()).spawn(look_up) {
            self.end(dial, Err(error));
        }
    }

    pub(crate) fn remove(&mut self, dial: DialId) {
        self.attempts.remove(&dial);
    }

    /// The system said something about an attempt.
    pub(crate) fn note(&mut self, registry: &Registry, token: Token) {
        let noted = self.attempts.keys().copied().find(|&dial| token_of(dial) == token);
        let Some(dial) = noted else { return };
        let Some(stream) = self.attempts.get_mut(&dial).and_then(|attempt| attempt.stream.as_mut()) else { return };
        let failed = stream.take_error().transpose().unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()));
        match (failed, stream.peer_addr()) {
            (Ok(error), _) => self.try_next(registry, dial, error),
            (Err(_), Ok(address)) => {
                if let Some(mut stream) = self.attempts.remove(&dial).and_then(|attempt| attempt.stream) {
                    // It gets its number as a connection.
                    let connected = registry.deregister(&mut stream).map(|()| (stream, address));
                    self.done.push_back((dial, connected));
                }
            }
            // It is still being tried.
            (Err(_), Err(_)) => {}
        }
    }

    /// An attempt that has come to its end.
    pub(crate) fn next_done(&mut self, registry: &Registry) -> Option<(DialId, io::Result<(TcpStream, SocketAddr)>)> {
        while let Ok(found) = self.found.try_recv() {
            self.look(registry, found);
        }
        self.done.pop_front()
    }

    fn look(&mut self, registry: &Registry, (dial, number, addresses): Found) {
        let attempt = self.attempts.get_mut(&dial).filter(|attempt| attempt.number == number);
        let Some(attempt) = attempt else { return };
        match addresses {
            Err(error) => self.end(dial, Err(error)),
            Ok(addresses) => {
                attempt.addresses = addresses.into();
                self.try_next(registry, dial, io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
        }
    }

    /// Tries the next address; if there is none, the attempt failed with `error`.
    fn try_next(&mut self, registry: &Registry, dial: DialId, error: io::Error) {
        let Some(attempt) = self.attempts.get_mut(&dial) else { return };
        let mut error = error;
        attempt.stream = None;
        while let Some(address) = attempt.addresses.pop_front() {
            let connecting = TcpStream::connect(address).and_then(|mut stream| {
                registry.register(&mut stream, token_of(dial), Interest::WRITABLE)?;
                Ok(stream)
            });
            match connecting {
                Ok(stream) => return attempt.stream = Some(stream),
                Err(failed) => error = failed,
            }
        }
        self.end(dial, Err(error));
    }

    fn end(&mut self, dial: DialId, result: io::Result<(TcpStream, SocketAddr)>) {
        self.attempts.remove(&dial);
        self.done.push_back((dial, result));
    }
}

fn token_of(dial: DialId) -> Token {
    Token(FIRST_TOKEN + dial.0 as usize % TOKENS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_came_to_late_is_not_for_the_next_attempt() {
        let poll = mio::Poll::new().expect("an event queue");
        let waker = mio::Waker::new(poll.registry(), Token(usize::MAX)).expect("a waker");
        let there = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = there.local_addr().expect("an address");
        let mut dials = Dials::new(Arc::new(waker));
        // The first attempt is given up while its name is looked up, and the second looks its own up.
        dials.attempts.insert(DialId(0), Attempt { number: 2, ..Attempt::default() });
        dials.begun = 2;
        for late in [Err(io::ErrorKind::TimedOut.into()), Ok(vec![address])] {
            dials.send.send((DialId(0), 1, late)).expect("it is there");
            assert!(dials.next_done(poll.registry()).is_none());
            assert!(dials.attempts[&DialId(0)].stream.is_none());
        }
        dials.send.send((DialId(0), 2, Ok(vec![address]))).expect("it is there");
        assert!(dials.next_done(poll.registry()).is_none() && dials.attempts[&DialId(0)].stream.is_some());
    }
}
