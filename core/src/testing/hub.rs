//! A whole machine in virtual time, with its peers.

use super::end::PeerEnd;
use crate::base::Failure;
use crate::base::{ConnId, DialId, ListenerId, Peer, Reason, Time, UnixTime};
use crate::config::Config;
use crate::config::Listen;
use crate::facts::Command;
use crate::facts::Refusal;
use crate::handler::Handler;
use crate::machine::{End, Machine};
use crate::tls::Secured;
use crate::tunnel::{LinkId, TunnelReport};
use crate::wire::DecodeBuffer;
use crate::wire::telnet::Terminal;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

/// A whole server in virtual time, for tests of a [`Handler`].
///
/// A panic of the handler continues in the test, so that assertions in a handler can fail. Tests of
/// how a server handles panics can [catch](Self::catch_panics) them.
pub struct TestHub<H: Handler> {
    machine: Machine<H>,
    now: Time,
    peers: BTreeMap<ConnId, TestPeer>,
    next_port: u16,
    /// Peers with input for their end of the protocol.
    fresh: Vec<ConnId>,
    /// The number of calls that the peers made, which is the id of the last one.
    #[cfg(feature = "json")]
    pub(super) calls: u64,
}

struct TestPeer {
    peer: Peer,
    received: Vec<u8>,
    /// Number of bytes of `received` that `end` has decoded.
    decoded: usize,
    /// The peer's end of a protocol that answers by itself, if a test began one.
    end: Option<PeerEnd>,
    /// Number of bytes that the peer's socket still accepts. `usize::MAX`: no limit.
    writable: usize,
    closed: bool,
}

impl TestPeer {
    const fn new(peer: Peer) -> Self {
        Self { peer, received: Vec::new(), decoded: 0, end: None, writable: usize::MAX, closed: false }
    }
}

