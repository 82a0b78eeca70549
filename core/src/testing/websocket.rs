//! A WebSocket client on a connection of a [`TestHub`].

use super::end::PeerEnd;
use super::hub::TestHub;
use super::websocket_end::{WebSocketEnd, WebSocketMessage};
use crate::base::{ConnId, Failure};
use crate::handler::Handler;
use crate::wire::http::OpeningHandshake;
use crate::wire::websocket::{CloseCode, Opcode};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A WebSocket client on a connection of a [`TestHub`]; see [`TestHub::websocket`].
///
/// It masks its frames with masks from the seed of the configuration. It answers the server's pings
/// and its close frame by itself. A violation of the protocol by the server panics.
pub struct TestWebSocket<'a, H: Handler> {
    hub: &'a mut TestHub<H>,
    conn: ConnId,
}

impl<H: Handler> TestHub<H> {
    /// Connects a WebSocket to the first listener: `target` is a path, with a query if there is one.
    ///
    /// ```
    /// use drupe_core::app::Echo;
    /// use drupe_core::testing::TestHub;
    /// use drupe_core::{Config, Listen};
    ///
    /// let listen: Listen = "ws://127.0.0.1:0".parse()?;
    /// let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
    /// let ann = hub.open_websocket("/");
    /// hub.websocket(ann).send_text("hello");
    /// assert_eq!(hub.websocket(ann).texts(), ["hello"]);
    /// # Ok::<(), drupe_core::ListenError>(())
    /// ```
    ///
    /// # Panics
    /// If the server refuses the connection or the handshake.
    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    pub fn open_websocket(&mut self, target: &str) -> ConnId {
        let conn = self.connect();
        if let Err(failure) = self.begin_websocket(conn, OpeningHandshake::new(target)) {
            let received = String::from_utf8_lossy(self.received(conn)).into_owned();
            panic!("the server did not accept the WebSocket at {target} ({failure}). It sent: {received:?}");
        }
        conn
    }

    /// Sends an opening handshake on a connection, and checks the response (RFC 6455 section 4.2.2).
    ///
    /// The connection is one on which nothing was sent yet. The handshake says, for example, which
    /// `Origin` and which subprotocols the client sends.
    ///
    /// # Errors
    /// [`Failure::Rejected`] with the status of another response than 101,
    /// [`Failure::Handshake`] if the response is invalid, for example because of the wrong
    /// `Sec-WebSocket-Accept`, and [`Failure::Reset`] if the server closed the connection without
    /// a response.
    ///
    /// # Panics
    /// If the connection stays open without a response.
    pub fn begin_websocket(&mut self, conn: ConnId, handshake: OpeningHandshake) -> Result<(), Failure> {
        let (end, request) = WebSocketEnd::new(handshake, self.seed_for(conn));
        self.begin(conn, PeerEnd::WebSocket(Box::new(end)));
        self.send(conn, &request);
        if self.websocket_end(conn).is_open()? {
            return Ok(());
        }
        assert!(self.is_closed(conn), "the server has not answered the opening handshake, and the connection is open");
        Err(Failure::Reset)
    }

    /// Returns the WebSocket client of a connection.
    ///
    /// # Panics
    /// If the connection has none.
    pub fn websocket(&mut self, conn: ConnId) -> TestWebSocket<'_, H> {
        self.websocket_end(conn);
        TestWebSocket { hub: self, conn }
    }

    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    fn websocket_end(&mut self, conn: ConnId) -> &mut WebSocketEnd {
        match self.end_of_mut(conn) {
            Some(PeerEnd::WebSocket(socket)) => socket,
            _ => panic!("the connection has no WebSocket client: `TestHub::open_websocket` connects one"),
        }
    }
}

impl<H: Handler> TestWebSocket<'_, H> {
    /// Sends a text message.
    pub fn send_text(&mut self, text: &str) {
        self.send(Opcode::Text, &[text.as_bytes()]);
    }

    /// Sends a binary message.
    pub fn send_binary(&mut self, content: &[u8]) {
        self.send(Opcode::Binary, &[content]);
    }

    /// Sends a text message in several frames, which the server receives one by one.
    ///
    /// A character may be split between two frames.
    pub fn send_text_fragments(&mut self, pieces: &[&[u8]]) {
        self.send(Opcode::Text, pieces);
    }

    /// Sends a binary message in several frames, which the server receives one by one.
    pub fn send_binary_fragments(&mut self, pieces: &[&[u8]]) {
        self.send(Opcode::Binary, pieces);
    }

    /// Sends a ping. The answer is a [`WebSocketMessage::Pong`].
    pub fn ping(&mut self) {
        let number = self.hub.now().as_nanos();
        let ping = self.hub.websocket_end(self.conn).ping(number);
        self.hub.send(self.conn, &ping);
    }

    /// Sends a close frame. The server's answer is a [`WebSocketMessage::Close`].
    ///
    /// The reason has at most 123 bytes (RFC 6455 section 5.5).
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.send(Opcode::Close, &[&[&code.get().to_be_bytes(), reason.as_bytes()].concat()]);
    }

    fn send(&mut self, opcode: Opcode, pieces: &[&[u8]]) {
        let count = pieces.len();
        for (index, piece) in pieces.iter().enumerate() {
            let opcode = if index == 0 { opcode } else { Opcode::Continuation };
            let frame = self.hub.websocket_end(self.conn).frame(opcode, index + 1 == count, piece);
            self.hub.send(self.conn, &frame);
        }
    }

    /// Returns what the client received since the last [`clear`](TestHub::clear).
    #[must_use]
    pub fn messages(&self) -> &[WebSocketMessage] {
        match self.hub.end_of(self.conn) {
            Some(PeerEnd::WebSocket(socket)) => socket.messages(),
            _ => &[],
        }
    }

    /// Returns the text messages that the client received since the last [`clear`](TestHub::clear).
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.messages().iter().filter_map(WebSocketMessage::as_text).collect()
    }

    /// Returns the code and the reason of the server's close frame, if it was received since the
    /// last [`clear`](TestHub::clear).
    #[must_use]
    pub fn closed(&self) -> Option<(Option<CloseCode>, &str)> {
        match self.messages().last() {
            Some(WebSocketMessage::Close { code, reason }) => Some((*code, reason)),
            _ => None,
        }
    }

    /// Returns the subprotocol that the server chose, if any.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        match self.hub.end_of(self.conn) {
            Some(PeerEnd::WebSocket(socket)) => socket.subprotocol(),
            _ => None,
        }
    }
}

impl<H: Handler> fmt::Debug for TestWebSocket<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestWebSocket").field("conn", &self.conn).field("messages", &self.messages()).finish()
    }
}
