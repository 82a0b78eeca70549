use super::{DecodeBuffer, DecodeError, Decoded, Encoding, Item};
use crate::base::Payload;
use crate::wire::Budget;
use crate::wire::telnet::{Replies, Session, Telnet};
use crate::wire::websocket::{MessageStream, Opcode, Piece, WebSocket, WebSocketDecoder, frame};

/// Telnet in the messages of a WebSocket, which form one byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WsTelnet {
    /// Settings for telnet.
    pub telnet: Telnet,
    /// Settings for the WebSocket: in the server role, without compression.
    pub socket: WebSocket,
}

/// Decoder of telnet in the messages of a WebSocket.
///
/// The result does not depend on how the stream is split into messages and frames. A close frame
/// ends the stream like the end of input in plain telnet. The decoder first yields what the end
/// completes, then [`Item::Closed`], and only then answers the close.
#[derive(Debug)]
pub struct WsTelnetDecoder {
    stream: MessageStream,
    session: Session,
    end: End,
}

/// How far the decoder has processed the end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The stream has not ended.
    Open,
    /// A close frame arrived, and the decoder yields what the session still holds.
    Draining(Item<'static>),
    /// The session has ended, and the decoder yields [`Item::Closed`] next.
    Finished(Item<'static>),
    /// The decoder has yielded [`Item::Closed`].
    Reported,
}

impl WsTelnetDecoder {
    /// Creates a decoder for the input after the handshake.
    #[must_use]
    pub fn new(wire: WsTelnet) -> Self {
        let stream = MessageStream::new(WebSocketDecoder::new(wire.socket));
        Self { stream, session: Session::new(wire.telnet), end: End::Open }
    }

    /// Decodes the next [`Item`] at the front of `input`, if it is complete.
    ///
    /// [`wire`](crate::wire) describes the interface of the decoders.
    ///
    /// The call may change input that it does not consume. The next input must begin with the
    /// changed bytes.
    ///
    /// # Errors
    /// Those of [`WebSocketDecoder::decode`], except for the length of messages, and those of
    /// [`Session::decode`].
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

    /// Returns the next item that remains after a close frame, if any.
    ///
    /// The frame itself costs nothing, so that the end of a stream never exceeds a rate.
    fn drain<'a>(
        &mut self,
        used: usize,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        let free = Decoded { used, cost: 0, units: 0, item: None };
        match self.end {
            End::Open | End::Reported => Ok(free),
            End::Draining(_) if self.session.is_ahead() => {
                let decoded = self.session.decode(&mut [], buffer, budget)?;
                Ok(Decoded { used, ..decoded })
            }
            End::Draining(_) if self.session.wait().is_some() => {
                // No input can follow the escape character.
                self.session.on_timeout();
                Ok(free)
            }
            End::Draining(closed) => {
                self.end = End::Finished(closed);
                let last = self.session.finish(buffer, budget)?;
                Ok(Decoded { units: last.is_some().into(), item: last.map(Item::Message), ..free })
            }
            End::Finished(closed) => {
                self.end = End::Reported;
                Ok(Decoded { item: Some(closed), ..free })
            }
        }
    }

    /// Returns the line that the end of the input completes, if any.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if the input ends inside a WebSocket message, which is then lost,
    /// and those of [`Session::finish`].
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        if self.stream.is_partial() { Err(DecodeError::Truncated) } else { self.session.finish(buffer, budget) }
    }

    /// Returns `true` if a frame, a message, a command or a line is incomplete.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.stream.is_partial() || self.session.is_partial()
    }

    /// Returns `true` if the decoder can yield more without further input.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        match self.end {
            End::Open => self.session.is_ahead() || self.stream.has_failed(),
            End::Draining(_) | End::Finished(_) => true,
            End::Reported => false,
        }
    }

    /// Takes the pending replies, framed as WebSocket messages.
    ///
    /// The answer to a close comes last, and only after [`Item::Closed`] was yielded.
    pub fn replies(&mut self) -> Option<Replies> {
        let of_session = self.session.replies();
        self.framed(of_session)
    }

    /// Takes the pending replies as WebSocket messages, but defers the redrawing of an edited line.
    ///
    /// Before the answer to a close the line is drawn at once, because nothing may follow that.
    pub(crate) fn answers(&mut self) -> Option<Replies> {
        let of_session = if self.end == End::Reported { self.session.replies() } else { self.session.answers() };
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
        if self.end == End::Reported {
            replies.output.append(&mut frames.take_farewell());
        }
        (!replies.control.is_empty() || !replies.output.is_empty()).then_some(replies)
    }

    /// Returns the current encoding of messages for this peer.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.session.encoding().in_websocket()
    }

    /// Returns the telnet session.
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
