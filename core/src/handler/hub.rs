use crate::base::{
    AddressKey, ConnId, DialId, Identity, ListenerId, Outgoing, Payload, Peer, Reason, Representation, Time, UnixTime,
};
use crate::config::Dial;
use crate::config::JoinError;
use crate::config::SlowPolicy;
use crate::config::{Config, Listen, TicketError};
use crate::facts::Shard;
use crate::metrics::Metrics;
use crate::state::conn::Conn;
use crate::state::{Ending, State};
use crate::state::{Offloaded, Ticket, Timer, Traffic};
use crate::tls::Secured;
use crate::tunnel::TunnelStatus;
use crate::wire::telnet::{InputMode, Session, Side, Terminal};
use crate::wire::websocket::CloseCode;
use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

/// The application's access to the server while it handles an event.
///
/// Sending never blocks and never returns an error. A message to a connection that is over or
/// closing is discarded; its [`Event::Closed`](crate::Event::Closed) follows. Messages that a wire
/// cannot carry, or that are longer than 1 GiB, are counted in [`Metrics::messages_unsendable`].
///
/// Each connection receives messages in the order in which they were sent, direct messages and
/// those of all its rooms alike.
pub struct Hub<'a, C> {
    pub(crate) state: &'a mut State<C>,
}

impl<C> fmt::Debug for Hub<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("now", &self.state.now).finish_non_exhaustive()
    }
}

impl<C> Hub<'_, C> {
    /// Borrows the hub for a shorter lifetime, for functions that take it by value.
    pub fn reborrow(&mut self) -> Hub<'_, C> {
        Hub { state: self.state }
    }
}

