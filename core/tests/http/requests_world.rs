//! A server whose application responds to HTTP requests, at once or later.

use drupe_core::http::{Http, HttpResponse, RespondError};
use drupe_core::testing::TestHub;
use drupe_core::wire::Protocol;
use drupe_core::{Address, Config, ConnId, Event, Handler, Hub, Listen, RequestTicket};
use std::sync::Arc;

/// Remembers the requests that it gets.
#[derive(Default)]
pub(crate) struct Site {
    /// The method, path and body of each request, and what else it was told.
    pub(crate) seen: Vec<String>,
    pub(crate) tickets: Vec<RequestTicket>,
    /// The outcomes of responses.
    pub(crate) outcomes: Vec<Result<(), RespondError>>,
}

/// A later response.
pub(crate) struct Answer(pub(crate) RequestTicket, pub(crate) HttpResponse);

impl Handler for Site {
    type Context = ();
    type Note = Answer;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Answer>) {
        match event {
            Event::Request { request, body, .. } => {
                let text = format!("{} {} {}", request.method(), request.path(), body.escape_ascii());
                self.seen.push(text.trim_end().to_owned());
                match request.path() {
                    "/echo" => {
                        let response = HttpResponse::new("application/octet-stream", body);
                        self.outcomes.push(hub.respond(response));
                    }
                    "/later" => self.tickets.push(hub.respond_later().expect("a request")),
                    "/both" => {
                        let ticket = hub.respond_later().expect("a request");
                        self.outcomes.push(hub.respond(HttpResponse::text("too much")));
                        self.outcomes.push(hub.respond_later().map(drop));
                        self.outcomes.push(hub.respond_to(ticket, &HttpResponse::text("at once")));
                    }
                    _ => {}
                }
            }
            Event::Note(Answer(ticket, response)) => self.outcomes.push(hub.respond_to(ticket, &response)),
            Event::RequestExpired { ticket, .. } => self.seen.push(format!("expired {ticket}")),
            Event::RequestRefused { status, why, .. } => self.seen.push(format!("{status} {why}")),
            Event::Message { .. } => self.outcomes.push(hub.respond_later().map(drop)),
            _ => {}
        }
    }
}

pub(crate) fn config(http: Http) -> Config {
    Config::listening([Listen::new(Address::Tcp(([127, 0, 0, 1], 80).into()), Protocol::Http(Arc::new(http)))])
}

/// A server that accepts bodies of 100 bytes.
pub(crate) fn site() -> TestHub<Site> {
    TestHub::with_config(config(Http::default().body_max_bytes(100)), Site::default())
}

/// Sends bytes in pieces.
pub(crate) fn send<H: Handler>(hub: &mut TestHub<H>, conn: ConnId, bytes: &[u8], piece: usize) {
    bytes.chunks(piece.max(1)).for_each(|piece| hub.send(conn, piece));
}

/// Returns what a client has received, as text.
pub(crate) fn text<H: Handler>(hub: &TestHub<H>, conn: ConnId) -> String {
    String::from_utf8_lossy(hub.received(conn)).into_owned()
}

/// Returns the status codes of the responses in a text.
pub(crate) fn codes(text: &str) -> Vec<&str> {
    text.match_indices("HTTP/1.1 ").filter_map(|(at, _)| text.get(at + 9..at + 12)).collect()
}
