//! Output of wires that send answers themselves: telnet and WebSocket.

use super::State;
use crate::base::{ConnId, Representation};
use crate::config::SlowPolicy;
use crate::wire::telnet::{ClientSession, InputMode, Session, Side, Signal, Terminal, option};
use crate::wire::websocket::WebSocketDecoder;
use crate::wire::{Decoder, RawMode};
use alloc::string::ToString;

/// When to draw an edited line: now, or after more of the input is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Drawn,
    Later,
}

impl State {
    /// Calls `act` with the session of an open telnet connection, and sends the session's output.
    pub(crate) fn with_session<T>(&mut self, id: ConnId, act: impl FnOnce(&mut Session) -> T) -> Option<T> {
        self.with_decoder(id, |decoder| decoder.session().map(act))
    }

    /// Does the same as [`with_session`](Self::with_session) for telnet in the role of the client.
    pub(crate) fn with_client_session<T>(
        &mut self,
        id: ConnId,
        act: impl FnOnce(&mut ClientSession) -> T,
    ) -> Option<T> {
        self.with_decoder(id, |decoder| decoder.client_session().map(act))
    }

    /// Calls the function for the end of the telnet connection that is ours, and sends its output.
    pub(crate) fn with_either_session<T>(
        &mut self,
        id: ConnId,
        server: impl FnOnce(&mut Session) -> T,
        client: impl FnOnce(&mut ClientSession) -> T,
    ) -> Option<T> {
        self.with_decoder(id, |decoder| match decoder {
            Decoder::TelnetClient(_) => decoder.client_session().map(client),
            _ => decoder.session().map(server),
        })
    }

    fn with_decoder<T>(&mut self, id: ConnId, act: impl FnOnce(&mut Decoder) -> Option<T>) -> Option<T> {
        let index = self.open_slot(id)?;
        // What was sent before must go first.
        self.flush_write_buffer(index);
        let result = act(&mut self.conns.get_mut(id)?.decoder)?;
        self.deliver(index);
        self.settle_watermarks();
        self.schedule(index);
        Some(result)
    }

    /// Sets the mode of a raw connection. Returns whether it has such a mode; `None` if not raw.
    pub(crate) fn set_raw_mode(&mut self, id: ConnId, mode: InputMode) -> Option<bool> {
        self.open_slot(id)?;
        let raw = self.conns.get_mut(id)?.decoder.raw_mut()?;
        match mode {
            InputMode::Line => raw.set_mode(RawMode::Bytes),
            InputMode::Keys => raw.set_mode(RawMode::Keys),
            InputMode::Character => return Some(false),
        }
        Some(true)
    }

    /// Flushes the write buffers of all connections.
    pub(crate) fn flush_write_buffers(&mut self) {
        while let Some(index) = self.outbound.next_buffered() {
            self.flush_write_buffer(index);
        }
        self.settle_watermarks();
    }

    pub(crate) fn flush_write_buffer(&mut self, index: u32) {
        self.flush_write_buffer_as(index, Line::Drawn);
    }

    /// Flushes the write buffer without drawing the edited line, which more input may change.
    pub(crate) fn flush_write_buffer_within(&mut self, index: u32) {
        self.flush_write_buffer_as(index, Line::Later);
    }

    fn flush_write_buffer_as(&mut self, index: u32, line: Line) {
        if !self.outbound.has_write_buffer(index) {
            return;
        }
        let messages = self.outbound.take_write_buffer(index);
        if let Some(session) = self.conns.at_mut(index).and_then(|conn| conn.decoder.session()) {
            session.render(&messages);
            // The messages were checked against the limits; now at most a line is added.
            self.deliver_as(index, None, line);
        }
    }

    /// Queues a wire's answers and output, including the edited line.
    ///
    /// Returns whether there were any.
    pub(crate) fn deliver(&mut self, index: u32) -> bool {
        self.deliver_as(index, Some(SlowPolicy::Close), Line::Drawn)
    }

    /// Queues a wire's answers without drawing the edited line, which more input may change.
    ///
    /// Returns whether there were any.
    pub(crate) fn deliver_answers(&mut self, index: u32) -> bool {
        self.deliver_as(index, Some(SlowPolicy::Close), Line::Later)
    }

    /// Draws the edited line, once all available input is decoded.
    pub(crate) fn draw_line(&mut self, index: u32) {
        let session = self.conns.at_mut(index).filter(|conn| conn.is_open()).and_then(|conn| conn.decoder.session());
        if session.is_some_and(|session| session.is_stale()) {
            self.flush_write_buffer(index);
            self.deliver(index);
        }
    }