impl<C: Default> Hub<'_, C> {
    /// The time of the fact that the machine is handling.
    #[must_use]
    pub fn now(&self) -> Time {
        self.state.now
    }

    /// 64 random bits from the configured seed. Not for secrets: one number reveals all later ones.
    pub fn random(&mut self) -> u64 {
        self.state.random.next_u64()
    }

    /// The [shard](crate::Shard) of the server that this is.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.state.post.shard
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// A snapshot of the counters and gauges.
    ///
    /// It copies some KiB and visits every connection, so do not call it for every message.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.state.metrics()
    }

    /// The application's state for a connection. `None` after its `Closed` event.
    pub fn context(&mut self, conn: ConnId) -> Option<&mut C> {
        if self.state.conns.id(conn.slot()) != conn {
            return None;
        }
        self.state.contexts.get_mut(conn.index())?.as_mut()
    }

    /// The address of a connection's peer.
    ///
    /// Available as long as there is a socket: at least until `Closed`.
    #[must_use]
    pub fn peer(&self, conn: ConnId) -> Option<Peer> {
        self.state.conns.get(conn).map(|conn| conn.peer)
    }

    /// How long no byte has been read from a connection that could send.
    ///
    /// Zero if the connection is over, if its input is not read or not served yet, or if the peer
    /// has ended its half.
    #[must_use]
    pub fn silent_for(&self, conn: ConnId) -> Duration {
        let speaks = |found: &&Conn| !found.input_ended && !found.is_unserved() && !self.state.must_wait(conn.slot());
        let found = self.state.conns.get(conn).filter(speaks);
        found.map_or(Duration::ZERO, |found| self.state.now.since(found.last_byte_at))
    }

    /// How long a connection has been open. Zero if it is over.
    #[must_use]
    pub fn age(&self, conn: ConnId) -> Duration {
        self.state.conns.get(conn).map_or(Duration::ZERO, |conn| self.state.now.since(conn.opened_at))
    }

    /// Whether a connection is open, that is, has not begun to end.
    #[must_use]
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.state.open_slot(conn).is_some()
    }

    /// All open connections, ordered by index.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.state.conns.ids().filter(|&id| self.is_open(id))
    }

    /// Queues a message for one connection.
    ///
    /// Returns false if the connection is over, if its wire cannot carry a message of that length,
    /// or if this message made it a slow consumer.
    pub fn send<'p>(&mut self, conn: ConnId, payload: impl Into<Outgoing<'p>>) -> bool {
        self.state.send(conn, payload.into())
    }

    /// Queues a message for each of these connections, encoding it once per wire.
    ///
    /// Returns for how many. A connection that is listed twice gets it twice.
    pub fn send_each<'p>(&mut self, conns: &[ConnId], payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.send_each(conns, payload.into())
    }

    /// Queues a message for every member of a room, encoding it once per wire.
    ///
    /// Returns for how many. On a server of several [shards](crate::Shard), members on other shards
    /// get it a moment later and are not counted.
    pub fn publish<'p>(&mut self, room: &str, payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.publish_everywhere(room, &[], payload.into())
    }

    /// As [`publish`](Self::publish), except for these connections.
    pub fn publish_except<'p>(&mut self, room: &str, except: &[ConnId], payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.publish_everywhere(room, except, payload.into())
    }

    /// Sets which representation of an [`Outgoing`] a connection gets from now on.
    pub fn set_representation(&mut self, conn: ConnId, representation: Representation) {
        self.state.set_representation(conn, representation);
    }

    /// Sets a connection's label, which the monitor shows to operators.
    ///
    /// A label proves nothing; for that, see [`identify`](Self::identify). Characters that act on a
    /// terminal are removed, and at most 64 characters are kept. An empty label removes it.
    pub fn set_label(&mut self, conn: ConnId, label: &str) {
        self.state.set_label(conn, label);
    }

    /// The [label](Self::set_label) of a connection.
    #[must_use]
    pub fn label(&self, conn: ConnId) -> Option<&str> {
        self.state.labels.get(conn)
    }

    /// The representation that a connection gets.
    #[must_use]
    pub fn representation(&self, conn: ConnId) -> Representation {
        self.state.representation(conn)
    }

    /// What a telnet peer reported about its terminal. `None` for other wires.
    #[must_use]
    pub fn terminal(&self, conn: ConnId) -> Option<&Terminal> {
        self.state.terminal(conn)
    }

    /// Queues text without a message terminator, on wires of lines. Returns false on other wires.
    ///
    /// See [`Session::write`](crate::telnet::Session::write).
    pub fn write<'p>(&mut self, conn: ConnId, payload: impl Into<Payload<'p>>) -> bool {
        self.state.write(conn, payload.into())
    }

    /// Queues `text` as a prompt, without a line ending. A telnet peer also gets a prompt marker.
    ///
    /// Where the server edits lines, the prompt stays in front of the input until the line is
    /// complete. Returns false on wires without lines.
    pub fn prompt(&mut self, conn: ConnId, text: &str) -> bool {
        self.state.with_session(conn, |session| session.prompt(text, false)).is_some() || self.write(conn, text)
    }

    /// As [`prompt`](Self::prompt), for input that should not be shown, such as a password.
    ///
    /// Returns false if the input will be visible: the peer does not speak telnet, or not yet (it
    /// is asked to hide the input once it does), or it has refused before.
    pub fn prompt_hidden(&mut self, conn: ConnId, text: &str) -> bool {
        let hides = |session: &mut Session| {
            session.prompt(text, true);
            session.hides()
        };
        let hides = self.state.with_session(conn, hides);
        hides.unwrap_or_else(|| {
            self.write(conn, text);
            false
        })
    }

    /// Sets how a telnet peer's input arrives. Returns false on other wires.
    ///
    /// Input arrives as lines until the peer agrees, which
    /// [`Signal::InputMode`](crate::telnet::Signal) reports.
    pub fn set_input_mode(&mut self, conn: ConnId, mode: InputMode) -> bool {
        self.state.with_session(conn, |session| session.set_mode(mode)).is_some()
    }

    /// Requests an option from a telnet peer, as soon as it is known to speak telnet.
    ///
    /// Returns false on other wires. [`Signal::Option`](crate::telnet::Signal) reports when the
    /// option goes on or off, but not when it is refused.
    pub fn enable_option(&mut self, conn: ConnId, side: Side, option: u8) -> bool {
        self.state.with_session(conn, |session| session.enable_option(side, option)).is_some()
    }

    /// Disables a telnet option, and withdraws a request for it. Returns false on other wires.
    pub fn disable_option(&mut self, conn: ConnId, side: Side, option: u8) -> bool {
        self.state.with_session(conn, |session| session.disable_option(side, option)).is_some()
    }

    /// Queues a subnegotiation of a telnet option (RFC 855), in the option's own format.
    ///
    /// Returns false if the option is off.
    pub fn subnegotiate(&mut self, conn: ConnId, option: u8, content: &[u8]) -> bool {
        self.state.with_session(conn, |session| session.subnegotiate(option, content)).unwrap_or(false)
    }

    /// Queues a message of the Generic MUD Communication Protocol. `data` is JSON or empty.
    ///
    /// Returns false if the option is off.
    pub fn gmcp(&mut self, conn: ConnId, package: &str, data: &str) -> bool {
        self.state.with_session(conn, |session| session.gmcp(package, data)).unwrap_or(false)
    }

    /// Sets the MSSP variables for crawlers of telnet servers (`NAME`, `UPTIME`, ...).
    ///
    /// `PLAYERS` defaults to the number of open connections. The server offers MSSP to peers that
    /// connect from now on.
    pub fn set_server_status(&mut self, variables: &[(&str, &str)]) {
        self.state.server_status = variables.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    }

    /// Adds a connection to a room. Returns false if it was already a member.
    ///
    /// A room exists from its first member until the last one leaves. A connection that ends leaves
    /// all its rooms.
    ///
    /// # Errors
    /// If the connection is over or a limit of [`RoomLimits`](crate::RoomLimits) is reached.
    pub fn join(&mut self, conn: ConnId, room: &str) -> Result<bool, JoinError> {
        self.state.join(conn, room)
    }

    /// Removes a connection from a room. Returns false if it was not a member.
    pub fn leave(&mut self, conn: ConnId, room: &str) -> bool {
        self.state.leave(conn, room)
    }

    /// The members of a room.
    pub fn members(&self, room: &str) -> impl Iterator<Item = ConnId> + '_ {
        self.state.rooms.members(room).map(|index| self.state.conns.id(index))
    }

    /// Number of members of a room.
    #[must_use]
    pub fn member_count(&self, room: &str) -> usize {
        self.state.rooms.number(room).map_or(0, |number| self.state.rooms.count(number))
    }

    /// All rooms in alphabetical order, with their number of members.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        self.state.rooms.list()
    }

    /// The rooms of a connection, in the order of joining unless it has left some.
    pub fn rooms_of(&self, conn: ConnId) -> impl Iterator<Item = &str> {
        let rooms = self.state.conns.get(conn).map_or(&[][..], |conn| &conn.rooms);
        rooms.iter().map(|&room| self.state.rooms.name(room))
    }

    /// Sets what happens to this room's messages when a member is slow.
    ///
    /// The default is [`OutboundLimits::slow_policy`](crate::outbound::OutboundLimits). If the room
    /// has members, the policy ends when the last one leaves. If it has none, the policy stays with
    /// the name until [`clear_slow_policy`](Self::clear_slow_policy), however often the room fills
    /// and empties.
    ///
    /// # Errors
    /// If the name is invalid, or [`RoomLimits::total`](crate::RoomLimits) policies are stored.
    pub fn set_slow_policy(&mut self, room: &str, policy: SlowPolicy) -> Result<(), JoinError> {
        self.state.rooms.set_policy(room, policy, &self.state.config.rooms)
    }

    /// Removes the policy of a room, so that the default applies. Returns whether it had one.
    pub fn clear_slow_policy(&mut self, room: &str) -> bool {
        self.state.rooms.clear_policy(room)
    }

    /// Stops reading from a connection.
    ///
    /// The handler gets no messages from it until [`resume`](Self::resume). Its idle, silence and
    /// message deadlines are suspended meanwhile.
    pub fn pause(&mut self, conn: ConnId) {
        self.state.set_paused(conn, true);
    }

    /// Reads from a connection again. Messages that had already arrived follow after this event.
    pub fn resume(&mut self, conn: ConnId) {
        self.state.set_paused(conn, false);
    }

    /// Bytes and messages sent and received on a connection so far.
    #[must_use]
    pub fn traffic(&self, conn: ConnId) -> Option<Traffic> {
        self.state.conns.get(conn).map(|conn| conn.traffic)
    }

    /// The TLS parameters of a connection, as long as [`peer`](Self::peer) is known.
    ///
    /// `None` without TLS.
    #[must_use]
    pub fn secured(&self, conn: ConnId) -> Option<&Secured> {
        self.state.conns.get(conn)?.secured.as_deref()
    }

    /// The listener that accepted a connection, as it is configured now.
    ///
    /// `None` for dialled connections.
    #[must_use]
    pub fn listen(&self, conn: ConnId) -> Option<&Listen> {
        self.state.listen_of(conn)
    }

    /// A listener as it is configured now.
    ///
    /// One that was removed from the configuration stays available while it has connections.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<&Listen> {
        self.state.listeners.get(id)
    }

    /// The wire of a connection: `lines`, `length`, `telnet`, `websocket` or `ws+telnet`.
    #[must_use]
    pub fn wire_name(&self, conn: ConnId) -> Option<&'static str> {
        self.state.conns.get(conn).map(Conn::wire_name)
    }

    /// The states of the [tunnels](crate::tunnel).
    ///
    /// On a server of several shards, only the first shard has them.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.state.tunnel_statuses()
    }

    /// The addresses in quarantine, and until when.
    ///
    /// On a server of several shards, only the first shard has them.
    pub fn quarantined(&self) -> impl Iterator<Item = (AddressKey, Time)> + '_ {
        self.state.admission.quarantine.iter(self.state.now)
    }

    /// Bytes that are queued for a connection and not yet written.
    #[must_use]
    pub fn pending(&self, conn: ConnId) -> usize {
        self.state.conns.get(conn).map_or(0, |_| self.state.outbound.pending(conn.slot()))
    }

    /// Ends a connection as [`Reason::Application`] after flushing what is queued for it.
    pub fn close(&mut self, conn: ConnId) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.end(index, Reason::Application, Ending::Flush);
        }
    }

    /// Sends a last message and ends the connection.
    pub fn close_with<'p>(&mut self, conn: ConnId, farewell: impl Into<Outgoing<'p>>) {
        self.send(conn, farewell);
        self.close(conn);
    }

    /// Ends a connection with an application's close code and text.
    ///
    /// On a WebSocket, a close frame carries them (RFC 6455 section 7.4); the text is cut after 123
    /// bytes. On other wires, this is [`close`](Self::close).
    pub fn close_as(&mut self, conn: ConnId, code: CloseCode, words: &str) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.send_close(index, code, words);
        }
        self.close(conn);
    }

    /// Closes our half of a connection once its output is written, and still reads from the peer.
    ///
    /// The connection leaves its rooms, and messages to it are discarded. It ends as
    /// [`Reason::PeerClosed`] once the peer has ended its half as well, in either order. WebSocket
    /// and telnet have no halves: there, this is [`close`](Self::close).
    pub fn finish(&mut self, conn: ConnId) {
        self.state.finish(conn);
    }

    /// Ends a connection for `reason`, after flushing what is queued for it.
    ///
    /// The peer gets the reason if its wire can carry it, and the metrics count it.
    pub fn end(&mut self, conn: ConnId, reason: Reason) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.end(index, reason, Ending::Flush);
        }
    }

    /// Runs a job that would block the loop, such as hashing a password, on a thread of the shell.
    ///
    /// Without such a thread, the job runs at once. A connection has one offloaded job at a time; a
    /// second one runs at once. If the connection ends first, a job that has not begun never runs,
    /// and its outcome is discarded.
    pub fn offload(&mut self, conn: ConnId, job: impl FnOnce() -> bool + Send + 'static) -> Offloaded {
        if !self.state.jobs.is_taken || self.state.jobs.has(conn) || !self.is_open(conn) {
            return Offloaded::Done(job());
        }
        self.state.jobs.add(conn, Box::new(job));
        Offloaded::Later
    }

    /// Sends a message to the handler of another [shard](crate::Shard).
    ///
    /// That handler gets [`Event::ShardMessage`](crate::Event::ShardMessage). Returns false if the
    /// shard does not exist or is this one.
    ///
    /// Messages from one shard to another arrive exactly once and in order. Their number is not
    /// limited like a peer's messages: send a bounded number per event.
    pub fn send_to_shard(&mut self, shard: u8, topic: &str, content: &str) -> bool {
        self.state.send_to_shard(shard, topic, content)
    }

    /// Sets the user of a connection, and what they may do from now on.
    ///
    /// Returns false if the connection is over. Emits
    /// [`Event::Authenticated`](crate::Event::Authenticated) if the user is another than before.
    pub fn identify(&mut self, conn: ConnId, identity: Identity) -> bool {
        self.state.identify(conn, identity)
    }

    /// The user of a connection, if known. Available as long as [`peer`](Self::peer) is.
    #[must_use]
    pub fn identity(&self, conn: ConnId) -> Option<&Identity> {
        self.state.conns.get(conn)?.identity.as_deref()
    }

    /// The open connections of a user, in the order in which they were identified.
    #[must_use]
    pub fn connections_of(&self, user: &str) -> &[ConnId] {
        self.state.users.connections(user)
    }

    /// The wall-clock time. `None` if the shell has not set it.
    #[must_use]
    pub fn unix_time(&self) -> Option<UnixTime> {
        self.state.wall_clock.map(|clock| clock.unix(self.state.now))
    }

    /// Issues a ticket for work that another task does for this connection, due within `deadline`.
    ///
    /// The worker returns the ticket with its answer in a [note](crate::Event::Note), and the
    /// handler [redeems](Self::redeem) it. After the deadline, the handler gets
    /// [`Event::TicketExpired`](crate::Event::TicketExpired) instead. Time in which the server did
    /// not run does not count. A drain waits for connections with tickets: see
    /// [`Drain`](crate::Drain).
    ///
    /// # Errors
    /// If the connection is over or a limit of [`TicketLimits`](crate::TicketLimits) is reached.
    pub fn ticket(&mut self, conn: ConnId, deadline: Duration) -> Result<Ticket, TicketError> {
        self.state.open_slot(conn).ok_or(TicketError::NotOpen)?;
        let State { tickets, now, config, .. } = &mut *self.state;
        tickets.issue(conn, *now, deadline, config.tickets)
    }

    /// Redeems a ticket.
    ///
    /// Returns false if it has expired, was already redeemed, or its connection is over.
    pub fn redeem(&mut self, ticket: Ticket) -> bool {
        let redeemed = self.state.tickets.redeem(ticket);
        if redeemed {
            self.state.work_ended(ticket.conn());
        }
        redeemed
    }

    /// The unredeemed tickets of a connection, oldest first.
    pub fn tickets(&self, conn: ConnId) -> impl Iterator<Item = Ticket> + '_ {
        self.state.tickets.of(conn)
    }

    /// Enables or disables [`Event::Sent`](crate::Event::Sent) for a connection.
    ///
    /// Watching does not slow the connection down. Messages beyond the limit are not reported, only
    /// [counted](Self::take_unwatched).
    pub fn watch(&mut self, conn: ConnId, is_watched: bool) {
        if self.state.open_slot(conn).is_some() || !is_watched {
            self.state.watched.set(conn, is_watched);
        }
    }

    /// Returns how many messages to watched connections were not reported since the last call.
    pub fn take_unwatched(&mut self) -> u64 {
        self.state.watched.take_missed()
    }

    /// Refuses an address for a while; see [`Request::Quarantine`](crate::Request).
    pub fn quarantine(&mut self, address: IpAddr) {
        self.state.quarantine(Peer::Address((address, 0).into()));
    }

    /// Removes an address from quarantine.
    ///
    /// Returns false if it is not there, or another shard holds it.
    pub fn release(&mut self, address: IpAddr) -> bool {
        self.state.admission.quarantine.remove(self.state.now, address.into())
    }

    /// Whether the server reports that it is not ready, and is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.is_draining()
    }

    /// Starts a drain once this event is over. A second call speeds it up.
    ///
    /// See [`Drain`](crate::Drain).
    pub fn drain(&mut self) {
        self.state.drain_wanted = true;
    }

    /// Sets a timer, or moves it if it is set.
    ///
    /// [`Event::Timer`](crate::Event::Timer) comes `after` from now, and never during this event.
    /// For a timer of a connection, time in which the server did not run (because it was stopped,
    /// say) does not count: the timer measures the time that the peer had.
    pub fn wake(&mut self, timer: Timer, after: Duration) {
        if timer.conn.is_some_and(|conn| self.state.open_slot(conn).is_none()) {
            return;
        }
        let at = (self.state.now + after).max(self.state.now.plus_nanos(1));
        self.state.timers.set(timer, at);
    }

    /// Cancels a timer. Returns false if it was not set.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.state.timers.cancel(timer)
    }

    /// Makes an outgoing connection. The handler gets `Opened` with this dial as its origin.
    ///
    /// With a backoff, the dial repeats its attempts, and connects again when the connection ends,
    /// until [`hang_up`](Self::hang_up). While the server drains, it makes no connections, and
    /// pending dials end without an event.
    pub fn dial(&mut self, dial: Dial) -> DialId {
        self.state.dials.add(self.state.now, dial)
    }

    /// Cancels a dial, and closes its connection if it has one.
    pub fn hang_up(&mut self, dial: DialId) {
        if let Some(conn) = self.state.dials.remove(dial) {
            // A handshake ends as well.
            self.state.end(conn.slot(), Reason::Application, Ending::Flush);
        }
    }
}
