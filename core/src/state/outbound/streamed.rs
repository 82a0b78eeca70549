//! Messages for connections whose wire is a stream of events.

use super::content::Content;
use super::{Class, Outbound, PRIVATE};
use crate::base::Payload;
use crate::config::SlowPolicy;
use crate::wire::Encoding;
use crate::wire::events::EventFormat;
use alloc::vec::Vec;

/// A message with its position, in the formats of streams of events.
#[derive(Debug, Default)]
pub(crate) struct Streamed {
    event: Option<Vec<u8>>,
    line: Option<Vec<u8>>,
}

impl Streamed {
    pub(crate) fn set(&mut self, format: EventFormat, bytes: Option<Vec<u8>>) {
        match format {
            EventFormat::EventSource => self.event = bytes,
            EventFormat::JsonLines => self.line = bytes,
        }
    }

    /// Returns the bytes for a stream of this format, if there are any.
    pub(crate) fn of(&self, format: Option<EventFormat>) -> Option<&[u8]> {
        match format? {
            EventFormat::EventSource => self.event.as_deref(),
            EventFormat::JsonLines => self.line.as_deref(),
        }
    }

    /// Returns what recipients get: the bytes for their format, or `payload`.
    pub(crate) fn content<'a>(&'a self, format: Option<EventFormat>, payload: Payload<'a>) -> Content<'a> {
        self.of(format).map_or(Content::Message(payload), Content::Encoded)
    }
}

impl Outbound {
    /// Returns the format of a numbered encoding, if it belongs to a stream of events.
    pub(crate) fn format(&self, number: u16) -> Option<EventFormat> {
        match self.encoding(number) {
            Encoding::Events(format) => Some(format),
            _ => None,
        }
    }

    /// Queues a direct message that is encoded already. Returns `false` if it could not be queued.
    pub(crate) fn send_encoded(&mut self, index: u32, bytes: &[u8]) -> bool {
        let number = self.queues[index as usize].encoding;
        let segment = self.append_message(number, Class::Private, PRIVATE, Content::Encoded(bytes));
        segment.is_ok_and(|segment| self.push_private(index, segment, Some(SlowPolicy::Close)))
    }
}
