//! Streams of events of one channel: `GET /events?channel=news:1`.

use super::codes::{Disconnect, Failed, Refusal};
use super::command::Connect;
use super::connecting::new_client;
use super::hooks::{Caller, Hooks};
use super::query::{Query, query};
use super::service::{Opening, PubSub, disconnect};
use super::session::{Phase, Session, Stream};
use super::stream_output;
use super::subscribing::{Allowed, Begin, Begun};
use super::tokens::{ConnectionToken, TokenChannel};
use crate::base::ConnId;
use crate::handler::Hub;
use crate::state::RequestTicket;
use crate::wire::events::Events;
use crate::wire::http::{HttpResponse, Request};
use alloc::format;
use alloc::string::{String, ToString};
use serde_json::Value;

/// The path of streams.
pub(super) const PATH: &str = "/events";

/// The command number of the only subscription of a stream.
const ID: u32 = 1;

impl<K: Hooks> PubSub<K> {
    /// Responds to a request for a stream of events. Returns whether the request was for one.
    pub(super) fn stream_asked(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, request: &Request) -> bool {
        if !self.options.channels.events || request.path() != PATH {
            return false;
        }
        if !matches!(request.method(), "GET" | "HEAD") {
            let _ = hub.respond(refused(405, &Refusal::BAD_REQUEST));
            return true;
        }
        let opening = match self.stream_allowed(hub, conn, request) {
            Ok(opening) => opening,
            Err(response) => {
                // There is a request, and the response is well formed.
                let _ = hub.respond(response);
                return true;
            }
        };
        let ping = Some(self.options.ping_interval);
        let events = Events::default().format(opening.stream.format).ping(ping);
        if let Ok(Some(ticket)) = hub.respond_stream(events) {
            self.opening.insert(ticket.conn().index(), (conn, opening));
        }
        true
    }

    /// Decides whether a client may have a stream.
    ///
    /// # Errors
    /// The response with the reason of the refusal.
    fn stream_allowed(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        request: &Request,
    ) -> Result<Opening, HttpResponse> {
        let Query { channel, token, channel_token, since, format } =
            query(request).map_err(|why| refused(400, &Refusal::new(107, why)))?;
        // Without a home, no message of the channel would have a position.
        let is_refused = |failed| response(&failed);
        let rules = self.options.channels.rules(&channel).map_err(|refusal| is_refused(refusal.into()))?;
        if hub.room_options(&channel).is_none() || rules.subscribe_proxy_enabled {
            return Err(is_refused(Refusal::NOT_AVAILABLE.into()));
        }
        // The backend is not asked about streams: there is no open connection yet that could wait.
        let asks = self.options.backend.as_ref().is_some_and(|backend| backend.connect);
        if asks && token.is_empty() {
            return Err(response_of_connect(&Disconnect::BAD_REQUEST.into()));
        }
        let connect = Connect { token: token.into(), ..Connect::default() };
        let admitted = self.admit(hub, conn, &connect).map_err(|failed| response_of_connect(&failed))?;
        let client = new_client(hub.random(), hub.random());
        let text = |json: Option<Value>| json.map(|json| json.to_string());
        let (info, data, expires_at) = if let Some(found) = self.of_connection(&admitted, &channel) {
            (text(found.info), text(found.data), None)
        } else {
            let caller = Caller { client: &client, user: &admitted.user };
            let allowed = self.may_subscribe(hub.unix_time(), caller, &channel, &channel_token);
            let Allowed { info, data, expires_at } = allowed.map_err(is_refused)?;
            (info, data, expires_at)
        };
        let stream = Stream { format, since };
        let ConnectionToken { user, info: user_info, expires_at: connection_expires_at, .. } = admitted;
        Ok(Opening { client, user, user_info, connection_expires_at, channel, info, data, expires_at, stream })
    }

    /// Returns the options of a channel to which the server subscribes the client: one of its connection token, or its
    /// personal channel.
    fn of_connection(&self, admitted: &ConnectionToken, channel: &str) -> Option<TokenChannel> {
        let is_own = || channel.strip_prefix('#').is_some_and(|user| !user.is_empty() && user == admitted.user);
        let found = admitted.channels.get(channel).cloned();
        found.or_else(|| (self.options.personal_channels && is_own()).then(TokenChannel::default))
    }

    /// Begins the session of a stream. Returns whether the connection is one.
    pub(super) fn stream_opened(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId) -> bool {
        let found = self.opening.remove(&conn.index()).filter(|(of, _)| *of == conn);
        let Some((_, opening)) = found.filter(|_| hub.wire_name(conn) == Some("events")) else { return false };
        let Opening { client, user, user_info, connection_expires_at, channel, info, data, expires_at, stream } =
            opening;
        if let Some(session) = hub.context(conn) {
            session.phase = Phase::Stream(stream);
            session.transport = "events";
            session.next_client = Some(client);
        }
        // A stream has one channel, so the other channels of the token do not apply.
        let (none, expires_with) = (ConnectionToken::default(), connection_expires_at);
        let admitted = ConnectionToken { user, info: user_info, expires_at: expires_with, ..none };
        self.admitted(hub, conn, admitted);
        if hub.is_draining() {
            disconnect(hub, conn, &Disconnect::SHUTDOWN);
            return true;
        }
        let asked = Begin {
            id: ID,
            channel: &channel,
            recover: stream.since,
            wants_error: false,
            asks_positioned: true,
            asks_recoverable: true,
            // A stream cannot ask, so it gets them only if all subscribers do.
            asks_join_leave: false,
            info,
            data,
            expires_at,
        };
        match self.begin(hub, conn, asked) {
            Ok(Begun::Waits) => {}
            Ok(Begun::Live(subscribed)) => stream_output::subscribed(hub, conn, stream, &subscribed),
            // There are too many channels, or too many members.
            Err(_) => disconnect(hub, conn, &Disconnect::CHANNEL_LIMIT),
        }
        true
    }

    /// Forgets a stream that did not begin.
    pub(super) fn stream_expired(&mut self, ticket: RequestTicket) {
        let index = ticket.conn().index();
        if self.opening.get(&index).is_some_and(|(of, _)| *of == ticket.conn()) {
            self.opening.remove(&index);
        }
    }
}

/// Returns the response to a client that is not admitted.
fn response_of_connect(failed: &Failed) -> HttpResponse {
    if *failed == Disconnect::BAD_REQUEST.into() {
        // The client gave no token.
        return refused(401, &Refusal::new(107, "a token is required"));
    }
    response(failed)
}

/// Returns the response to a refused request. An `EventSource` does not come back after it.
fn response(failed: &Failed) -> HttpResponse {
    match failed {
        Failed::Disconnect(why) => {
            let status = if *why == Disconnect::INVALID_TOKEN { 401 } else { 403 };
            refused(status, &Refusal::new(why.code.into(), why.reason.clone()))
        }
        Failed::Refused(refusal) => refused(status_of(refusal), refusal),
        Failed::Waits => refused(503, &Refusal::INTERNAL),
    }
}

fn status_of(refusal: &Refusal) -> u16 {
    match refusal.code {
        _ if refusal.temporary => 503,
        102 | 108 => 404,
        106 => 429,
        107 => 400,
        109 | 110 => 401,
        _ => 403,
    }
}

fn refused(status: u16, refusal: &Refusal) -> HttpResponse {
    let json: String = format!("{{\"error\":{}}}\n", refusal.json());
    HttpResponse::new("application/json", json).status(status)
}
