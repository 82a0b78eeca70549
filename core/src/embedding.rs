//! # Write a shell in an afternoon
//!
//! A shell is whatever has the sockets: an event loop, a game's frame, a kernel without an operating system, a test. It has
//! no decisions to make. It tells the machine what happened (facts) and makes the world as the machine wants it
//! (intentions). These are the steps, each a function that compiles; the example `embed` is a chat server made of the first
//! five and the seventh, in less than 150 lines on `poll(2)`. For another runtime on Unix there is a shorter way: implement
//! `shell::Sockets`, and let `shell::Driver` do the rest (feature `shell`).
//!
//! ## 1. A machine and a clock
//!
//! The machine's time begins when you say so. Take any clock that never goes backwards; if it does, the machine ignores it.
//! It has no entropy of its own either: without a [seed](crate::Config::seed) that nobody can guess, jitter and the masks of
//! a WebSocket's client can be foretold.
//!
//! ```
//! # use drupe_core::{app::Chat, Config, Listen, Machine, Time};
//! # use std::{net::SocketAddr, time::Instant};
//! fn begin(address: SocketAddr) -> (Machine<Chat>, Instant) {
//!     let config = Config { seed: Some(entropy()), ..Config::listening([Listen::lines(address)]) };
//!     let mut machine = Machine::new(config, Chat::default());
//!     machine.started(Time::START);
//!     (machine, Instant::now())
//! }
//!
//! // Whatever you have: here the keys of the standard library's hash maps.
//! fn entropy() -> u64 {
//!     use std::hash::{BuildHasher, Hasher, RandomState};
//!     RandomState::new().build_hasher().finish()
//! }
//!
//! fn now(started: Instant) -> Time {
//!     Time::START + started.elapsed()
//! }
//! ```
//!
//! If the application looks at what outsiders date, such as the expiry of a token, tell it the clock on the wall as well:
//! [`clock_set`](crate::Machine::clock_set) before the start, and again when it has moved apart from the other.
//!
//! ## 2. Accept
//!
//! Ask [`accepting`](crate::Machine::accepting) first: a server that drains wants nobody, and one that is out of descriptors
//! rests. Sockets do not wait: make them non-blocking. A connection gets an id. Keep the socket in a map by id, as here, and
//! drop it in step 4; or in a vector by the id's [`index`](crate::ConnId::index), which is dense, and drop the socket that is
//! still at that index when a new connection gets it. Who is refused is told why.
//!
//! ```
//! # use drupe_core::{AcceptFailure, Accepting, ConnId, Failure, Handler, ListenerId, Machine, Time};
//! # use std::{collections::BTreeMap, io::{self, Write}, net::{TcpListener, TcpStream}};
//! # #[cfg(feature = "std")]
//! fn accept<H: Handler>(
//!     machine: &mut Machine<H>,
//!     now: Time,
//!     id: ListenerId,
//!     listener: &TcpListener,
//!     sockets: &mut BTreeMap<ConnId, TcpStream>,
//! ) {
//!     if machine.accepting(id) != Accepting::Now {
//!         return;
//!     }
//!     match listener.accept() {
//!         Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
//!         Err(error) => machine.accept_failed(now, id, AcceptFailure::from(&error)),
//!         Ok((mut socket, peer)) => match machine.accepted(now, id, peer.into()) {
//!             Ok(conn) if socket.set_nonblocking(true).is_err() => machine.failed(now, conn, Failure::Other),
//!             Ok(conn) => drop(sockets.insert(conn, socket)),
//!             Err(refusal) => drop(socket.write(&refusal.farewell)),
//!         },
//!     }
//! }
//! ```
//!
//! ## 3. Read
//!
//! Read while [`Intent::read`](crate::Intent) says so, into one buffer for all connections. Not to read is how a fast peer
//! is slowed, so never read ahead. If readiness is told you once only (an edge), remember that you left a socket unread.
//!
//! ```
//! # use drupe_core::{ConnId, Failure, Handler, Machine, Time};
//! # use std::io::{self, Read};
//! # #[cfg(feature = "std")]
//! fn read<H: Handler>(machine: &mut Machine<H>, now: Time, conn: ConnId, socket: &mut impl Read, buffer: &mut [u8]) {
//!     if !machine.intent(conn).is_some_and(|intent| intent.read) {
//!         return;
//!     }
//!     match socket.read(buffer) {
//!         Ok(0) => machine.ended(now, conn),
//!         Ok(bytes) => machine.received(now, conn, &mut buffer[..bytes]),
//!         Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
//!         Err(error) => machine.failed(now, conn, Failure::from(&error)),
//!     }
//! }
//! ```
//!
//! ## 4. Write, at the end of the turn
//!
//! First read everybody who is ready, then write to everybody whose intent changed: what was published meanwhile is one
//! write for each. The bytes belong to the machine; say how many were taken, and when nothing more is. An intent that is
//! gone means that the socket is to be dropped. Each connection that is gone is named once more, by its own id, also when
//! another connection has got its index meanwhile.
//!
//! ```
//! # use drupe_core::{ConnId, End, Failure, Handler, Machine, Time};
//! # use std::{collections::BTreeMap, io::{self, Write}, net::{Shutdown, TcpStream}};
//! # #[cfg(feature = "std")]
//! fn write_all<H: Handler>(machine: &mut Machine<H>, now: Time, sockets: &mut BTreeMap<ConnId, TcpStream>) {
//!     while let Some(conn) = machine.next_changed() {
//!         let Some(socket) = sockets.get_mut(&conn) else { continue };
//!         while let Some(intent) = machine.intent(conn) {
//!             if intent.transmit.is_empty() {
//!                 if intent.end == End::Shutdown {
//!                     let _ = socket.shutdown(Shutdown::Write);
//!                 }
//!                 break;
//!             }
//!             match socket.write(intent.transmit.first()) {
//!                 Ok(bytes) => machine.wrote(now, conn, bytes),
//!                 Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
//!                     machine.blocked(now, conn);
//!                     break; // and again when the socket is writable
//!                 }
//!                 Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
//!                 Err(error) => machine.failed(now, conn, Failure::from(&error)),
//!             }
//!         }
//!         if machine.intent(conn).is_none() {
//!             sockets.remove(&conn);
//!         }
//!     }
//!     machine.turn_ended(now);
//! }
//! ```
//!
//! ## 5. Sleep
//!
//! Wait until something is ready or the [`deadline`](crate::Machine::deadline) has come, then call
//! [`elapsed`](crate::Machine::elapsed). There is one deadline for everything: idle peers, slow ones, timers of the
//! application, back-off.
//!
//! ```
//! # use drupe_core::{Handler, Machine, Time};
//! # use std::time::Duration;
//! fn timeout<H: Handler>(machine: &Machine<H>, now: Time) -> Option<Duration> {
//!     machine.deadline().map(|deadline| deadline.at.since(now))
//! }
//! ```
//!
//! ## 6. Connect, if the application dials
//!
//! [`next_changed_dial`](crate::Machine::next_changed_dial) names the dials of which an attempt may have to begin or to be given
//! up, and [`address_to_dial`](crate::Machine::address_to_dial) says which: begin one if there is an address and none is going
//! on, give it up if there is no address. Tell how each went. This one waits until it is connected, which a loop that serves
//! others must not.
//!
//! ```
//! # use drupe_core::{ConnId, Failure, Handler, Machine, Time};
//! # use std::{collections::BTreeMap, net::TcpStream};
//! # #[cfg(feature = "std")]
//! fn dial<H: Handler>(machine: &mut Machine<H>, now: Time, sockets: &mut BTreeMap<ConnId, TcpStream>) {
//!     while let Some(dial) = machine.next_changed_dial() {
//!         let Some(address) = machine.address_to_dial(dial) else { continue };
//!         match TcpStream::connect(address).and_then(|socket| Ok((socket.peer_addr()?, socket))) {
//!             Err(error) => machine.dial_failed(now, dial, Failure::from(&error)),
//!             // Nobody wants it any more if there is no id.
//!             Ok((peer, socket)) => {
//!                 if let Some(conn) = machine.dialed(now, dial, peer.into()) {
//!                     sockets.insert(conn, socket);
//!                 }
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! ## 7. End
//!
//! [`requested`](crate::Machine::requested) a drain, go on turning until [`is_drained`](crate::Machine::is_drained), and go.
//! Notes from other threads arrive as [`noted`](crate::Machine::noted).
//!
//! ```
//! # use drupe_core::{Handler, Machine, Request, Time};
//! fn end<H: Handler>(machine: &mut Machine<H>, now: Time, mut turn: impl FnMut(&mut Machine<H>)) {
//!     machine.requested(now, &Request::Drain);
//!     while !machine.is_drained() {
//!         turn(machine);
//!     }
//! }
//! ```
//!
//! ## 8. On several threads
//!
//! One machine for each, made with [`Machine::shard`](crate::Machine::shard). The first accepts with
//! [`dispatched`](crate::Machine::dispatched), which says who [adopts](crate::Machine::adopted) the connection; after each
//! turn, letters go where they are addressed.
//!
//! ```
//! # use drupe_core::{Addressee, Handler, Letter, Machine};
//! fn letters<H: Handler>(machine: &mut Machine<H>, mut post: impl FnMut(u8, Letter)) {
//!     let us = machine.which_shard();
//!     while let Some((to, letter)) = machine.next_letter() {
//!         match to {
//!             Addressee::First => post(0, letter),
//!             Addressee::Shard(n) => post(n, letter),
//!             Addressee::Others => (0..us.count()).filter(|&n| n != us.number()).for_each(|n| post(n, letter.clone())),
//!         }
//!     }
//! }
//! ```
//!
//! A drain is requested of every machine, and the first goes last. Who can't be handed over is told to the first as
//! [`Letter::Left`](crate::Letter::Left). If letters wait for a machine that does not take them, tell those that write them:
//! [`held_back`](crate::Machine::held_back).
//!
//! ## 9. Jobs, if you have a thread for them
//!
//! The application may give away what takes milliseconds, such as hashing a password ([`Hub::offload`](crate::Hub::offload)). Such
//! a job runs at once, on your thread, unless you say that you take jobs: [`takes_jobs`](crate::Machine::takes_jobs) before the
//! start, [`take_job`](crate::Machine::take_job) at the end of each turn, [`Job::run`](crate::Job::run) elsewhere, and
//! [`job_done`](crate::Machine::job_done) with the outcome.
//!
//! ## What may go wrong
//!
//! A shell that reads without being asked to, or forgets [`blocked`](crate::Machine::blocked), weakens the limits, and
//! nothing else: facts can't fail. Record the facts ([`trace`](crate::trace)) and replay them to see what the machine saw.
