//! One-way streams of events over HTTP: Server-Sent Events and lines of JSON.
//!
//! The handler begins a stream with [`Hub::respond_stream`](crate::Hub::respond_stream). The server
//! sends each message as an event, and discards what the peer sends.
//!
//! | format | a message with a position |
//! |---|---|
//! | [`EventFormat::EventSource`] | `id: 7.1.2f`, a `data:` line for each line of the message, an empty line |
//! | [`EventFormat::JsonLines`] | `{"position":"7.1.2f","data":...}` on one line |
//!
//! The first format is that of the browser's `EventSource` ([HTML standard, section
//! 9.2](https://html.spec.whatwg.org/multipage/server-sent-events.html)). A browser that has lost
//! the connection comes back by itself, with the last `id` in the field `Last-Event-ID`.

mod decoder;
mod event;
#[cfg(test)]
mod tests;

pub use decoder::EventsDecoder;
pub use event::StreamEvent;

use super::errors::EncodeError;
use crate::base::{Payload, setters};
use alloc::vec::Vec;
use core::time::Duration;

/// A stream of events, in one direction.
///
/// The idle timeout and the silence timeout do not apply, because the peer has nothing to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Events {
    /// How events are written.
    pub format: EventFormat,
    /// Interval of keep-alives, which show the peer that the connection is alive. At least 10 ms.
    ///
    /// `None`, which is the default, and zero disable them.
    pub ping: Option<Duration>,
}

setters!(Events { format: EventFormat, ping: Option<Duration> });

/// How the events of a stream are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventFormat {
    /// Server-Sent Events, `text/event-stream`.
    ///
    /// A keep-alive is a comment: a line with a colon.
    #[default]
    EventSource,
    /// Lines of JSON, `application/x-ndjson`.
    ///
    /// A message should be JSON. Line breaks in it become spaces, which leaves JSON the same. A
    /// keep-alive is an empty object.
    JsonLines,
}

impl EventFormat {
    /// Returns the media type of the stream.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::EventSource => "text/event-stream",
            Self::JsonLines => "application/x-ndjson",
        }
    }

    /// Returns the bytes of a keep-alive.
    pub(super) const fn keep_alive(self) -> &'static [u8] {
        match self {
            Self::EventSource => b":\n",
            Self::JsonLines => b"{}\n",
        }
    }

    /// Appends `payload` to `out` as one event without a name or a position.
    ///
    /// # Errors
    /// If the payload is not text. `out` is then unchanged.
    pub(super) fn encode(self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let text = payload.as_str().ok_or(EncodeError::NotText)?;
        match self {
            Self::EventSource => self.write(&StreamEvent::new(text), out),
            Self::JsonLines => event::line(text, out),
        }
        Ok(())
    }

    /// Appends a message with its position. In JSON lines, `json` must contain the position already.
    pub(crate) fn write_positioned(self, position: &str, json: &str, out: &mut Vec<u8>) {
        match self {
            Self::EventSource => self.write(&StreamEvent::new(json).position(Some(position)), out),
            Self::JsonLines => event::line(json, out),
        }
    }

    /// Appends `event` to `out` in this format.
    pub fn write(self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        match self {
            Self::EventSource => event.write_fields(out),
            Self::JsonLines => event.write_line(out),
        }
    }
}
