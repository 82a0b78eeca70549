//! Decoders of bytes into messages, and encoders of messages into bytes.
//!
//! All decoders have the same interface: `decode(&mut self, input, buffer, budget)` reads the
//! front of `input` and returns how many bytes it used, and possibly a message. The message borrows
//! from the input if it is complete there, otherwise from the [`DecodeBuffer`]. The decoder stores
//! incomplete messages, within the [`Budget`], so decoding byte by byte gives the same messages as
//! decoding everything at once. `finish` returns the message that the end of input completes. An
//! [`Encoder`] does the reverse.
//!
//! # Protocols that Drupe does not know
//!
//! - [`Raw`] passes on the bytes that have arrived, and the application finds its messages.
//! - [`Delimited`] splits the stream at a delimiter.
//! - [`Custom`] asks a [`Codec`] of the application. Its [`FrameDecoder`] stores nothing: it looks
//!   at contiguous bytes and says what is at their front.
//!
//! They differ from other wires in nothing else. On all three, an HTTP request is recognized by the
//! first nine bytes of the stream, so [`Listen::refuses_http`](crate::Listen) holds for any
//! framing: the connection ends before the message that completes these bytes. Where the codec
//! fails first, for example because it reads the method as a length, its error is the reason.

pub mod http;
pub mod outgoing_proxy;
pub mod ssh;
pub mod telnet;
pub mod websocket;

mod auto;
mod budget;
mod buffer;
mod codec;
mod contained;
mod custom;
mod decoded;
pub(crate) mod deflate;
mod delimited;
mod encoder;
mod encoding;
mod errors;
pub mod events;
mod length;
mod line;
mod protocol;
mod proxy;
mod raw;
mod request_line;
mod stream_start;
mod ws_telnet;

pub use auto::Auto;
pub(crate) use auto::{Detected, NO_TLS, ProbeInput};
pub use budget::{Budget, MessageSize, MessageSizeError};
pub(crate) use buffer::grow;
pub use codec::{Codec, CodecNameError, Custom, DecodeContext, Frame, FrameDecoder};
pub use custom::CustomDecoder;
#[cfg(feature = "tls")]
pub(crate) use decoded::SPARE_BYTES;
pub use decoded::{DecodeBuffer, Decoded, Item};
pub use delimited::{Delimited, DelimitedDecoder, Delimiter, DelimiterError};
pub use encoder::Encoder;
pub use encoding::{Encoding, TelnetPath};
pub use errors::{CodecError, CodecFault, DecodeError, EncodeError};
pub use length::{LengthDecoder, LengthPrefix, LengthPrefixed};
pub(crate) use line::text;
pub use line::{InvalidUtf8, LineDecoder, LineEnding, Lines};
pub use protocol::Protocol;
pub use proxy::Proxies;
pub(crate) use proxy::{ProxyHeader, may_be_whole as may_be_proxy_header, parse_header as parse_proxy_header};
pub use raw::{Raw, RawDecoder, RawMode};
pub use ws_telnet::{WsTelnet, WsTelnetDecoder};

use crate::base::Payload;
use crate::wire::events::{Events, EventsDecoder};
use crate::wire::ssh::{SshDecoder, SshSession};
use crate::wire::telnet::{ClientSession, Replies, Session, Telnet, TelnetClient, Terminal};
use crate::wire::websocket::{WebSocket, WebSocketDecoder};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// The framing of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wire {
    /// Text lines, one message each.
    Lines(Lines),
    /// Length-prefixed frames.
    LengthPrefixed(LengthPrefixed),
    /// Telnet (RFC 854), in the role of the server.
    Telnet(Telnet),
    /// Telnet (RFC 854), in the role of the client.
    TelnetClient(TelnetClient),
    /// WebSocket (RFC 6455), after the handshake.
    WebSocket(WebSocket),
    /// Telnet in WebSocket messages, after the WebSocket handshake.
    WsTelnet(WsTelnet),
    /// Bytes as they arrive, without message boundaries.
    Raw(Raw),
    /// Messages that end with a delimiter.
    Delimited(Delimited),
    /// A stream of events in one direction, as the response to an HTTP request.
    Events(Events),
    /// A session of an SSH connection, after the login.
    Ssh(SshSession),
    /// The protocol of a [`Codec`] of the application.
    Custom(Custom),
}

