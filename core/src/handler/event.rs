use crate::base::AcceptFailure;
use crate::base::Origin;
use crate::base::{ConnId, DialId, Failure, HostId, ListenerId, OutgoingBuf, Payload, Peer, Reason, Time};
use crate::facts::{ClusterAnswer, RoomAnswer};
use crate::handler::presence_change::PresenceChange;
use crate::handler::room_gap::RoomGap;
use crate::history::{Position, Recovery};
use crate::state::{ClusterRequest, RequestTicket, RoomRequest, Ticket, Timer};
use crate::tunnel::TunnelStatus;
use crate::wire::http::Request;
use crate::wire::ssh::LoginAttempt;
use crate::wire::telnet::Signal;

/// An event that the machine reports to the handler.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a, N> {
    /// The server has started.
    ///
    /// The first event: no connection is open yet; dials and timers can be set.
    Started,
    /// A connection has opened. This is the first event that names it.
    #[non_exhaustive]
    Opened {
        /// The new connection.
        conn: ConnId,
        /// The address of the peer.
        peer: Peer,
        /// The listener that accepted the connection, or the dial that made it.
        origin: Origin,
        /// The HTTP request that opened this WebSocket.
        ///
        /// `None` on other wires and for dialled connections.
        request: Option<&'a Request>,
    },
    /// The user of a connection has changed: see [`Hub::identify`](crate::Hub::identify).
    #[non_exhaustive]
    Authenticated {
        /// The connection whose user has changed; [`Hub::identity`](crate::Hub::identity) returns the user.
        conn: ConnId,
    },
    /// A complete message has arrived.
    Message {
        /// The connection that sent the message.
        conn: ConnId,
        /// The content of the message, without the wire's framing.
        payload: Payload<'a>,
    },
    /// A telnet peer sent something other than a line.
    #[non_exhaustive]
    Signal {
        /// The connection that sent the signal.
        conn: ConnId,
        /// The signal that the peer sent.
        signal: Signal<'a>,
    },
    /// The peer ended its half of the connection but still receives.
    ///
    /// Only on listeners with `half_open`; elsewhere the connection ends.
    #[non_exhaustive]
    InputEnded {
        /// The connection whose peer ended its half.
        conn: ConnId,
    },
    /// More bytes are queued than the high mark allows, so the machine stops reading from the peer.
    #[non_exhaustive]
    Stalled {
        /// The connection that stalled.
        conn: ConnId,
        /// Number of bytes queued for the connection.
        queued: usize,
    },
    /// A stalled connection is at or below the low mark, so the machine reads from it again.
    #[non_exhaustive]
    Drained {
        /// The connection that was stalled.
        conn: ConnId,
    },
    /// A message was queued for a connection that is [watched](crate::Hub::watch).
    ///
    /// Not emitted for messages that could not be sent or that a slow policy skipped at once, nor
    /// for messages that are sent while the handler handles this event.
    #[non_exhaustive]
    Sent {
        /// The connection that receives the message.
        conn: ConnId,
        /// The message, or its first 4 KiB.
        start: Payload<'a>,
        /// Length of the whole message, in bytes.
        bytes: usize,
    },
    /// A timer that [`Hub::wake`](crate::Hub::wake) set has expired. Timers are one-shot.
    Timer(Timer),
    /// A ticket expired before the answer to its work arrived.
    ///
    /// The ticket can no longer be redeemed.
    TicketExpired(Ticket),
    /// An offloaded job has finished: see [`Hub::offload`](crate::Hub::offload).
    #[non_exhaustive]
    Offloaded {
        /// The connection that the job was for.
        conn: ConnId,
        /// The job's return value.
        outcome: bool,
    },
    /// The handler of another [shard](crate::Shard) sent a message: see [`Hub::send_to_shard`](crate::Hub::send_to_shard).
    #[non_exhaustive]
    ShardMessage {
        /// The index of the sending shard.
        from: u8,
        /// The topic of the message.
        topic: &'a str,
        /// The content of the message.
        content: &'a str,
    },
    /// A note arrived from outside the server.
    Note(N),
    /// A connection attempt of a dial failed.
    #[non_exhaustive]
    DialFailed {
        /// The dial that made the attempt.
        dial: DialId,
        /// The cause of the failure.
        failure: Failure,
        /// When the next attempt is due; `None` if there is none and the dial has ended.
        retry_at: Option<Time>,
    },
    /// A dial ended together with its connection, because it does not reconnect.
    ///
    /// The connection's [`Closed`](Self::Closed) came before.
    #[non_exhaustive]
    DialEnded {
        /// The dial that ended.
        dial: DialId,
    },
    /// A message of the application on another host: see [`Hub::send_to_hosts`](crate::Hub::send_to_hosts).
    ///
    /// Each shard gets it.
    #[non_exhaustive]
    HostMessage {
        /// The host that sent it.
        from: HostId,
        /// The message's topic.
        topic: &'a str,
        /// The message's content.
        content: &'a str,
    },
    /// A request to all hosts of the cluster is answered: see [`Hub::end_everywhere`](crate::Hub::end_everywhere) and
    /// [`Hub::claim`](crate::Hub::claim).
    ///
    /// Each request is answered exactly once, on the shard that made it.
    #[non_exhaustive]
    ClusterAnswered {
        /// The request.
        request: ClusterRequest,
        /// The answer.
        answer: &'a ClusterAnswer,
    },
    /// The link to the broker of [shared](crate::Home::Shared) rooms works now, or has ended, or could not be made.
    ///
    /// Only the shard with the link gets it.
    #[non_exhaustive]
    Broker {
        /// Whether the link works.
        is_up: bool,
        /// Why the link is of no use, in words for operators. `None` if only the connection has ended.
        ///
        /// Of a link that works: the words with which the broker has refused a message. `None`: it works from now on.
        why: Option<&'a str>,
    },
    /// A peer was refused, or its connection ended in the handshake; it had no `Opened` event.
    #[non_exhaustive]
    Refused {
        /// The listener to which the peer connected.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
        /// The reason for which the peer was refused.
        reason: Reason,
    },
    /// A client tries to log in before its connection opens, and the application decides.
    ///
    /// Only on SSH listeners that [take keys](crate::wire::ssh::SshServer::takes_keys) or
    /// [passwords](crate::wire::ssh::SshServer::takes_passwords). Answer with
    /// [`Hub::answer_login`](crate::Hub::answer_login) during this event, or promise an answer with
    /// [`Hub::answer_login_later`](crate::Hub::answer_login_later). Without either, the attempt is refused. The layer
    /// [`Authentication`](crate::kit::auth::Authentication) does all this.
    #[non_exhaustive]
    Login {
        /// The connection that the client would open. It had no [`Opened`](Self::Opened) event.
        conn: ConnId,
        /// The listener of the connection.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
        /// The user, and the proof.
        attempt: &'a LoginAttempt,
    },
    /// A connection has ended without a session, after its client tried to [log in](Self::Login) at least once.
    #[non_exhaustive]
    LoginEnded {
        /// The connection that ended.
        conn: ConnId,
        /// The listener of the connection.
        listener: ListenerId,
    },
    /// An HTTP client requests something that the server does not serve itself.
    ///
    /// It is a path that the server does not have, or another method than `GET`, `HEAD` and
    /// `OPTIONS`. Respond with [`Hub::respond`](crate::Hub::respond) during this event, or promise a
    /// response with [`Hub::respond_later`](crate::Hub::respond_later). Without either, the client
    /// gets the status 404 or 405, and [`RequestRefused`](Self::RequestRefused) follows. The peer is
    /// not authenticated. The request counts as a message against its rates, with the bytes of its
    /// head and body.
    #[non_exhaustive]
    Request {
        /// The connection that carries the request. It had no [`Opened`](Self::Opened) event.
        conn: ConnId,
        /// The listener that received the request.
        listener: ListenerId,
        /// The address of the peer. Behind a proxy, it is the address of the proxy.
        peer: Peer,
        /// The request.
        request: &'a Request,
        /// The whole body, without its framing. Empty if there is none.
        ///
        /// It has at most [`Http::body_max_bytes`](crate::http::Http::body_max_bytes) bytes. That
        /// is 0 by default: requests with a body are then refused.
        body: &'a [u8],
    },
    /// A promised response to an HTTP request can no longer be given.
    ///
    /// It did not come in time, or the connection ended: see
    /// [`Hub::respond_later`](crate::Hub::respond_later). Each ticket is either used or expires.
    #[non_exhaustive]
    RequestExpired {
        /// The ticket that can no longer be used.
        ticket: RequestTicket,
        /// The listener that received the request.
        listener: ListenerId,
    },
    /// An HTTP request was refused.
    ///
    /// Causes: an unknown path, another host, another origin, missing credentials, a malformed
    /// request, a body that is too long, or a promised response that did not come in time. If the connection ends with it, [`Refused`](Self::Refused) is not emitted as
    /// well.
    #[non_exhaustive]
    RequestRefused {
        /// The listener that received the request.
        listener: ListenerId,
        /// The address of the peer.
        peer: Peer,
        /// The reason for the refusal, as counted in the metrics.
        reason: Reason,
        /// The status code of the response (RFC 9110 section 15).
        status: u16,
        /// The explanation that the response contains.
        why: &'static str,
        /// The request, as far as it could be parsed.
        request: Option<&'a Request>,
    },
    /// The state of a [tunnel](crate::tunnel) has changed.
    ///
    /// On a server of several shards, only the first shard gets this event.
    #[non_exhaustive]
    Tunnel {
        /// The current status of the tunnel.
        status: &'a TunnelStatus,
    },
    /// A channel that an SSH server opened through a tunnel was refused.
    ///
    /// Either the channel was not requested, or too many channels wait to be accepted. On a server
    /// of several shards, only the first shard gets this event.
    #[non_exhaustive]
    ChannelRefused {
        /// The name of the tunnel.
        tunnel: &'a str,
        /// The purpose of the channel, and the reason for which it was refused.
        words: &'a str,
    },
    /// A listener stopped accepting connections for a while.
    ///
    /// Either the process or the system is out of descriptors or memory, or accepting failed many
    /// times in a row. Emitted once, until [`AcceptResumed`](Self::AcceptResumed). On a server of
    /// several shards, only the first shard gets this event.
    #[non_exhaustive]
    AcceptPaused {
        /// The listener that stopped accepting.
        listener: ListenerId,
        /// The kind of failure that stopped it.
        failure: AcceptFailure,
    },
    /// A listener accepted a connection again after [`AcceptPaused`](Self::AcceptPaused).
    #[non_exhaustive]
    AcceptResumed {
        /// The listener that accepts again.
        listener: ListenerId,
    },
    /// The server has applied another configuration.
    ///
    /// See [`Machine::reconfigured`](crate::Machine::reconfigured).
    ///
    /// The handler reads its settings again: see [`Hub::settings`](crate::Hub::settings).
    Reconfigured,
    /// A connection has joined a room that has a [home](crate::Home), and receives its messages.
    ///
    /// It has received what it missed. All messages after `position` follow. Also emitted for a room
    /// without a home, if the join gave a [position](crate::JoinOptions::since).
    #[non_exhaustive]
    Joined {
        /// The new member.
        conn: ConnId,
        /// The name of the room.
        room: &'a str,
        /// The position from which the messages follow. `None` if the room has no home.
        position: Option<Position>,
        /// Whether the member has missed messages.
        recovery: Recovery,
        /// The missed messages, oldest first, if [`JoinOptions::missed_to_handler`](crate::JoinOptions) asks for them.
        missed: &'a [(Position, OutgoingBuf)],
    },
    /// Members of a room may have missed messages.
    RoomGap(RoomGap<'a>),
    /// A name is present in a room now, or no longer.
    ///
    /// Emitted on each shard with members of the room, in the order of the home.
    PresenceChanged(PresenceChange<'a>),
    /// The home of a room has answered a request, or has not answered it in time.
    #[non_exhaustive]
    RoomAnswered {
        /// The request.
        request: RoomRequest,
        /// The answer.
        answer: &'a RoomAnswer,
    },
    /// The server has begun to drain. After the grace period, it closes its connections.
    Draining,
    /// A connection has ended. This is the last event that names it, and is emitted exactly once.
    ///
    /// The connection has left its rooms, its timers are cancelled and nothing can be sent to it.
    /// Its context can be read one last time.
    #[non_exhaustive]
    Closed {
        /// The connection that ended.
        conn: ConnId,
        /// The reason for which the connection ended.
        reason: Reason,
    },
}

impl<'a, N> Event<'a, N> {
    /// Converts the event for a handler with another note type.
    ///
    /// # Errors
    /// The note, if the event is a [`Note`](Self::Note).
    pub fn with_other_notes<M>(self) -> Result<Event<'a, M>, N> {
        Ok(match self {
            Self::Started => Event::Started,
            Self::Opened { conn, peer, origin, request } => Event::Opened { conn, peer, origin, request },
            Self::Authenticated { conn } => Event::Authenticated { conn },
            Self::Message { conn, payload } => Event::Message { conn, payload },
            Self::Signal { conn, signal } => Event::Signal { conn, signal },
            Self::InputEnded { conn } => Event::InputEnded { conn },
            Self::Stalled { conn, queued } => Event::Stalled { conn, queued },
            Self::Drained { conn } => Event::Drained { conn },
            Self::Sent { conn, start, bytes } => Event::Sent { conn, start, bytes },
            Self::Timer(timer) => Event::Timer(timer),
            Self::TicketExpired(ticket) => Event::TicketExpired(ticket),
            Self::Offloaded { conn, outcome } => Event::Offloaded { conn, outcome },
            Self::ShardMessage { from, topic, content } => Event::ShardMessage { from, topic, content },
            Self::Note(note) => return Err(note),
            Self::DialFailed { dial, failure, retry_at } => Event::DialFailed { dial, failure, retry_at },
            Self::DialEnded { dial } => Event::DialEnded { dial },
            Self::Broker { is_up, why } => Event::Broker { is_up, why },
            Self::HostMessage { from, topic, content } => Event::HostMessage { from, topic, content },
            Self::ClusterAnswered { request, answer } => Event::ClusterAnswered { request, answer },
            Self::Refused { listener, peer, reason } => Event::Refused { listener, peer, reason },
            Self::Login { conn, listener, peer, attempt } => Event::Login { conn, listener, peer, attempt },
            Self::LoginEnded { conn, listener } => Event::LoginEnded { conn, listener },
            Self::Request { conn, listener, peer, request, body } => {
                Event::Request { conn, listener, peer, request, body }
            }
            Self::RequestExpired { ticket, listener } => Event::RequestExpired { ticket, listener },
            Self::RequestRefused { listener, peer, reason, status, why, request } => {
                Event::RequestRefused { listener, peer, reason, status, why, request }
            }
            Self::Tunnel { status } => Event::Tunnel { status },
            Self::ChannelRefused { tunnel, words } => Event::ChannelRefused { tunnel, words },
            Self::AcceptPaused { listener, failure } => Event::AcceptPaused { listener, failure },
            Self::AcceptResumed { listener } => Event::AcceptResumed { listener },
            Self::Joined { conn, room, position, recovery, missed } => {
                Event::Joined { conn, room, position, recovery, missed }
            }
            Self::RoomGap(gap) => Event::RoomGap(gap),
            Self::PresenceChanged(change) => Event::PresenceChanged(change),
            Self::RoomAnswered { request, answer } => Event::RoomAnswered { request, answer },
            Self::Reconfigured => Event::Reconfigured,
            Self::Draining => Event::Draining,
            Self::Closed { conn, reason } => Event::Closed { conn, reason },
        })
    }

    /// Returns the connection that the event is about, if any.
    #[must_use]
    pub fn conn(&self) -> Option<ConnId> {
        match *self {
            Self::Opened { conn, .. }
            | Self::Authenticated { conn }
            | Self::Message { conn, .. }
            | Self::Signal { conn, .. }
            | Self::InputEnded { conn }
            | Self::Stalled { conn, .. }
            | Self::Sent { conn, .. }
            | Self::Drained { conn }
            | Self::TicketExpired(Ticket { conn, .. })
            | Self::Offloaded { conn, .. }
            | Self::Joined { conn, .. }
            | Self::Closed { conn, .. } => Some(conn),
            Self::Timer(timer) => timer.conn,
            Self::RoomGap(gap) => gap.conn,
            Self::Started
            | Self::Note(_)
            | Self::ShardMessage { .. }
            | Self::RoomAnswered { .. }
            | Self::PresenceChanged(_)
            | Self::DialFailed { .. }
            | Self::Broker { .. }
            | Self::HostMessage { .. }
            | Self::ClusterAnswered { .. }
            | Self::DialEnded { .. }
            | Self::Refused { .. }
            | Self::Login { .. }
            | Self::LoginEnded { .. }
            | Self::Request { .. }
            | Self::RequestExpired { .. }
            | Self::RequestRefused { .. }
            | Self::Tunnel { .. }
            | Self::ChannelRefused { .. }
            | Self::AcceptPaused { .. }
            | Self::AcceptResumed { .. }
            | Self::Reconfigured
            | Self::Draining => None,
        }
    }
}
