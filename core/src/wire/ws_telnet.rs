use super::{DecodeBuffer, DecodeError, Decoded, Encoding, Item};
use crate::base::Payload;
use crate::wire::Budget;
use crate::wire::telnet::{Replies, Session, Telnet};
use crate::wire::websocket::{MessageStream, Opcode, Piece, WebSocket, WebSocketDecoder, frame};

/// Telnet in the messages of a WebSocket, which are one stream of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WsTelnet {
    /// What is spoken within.
    pub telnet: Telnet,
    /// What it is spoken in, at the server's end and without compression.
    pub socket: WebSocket,
}

/// A telnet session in the messages of a WebSocket.
///
/// However the stream is cut into messages and frames, it yields what the session alone would. A close frame ends the
/// stream as the end of its half ends plain telnet: first comes what it completes, then [`Item::Closed`] and the answer.
#[derive(Debug)]
pub struct WsTelnetDecoder {
    stream: MessageStream,
    session: Session,
    end: End,
}

/// How far the end of the stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There is none yet.
    Open,
    /// A close frame came: what the session has left is yielded.
    Draining(Item<'static>),
    /// The session's last line was yielded.
    Finished(Item<'static>),
    /// [`Item::Closed`] was yielded.
    Told,
}

impl WsTelnetDecoder {
    /// A decoder behind the handshake.
    #[must_use]
    pub fn new(wire: WsTelnet) -> Self {
        let stream = MessageStream::new(WebSocketDecoder::new(wire.socket));
        Self { stream, session: Session::new(wire.telnet), end: End::Open }
    }

    /// Looks at the front of `input`; see [`wire`](crate::wire). What it did not use it may have changed: the next input
    /// begins with that.
    ///
    /// # Errors
    /// Those of [`WebSocketDecoder::decode`] but for the length of messages, and those of [`Session::decode`].
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        if self.end != End::Open {
            return self.drain(input.len(), buffer, budget);
        }
        if input.is_empty() && !self.stream.has_failed() {
            return self.session.decode(&mut [], buffer, budget);
        }
        let next = self.stream.next(input, &mut buffer.masks)?;
        match next.piece {
            Piece::Content(place) => {
                let decoded = self.session.decode(&mut input[place], buffer, budget)?;
                self.stream.consume(decoded.used);
                let (used, cost) = (next.used + decoded.used, next.used + decoded.cost);
                Ok(Decoded { used, cost, units: next.units + decoded.units, item: decoded.item })
            }
            Piece::Item(item @ Item::Closed(_)) => {
                self.end = End::Draining(item);
                self.drain(next.used, buffer, budget)
            }
            Piece::Item(item) => Ok(Decoded { units: next.units, ..Decoded::of(next.used, item) }),
            Piece::Nothing => Ok(Decoded { units: next.units, ..Decoded::nothing(next.used) }),
        }
    }

    /// Yields what is left behind a close frame. The frame itself costs nothing: the end is never too much.
    fn drain<'a>(
        &mut self,
        used: usize,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        let free = Decoded { used, cost: 0, units: 0, item: None };
        match self.end {
            End::Open | End::Told => Ok(free),
            End::Draining(_) if self.session.is_ahead() => {
                let decoded = self.session.decode(&mut [], buffer, budget)?;
                Ok(Decoded { used, ..decoded })
            }
            End::Draining(_) if self.session.wait().is_some() => {
                // Nothing will follow the escape character.
                self.session.on_timeout();
                Ok(free)
            }
            End::Draining(closed) => {
                self.end = End::Finished(closed);
                let last = self.session.finish(buffer, budget)?;
                Ok(Decoded { units: last.is_some().into(), item: last.map(Item::Message), ..free })
            }
            End::Finished(closed) => {
                self.end = End::Told;
                Ok(Decoded { item: Some(closed), ..free })
            }
        }
    }

    /// The line that the end of the input completes. There is none where the input ends within a message, whose rest is lost.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if a message has begun, and those of [`Session::finish`].
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        if self.stream.is_partial() { Err(DecodeError::Truncated) } else { self.session.finish(buffer, budget) }
    }

    /// Whether a frame, a message, a command or a line has begun and is not complete.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.stream.is_partial() || self.session.is_partial()
    }

    /// Whether there is something to yield without further input.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        match self.end {
            End::Open => self.session.is_ahead() || self.stream.has_failed(),
            End::Draining(_) | End::Finished(_) => true,
            End::Told => false,
        }
    }

    /// What is to be sent, in messages of its own: the answer to a close only once [`Item::Closed`] was yielded, behind
    /// everything else.
    pub fn replies(&mut self) -> Option<Replies> {
        let of_session = self.session.replies();
        self.framed(of_session)
    }

    /// As [`replies`](Self::replies), where a line that changes with each key may be drawn later: not behind the answer to a
    /// close.
    pub(crate) fn answers(&mut self) -> Option<Replies> {
        let of_session = if self.end == End::Told { self.session.replies() } else { self.session.answers() };
        self.framed(of_session)
    }

    fn framed(&mut self, of_session: Option<Replies>) -> Option<Replies> {
        let Replies { control, output } = of_session.unwrap_or_default();
        let mut replies = Replies::default();
        for (content, message) in [(&control, &mut replies.control), (&output, &mut replies.output)] {
            if !content.is_empty() {
                frame(Opcode::Binary, content, None, message);
            }
        }
        let frames = self.stream.frames_mut();
        replies.control.append(&mut frames.take_pongs());
        if self.end == End::Told {
            replies.output.append(&mut frames.take_farewell());
        }
        (!replies.control.is_empty() || !replies.output.is_empty()).then_some(replies)
    }

    /// How messages for this peer are written from now on.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.session.encoding().in_websocket()
    }

    /// What is spoken within.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) const fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(crate) const fn socket(&self) -> &WebSocketDecoder {
        self.stream.frames()
    }

    pub(crate) const fn socket_mut(&mut self) -> &mut WebSocketDecoder {
        self.stream.frames_mut()
    }
}
