//! Non-blocking connection attempts.
//!
//! A [`Resolver`] resolves the name. The addresses are tried one after another, and the event loop
//! reports the result of each attempt.

use crate::resolver::Resolver;
use drupe_core::DialId;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// First token of connection attempts, between those of connections and those of listeners.
const FIRST_TOKEN: usize = 1 << 30;
/// Number of tokens of connection attempts.
const TOKENS: usize = 1 << 30;

#[derive(Debug)]
pub(crate) struct Dials {
    attempts: BTreeMap<DialId, Attempt>,
    resolver: Resolver,
    /// The dials whose names are being resolved, by number of the attempt.
    ///
    /// A dial may have started another attempt by the time its name is resolved.
    names: BTreeMap<u64, DialId>,
    done: VecDeque<(DialId, io::Result<(TcpStream, SocketAddr)>)>,
    /// Number of attempts started so far, which is also the number of the last attempt.
    begun: u64,
}

#[derive(Debug, Default)]
struct Attempt {
    number: u64,
    /// The addresses that have not been tried yet.
    addresses: VecDeque<SocketAddr>,
    /// The socket that is connecting to the current address.
    stream: Option<TcpStream>,
}

impl Dials {
    pub(crate) fn new(waker: Arc<mio::Waker>) -> Self {
        let (attempts, names) = (BTreeMap::new(), BTreeMap::new());
        Self { attempts, resolver: Resolver::new(waker), names, done: VecDeque::new(), begun: 0 }
    }

    /// Returns `true` if a token belongs to a connection attempt.
    pub(crate) const fn is_token(token: Token) -> bool {
        token.0 >= FIRST_TOKEN && token.0 < FIRST_TOKEN + TOKENS
    }

    pub(crate) fn begin(&mut self, registry: &Registry, dial: DialId, address: &str) {
        self.begun += 1;
        let number = self.begun;
        self.remove(dial);
        self.attempts.insert(dial, Attempt { number, ..Attempt::default() });
        if let Ok(address) = address.parse() {
            return self.look(registry, dial, Ok(vec![address]));
        }
        match self.resolver.begin(number, address) {
            Ok(()) => drop(self.names.insert(number, dial)),
            Err(error) => self.end(dial, Err(error)),
        }
    }

    pub(crate) fn remove(&mut self, dial: DialId) {
        if let Some(attempt) = self.attempts.remove(&dial)
            && self.names.remove(&attempt.number).is_some()
        {
            self.resolver.cancel(attempt.number);
        }
    }

    /// Handles an event of a connection attempt.
    pub(crate) fn note(&mut self, registry: &Registry, token: Token) {
        let Some(dial) = self.dial_of(token) else { return };
        let Some(stream) = self.attempts.get_mut(&dial).and_then(|attempt| attempt.stream.as_mut()) else { return };
        let failed = stream.take_error().transpose().unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()));
        match (failed, stream.peer_addr()) {
            (Ok(error), _) => self.try_next(registry, dial, error),
            (Err(_), Ok(address)) => {
                if let Some(mut stream) = self.attempts.remove(&dial).and_then(|attempt| attempt.stream) {
                    // It is registered again under its number as a connection.
                    let connected = registry.deregister(&mut stream).map(|()| (stream, address));
                    self.done.push_back((dial, connected));
                }
            }
            // It is still connecting.
            (Err(_), Err(_)) => {}
        }
    }

    /// Starts attempts whose names are resolved, and returns a finished attempt, if any.
    pub(crate) fn next_done(&mut self, registry: &Registry) -> Option<(DialId, io::Result<(TcpStream, SocketAddr)>)> {
        while let Some((number, addresses)) = self.resolver.next() {
            if let Some(dial) = self.names.remove(&number) {
                self.look(registry, dial, addresses);
            }
        }
        self.done.pop_front()
    }

    /// Returns the dial of a token. Ids that differ by a multiple of [`TOKENS`] share a token.
    fn dial_of(&self, token: Token) -> Option<DialId> {
        let first = u32::try_from(token.0 - FIRST_TOKEN).ok()?;
        let step = u32::try_from(TOKENS).ok()?;
        let dials = std::iter::successors(Some(first), |number| number.checked_add(step)).map(DialId::new);
        dials.into_iter().find(|dial| self.attempts.get(dial).is_some_and(|attempt| attempt.stream.is_some()))
    }

    fn look(&mut self, registry: &Registry, dial: DialId, addresses: io::Result<Vec<SocketAddr>>) {
        let Some(attempt) = self.attempts.get_mut(&dial) else { return };
        match addresses {
            Err(error) => self.end(dial, Err(error)),
            Ok(addresses) => {
                attempt.addresses = addresses.into();
                self.try_next(registry, dial, io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
        }
    }

    /// Tries the next address. If there is none, the attempt fails with `error`.
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
    Token(FIRST_TOKEN + dial.number() as usize % TOKENS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]
mod tests {
    use super::*;

    #[test]
    fn stale_name_lookup_does_not_affect_the_next_attempt() {
        let mut poll = mio::Poll::new().expect("an event queue");
        let waker = mio::Waker::new(poll.registry(), Token(usize::MAX)).expect("a waker");
        let mut dials = Dials::new(Arc::new(waker));
        let mut events = mio::Events::with_capacity(4);
        // This name is invalid, so no name server is queried.
        dials.begin(poll.registry(), DialId::new(0), "no port");
        dials.begin(poll.registry(), DialId::new(0), "192.0.2.1");
        assert_eq!(dials.names.values().collect::<Vec<_>>(), [&DialId::new(0)]);
        let done = loop {
            poll.poll(&mut events, None).expect("the resolver wakes the loop");
            if let Some(done) = dials.next_done(poll.registry()) {
                break done;
            }
        };
        assert!(done.0 == DialId::new(0) && done.1.is_err());
        assert!(dials.names.is_empty() && dials.attempts.is_empty() && dials.next_done(poll.registry()).is_none());
        // A cancelled attempt has no result.
        dials.begin(poll.registry(), DialId::new(1), "no port");
        dials.remove(DialId::new(1));
        assert!(dials.names.is_empty() && dials.next_done(poll.registry()).is_none());
    }

    #[test]
    fn token_maps_back_to_its_dial() {
        let poll = mio::Poll::new().expect("an event queue");
        let waker = mio::Waker::new(poll.registry(), Token(usize::MAX)).expect("a waker");
        let there = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = there.local_addr().expect("an address").to_string();
        let mut dials = Dials::new(Arc::new(waker));
        let last = DialId::new(u32::MAX - 1);
        for dial in [DialId::new(0), DialId::new(1), last] {
            dials.begin(poll.registry(), dial, &address);
            assert_eq!(dials.dial_of(token_of(dial)), Some(dial));
        }
        assert_eq!(dials.dial_of(token_of(DialId::new(2))), None);
    }
}
