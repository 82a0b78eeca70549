//! Closes a connection: after a flush, with a farewell, with a close code, or one half of it.

use crate::base::{ConnId, Outgoing, Reason};
use crate::handler::Hub;
use crate::state::Ending;
use crate::wire::websocket::CloseCode;

impl<C: Default> Hub<'_, C> {
    /// Ends a connection as [`Reason::Application`] after flushing what is queued for it.
    pub fn close(&mut self, conn: ConnId) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.end(index, Reason::Application, Ending::Flush);
        }
    }

    /// Sends a last message and ends the connection.
    pub fn close_with<'p>(&mut self, conn: ConnId, farewell: impl Into<Outgoing<'p>>) {
        self.send(conn, farewell);
        self.close(conn);
    }

    /// Ends a connection with an application's close code and text.
    ///
    /// On a WebSocket, a close frame carries them (RFC 6455 section 7.4); the text is cut after 123
    /// bytes. On other wires, this is [`close`](Self::close).
    pub fn close_as(&mut self, conn: ConnId, code: CloseCode, words: &str) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.send_close(index, code, words);
        }
        self.close(conn);
    }

    /// Closes our half of a connection once its output is written, and still reads from the peer.
    ///
    /// The connection leaves its rooms, and messages to it are discarded. It ends as
    /// [`Reason::PeerClosed`] once the peer has ended its half as well, in either order. WebSocket
    /// and telnet have no halves: there, this is [`close`](Self::close).
    pub fn finish(&mut self, conn: ConnId) {
        self.state.finish(conn);
    }

    /// Ends a connection for `reason`, after flushing what is queued for it.
    ///
    /// The peer gets the reason if its wire can carry it, and the metrics count it.
    pub fn end(&mut self, conn: ConnId, reason: Reason) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.end(index, reason, Ending::Flush);
        }
    }
}
