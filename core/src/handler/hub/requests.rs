//! Responses to HTTP requests.

use crate::base::ConnId;
use crate::handler::Hub;
use crate::state::RequestTicket;
use crate::wire::events::{Events, StreamEvent};
use crate::wire::http::{HttpResponse, RespondError};

/// # HTTP requests
impl<C> Hub<'_, C> {
    /// Responds to the request of an [`Event::Request`](crate::Event::Request).
    ///
    /// # Errors
    /// If there is no request, or its response cannot be sent. Then the request gets the status
    /// 404 or 405, unless another response follows.
    pub fn respond(&mut self, response: HttpResponse) -> Result<(), RespondError> {
        self.state.respond(response)
    }

    /// Promises a response to the request of an [`Event::Request`](crate::Event::Request).
    ///
    /// [`respond_to`](Self::respond_to) gives it, during a later event or this one. Until then,
    /// further requests of the connection wait, and the machine reads no more of it than it needs to
    /// notice that the client has gone. A client that has only ended its half still gets the
    /// response.
    ///
    /// If no response comes within [`RequestTicket::LIFETIME`], the client gets the status 503. If
    /// the connection ends first, there is nobody to respond to. In both cases,
    /// [`Event::RequestExpired`](crate::Event::RequestExpired) follows. A drain waits for the
    /// response, and closes the connection after it. Shortly before its deadline, the ticket
    /// expires: see [`Drain`](crate::Drain).
    ///
    /// # Errors
    /// If there is no request, or the handler has responded to it.
    pub fn respond_later(&mut self) -> Result<RequestTicket, RespondError> {
        self.state.respond_later()
    }

    /// Responds to the request of an [`Event::Request`](crate::Event::Request) with a stream of events.
    ///
    /// [`Event::Opened`](crate::Event::Opened) follows with the request. From then on,
    /// [`send`](Self::send), rooms, [`send_event`](Self::send_event) and [`end`](Self::end) work on the
    /// connection as on any other. Its [`wire_name`](Self::wire_name) is `events`. Input of the peer is
    /// discarded. The stream continues when the peer ends its half.
    ///
    /// As for an upgrade to WebSocket, the client that a trusted proxy reports must be admitted, and a
    /// page must have one of the accepted [origins](crate::http::Http::origins). If the stream does not
    /// begin, [`Event::RequestExpired`](crate::Event::RequestExpired) follows with the returned ticket.
    ///
    /// Returns `None` for the method `HEAD`. The client then gets the head, and no event follows.
    ///
    /// # Errors
    /// If there is no request, or the handler has responded to it already.
    pub fn respond_stream(&mut self, events: Events) -> Result<Option<RequestTicket>, RespondError> {
        self.state.respond_stream(events)
    }

    /// Queues an event with its fields for a connection whose wire is a stream of events.
    ///
    /// Returns `false` on any other wire, and if [`send`](Self::send) would return `false`.
    pub fn send_event(&mut self, conn: ConnId, event: &StreamEvent<'_>) -> bool {
        self.state.send_event(conn, event)
    }

    /// Responds to a request for which [`respond_later`](Self::respond_later) returned this ticket.
    ///
    /// # Errors
    /// If the ticket is unknown, used or expired, if it is of another shard, or if the response
    /// cannot be sent. A ticket stays valid if only the response is at fault.
    pub fn respond_to(&mut self, ticket: RequestTicket, response: &HttpResponse) -> Result<(), RespondError> {
        self.state.respond_to(ticket, response)
    }
}
