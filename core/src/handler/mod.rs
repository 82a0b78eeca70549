mod hub;

pub use hub::Hub;

use crate::base::AcceptFailure;
use crate::base::Origin;
use crate::base::{ConnId, DialId, Failure, ListenerId, Payload, Peer, Reason, Time};
use crate::state::{Ticket, Timer};
use crate::tunnel::TunnelStatus;
use crate::wire::http::Request;
use crate::wire::telnet::Signal;
use core::fmt;
use core::str::FromStr;

/// An application: what happens is told to it, and what it wants it asks of the [`Hub`].
///
/// A panic in `on` ends the connection that it is told about as [`Reason::HandlerPanicked`], and is counted; the server goes on,
/// with the handler as the panic left it. That needs the feature `std`, which every shell has; without it, a panic is what
/// the target makes of it.
///
/// There is no `async`, no lock and no clock in here, so an application is tested like a function (see
/// [`testing`](crate::testing)). What the hub is asked to do never calls `on` again before it returns.
pub trait Handler {
    /// What the application remembers about one connection: made when it opens, dropped after its
    /// [`Event::Closed`]. Read and changed through [`Hub::context`].
    type Context: Default;

    /// What comes from outside: an answer of a database, a word of another thread. [`NoNote`] if nothing does.
    type Note;

    /// Something happened.
    fn on(&mut self, hub: &mut Hub<'_, Self::Context>, event: Event<'_, Self::Note>);

    /// Whether peers send this handler passwords or tokens, which should not stand in a [trace](crate::trace).
    fn holds_secrets(&self) -> bool {
        false
    }

