//! HTTP requests that the application may respond to.

use super::Machine;
use crate::base::{ConnId, Origin};
use crate::handler::{Event, Handler};
use crate::state::RequestState;
use crate::state::conn::Conn;
use crate::wire::http::{HttpResponse, Request};

/// The result of passing an HTTP request to the handler.
pub(super) enum Asked {
    Answered(HttpResponse),
    Unanswered,
    /// The connection ended during the event.
    Gone,
}

impl<H: Handler> Machine<H> {
    /// Emits [`Event::Request`], and returns the handler's response, if any.
    pub(super) fn ask_handler(&mut self, conn: ConnId, request: &Request) -> Asked {
        let Some(&Conn { peer, origin: Origin::Listener(listener), .. }) = self.state.conns.get(conn) else {
            return Asked::Gone;
        };
        self.state.request = RequestState::Waits;
        self.emit(Event::Request { conn, listener, peer, request });
        let state = core::mem::take(&mut self.state.request);
        if !self.state.conns.get(conn).is_some_and(Conn::is_undecided) {
            return Asked::Gone;
        }
        match state {
            RequestState::Answered(response) => Asked::Answered(response),
            RequestState::None | RequestState::Waits => Asked::Unanswered,
        }
    }
}
