//! Streams of events as responses to HTTP requests.

use super::Machine;
use crate::base::{ConnId, Origin, Reason};
use crate::handler::{Event, Handler};
use crate::state::{Exchange, Reply, RequestTicket, Streaming};
use crate::web::{Endpoint, stream_head};
use crate::wire::Wire;
use crate::wire::events::Events;
use crate::wire::http::{Http, Request, upgrade};

impl<H: Handler> Machine<H> {
    /// Checks the origin of a request whose response is a stream, and lets the stream begin next. Sends
    /// only the head if the method is `HEAD`.
    pub(super) fn stream_is_wanted(
        &mut self,
        reply: Reply,
        http: &Http,
        request: &Request,
        (events, ticket): (Events, Option<RequestTicket>),
    ) {
        let conn = reply.conn;
        if let Err(refused) = upgrade::check_origin(request, &http.origins, self.scheme(conn, http, request)) {
            self.send_refusal(Reply { keeps_alive: false, ..reply }, refused, Some(request));
            if let (Some(ticket), Some(Origin::Listener(listener))) = (ticket, self.origin(conn)) {
                self.emit(Event::RequestExpired { ticket, listener });
            }
            return;
        }
        let Some(ticket) = ticket else {
            self.state.outbound.control(conn.slot(), &stream_head(request, events.format));
            self.state.count_request(Endpoint::Page);
            self.state.answered(conn);
            return self.state.finish_request(conn, true, Reason::Answered, reply.timeout);
        };
        if let Some(found) = self.state.conns.get_mut(conn) {
            let streaming = Streaming { ticket, request: request.clone(), events };
            found.handshake.exchange = Some(Exchange::Streaming(streaming));
        }
    }

    /// Begins the stream of a connection, if its client is admitted. Returns its wire and its request.
    pub(super) fn begin_stream(&mut self, conn: ConnId, http: &Http) -> Option<(Wire, Request)> {
        if let Some(forwarded) = &http.forwarded {
            // The exchange stays in place: the first shard may answer later, and a refusal ends the request.
            let Exchange::Streaming(Streaming { request, .. }) =
                self.state.conns.get(conn)?.handshake.exchange.as_ref()?
            else {
                return None;
            };
            let request = request.clone();
            if !self.told_by_proxy(conn, forwarded, &request) {
                return None;
            }
        }
        let Exchange::Streaming(Streaming { request, events, .. }) = self.state.conns.get_mut(conn)?.take_exchange()?
        else {
            return None;
        };
        // The head is control data, so that no keep-alive overtakes it.
        self.state.outbound.control(conn.slot(), &stream_head(&request, events.format));
        Some((Wire::Events(events), request))
    }

    fn origin(&self, conn: ConnId) -> Option<Origin> {
        self.state.conns.get(conn).map(|found| found.origin)
    }
}