    /// Whether this handler serves [`Signal::Key`]. A server does not start, nor reload, with a listener in
    /// [`InputMode::Keys`](crate::telnet::InputMode::Keys) for a handler that does not: nothing that is typed there would reach
    /// it. The default is true.
    fn reads_keys(&self) -> bool {
        true
    }
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a, N> {
    /// The server has begun: the first event of all. Nobody is connected yet; dials and timers can be set.
    Started,
    /// A connection is open: the first event that names it.
    #[non_exhaustive]
    Opened {
        /// Which.
        conn: ConnId,
        /// Who is at the other end.
        peer: Peer,
        /// How it came about.
        origin: Origin,
        /// The request that became this WebSocket; `None` on other wires and for those that were dialled.
        request: Option<&'a Request>,
    },
    /// The user at the other end is another than before: [`Hub::identify`].
    #[non_exhaustive]
    Authenticated {
        /// Which; see [`Hub::identity`].
        conn: ConnId,
    },
    /// A message is complete.
    Message {
        /// From whom.
        conn: ConnId,
        /// Its content, without what the wire puts around it.
        payload: Payload<'a>,
    },
    /// A telnet peer tells something beside its lines.
    #[non_exhaustive]
    Signal {
        /// Who.
        conn: ConnId,
        /// What.
        signal: Signal<'a>,
    },
    /// The peer will send nothing more but still listens. Only on listeners with `half_open`; elsewhere the
    /// connection ends.
    #[non_exhaustive]
    InputEnded {
        /// Who.
        conn: ConnId,
    },
    /// More is queued than the high mark, and the peer is not read for the time being.
    #[non_exhaustive]
    Stalled {
        /// Who.
        conn: ConnId,
        /// How many bytes are queued.
        queued: usize,
    },
    /// A stalled connection is no longer above the low mark, and is read again.
    #[non_exhaustive]
    Drained {
        /// Who.
        conn: ConnId,
    },
    /// A message was queued for a connection that is [watched](crate::Hub::watch): not one that could not be sent or that a
    /// policy skipped at once. What is sent while this is told is not told.
    #[non_exhaustive]
    Sent {
        /// To whom.
        conn: ConnId,
        /// The message, or the first 4 KiB of it.
        start: Payload<'a>,
        /// How many bytes it has.
        bytes: usize,
    },
    /// A timer that was set with [`Hub::wake`] is due. It is set no more.
    Timer(Timer),
    /// Work that was given away was not answered in time. Its ticket is worth nothing any more.
    TicketExpired(Ticket),
    /// A job that was given away is done: [`Hub::offload`].
    #[non_exhaustive]
    Offloaded {
        /// For whom.
        conn: ConnId,
        /// What it returned.
        outcome: bool,
    },
    /// The handler of another [shard](crate::Shard) sent a message: [`Hub::send_to_shard`].
    #[non_exhaustive]
    ShardMessage {
        /// Which shard.
        from: u8,
        /// What it is about.
        topic: &'a str,
        /// What it says.
        content: &'a str,
    },
    /// A note came from outside.
    Note(N),
    /// An attempt to connect failed.
    #[non_exhaustive]
    DialFailed {
        /// Which.
        dial: DialId,
        /// How.
        failure: Failure,
        /// When the next attempt is; `None` if there is none and the dial is forgotten.
        retry_at: Option<Time>,
    },
    /// A dial that was connected, and is not tried again, is forgotten. Its connection was told as [`Closed`](Self::Closed)
    /// before.
    #[non_exhaustive]
    DialEnded {
        /// Which.
        dial: DialId,
    },
    /// Somebody was not let in, or was closed before it was clear what they speak: no connection that was told as `Opened`.
    #[non_exhaustive]
    TurnedAway {
        /// Where.
        listener: ListenerId,
        /// Who.
        peer: Peer,
        /// Why.
        reason: Reason,
    },
    /// A request of HTTP was refused: it is for nothing that is here, for another host, from a page of another origin, without what
    /// opens it, or not well formed. Where the connection ends with it, it is not told as [`TurnedAway`](Self::TurnedAway) as well.
    #[non_exhaustive]
    RequestRefused {
        /// Where.
        listener: ListenerId,
        /// Who.
        peer: Peer,
        /// Why, as it is counted.
        reason: Reason,
        /// The status that it was answered with (RFC 9110 section 15).
        status: u16,
        /// Why, in words, as it was answered.
        why: &'static str,
        /// The request, as far as it could be read.
        request: Option<&'a Request>,
    },
    /// A [tunnel](crate::tunnel) is in another state than before. On a server of several shards the first one is told.
    #[non_exhaustive]
    Tunnel {
        /// How it is now.
        status: &'a TunnelStatus,
    },
    /// An SSH server opened a channel through one of our tunnels that was refused: nobody asked for it, or too many wait to be
    /// let in. On a server of several shards the first one is told.
    #[non_exhaustive]
    ChannelRefused {
        /// The name of the tunnel.
        tunnel: &'a str,
        /// What was opened, and why it was refused.
        words: &'a str,
    },
    /// A listener accepts nobody for a while, because the process or the system has no descriptors or no memory left, or because
    /// accepting failed many times in a row. Told once, until it [accepts again](Self::AcceptResumed). On a server of several
    /// shards the first one is told.
    #[non_exhaustive]
    AcceptPaused {
        /// Which.
        listener: ListenerId,
        /// Why.
        failure: AcceptFailure,
    },
    /// A listener accepted a connection again after [`AcceptPaused`](Self::AcceptPaused).
    #[non_exhaustive]
    AcceptResumed {
        /// Which.
        listener: ListenerId,
    },
    /// The server is shutting down; connections are closed over the next moments.
    Draining,
    /// A connection is over: exactly once, and the last event that names it. It is in no room any more, its
    /// timers are gone and nothing can be sent to it; its context can be read one last time.
    #[non_exhaustive]
    Closed {
        /// Which.
        conn: ConnId,
        /// The one reason.
        reason: Reason,
    },
}

impl<'a, N> Event<'a, N> {
    /// The same event for a handler with other notes.
    ///
    /// # Errors
    /// The note, if it is one.
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
            Self::TurnedAway { listener, peer, reason } => Event::TurnedAway { listener, peer, reason },
            Self::RequestRefused { listener, peer, reason, status, why, request } => {
                Event::RequestRefused { listener, peer, reason, status, why, request }
            }
            Self::Tunnel { status } => Event::Tunnel { status },
            Self::ChannelRefused { tunnel, words } => Event::ChannelRefused { tunnel, words },
            Self::AcceptPaused { listener, failure } => Event::AcceptPaused { listener, failure },
            Self::AcceptResumed { listener } => Event::AcceptResumed { listener },
            Self::Draining => Event::Draining,
            Self::Closed { conn, reason } => Event::Closed { conn, reason },
        })
    }

    /// The connection that this is about, if it is about one.
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
            | Self::Closed { conn, .. } => Some(conn),
            Self::Timer(timer) => timer.conn,
            Self::Started
            | Self::Note(_)
            | Self::ShardMessage { .. }
            | Self::DialFailed { .. }
            | Self::DialEnded { .. }
            | Self::TurnedAway { .. }
            | Self::RequestRefused { .. }
            | Self::Tunnel { .. }
            | Self::ChannelRefused { .. }
            | Self::AcceptPaused { .. }
            | Self::AcceptResumed { .. }
            | Self::Draining => None,
        }
    }
}

/// The note of an application that is told nothing from outside: there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoNote {}

impl fmt::Display for NoNote {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl FromStr for NoNote {
    type Err = NoNoteError;

    fn from_str(_: &str) -> Result<Self, NoNoteError> {
        Err(NoNoteError)
    }
}

/// A note was found where there can be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this application takes no notes")]
pub struct NoNoteError;
