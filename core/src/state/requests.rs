//! Responses of the handler to HTTP requests, at once or later.

use super::exchange::{Exchange, Reply, RequestState, RequestTicket, Waiting};
use super::{Ending, State};
use crate::base::{ConnId, Origin, Reason};
use crate::state::Pending;
use crate::state::conn::{Conn, Phase};
use crate::web::{Answer, Endpoint, answer_of};
use crate::wire::events::Events;
use crate::wire::http::{HttpResponse, RespondError};
use core::time::Duration;

/// Size of the part of a body for which a peer gets one second more, in bytes.
const BODY_MIN_BYTES_PER_SECOND: u64 = 16 << 10;

impl State {
    /// Takes the response to the request of the current event.
    pub(crate) fn respond(&mut self, response: HttpResponse) -> Result<(), RespondError> {
        if !matches!(self.request, RequestState::Open(_)) {
            return Err(RespondError::NoRequest);
        }
        response.check()?;
        self.request = RequestState::Answered(response);
        Ok(())
    }

    /// Makes the request of the current event wait for a later response.
    pub(crate) fn respond_later(&mut self) -> Result<RequestTicket, RespondError> {
        let RequestState::Open(reply) = self.request else { return Err(RespondError::NoRequest) };
        let until = self.now + RequestTicket::LIFETIME;
        let conn = self.conns.get_mut(reply.conn).filter(|conn| conn.is_undecided()).ok_or(RespondError::NoRequest)?;
        self.request = RequestState::None;
        self.requests_promised += 1;
        let ticket = RequestTicket::new(reply.conn, self.requests_promised);
        conn.is_http = true;
        conn.handshake.exchange = Some(Exchange::Waiting(Waiting { ticket, reply, until }));
        self.outbound.changed.insert(reply.conn.slot());
        self.schedule(reply.conn.slot());
        Ok(ticket)
    }

    /// Responds to the request of the current event with a stream of events.
    ///
    /// Returns no ticket if the method is `HEAD`.
    pub(crate) fn respond_stream(&mut self, events: Events) -> Result<Option<RequestTicket>, RespondError> {
        let RequestState::Open(reply) = self.request else { return Err(RespondError::NoRequest) };
        let ticket = (!reply.is_head).then(|| {
            self.requests_promised += 1;
            RequestTicket::new(reply.conn, self.requests_promised)
        });
        self.request = RequestState::Streamed(events, ticket);
        Ok(ticket)
    }

    /// Responds to a request that waits.
    pub(crate) fn respond_to(&mut self, ticket: RequestTicket, response: &HttpResponse) -> Result<(), RespondError> {
        let waiting = self.conns.get(ticket.conn()).and_then(Conn::waiting);
        waiting.filter(|waiting| waiting.ticket == ticket).ok_or(RespondError::NoTicket)?;
        response.check()?;
        if let Some(Waiting { reply, .. }) = self.take_waiting(ticket.conn()) {
            self.send_response(reply, response);
        }
        Ok(())
    }

    /// Ends the wait of a request for its response. While draining, its connection then closes.
    pub(crate) fn take_waiting(&mut self, id: ConnId) -> Option<Waiting> {
        let conn = self.conns.get_mut(id)?;
        let mut waiting = *conn.waiting()?;
        conn.take_exchange();
        waiting.reply.keeps_alive &= self.drain.is_none();
        Some(waiting)
    }

    /// Sends the handler's response to a request.
    pub(crate) fn send_response(&mut self, reply: Reply, response: &HttpResponse) {
        let Reply { conn, is_head, keeps_alive, timeout } = reply;
        let Answer { bytes, is_last, .. } = answer_of(is_head, keeps_alive, response, &self.config.pages);
        self.outbound.control(conn.slot(), &bytes);
        self.count_request(Endpoint::Page);
        self.answered(conn);
        self.finish_request(conn, is_last, Reason::Answered, timeout);
    }

    /// Ends the connection of an answered request, or awaits its next request.
    pub(crate) fn finish_request(&mut self, id: ConnId, is_last: bool, reason: Reason, timeout: Duration) {
        if is_last {
            return self.end_without_event(id.slot(), reason, Ending::Flush);
        }
        self.answered(id);
        if let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.is_undecided()) {
            // Requests that were received meanwhile are next.
            conn.backlog = !conn.held.is_empty() || conn.input_ended;
        }
        self.await_request(id, timeout);
        self.work_ended(id);
        self.outbound.changed.insert(id.slot());
    }

    /// Extends the time limit of a body by that of the content that has arrived.
    pub(crate) fn body_has_grown(&mut self, id: ConnId, bytes: usize) {
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / BODY_MIN_BYTES_PER_SECOND;
        if let Some(Phase::Undecided { until }) = self.conns.get_mut(id).map(|conn| &mut conn.phase) {
            *until = *until + Duration::from_nanos(nanos);
        }
    }

    /// Begins the time limit of a body again, after a time in which the machine did not read it.
    pub(crate) fn body_goes_on(&mut self, id: ConnId, timeout: Duration) {
        let latest = self.now + timeout;
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let (Phase::Undecided { until }, Some(Exchange::Reading(_))) = (&mut conn.phase, &conn.handshake.exchange) {
            *until = latest.max(*until);
        }
    }

    /// Drops the request of a connection that ends. Queues an event if its response was awaited, or if the peer has
    /// tried to log in.
    pub(super) fn drop_request(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (exchange, Origin::Listener(listener)) = (conn.take_exchange(), conn.origin) else { return };
        let pending = match exchange {
            Some(Exchange::Waiting(waiting)) => Pending::RequestExpired(waiting.ticket, listener),
            Some(Exchange::Streaming(streaming)) => Pending::RequestExpired(streaming.ticket, listener),
            Some(Exchange::Login(_)) => Pending::LoginEnded(id, listener),
            Some(Exchange::Reading(_)) | None => return,
        };
        self.pending.push_back(pending);
    }
}
