//! Closes a connection: after a flush, with a farewell, with a close code, or one half of it.

use crate::base::{ConnId, Outgoing, Reason};
use crate::handler::Hub;
use crate::state::Ending;
use crate::wire::websocket::CloseCode;

impl<C: Default> Hub<'_, C> {
    /// Ends a connection as [`Reason::Application`] once everything queued for it is written.
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

    /// Ends a connection with a code and words of the application, where the wire can carry them: a WebSocket's close
    /// frame (RFC 6455 section 7.4). The words are cut after 123 bytes. Elsewhere as [`close`](Self::close).
    pub fn close_as(&mut self, conn: ConnId, code: CloseCode, words: &str) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.send_close(index, code, words);
        }
        self.close(conn);
    }

    /// Says that nothing more will be sent: our half of the connection is closed once everything queued is written, and what the
    /// peer still sends is read. It leaves its rooms, and what is sent to it goes nowhere. Once the peer has ended its half as
    /// well, whichever came first, the connection is over as [`Reason::PeerClosed`]. Over WebSocket and telnet, which have no
    /// halves, as [`close`](Self::close).
    pub fn finish(&mut self, conn: ConnId) {
        self.state.finish(conn);
    }

    /// Ends a connection for a named reason, once everything queued for it is written: the peer is told it where its wire can
    /// carry it, and it stands in the metrics.
    pub fn end(&mut self, conn: ConnId, reason: Reason) {
        if let Some(index) = self.state.open_slot(conn) {
            self.state.end(index, reason, Ending::Flush);
        }
    }
}