impl<H: Handler> fmt::Debug for TestHub<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHub").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl<H: Handler> TestHub<H> {
    /// Starts a server with one listener for lines, the default limits and seed 0.
    pub fn new(handler: H) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::with_config(Config::listening([Listen::lines(any)]), handler)
    }

    /// Starts a server with this configuration. Its wall clock starts at 2027-01-15, 08:00 UTC.
    pub fn with_config(config: Config, handler: H) -> Self {
        let mut machine = Machine::new(config, handler);
        machine.keep_panics(true);
        machine.clock_set(Time::START, UnixTime::from_secs(1_800_000_000));
        machine.started(Time::START);
        machine.resume_panic();
        Self {
            machine,
            now: Time::START,
            peers: BTreeMap::new(),
            next_port: 40_000,
            fresh: Vec::new(),
            #[cfg(feature = "json")]
            calls: 0,
        }
    }

    /// Makes the machine catch panics of the handler, as on a server. Needs `std`.
    ///
    /// A panic then ends the connection of its event, and the test continues.
    pub fn catch_panics(&mut self) {
        self.machine.keep_panics(false);
    }

    /// Connects a peer to the first listener, from a new port of `127.0.0.1`.
    ///
    /// # Panics
    /// If it is refused (see [`try_connect`](Self::try_connect)), or the configuration has no
    /// listener.
    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    pub fn connect(&mut self) -> ConnId {
        let port = self.next_port;
        self.next_port = self.next_port.wrapping_add(1);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match self.try_connect(ListenerId(0), address.into()) {
            Ok(id) => id,
            Err(refusal) => panic!("the peer was refused: {}", refusal.reason),
        }
    }

    /// Connects a peer to a listener.
    ///
    /// # Errors
    /// If it is refused.
    ///
    /// # Panics
    /// If the configuration never had such a listener.
    pub fn try_connect(&mut self, listener: ListenerId, peer: Peer) -> Result<ConnId, Refusal> {
        assert!(
            self.machine.has_had_listener(listener),
            "there is no listener {}: the configuration has {}; `Config::listening` makes one that has some",
            listener.0,
            self.machine.config().listeners.len(),
        );
        let outcome = self.machine.accepted(self.now, listener, peer);
        self.machine.resume_panic();
        let id = outcome?;
        self.peers.insert(id, TestPeer::new(peer));
        self.flush();
        Ok(id)
    }

    /// Sends one line from a peer.
    pub fn line(&mut self, conn: ConnId, text: &str) {
        self.send(conn, &[text.as_bytes(), b"\n"].concat());
    }

    /// Sends bytes from a peer.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.machine.received(self.now, conn, &mut bytes.to_vec());
        self.flush();
    }

    /// Ends a peer's half of the connection.
    pub fn end(&mut self, conn: ConnId) {
        self.machine.ended(self.now, conn);
        self.flush();
    }

    /// Breaks a peer's connection with `failure`.
    pub fn fail(&mut self, conn: ConnId, failure: Failure) {
        self.machine.failed(self.now, conn, failure);
        self.flush();
    }

    /// Sets the number of bytes that a peer's socket still accepts, and writes pending output.
    ///
    /// `usize::MAX`: no limit.
    pub fn set_writable(&mut self, conn: ConnId, bytes: usize) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.writable = bytes;
        }
        self.push(conn);
        self.flush();
    }

    /// Delivers a note to the handler.
    pub fn note(&mut self, note: H::Note) {
        self.machine.noted(self.now, note);
        self.flush();
    }

    /// Runs an operator's command.
    pub fn command(&mut self, command: &Command) {
        self.machine.command(self.now, command);
        self.flush();
    }

    /// Reports a completed TLS handshake, for [`Tls::external`](crate::tls::Tls::external).
    pub fn secured(&mut self, conn: ConnId, secured: &Secured) {
        self.machine.secured(self.now, conn, secured);
        self.flush();
    }

    /// Replaces the configuration.
    pub fn reconfigure(&mut self, config: Config) {
        self.machine.reconfigured(self.now, config);
        self.flush();
    }

    /// Reports a successful dial. Returns its connection.
    ///
    /// Returns `None` if the dial has no attempt in progress, or [no roots](Machine::dialed).
    pub fn dialed(&mut self, dial: DialId, peer: Peer) -> Option<ConnId> {
        let id = self.machine.dialed(self.now, dial, peer);
        self.machine.resume_panic();
        let Some(id) = id else {
            self.flush();
            return None;
        };
        self.peers.insert(id, TestPeer::new(peer));
        self.flush();
        Some(id)
    }

    /// Reports a failed dial.
    pub fn dial_failed(&mut self, dial: DialId, failure: Failure) {
        self.machine.dial_failed(self.now, dial, failure);
        self.flush();
    }

    /// Advances the clock, stopping at every deadline on the way.
    pub fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(deadline) = self.machine.deadline().filter(|deadline| deadline.at <= until) {
            self.now = self.now.max(deadline.at);
            self.machine.elapsed(self.now);
            self.flush();
        }
        self.now = until;
        self.machine.elapsed(until);
        self.flush();
    }

    /// Reports an event of an SSH connection of a [tunnel](crate::tunnel).
    pub fn tunnel_reported(&mut self, link: LinkId, report: &TunnelReport) {
        self.machine.tunnel_reported(self.now, link, report);
        self.flush();
    }

    /// Sets the wall clock of the machine to `unix`.
    pub fn set_clock(&mut self, unix: UnixTime) {
        self.machine.clock_set(self.now, unix);
        self.flush();
    }

    /// Returns the lines that a peer received since the last [`clear`](Self::clear).
    ///
    /// The last line may be incomplete.
    #[must_use]
    pub fn lines(&self, conn: ConnId) -> Vec<String> {
        String::from_utf8_lossy(self.received(conn)).lines().map(ToString::to_string).collect()
    }

    /// Returns all bytes that a peer received since the last [`clear`](Self::clear).
    #[must_use]
    pub fn received(&self, conn: ConnId) -> &[u8] {
        self.peers.get(&conn).map_or(&[], |peer| &peer.received)
    }

    /// Returns the messages that a peer received since the last [`clear`](Self::clear).
    ///
    /// They are decoded with the first listener's wire.
    #[must_use]
    pub fn messages(&self, conn: ConnId) -> Vec<Vec<u8>> {
        let wire = self.machine.config().listeners.first().map(|listen| listen.protocol.wire()).unwrap_or_default();
        let (mut decoder, mut bytes) = (wire.decoder(), self.received(conn).to_vec());
        let (mut at, mut messages) = (0, Vec::new());
        let (mut scratch, budget) = (DecodeBuffer::default(), &self.machine.config().peer.budget);
        while at < bytes.len()
            && let Ok(decoded) = decoder.decode(&mut bytes[at..], &mut scratch, budget)
        {
            at += decoded.used;
            messages.extend(decoded.message().map(|payload| payload.as_bytes().to_vec()));
        }
        messages
    }

    /// Discards everything that the peers received. The screens of telnet clients stay as they are.
    pub fn clear(&mut self) {
        for peer in self.peers.values_mut() {
            peer.received.clear();
            peer.decoded = 0;
            if let Some(end) = &mut peer.end {
                end.clear();
            }
        }
    }

    /// Returns the address of a peer, or [`Peer::Local`] if the connection is unknown.
    #[must_use]
    pub fn peer(&self, conn: ConnId) -> Peer {
        self.peers.get(&conn).map_or(Peer::Local, |peer| peer.peer)
    }

    /// Returns `true` if the peer's connection was closed or is unknown.
    #[must_use]
    pub fn is_closed(&self, conn: ConnId) -> bool {
        self.peers.get(&conn).is_none_or(|peer| peer.closed)
    }

    /// Returns the number of connections that ended with `reason`, including HTTP without upgrade.
    #[must_use]
    pub fn ended(&self, reason: Reason) -> u64 {
        let metrics = self.machine.metrics();
        metrics.ended.get(reason) + metrics.http_ended.get(reason)
    }

    /// Returns the current virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Returns the machine of the server.
    #[must_use]
    pub fn machine(&self) -> &Machine<H> {
        &self.machine
    }

    /// Returns the handler of the application.
    #[must_use]
    pub fn handler(&self) -> &H {
        self.machine.handler()
    }

    /// Calls `change` with the handler, outside of any event. Returns the result.
    pub fn with_handler<T>(&mut self, change: impl FnOnce(&mut H) -> T) -> T {
        change(self.machine.handler_mut())
    }

    /// Returns the terminal properties that a telnet peer reported, or `None` for other wires.
    #[must_use]
    pub fn terminal(&self, conn: ConnId) -> Option<&Terminal> {
        self.machine.terminal(conn)
    }

    /// Makes a peer decode what it receives, and answer as its protocol requires.
    pub(super) fn begin(&mut self, conn: ConnId, end: PeerEnd) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.end = Some(end);
            self.fresh.push(conn);
        }
        self.flush();
    }

    /// Returns the peer's end of its protocol, if a test began one.
    pub(super) fn end_of(&self, conn: ConnId) -> Option<&PeerEnd> {
        self.peers.get(&conn)?.end.as_ref()
    }

    /// Returns the peer's end of its protocol for modification, if a test began one.
    pub(super) fn end_of_mut(&mut self, conn: ConnId) -> Option<&mut PeerEnd> {
        self.peers.get_mut(&conn)?.end.as_mut()
    }

    /// Returns a seed for a client's masks, which differs between connections.
    pub(super) fn seed_for(&self, conn: ConnId) -> u64 {
        let place = self.peers.keys().position(|known| *known == conn).unwrap_or_default();
        self.machine.config().seed.unwrap_or_default().wrapping_add(place as u64)
    }

    /// Writes the output of all changed connections and ends the turn, as a shell does. Repeats
    /// that while peers answer.
    fn flush(&mut self) {
        loop {
            while let Some(id) = self.machine.next_changed() {
                self.push(id);
            }
            self.machine.turn_ended(self.now);
            self.machine.resume_panic();
            if self.fresh.is_empty() {
                return;
            }
            for id in core::mem::take(&mut self.fresh) {
                self.answer(id);
            }
        }
    }

    /// Lets a peer decode what it received, and sends its answer.
    fn answer(&mut self, id: ConnId) {
        let Some(TestPeer { received, decoded, end: Some(end), closed, .. }) = self.peers.get_mut(&id) else { return };
        let mut answer = end.take(received.get(*decoded..).unwrap_or_default());
        *decoded = received.len();
        if !answer.is_empty() && !*closed {
            self.machine.received(self.now, id, &mut answer);
        }
    }

    fn push(&mut self, id: ConnId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(intent) = self.machine.intent(id) else {
            peer.closed = true;
            return;
        };
        let (mut taken, pending) = (0, intent.transmit.len());
        if pending > 0 && peer.end.is_some() {
            self.fresh.push(id);
        }
        for slice in intent.transmit.slices() {
            let take = slice.len().min(peer.writable);
            peer.received.extend_from_slice(&slice[..take]);
            if peer.writable != usize::MAX {
                peer.writable -= take;
            }
            taken += take;
        }
        if intent.end == End::Shutdown && !peer.closed {
            // Every test peer closes its half as soon as the machine closed ours.
            peer.closed = true;
            self.machine.ended(self.now, id);
            return;
        }
        if taken > 0 {
            self.machine.wrote(self.now, id, taken);
        }
        if taken < pending {
            self.machine.blocked(self.now, id);
        }
    }
}
