//! Ways to end a connection, or one half of it.

use crate::base::{ConnId, Outgoing, Reason};
use crate::handler::Hub;
use crate::state::Ending;
use crate::wire::websocket::CloseCode;

/// Options of [`Hub::end`]: the reason, a last message, and the code and text of a WebSocket close.
///
/// ```
/// # use drupe_core::{Close, Reason, websocket::CloseCode};
/// let close = Close::new(Reason::Forbidden).farewell("ask the operator for access").text("no access");
/// # let _ = close.code(CloseCode::UNAUTHORIZED);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Close<'a> {
    reason: Reason,
    farewell: Option<Outgoing<'a>>,
    code: Option<CloseCode>,
    text: &'a str,
}

impl<'a> Close<'a> {
    /// Creates options that end a connection for `reason`, which the metrics count.
    ///
    /// The peer receives the reason if its wire can carry it.
    pub const fn new(reason: Reason) -> Self {
        Self { reason, farewell: None, code: None, text: "" }
    }

    /// Sets a last message, which is sent before the connection ends.
    pub fn farewell(self, message: impl Into<Outgoing<'a>>) -> Self {
        Self { farewell: Some(message.into()), ..self }
    }

    /// Sets the code of the close frame on a WebSocket (RFC 6455 section 7.4).
    ///
    /// It replaces the code for the reason. Other wires do not carry it.
    pub const fn code(self, code: CloseCode) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Sets the text of the close frame on a WebSocket, in place of the reason's name.
    ///
    /// The text is cut after 123 bytes. Other wires do not carry it.
    pub const fn text(self, text: &'a str) -> Self {
        Self { text, ..self }
    }
}

impl From<Reason> for Close<'_> {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

/// # Ending connections
impl<C> Hub<'_, C> {
    /// Ends a connection after flushing its output, for a [`Reason`] or as a [`Close`] specifies.
    ///
    /// A connection may also end before it opens, once its client tries to [log in](crate::Event::Login). The client gets
    /// the answer to its attempt, and no farewell.
    pub fn end<'a>(&mut self, conn: ConnId, close: impl Into<Close<'a>>) {
        let Close { reason, farewell, code, text } = close.into();
        if let Some(farewell) = farewell {
            self.send(conn, farewell);
        }
        let Some(index) = self.state.open_slot(conn) else {
            if self.state.is_logging_in(conn) {
                self.state.end(conn.slot(), reason, Ending::Flush);
            }
            return;
        };
        if code.is_some() || !text.is_empty() {
            let name = if reason == Reason::Application { "" } else { reason.name() };
            let text = if text.is_empty() { name } else { text };
            self.state.send_close(index, code.unwrap_or_else(|| CloseCode::of(reason)), text);
        }
        self.state.end(index, reason, Ending::Flush);
    }

    /// Ends a connection after flushing its output, as [`Reason::Application`].
    pub fn close(&mut self, conn: ConnId) {
        self.end(conn, Reason::Application);
    }

    /// Sends a last message and ends the connection as [`Reason::Application`].
    pub fn close_with<'p>(&mut self, conn: ConnId, farewell: impl Into<Outgoing<'p>>) {
        self.end(conn, Close::new(Reason::Application).farewell(farewell));
    }

    /// Closes our half of a connection once its output is written, and still reads from the peer.
    ///
    /// The connection leaves its rooms, and messages to it are discarded. It ends as
    /// [`Reason::PeerClosed`] once the peer has ended its half as well, in either order. WebSocket,
    /// telnet and streams of events have no halves: there, this is [`close`](Self::close).
    pub fn finish(&mut self, conn: ConnId) {
        self.state.finish(conn);
    }
}
