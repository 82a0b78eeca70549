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

/// What the application may do, while it is told of an event.
///
/// Sending never waits and never fails loudly: what is sent to a connection that is over, or closing, goes
/// nowhere, and its [`Event::Closed`](crate::Event::Closed) is on its way. What a wire can't carry, or is longer
/// than 1 GiB, is counted in [`Metrics::messages_unsendable`].
///
/// Messages reach each connection in the order in which they were sent, private ones and those of all its
/// rooms alike.
pub struct Hub<'a, C> {
    pub(crate) state: &'a mut State<C>,
}

impl<C> fmt::Debug for Hub<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("now", &self.state.now).finish_non_exhaustive()
    }
}

impl<C> Hub<'_, C> {
    /// The same hub, for a shorter time: for what takes one by value.
    pub fn reborrow(&mut self) -> Hub<'_, C> {
        Hub { state: self.state }
    }
}

impl<C: Default> Hub<'_, C> {
    /// The time of the fact that is being told.
    #[must_use]
    pub fn now(&self) -> Time {
        self.state.now
    }

    /// 64 random bits from the configured seed. Not for secrets: the later numbers follow from each one that somebody is shown.
    pub fn random(&mut self) -> u64 {
        self.state.random.next_u64()
    }

    /// Which [shard](crate::Shard) of the server this is.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.state.post.shard
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// The counters and gauges as of now: a copy of some KiB, and a look at every connection. Not for every
    /// message.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.state.metrics()
    }

    /// What the application remembers about a connection; `None` once its `Closed` was told.
    pub fn context(&mut self, conn: ConnId) -> Option<&mut C> {
        if self.state.conns.id(conn.slot()) != conn {
            return None;
        }
        self.state.contexts.get_mut(conn.index())?.as_mut()
    }

    /// Who is at the other end, as long as there is a socket: at least until `Closed` was told.
    #[must_use]
    pub fn peer(&self, conn: ConnId) -> Option<Peer> {
        self.state.conns.get(conn).map(|conn| conn.peer)
    }

    /// How long a connection has been silent that could speak: since its last byte was read. Zero if it is over, if it is not
    /// read for the time being, and if it ended its half.
    #[must_use]
    pub fn silent_for(&self, conn: ConnId) -> Duration {
        let speaks = |found: &&Conn| !found.input_ended && !found.is_unserved() && !self.state.must_wait(conn.slot());
        let found = self.state.conns.get(conn).filter(speaks);
        found.map_or(Duration::ZERO, |found| self.state.now.since(found.last_byte_at))
    }

    /// How long ago a connection was opened; zero if it is over.
    #[must_use]
    pub fn age(&self, conn: ConnId) -> Duration {
        self.state.conns.get(conn).map_or(Duration::ZERO, |conn| self.state.now.since(conn.opened_at))
    }

    /// Sets whether a task works for a connection. A drain waits for tasks that work, as it waits for
    /// [tickets](Self::ticket).
    pub fn set_working(&mut self, conn: ConnId, working: bool) {
        self.state.set_working(conn, working);
    }

    /// Ends a connection whose task panicked, as [`Reason::HandlerPanicked`], and counts the panic in
    /// [`Metrics::handler_panics`].
    pub fn task_panicked(&mut self, conn: ConnId) {
        self.state.metrics.handler_panics += 1;
        self.end(conn, Reason::HandlerPanicked);
    }

    /// Whether a connection is open: it has not begun to end.
    #[must_use]
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.state.open_slot(conn).is_some()
    }

    /// All open connections, ordered by their place.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.state.conns.ids().filter(|&id| self.is_open(id))
    }

    /// Queues a message for one connection; false if it can't be: the connection is over, or its wire can't
    /// carry a message of that length, or this message made it a slow consumer.
    pub fn send<'p>(&mut self, conn: ConnId, payload: impl Into<Outgoing<'p>>) -> bool {
        self.state.send(conn, payload.into())
    }

    /// Queues a message for each of these connections, encoding it once for each wire; returns for how many.
    /// A connection that is named twice gets it twice.
    pub fn send_each<'p>(&mut self, conns: &[ConnId], payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.send_each(conns, payload.into())
    }

    /// Queues a message for every member of a room, encoding it once for each wire; returns for how many. On a server of
    /// several [shards](crate::Shard) the members on the others get it a moment later, and are not counted.
    pub fn publish<'p>(&mut self, room: &str, payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.publish_everywhere(room, &[], payload.into())
    }

    /// As [`publish`](Self::publish), but not for these.
    pub fn publish_except<'p>(&mut self, room: &str, except: &[ConnId], payload: impl Into<Outgoing<'p>>) -> usize {
        self.state.publish_everywhere(room, except, payload.into())
    }

    /// Sets which representation of an [`Outgoing`] a connection gets from now on.
    pub fn set_representation(&mut self, conn: ConnId, representation: Representation) {
        self.state.set_representation(conn, representation);
    }

    /// Names a connection for operators: the monitor shows it. It proves nothing; see [`identify`](Self::identify) for that. Of
    /// a longer name the first 64 characters are kept, without what acts on a terminal. An empty one takes the label away.
    pub fn set_label(&mut self, conn: ConnId, label: &str) {
        self.state.set_label(conn, label);
    }

    /// The [label](Self::set_label) of a connection.
    #[must_use]
    pub fn label(&self, conn: ConnId) -> Option<&str> {
        self.state.labels.get(conn)
    }

    /// Which representation a connection gets.
    #[must_use]
    pub fn representation(&self, conn: ConnId) -> Representation {
        self.state.representation(conn)
    }

    /// What a telnet peer told of itself; `None` for other wires.
    #[must_use]
    pub fn terminal(&self, conn: ConnId) -> Option<&Terminal> {
        self.state.terminal(conn)
    }

    /// Queues text without what ends a message, on wires of lines; false on others. See
    /// [`Session::write`](crate::telnet::Session::write).
    pub fn write<'p>(&mut self, conn: ConnId, payload: impl Into<Payload<'p>>) -> bool {
        self.state.write(conn, payload.into())
    }

    /// Asks for a line: queues `text` without a line's end, and, for a telnet peer, what marks a prompt. Where the
    /// server edits, the prompt stands before what is typed until the line is complete. False on wires without lines.
    pub fn prompt(&mut self, conn: ConnId, text: &str) -> bool {
        self.state.with_session(conn, |session| session.prompt(text, false)).is_some() || self.write(conn, text)
    }

    /// As [`prompt`](Self::prompt), for a line that should not be seen. False if what is typed will be seen: the peer
    /// does not speak telnet, or not yet (it is asked to hide it once it does), or has refused before.
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

    /// Sets how what a telnet peer types should arrive; false on other wires. It arrives as lines until the peer
    /// agrees, which is told as [`Signal::InputMode`](crate::telnet::Signal).
    pub fn set_input_mode(&mut self, conn: ConnId, mode: InputMode) -> bool {
        self.state.with_session(conn, |session| session.set_mode(mode)).is_some()
    }

    /// Asks a telnet peer for an option, as soon as it is known to speak telnet; false on other wires. That it
    /// goes on, or off, is told as [`Signal::Option`](crate::telnet::Signal); that it is refused is not.
    pub fn enable_option(&mut self, conn: ConnId, side: Side, option: u8) -> bool {
        self.state.with_session(conn, |session| session.enable_option(side, option)).is_some()
    }

    /// Takes an option back.
    pub fn disable_option(&mut self, conn: ConnId, side: Side, option: u8) -> bool {
        self.state.with_session(conn, |session| session.disable_option(side, option)).is_some()
    }

    /// Queues parameters of a telnet option (RFC 855), in the option's own format; false if it is not on.
    pub fn subnegotiate(&mut self, conn: ConnId, option: u8, content: &[u8]) -> bool {
        self.state.with_session(conn, |session| session.subnegotiate(option, content)).unwrap_or(false)
    }

    /// Queues a message of the Generic MUD Communication Protocol, whose `data` is JSON or nothing; false if the
    /// option is not on.
    pub fn gmcp(&mut self, conn: ConnId, package: &str, data: &str) -> bool {
        self.state.with_session(conn, |session| session.gmcp(package, data)).unwrap_or(false)
    }

    /// Sets what telnet peers that list servers are told (MSSP: `NAME`, `UPTIME`, ...). `PLAYERS` is the number of
    /// open connections, unless it is set here. Who connects from now on is offered it.
    pub fn set_server_status(&mut self, variables: &[(&str, &str)]) {
        self.state.server_status = variables.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    }

    /// Makes a connection a member of a room; false if it was one. The room exists from its first member on
    /// until its last one leaves. A connection that ends leaves all its rooms.
    ///
    /// # Errors
    /// If the connection is over or a limit of [`RoomLimits`](crate::RoomLimits) is reached.
    pub fn join(&mut self, conn: ConnId, room: &str) -> Result<bool, JoinError> {
        self.state.join(conn, room)
    }

    /// Ends a membership; false if there was none.
    pub fn leave(&mut self, conn: ConnId, room: &str) -> bool {
        self.state.leave(conn, room)
    }

    /// The members of a room.
    pub fn members(&self, room: &str) -> impl Iterator<Item = ConnId> + '_ {
        self.state.rooms.members(room).map(|index| self.state.conns.id(index))
    }

    /// How many members a room has.
    #[must_use]
    pub fn member_count(&self, room: &str) -> usize {
        self.state.rooms.number(room).map_or(0, |number| self.state.rooms.count(number))
    }

    /// All rooms in alphabetical order, with the number of their members.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        self.state.rooms.list()
    }

    /// The rooms of one connection, in the order of joining unless it left some.
    pub fn rooms_of(&self, conn: ConnId) -> impl Iterator<Item = &str> {
        let rooms = self.state.conns.get(conn).map_or(&[][..], |conn| &conn.rooms);
        rooms.iter().map(|&room| self.state.rooms.name(room))
    }

    /// Sets what happens to messages of this room that a slow member can't take, from now on. Without it, that is
    /// [`OutboundLimits::slow_policy`](crate::outbound::OutboundLimits).
    ///
    /// Set while the room has members, it ends when the last one leaves. Set while it has none, it is kept for the name, however
    /// often the room fills and empties, until [`clear_slow_policy`](Self::clear_slow_policy).
    ///
    /// # Errors
    /// If the name is not one of a room, or [`RoomLimits::total`](crate::RoomLimits) policies are kept.
    pub fn set_slow_policy(&mut self, room: &str, policy: SlowPolicy) -> Result<(), JoinError> {
        self.state.rooms.set_policy(room, policy, &self.state.config.rooms)
    }

    /// Removes the policy of a room, so that the configuration's holds. Returns whether it had one.
    pub fn clear_slow_policy(&mut self, room: &str) -> bool {
        self.state.rooms.clear_policy(room)
    }

    /// Stops reading a connection: no messages of it are told until [`resume`](Self::resume). Its idle,
    /// silence and message deadlines rest meanwhile.
    pub fn pause(&mut self, conn: ConnId) {
        self.state.set_paused(conn, true);
    }

    /// Reads a connection again. Messages that had arrived are told after this event.
    pub fn resume(&mut self, conn: ConnId) {
        self.state.set_paused(conn, false);
    }

    /// How much went over a connection so far.
    #[must_use]
    pub fn traffic(&self, conn: ConnId) -> Option<Traffic> {
        self.state.conns.get(conn).map(|conn| conn.traffic)
    }

    /// What TLS agreed on, as long as [`peer`](Self::peer) is known; `None` if there is none.
    #[must_use]
    pub fn secured(&self, conn: ConnId) -> Option<&Secured> {
        self.state.conns.get(conn)?.secured.as_deref()
    }

    /// Where a connection was accepted; `None` if it was dialled. It is the listener as it is configured now.
    #[must_use]
    pub fn listen(&self, conn: ConnId) -> Option<&Listen> {
        self.state.listen_of(conn)
    }

    /// A listener as it is configured now: also one that the configuration has no more, as long as it has connections.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<&Listen> {
        self.state.listeners.get(id)
    }

    /// What is spoken on a connection: `lines`, `length`, `telnet`, `websocket` or `ws+telnet`.
    #[must_use]
    pub fn wire_name(&self, conn: ConnId) -> Option<&'static str> {
        self.state.conns.get(conn).map(Conn::wire_name)
    }

    /// How the [tunnels](crate::tunnel) are. On a server of several shards the first one knows.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.state.tunnel_statuses()
    }

    /// The addresses that are refused for a while, and until when. On a server of several shards the first one knows them.
    pub fn quarantined(&self) -> impl Iterator<Item = (AddressKey, Time)> + '_ {
        self.state.admission.quarantine.iter(self.state.now)
    }

    /// How many bytes are queued for a connection and not yet written.
    #[must_use]
    pub fn pending(&self, conn: ConnId) -> usize {
        self.state.conns.get(conn).map_or(0, |_| self.state.outbound.pending(conn.slot()))
    }

    /// Ends a connection as [`Reason::Application`] once everything queued for it is written.
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

    /// Ends a connection with a code and words of the application, where the wire can carry them: a WebSocket's close
    /// frame (RFC 6455 section 7.4). The words are cut after 123 bytes. Elsewhere as [`close`](Self::close).
    pub fn close_as(&mut self, conn: ConnId, code: CloseCode, words: &str) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.send_close(index, code, words);
        }
        self.close(conn);
    }

    /// Says that nothing more will be sent: our half of the connection is closed once everything queued is written, and what the
    /// peer still sends is read. It leaves its rooms, and what is sent to it goes nowhere. Once the peer has ended its half as
    /// well, whichever came first, the connection is over as [`Reason::PeerClosed`]. Over WebSocket and telnet, which have no
    /// halves, as [`close`](Self::close).
    pub fn finish(&mut self, conn: ConnId) {
        self.state.finish(conn);
    }

    /// Ends a connection for a named reason, once everything queued for it is written: the peer is told it where its wire can
    /// carry it, and it stands in the metrics.
    pub fn end(&mut self, conn: ConnId, reason: Reason) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.end(index, reason, Ending::Flush);
        }
    }

    /// Gives a job away that would hold the loop up, such as hashing a password: to a thread of the shell, if it has one for
    /// that. Otherwise the job runs at once.
    ///
    /// A connection has one such job at a time: a second one runs at once. When the connection ends, its job is not begun any
    /// more, and its outcome is not told.
    pub fn offload(&mut self, conn: ConnId, job: impl FnOnce() -> bool + Send + 'static) -> Offloaded {
        if !self.state.jobs.is_taken || self.state.jobs.has(conn) || !self.is_open(conn) {
            return Offloaded::Done(job());
        }
        self.state.jobs.add(conn, Box::new(job));
        Offloaded::Later
    }

    /// Sends a message to the handler of another [shard](crate::Shard), which is told it as
    /// [`Event::ShardMessage`](crate::Event::ShardMessage). Messages from one shard to another arrive in the order in which they
    /// were sent, and each once. Returns false if there is no other shard of that number.
    ///
    /// They are not bounded as what peers send is: send a bounded number for each event.
    pub fn send_to_shard(&mut self, shard: u8, topic: &str, content: &str) -> bool {
        self.state.send_to_shard(shard, topic, content)
    }

    /// Says who is at the other end, or what they may from now on; false if the connection is over. If the user is another
    /// than before, this is told as [`Event::Authenticated`](crate::Event::Authenticated).
    pub fn identify(&mut self, conn: ConnId, identity: Identity) -> bool {
        self.state.identify(conn, identity)
    }

    /// Who is at the other end, if that is known, as long as [`peer`](Self::peer) is.
    #[must_use]
    pub fn identity(&self, conn: ConnId) -> Option<&Identity> {
        self.state.conns.get(conn)?.identity.as_deref()
    }

    /// The open connections of a user, in the order in which they were identified.
    #[must_use]
    pub fn connections_of(&self, user: &str) -> &[ConnId] {
        self.state.users.connections(user)
    }

    /// The time by the clock on the wall; `None` if nobody has told it.
    #[must_use]
    pub fn unix_time(&self) -> Option<UnixTime> {
        self.state.wall_clock.map(|clock| clock.unix(self.state.now))
    }

    /// A ticket for work of this connection that is given away, and should be answered within `deadline`. Whoever does the work
    /// gets it, and brings it back with the answer in a [note](crate::Event::Note), where it is to be
    /// [redeemed](Self::redeem). Later than that it is told as [`Event::TicketExpired`](crate::Event::TicketExpired) instead; time
    /// in which the server did not run does not count. A drain waits for what has a ticket: see [`Drain`](crate::Drain).
    ///
    /// # Errors
    /// If the connection is over or a limit of [`TicketLimits`](crate::TicketLimits) is reached.
    pub fn ticket(&mut self, conn: ConnId, deadline: Duration) -> Result<Ticket, TicketError> {
        self.state.open_slot(conn).ok_or(TicketError::NotOpen)?;
        let State { tickets, now, config, .. } = &mut *self.state;
        tickets.issue(conn, *now, deadline, config.tickets)
    }

    /// Takes a ticket back; false if it comes too late, a second time, or its connection is over.
    pub fn redeem(&mut self, ticket: Ticket) -> bool {
        let redeemed = self.state.tickets.redeem(ticket);
        if redeemed {
            self.state.work_ended(ticket.conn());
        }
        redeemed
    }

    /// The tickets of a connection that were not redeemed, oldest first.
    pub fn tickets(&self, conn: ConnId) -> impl Iterator<Item = Ticket> + '_ {
        self.state.tickets.of(conn)
    }

    /// Has what is sent to a connection told as [`Event::Sent`](crate::Event::Sent) as well, or no longer. It costs the watched
    /// nothing but the copy: of what is too much, only how many messages there were is [known](Self::take_unwatched).
    pub fn watch(&mut self, conn: ConnId, is_watched: bool) {
        if self.state.open_slot(conn).is_some() || !is_watched {
            self.state.watched.set(conn, is_watched);
        }
    }

    /// How many messages to watched connections were not told since this was last asked.
    pub fn take_unwatched(&mut self) -> u64 {
        self.state.watched.take_missed()
    }

    /// Refuses an address for a while; see [`Request::Quarantine`](crate::Request).
    pub fn quarantine(&mut self, address: IpAddr) {
        self.state.quarantine(Peer::Address((address, 0).into()));
    }

    /// Lets an address in again that is in quarantine; false if it is not, or another shard knows.
    pub fn release(&mut self, address: IpAddr) -> bool {
        self.state.admission.quarantine.remove(self.state.now, address.into())
    }

    /// Whether the server says that it is not ready, and will end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.is_draining()
    }

    /// Ends the server in stages once this event is over; asked a second time, it hurries. See [`Drain`](crate::Drain).
    pub fn drain(&mut self) {
        self.state.drain_wanted = true;
    }

    /// Sets a timer, or moves it if it is set: [`Event::Timer`](crate::Event::Timer) comes `after` from now,
    /// and never during this event. For a timer of a connection, time in which the server did not run (it was stopped, say) does
    /// not count: it measures what the peer had time for.
    pub fn wake(&mut self, timer: Timer, after: Duration) {
        if timer.conn.is_some_and(|conn| self.state.open_slot(conn).is_none()) {
            return;
        }
        let at = (self.state.now + after).max(self.state.now.plus_nanos(1));
        self.state.timers.set(timer, at);
    }

    /// Takes a timer back; false if it was not set.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.state.timers.cancel(timer)
    }

    /// Asks for an outgoing connection, which is told as `Opened` with this dial as its origin. When its
    /// attempts are to be repeated, so is the connection when it ends, until [`hang_up`](Self::hang_up). While
    /// the server drains, nothing is dialled, and what was being dialled is forgotten without an event.
    pub fn dial(&mut self, dial: Dial) -> DialId {
        self.state.dials.add(self.state.now, dial)
    }

    /// Gives a dial up, and closes its connection if it has one.
    pub fn hang_up(&mut self, dial: DialId) {
        if let Some(conn) = self.state.dials.remove(dial) {
            // A handshake ends as well.
            self.state.end(conn.slot(), Reason::Application, Ending::Flush);
        }
    }
}