    fn deliver_as(&mut self, index: u32, policy: Option<SlowPolicy>, line: Line) -> bool {
        let Some(conn) = self.conns.at_mut(index) else { return false };
        let (is_open, before) = (conn.is_open(), conn.encoding);
        let replies = conn.decoder.replies(line == Line::Drawn);
        let is_compressed =
            replies.is_some() && conn.decoder.session().is_some_and(|session| session.took_replies(self.now));
        let encoding = conn.decoder.encoding();
        let is_goodbye = conn.decoder.socket().is_some_and(WebSocketDecoder::is_closed);
        let any = replies.is_some();
        if let Some(replies) = replies {
            if !replies.control.is_empty() {
                self.outbound.control(index, &replies.control);
            }
            if !replies.output.is_empty() {
                // The slow policy does not apply to last messages.
                self.outbound.send_raw(index, &replies.output, policy.filter(|_| is_open && !is_goodbye));
            }
        }
        let representation = self.outbound.representation(before);
        let number = encoding.map_or(before, |encoding| self.outbound.intern_as(encoding, representation));
        self.regroup(index, number);
        if is_compressed {
            self.schedule(index);
        }
        any
    }

    /// Ends the compressed stream of a telnet connection until there is output again.
    pub(crate) fn rest_compression(&mut self, index: u32) {
        if let Some(session) = self.conns.at_mut(index).and_then(|conn| conn.decoder.session()) {
            session.rest_compression();
            self.deliver(index);
        }
    }

    /// Changes the encoding of a connection.
    fn regroup(&mut self, index: u32, number: u16) {
        let Some(conn) = self.conns.at_mut(index).filter(|conn| conn.encoding != number) else { return };
        conn.encoding = number;
        self.outbound.set_encoding(index, number);
        for &room in &*conn.rooms {
            self.rooms.regroup(room, index, number);
        }
    }

    pub(crate) fn set_representation(&mut self, id: ConnId, representation: Representation) {
        let Some(index) = self.open_slot(id) else { return };
        // What was sent before keeps its encoding.
        self.flush_write_buffer(index);
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.chose_representation = true;
        let number = self.outbound.intern_as(self.outbound.encoding(conn.encoding), representation);
        self.regroup(index, number);
    }

    /// Returns the representation of notices: text, unless the application has chosen JSON.
    pub(super) fn representation_of_notices(&self, index: u32) -> Representation {
        match self.conns.at(index) {
            Some(conn) if conn.chose_representation => self.outbound.representation(conn.encoding),
            _ => Representation::Text,
        }
    }

    /// Returns the representation of a connection. JSON if the connection is gone.
    pub(crate) fn representation(&self, id: ConnId) -> Representation {
        let number = self.conns.get(id).map(|conn| conn.encoding);
        number.map_or(Representation::Json, |number| self.outbound.representation(number))
    }

    /// Sends a WebSocket ping or a telnet keep-alive.
    pub(crate) fn keep_alive(&mut self, index: u32) {
        self.flush_write_buffer(index);
        let (at, now) = (self.now, self.now.as_nanos());
        let Some(conn) = self.conns.at_mut(index) else { return };
        conn.kept_alive_at = at;
        if let Some(socket) = conn.decoder.socket_mut() {
            socket.send_ping(now, &mut self.outbound.encoder.masks);
        } else if let Decoder::Events(events) = &mut conn.decoder {
            events.keep_alive();
        } else if let Some(session) = conn.decoder.session() {
            session.keep_alive();
        } else if let Some(session) = conn.decoder.client_session() {
            session.keep_alive();
        }
        self.deliver(index);
        self.settle_watermarks();
    }

    /// Carries out a signal that concerns the server, before the application gets the signal.
    pub(crate) fn apply_signal(&mut self, id: ConnId, signal: Signal<'_>) {
        match signal {
            Signal::AbortOutput if !self.is_in_order(id.slot()) => self.outbound.discard_messages(id.slot()),
            Signal::Option { option: option::MSSP, side: Side::Us, on: true } => {
                let players = self.open_connections().to_string();
                let status = core::mem::take(&mut self.server_status);
                let counted = [("PLAYERS", players.as_str())].into_iter();
                let counted = counted.filter(|(name, _)| !status.iter().any(|(known, _)| known == name));
                let variables = status.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                self.with_session(id, |session| session.server_status(counted.chain(variables)));
                self.server_status = status;
            }
            _ => {}
        }
    }

    pub(crate) fn terminal(&self, id: ConnId) -> Option<&Terminal> {
        self.conns.get(id)?.decoder.terminal()
    }

    /// Returns whether queued output must stay complete, because it is compressed.
    pub(crate) fn is_in_order(&mut self, index: u32) -> bool {
        let session = self.conns.at_mut(index).and_then(|conn| conn.decoder.session());
        session.is_some_and(|session| session.is_in_order())
    }
}
