//! Non-blocking connection attempts.
//!
//! A [`Race`] decides when each address of a host is tried. The event queue reports the result of each attempt.

use crate::{Attempts, DIALS_PER_TURN, Dialed, Names, OsStream, Race, RaceAction, Route, tune};
use drupe_core::{DialId, Peer, Time};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Waker;

/// First token of connection attempts, between those of connections and those of listeners.
const FIRST_TOKEN: usize = 1 << 30;
/// Number of tokens of connection attempts.
const TOKENS: usize = 1 << 30;

/// Returns `true` if a token belongs to a connection attempt.
pub(super) const fn is_token(token: Token) -> bool {
    token.0 >= FIRST_TOKEN && token.0 < FIRST_TOKEN + TOKENS
}

/// The connection attempts of an event queue.
#[derive(Debug)]
pub(super) struct Dials {
    registry: Arc<Registry>,
    names: Names,
    resolving: Attempts<Vec<SocketAddr>>,
    racing: BTreeMap<DialId, Racing>,
    /// When the races continue.
    deadlines: BTreeSet<(Time, DialId)>,
    /// The dials of the sockets that are connecting, and the numbers of their attempts.
    tokens: BTreeMap<Token, (DialId, usize)>,
    /// Number of tokens used so far. A token is reused late, so a late event finds no other socket.
    used: usize,
    done: BTreeMap<DialId, io::Result<(OsStream, Peer)>>,
    now: Time,
    /// Number of races that may still continue in this turn.
    left: usize,
}

/// The race between the addresses of a dial, and its sockets by the numbers of their attempts.
#[derive(Debug)]
struct Racing {
    race: Race,
    connecting: BTreeMap<usize, (Token, TcpStream)>,
    deadline: Option<Time>,
}

impl Dials {
    pub(super) fn new(registry: Arc<Registry>, names: Names) -> Self {
        Self {
            registry,
            names,
            resolving: Attempts::new(),
            racing: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            tokens: BTreeMap::new(),
            used: 0,
            done: BTreeMap::new(),
            now: Time::START,
            left: DIALS_PER_TURN,
        }
    }

    /// Begins a turn of the driver, which `task` wakes once a name is resolved.
    pub(super) fn begin_turn(&mut self, now: Time, task: &Waker) {
        self.now = now;
        self.left = DIALS_PER_TURN;
        self.resolving.begin_turn(task);
    }

    /// Returns when a race continues, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    pub(super) fn begin(&mut self, dial: DialId, address: &str) {
        self.remove(dial);
        match Route::begin(&self.names, address) {
            Ok(Route::Network(resolving)) => self.resolving.begin(dial, resolving),
            Ok(Route::Local(stream)) => {
                self.done.insert(dial, Ok((OsStream::Unix(stream), Peer::Local)));
            }
            Err(error) => drop(self.done.insert(dial, Err(error))),
        }
    }

    pub(super) fn remove(&mut self, dial: DialId) {
        self.resolving.remove(dial);
        self.done.remove(&dial);
        if let Some(racing) = self.racing.remove(&dial) {
            for (token, _) in racing.connecting.values() {
                self.tokens.remove(token);
            }
            racing.deadline.map(|at| self.deadlines.remove(&(at, dial)));
        }
    }

    /// Handles an event of a connection attempt.
    pub(super) fn note(&mut self, token: Token) {
        let Some(&(dial, number)) = self.tokens.get(&token) else { return };
        let Some(racing) = self.racing.get_mut(&dial) else { return };
        let Some((_, stream)) = racing.connecting.get(&number) else { return };
        match (stream.take_error(), stream.peer_addr()) {
            (Ok(Some(error)) | Err(error), _) => {
                racing.race.failed(number, error);
                racing.connecting.remove(&number);
                self.tokens.remove(&token);
                // The race continues in the next turn.
                self.schedule(dial, Some(Time::START));
            }
            (Ok(None), Ok(address)) => {
                racing.race.connected(number);
                if let Some((_, mut stream)) = racing.connecting.remove(&number) {
                    self.tokens.remove(&token);
                    self.remove(dial);
                    tune(&stream);
                    // It is registered again under its number as a connection.
                    let connected = self.registry.deregister(&mut stream);
                    let stream = OsStream::Tcp(OwnedFd::from(stream).into());
                    self.done.insert(dial, connected.map(|()| (stream, Peer::from(address))));
                }
            }
            // It is still connecting.
            (Ok(None), Err(_)) => {}
        }
    }

    /// Continues the races that are due, and returns a finished attempt, if any.
    pub(super) fn next_done(&mut self) -> Option<Dialed<OsStream>> {
        while let Some((dial, resolved)) = self.resolving.next_done() {
            match resolved {
                Ok(addresses) => {
                    let racing = Racing { race: Race::new(addresses), connecting: BTreeMap::new(), deadline: None };
                    self.racing.insert(dial, racing);
                    self.schedule(dial, Some(Time::START));
                }
                Err(error) => drop(self.done.insert(dial, Err(error))),
            }
        }
        while self.left > 0
            && let Some(&(_, dial)) = self.deadlines.first().filter(|(at, _)| *at <= self.now)
        {
            self.left -= 1;
            self.advance(dial);
        }
        self.done.pop_first()
    }

    /// Performs the actions that the race of a dial returns.
    fn advance(&mut self, dial: DialId) {
        let Some(racing) = self.racing.get_mut(&dial) else { return };
        while let Some(action) = racing.race.next_action(self.now) {
            match action {
                RaceAction::Connect(number, address) => {
                    let token = free_token(&self.tokens, &mut self.used);
                    let connecting = TcpStream::connect(address).and_then(|mut stream| {
                        self.registry.register(&mut stream, token, Interest::WRITABLE)?;
                        Ok(stream)
                    });
                    match connecting {
                        Ok(stream) => {
                            self.tokens.insert(token, (dial, number));
                            racing.connecting.insert(number, (token, stream));
                        }
                        Err(error) => racing.race.failed(number, error),
                    }
                }
                RaceAction::Cancel(number) => {
                    let cancelled = racing.connecting.remove(&number);
                    cancelled.map(|(token, _)| self.tokens.remove(&token));
                }
            }
        }
        let (deadline, is_lost) = (racing.race.deadline(), racing.race.is_lost());
        self.schedule(dial, deadline);
        if is_lost && let Some(racing) = self.racing.remove(&dial) {
            self.done.insert(dial, Err(racing.race.into_error()));
        }
    }

    /// Sets when the race of a dial continues.
    fn schedule(&mut self, dial: DialId, deadline: Option<Time>) {
        let Some(racing) = self.racing.get_mut(&dial) else { return };
        let old = core::mem::replace(&mut racing.deadline, deadline);
        old.map(|at| self.deadlines.remove(&(at, dial)));
        deadline.map(|at| self.deadlines.insert((at, dial)));
    }
}