impl Wire {
    /// Creates a decoder at the start of a stream.
    #[must_use]
    pub fn decoder(self) -> Decoder {
        match self {
            Self::Lines(lines) => Decoder::Lines(LineDecoder::new(lines)),
            Self::LengthPrefixed(frames) => Decoder::LengthPrefixed(Box::new(LengthDecoder::new(frames))),
            Self::Telnet(telnet) => Decoder::Telnet(Box::new(Session::new(telnet))),
            Self::TelnetClient(telnet) => Decoder::TelnetClient(Box::new(ClientSession::new(telnet))),
            Self::WebSocket(socket) => Decoder::WebSocket(Box::new(WebSocketDecoder::new(socket))),
            Self::WsTelnet(wire) => Decoder::WsTelnet(Box::new(WsTelnetDecoder::new(wire))),
            Self::Raw(raw) => Decoder::Raw(RawDecoder::new(raw)),
            Self::Delimited(wire) => Decoder::Delimited(Box::new(DelimitedDecoder::new(wire))),
            Self::Events(events) => Decoder::Events(EventsDecoder::new(events)),
            Self::Ssh(session) => Decoder::Ssh(Box::new(SshDecoder::new(session))),
            Self::Custom(custom) => Decoder::Custom(Box::new(CustomDecoder::new(custom))),
        }
    }

    /// Returns the encoding of messages at the start of a stream.
    #[must_use]
    pub const fn encoding(self) -> Encoding {
        match self {
            Self::Lines(lines) => Encoding::Lines(lines.ending),
            Self::LengthPrefixed(frames) => Encoding::LengthPrefixed(frames.prefix),
            Self::WebSocket(WebSocket { role, deflate, .. }) => Encoding::WebSocket { role, deflate },
            Self::Telnet(telnet) => Encoding::Telnet { charset: telnet.charset, path: TelnetPath::Direct },
            Self::TelnetClient(telnet) => Encoding::Telnet { charset: telnet.charset, path: TelnetPath::Direct },
            Self::WsTelnet(wire) => Encoding::Telnet { charset: wire.telnet.charset, path: TelnetPath::Framed },
            Self::Raw(_) => Encoding::Raw,
            Self::Delimited(wire) => Encoding::Delimited(wire.delimiter),
            Self::Events(events) => Encoding::Events(events.format),
            Self::Ssh(session) => session.encoding(),
            Self::Custom(custom) => Encoding::Custom(custom),
        }
    }
}

impl Default for Wire {
    /// Returns text lines with default settings.
    fn default() -> Self {
        Self::Lines(Lines::default())
    }
}

/// A decoder for any wire.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decoder {
    /// The decoder of text lines.
    Lines(LineDecoder),
    /// The decoder of length-prefixed frames.
    LengthPrefixed(Box<LengthDecoder>),
    /// The telnet session, which also answers negotiation.
    Telnet(Box<Session>),
    /// The client's telnet session, which also answers negotiation.
    TelnetClient(Box<ClientSession>),
    /// The WebSocket decoder, which also answers pings and close frames.
    WebSocket(Box<WebSocketDecoder>),
    /// The decoder of telnet in WebSocket messages.
    WsTelnet(Box<WsTelnetDecoder>),
    /// The decoder of raw bytes.
    Raw(RawDecoder),
    /// The decoder of delimited messages.
    Delimited(Box<DelimitedDecoder>),
    /// The decoder of a stream of events, which discards input.
    Events(EventsDecoder),
    /// The decoder of an SSH session.
    Ssh(Box<SshDecoder>),
    /// The decoder of a [`Codec`] of the application.
    Custom(Box<CustomDecoder>),
}

