//! What a connection waits for before it opens: the body of an HTTP request, its response, or the answer to a login.

use crate::base::{ConnId, ConnIdError, Identity, Time};
use crate::state::Ticket;
use crate::wire::events::Events;
use crate::wire::http::{Body, HttpResponse, Refused, Request};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// A promise to respond to an HTTP request: see [`Hub::respond_later`](crate::Hub::respond_later).
///
/// Its text can travel to another shard and back, which only the shard of the request can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestTicket(Ticket);

impl RequestTicket {
    /// Time in which the response must come: 30 s.
    ///
    /// Time in which the server did not run does not count.
    pub const LIFETIME: Duration = Duration::from_secs(30);

    pub(crate) const fn new(conn: ConnId, number: u64) -> Self {
        Self(Ticket { conn, number })
    }

    /// Returns the connection that carries the request. It had no
    /// [`Opened`](crate::Event::Opened) event.
    #[must_use]
    pub const fn conn(self) -> ConnId {
        self.0.conn
    }
}

impl fmt::Display for RequestTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RequestTicket {
    type Err = ConnIdError;

    fn from_str(text: &str) -> Result<Self, ConnIdError> {
        text.parse().map(Self)
    }
}

/// The state of a connection whose current HTTP request is not answered yet, or that logs in before it opens.
///
/// Nothing that follows the request is handled meanwhile.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// The body of the request arrives.
    Reading(Reading),
    /// The handler responds later.
    Waiting(Waiting),
    /// The handler has responded with a stream of events, which has not begun yet.
    Streaming(Streaming),
    /// The peer has tried to log in at least once.
    Login(Login),
}

/// The latest attempt to log in before a connection opens.
#[derive(Debug)]
pub(crate) struct Login {
    /// Whether the peer has proved nothing yet.
    pub(crate) is_offer: bool,
    pub(crate) answer: LoginAnswer,
    /// Who the peer is, once a proof was accepted.
    pub(crate) identity: Option<Identity>,
}

/// Whether an attempt to log in is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginAnswer {
    /// The handler gets the attempt now.
    Open,
    /// The handler answers later.
    Promised,
    Given,
}

/// A request whose response is a stream of events, once its client is admitted.
#[derive(Debug)]
pub(crate) struct Streaming {
    pub(crate) ticket: RequestTicket,
    pub(crate) request: Request,
    pub(crate) events: Events,
}

/// A request whose body is not complete.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) request: Request,
    pub(crate) body: Body,
    /// The response if the handler gives none.
    pub(crate) refused: Refused,
}

/// A request that waits for the handler's response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) ticket: RequestTicket,
    pub(crate) reply: Reply,
    /// When the ticket expires.
    pub(crate) until: Time,
}

/// What a response depends on, besides its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) conn: ConnId,
    /// Whether the request is for the head alone.
    pub(crate) is_head: bool,
    /// Whether the connection stays open.
    pub(crate) keeps_alive: bool,
    /// Time limit for the next request.
    pub(crate) timeout: Duration,
}

/// The request of the current event.
#[derive(Debug, Default)]
pub(crate) enum RequestState {
    /// There is none, or the handler responds later.
    #[default]
    None,
    /// The handler has not responded.
    Open(Reply),
    Answered(HttpResponse),
    /// The handler responds with a stream of events. Without a ticket, only the head is sent.
    Streamed(Events, Option<RequestTicket>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn request_ticket_round_trips_through_text() {
        let ticket = RequestTicket::new(ConnId::new(2, 7, 3), 41);
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
        assert_eq!("2:7.3".parse::<RequestTicket>(), Err(ConnIdError));
    }
}