/// Returns a token that no socket uses.
fn free_token(tokens: &BTreeMap<Token, (DialId, usize)>, used: &mut usize) -> Token {
    loop {
        let token = Token(FIRST_TOKEN + *used % TOKENS);
        *used = (*used + 1) % TOKENS;
        // There are more tokens than descriptors, so one is free.
        if !tokens.contains_key(&token) {
            return token;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]
mod tests {
    use super::*;
    use std::net::TcpListener;

    struct Loop {
        poll: mio::Poll,
        dials: Dials,
    }

    impl Loop {
        fn new() -> Self {
            let poll = mio::Poll::new().expect("an event queue");
            let dials = Dials::new(Arc::new(poll.registry().try_clone().expect("a descriptor")), Names::default());
            Self { poll, dials }
        }

        /// Waits for events until an attempt has finished.
        fn wait(&mut self) -> Dialed<OsStream> {
            let mut events = mio::Events::with_capacity(4);
            loop {
                self.dials.begin_turn(Time::START, Waker::noop());
                if let Some(done) = self.dials.next_done() {
                    return done;
                }
                self.poll.poll(&mut events, None).expect("an event");
                events.iter().for_each(|event| self.dials.note(event.token()));
            }
        }

        fn is_empty(&self) -> bool {
            let Dials { racing, deadlines, tokens, done, .. } = &self.dials;
            racing.is_empty() && deadlines.is_empty() && tokens.is_empty() && done.is_empty()
        }
    }

    #[test]
    fn replaced_and_cancelled_attempts_leave_nothing_behind() {
        let mut world = Loop::new();
        let (_one, one) = listener();
        let (_two, two) = listener();
        world.dials.begin(DialId::new(0), "no port");
        world.dials.begin(DialId::new(0), &one.to_string());
        assert!(world.dials.next_done().is_none(), "it connects");
        world.dials.begin(DialId::new(0), &two.to_string());
        let (dial, result) = world.wait();
        assert_eq!((dial, result.expect("it listens").1), (DialId::new(0), Peer::from(two)));
        assert!(world.is_empty());
        world.dials.begin(DialId::new(1), &one.to_string());
        assert!(world.dials.next_done().is_none());
        world.dials.remove(DialId::new(1));
        assert!(world.is_empty());
        world.dials.begin(DialId::new(1), "no port");
        let (dial, result) = world.wait();
        assert_eq!((dial, result.expect_err("no port").kind()), (DialId::new(1), io::ErrorKind::InvalidInput));
        assert!(world.is_empty());
    }

    #[test]
    fn dials_of_many_applications_do_not_mix() {
        let mut world = Loop::new();
        // The index of the application is the highest byte of the number.
        let numbers = [0, 1, 64 << 24, 128 << 24, 192 << 24, u32::MAX];
        let listeners = numbers.map(|_| listener());
        for (number, (_, address)) in numbers.into_iter().zip(&listeners) {
            world.dials.begin(DialId::new(number), &address.to_string());
        }
        let mut found = BTreeMap::new();
        while found.len() < numbers.len() {
            let (dial, result) = world.wait();
            found.insert(dial.number(), result.expect("it listens").1);
        }
        for (number, (_, address)) in numbers.into_iter().zip(&listeners) {
            assert_eq!(found[&number], Peer::from(*address));
        }
        assert!(world.is_empty());
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }
}
