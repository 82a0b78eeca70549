//! HTTP requests that the handler responds to: their bodies, and responses that come later.

use super::Machine;
use crate::base::{ConnId, Origin, Reason};
use crate::handler::{Event, Handler};
use crate::state::conn::Conn;
use crate::state::{Exchange, Reading, Reply, RequestState, Waiting};
use crate::web::Answer;
use crate::wire::ProbeInput;
use crate::wire::http::{BODY_TOO_LONG, Bad, Body, BodyError, Http, Refused, Request, Status};

impl<H: Handler> Machine<H> {
    /// Passes a request to the handler, at once or after its body. `refused`: if it gives no response.
    pub(super) fn pass_to_handler(&mut self, conn: ConnId, http: &Http, request: Request, refused: Refused) {
        if !request.has_body() {
            return self.ask_handler(conn, http, (&request, &[]), refused);
        }
        if request.expects_continue() {
            self.state.outbound.control(conn.slot(), b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let body = Body::new(request.framing, http.body_limit());
        if let Some(found) = self.state.conns.get_mut(conn) {
            found.handshake.exchange = Some(Exchange::Reading(Reading { request, body, refused }));
        }
        self.state.await_request(conn, http.timeout);
    }

    /// Reads the body of a request from `rest`, and passes a complete one to the handler.
    ///
    /// Returns whether the body is complete, so that the next request may follow. Adds the bytes of
    /// the body to `used`.
    pub(super) fn read_body(
        &mut self,
        conn: ConnId,
        http: &Http,
        input: ProbeInput,
        (rest, used): (&[u8], &mut usize),
    ) -> bool {
        if self.state.must_wait(conn.slot()) {
            self.let_request_wait(conn);
            return false;
        }
        let Some(Exchange::Reading(reading)) = self.exchange(conn) else { return false };
        let before = reading.body.content().len();
        let bytes = match reading.body.read(rest) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.refuse_body(conn, http, error);
                return false;
            }
        };
        let (grown, is_complete) = (reading.body.content().len() - before, reading.body.is_complete());
        *used += bytes;
        if !self.state.charge(conn.slot(), 0, bytes as u64).serves() {
            self.refuse_excess(conn);
            return false;
        }
        self.state.body_has_grown(conn, grown);
        if is_complete {
            if let Some(Reading { request, body, refused }) = self.take_reading(conn) {
                self.ask_handler(conn, http, (&request, body.content()), refused);
            }
        } else {
            self.request_is_incomplete(conn, input, true);
        }
        is_complete
    }

    fn exchange(&mut self, conn: ConnId) -> Option<&mut Exchange> {
        self.state.conns.get_mut(conn)?.exchange_mut()
    }

    /// Ends the reading of a body. Returns the request and its body.
    fn take_reading(&mut self, conn: ConnId) -> Option<Reading> {
        let exchange = &mut self.state.conns.get_mut(conn)?.handshake.get_mut()?.exchange;
        match exchange.take()? {
            Exchange::Reading(reading) => Some(reading),
            other => {
                *exchange = Some(other);
                None
            }
        }
    }

    /// Refuses a request whose body is malformed or too long, and ends the connection.
    fn refuse_body(&mut self, conn: ConnId, http: &Http, error: BodyError) {
        let (status, why) = match error {
            BodyError::TooLong => (Status::CONTENT_TOO_LARGE, BODY_TOO_LONG),
            BodyError::Malformed(why) => (Status::BAD_REQUEST, why),
        };
        let request = self.take_reading(conn).map(|reading| reading.request.into());
        self.refuse_bad(conn, &Bad { status, reason: Reason::BadRequest, why, request }, http.body_limit());
    }

    /// Refuses a request with a body that exceeds the rates, if its connection has not ended for it.
    ///
    /// The connection ends, because the rest of the body would be taken for a request.
    pub(super) fn refuse_excess(&mut self, conn: ConnId) {
        if self.state.conns.get(conn).is_some_and(Conn::is_undecided) {
            self.refuse(conn, &Status::TOO_MANY_REQUESTS.last_words(false), Reason::RateLimited);
        }
    }

    /// Emits [`Event::Request`] and sends the handler's response, unless it comes later.
    fn ask_handler(&mut self, conn: ConnId, http: &Http, (request, body): (&Request, &[u8]), refused: Refused) {
        let Some(&Conn { peer, origin: Origin::Listener(listener), drain_waits, .. }) = self.state.conns.get(conn)
        else {
            return;
        };
        // A drain waits for the body, and ends the connection after the response.
        let keeps_alive = request.keeps_alive() && !drain_waits;
        let reply = Reply { conn, is_head: request.is_head(), keeps_alive, timeout: http.timeout };
        self.state.request = RequestState::Open(reply);
        self.call(Event::Request { conn, listener, peer, request, body });
        let state = core::mem::take(&mut self.state.request);
        self.settle();
        if !self.state.conns.get(conn).is_some_and(Conn::is_undecided) {
            return;
        }
        match state {
            RequestState::Answered(response) => self.state.send_response(reply, &response),
            RequestState::Open(_) => self.send_refusal(reply, refused, Some(request)),
            RequestState::Streamed(events, ticket) => self.stream_is_wanted(reply, http, request, (events, ticket)),
            RequestState::None => {}
        }
    }

    /// Refuses a request that the handler has not responded to.
    pub(super) fn send_refusal(&mut self, reply: Reply, refused: Refused, request: Option<&Request>) {
        let Reply { conn, is_head, keeps_alive, timeout } = reply;
        let Answer { bytes, is_last, .. } = refused.answer_for_handler(is_head, keeps_alive);
        self.state.outbound.control(conn.slot(), &bytes);
        self.tell_refused(conn, refused, request);
        self.state.finish_request(conn, is_last, refused.reason, timeout);
    }

    /// Refuses a request whose response has not come in time, if the connection has one.
    pub(super) fn expire_request(&mut self, conn: ConnId) {
        let Some(Waiting { ticket, reply, .. }) = self.state.take_waiting(conn) else { return };
        let Some(Origin::Listener(listener)) = self.state.conns.get(conn).map(|found| found.origin) else { return };
        let why = "the application did not respond in time";
        self.send_refusal(reply, Refused::new(Status::UNAVAILABLE, Reason::ResponseTimeout, why), None);
        self.emit(Event::RequestExpired { ticket, listener });
    }
}