impl Decoder {
    /// Decodes the next [`Item`] at the front of `input`, if it is complete.
    ///
    /// The [module](self) describes the interface of the decoders.
    ///
    /// # Errors
    /// If the input breaks the wire's rules or the budget. The decoder is unusable from then on.
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        match self {
            Self::Lines(lines) => lines.decode(input, buffer, budget),
            Self::LengthPrefixed(frames) => frames.decode(input, buffer, budget),
            Self::Telnet(session) => session.decode(input, buffer, budget),
            Self::TelnetClient(session) => session.decode(input, buffer, budget),
            Self::WebSocket(socket) => socket.decode(input, buffer, budget),
            Self::WsTelnet(stream) => stream.decode(input, buffer, budget),
            Self::Raw(raw) => Ok(raw.decode(input, budget)),
            Self::Delimited(wire) => wire.decode(input, buffer, budget),
            Self::Events(events) => events.decode(input),
            Self::Ssh(session) => session.decode(input, buffer, budget),
            Self::Custom(custom) => custom.decode(input, buffer, budget),
        }
    }

    /// Returns the message, if any, that the end of input completes, such as an unterminated line.
    ///
    /// # Errors
    /// If the incomplete input cannot be a message.
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        match self {
            Self::Lines(lines) => lines.finish(buffer, budget),
            Self::LengthPrefixed(frames) => frames.finish().map(|()| None),
            Self::Telnet(session) => session.finish(buffer, budget),
            Self::TelnetClient(session) => session.finish(buffer, budget),
            Self::WebSocket(socket) => socket.finish().map(|()| None),
            Self::WsTelnet(stream) => stream.finish(buffer, budget),
            Self::Raw(_) => Ok(None),
            Self::Events(events) => {
                events.finish();
                Ok(None)
            }
            Self::Delimited(wire) => wire.finish(buffer, budget),
            Self::Ssh(session) => session.finish(buffer, budget),
            Self::Custom(custom) => custom.finish(buffer, budget),
        }
    }

    /// Returns `true` if a message is incomplete, so that [`Budget::message_deadline`] applies.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.is_partial(),
            Self::LengthPrefixed(frames) => frames.is_partial(),
            Self::Telnet(session) => session.is_partial(),
            Self::TelnetClient(session) => session.is_partial(),
            Self::WebSocket(socket) => socket.is_partial(),
            Self::WsTelnet(stream) => stream.is_partial(),
            Self::Raw(_) | Self::Events(_) => false,
            Self::Delimited(wire) => wire.is_partial(),
            Self::Ssh(session) => session.is_partial(),
            Self::Custom(custom) => custom.is_partial(),
        }
    }

    /// Returns `true` if the wire marks where messages end.
    ///
    /// All do but [`Raw`](Self::Raw), and telnet with
    /// [`Delivery::Stream`](crate::telnet::Delivery::Stream).
    #[must_use]
    pub const fn has_boundaries(&self) -> bool {
        match self {
            Self::Raw(_) => false,
            Self::TelnetClient(session) => session.has_boundaries(),
            _ => true,
        }
    }

    /// Returns `true` if the decoder can yield more without further input.
    ///
    /// Call `decode` then, if necessary with an empty input.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        match self {
            Self::Lines(_) | Self::LengthPrefixed(_) | Self::Delimited(_) | Self::Events(_) | Self::Custom(_) => false,
            Self::Telnet(session) => session.is_ahead(),
            Self::TelnetClient(session) => session.is_ahead(),
            Self::WebSocket(socket) => socket.is_ahead(),
            Self::WsTelnet(stream) => stream.is_ahead(),
            Self::Ssh(session) => session.is_ahead(),
            Self::Raw(raw) => raw.is_ahead(),
        }
    }

    /// Returns whether a stream whose first item is `first` begins with an HTTP request.
    ///
    /// `None` if that is not clear yet: ask again with the next item.
    pub(crate) fn begins_http(&self, first: Item<'_>) -> Option<bool> {
        match (self, first) {
            (Self::Raw(raw), _) => raw.begins_http(),
            (Self::Delimited(wire), _) => wire.begins_http(),
            (Self::Custom(custom), _) => custom.begins_http(),
            (_, Item::Message(payload)) if !payload.as_bytes().is_empty() => Some(self.is_request(payload.as_bytes())),
            _ => None,
        }
    }

    fn is_request(&self, first: &[u8]) -> bool {
        match self {
            Self::Lines(_) | Self::Telnet(_) => request_line::is_request_line(first),
            Self::LengthPrefixed(frames) => {
                // An HTTP method may be read as a length.
                let mut bytes = Vec::new();
                frames.prefix().write(first.len() as u64, &mut bytes);
                bytes.extend_from_slice(&first[..first.len().min(16)]);
                request_line::is_request(&bytes)
            }
            // The others compare the start of the stream, or follow an HTTP request.
            _ => false,
        }
    }

    /// Takes the pending answers to the peer, with the redrawn input line if `with_line` is set.
    pub(crate) fn replies(&mut self, with_line: bool) -> Option<Replies> {
        match self {
            Self::Telnet(session) if with_line => session.replies(),
            Self::Telnet(session) => session.answers(),
            Self::TelnetClient(session) => session.replies(),
            Self::WebSocket(socket) => socket.replies(),
            Self::WsTelnet(stream) if with_line => stream.replies(),
            Self::WsTelnet(stream) => stream.answers(),
            Self::Events(events) => events.replies(),
            Self::Ssh(session) => session.replies(with_line),
            Self::Lines(_) | Self::LengthPrefixed(_) | Self::Raw(_) | Self::Delimited(_) | Self::Custom(_) => None,
        }
    }

    /// Returns `true` if the decoder can send to the peer by itself.
    pub(crate) const fn answers(&self) -> bool {
        matches!(
            self,
            Self::Telnet(_)
                | Self::TelnetClient(_)
                | Self::WebSocket(_)
                | Self::WsTelnet(_)
                | Self::Events(_)
                | Self::Ssh(_)
        )
    }

    /// Returns how long to wait for input before [`on_timeout`](Self::on_timeout), if at all.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Telnet(session) => session.wait(),
            Self::TelnetClient(session) => session.wait(),
            Self::WsTelnet(stream) => stream.session().wait(),
            Self::Ssh(session) => session.session().and_then(Session::wait),
            Self::Raw(raw) => raw.wait(),
            _ => None,
        }
    }

    /// Returns `true` if an escape character is pending, which the end of input turns into a key.
    pub(crate) fn has_pending_key(&self) -> bool {
        !matches!(self, Self::TelnetClient(_)) && self.wait().is_some()
    }

    /// Turns a pending escape into a key, once [`wait`](Self::wait) has elapsed or input has ended.
    ///
    /// Turns the unfinished line of a telnet server into a prompt.
    pub(crate) fn on_timeout(&mut self) {
        match self {
            Self::Telnet(session) => session.on_timeout(),
            Self::TelnetClient(session) => session.on_timeout(),
            Self::WsTelnet(stream) => stream.session_mut().on_timeout(),
            Self::Ssh(session) => session.session_mut().into_iter().for_each(Session::on_timeout),
            Self::Raw(raw) => raw.on_timeout(),
            _ => {}
        }
    }

    /// Returns the current encoding of messages, if the wire can change it.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        match self {
            Self::Telnet(session) => Some(session.encoding()),
            Self::TelnetClient(session) => Some(session.encoding()),
            Self::WsTelnet(stream) => Some(stream.encoding()),
            Self::Ssh(session) => session.encoding(),
            _ => None,
        }
    }

    /// Returns the WebSocket decoder, if the wire has one.
    pub(crate) const fn socket(&self) -> Option<&WebSocketDecoder> {
        match self {
            Self::WebSocket(socket) => Some(socket),
            Self::WsTelnet(stream) => Some(stream.socket()),
            _ => None,
        }
    }

    /// Returns the WebSocket decoder for modification, if the wire has one.
    pub(crate) const fn socket_mut(&mut self) -> Option<&mut WebSocketDecoder> {
        match self {
            Self::WebSocket(socket) => Some(socket),
            Self::WsTelnet(stream) => Some(stream.socket_mut()),
            _ => None,
        }
    }

    /// Returns what the peer reported about its terminal, if the wire is telnet.
    pub(crate) fn terminal(&self) -> Option<&Terminal> {
        match self {
            Self::Telnet(session) => Some(session.terminal()),
            Self::WsTelnet(stream) => Some(stream.session().terminal()),
            Self::Ssh(session) => session.terminal(),
            _ => None,
        }
    }

    /// Returns the decoder of raw bytes, if the wire is raw.
    pub(crate) const fn raw_mut(&mut self) -> Option<&mut RawDecoder> {
        match self {
            Self::Raw(raw) => Some(raw),
            _ => None,
        }
    }

    /// Returns the client's telnet session for modification, if the wire has one.
    pub(crate) const fn client_session(&mut self) -> Option<&mut ClientSession> {
        match self {
            Self::TelnetClient(session) => Some(session),
            _ => None,
        }
    }

    /// Returns the server's telnet session for modification, if the wire has one.
    pub(crate) fn session(&mut self) -> Option<&mut Session> {
        match self {
            Self::Telnet(session) => Some(session),
            Self::WsTelnet(stream) => Some(stream.session_mut()),
            Self::Ssh(session) => session.session_mut(),
            _ => None,
        }
    }

    /// Returns the decoder of an SSH session for modification, if the wire is one.
    pub(crate) fn ssh_mut(&mut self) -> Option<&mut SshDecoder> {
        if let Self::Ssh(session) = self { Some(session) } else { None }
    }
}

#[cfg(test)]
mod tests;
